// How a figure follows one column of runs.csv: workers, partitions, txn_size, batch_size, blocks, accounts_per_block. Pure: rows
// in, curves and text out.

public import Statistics

/// One curve: everything but one column is the same in all its runs.
public struct ScalingCurve: Sendable {
    /// All repetitions at one value of the column.
    public struct Point: Sendable {
        public let value: Double
        public let throughputs: [Double]
        public let median: Double
    }

    /// What tells this curve from the others, such as `mode concurrent, partitions 8`.
    public let name: String
    /// By value, upwards.
    public let points: [Point]
    /// Whether the variable is one that throughput may grow with.
    let isFitted: Bool
    /// Nil for fewer than three values, and of a workload's size.
    public let law: ScalabilityLaw?

    /// How much there is to do. Of these no law is fitted, and an execution's cost is held against that of the first value.
    static let workload = ["blocks", "accounts_per_block", "executions"]

    /// What runs may be alike or unlike in, beside the column that is varied.
    static let dimensions = RunRow.settingColumnNames + workload

    /// What can be varied: columns with whole numbers.
    public static let variables = ["workers", "partitions", "txn_size", "pipeline_depth", "batch_size"] + workload

    /// The curves of the runs that were verified and valid and had a backlog, for what is offered on a schedule is no limit; those
    /// with one value only are none.
    /// - Parameter rows: of runs.csv, by column.
    public static func curves(_ rows: [[String: String]], by variable: String) -> [ScalingCurve] {
        let usable = rows.filter {
            $0["verified"] == "true" && $0["validity"] == "valid" && $0["load"] ?? "backlog" == "backlog"
        }
        let differing = dimensions.filter { column in
            column != variable && Set(usable.map { $0[column] ?? "" }).count > 1
        }
        var order: [String] = []
        var groups: [String: [Double: [Double]]] = [:]
        for row in usable {
            guard let value = row[variable].flatMap(Double.init), value > 0,
                let throughput = row["executions_per_s"].flatMap(Double.init), throughput > 0
            else { continue }
            let shown = differing.filter { row[$0]?.isEmpty == false }
            let name =
                shown.isEmpty
                ? "mode \(row["mode"] ?? "")" : shown.map { "\($0) \(row[$0] ?? "")" }.joined(separator: ", ")
            if groups[name] == nil { order.append(name) }
            groups[name, default: [:]][value, default: []].append(throughput)
        }
        return order.compactMap { name in
            guard let values = groups[name], values.count > 1 else { return nil }
            return ScalingCurve(name: name, values, isFitted: !workload.contains(variable))
        }
    }

    init(name: String, _ values: [Double: [Double]], isFitted: Bool) {
        self.name = name
        points = values.sorted { $0.key < $1.key }.compactMap { value, throughputs in
            Sample(throughputs).median(.mean).map { Point(value: value, throughputs: throughputs, median: $0) }
        }
        self.isFitted = isFitted
        law = !isFitted ? nil : ScalabilityLaw(points.map { (n: $0.value, throughput: $0.median) })
    }

    /// Where the highest throughput was measured.
    public var best: Point? { points.max { $0.median < $1.median } }

    /// The first value from which on more brought nothing that counts: every later median is within a twentieth of this one, or
    /// below it.
    public var saturation: Point? {
        points.first { point in points.allSatisfy { $0.value <= point.value || $0.median <= point.median * 1.05 } }
    }

    // MARK: Text

    public static let columnNames = [
        "curve", "variable", "value", "repetitions", "executions_per_s_median", "executions_per_s_min",
        "executions_per_s_max", "executions_per_s_fitted",
    ]

    public func fields(by variable: String) -> [[String]] {
        points.map { point in
            [
                name, variable, plain(point.value), String(point.throughputs.count), decimal(point.median, decimals: 1),
                decimal(point.throughputs.min() ?? 0, decimals: 1), decimal(point.throughputs.max() ?? 0, decimals: 1),
                law.map { decimal($0.throughput(point.value), decimals: 1) } ?? "",
            ]
        }
    }

    /// A table and what it shows, a line end after each line.
    public func text(by variable: String) -> String {
        let header = [variable, "executions/s", "min-max", "fitted", isFitted ? "of the first, each" : "of the first"]
        let table =
            [header]
            + points.map { point in
                let share = points.first.map { first in
                    point.median / first.median * (isFitted ? first.value / point.value : 1)
                }
                return [
                    plain(point.value), groupedWhole(point.median),
                    "\(groupedWhole(point.throughputs.min() ?? 0))-\(groupedWhole(point.throughputs.max() ?? 0))",
                    law.map { groupedWhole($0.throughput(point.value)) } ?? "-",
                    share.map { "\(decimal($0 * 100, decimals: 0)) %" } ?? "-",
                ]
            }
        return (["\(name):"] + TerminalTable.aligned(table) + notes(variable)).map { $0 + "\n" }.joined()
    }

    /// A word about a peak where nothing was measured.
    private func reach(_ value: Double) -> String {
        value > points.last?.value ?? 0 ? ", beyond what was measured" : ""
    }

    private func notes(_ variable: String) -> [String] {
        var notes: [String] = []
        if let law {
            let fit = law.rSquared.map { ", R² \(decimal($0, decimals: 3))" } ?? ""
            notes.append(
                "law: \(groupedWhole(law.lambda))/s for one, sigma \(decimal(law.sigma, decimals: 4)), "
                    + "kappa \(decimal(law.kappa, decimals: 6))\(fit)"
                    + (law.peak.map { "; its peak is at \(decimal($0, decimals: 1))" + reach($0) } ?? "")
                    + (law.ceiling.map { "; its ceiling is \(groupedWhole($0))/s" } ?? ""))
        } else if isFitted {
            notes.append("law: none, for that takes three values")
        }
        guard let saturation, let best, let last = points.last else { return notes }
        var line: [String] = []
        if isFitted {
            line.append(
                saturation.value == last.value
                    ? "more brought more up to the last value"
                    : "from \(variable) \(plain(saturation.value)) on more brings less than a twentieth")
        }
        if best.median > last.median * 1.05 {
            line.append(
                "at \(plain(last.value)) there is \(decimal((1 - last.median / best.median) * 100, decimals: 0)) % "
                    + "less than at \(plain(best.value))")
        }
        return line.isEmpty ? notes : notes + [line.joined(separator: "; ")]
    }
}
