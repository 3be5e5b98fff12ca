// Curves out of rows: what belongs together, what is left out, and where more brings nothing.

import Testing

@testable import Report

@Suite struct ScalingCurveTests {
    private func row(
        _ mode: String, workers: Int, _ throughput: Double, partitions: Int = 8, verified: Bool = true
    ) -> [String: String] {
        [
            "mode": mode, "workers": String(workers), "partitions": String(partitions),
            "executions_per_s": String(throughput), "verified": String(verified), "validity": "valid",
        ]
    }

    @Test func `runs that differ in another setting are another curve`() {
        let rows = [1, 2, 4].flatMap { n in
            [row("concurrent", workers: n, 1_000 * Double(n)), row("batch", workers: n, 9_000)]
        }
        let curves = ScalingCurve.curves(rows, by: "workers")
        #expect(curves.map(\.name) == ["mode concurrent", "mode batch"])
        #expect(curves.map { $0.points.map(\.median) } == [[1_000, 2_000, 4_000], [9_000, 9_000, 9_000]])
        // By something in which nothing differs there is nothing to draw.
        #expect(ScalingCurve.curves(rows, by: "partitions").isEmpty)
    }

    @Test func `repetitions are one point by their median, and what wasn't verified is none`() {
        let rows = [
            row("batch", workers: 1, 100), row("batch", workers: 1, 300), row("batch", workers: 1, 110),
            row("batch", workers: 2, 200), row("batch", workers: 4, 1, verified: false),
        ]
        let curve = ScalingCurve.curves(rows, by: "workers").first
        #expect(curve?.points.map(\.value) == [1, 2])
        #expect(curve?.points.first?.median == 110)
        #expect(curve?.law == nil, "two values make no law")
    }

    @Test func `of the workload's size no law is fitted, and the cost is held against the first`() throws {
        let rows = [(10, 1_000.0), (100, 990), (1_000, 500)].map { blocks, throughput in
            row("batch", workers: 4, throughput).merging(["blocks": String(blocks)]) { $1 }
        }
        let curve = try #require(ScalingCurve.curves(rows, by: "blocks").first)
        #expect(curve.law == nil)
        let text = curve.text(by: "blocks")
        #expect(text.contains("of the first\n") && text.contains(" 99 %") && text.contains(" 50 %"), "\(text)")
        #expect(!text.contains("law"), "\(text)")
    }

    @Test func `what was offered on a schedule is no point of a curve`() {
        let open = [1, 2, 4].map { n in row("batch", workers: n, 500).merging(["load": "open"]) { $1 } }
        #expect(ScalingCurve.curves(open, by: "workers").isEmpty)
    }

    @Test func `a curve says from where on more brings nothing, and how much it loses then`() throws {
        let figures: [(Int, Double)] = [(1, 1_000), (2, 1_900), (4, 2_600), (8, 2_620), (16, 2_000)]
        let curve = try #require(
            ScalingCurve.curves(figures.map { row("concurrent", workers: $0.0, $0.1) }, by: "workers").first)
        #expect(curve.saturation?.value == 4)
        #expect(curve.best?.value == 8)
        let text = curve.text(by: "workers")
        #expect(
            text.contains("from workers 4 on more brings less than a twentieth; at 16 there is 24 % less than at 8"))
        #expect(text.contains("its peak is at "), "\(text)")
        #expect(curve.fields(by: "workers").allSatisfy { $0.count == ScalingCurve.columnNames.count })
    }
}
