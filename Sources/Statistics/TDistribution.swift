// Student's t distribution: how far a mean of a few figures may lie from the truth.

import Glibc

/// Student's t with a number of degrees of freedom, which for n figures is n - 1.
public struct TDistribution: Sendable, Equatable {
    public let degreesOfFreedom: Int

    public init(degreesOfFreedom: Int) {
        precondition(degreesOfFreedom >= 1, "a spread needs at least two figures")
        self.degreesOfFreedom = degreesOfFreedom
    }

    /// The probability of a value up to `t`.
    public func cumulative(_ t: Double) -> Double {
        let tail = upperTail(abs(t))
        return t < 0 ? tail : 1 - tail
    }

    /// The value that a share `probability` of all values doesn't exceed; infinite at 0 and 1.
    public func quantile(_ probability: Double) -> Double {
        precondition(probability >= 0 && probability <= 1, "a probability lies between 0 and 1")
        if probability == 0 { return -.infinity }
        if probability == 1 { return .infinity }
        return probability < 0.5 ? -quantile(upperTail: probability) : quantile(upperTail: 1 - probability)
    }

    /// The probability of a value at least as far from 0 as `t`, on either side. Exact also far out, where 1 less the
    /// cumulative probability would be 0.
    public func twoSidedProbability(beyond t: Double) -> Double { 2 * upperTail(abs(t)) }

    /// How many standard errors on either side of the mean hold the truth with this confidence: 0.95 is 95 %.
    public func twoSided(confidence: Double) -> Double { quantile((1 + confidence) / 2) }

    /// Halves an interval around the root until it holds no other number: some 60 steps, whatever the shape. A quantile is
    /// wanted a few times for each comparison, so a faster method would gain nothing.
    private func quantile(upperTail tail: Double) -> Double {
        var low = 0.0
        var high = 1.0
        while upperTail(high) > tail {
            low = high
            high *= 2
        }
        while true {
            let middle = low + (high - low) / 2
            guard middle > low, middle < high else { return middle }
            if upperTail(middle) > tail { low = middle } else { high = middle }
        }
    }

    /// The probability of a value above `t`, which is at least 0: half the incomplete beta function of ν / (ν + t²).
    private func upperTail(_ t: Double) -> Double {
        let degrees = Double(degreesOfFreedom)
        let square = t * t
        guard square.isFinite else { return 0 }
        return incompleteBeta(x: degrees / (degrees + square), rest: square / (degrees + square), degrees / 2, 0.5) / 2
    }
}

/// The regularized incomplete beta function I_x(a, b). `rest` is 1 - x, handed over because a caller knows it without the
/// cancellation that the subtraction would bring.
private func incompleteBeta(x: Double, rest: Double, _ a: Double, _ b: Double) -> Double {
    if x <= 0 { return 0 }
    if rest <= 0 { return 1 }
    let logFront = logGamma(a + b) - logGamma(a) - logGamma(b) + a * log(x) + b * log(rest)
    // The fraction converges fast on one side of the mean only; the other one is its mirror image.
    if x < (a + 1) / (a + b + 2) { return exp(logFront) * betaFraction(x, a, b) / a }
    return 1 - exp(logFront) * betaFraction(rest, b, a) / b
}

/// The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, 6.4).
private func betaFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    func notZero(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
    var c = 1.0
    var d = 1 / notZero(1 - (a + b) * x / (a + 1))
    var fraction = d
    for step in 1...10_000 {
        let m = Double(step)
        let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / notZero(1 + even * d)
        c = notZero(1 + even / c)
        fraction *= d * c
        let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / notZero(1 + odd * d)
        c = notZero(1 + odd / c)
        fraction *= d * c
        if abs(d * c - 1) < 1e-15 { break }
    }
    return fraction
}

/// `lgamma` itself writes a global variable, which another thread may be writing, too.
private func logGamma(_ value: Double) -> Double {
    var sign: Int32 = 0
    return lgamma_r(value, &sign)
}
