// How throughput follows what there is more and more of (workers, partitions, messages a transaction), by Gunther's universal
// scalability law. A value: figures in, three coefficients out.

import Glibc

/// X(n) = λ·n / (1 + σ·(n − 1) + κ·n·(n − 1)).
///
/// λ is what one alone does. σ is the share that everyone has to wait for (contention): with it alone throughput comes to an
/// end at λ/σ. κ is what each pair costs (coherency): with it throughput falls again beyond a peak. For messages a transaction
/// the same form holds with another reading: a transaction's own price is shared by n, so σ is the share of a lone message's
/// time that isn't shared.
///
/// n/X(n) is linear in 1, n − 1 and n·(n − 1), so the fit is one of least squares. It is of relative errors, because figures of
/// speed scatter by factors; and of no negative coefficient, because a negative one would promise more than n times as much.
/// Source: N. J. Gunther, Guerrilla Capacity Planning, chapters 4 to 6.
public struct ScalabilityLaw: Sendable, Equatable {
    /// Throughput of one alone, as fitted.
    public let lambda: Double
    public let sigma: Double
    public let kappa: Double
    /// The share of the figures' variation that the law explains; nil where they don't vary, and of three figures, which three
    /// coefficients always explain.
    public let rSquared: Double?

    /// Nil for fewer than three different n, or figures that aren't above 0.
    public init?(_ figures: [(n: Double, throughput: Double)]) {
        guard Set(figures.map(\.n)).count >= 3, figures.allSatisfy({ $0.n > 0 && $0.throughput > 0 }) else {
            return nil
        }
        // Each is divided by its own n/X: then every error counts by its share.
        let rows = figures.map { figure -> [Double] in
            let inverse = figure.throughput / figure.n
            return [inverse, (figure.n - 1) * inverse, figure.n * (figure.n - 1) * inverse]
        }
        var best: (error: Double, coefficients: [Double])?
        // With three unknowns all ways to leave some out can be tried; the one alone can't be.
        for chosen in [[0, 1, 2], [0, 1], [0, 2], [0]] {
            guard let solved = Self.leastSquares(rows.map { row in chosen.map { row[$0] } }),
                solved.allSatisfy({ $0 >= 0 }), solved[0] > 0
            else { continue }
            var coefficients = [0.0, 0, 0]
            for (place, value) in zip(chosen, solved) { coefficients[place] = value }
            let error = rows.reduce(0) { sum, row in
                let fitted = zip(row, coefficients).reduce(0) { $0 + $1.0 * $1.1 }
                return sum + (fitted - 1) * (fitted - 1)
            }
            // One that leaves something out is never better, only equal; then the first stands.
            if best.map({ error < $0.error }) ?? true { best = (error, coefficients) }
        }
        guard let best else { return nil }
        lambda = 1 / best.coefficients[0]
        sigma = best.coefficients[1] / best.coefficients[0]
        kappa = best.coefficients[2] / best.coefficients[0]
        let (lambda, sigma, kappa) = (lambda, sigma, kappa)
        let mean = figures.reduce(0) { $0 + $1.throughput } / Double(figures.count)
        let spread = figures.reduce(0) { $0 + ($1.throughput - mean) * ($1.throughput - mean) }
        let left = figures.reduce(0) { sum, figure in
            let fitted = Self.throughput(lambda, sigma, kappa, figure.n)
            return sum + (figure.throughput - fitted) * (figure.throughput - fitted)
        }
        rSquared = spread > 0 && figures.count > 3 ? 1 - left / spread : nil
    }

    public func throughput(_ n: Double) -> Double { Self.throughput(lambda, sigma, kappa, n) }

    /// How many give the highest throughput; nil where more never give less.
    public var peak: Double? {
        guard kappa > 0 else { return nil }
        return sigma >= 1 ? 1 : max(1, ((1 - sigma) / kappa).squareRoot())
    }

    /// What throughput comes close to with more and more; nil where it has no end, or falls again.
    public var ceiling: Double? { kappa == 0 && sigma > 0 ? lambda / sigma : nil }

    private static func throughput(_ lambda: Double, _ sigma: Double, _ kappa: Double, _ n: Double) -> Double {
        lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    }

    /// The x that brings each row's product with it closest to 1, by the normal equations; nil where rows don't say.
    private static func leastSquares(_ rows: [[Double]]) -> [Double]? {
        let count = rows.first?.count ?? 0
        var matrix = (0..<count).map { i in
            (0..<count).map { j in rows.reduce(0) { $0 + $1[i] * $1[j] } } + [rows.reduce(0) { $0 + $1[i] }]
        }
        for column in 0..<count {
            guard let pivot = (column..<count).max(by: { abs(matrix[$0][column]) < abs(matrix[$1][column]) }),
                abs(matrix[pivot][column]) > 1e-300
            else { return nil }
            matrix.swapAt(column, pivot)
            for row in 0..<count where row != column {
                let factor = matrix[row][column] / matrix[column][column]
                for place in column...count { matrix[row][place] -= factor * matrix[column][place] }
            }
        }
        let solution = (0..<count).map { matrix[$0][count] / matrix[$0][$0] }
        return solution.allSatisfy(\.isFinite) ? solution : nil
    }
}
