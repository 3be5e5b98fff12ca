// Reads back what a manifest of another run says: to resume it, to repeat it, to compare with it.

import Foundation

/// The parts of a manifest.json that other runs ask for.
public struct ManifestFile: Sendable, Equatable {
    public var ending: String
    /// ISO 8601 in UTC, so that texts are in the order of time.
    public var startedAt: String
    /// What may differ between two runs of the same scenario, by name: the version of everything, the commit, the
    /// machine, the database's settings.
    public var surroundings: [String: String]
    public var fingerprint: String
    public var scenarioName: String
    public var seed: String
    public var securitiesFile: String?
    public var pricesFolder: String?

    /// What isn't as it was then, each in words.
    /// - Parameter names: of what is compared; without, everything.
    public func differences(from now: [String: String], in names: Set<String>? = nil) -> [String] {
        (names ?? Set(now.keys).union(surroundings.keys)).sorted().filter { surroundings[$0] != now[$0] }.map { name in
            // Settings that are left at their default aren't in a manifest.
            let missing = name.hasPrefix(Manifest.settingPrefix) ? "the default" : "unknown"
            return "\(name) was \(surroundings[name] ?? missing), is \(now[name] ?? missing)"
        }
    }

    /// Why nobody can tell whether the program is the same; nil where the commit says it.
    public func doubt(about now: [String: String]) -> String? {
        guard surroundings["git_dirty"] == "true", now["git_dirty"] == "true" else { return nil }
        return
            "the sources differ from commit \(now["git_commit"] ?? "unknown"), as they did then: whether the program is the "
            + "same can't be told"
    }

    /// Nil where there is no file, or none that is a manifest of this version.
    public static func read(_ path: String) -> ManifestFile? {
        guard let data = FileManager.default.contents(atPath: path),
            let root = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            root["format_version"] as? Int == Manifest.formatVersion,
            let outcome = root["outcome"] as? [String: Any], let ending = outcome["ending"] as? String,
            let scenario = root["scenario"] as? [String: Any], let name = scenario["name"] as? String
        else { return nil }
        var surroundings = root["versions"] as? [String: String] ?? [:]
        if let build = root["build"] as? [String: Any] {
            surroundings["git_commit"] = build["git_commit"] as? String ?? "unknown"
            surroundings["git_dirty"] = (build["git_dirty"] as? Bool).map { String($0) } ?? "unknown"
            surroundings["optimized"] = (build["optimized"] as? Bool).map { String($0) }
        }
        if let machine = root["machine"] as? [String: Any] {
            surroundings["cpu_model"] = machine["cpu_model"] as? String
            surroundings["cores"] = (machine["cores"] as? Int).map { String($0) }
            surroundings["memory_bytes"] = (machine["memory_bytes"] as? Int).map { String($0) }
            surroundings["kernel"] = machine["kernel"] as? String
        }
        for (name, value) in root["server_settings"] as? [String: String] ?? [:] {
            surroundings[Manifest.settingPrefix + name] = value
        }
        return ManifestFile(
            ending: ending, startedAt: root["started_at"] as? String ?? "", surroundings: surroundings,
            fingerprint: root["fingerprint"] as? String ?? "", scenarioName: name,
            seed: scenario["seed"] as? String ?? "", securitiesFile: scenario["securities_file"] as? String,
            pricesFolder: scenario["prices_folder"] as? String)
    }
}
