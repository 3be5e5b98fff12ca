// Loads, windows, gates and faults of a scenario file: what they become, and the words of every refusal.

import Measurement
import Testing

@testable import Scenario

@Suite struct ScenarioLoadTests {
    private func load(_ text: String) throws -> ScenarioFile.Load { try parsed(scenarioText("load: \(text)")).load }

    private func schedule(_ text: String) throws -> ArrivalSchedule {
        guard case .open(let open) = try load(text) else { return .backlog }
        return open.schedule
    }

    @Test func `an open load has a rate or phases, evenly spaced or at random`() throws {
        typealias Phase = ArrivalSchedule.Phase
        #expect(try load("backlog") == .backlog)
        let open = ScenarioFile.OpenLoad(schedule: .uniform(ratePerSecond: 33.5), through: .topic)
        #expect(try load("{ model: open, rate: 33.5 }") == .open(open))
        let feed = ScenarioFile.OpenLoad(schedule: .poisson(ratePerSecond: 5, seed: 42), through: .feed)
        #expect(try load("{ model: open, rate: 5, arrivals: poisson, through: feed }") == .open(feed))
        let phases = [
            Phase(ratePerSecond: 1000, durationMs: 5000), Phase(ratePerSecondFrom: 1000, to: 5000, durationMs: 10_000),
            Phase(ratePerSecond: 0, durationMs: 500), Phase(ratePerSecond: 5000),
        ]
        let text =
            "{ model: open, phases: [{ rate: 1000, seconds: 5 }, { from: 1000, to: 5000, seconds: 10 }, "
            + "{ rate: 0, seconds: 0.5 }, { rate: 5000 }] }"
        #expect(try schedule(text) == ArrivalSchedule(phases: phases))
        #expect(try schedule("{ model: open, phases: [{ rate: 10, seconds: 5 }] }").durationNs == 5_000_000_000)
    }

    @Test func `an open load may bound how late the harness is`() throws {
        func bound(_ load: String) throws -> Int64? { try parsed(scenarioText("load: \(load)")).scheduleLagBoundNs }
        #expect(try bound("{ model: open, rate: 5, schedule_lag_max_ms: 0.4 }") == 400_000)
        #expect(try bound("{ model: open, rate: 5, through: feed, schedule_lag_max_ms: 1000 }") == 1_000_000_000)
        #expect(try bound("{ model: open, rate: 5 }") == nil)
        #expect(try bound("backlog") == nil)
    }

    @Test func `the seed of random arrivals is the scenario's`() throws {
        let file = try parsed(scenarioText("seed: 7\nload: { model: open, rate: 5, arrivals: poisson }"))
        #expect(file.arrivals == .poisson(ratePerSecond: 5, seed: 7))
    }

    @Test func `a search takes what isn't said from its defaults, and its highest rate from the workload`() throws {
        let text = scenarioText(
            "load: { model: search, p99_ms: 50 }", workload: "executions: 2000000, blocks: 1000")
        let standard = ScenarioFile.SearchLoad(
            p99LimitMs: 50, lagLimitMs: 1000, lowRate: 500, highRateLimit: 200_000, precision: 0.05, probeSeconds: 5,
            through: .topic)
        #expect(try parsed(text).load == .search(standard))
        let given =
            "{ model: search, p99_ms: 12.5, lag_max_ms: 200, from: 10, to: 900, precision: 0.1, probe_seconds: 2, "
            + "through: feed }"
        let search = ScenarioFile.SearchLoad(
            p99LimitMs: 12.5, lagLimitMs: 200, lowRate: 10, highRateLimit: 900, precision: 0.1, probeSeconds: 2,
            through: .feed)
        #expect(try load(given) == .search(search))
        guard case .search(let small) = try load("{ model: search, p99_ms: 50 }") else {
            Issue.record("a search")
            return
        }
        #expect(small.lowRate == 400 && small.highRateLimit == 400)
    }

