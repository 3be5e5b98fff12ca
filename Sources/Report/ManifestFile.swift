// Reads back what a manifest of another run says: to resume it, to repeat it, to compare with it.

import Foundation

/// The parts of a manifest.json that other runs ask for.
public struct ManifestFile: Sendable, Equatable {
    public var ending: String
    /// ISO 8601 in UTC, so that texts are in the order of time.
    public var startedAt: String
    /// What may differ between two runs of the same scenario, by name: the version of everything, the commit, the machine.
    public var surroundings: [String: String]
    public var fingerprint: String
    public var scenarioName: String
    public var seed: String
    public var securitiesFile: String?
    public var pricesFolder: String?

    /// What isn't as it was then, each in words.
    public func differences(from now: [String: String]) -> [String] {
        now.keys.sorted().filter { surroundings[$0] != now[$0] }.map {
            "\($0) was \(surroundings[$0] ?? "unknown"), is \(now[$0] ?? "unknown")"
        }
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
            surroundings["optimized"] = (build["optimized"] as? Bool).map { String($0) }
        }
        if let machine = root["machine"] as? [String: Any] {
            surroundings["cpu_model"] = machine["cpu_model"] as? String
            surroundings["cores"] = (machine["cores"] as? Int).map { String($0) }
        }
        return ManifestFile(
            ending: ending, startedAt: root["started_at"] as? String ?? "", surroundings: surroundings,
            fingerprint: root["fingerprint"] as? String ?? "", scenarioName: name,
            seed: scenario["seed"] as? String ?? "", securitiesFile: scenario["securities_file"] as? String,
            pricesFolder: scenario["prices_folder"] as? String)
    }
}
