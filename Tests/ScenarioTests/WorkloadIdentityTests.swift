// Whether two scenarios ask for the same work.

import Diagnostics
import Foundation
import Testing

@testable import Scenario

@Suite struct WorkloadIdentityTests {
    private func identity(_ text: String) throws -> WorkloadIdentity {
        try WorkloadIdentity(text: text, path: "m.json")
    }

    @Test func `configurations, names and repetitions are not the workload`() throws {
        let one = try identity(
            "name: a\nrepetitions: 2\nworkload: { executions: 10, policies: [pro_rata, fifo] }\nconfigurations: [{ mode: row }]"
        )
        let other = try identity(
            "name: b\nseed: 42\nload: backlog\nstage: allocate\nworkload:\n  policies: [pro_rata, fifo]\n  executions: 10\n"
        )
        #expect(one.difference(from: other) == nil && one.values == other.values)
        #expect(one.values["workload.policies[1]"] == "fifo")
        #expect(one.loadModel == "backlog")
    }

    @Test func `the first key that differs is named with both values`() throws {
        let one = try identity("seed: 1\nworkload: { executions: 10, blocks: 3 }")
        let difference = one.difference(from: try identity("seed: 1\nworkload: { executions: 20 }"))
        #expect(difference?.key == "workload.blocks" && difference?.own == "3" && difference?.other == nil)
        let seed = one.difference(from: try identity("workload: { executions: 10, blocks: 3 }"))
        #expect(seed?.key == "seed" && seed?.own == "1" && seed?.other == "42")
    }

    @Test func `the load is part of it, under its old name as well`() throws {
        let open = try identity("load: { model: open, rate: 100 }")
        let backlog = try identity("seed: 42")
        #expect(open.loadModel == "open" && open.difference(from: backlog)?.key == "load")
        #expect(try identity("load: { model: paced, rate: 100 }").loadModel == "open")
        #expect(try identity("load: { model: search, p99_ms: 50 }").loadModel == "search")
    }

    @Test func `a text that is no YAML is refused`() {
        let error = #expect(throws: InputError.self) { try WorkloadIdentity(text: "a: [", path: "m.json") }
        #expect(error?.description.hasPrefix("m.json:") == true)
    }

    private let full = "workload: { executions: 1000, blocks: 10 }\nconfigurations: [{ mode: row }, { mode: batch }]\n"

    @Test func `a default that is written out is the same as one that isn't`() throws {
        let short = try identity(full)
        let long = try identity(
            """
            seed: 42
            workload:
              blocks: 10
              executions: 1000
              partitions: 8
              skew: uniform
              busts: 0.0
            load: { model: backlog }
            configurations: [{ mode: row }]
            """)
        #expect(short.understood != nil && long.understood != nil)
        #expect(short.values != long.values && short.difference(from: long) == nil)
        #expect(short.configurations == ["row-w4", "batch-w4-b128"])
        let other = short.difference(
            from: try identity(full.replacingOccurrences(of: "blocks: 10", with: "blocks: 20")))
        #expect(other?.key == "workload.blocks" && other?.own == "10" && other?.other == "20")
    }

    @Test func `rates, windows and limits are compared by what they mean`() throws {
        func difference(_ a: String, _ b: String) throws -> String? {
            let (one, other) = (try identity(full + a), try identity(full + b))
            #expect(one.understood != nil && other.understood != nil, "\(a) and \(b) are scenarios")
            return one.difference(from: other)?.key
        }
        #expect(
            try difference(
                "load: { model: open, rate: 100 }",
                "load: { model: open, rate: 100.0, arrivals: uniform, through: topic }")
                == nil)
        #expect(
            try difference("load: { model: open, rate: 100 }", "load: { model: open, rate: 200 }") == "load.arrivals")
        #expect(
            try difference("load: { model: search, p99_ms: 50 }", "load: { model: search, p99_ms: 50, precision: 0.1 }")
                == "load.precision")
        #expect(try difference("warm_up: { executions: 100 }", "warm_up: { executions: 200 }") == "warm_up")
        #expect(try difference("measured: { executions: 100 }", "") == "measured")
    }

    @Test func `what another version wrote is compared as it stands`() throws {
        let old = try identity(full + "load: { model: paced, rate: 100 }")
        #expect(old.understood == nil && old.configurations == nil)
        let current = try identity(full)
        #expect(old.difference(from: current)?.key == "load")
    }

    @Test func `no field of a workload is forgotten`() throws {
        let scenario = try ScenarioFile.parse(text: full, path: "s.yaml")
        let told = scenario.workloadValues.keys.count { $0.hasPrefix("workload.") }
        // The two paths of real data aren't compared: the manifest has the checksums of what they held.
        #expect(told == Mirror(reflecting: scenario.workload).children.count - 2)
    }
}
