// The fit against laws that are known, and what it says of figures that no law fits.

import Testing

@testable import Statistics

@Suite struct ScalabilityLawTests {
    private func figures(_ lambda: Double, _ sigma: Double, _ kappa: Double) -> [(n: Double, throughput: Double)] {
        [1.0, 2, 4, 8, 16, 32].map { n in
            (n, lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1)))
        }
    }

    @Test(arguments: [(1_000.0, 0.05, 0.002), (3.5, 0.3, 0.0), (80_000, 0.0, 0.01), (12, 0, 0)])
    func `figures that follow a law give its coefficients back`(lambda: Double, sigma: Double, kappa: Double) throws {
        let law = try #require(ScalabilityLaw(figures(lambda, sigma, kappa)))
        #expect(abs(law.lambda / lambda - 1) < 1e-6)
        #expect(abs(law.sigma - sigma) < 1e-6 && abs(law.kappa - kappa) < 1e-6)
        #expect(law.rSquared.map { $0 > 0.999999 } == true)
    }

    @Test func `the peak is where more begin to give less`() throws {
        let law = try #require(ScalabilityLaw(figures(1_000, 0.05, 0.002)))
        let peak = try #require(law.peak)
        #expect(abs(peak - 21.79) < 0.01)
        #expect(law.throughput(peak) > law.throughput(peak - 1) && law.throughput(peak) > law.throughput(peak + 1))
        #expect(law.ceiling == nil)
    }

    @Test func `contention alone has a ceiling and no peak`() throws {
        let law = try #require(ScalabilityLaw(figures(100, 0.25, 0)))
        #expect(law.peak == nil)
        #expect(law.ceiling.map { abs($0 - 400) < 1e-3 } == true)
    }

    @Test func `more than n times as much is fitted without a promise of more`() throws {
        let law = try #require(ScalabilityLaw([(1, 100), (2, 230), (4, 500), (8, 1_100)]))
        #expect(law.sigma == 0 && law.kappa == 0)
        #expect(law.lambda > 100 && law.lambda < 140)
    }

    @Test func `two points, or figures of nothing, have no law`() {
        #expect(ScalabilityLaw([(1, 100), (2, 180), (2, 190)]) == nil)
        #expect(ScalabilityLaw([(1, 100), (2, 180), (4, 0)]) == nil)
    }
}
