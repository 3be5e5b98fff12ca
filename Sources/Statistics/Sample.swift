// What a handful of figures says: middle, spread, and the figures that lie apart. Nothing is ever dropped.

/// A few figures of the same thing, one for each repetition.
public struct Sample: Sendable, Equatable {
    /// What stands for two figures in the middle.
    public enum MiddleRule: Sendable {
        case mean
        /// For percentiles, which must not be averaged, and for costs: the worse of two stands, and worse is greater.
        case greater
    }

    /// In the order in which they were given.
    public let figures: [Double]
    private let sorted: [Double]

    public init(_ figures: [Double]) {
        self.figures = figures
        sorted = figures.sorted()
    }

    /// Nil for no figure at all.
    public func median(_ rule: MiddleRule) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let upper = sorted[sorted.count / 2]
        switch rule {
        case .mean: return (sorted[(sorted.count - 1) / 2] + upper) / 2
        case .greater: return upper
        }
    }

    public var mean: Double? {
        figures.isEmpty ? nil : figures.reduce(0, +) / Double(figures.count)
    }

    /// With n - 1 in the denominator; nil for fewer than two figures, which have no spread.
    public var standardDeviation: Double? {
        guard figures.count > 1, let mean else { return nil }
        let squares = figures.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(figures.count - 1)).squareRoot()
    }

    /// The standard deviation as a share of the mean; nil for fewer than two figures or a mean of 0.
    public var coefficientOfVariation: Double? {
        guard let standardDeviation, let mean, mean != 0 else { return nil }
        return standardDeviation / abs(mean)
    }

    /// Between the two neighbours in rank by proportion, as R's type 7 and NumPy have it.
    public func quartile(_ number: Int) -> Double? {
        precondition((0...4).contains(number), "quartiles are 0 to 4")
        guard !sorted.isEmpty else { return nil }
        let place = Double(number) / 4 * Double(sorted.count - 1)
        let lower = Int(place)
        let upper = min(lower + 1, sorted.count - 1)
        return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
    }

    /// Indices into `figures` of those that lie more than one and a half interquartile ranges outside the quartiles. With
    /// fewer than four figures there can be none.
    public var outlierIndices: [Int] {
        guard let first = quartile(1), let third = quartile(3) else { return [] }
        let reach = 1.5 * (third - first)
        return figures.indices.filter { figures[$0] < first - reach || figures[$0] > third + reach }
    }
}
