// The keys of corrections, policies, snapshots, booking and routing: what they become, and the words of every refusal.

import Diagnostics
import Measurement
import Model
import Testing

@testable import Scenario

/// Line 4 is the workload's further key, line 6 the first configuration.
private func scenario(
    workload: String = "partitions: 8", stage: String = "stage: allocate",
    configurations: [String] = ["{ mode: row }"]
) -> String {
    ([stage, "workload:", "  { executions: 2000, blocks: 10,", "  " + workload + " }", "configurations:"]
        + configurations.map { "  - " + $0 }).joined(separator: "\n") + "\n"
}

private func routeScenario(_ configurations: String...) -> String {
    scenario(stage: "stage: route", configurations: configurations)
}

private func refusal(_ text: String) -> String {
    do throws(InputError) {
        _ = try ScenarioFile.parse(text: text, path: "s.yaml")
        return "accepted"
    } catch {
        return error.description
    }
}

private func workload(_ keys: String) throws -> ScenarioFile.Workload {
    try ScenarioFile.parse(text: scenario(workload: keys), path: "s.yaml").workload
}

private func configuration(_ text: String) throws -> Configuration {
    try #require(try ScenarioFile.parse(text: scenario(configurations: [text]), path: "s.yaml").configurations.first)
}

@Suite struct ScenarioFileRulesTests {
    @Test func `what isn't said about corrections, policies, snapshots and booking takes its default`() throws {
        let file = try ScenarioFile.parse(text: scenario(), path: "s.yaml")
        #expect(file.stage == .allocate)
        #expect(file.workload.bustPpm == 0 && file.workload.replacePpm == 0 && file.workload.cancelPpm == 0)
        #expect(file.workload.allocationPolicies == [.proRata])
        #expect(file.workload.minimumTicketLots == 2)
        #expect(file.workload.lotSize == 1)
        #expect(file.workload.routing == .setBased)
        #expect(file.configurations.map(\.snapshots) == [.quarters])
        #expect(file.configurations.map(\.bookingWorkers) == [1])
        #expect(file.routingConfigurations.isEmpty)
    }

    @Test(arguments: [
        ("0", Int64(0)), ("1", 1_000_000), ("1.0", 1_000_000), ("0.05", 50_000), ("0.000001", 1), ("0.999999", 999_999),
        ("0.123456", 123_456), ("0.3", 300_000), ("0.29", 290_000), ("00.5", 500_000),
    ])
    func `a probability is read exactly`(text: String, parts: Int64) throws {
        let given = try workload("replaces: \(text)")
        #expect(given.replacePpm == parts)
    }

