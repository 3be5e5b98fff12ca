// Reads `servers:`: what the embedded servers are made of.

import Diagnostics

extension ScenarioReader {
    mutating func readServers(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.servers) else { return }
        if let entry = keys["standbys"] { servers.standbys = integer(entry, Limit.standbys) ?? servers.standbys }
        if let entry = keys["settings"] { readSettings(entry) }
    }

    private mutating func readSettings(_ entry: YAMLEntry) {
        guard case .mapping(let settings) = entry.value.content else {
            let expected = "a mapping of PostgreSQL's settings, such as { shared_buffers: 256MB }"
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        for setting in settings {
            guard Limit.serverSettings.contains(setting.key) else {
                refuse(setting.line, setting.key, refusal(ofSetting: setting.key))
                continue
            }
            let expected = "a value of at most 100 printable characters, such as 256MB, on or 0.9"
            guard let value = scalar(setting, expected) else { continue }
            guard value.count <= 100, value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
                refuse(setting.value.line, setting.key, value: value, expected)
                continue
            }
            servers.settings.append(ScenarioFile.Servers.Setting(name: setting.key, value: value))
        }
    }

    private func refusal(ofSetting name: String) -> String {
        if name == "synchronous_commit" { return "this setting as a field of the configurations, not of the servers" }
        let known = Limit.serverSettings
        return "a setting that a scenario may change: \(list(known, last: "or"))\(suggestion(name, known))"
    }
}
