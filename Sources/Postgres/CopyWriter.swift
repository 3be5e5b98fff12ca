// Writes rows in the text format of COPY. Nothing here knows a connection: the caller hands the blocks on.

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
        appendDigits(value.magnitude, isNegative: value < 0, minimumCount: 1, pointBefore: 0)
    }

    /// A decimal of `ticks` × 10^-`scale`, exactly: ticks 123400 at scale 4 is 12.3400.
    public mutating func decimal(ticks: Int64, scale: Int = 4) {
        startColumn()
        appendDigits(ticks.magnitude, isNegative: ticks < 0, minimumCount: scale + 1, pointBefore: scale)
    }

    public mutating func text(_ text: String) {
        startColumn()
        for byte in text.utf8 { appendEscaped(byte) }
    }

    /// Text that is at hand as bytes, in UTF-8.
    public mutating func bytes(utf8 bytes: some Sequence<UInt8>) {
        startColumn()
        for byte in bytes { appendEscaped(byte) }
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
        switch byte {
        case UInt8(ascii: "\\"): buffer.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\\")])
        case UInt8(ascii: "\t"): buffer.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "t")])
        case UInt8(ascii: "\n"): buffer.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
        case UInt8(ascii: "\r"): buffer.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "r")])
        default: buffer.append(byte)
        }
    }

    /// Appends digits without a string in between: seeding writes millions of them.
    private mutating func appendDigits(_ value: UInt64, isNegative: Bool, minimumCount: Int, pointBefore scale: Int) {
        if isNegative { buffer.append(UInt8(ascii: "-")) }
        let start = buffer.count
        var rest = value
        var count = 0
        while rest > 0 || count < minimumCount {
            if scale > 0 && count == scale { buffer.append(UInt8(ascii: ".")) }
            buffer.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
            count += 1
        }
        buffer[start...].reverse()
    }
}
