// Comparisons against figures computed with NumPy and SciPy, and a thousand experiments whose truth is known.

import Foundation
import Measurement
import Statistics
import Testing

@Suite struct RatioComparisonTests {
    private func isClose(_ found: Double?, _ expected: Double) -> Bool {
        found.map { abs($0 - expected) <= 1e-9 * abs(expected) } ?? false
    }

    @Test func `a clear difference has the interval that SciPy computes`() {
        let comparison = RatioComparison(
            baseline: [100, 104, 98, 101, 97], candidate: [120, 126, 117, 119, 118], isHigherBetter: true)
        #expect(comparison.pairs.count == 5 && comparison.unpairedRepetitions.isEmpty)
        #expect(comparison.baselineMedian == 100 && comparison.candidateMedian == 119)
        #expect(comparison.ratioOfMedians == 1.19)
        #expect(isClose(comparison.ratio, 1.1999490872386416))
        #expect(isClose(comparison.interval?.low, 1.1812546253507308))
        #expect(isClose(comparison.interval?.high, 1.218939406512232))
        #expect(isClose(comparison.logRatioStandardDeviation, 0.012645943795176941))
        #expect(isClose(comparison.minimumDetectableEffect, 0.0212461322905069))
        #expect(isClose(comparison.baselineCoefficientOfVariation, 0.027386127875258306))
        #expect(isClose(comparison.candidateCoefficientOfVariation, 0.02946278254943948))
        #expect(isClose(comparison.pValue, 5.5244174832357e-06))
        #expect(comparison.verdict == .better && comparison.reason == nil)
        // The middle half of the candidate's figures is 118 to 120, so everything above 123 stands apart.
        #expect(comparison.outliers == [RatioComparison.Outlier(side: .candidate, repetition: 2, value: 126)])
        #expect(comparison.repetitionsToShowRatio() == nil)
    }

    @Test func `where less is better the same figures are worse, and the other way round better`() {
        let baseline = [100.0, 104, 98, 101, 97]
        let candidate = [120.0, 126, 117, 119, 118]
        let latency = RatioComparison(baseline: baseline, candidate: candidate, isHigherBetter: false)
        #expect(latency.verdict == .worse)
        #expect(RatioComparison(baseline: candidate, candidate: baseline, isHigherBetter: false).verdict == .better)
        #expect(RatioComparison(baseline: candidate, candidate: baseline, isHigherBetter: true).verdict == .worse)
    }

    @Test func `a small difference isn't shown, and it says how many repetitions would show it`() {
        let comparison = RatioComparison(
            baseline: [10, 11, 9, 10], candidate: [10.5, 11.2, 9.1, 9.8], isHigherBetter: true)
        #expect(isClose(comparison.ratio, 1.0145183315227781))
        #expect(isClose(comparison.interval?.low, 0.969831067708349))
        #expect(isClose(comparison.interval?.high, 1.061264666874211))
        #expect(isClose(comparison.minimumDetectableEffect, 0.06066656345949478))
        #expect(isClose(comparison.pValue, 0.38350492655869817))
        #expect(comparison.verdict == .noDifferenceShown && comparison.reason == nil)
        #expect(comparison.repetitionsToShowRatio() == 33)
        #expect(comparison.repetitionsToShowRatio(most: 20) == nil)
        #expect(isClose(comparison.baselineMedian, 10) && isClose(comparison.candidateMedian, 10.15))
        let ofCosts = RatioComparison(
            baseline: [10, 11, 9, 10], candidate: [10.5, 11.2, 9.1, 9.8], isHigherBetter: false)
        #expect(ofCosts.candidateMedian == 10.5, "of two middle ones the worse")
    }

    @Test func `two pairs have an interval, as wide as it must be`() {
        let comparison = RatioComparison(baseline: [100, 200], candidate: [150, 250], isHigherBetter: true)
        #expect(isClose(comparison.interval?.low, 0.4299857611231646))
        #expect(isClose(comparison.interval?.high, 4.360609512050627))
        #expect(isClose(comparison.minimumDetectableEffect, 2.610259168018352))
        #expect(isClose(comparison.pValue, 0.17971405253628703))
        #expect(comparison.verdict == .noDifferenceShown)
    }

    @Test func `fewer than two pairs show nothing, and it says why`() {
        let one = RatioComparison(baseline: [100], candidate: [200], isHigherBetter: true)
        #expect(one.verdict == .noDifferenceShown && one.interval == nil && one.minimumDetectableEffect == nil)
        #expect(one.ratioOfMedians == 2 && one.ratio == 2 && one.baselineCoefficientOfVariation == nil)
        #expect(one.reason == "no interval: one pair of repetitions shows no spread")
        let none = RatioComparison(baseline: [1: 100.0], candidate: [2: 200.0], isHigherBetter: true)
        #expect(none.verdict == .noDifferenceShown && none.interval == nil && none.ratio == nil)
        #expect(none.reason == "no interval: no repetition has a figure on both sides")
        #expect(none.unpairedRepetitions == [1, 2])
        #expect(none.baselineMedian == nil && none.ratioOfMedians == nil)
    }