    @Test(arguments: [
        (
            "paced",
            "load: \"paced\": expected backlog, { model: open, rate: 5000 } or { model: search, p99_ms: 50 }; "
                + "paced is called open now"
        ),
        ("{ model: paced, rate: 5 }", "model: \"paced\": expected backlog, open or search; paced is called open now"),
        ("search", "load: \"search\": expected a limit with it: { model: search, p99_ms: 50 }"),
        ("{ model: open, rate: 5, phases: [{ rate: 5 }] }", "phases: expected rate or phases, not both"),
        (
            "{ model: open, rate: 5, p99_ms: 5 }",
            "p99_ms: \"5\": expected a key of model open; p99_ms belongs to model search"
        ),
        (
            "{ model: backlog, through: feed }",
            "through: \"feed\": expected a key of model backlog; through belongs to models open and search"
        ),
        (
            "{ model: open, rate: 5, arrivals: posson }",
            "arrivals: \"posson\": expected uniform or poisson; did you mean poisson?"
        ),
        (
            "{ model: open, rate: 5, schedule_lag_max_ms: 0 }",
            "schedule_lag_max_ms: \"0\": expected a number from 0.001 to 1000"
        ),
        (
            "{ model: open, rate: 5, schedule_lag_max_ms: 1001 }",
            "schedule_lag_max_ms: \"1001\": expected a number from 0.001 to 1000"
        ),
        (
            "{ model: search, p99_ms: 5, schedule_lag_max_ms: 1 }",
            "schedule_lag_max_ms: \"1\": expected a key of model search; schedule_lag_max_ms belongs to model open"
        ),
        ("{ model: open, rate: 5, through: tables }", "through: \"tables\": expected topic or feed"),
        (
            "{ model: open, phases: [] }",
            "phases: expected a list of phases, such as - { rate: 1000, seconds: 5 }, not an empty list"
        ),
        (
            "{ model: open, phases: [{ seconds: 5 }] }",
            "phases: expected { rate: 1000, seconds: 5 } or { from: 1000, to: 5000, seconds: 10 }"
        ),
        (
            "{ model: open, phases: [{ from: 1, seconds: 5 }] }",
            "phases: expected { rate: 1000, seconds: 5 } or { from: 1000, to: 5000, seconds: 10 }"
        ),
        (
            "{ model: open, phases: [{ rate: 10 }, { rate: 20 }] }",
            "seconds: expected this key in a phase, which is missing: only the last phase goes on until every "
                + "execution has come"
        ),
        (
            "{ model: open, phases: [{ from: 10, to: 20 }] }",
            "seconds: expected this key in a phase, which is missing: a ramp has an end"
        ),
        (
            "{ model: open, phases: [{ rate: 10, seconds: 1 }, { from: 10, to: 0, seconds: 1 }] }",
            "phases: expected a schedule that brings every execution: the last phase must not end at rate 0: "
                + "what follows would never be due"
        ),
        (
            "{ model: open, phases: [{ rate: 0.0001 }] }",
            "rate: \"0.0001\": expected a number of executions per second from 0.001 to 10000000, or 0"
        ),
        (
            "{ model: open, phases: [{ rate: 5, seconds: 100000 }] }",
            "seconds: \"100000\": expected a number from 0.001 to 86400"
        ),
        (
            "{ model: open, phases: [{ rate: 0, seconds: 80000 }, { rate: 0.01 }] }",
            "phases: expected a rate at which 2000 executions arrive within 24 hours"
        ),
        ("{ model: search }", "p99_ms: expected this key in load, which is missing"),
        ("{ model: search, p99_ms: 0 }", "p99_ms: \"0\": expected a number from 0.001 to 3600000"),
        (
            "{ model: search, p99_ms: 5, precision: 0.6 }",
            "precision: \"0.6\": expected a number from 0.001 to 0.5"
        ),
        (
            "{ model: search, p99_ms: 5, to: 401 }",
            "to: \"401\": expected at most 400: a probe of 5 s has at most the workload's 2000 executions"
        ),
        (
            "{ model: search, p99_ms: 5, from: 401 }",
            "from: \"401\": expected at most 400: a probe of 5 s has at most the workload's 2000 executions"
        ),
        (
            "{ model: search, p99_ms: 5, from: 90, to: 80 }",
            "from: \"90\": expected at most 80: the highest rate is 80"
        ),
    ])
    func `a load that can't be understood is refused`(text: String, message: String) {
        #expect(refusal(of: scenarioText("load: \(text)")) == "s.yaml:1: \(message)")
    }

    // MARK: Windows

