// In which order the cells of an experiment run, so that neither a drift of the machine nor what ran before favours a
// configuration.

import Measurement

/// How configurations × repetitions are put in order.
public enum ExperimentOrder: Sendable, Equatable {
    /// Every other repetition goes through the configurations the other way round: a drift that is even over time cancels
    /// out between two repetitions. Whoever stands in the middle of the list stays there.
    case abba
    /// Over as many repetitions as there are configurations, each stands once at each position, and none always behind the
    /// same other one; which stands where is drawn from the seed.
    case latinSquare(seed: UInt64)

    /// One configuration in one repetition.
    public struct Cell: Sendable, Hashable {
        /// From 0, in the order of the scenario.
        public let configuration: Int
        /// From 1.
        public let repetition: Int

        public init(configuration: Int, repetition: Int) {
            self.configuration = configuration
            self.repetition = repetition
        }
    }

    /// Every cell once, repetition after repetition.
    public func cells(configurations: Int, repetitions: Int) -> [Cell] {
        precondition(configurations >= 0 && repetitions >= 0, "an experiment has no negative number of cells")
        guard configurations > 0, repetitions > 0 else { return [] }
        return (1...repetitions).flatMap { repetition in
            row(repetition, of: configurations).map { Cell(configuration: $0, repetition: repetition) }
        }
    }

    private func row(_ repetition: Int, of count: Int) -> [Int] {
        switch self {
        case .abba: return repetition % 2 == 1 ? Array(0..<count) : (0..<count).reversed()
        case .latinSquare(let seed): return ExperimentOrder.williamsRow(repetition, of: count, seed: seed)
        }
    }

    /// Williams' design (1949): the first row zigzags 0, 1, n-1, 2, n-2, …, and each further one adds 1 to it. With an even
    /// number of configurations each one then follows each other one exactly once in a square; with an odd number that takes
    /// two squares, of which the second is the first one read backwards. What the numbers stand for, and the order of the
    /// rows, is drawn anew for every square or pair of squares.
    private static func williamsRow(_ repetition: Int, of count: Int, seed: UInt64) -> [Int] {
        let square = (repetition - 1) / count
        let isSecondOfPair = count % 2 == 1 && square % 2 == 1
        let design = count % 2 == 1 ? square / 2 : square
        var random = SeededRandom(seed: seed, stream: UInt64(design))
        let names = permutation(of: count, &random)
        let shifts = permutation(of: count, &random)
        let shift = shifts[(repetition - 1) % count]
        let zigzag = (0..<count).map { $0 % 2 == 1 ? ($0 + 1) / 2 : (count - $0 / 2) % count }
        let row = zigzag.map { names[($0 + shift) % count] }
        return isSecondOfPair ? row.reversed() : row
    }

    /// Fisher and Yates, written out: the standard library doesn't promise that its shuffle stays the same.
    private static func permutation(of count: Int, _ random: inout SeededRandom) -> [Int] {
        var permutation = Array(0..<count)
        for index in permutation.indices.reversed() {
            permutation.swapAt(index, Int(random.integer(in: 0...Int64(index))))
        }
        return permutation
    }
}
