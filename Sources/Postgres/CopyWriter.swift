// Writes rows in the text format of COPY. Nothing here knows a connection: the caller hands the blocks on.

internal import Digits

/// One row after the other of a `COPY … FROM STDIN`: the columns in the statement's order, then `endRow`.
/// Columns are separated by tabs; what would read as a separator is escaped.
public struct CopyWriter {
    /// Enough for one call to the socket to be worth it.
    static let blockSize = 65_536

    private var buffer: [UInt8] = []
    private var isFirstColumn = true
    /// Rows ended so far.
    public private(set) var rowCount = 0
    private let send: ([UInt8]) throws(PostgresError) -> Void

    package init(send: @escaping ([UInt8]) throws(PostgresError) -> Void) {
        self.send = send
        buffer.reserveCapacity(Self.blockSize + 4_096)
    }

    public mutating func null() {
        startColumn()
        buffer.append(UInt8(ascii: "\\"))
        buffer.append(UInt8(ascii: "N"))
    }

    public mutating func bool(_ value: Bool) {
        startColumn()
        buffer.append(UInt8(ascii: value ? "t" : "f"))
    }

    public mutating func int64(_ value: Int64) {
        startColumn()
        if value < 0 { buffer.append(UInt8(ascii: "-")) }
        buffer.append(decimal: value.magnitude)
    }

    /// A decimal of `ticks` × 10^-`scale`, exactly: ticks 123400 at scale 4 is 12.3400.
    public mutating func decimal(ticks: Int64, scale: Int = 4) {
        startColumn()
        if ticks < 0 { buffer.append(UInt8(ascii: "-")) }
        buffer.append(decimal: ticks.magnitude, decimals: scale)
    }

    /// A day as ISO 8601 has it, `2024-11-14`.
    public mutating func date(year: Int, month: Int, day: Int) {
        startColumn()
        buffer.append(decimal: UInt64(year), minimumDigits: 4)
        buffer.append(UInt8(ascii: "-"))
        buffer.append(decimal: UInt64(month), minimumDigits: 2)
        buffer.append(UInt8(ascii: "-"))
        buffer.append(decimal: UInt64(day), minimumDigits: 2)
    }

    public mutating func text(_ text: String) {
        startColumn()
        if text.utf8.contains(where: { Self.escape($0) != nil }) {
            for byte in text.utf8 { appendEscaped(byte) }
        } else {
            buffer.append(contentsOf: text.utf8)
        }
    }

    /// Ends the row. Once a block is full it is handed to the server, which may block, and throws if that fails.
    public mutating func endRow() throws(PostgresError) {
        buffer.append(UInt8(ascii: "\n"))
        isFirstColumn = true
        rowCount += 1
        if buffer.count >= Self.blockSize { try flush() }
    }

    /// Hands over what is left. Half a row would make the server complain about its columns, so it is a trap here.
    package mutating func flush() throws(PostgresError) {
        precondition(isFirstColumn, "the last row of a COPY wasn't ended")
        guard !buffer.isEmpty else { return }
        try send(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// The bytes as one row of one BYTEA column, in hexadecimal digits.
    static func piece(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var row: [UInt8] = []
        row.reserveCapacity(2 * bytes.count + 4)
        // The backslash of \x is escaped as COPY wants it.
        row.append(contentsOf: Array("\\\\x".utf8))
        for byte in bytes {
            row.append(digits[Int(byte >> 4)])
            row.append(digits[Int(byte & 0xF)])
        }
        row.append(UInt8(ascii: "\n"))
        return row
    }

    private mutating func startColumn() {
        if !isFirstColumn { buffer.append(UInt8(ascii: "\t")) }
        isFirstColumn = false
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        guard let letter = Self.escape(byte) else { return buffer.append(byte) }
        buffer.append(UInt8(ascii: "\\"))
        buffer.append(letter)
    }

    /// What stands behind the backslash instead of a byte that would end a column or a row, or escape what follows.
    private static func escape(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\\"): byte
        case UInt8(ascii: "\t"): UInt8(ascii: "t")
        case UInt8(ascii: "\n"): UInt8(ascii: "n")
        case UInt8(ascii: "\r"): UInt8(ascii: "r")
        default: nil
        }
    }
}
