// Reads `load:`, how executions arrive, and the parts of a run that `warm_up:` and `measured:` make.

import Diagnostics
import Measurement
import Model
import Report

private let models = ["backlog", "open", "search"]
private let loadForms = "backlog, { model: open, rate: 5000 } or { model: search, p99_ms: 50 }"

extension ScenarioReader {
    mutating func readLoad(_ entry: YAMLEntry) {
        switch entry.value.content {
        case .sequence:
            refuse(entry.value.line, entry.key, "\(loadForms), not a list")
        case .scalar:
            guard let word = loadModel(entry, forms: loadForms), word != "backlog" else { return }
            let example =
                word == "open"
                ? "a rate with it: { model: open, rate: 5000 }" : "a limit with it: { model: search, p99_ms: 50 }"
            refuse(entry.value.line, entry.key, value: word, example)
        case .mapping:
            let names = [ScenarioFormat.backlog, ScenarioFormat.open, ScenarioFormat.search].flatMap(\.names)
            guard let keys = entries(entry.value, field: entry.key, keys: distinct(names), of: "load"),
                let modelEntry = required("model", in: keys, line: entry.value.line, of: entry.key),
                let model = loadModel(modelEntry)
            else { return }
            let own = dropKeysOfOtherModels(keys, model: model)
            switch model {
            case "open": readOpenLoad(own, line: entry.value.line)
            case "search": readSearchLoad(own, line: entry.value.line)
            default: break
            }
        }
    }

    private mutating func loadModel(_ entry: YAMLEntry, forms: String? = nil) -> String? {
        if valueText(entry.value) == "paced" {
            refuse(
                entry.value.line, entry.key, value: "paced",
                "\(forms ?? list(models, last: "or")); paced is called open now")
            return nil
        }
        return word(entry, among: models, forms: forms)
    }

    private mutating func dropKeysOfOtherModels(_ keys: [String: YAMLEntry], model: String) -> [String: YAMLEntry] {
        let levels = ["backlog": ScenarioFormat.backlog, "open": ScenarioFormat.open, "search": ScenarioFormat.search]
        var own = keys
        for (key, entry) in keys where levels[model]?[key] == nil {
            own[key] = nil
            let owners = models.filter { levels[$0]?[key] != nil }
            let expected =
                "a key of model \(model); \(key) belongs to \(owners.count > 1 ? "models" : "model") \(list(owners, last: "and"))"
            refuse(entry.line, key, value: valueText(entry.value), expected)
        }
        return own
    }

    private mutating func readThrough(_ keys: [String: YAMLEntry]) -> ScenarioFile.Through {
        keys["through"].flatMap { word($0, ScenarioFile.Through.self) } ?? .topic
    }

    // MARK: Open

    private mutating func readOpenLoad(_ keys: [String: YAMLEntry], line: Int) {
        let through = readThrough(keys)
        let arrivals = keys["arrivals"].flatMap { word($0, among: ["uniform", "poisson"]) }
        let scheduleLag = keys["schedule_lag_max_ms"].flatMap { number($0, Limit.scheduleLagMs) }
        let phases: [ArrivalSchedule.Phase]?
        switch (keys["rate"], keys["phases"]) {
        case (let rate?, nil):
            phases = number(rate, Limit.rate, unit: "executions per second")
                .map { [ArrivalSchedule.Phase(ratePerSecond: $0)] }
        case (nil, let list?): phases = self.phases(list)
        case (nil, nil):
            phases = nil
            refuse(line, "rate", "this key in load, or phases, which are missing")
        case (let rate?, let list?):
            phases = nil
            refuse(max(rate.line, list.line), "phases", "rate or phases, not both")
        }
        guard let phases, let entry = keys["rate"] ?? keys["phases"] else { return }
        let schedule = ArrivalSchedule(
            phases: phases, spread: arrivals == "poisson" ? .poisson(seed: seed) : .even)
        load = .open(
            ScenarioFile.OpenLoad(schedule: schedule, through: through, scheduleLagLimitMs: scheduleLag))
        guard let end = streamEndNs, Double(end) / 1e9 > Limit.replaySeconds, let executions = workload.executions
        else {
            return
        }
        let expected = "a rate at which \(executions) executions arrive within 24 hours"
        refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
    }

