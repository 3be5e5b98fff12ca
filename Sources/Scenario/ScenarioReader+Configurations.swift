// Reads `configurations:`: a list whose fields may be lists themselves, or a matrix with what is included and excluded.
// What one configuration means is read beside, in ScenarioReader+Configuration.swift.

import Diagnostics
import Model

/// One of the configurations that an item of the list, or a matrix, stands for.
struct ConfigurationVariant {
    /// In the order of the file, each with a single value.
    var entries: [YAMLEntry]
    /// Which of them were lists.
    var listKeys: Set<String>
    var line: Int

    subscript(key: String) -> YAMLEntry? { entries.first { $0.key == key } }
}

extension ScenarioReader {
    mutating func readConfigurations(_ entry: YAMLEntry) {
        let faultCount = faults.count
        defer { areConfigurationsComplete = faults.count == faultCount }
        var lines: [String: Int] = [:]
        switch entry.value.content {
        case .sequence(let items) where !items.isEmpty: readList(items, line: entry.line, lines: &lines)
        case .mapping: readMatrix(entry, lines: &lines)
        default:
            let example =
                switch stage {
                case .allocate: "{ mode: concurrent, workers: 8 }"
                case .route: "{ routing: event_driven, workers: 4 }"
                case .execute: "{ feed: running, batch_size: 100 }"
                }
            let expected = "a list of configurations, such as - \(example), or a matrix of them"
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        if competitors.count > Limit.configurationCount {
            let expected = "at most \(Limit.configurationCount) configurations"
            refuse(entry.line, entry.key, value: String(competitors.count), expected)
        }
    }

    private mutating func readList(_ items: [YAMLNode], line: Int, lines: inout [String: Int]) {
        let level = ScenarioFormat.configuration(of: stage)
        guard items.count <= Limit.configurationCount else {
            let expected = "at most \(Limit.configurationCount) configurations"
            return refuse(line, "configurations", value: String(items.count), expected)
        }
        for item in items {
            guard let keys = entries(item, field: "configurations", level: level) else { continue }
            let known = keys.values.sorted { ($0.line, $0.key) < ($1.line, $1.key) }
            let ordered = level.names.compactMap { name in known.first { $0.key == name } }
            guard let variants = variants(of: ordered, line: item.line, limit: Limit.configurationCount) else {
                continue
            }
            for variant in variants {
                let faultCount = faults.count
                let values = fieldValues(variant)
                guard fits(values, variant), faults.count == faultCount,
                    let competitor = competitor(variant, values)
                else { continue }
                add(competitor, line: item.line, lines: &lines)
            }
        }
    }

    private mutating func add(_ competitor: Competitor, line: Int, lines: inout [String: Int]) {
        if let first = lines[competitor.name] {
            let expected = "a name of its own; the configuration at line \(first) has it too"
            return refuse(line, "name", value: competitor.name, expected)
        }
        lines[competitor.name] = line
        competitors.append(competitor)
    }

    /// The product of all fields that are lists: the last one varies fastest.
    private mutating func variants(of entries: [YAMLEntry], line: Int, limit: Int) -> [ConfigurationVariant]? {
        var variants = [ConfigurationVariant(entries: [], listKeys: [], line: line)]
        for entry in entries {
            // An empty list is left to the reader of the field, which says what it expects.
            guard entry.key != "name", case .sequence(let items) = entry.value.content, !items.isEmpty else {
                for index in variants.indices { variants[index].entries.append(entry) }
                continue
            }
            guard variants.count * items.count <= limit else {
                let expected = "lists whose product is at most \(limit) configurations"
                refuse(line, "configurations", value: String(variants.count * items.count), expected)
                return nil
            }
            variants = variants.flatMap { variant in
                items.map { item in
                    var next = variant
                    next.entries.append(YAMLEntry(key: entry.key, line: item.line, value: item))
                    next.listKeys.insert(entry.key)
                    return next
                }
            }
        }
        return variants
    }

    // MARK: The matrix

    private mutating func readMatrix(_ entry: YAMLEntry, lines: inout [String: Int]) {
        guard let keys = entries(entry.value, field: entry.key, keys: ScenarioFormat.matrix, of: "configurations"),
            let matrix = required("matrix", in: keys, line: entry.value.line, of: entry.key)
        else { return }
        let level = ScenarioFormat.configuration(of: stage)
        let names = level.names.filter { $0 != "name" }
        let rules = keys["exclude"].map { exclusions($0, names: names) } ?? []
        if let fields = entries(matrix.value, field: matrix.key, keys: names, of: "a matrix") {
            let ordered = names.compactMap { fields[$0] }
            if required(selectorKey, in: fields, line: matrix.line, of: matrix.key) != nil,
                let variants = variants(of: ordered, line: matrix.line, limit: Limit.matrixProduct)
            {
                addMatrix(variants, fields: fields, exclusions: rules, line: matrix.line, lines: &lines)
            }
        }
        guard let include = keys["include"] else { return }
        guard case .sequence(let items) = include.value.content, !items.isEmpty else {
            let expected = "a list of whole configurations, not \(form(of: include.value))"
            return refuse(include.value.line, include.key, expected)
        }
        readList(items, line: include.line, lines: &lines)
    }

    private mutating func addMatrix(
        _ variants: [ConfigurationVariant], fields: [String: YAMLEntry], exclusions: [Exclusion], line: Int,
        lines: inout [String: Int]
    ) {
        var known: Set<Competitor> = []
        var usedKeys: Set<String> = []
        var matchedRules: Set<Int> = []
        var hasUnreadable = false
        var left: [(competitor: Competitor, values: [String: FieldValue], variant: ConfigurationVariant)] = []
        for variant in variants {
            let own = dropKeysOfOtherModes(variant)
            usedKeys.formUnion(own.entries.map(\.key))
            // Beyond the faults that are told, more of the same only cost time.
            guard faults.count < 10 * ScenarioFile.faultCountMaximum else { return }
            let faultCount = faults.count
            let values = fieldValues(own)
            guard faults.count == faultCount, let competitor = competitor(own.withoutName, values) else {
                hasUnreadable = true
                continue
            }
            guard known.insert(competitor).inserted else { continue }
            let matching = exclusions.filter { matches(competitor, $0) }.map(\.index)
            matchedRules.formUnion(matching)
            if matching.isEmpty { left.append((competitor, values, own)) }
        }
        guard !hasUnreadable else { return }
        for entry in fields.values where !usedKeys.contains(entry.key) {
            let owners = owners(of: entry.key)
            let expected =
                "a key of a \(selectorKey) in the matrix; \(entry.key) belongs to \(belonging(owners))"
            refuse(entry.line, entry.key, value: valueText(entry.value), expected)
        }
        for rule in exclusions where !matchedRules.contains(rule.index) {
            refuse(rule.line, "exclude", "a rule that excludes something: no configuration of the matrix matches it")
        }
        guard left.count <= Limit.configurationCount else {
            let expected = "at most \(Limit.configurationCount) configurations"
            return refuse(line, "matrix", value: String(left.count), expected)
        }
        if left.isEmpty { refuse(line, "matrix", "a configuration that exclude leaves") }
        for (competitor, values, variant) in left where fits(values, variant) {
            add(competitor, line: line, lines: &lines)
        }
    }

    /// A matrix may have fields that only some of its modes know.
    private func dropKeysOfOtherModes(_ variant: ConfigurationVariant) -> ConfigurationVariant {
        guard let selector = variant[selectorKey].flatMap({ valueText($0.value) }) else { return variant }
        var own = variant
        own.entries.removeAll { entry in
            let owners = owners(of: entry.key)
            return !owners.isEmpty && !owners.contains(selector)
        }
        return own
    }

    // MARK: Exclusions

    /// What a configuration must have to be left out: one of the values of every field.
    private struct Exclusion {
        var index: Int
        var line: Int
        var fields: [String: [FieldValue]]
    }

    private mutating func exclusions(_ entry: YAMLEntry, names: [String]) -> [Exclusion] {
        let expected = "a list of what is left out, such as - { mode: row, workers: 8 }"
        guard case .sequence(let items) = entry.value.content, !items.isEmpty else {
            refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
            return []
        }
        var rules: [Exclusion] = []
        for (index, item) in items.enumerated() {
            guard let keys = entries(item, field: entry.key, keys: names, of: "exclude") else { continue }
            var fields: [String: [FieldValue]] = [:]
            for (key, field) in keys {
                var nodes = [field.value]
                if case .sequence(let values) = field.value.content, !values.isEmpty { nodes = values }
                let values = nodes.compactMap { node in
                    fieldValue(YAMLEntry(key: key, line: node.line, value: node))
                }
                if values.count == nodes.count { fields[key] = values }
            }
            guard fields.count == keys.count else { continue }
            if fields.isEmpty {
                refuse(item.line, entry.key, expected)
                continue
            }
            rules.append(Exclusion(index: index, line: item.line, fields: fields))
        }
        return rules
    }

    private func matches(_ competitor: Competitor, _ rule: Exclusion) -> Bool {
        rule.fields.allSatisfy { key, values in
            fieldValue(key, of: competitor).map { values.contains($0) } ?? false
        }
    }
}

extension ConfigurationVariant {
    /// Of a matrix all names are generated whole: adding a value to a field that had one renames nothing.
    fileprivate var withoutName: ConfigurationVariant {
        var variant = self
        variant.listKeys = []
        return variant
    }
}
