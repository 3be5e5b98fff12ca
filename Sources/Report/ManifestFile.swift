// Reads back what a manifest of another run says: to resume it, to repeat it, to compare with it.

import Foundation

/// The parts of a manifest.json that other runs ask for.
public struct ManifestFile: Sendable, Equatable {
    public var ending: String
    public var fingerprint: String
    public var scenarioName: String
    public var seed: String
    public var securitiesFile: String?
    public var pricesFolder: String?

    /// Nil where there is no file, or none that is a manifest of this version.
    public static func read(_ path: String) -> ManifestFile? {
        guard let data = FileManager.default.contents(atPath: path),
            let root = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            root["format_version"] as? Int == Manifest.formatVersion,
            let outcome = root["outcome"] as? [String: Any], let ending = outcome["ending"] as? String,
            let scenario = root["scenario"] as? [String: Any], let name = scenario["name"] as? String
        else { return nil }
        return ManifestFile(
            ending: ending, fingerprint: root["fingerprint"] as? String ?? "", scenarioName: name,
            seed: scenario["seed"] as? String ?? "", securitiesFile: scenario["securities_file"] as? String,
            pricesFolder: scenario["prices_folder"] as? String)
    }
}
