// Load search: looks for the highest arrival rate that holds the scenario's limit, probe by probe. The search itself is
// Statistics.RateSearch, a value; here each probe gets a stream of its own length and is measured, and verified, like any
// other run.

import Measurement
import Report
import Statistics

struct RateProbes {
    /// What a probe is given.
    struct Plan {
        let ratePerSecond: Double
        let executions: Int64
        let schedule: ArrivalSchedule
    }

    let load: ScenarioFile.SearchLoad
    /// The workload has no more to offer.
    let executionsMaximum: Int64
    let key: RunKey

    /// Runs probe after probe until the rate is confirmed, or known not to be there.
    /// - Parameter measure: runs one probe on fresh tables.
    /// - Returns: the outcome of the last confirmation, with the rate that was found, or else of the last probe.
    func search(
        measure: (Plan) throws -> CellOutcome, say: (String) -> Void
    ) throws -> CellOutcome {
        // Every probe lasts as long: a shorter one shows less of a queue that grows, so it would hold more easily.
        let highest = min(load.highRateLimit, Double(executionsMaximum) / load.probeSeconds)
        var search = RateSearch(
            lowRate: min(load.lowRate, highest), highRateLimit: highest, precision: load.precision)
        var rows: [[String]] = []
        var held: [Double: CellOutcome] = [:]
        var last: CellOutcome?
        var unmeasured: Plan?
        while let probe = search.nextProbe {
            let plan = plan(probe.rate)
            var outcome = try measure(plan)
            outcome.row.verified = outcome.checks.isClean
            let judged = judge(outcome, plan)
            rows.append(row(rows.count + 1, probe, plan, outcome, judged))
            say("probe \(rows.count), \(purpose(probe)): \(Int(probe.rate))/s \(word(judged))")
            last = outcome
            if judged == .held { held[probe.rate] = outcome }
            guard outcome.checks.isClean else { break }
            // Neither the system nor the generator is the limit then: the scenario asks for what no probe can show.
            guard outcome.row.timeToVisible != nil else {
                unmeasured = plan
                break
            }
            search.record(judged)
        }
        guard var result = search.confirmedRate.flatMap({ held[$0] }) ?? last else {
            preconditionFailure("a search makes a probe at least")
        }
        result.row.sustainedRatePerSecond = search.confirmedRate
        let conclusion = unmeasured.map(sentence) ?? search.conclusion.map { "\($0)" }
        switch search.conclusion {
        // What bounds the search is then the generator, and no figure of the database.
        case .limitedByGenerator: result.row.invalidReason = conclusion
        // That no rate holds is a result.
        case .found, .heldAtHighRateLimit, .notFound: result.row.invalidReason = nil
        // It was cut short: by a probe that wasn't verified, or by one that couldn't measure anything.
        case nil: result.row.invalidReason = unmeasured == nil ? nil : conclusion
        }
        result.note = conclusion
        result.tables[.probes] = rows
        // Every probe has a stream of its own length, so there are no common final tables.
        result.finalTables = [:]
        return result
    }

    /// Of a probe in which nothing was measured.
    private func sentence(_ plan: Plan) -> String {
        "The probe of \(tenths(plan.ratePerSecond))/s, \(plan.executions) \(plan.executions == 1 ? "execution" : "executions"), was "
            + "over before its warm-up, so nothing is known: lengthen probe_seconds, shorten the warm-up or raise `from`."
    }

    private func plan(_ rate: Double) -> Plan {
        // At the highest rate, rounding may ask for one more than there are.
        let wanted = Int64((rate * load.probeSeconds).rounded())
        return Plan(
            ratePerSecond: rate, executions: max(1, min(wanted, executionsMaximum)),
            schedule: .uniform(ratePerSecond: rate))
    }

    /// Whether a probe held: verified, valid, its p99 within the limit, and no more behind its schedule than allowed.
    private func judge(_ outcome: CellOutcome, _ plan: Plan) -> RateSearch.ProbeOutcome {
        guard outcome.checks.isClean else { return .invalid(reason: "verification failed") }
        guard let p99 = outcome.row.timeToVisible?.p99 else {
            return .invalid(reason: "the probe was over before its warm-up")
        }
        if let reason = outcome.row.invalidReason { return .invalid(reason: reason) }
        let p99Ms = Double(p99) / 1e6
        if p99Ms > load.p99LimitMs {
            return .failed(reason: "p99 \(tenths(p99Ms)) ms, the limit is \(tenths(load.p99LimitMs)) ms")
        }
        let lagMs = behindMs(outcome, plan)
        if lagMs > load.lagLimitMs {
            return .failed(reason: "\(tenths(lagMs)) ms behind at the end, the limit is \(tenths(load.lagLimitMs)) ms")
        }
        return .held
    }

    /// How long after the last intended arrival the last commit came.
    private func behindMs(_ outcome: CellOutcome, _ plan: Plan) -> Double {
        let lastArrival = plan.schedule.intendedArrival(sequence: plan.executions - 1, start: 0)
        return max(0, Double(outcome.drainNanoseconds - lastArrival) / 1e6)
    }

    private func row(
        _ number: Int, _ probe: RateSearch.Probe, _ plan: Plan, _ outcome: CellOutcome,
        _ judged: RateSearch.ProbeOutcome
    ) -> [String] {
        ResultTable.probes.row(
            key,
            [
                String(number), purpose(probe), tenths(probe.rate), String(plan.executions),
                outcome.row.executionsPerSecond.map(tenths) ?? "",
                outcome.row.timeToVisible.map { tenths(Double($0.p99) / 1e6) } ?? "", tenths(behindMs(outcome, plan)),
                word(judged), reason(judged),
            ])
    }

    private func purpose(_ probe: RateSearch.Probe) -> String {
        switch probe.purpose {
        case .bracketing: "bracket"
        case .bisecting: "bisect"
        case .confirming: "confirm"
        case .above: "above"
        }
    }

    private func word(_ outcome: RateSearch.ProbeOutcome) -> String {
        switch outcome {
        case .held: "held"
        case .failed: "failed"
        case .invalid: "invalid"
        }
    }

    private func reason(_ outcome: RateSearch.ProbeOutcome) -> String {
        switch outcome {
        case .held: ""
        case .failed(let reason), .invalid(let reason): reason
        }
    }
}

private func tenths(_ value: Double) -> String { decimal(value, decimals: 1) }
