// The order of an experiment. Goal: every cell once, and no configuration favoured by its place.

import Statistics
import Testing

@Suite struct ExperimentOrderTests {
    private func rows(_ order: ExperimentOrder, _ configurations: Int, _ repetitions: Int) -> [[Int]] {
        let cells = order.cells(configurations: configurations, repetitions: repetitions)
        return (1...repetitions).map { repetition in
            cells.filter { $0.repetition == repetition }.map(\.configuration)
        }
    }

    @Test func `every other repetition of ABBA goes the other way round`() {
        #expect(rows(.abba, 3, 4) == [[0, 1, 2], [2, 1, 0], [0, 1, 2], [2, 1, 0]])
        let pair = ExperimentOrder.abba.cells(configurations: 2, repetitions: 2)
        #expect(pair.map(\.configuration) == [0, 1, 1, 0] && pair.map(\.repetition) == [1, 1, 2, 2])
    }

    @Test func `nothing to run is no cell`() {
        for order in [ExperimentOrder.abba, .latinSquare(seed: 1)] {
            #expect(order.cells(configurations: 0, repetitions: 3).isEmpty)
            #expect(order.cells(configurations: 3, repetitions: 0).isEmpty)
            #expect(order.cells(configurations: 1, repetitions: 3).map(\.repetition) == [1, 2, 3])
        }
    }

    @Test func `every cell runs once, repetition after repetition`() {
        for count in 1...9 {
            for repetitions in [1, 2, 5, 18] {
                for order in [ExperimentOrder.abba, .latinSquare(seed: 7)] {
                    let cells = order.cells(configurations: count, repetitions: repetitions)
                    #expect(cells.count == count * repetitions && Set(cells).count == cells.count)
                    #expect(cells.map(\.repetition) == cells.map(\.repetition).sorted())
                }
            }
        }
    }

    @Test func `in a Latin square each configuration stands equally often at each position`() {
        for count in 1...9 {
            for seed: UInt64 in 0..<20 {
                let rows = rows(.latinSquare(seed: seed), count, 3 * count)
                for square in 0..<3 {
                    for position in 0..<count {
                        let column = rows[(square * count)..<((square + 1) * count)].map { $0[position] }
                        #expect(column.sorted() == Array(0..<count), "\(count) configurations, seed \(seed)")
                    }
                }
            }
        }
    }

    @Test func `each configuration follows each other one equally often`() {
        for count in 2...9 {
            for seed: UInt64 in 0..<20 {
                let repetitions = count % 2 == 0 ? count : 2 * count
                var follows: [[Int]: Int] = [:]
                for row in rows(.latinSquare(seed: seed), count, repetitions) {
                    for (before, after) in zip(row, row.dropFirst()) { follows[[before, after], default: 0] += 1 }
                }
                #expect(follows.count == count * (count - 1), "\(count) configurations, seed \(seed)")
                #expect(Set(follows.values) == [repetitions / count], "\(count) configurations, seed \(seed)")
            }
        }
    }

    @Test func `the seed decides the square, and the same seed gives the same one`() {
        let squares = (0..<50).map { rows(.latinSquare(seed: UInt64($0)), 5, 10) }
        #expect(Set(squares).count > 45)
        #expect(squares[3] == rows(.latinSquare(seed: 3), 5, 10))
        // More repetitions change nothing in the first ones: a resumed run goes on in the same order.
        #expect(rows(.latinSquare(seed: 3), 5, 20).prefix(10) == squares[3][...])
    }
}
