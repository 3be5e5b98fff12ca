// Decodes the messages of PostgreSQL's pgoutput plug-in, protocol version 1. Pure: bytes in, values out.
// Format: https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html

import Postgres

/// A message of the stream, as far as a feed of inserts needs it.
enum PgOutputMessage: Equatable {
    /// A transaction's changes follow. `commitTimeUs` counts microseconds since 2000-01-01.
    case begin(finalLSN: LSN, commitTimeUs: Int64, transaction: UInt32)
    /// All changes of the transaction have been sent. The log may be forgotten up to `endLSN` once they are safe elsewhere.
    case commit(endLSN: LSN)
    indirect case relation(PgOutputRelation)
    /// A new row: its cells, one per column of the relation, are where the decoder was told to leave them.
    case insert(relation: UInt32)
    /// An update, delete, truncate, origin, type or logical message: nothing that an append-only table sends.
    case other(kind: UInt8)
}

struct PgOutputRelation: Equatable {
    let oid: UInt32
    let schema: String
    let name: String
    let columns: [(name: String, typeOID: UInt32)]

    static func == (a: Self, b: Self) -> Bool {
        a.oid == b.oid && a.schema == b.schema && a.name == b.name
            && a.columns.elementsEqual(b.columns) { $0.name == $1.name && $0.typeOID == $1.typeOID }
    }
}

/// Where a cell's text lies in the message; nil is null.
package typealias PgOutputCell = Range<Int>?

/// The message is not what the manual says it should be.
struct PgOutputError: Error, CustomStringConvertible {
    let description: String
}

extension PgOutputMessage {
    /// - Parameter cells: takes the cells of a new row, in the place of what it held; nothing is allocated for them.
    init(_ payload: UnsafeRawBufferPointer, cells: inout [PgOutputCell]) throws(PgOutputError) {
        var reader = PgOutputReader(bytes: payload)
        let kind = try reader.uint8()
        switch kind {
        case UInt8(ascii: "B"):
            let final = LSN(rawValue: try reader.uint64())
            let commitTimeUs = Int64(bitPattern: try reader.uint64())
            self = .begin(finalLSN: final, commitTimeUs: commitTimeUs, transaction: try reader.uint32())
        case UInt8(ascii: "C"):
            _ = try reader.uint8()
            _ = try reader.uint64()
            self = .commit(endLSN: LSN(rawValue: try reader.uint64()))
        case UInt8(ascii: "R"):
            self = .relation(try reader.relation())
        case UInt8(ascii: "I"):
            let relation = try reader.uint32()
            guard try reader.uint8() == UInt8(ascii: "N") else {
                throw PgOutputError(description: "insert without a new row")
            }
            try reader.read(&cells)
            self = .insert(relation: relation)
        default:
            self = .other(kind: kind)
        }
    }
}

/// Reads big-endian fields in order.
private struct PgOutputReader {
    let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func take(_ count: Int) throws(PgOutputError) -> Range<Int> {
        guard count >= 0, bytes.count - position >= count else {
            throw PgOutputError(description: "a pgoutput message of \(bytes.count) bytes ends too early")
        }
        defer { position += count }
        return position..<position + count
    }

    private mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_: T.Type) throws(PgOutputError) -> T {
        let place = try take(MemoryLayout<T>.size)
        return T(bigEndian: bytes.loadUnaligned(fromByteOffset: place.lowerBound, as: T.self))
    }

    mutating func uint8() throws(PgOutputError) -> UInt8 { try integer(UInt8.self) }
    mutating func uint16() throws(PgOutputError) -> UInt16 { try integer(UInt16.self) }
    mutating func uint32() throws(PgOutputError) -> UInt32 { try integer(UInt32.self) }
    mutating func uint64() throws(PgOutputError) -> UInt64 { try integer(UInt64.self) }

    mutating func string() throws(PgOutputError) -> String {
        guard let end = bytes[position...].firstIndex(of: 0) else {
            throw PgOutputError(description: "a pgoutput string without its end")
        }
        let text = bytes[try take(end - position)]
        _ = try uint8()
        return String(decoding: text, as: UTF8.self)
    }

    mutating func relation() throws(PgOutputError) -> PgOutputRelation {
        let oid = try uint32()
        let schema = try string()
        let name = try string()
        _ = try uint8()
        var columns: [(name: String, typeOID: UInt32)] = []
        for _ in 0..<(try uint16()) {
            _ = try uint8()
            let column = try string()
            let type = try uint32()
            _ = try uint32()
            columns.append((column, type))
        }
        return PgOutputRelation(oid: oid, schema: schema, name: name, columns: columns)
    }

    mutating func read(_ cells: inout [PgOutputCell]) throws(PgOutputError) {
        cells.removeAll(keepingCapacity: true)
        for _ in 0..<(try uint16()) {
            switch try uint8() {
            case UInt8(ascii: "n"): cells.append(nil)
            case UInt8(ascii: "t"): cells.append(try take(Int(try uint32())))
            case let kind: throw PgOutputError(description: "a cell of kind \(kind) in a new row")
            }
        }
    }
}
