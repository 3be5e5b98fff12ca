// Whether two scenarios ask for the same work.

import Diagnostics
import Scenario
import Testing

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
        #expect(one == other && one.difference(from: other) == nil)
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
}
