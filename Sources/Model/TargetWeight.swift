// How much of an account's worth a security is to be: a whole number of units, never floating point.

/// A share of an account's net asset value in units of 0.00000001, the scale of NUMERIC(9,8).
public struct TargetWeight: Sendable, Hashable, Comparable, CustomStringConvertible {
    public static let scale = 8
    public static let unitsPerWhole: Int64 = 100_000_000
    public let units: Int64

    public init(units: Int64) { self.units = units }

    public static func < (a: Self, b: Self) -> Bool { a.units < b.units }

    /// Always with eight decimals, as the tables print it: `0.02500000`.
    public var description: String {
        let rest = String(units % Self.unitsPerWhole)
        return "\(units / Self.unitsPerWhole).\(String(repeating: "0", count: Self.scale - rest.count))\(rest)"
    }

    /// Shares in whole lots that this weight of `netAssetValueTicks` buys at `open`, rounded down: the formula of routing.
    public func targetQuantity(netAssetValueTicks: Int64, open: Price, lotSize: Int64 = 1) -> Int64 {
        // 10⁸ × 10¹⁸ needs 87 bits, and a lot at its open 10 more than a price.
        let lots =
            Int128(units) * Int128(netAssetValueTicks)
            / (Int128(Self.unitsPerWhole) * Int128(open.ticks) * Int128(lotSize))
        return Int64(lots) * lotSize
    }
}
