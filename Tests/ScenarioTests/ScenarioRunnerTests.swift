// The pure parts of a run: the order of its cells and how partitions are dealt to workers.

import Model
import Testing

@testable import Scenario

@Suite struct ScenarioRunnerTests {
    private func scenario(repetitions: Int) throws -> ScenarioFile {
        try ScenarioFile.parse(
            text: """
                seed: 1
                repetitions: \(repetitions)
                workload: { executions: 1000, blocks: 10, accounts_per_block: 2, partitions: 4 }
                configurations:
                  - { name: a, mode: row, workers: 1 }
                  - { name: b, mode: adaptive, workers: 1 }
                  - { name: c, mode: cycle, workers: 1 }
                """, path: "order.yaml")
    }

    @Test func `every other repetition runs the configurations the other way round`() throws {
        let order = ScenarioRunner.order(try scenario(repetitions: 3))
        #expect(order.map(\.competitor.name) == ["a", "b", "c", "c", "b", "a", "a", "b", "c"])
        #expect(order.map(\.repetition) == [1, 1, 1, 2, 2, 2, 3, 3, 3])
    }

    @Test func `over an even number of repetitions every configuration has the same mean place`() throws {
        let order = ScenarioRunner.order(try scenario(repetitions: 4))
        for name in ["a", "b", "c"] {
            let places = order.indices.filter { order[$0].competitor.name == name }
            #expect(places.reduce(0, +) == 2 * (order.count - 1))
        }
    }

    @Test func `partitions are dealt in turn and none is left out or given twice`() {
        for partitions in 1...17 {
            for workers in 1...partitions {
                let shares = WorkerPool.deal((0..<partitions).map { Int32($0) }, among: workers)
                #expect(shares.count == workers)
                #expect(shares.flatMap(\.self).sorted() == (0..<partitions).map { Int32($0) })
                let sizes = shares.map(\.count)
                #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
            }
        }
    }
}
