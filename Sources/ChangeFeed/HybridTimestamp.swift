// A moment of a CockroachDB cluster. A plain value.

/// What a hybrid logical clock says: nanoseconds since 1970, and a count within one of them.
public struct HybridTimestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let wallNs: Int64
    public let logical: Int64

    public init(wallNs: Int64, logical: Int64 = 0) {
        self.wallNs = wallNs
        self.logical = logical
    }

    /// Reads the decimal that CockroachDB writes: nanoseconds, a point, and ten digits of the logical part, which a DECIMAL may
    /// have lost from the right: `1684438482937939878.0000000001`. Nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let wallNs = Self.digits(parts[0]) else { return nil }
        self.wallNs = wallNs
        guard parts.count == 2 else {
            logical = 0
            return
        }
        guard parts[1].utf8.count <= Self.logicalDigits, var logical = Self.digits(parts[1]) else { return nil }
        for _ in parts[1].utf8.count..<Self.logicalDigits { logical *= 10 }
        self.logical = logical
    }

    public static func < (a: Self, b: Self) -> Bool { (a.wallNs, a.logical) < (b.wallNs, b.logical) }

    /// As CockroachDB writes it, and takes it for a cursor.
    public var description: String {
        let digits = String(logical)
        return "\(wallNs).\(String(repeating: "0", count: max(0, Self.logicalDigits - digits.count)))\(digits)"
    }

    func advanced(byNs nanoseconds: Int64) -> HybridTimestamp {
        HybridTimestamp(wallNs: wallNs + nanoseconds, logical: logical)
    }

    private static let logicalDigits = 10

    /// `Int64` alone would take a sign.
    private static func digits(_ text: some StringProtocol) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int64(text) : nil
    }
}