    private mutating func phases(_ entry: YAMLEntry) -> [ArrivalSchedule.Phase]? {
        let example = "- { rate: 1000, seconds: 5 }"
        guard let items = items(entry, Limit.phaseCount, "a list of phases, such as \(example)", "phases") else {
            return nil
        }
        let read = items.enumerated().map { index, item in phase(item, isLast: index == items.count - 1) }
        let phases = read.compactMap(\.self)
        guard phases.count == read.count, let last = items.last else { return nil }
        // What the reader of one phase can't see: how the last one ends.
        if let fault = ArrivalSchedule.fault(in: phases) {
            refuse(last.line, entry.key, "a schedule that brings every execution: \(fault)")
            return nil
        }
        return phases
    }

    private mutating func phase(_ item: YAMLNode, isLast: Bool) -> ArrivalSchedule.Phase? {
        let forms = "{ rate: 1000, seconds: 5 } or { from: 1000, to: 5000, seconds: 10 }"
        guard let keys = entries(item, field: "phases", level: ScenarioFormat.phase) else { return nil }
        let isRamp = keys["from"] != nil || keys["to"] != nil
        guard isRamp != (keys["rate"] != nil), !isRamp || keys["from"] != nil && keys["to"] != nil else {
            refuse(item.line, "phases", forms)
            return nil
        }
        if keys["seconds"] == nil, isRamp || !isLast {
            let why = isRamp ? "a ramp has an end" : "only the last phase goes on until every execution has come"
            refuse(item.line, "seconds", "this key in a phase, which is missing: \(why)")
            return nil
        }
        let seconds = keys["seconds"].flatMap { number($0, Limit.seconds) }
        if keys["seconds"] != nil, seconds == nil { return nil }
        let durationMs = seconds.map { Int64(($0 * 1000).rounded()) }
        if let rate = keys["rate"] {
            return self.rate(rate).map { ArrivalSchedule.Phase(ratePerSecond: $0, durationMs: durationMs) }
        }
        let from = keys["from"].flatMap { self.rate($0) }
        let to = keys["to"].flatMap { self.rate($0) }
        guard let from, let to, let durationMs else { return nil }
        return ArrivalSchedule.Phase(ratePerSecondFrom: from, to: to, durationMs: durationMs)
    }

    /// Of a phase, which may be a pause.
    private mutating func rate(_ entry: YAMLEntry) -> Double? {
        if valueText(entry.value) == "0" { return 0 }
        return number(entry, Limit.rate, unit: "executions per second", orZero: true)
    }

    // MARK: Search

    private mutating func readSearchLoad(_ keys: [String: YAMLEntry], line: Int) {
        typealias Search = ScenarioFile.SearchLoad
        let faultCount = faults.count
        let limit = required("p99_ms", in: keys, line: line, of: "load").flatMap { number($0, Limit.milliseconds) }
        let lag = keys["lag_max_ms"].flatMap { number($0, Limit.milliseconds) } ?? Search.lagLimitMsDefault
        let precision = keys["precision"].flatMap { number($0, Limit.precision) } ?? Search.precisionDefault
        let seconds = keys["probe_seconds"].flatMap { number($0, Limit.probeSeconds) } ?? Search.probeSecondsDefault
        let low = keys["from"].flatMap { number($0, Limit.rate, unit: "executions per second") }
        let high = keys["to"].flatMap { number($0, Limit.rate, unit: "executions per second") }
        let through = readThrough(keys)
        guard faults.count == faultCount, let limit, let executions = workload.executions else { return }
        // A probe takes its executions from the workload's orders, so they bound its rate.
        let most = Double(executions) / seconds
        let why = "a probe of \(plain(seconds)) s has at most the workload's \(executions) executions"
        if let high, let entry = keys["to"], high > most {
            refuse(
                entry.value.line, entry.key, value: valueText(entry.value),
                "at most \(plain(most.rounded(.down))): \(why)")
            return
        }
        let highest = high ?? min(Search.highRateLimitDefault, most)
        let lowest = low ?? min(Search.lowRateDefault, highest)
        guard lowest <= highest else {
            let reason = high == nil ? why : "the highest rate is \(plain(highest))"
            refuse(
                keys["from"]?.value.line ?? line, "from", value: plain(lowest),
                "at most \(plain(highest.rounded(.down))): \(reason)")
            return
        }
        load = .search(
            Search(
                p99LimitMs: limit, lagLimitMs: lag, lowRate: lowest, highRateLimit: highest, precision: precision,
                probeSeconds: seconds, through: through))
    }