    @Test func `repetitions without a partner are left out of everything and counted`() {
        let comparison = RatioComparison(
            baseline: [1: 100, 2: 104, 3: 5000, 4: 98], candidate: [1: 101, 2: 99, 4: 100, 6: 1], isHigherBetter: true)
        #expect(comparison.pairs.map(\.repetition) == [1, 2, 4])
        #expect(comparison.unpairedRepetitions == [3, 6])
        #expect(isClose(comparison.ratio, 0.9936475921198326))
        #expect(isClose(comparison.interval?.low, 0.9052578265857911))
        #expect(comparison.baselineMedian == 100)
    }

    @Test func `a figure of 0 has no ratio, and is not passed over`() {
        for value in [0, -1, Double.nan, .infinity] {
            let comparison = RatioComparison(
                baseline: [100, 104, 98], candidate: [120, value, 118], isHigherBetter: true)
            #expect(comparison.interval == nil && comparison.ratio == nil && comparison.verdict == .noDifferenceShown)
            #expect(
                comparison.reason
                    == "no interval: repetition 2 has a figure that isn't above 0, so it has no ratio")
        }
        let costs = RatioComparison(baseline: [0, 0], candidate: [0, 0], isHigherBetter: false)
        #expect(costs.ratioOfMedians == nil && costs.baselineCoefficientOfVariation == nil)
    }

    @Test func `pairs without any spread say so`() {
        let same = RatioComparison(baseline: [100, 104, 98], candidate: [100, 104, 98], isHigherBetter: true)
        #expect(same.verdict == .noDifferenceShown && same.interval == RatioInterval(low: 1, high: 1))
        #expect(same.reason?.hasPrefix("all pairs have the same ratio") == true)
        #expect(same.minimumDetectableEffect == 0 && same.repetitionsToShowRatio() == nil)
        let counted = RatioComparison(baseline: [512, 512], candidate: [256, 256], isHigherBetter: false)
        #expect(counted.verdict == .better && counted.reason != nil)
        #expect(same.pValue == 1 && counted.pValue == 0)
    }

    @Test func `outliers are listed on their side and stay in`() {
        let comparison = RatioComparison(
            baseline: [100, 101, 99, 100, 102], candidate: [100, 101, 40, 100, 102], isHigherBetter: true)
        #expect(
            comparison.outliers == [RatioComparison.Outlier(side: .candidate, repetition: 3, value: 40)])
        #expect(comparison.pairs.count == 5 && comparison.ratio.map { $0 < 0.9 } == true)
        #expect(comparison.verdict == .noDifferenceShown)
    }

    @Test func `quartiles are NumPy's`() {
        let sample = Sample([7, 15, 36, 39, 40, 41])
        #expect(sample.quartile(1) == 20.25 && sample.quartile(2) == 37.5 && sample.quartile(3) == 39.75)
        #expect(sample.quartile(0) == 7 && sample.quartile(4) == 41)
        #expect(Sample([]).quartile(1) == nil && Sample([]).median(.mean) == nil && Sample([]).outlierIndices.isEmpty)
        // The fences are at -9 and 69, and what stands on one is still inside.
        #expect(sample.outlierIndices.isEmpty)
        #expect(Sample([7, 15, 36, 39, 40, 69]).outlierIndices.isEmpty)
        #expect(Sample([7, 15, 36, 39, 40, 69.1]).outlierIndices == [5])
        // Three figures have no outlier, however far apart.
        #expect(Sample([1, 1, 1_000_000]).outlierIndices.isEmpty)
    }

    // MARK: Figures that are lower bounds

    @Test func `a candidate's lower bounds can show that it is more, and never that it is less`() {
        let low = [100.0, 104, 98, 101, 97]
        let high = [120.0, 126, 117, 119, 118]
        func compare(_ baseline: [Double], _ candidate: [Double], isHigherBetter: Bool = true) -> RatioComparison {
            RatioComparison(
                baseline: Dictionary(uniqueKeysWithValues: zip(1..., baseline)),
                candidate: Dictionary(uniqueKeysWithValues: zip(1..., candidate)), isHigherBetter: isHigherBetter,
                candidateLowerBounds: [2, 4, 9])
        }
        let more = compare(low, high)
        #expect(more.knowledge == .atLeast && more.verdict == .better && more.interval?.high == .infinity)
        #expect(more.pValue.map { $0 < 0.001 } == true && more.minimumDetectableEffect == nil)
        #expect(
            more.reason
                == "the candidate's figure is a lower bound in repetition 2, 4, so the ratio is at least this")
        #expect(compare(low, high, isHigherBetter: false).verdict == .worse)
        let less = compare(high, low)
        #expect(less.verdict == .noDifferenceShown && less.pValue == nil && less.interval?.contains(7) == true)
    }

    @Test func `a baseline's lower bounds can show that the candidate is less, and never that it is more`() {
        func compare(_ baseline: [Int: Double], _ candidate: [Int: Double]) -> RatioComparison {
            RatioComparison(
                baseline: baseline, candidate: candidate, isHigherBetter: true, baselineLowerBounds: [1])
        }
        let low = [1: 100.0, 2: 104, 3: 98]
        let high = [1: 220.0, 2: 226, 3: 217]
        #expect(compare(high, low).verdict == .worse && compare(high, low).knowledge == .atMost)
        #expect(compare(low, high).verdict == .noDifferenceShown && compare(low, high).pValue == nil)
        #expect(compare(low, high).interval?.low == 0)
    }

    @Test func `between two lower bounds there is no ratio, whichever repetitions they are of`() {
        let both = RatioComparison(
            baseline: [1: 100, 2: 104, 3: 98], candidate: [1: 900, 2: 908, 3: 904], isHigherBetter: true,
            baselineLowerBounds: [1], candidateLowerBounds: [3])
        #expect(both.knowledge == .none && both.verdict == .noDifferenceShown)
        #expect(both.ratio == nil && both.interval == nil && both.pValue == nil && both.ratioOfMedians == nil)
        #expect(
            both.reason
                == "no ratio: the baseline's figure is a lower bound in repetition 1, and the candidate's figure is a lower "
                + "bound in repetition 3")
        let unpaired = RatioComparison(
            baseline: [1: 100, 2: 104], candidate: [1: 900, 2: 908, 3: 904], isHigherBetter: true,
            candidateLowerBounds: [3])
        #expect(unpaired.knowledge == .exact, "a repetition without a partner is in nothing")
    }

    @Test func `the p-value is below 0.05 exactly where the verdict shows a difference`() {
        var random = SeededRandom(seed: 45)
        for _ in 0..<200 {
            let comparison = experiment(factor: 0.93, repetitions: 4, &random)
            let isBelow = comparison.pValue.map { $0 < 0.05 }
            #expect(isBelow == (comparison.verdict != .noDifferenceShown), "seed 45")
        }
    }

    // MARK: Experiments whose truth is known

    /// Repetitions of an experiment in which the candidate truly makes `factor` of the baseline, each figure with 5 % noise
    /// beside what both share.
    private func experiment(
        factor: Double, repetitions: Int, _ random: inout SeededRandom
    ) -> RatioComparison {
        var baseline: [Double] = []
        var candidate: [Double] = []
        for _ in 0..<repetitions {
            // How the machine fared in this repetition: a tenth up or down, for both.
            let shared = exp(0.1 * normal(&random))
            baseline.append(10_000 * shared * exp(0.05 * normal(&random)))
            candidate.append(10_000 * factor * shared * exp(0.05 * normal(&random)))
        }
        return RatioComparison(baseline: baseline, candidate: candidate, isHigherBetter: true)
    }

    @Test(arguments: [2, 3, 5, 10]) func `of a thousand experiments between equals 95 % show no difference`(
        repetitions: Int
    ) {
        var random = SeededRandom(seed: 41)
        let shown = (0..<1000).count { _ in
            experiment(factor: 1, repetitions: repetitions, &random).verdict != .noDifferenceShown
        }
        #expect((30...70).contains(shown), "\(shown) of 1,000, \(repetitions) repetitions, seed 41")
    }

    @Test func `a handicap of 10 % is seen, and 95 % of the intervals cover it`() {
        var random = SeededRandom(seed: 42)
        var verdicts: [Verdict: Int] = [:]
        var covered = 0
        for _ in 0..<1000 {
            let comparison = experiment(factor: 0.9, repetitions: 10, &random)
            verdicts[comparison.verdict, default: 0] += 1
            if comparison.interval?.contains(0.9) == true { covered += 1 }
        }
        #expect((930...970).contains(covered), "\(covered) of 1,000, seed 42")
        #expect(verdicts[.worse, default: 0] >= 970 && verdicts[.better] == nil, "\(verdicts), seed 42")
    }

    @Test func `a difference of the minimum detectable effect is seen four times in five`() {
        var random = SeededRandom(seed: 43)
        // The paired noise is known here: √2 × 5 %. The effect for 5 repetitions follows from it.
        let distribution = TDistribution(degreesOfFreedom: 4)
        let reach = distribution.twoSided(confidence: 0.95) + distribution.quantile(0.8)
        let effect = expm1(reach * 0.05 * 2.0.squareRoot() / 5.0.squareRoot())
        let shown = (0..<1000).count { _ in
            experiment(factor: 1 + effect, repetitions: 5, &random).verdict == .better
        }
        #expect((760...840).contains(shown), "\(shown) of 1,000, seed 43")
    }
}