    @Test func `every decimal of six digits is read exactly`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let parts = random.integer(in: 0...1_000_000)
            let digits = String(parts % 1_000_000)
            let text = "\(parts / 1_000_000).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
            let given = try workload("cancels: \(text)")
            #expect(given.cancelPpm == parts, "seed \(seed)")
        }
    }

    @Test(arguments: [
        ("busts", "0.51", "0.5"), ("busts", "1", "0.5"), ("replaces", "1.000001", "1"), ("cancels", "2", "1"),
        ("busts", "-0.1", "0.5"), ("replaces", "0.0000001", "1"), ("cancels", ".5", "1"), ("cancels", "5.", "1"),
        ("busts", "5%", "0.5"), ("busts", "1e-2", "0.5"), ("busts", "nan", "0.5"),
        ("cancels", "99999999999999999999", "1"),
        ("replaces", "0.1.2", "1"), ("replaces", "some", "1"),
    ])
    func `a probability that is none is refused`(key: String, value: String, upper: String) {
        #expect(
            refusal(scenario(workload: "\(key): \(value)"))
                == "s.yaml:4: \(key): \"\(value)\": expected a number from 0 to \(upper) with at most six decimals, "
                + "such as 0.05")
    }

    @Test func `more cancels and replaces than block orders are refused`() {
        #expect(refusal(scenario(workload: "replaces: 0.5, cancels: 0.5")) == "accepted")
        #expect(
            refusal(scenario(workload: "replaces: 0.500001, cancels: 0.5"))
                == "s.yaml:4: cancels: \"0.5\": expected at most 1 together with replaces: each is the share of block "
                + "orders that it happens to")
    }

    @Test func `policies are one name or a list`() throws {
        #expect(try workload("allocation_policies: equal").allocationPolicies == [.equal])
        let all = try workload(
            "allocation_policies: [pro_rata, pro_rata_min_ticket, time_priority, equal, largest_remainder, equal]")
        #expect(all.allocationPolicies == AllocationPolicy.allCases + [.equal])
    }

    @Test func `policies that don't exist are refused with the nearest one`() {
        let names = "pro_rata, pro_rata_min_ticket, time_priority, equal or largest_remainder"
        #expect(
            refusal(scenario(workload: "allocation_policies: prorata"))
                == "s.yaml:4: allocation_policies: \"prorata\": expected \(names), or a list of them; "
                + "did you mean pro_rata?")
        #expect(
            refusal(scenario(workload: "allocation_policies: [equal, equals]"))
                == "s.yaml:4: allocation_policies: \"equals\": expected \(names); did you mean equal?")
        #expect(
            refusal(scenario(workload: "allocation_policies: []"))
                == "s.yaml:4: allocation_policies: expected \(names), or a list of them, not an empty list")
        #expect(
            refusal(scenario(workload: "allocation_policies: { a: 1 }"))
                == "s.yaml:4: allocation_policies: expected \(names), or a list of them, not a mapping")
    }

    @Test func `a minimum ticket without the policy that has one is refused`() throws {
        let given = try workload("allocation_policies: [equal, pro_rata_min_ticket], minimum_ticket_lots: 5")
        #expect(given.minimumTicketLots == 5)
        #expect(
            refusal(scenario(workload: "minimum_ticket_lots: 5"))
                == "s.yaml:4: minimum_ticket_lots: \"5\": expected pro_rata_min_ticket among allocation_policies, "
                + "which alone has one")
        #expect(
            refusal(scenario(workload: "allocation_policies: pro_rata_min_ticket, minimum_ticket_lots: 0"))
                == "s.yaml:4: minimum_ticket_lots: \"0\": expected a whole number from 1 to 1000000")
    }

    @Test func `every account behind a block needs a lot`() throws {
        #expect(try workload("lot_size: 100, accounts_per_block: 100").lotSize == 100)
        #expect(
            refusal(scenario(workload: "lot_size: 100, accounts_per_block: 101"))
                == "s.yaml:4: accounts_per_block: \"101\": expected at most 100: each account needs a lot of 100 shares, "
                + "and 200 executions a block can have as few as 10000 shares")
        #expect(
            refusal("workload: { executions: 2, blocks: 1, lot_size: 101 }\nconfigurations: [{ mode: row }]\n")
                == "s.yaml:1: lot_size: \"101\": expected at most 100: 2 executions a block can have as few as 100 shares"
        )
        #expect(
            refusal(scenario(workload: "lot_size: 1001"))
                == "s.yaml:4: lot_size: \"1001\": expected a whole number from 1 to 1000")
        #expect(refusal(scenario(workload: "lot_size: 10, securities_file: s.csv, prices_folder: p")) == "accepted")
    }

    @Test(arguments: [
        ("completion", SnapshotPolicy.completion), ("{ parts: 8 }", .fraction(parts: 8)),
        ("{ executions: 100 }", .executions(100)), ("{ interval_ms: 500 }", .interval(milliseconds: 500)),
    ])
    func `snapshots are one of four kinds`(text: String, policy: SnapshotPolicy) throws {
        let given = try configuration("{ mode: row, snapshots: \(text) }")
        #expect(given.snapshots == policy)
        #expect(given.name == "row-w4-\(policy.name)")
    }

    @Test func `snapshots and booking stand in a generated name only where they differ from their defaults`() throws {
        #expect(try configuration("{ mode: row, snapshots: { parts: 4 }, booking_workers: 1 }").name == "row-w4")
        let given = try configuration(
            "{ mode: row, isolation: serializable, snapshots: completion, booking_workers: 0 }")
        #expect(given.name == "row-w4-ser-completion-book0")
        #expect(given.bookingWorkers == 0)
    }

    @Test(arguments: [
        (
            "snapshots: { part: 4 }",
            "part: expected a key of snapshots: parts, executions or interval_ms; did you mean parts?"
        ),
        (
            "snapshots: { parts: 4, executions: 2 }",
            "snapshots: expected completion, { parts: 4 }, { executions: 100 } or { interval_ms: 500 }: "
                + "exactly one of them, not 2"
        ),
        (
            "snapshots: {}",
            "snapshots: expected completion, { parts: 4 }, { executions: 100 } or { interval_ms: 500 }: "
                + "exactly one of them, not 0"
        ),
        (
            "snapshots: completon",
            "snapshots: \"completon\": expected completion, { parts: 4 }, { executions: 100 } or "
                + "{ interval_ms: 500 }; did you mean completion?"
        ),
        (
            "snapshots: [[completion]]",
            "snapshots: expected completion, { parts: 4 }, { executions: 100 } or { interval_ms: 500 }, not a list"
        ),
        ("snapshots: { parts: 0 }", "parts: \"0\": expected a whole number from 1 to 10000"),
        ("snapshots: { executions: 0 }", "executions: \"0\": expected a whole number from 1 to 1000000"),
        ("snapshots: { interval_ms: 1.5 }", "interval_ms: \"1.5\": expected a whole number from 1 to 3600000"),
        ("booking_workers: 65", "booking_workers: \"65\": expected a whole number from 0 to 64"),
        ("booking_workers: -1", "booking_workers: \"-1\": expected a whole number from 0 to 64"),
    ])
    func `snapshots and booking that can't be understood are refused`(pair: String, message: String) {
        #expect(refusal(scenario(configurations: ["{ mode: row, \(pair) }"])) == "s.yaml:6: \(message)")
    }

    @Test func `a scenario of routing has configurations of its own`() throws {
        let text = routeScenario(
            "{ routing: set_based }", "{ name: e, routing: event_driven, workers: 2, batch_size: 1 }",
            "{ routing: event_driven }")
        let file = try ScenarioFile.parse(text: text, path: "s.yaml")
        #expect(file.stage == .route)
        #expect(file.configurations.isEmpty)
        #expect(file.configurationCount == 3)
        #expect(
            file.routingConfigurations == [
                RoutingConfiguration(name: "set_based", way: .setBased),
                RoutingConfiguration(name: "e", way: .eventDriven, workers: 2, batchSize: 1),
                RoutingConfiguration(name: "event_driven-w4-b64", way: .eventDriven, workers: 4, batchSize: 64),
            ])
    }

    @Test(arguments: [
        (
            "{ routing: event-driven }",
            "routing: \"event-driven\": expected set_based or event_driven; did you mean event_driven?"
        ),
        (
            "{ routing: set_based, workers: 2 }",
            "workers: \"2\": expected a key of routing set_based; workers belongs to routing event_driven"
        ),
        (
            "{ routing: set_based, batch_size: 2 }",
            "batch_size: \"2\": expected a key of routing set_based; batch_size belongs to routing event_driven"
        ),
        (
            "{ routing: event_driven, batch_size: 0 }",
            "batch_size: \"0\": expected a whole number from 1 to 10000"
        ),
        (
            "{ routing: event_driven, workers: 9 }",
            "workers: \"9\": expected at most 8: each worker needs a partition of its own (partitions: 8)"
        ),
        ("{ workers: 2 }", "routing: expected this key in configurations, which is missing"),
        (
            "{ routing: event_driven, isolation: serializable }",
            "isolation: expected a key of a configuration: name, routing, workers or batch_size"
        ),
        ("{ routing: set_based }\n  - { routing: set_based }", "twin"),
    ])
    func `a configuration of routing that can't be understood is refused`(text: String, message: String) {
        let twin =
            "s.yaml:7: name: \"set_based\": expected a name of its own; the configuration at line 6 has it too"
        #expect(refusal(routeScenario(text)) == (message == "twin" ? twin : "s.yaml:6: \(message)"))
    }

    @Test func `what happens behind routing is no key of a scenario of routing`() {
        let text = """
            load: backlog
            workload:
              executions: 2000
              blocks: 10
              busts: 0.1
              routing: set_based
            configurations:
              - { routing: set_based }
            stage: route
            """
        #expect(
            refusal(text) == """
                s.yaml:1: load: "backlog": expected a key of stage allocate
                s.yaml:5: busts: "0.1": expected a key of stages allocate and execute
                s.yaml:6: routing: "set_based": expected a key of stages allocate and execute
                """)
    }

    @Test func `a stage that doesn't exist is refused`() {
        #expect(
            refusal(scenario(stage: "stage: rout"))
                == "s.yaml:1: stage: \"rout\": expected allocate, route or execute; did you mean route?")
    }

    @Test func `all faults of these keys are told in one go`() {
        let text = """
            workload:
              executions: 2000
              blocks: 10
              busts: 0.6
              replaces: many
              allocation_policies: [fair]
              lot_size: 0
              routing: events
            configurations:
              - { mode: row, snapshots: { parts: 0 }, booking_workers: 99 }
            """
        #expect(refusal(text).split(separator: "\n").count == 7)
    }
}
