// The text of every figure that module Report and its users print or write, the same in every locale. What stands in a file keeps all its decimals; what a reader gets has as
// many digits as mean something.

// MARK: In files

/// `value` with exactly `decimals` decimals, rounded half away from zero; empty for what is no number.
public func decimal(_ value: Double, decimals: Int) -> String {
    var scale: Int64 = 1
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (value * Double(scale)).rounded()
    guard scaled.isFinite, abs(scaled) < 9e18 else { return "" }
    return decimal(scaled: Int64(scaled), scale: scale, decimals: decimals)
}

/// Nanoseconds as milliseconds with three decimals, computed in whole numbers.
public func milliseconds(_ nanoseconds: Int64) -> String {
    let microseconds = nanoseconds / 1000 + (nanoseconds % 1000 >= 500 ? 1 : nanoseconds % 1000 <= -500 ? -1 : 0)
    return decimal(scaled: microseconds, scale: 1000, decimals: 3)
}

/// A number as a user would have written it: `5` or `0.05`; a whole number has no point.
public func plain(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : String(number)
}

// MARK: For a reader

/// Thousands apart by commas: `12,345`.
public func grouped(_ value: some BinaryInteger) -> String {
    var groups: [Substring] = []
    var digits = String(value.magnitude)[...]
    while digits.count > 3 {
        groups.insert(digits.suffix(3), at: 0)
        digits = digits.dropLast(3)
    }
    groups.insert(digits, at: 0)
    return (value < 0 ? "-" : "") + groups.joined(separator: ",")
}

/// A figure without its decimals, thousands apart.
public func groupedWhole(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 9e15 else { return "-" }
    return grouped(Int64(value.rounded()))
}

/// Milliseconds for a reader: two decimals below 10, one below 100, none above.
func readableMilliseconds(_ value: Double) -> String {
    if abs(value) < 9.995 { return decimal(value, decimals: 2) }
    if abs(value) < 99.95 { return decimal(value, decimals: 1) }
    return groupedWhole(value)
}

/// A figure of any size for a reader: four significant digits, none of them a decimal from 1,000 on.
func readable(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 9e15 else { return "-" }
    if abs(value) >= 999.95 { return groupedWhole(value) }
    let decimals = abs(value) >= 99.995 ? 1 : abs(value) >= 9.9995 ? 2 : 3
    return decimal(value, decimals: decimals)
}

/// A figure that may be only the least that it can be: `≥1,000`.
func readableFigure(_ value: Double, isAtLeast: Bool) -> String { (isAtLeast ? "≥" : "") + readable(value) }

/// A ratio for a reader: three decimals below 10, fewer above.
func readableRatio(_ ratio: Double) -> String {
    ratio < 9.9995 ? decimal(ratio, decimals: 3) : readable(ratio)
}

/// A p-value for a reader: `p 0.0312`, `p < 0.0001`.
func readableProbability(_ probability: Double) -> String {
    probability < 0.00005 ? "p < 0.0001" : "p \(decimal(probability, decimals: 4))"
}

/// A share as a percentage: `3.4 %`, without the decimal from 10 on.
func readablePercent(_ share: Double) -> String {
    guard share.isFinite, abs(share) < 9e13 else { return "-" }
    return abs(share) < 0.0995
        ? "\(decimal(share * 100, decimals: 1)) %" : "\(grouped(Int64((share * 100).rounded()))) %"
}

/// Seconds for a reader, with two decimals.
public func readableSeconds(_ duration: Duration) -> String { decimal(duration / .seconds(1), decimals: 2) }

private func decimal(scaled: Int64, scale: Int64, decimals: Int) -> String {
    let sign = scaled < 0 ? "-" : ""
    let magnitude = scaled.magnitude
    guard decimals > 0 else { return sign + String(magnitude) }
    let rest = String(magnitude % UInt64(scale))
    return "\(sign)\(magnitude / UInt64(scale)).\(String(repeating: "0", count: decimals - rest.count))\(rest)"
}
