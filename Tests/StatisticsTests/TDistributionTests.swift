// Student's t against the values of SciPy 1.17 and its own closed forms.

import Foundation
import Statistics
import Testing

@Suite struct TDistributionTests {
    private static let probabilities = [0.8, 0.9, 0.95, 0.975, 0.995, 0.9995]
    /// scipy.stats.t.ppf; 1 and 2 degrees have their closed forms below.
    private static let quantiles: [Int: [Double]] = [
        3: [
            0.9784723123633042, 1.637744353696209, 2.3533634348018233, 3.1824463052837078, 5.840909309733355,
            12.923978636687961,
        ],
        4: [
            0.9409645772351816, 1.533206274058944, 2.1318467863266495, 2.7764451051977934, 4.604094871349992,
            8.610301581379522,
        ],
        9: [
            0.8834038596855346, 1.3830287383966329, 1.833112932656237, 2.262157162798205, 3.249835541592126,
            4.780912585931217,
        ],
        29: [
            0.8541919858818557, 1.311433647301551, 1.6991270265334972, 2.045229642132703, 2.756385903670605,
            3.6594050194663748,
        ],
        99: [
            0.8452670319534972, 1.2901614420344854, 1.6603911560169906, 1.9842169515864174, 2.626405457280827,
            3.391528833363685,
        ],
        1000: [
            0.8419808221624288, 1.2823987214609247, 1.6463788172854643, 1.9623390808264083, 2.580754698065951,
            3.300282648423944,
        ],
    ]

    @Test func `quantiles are those of the tables`() {
        for (degrees, expected) in Self.quantiles {
            let distribution = TDistribution(degreesOfFreedom: degrees)
            for (probability, quantile) in zip(Self.probabilities, expected) {
                let found = distribution.quantile(probability)
                #expect(abs(found - quantile) <= 1e-9 * quantile, "\(degrees) degrees, \(probability)")
                #expect(abs(distribution.quantile(1 - probability) + found) <= 1e-9 * quantile)
            }
            #expect(distribution.twoSided(confidence: 0.95) == distribution.quantile(0.975))
        }
    }

    @Test func `one degree of freedom is Cauchy's distribution, two have a closed form`() {
        for step in 1..<100 {
            let p = Double(step) / 100
            let cauchy = tan(Double.pi * (p - 0.5))
            #expect(abs(TDistribution(degreesOfFreedom: 1).quantile(p) - cauchy) < 1e-9 * max(1, abs(cauchy)))
            let two = (2 * p - 1) * (2 / (4 * p * (1 - p))).squareRoot()
            #expect(abs(TDistribution(degreesOfFreedom: 2).quantile(p) - two) < 1e-9 * max(1, abs(two)))
        }
    }

    @Test func `the probability on both sides keeps its digits far out`() {
        let two = TDistribution(degreesOfFreedom: 2)
        for t in [0.0, 0.5, 4.3, 30, 1e6] {
            // 1 - t / √(2 + t²), written without the cancellation.
            let root = (2 + t * t).squareRoot()
            let expected = 2 / (root * (root + t))
            #expect(abs(two.twoSidedProbability(beyond: t) - expected) <= 1e-10 * expected, "\(t)")
            #expect(two.twoSidedProbability(beyond: -t) == two.twoSidedProbability(beyond: t))
        }
        #expect(two.twoSidedProbability(beyond: .infinity) == 0)
        let nine = TDistribution(degreesOfFreedom: 9)
        #expect(abs(nine.twoSidedProbability(beyond: nine.twoSided(confidence: 0.95)) - 0.05) < 1e-12)
    }

    @Test func `the cumulative probability undoes the quantile`() {
        let three = TDistribution(degreesOfFreedom: 3)
        #expect(three.cumulative(0) == 0.5)
        #expect(three.quantile(0.5).magnitude < 1e-12)
        #expect(three.quantile(0) == -.infinity && three.quantile(1) == .infinity)
        for degrees in [1, 2, 5, 30, 400] {
            let distribution = TDistribution(degreesOfFreedom: degrees)
            for p in [0.001, 0.025, 0.2, 0.4999, 0.5001, 0.7, 0.999] {
                let back = distribution.cumulative(distribution.quantile(p))
                #expect(abs(back - p) < 1e-12, "\(degrees), \(p)")
            }
        }
    }
}
