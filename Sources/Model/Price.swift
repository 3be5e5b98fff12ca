// Money as whole ticks: a price never passes through floating point.

/// A price in ticks of 0.0001, the scale of every NUMERIC(18,4) in `sql/`.
@frozen
public struct Price: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let scale = 4
    public static let ticksPerUnit: Int64 = 10_000
    /// The largest price that NUMERIC(18,4) holds.
    public static let maximum = Price(ticks: 999_999_999_999_999_999)

    public let ticks: Int64
    @inlinable public init(ticks: Int64) { self.ticks = ticks }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.ticks < b.ticks }

    /// Reads a plain decimal such as `12`, `12.5` or `0.0001`; nil for signs, exponents, blanks,
    /// more than four decimals other than zeros, or more than fourteen whole digits.
    @inlinable
    public init?(decimal text: some Collection<UInt8>) {
        var ticks: Int64 = 0
        var wholeDigits = 0
        var decimals = 0
        var seenPoint = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "."):
                if seenPoint || wholeDigits == 0 { return nil }
                seenPoint = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = Int64(byte &- UInt8(ascii: "0"))
                if seenPoint {
                    decimals += 1
                    if decimals > Price.scale {
                        if digit != 0 { return nil }
                        continue
                    }
                } else {
                    wholeDigits += 1
                    if wholeDigits > 14 { return nil }
                }
                ticks = ticks * 10 + digit
            default:
                return nil
            }
        }
        guard wholeDigits > 0, !seenPoint || decimals > 0 else { return nil }
        for _ in min(decimals, Price.scale)..<Price.scale { ticks *= 10 }
        self.ticks = ticks
    }

    public init?(_ text: some StringProtocol) {
        self.init(decimal: Array(text.utf8))
    }

    /// Always with four decimals, as the tables print it: `12.5000`.
    public var description: String { Price.format(ticks: Int128(ticks)) }

    /// Reads an amount that may exceed a price's range, such as a NUMERIC(38,4) notional: `123456.7800`.
    /// Nil for anything but digits with at most four decimals, and for what NUMERIC(38,4) doesn't hold.
    public static func ticks(decimal text: some Collection<UInt8>) -> Int128? {
        var ticks: Int128 = 0
        var wholeDigits = 0
        var decimals: Int?
        for byte in text {
            if byte == UInt8(ascii: "."), decimals == nil, wholeDigits > 0 {
                decimals = 0
                continue
            }
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), decimals != scale else { return nil }
            if decimals == nil { wholeDigits += 1 }
            if wholeDigits > 34 { return nil }
            ticks = ticks * 10 + Int128(byte - UInt8(ascii: "0"))
            decimals = decimals.map { $0 + 1 }
        }
        guard wholeDigits > 0, decimals != 0 else { return nil }
        for _ in (decimals ?? 0)..<scale { ticks *= 10 }
        return ticks
    }

    /// Formats any amount in ticks, sums of quantity × price included.
    public static func format(ticks: Int128) -> String {
        let magnitude = ticks.magnitude
        let whole = magnitude / UInt128(ticksPerUnit)
        let rest = String(magnitude % UInt128(ticksPerUnit))
        let sign = ticks < 0 ? "-" : ""
        return "\(sign)\(whole).\(String(repeating: "0", count: scale - rest.count))\(rest)"
    }
}
