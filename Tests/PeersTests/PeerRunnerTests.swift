// How pairs are run and told, with pairs that only pretend to work.

import Diagnostics
import Report
import Testing

@testable import allocbench_peers

@Suite struct PeerRunnerTests {
    /// Does nothing, and says that it took what it is told.
    private final class PretendedPair: PeerPair {
        let name = "pretended"
        let path = "a path"
        let peer = "true 1.0"
        let unit = "rows/s"
        var isHigherBetter = true
        var target: Double? = 1.5

        func prepare(_ bench: PeerBench) throws {}
        func runOurs(_ bench: PeerBench) throws -> PeerRun { PeerRun(figure: 0, work: [:]) }
        func runPeer(_ bench: PeerBench) throws -> PeerRun { PeerRun(figure: 0, work: [:]) }
    }

    private static func ignore(_ line: String) {}

    private static func result(
        ours: Double, peer: Double, _ pair: PretendedPair = PretendedPair()
    ) throws -> PairResult {
        var count = 0.0
        return try PeerRunner.measure(pair, pairs: 4, say: Self.ignore) { side in
            count += 1
            // A spread, or else there would be no interval.
            return PeerRun(figure: (side == .ours ? ours : peer) * (1 + count / 1000), work: ["rows": "10"])
        }
    }

    @Test func `sides take turns behind one unmeasured run of each`() throws {
        var order: [Side] = []
        let result = try PeerRunner.measure(PretendedPair(), pairs: 2, say: Self.ignore) { side in
            order.append(side)
            return PeerRun(figure: Double(order.count), work: [:])
        }
        #expect(order == [.ours, .peer, .ours, .peer, .peer, .ours])
        #expect(result.figures.map(\.figure) == [3, 4, 5, 6])
        #expect(result.figures.map(\.repetition) == [1, 1, 2, 2])
    }

    @Test func `other work is an error, not a figure`() {
        let run = { (side: Side) in PeerRun(figure: 1, work: ["rows": side == .ours ? "10" : "9"]) }
        let error = #expect(throws: OperatingError.self) {
            try PeerRunner.measure(PretendedPair(), pairs: 1, say: Self.ignore, run)
        }
        #expect(error?.message.contains("rows 9 of peer, 10 before") == true)
    }

    @Test func `a ratio reaches its target, misses it, or loses`() throws {
        #expect(try Self.result(ours: 1600, peer: 1000).outcome == .reached)
        #expect(try Self.result(ours: 1400, peer: 1000).outcome == .notReached)
        #expect(try Self.result(ours: 900, peer: 1000).outcome == .lost)
        let seconds = PretendedPair()
        seconds.isHigherBetter = false
        #expect(try Self.result(ours: 1.4, peer: 1, seconds).outcome == .reached)
        #expect(try Self.result(ours: 1.6, peer: 1, seconds).outcome == .lost)
        seconds.target = nil
        #expect(try Self.result(ours: 1, peer: 1, seconds).outcome == .measured)
    }

    @Test func `the page's table keeps rows of pairs that weren't run`() throws {
        let order = ["other", "pretended", "third"]
        let page = """
            # Page

            \(PeerReport.part.begin)

            | pair | path |
            | --- | --- |
            | `third` | stays |
            | `gone` | goes |

            \(PeerReport.part.end)
            Below.
            """
        let result = try Self.result(ours: 1600, peer: 1000)
        let text = try PeerReport.part.rewritten(in: page) {
            PeerReport.table($0, with: [result], order: order, run: "peers-1")
        }
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
        try #require(rows.count == 2)
        #expect(rows[0].hasPrefix("| `pretended` | a path | true 1.0 | 1,6"))
        #expect(rows[0].hasSuffix("| ≥ 1.5 | **reached** | `peers-1` |"))
        #expect(rows[1] == "| `third` | stays |")
        #expect(text.hasPrefix("# Page\n") && text.hasSuffix("\nBelow."))
        let again = try PeerReport.part.rewritten(in: text) { PeerReport.table($0, with: [], order: order, run: "") }
        #expect(again == text)
    }

    @Test func `rows of the files have a field for each column`() throws {
        let result = try Self.result(ours: 1600, peer: 1000)
        #expect(PeerReport.pairRow(result).count == PeerReport.pairColumns.count)
        #expect(PeerReport.figureRows(result).allSatisfy { $0.count == PeerReport.figureColumns.count })
        let absent = PairResult(PretendedPair(), .leftOut, note: "no kcat")
        #expect(PeerReport.pairRow(absent).count == PeerReport.pairColumns.count)
        #expect(PeerReport.line(absent) == "pretended: left out: no kcat")
    }

    @Test func `flags are read, and what is wrong with them is told`() throws {
        let names = ["batch", "cycle"]
        let options = try PeerOptions(
            ["--pairs", "3", "--only=batch", "--size", "tiny", "--kafka-home", ""], names: names, kafkaHome: "/kafka")
        #expect(options.pairs == 3 && options.only == ["batch"] && options.size == .tiny && options.kafkaHome == nil)
        for wrong in [["--pairs", "0"], ["--only", "bach"], ["--size", "huge"], ["--wiki"], ["--unknown", "1"]] {
            #expect(throws: InputError.self) { try PeerOptions(wrong, names: names) }
        }
    }

    @Test func `a trial doesn't come to rewrite the page`() throws {
        let page = ["--wiki", "wiki/Peers.md"]
        func refused(_ arguments: [String]) -> [String] {
            let error = #expect(throws: InputError.self) { try PeerOptions(page + arguments, names: []) }
            return error?.faults.map(\.source) ?? []
        }
        #expect(refused(["--size", "tiny"]) == ["--size"])
        #expect(refused(["--pairs", "4"]) == ["--pairs"])
        #expect(refused(["--pairs", "4", "--size", "tiny"]) == ["--size", "--pairs"])
        let trial = ["--size", "tiny", "--pairs", "1"]
        #expect(try PeerOptions(trial, names: []).wiki == nil)
        #expect(try PeerOptions(trial + ["--wiki", ""], names: []).wiki == nil)
        #expect(try PeerOptions(page + ["--pairs", "5"], names: []).wiki == "wiki/Peers.md")
    }
}
