// A digest of many rows, to compare tables by.

/// FNV-1a over rows as COPY writes them, with their number: quick, the same everywhere, and nobody attacks it.
public struct RowDigest: Sendable, CustomStringConvertible {
    private var value: UInt64 = 0xcbf2_9ce4_8422_2325
    private var rowCount = 0

    public init() {}

    public mutating func add(row: some Sequence<UInt8>) {
        for byte in row { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        rowCount += 1
    }

    /// The number of rows before the digest: `400:9f3c…`.
    public var description: String { "\(rowCount):\(String(value, radix: 16))" }
}
