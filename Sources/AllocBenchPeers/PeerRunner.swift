// Has both sides of a pair run in turn and says what that shows.

import Diagnostics
import Statistics

enum Side: String {
    case ours, peer
}

/// One figure, in the order in which they were measured.
struct PeerFigure {
    let repetition: Int
    let side: Side
    let figure: Double
}

/// What became of a pair.
struct PairResult {
    enum Outcome: String {
        case reached
        case notReached = "not reached"
        /// Not reached, and slower than the peer beyond chance.
        case lost
        /// Of a pair without a target.
        case measured
        case leftOut = "left out"
        case failed
    }

    let name: String
    let path: String
    let peer: String
    let unit: String
    let isHigherBetter: Bool
    let target: Double?
    var figures: [PeerFigure] = []
    var outcome: Outcome
    /// Why it was left out or failed, or what weakens the interval.
    var note = ""

    init(_ pair: any PeerPair, _ outcome: Outcome, note: String = "") {
        name = pair.name
        path = pair.path
        peer = pair.peer
        unit = pair.unit
        isHigherBetter = pair.isHigherBetter
        target = pair.target
        self.outcome = outcome
        self.note = note
    }

    /// Ours by the peer's; nil where the pair has no figures.
    var comparison: RatioComparison? {
        guard !figures.isEmpty else { return nil }
        func of(_ side: Side) -> [Int: Double] {
            let own = figures.filter { $0.side == side }
            return Dictionary(own.map { ($0.repetition, $0.figure) }) { first, _ in first }
        }
        return RatioComparison(baseline: of(.peer), candidate: of(.ours), isHigherBetter: isHigherBetter)
    }

    /// Judged by the ratio in the middle of the interval.
    static func outcome(_ comparison: RatioComparison, target: Double?) -> Outcome {
        guard let target else { return .measured }
        guard let ratio = comparison.ratio else { return .failed }
        if comparison.isHigherBetter ? ratio >= target : ratio <= target { return .reached }
        return comparison.verdict == .worse ? .lost : .notReached
    }
}

enum PeerRunner {
    /// Runs each side unmeasured as often as the pair says, then `pairs` times each, every other time in the other order. Blocks.
    /// - Throws: what a side threw, and where two runs did different work.
    static func run(
        _ pair: any PeerPair, on bench: PeerBench, pairs: Int, say: (String) -> Void
    ) throws -> PairResult {
        defer { pair.finish(bench) }
        try pair.prepare(bench)
        return try measure(pair, pairs: pairs, say: say) { side in
            try side == .ours ? pair.runOurs(bench) : pair.runPeer(bench)
        }
    }

    static func measure(
        _ pair: any PeerPair, pairs: Int, say: (String) -> Void, _ run: (Side) throws -> PeerRun
    ) throws -> PairResult {
        let sides = [Side.ours, .peer]
        var first: [String: String]?
        func checked(_ side: Side) throws -> Double {
            let result = try run(side)
            let wanted = first ?? result.work
            first = wanted
            let different = Set(wanted.keys).union(result.work.keys).sorted().filter { wanted[$0] != result.work[$0] }
            guard different.isEmpty else {
                throw OperatingError(
                    "\(pair.name): the sides didn't do the same work: "
                        + different.map {
                            "\($0) \(result.work[$0] ?? "none") of \(side.rawValue), \(wanted[$0] ?? "none") before"
                        }.joined(separator: ", "))
            }
            return result.figure
        }
        for _ in 0..<pair.warmUps {
            for side in sides { _ = try checked(side) }
        }
        var result = PairResult(pair, .measured)
        for cell in ExperimentOrder.abba.cells(configurations: sides.count, repetitions: pairs) {
            let side = sides[cell.configuration]
            let figure = try checked(side)
            say("\(pair.name) \(cell.repetition) \(side.rawValue): \(readableFigure(figure)) \(pair.unit)")
            result.figures.append(PeerFigure(repetition: cell.repetition, side: side, figure: figure))
        }
        if let comparison = result.comparison {
            result.outcome = PairResult.outcome(comparison, target: pair.target)
            result.note = comparison.reason ?? ""
        }
        return result
    }
}
