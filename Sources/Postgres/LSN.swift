// A position in the write-ahead log.

/// A log sequence number: the byte position in a server's write-ahead log, written as "16/B374D848".
public struct LSN: RawRepresentable, Hashable, Comparable, Sendable, LosslessStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = LSN(rawValue: 0)

    /// Reads the server's notation: two hexadecimal numbers of up to 8 digits, the high half first.
    public init?(_ text: String) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let high = Self.half(halves[0]), let low = Self.half(halves[1]) else { return nil }
        rawValue = UInt64(high) << 32 | UInt64(low)
    }

    /// `UInt32(_:radix:)` takes a sign as well, which the server never writes.
    private static func half(_ digits: Substring) -> UInt32? {
        digits.count <= 8 && digits.allSatisfy(\.isHexDigit) ? UInt32(digits, radix: 16) : nil
    }

    public var description: String {
        String(rawValue >> 32, radix: 16, uppercase: true) + "/"
            + String(rawValue & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }

    public static func < (left: LSN, right: LSN) -> Bool { left.rawValue < right.rawValue }
}
