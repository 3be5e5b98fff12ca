// Holm's correction by hand, and against families whose truth is known.

import Foundation
import Measurement
import Statistics
import Testing

@Suite struct HolmCorrectionTests {
    private func isClose(_ found: [Double?], _ expected: [Double?]) -> Bool {
        found.count == expected.count
            && zip(found, expected).allSatisfy { a, b in
                if let a, let b { abs(a - b) < 1e-12 } else { a == nil && b == nil }
            }
    }

    @Test func `the smallest counts for all, each further one for what is left`() {
        let adjusted = HolmCorrection.adjusted([0.01, 0.04, 0.03, 0.005])
        // 0.005 × 4, 0.01 × 3, 0.03 × 2; 0.04 × 1 would be less than the one before it.
        #expect(isClose(adjusted, [0.03, 0.06, 0.06, 0.02]), "\(adjusted)")
        #expect(isClose(HolmCorrection.adjusted([0.02, 0.02]), [0.04, 0.04]))
        #expect(isClose(HolmCorrection.adjusted([0.5, 0.9, 0.6]), [1, 1, 1]), "a probability is at most 1")
    }

    @Test func `one comparison is left alone, and one that can show nothing takes no part`() {
        #expect(HolmCorrection.adjusted([0.04]) == [0.04])
        #expect(HolmCorrection.adjusted([]).isEmpty)
        #expect(isClose(HolmCorrection.adjusted([nil, 0.02, nil, 0.03]), [nil, 0.04, nil, 0.04]))
    }

    @Test func `of a thousand families between equals at most 5 % show any difference`() {
        var random = SeededRandom(seed: 44)
        func figures() -> [Double] { (0..<4).map { _ in exp(0.05 * normal(&random)) } }
        var shownAlone = 0
        var shownCorrected = 0
        for _ in 0..<1000 {
            let baseline = figures()
            let pValues = (0..<6).map { _ in
                RatioComparison(baseline: baseline, candidate: figures(), isHigherBetter: true).pValue
            }
            if pValues.contains(where: { $0.map { $0 < 0.05 } == true }) { shownAlone += 1 }
            if HolmCorrection.adjusted(pValues).contains(where: { $0.map { $0 < 0.05 } == true }) {
                shownCorrected += 1
            }
        }
        #expect(shownAlone > 120, "\(shownAlone) of 1,000, seed 44: uncorrected, it is often")
        #expect(shownCorrected <= 65, "\(shownCorrected) of 1,000, seed 44")
    }
}