    // MARK: Windows

    /// When the last execution of an open load arrives; nil of any other.
    var streamEndNs: Int64? {
        guard case .open(let open) = load, let executions = workload.executions else { return nil }
        return open.schedule.intendedArrival(sequence: Int64(executions) - 1, start: 0)
    }

    mutating func readWindow(warmUp: YAMLEntry?, measured: YAMLEntry?) {
        let warmUpExtent = warmUp.flatMap { extent($0) }
        let measuredExtent = measured.flatMap { extent($0) }
        if case .search(let search) = load {
            if let measured {
                refuse(
                    measured.line, measured.key,
                    "no such part beside load search: what follows the warm-up of a probe is measured")
            }
            if case .nanoseconds(let length)? = warmUpExtent, Double(length) < search.probeSeconds * 1e9 {
                window = WindowPlan(warmUp: .nanoseconds(length), measured: nil)
            } else if let warmUp, warmUpExtent != nil {
                let expected = "{ seconds: … } below the \(plain(search.probeSeconds)) s of a probe"
                refuse(warmUp.value.line, warmUp.key, expected)
            }
            return
        }
        if let executions = workload.executions {
            var left = Int64(executions)
            for (entry, extent) in [(warmUp, warmUpExtent), (measured, measuredExtent)] {
                guard let entry, case .count(let count)? = extent else { continue }
                // A warm-up leaves something to be measured.
                let most = entry.key == "warm_up" ? left - 1 : left
                if count > most {
                    refuse(
                        entry.value.line, entry.key, value: String(count),
                        "at most \(most) executions: the workload has \(executions)")
                    return
                }
                left -= count
            }
        }
        if let warmUp, case .nanoseconds(let length)? = warmUpExtent, let end = streamEndNs, length >= end {
            let expected = "less than the \(plain(Double(end / 1_000_000) / 1000)) s in which executions arrive"
            refuse(warmUp.value.line, warmUp.key, expected)
            return
        }
        window = WindowPlan(warmUp: warmUpExtent ?? .none, measured: measuredExtent)
    }

    private mutating func extent(_ entry: YAMLEntry) -> WindowPlan.Extent? {
        let forms = "{ executions: 1000 } or { seconds: 2 }"
        guard case .mapping(let given) = entry.value.content else {
            refuse(entry.value.line, entry.key, "\(forms), not \(form(of: entry.value))")
            return nil
        }
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.extent) else { return nil }
        guard given.count == 1 else {
            refuse(entry.value.line, entry.key, "\(forms): exactly one of them, not \(given.count)")
            return nil
        }
        if let count = keys["executions"] { return integer(count, Limit.executions).map { .count(Int64($0)) } }
        return keys["seconds"].flatMap { number($0, Limit.seconds) }.map { .nanoseconds(nanoseconds($0)) }
    }
}

/// To the microsecond, below which no key of a scenario means anything.
func nanoseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1e6).rounded()) * 1000 }

/// The first of each, in order.
private func distinct(_ words: [String]) -> [String] {
    var known: Set<String> = []
    return words.filter { known.insert($0).inserted }
}