    @Test func `a run is cut by count or by time`() throws {
        let everything = try parsed(scenarioText()).window
        #expect(everything == .everything)
        let counts = try parsed(scenarioText("warm_up: { executions: 500 }\nmeasured: { executions: 1500 }")).window
        #expect(counts == WindowPlan(warmUp: .count(500), measured: .count(1500)))
        let times = try parsed(
            scenarioText(
                "load: { model: open, rate: 100 }\nwarm_up: { seconds: 2.5 }\nmeasured: { seconds: 10 }")
        ).window
        #expect(times == WindowPlan(warmUp: .nanoseconds(2_500_000_000), measured: .nanoseconds(10_000_000_000)))
        let search = try parsed(scenarioText("load: { model: search, p99_ms: 5 }\nwarm_up: { seconds: 1 }")).window
        #expect(search == WindowPlan(warmUp: .nanoseconds(1_000_000_000), measured: nil))
    }

    @Test(arguments: [
        ("warm_up: 5", "s.yaml:1: warm_up: expected { executions: 1000 } or { seconds: 2 }, not \"5\""),
        (
            "warm_up: { executions: 1, seconds: 2 }",
            "s.yaml:1: warm_up: expected { executions: 1000 } or { seconds: 2 }: exactly one of them, not 2"
        ),
        (
            "measured: {}",
            "s.yaml:1: measured: expected { executions: 1000 } or { seconds: 2 }: exactly one of them, not 0"
        ),
        (
            "warm_up: { executions: 2000 }",
            "s.yaml:1: warm_up: \"2000\": expected at most 1999 executions: the workload has 2000"
        ),
        (
            "warm_up: { executions: 500 }\nmeasured: { executions: 1501 }",
            "s.yaml:2: measured: \"1501\": expected at most 1500 executions: the workload has 2000"
        ),
        (
            "load: { model: open, rate: 100 }\nwarm_up: { seconds: 20 }",
            "s.yaml:2: warm_up: expected less than the 19.99 s in which executions arrive"
        ),
        (
            "load: { model: search, p99_ms: 5 }\nmeasured: { seconds: 1 }",
            "s.yaml:2: measured: expected no such part beside load search: what follows the warm-up of a probe is measured"
        ),
        (
            "load: { model: search, p99_ms: 5 }\nwarm_up: { seconds: 5 }",
            "s.yaml:2: warm_up: expected { seconds: … } below the 5 s of a probe"
        ),
        ("stage: route\nwarm_up: { seconds: 5 }", "s.yaml:2: warm_up: expected a key of stage allocate"),
    ])
    func `a part of a run that can't be is refused`(head: String, message: String) {
        let configurations = head.hasPrefix("stage") ? "[{ routing: set_based }]" : "[{ mode: row }]"
        #expect(refusal(of: scenarioText(head, configurations: configurations)) == message)
    }

    // MARK: Gates

    private static let two = "[{ name: a, mode: row }, { name: b, mode: batch }]"

