// The rows that a statement returned. Immutable, so it may be read on any thread.

internal import CLibPQ

/// The outcome of one statement: its rows, or how many rows it changed.
public final class QueryResult: Sendable {
    /// The same without the object around it.
    public let rows: ResultRows

    init(_ rows: consuming ResultRows) { self.rows = rows }

    convenience init(_ handle: consuming PGResultHandle) { self.init(ResultRows(handle)) }

    public var rowCount: Int { rows.rowCount }
    public var columnCount: Int { rows.columnCount }
    public var affectedRowCount: Int { rows.affectedRowCount }
    public var commandTag: String { rows.commandTag }
    public func columnName(_ column: Int) -> String { rows.columnName(column) }
    public func isNull(_ row: Int, _ column: Int) -> Bool { rows.isNull(row, column) }
    public func text(_ row: Int, _ column: Int) -> String? { rows.text(row, column) }
    public func bytes(_ row: Int, _ column: Int) -> [UInt8]? { rows.bytes(row, column) }
    public func int64(_ row: Int, _ column: Int) -> Int64 { rows.int64(row, column) }
    public func optionalInt64(_ row: Int, _ column: Int) -> Int64? { rows.optionalInt64(row, column) }
    public func withBytes<R>(_ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        unsafe rows.withBytes(row, column, body)
    }
}

/// The rows of a statement where libpq keeps them, freed with this value. Beside the `QueryResult` that holds one, the measured
/// path reads them as they are: an object for each answer would be an allocation for each transaction.
@safe
public struct ResultRows: ~Copyable, Sendable {
    private let handle: PGResultHandle
    public let rowCount: Int
    public let columnCount: Int

    init(_ handle: consuming PGResultHandle) {
        rowCount = unsafe Int(PQntuples(handle.raw))
        columnCount = unsafe Int(PQnfields(handle.raw))
        self.handle = handle
    }

    /// How many rows an INSERT, UPDATE, DELETE, SELECT, COPY, … touched; 0 for statements that touch none.
    public var affectedRowCount: Int {
        unsafe PQcmdTuples(handle.raw).flatMap { unsafe Int(String(cString: $0)) } ?? 0
    }

    /// What the server called the statement, such as "INSERT 0 1" or "ROLLBACK".
    public var commandTag: String { unsafe PQcmdStatus(handle.raw).map { unsafe String(cString: $0) } ?? "" }

    public func columnName(_ column: Int) -> String {
        precondition(0..<columnCount ~= column, "no column \(column) among \(columnCount)")
        return unsafe PQfname(handle.raw, Int32(column)).map { unsafe String(cString: $0) } ?? ""
    }

    public func isNull(_ row: Int, _ column: Int) -> Bool {
        check(row, column)
        return unsafe PQgetisnull(handle.raw, Int32(row), Int32(column)) == 1
    }

    /// The value as the server wrote it; nil is NULL. In a binary result only text columns have a sensible text.
    public func text(_ row: Int, _ column: Int) -> String? {
        unsafe withBytes(row, column) { bytes in unsafe String(decoding: bytes, as: UTF8.self) }
    }

    /// The bytes of the value as they came; nil is NULL.
    public func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
        unsafe withBytes(row, column) { bytes in unsafe [UInt8](bytes) }
    }

    /// A whole number, from a text or a binary integer or boolean column. NULL, or a value that isn't a whole number,
    /// means that the statement isn't the one that the code was written for: it traps.
    public func int64(_ row: Int, _ column: Int) -> Int64 {
        guard let value = optionalInt64(row, column) else {
            preconditionFailure("row \(row), column \(columnName(column)) is NULL")
        }
        return value
    }

    /// The same, with nil for NULL.
    public func optionalInt64(_ row: Int, _ column: Int) -> Int64? {
        check(row, column)
        let isBinary = unsafe PQfformat(handle.raw, Int32(column)) == 1
        let value: Int64?? = unsafe withBytes(row, column) { bytes in
            unsafe isBinary ? Self.binaryInteger(bytes) : Self.textInteger(bytes)
        }
        guard let value else { return nil }
        guard let integer = value else {
            preconditionFailure("row \(row), column \(columnName(column)) isn't a whole number")
        }
        return integer
    }

    /// Calls `body` with the bytes of the value, which are valid during the call; nil is NULL.
    public func withBytes<R>(_ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        guard !isNull(row, column), let start = unsafe PQgetvalue(handle.raw, Int32(row), Int32(column)) else {
            return nil
        }
        let length = unsafe Int(PQgetlength(handle.raw, Int32(row), Int32(column)))
        return unsafe body(UnsafeRawBufferPointer(start: start, count: length))
    }

    private func check(_ row: Int, _ column: Int) {
        precondition(0..<rowCount ~= row, "no row \(row) among \(rowCount)")
        precondition(0..<columnCount ~= column, "no column \(column) among \(columnCount)")
    }

    /// bool, int2, int4 and int8 in network byte order.
    private static func binaryInteger(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        switch bytes.count {
        case 1: unsafe Int64(bytes[0])
        case 2: unsafe Int64(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self)))
        case 4: unsafe Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
        case 8: unsafe Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        default: nil
        }
    }

    private static func textInteger(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        if bytes.count == 1 {
            switch unsafe bytes[0] {
            case UInt8(ascii: "t"): return 1
            case UInt8(ascii: "f"): return 0
            default: break
            }
        }
        return unsafe Int64(String(decoding: bytes, as: UTF8.self))
    }
}