    @Test func `gates bind one configuration or all`() throws {
        let text = scenarioText(
            """
            gates:
              - { max_p99_ms: 50 }
              - { configuration: a, min_executions_per_s: 5000.5 }
              - { configuration: a, min_ratio_to: b }
              - { min_ratio_to: b, ratio: 0.95, metric: p99_ms }
            """, configurations: Self.two)
        typealias Gate = ScenarioFile.GateRule
        #expect(
            try parsed(text).gates == [
                Gate(configuration: nil, rule: .maxP99Ms(50)),
                Gate(configuration: "a", rule: .minExecutionsPerSecond(5000.5)),
                Gate(configuration: "a", rule: .minRatio(to: "b", ratio: 1, metric: nil)),
                Gate(configuration: nil, rule: .minRatio(to: "b", ratio: 0.95, metric: .p99Ms)),
            ])
    }

    @Test(arguments: [
        ("[]", "gates: expected a list of gates, such as - { configuration: NAME, max_p99_ms: 50 }, not an empty list"),
        (
            "[{ configuration: a }]",
            "gates: expected exactly one of max_p99_ms, min_executions_per_s and min_ratio_to in a gate, not 0"
        ),
        (
            "[{ max_p99_ms: 5, min_ratio_to: a }]",
            "gates: expected exactly one of max_p99_ms, min_executions_per_s and min_ratio_to in a gate, not 2"
        ),
        (
            "[{ configuration: c, max_p99_ms: 5 }]",
            "configuration: \"c\": expected the name of a configuration: a, b; did you mean a?"
        ),
        ("[{ min_ratio_to: A }]", "min_ratio_to: \"A\": expected the name of a configuration: a, b; did you mean a?"),
        (
            "[{ configuration: a, min_ratio_to: a }]",
            "min_ratio_to: \"a\": expected another configuration than the gate's own"
        ),
        (
            "[{ max_p99_ms: 5, ratio: 2 }]",
            "ratio: \"2\": expected min_ratio_to with it, which alone has one"
        ),
        ("[{ max_p99_ms: fast }]", "max_p99_ms: \"fast\": expected a number from 0.001 to 3600000"),
        (
            "[{ min_ratio_to: a, metric: p99 }]",
            "metric: \"p99\": expected executions_per_s, sustained_rate_per_s, p50_ms or p99_ms"
        ),
        (
            "[{ max_p99: 5 }]",
            "max_p99: expected a key of a gate: configuration, max_p99_ms, min_executions_per_s, min_ratio_to, ratio or "
                + "metric"
        ),
    ])
    func `a gate that can't be judged is refused`(text: String, message: String) {
        let refused = refusal(of: scenarioText("gates: \(text)", configurations: Self.two))
        #expect(refused.split(separator: "\n").first.map(String.init) == "s.yaml:1: \(message)")
    }

    @Test func `a ratio beside a search is of the rates that it finds`() throws {
        func text(_ gate: String) -> String {
            scenarioText("load: { model: search, p99_ms: 50 }\ngates: [\(gate)]", configurations: Self.two)
        }
        _ = try parsed(text("{ min_ratio_to: a, metric: sustained_rate_per_s }"))
        #expect(
            refusal(of: text("{ min_ratio_to: a, metric: p99_ms }"))
                == "s.yaml:2: metric: \"p99_ms\": expected sustained_rate_per_s beside load search: its other figures are of probes "
                + "at different rates")
    }

    @Test func `names in gates aren't judged where configurations are refused`() {
        let text = scenarioText("gates: [{ configuration: x, max_p99_ms: 5 }]", configurations: "[{ mode: rwo }]")
        #expect(refusal(of: text).split(separator: "\n").count == 1)
    }

    // MARK: Faults

    @Test func `faults are told in the order of time`() throws {
        let file = try parsed(
            scenarioText(
                "faults: [{ at_seconds: 2, kind: kill_worker }, { at_seconds: 0.5, kind: terminate_backends }]"))
        #expect(
            file.faults == [
                ScenarioFile.FaultPlan(atNs: 500_000_000, kind: .terminateBackends),
                ScenarioFile.FaultPlan(atNs: 2_000_000_000, kind: .killWorker),
            ])
    }

    @Test(arguments: [
        (
            "faults: []",
            "s.yaml:1: faults: expected a list of faults, such as - { at_seconds: 2, kind: kill_worker }, not an empty list"
        ),
        (
            "faults: [{ kind: kill_worker }]",
            "s.yaml:1: at_seconds: expected this key in faults, which is missing"
        ),
        (
            "faults: [{ at_seconds: 1, kind: kill }]",
            "s.yaml:1: kind: \"kill\": expected kill_worker, terminate_backends, kill_broker or promote_standby"
        ),
        (
            "faults: [{ at_seconds: -1, kind: kill_worker }]",
            "s.yaml:1: at_seconds: \"-1\": expected a number from 0.001 to 86400"
        ),
        (
            "load: { model: open, rate: 100 }\nfaults: [{ at_seconds: 20, kind: kill_worker }]",
            "s.yaml:2: at_seconds: \"20\": expected a time before the last execution arrives, after 19.99 s"
        ),
        (
            "load: { model: search, p99_ms: 5 }\nfaults: [{ at_seconds: 1, kind: kill_worker }]",
            "s.yaml:2: faults: expected no faults beside load search: a probe that is broken finds no rate"
        ),
    ])
    func `a fault that can't happen is refused`(head: String, message: String) {
        #expect(refusal(of: scenarioText(head)) == message)
    }
}
