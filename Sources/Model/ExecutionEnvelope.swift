// The message that carries an execution: a CockroachDB changefeed's envelope, whichever database feeds it. Our own feed writes
// the wrapped one; wrapped, enriched and bare ones are read.

internal import CEnvelope
internal import Digits

/// What one message says.
public enum ExecutionMessage: Sendable, Equatable {
    case execution(Execution)
    /// `{"after": null}`, a bare row without its columns, or no value at all: the row is gone. Executions are never deleted, so
    /// nothing follows from it.
    case deleted
    /// `{"resolved": "…"}`, or the same within `__crdb__`: a feed's progress mark.
    case resolved
    /// Not an envelope of an execution; names the field at fault.
    case malformed(field: String)
}

/// Decodes envelopes. One per thread: it keeps its buffers from message to message.
public final class EnvelopeDecoder {
    /// Freed in `deinit`; used only by the thread that owns this object.
    private let parser: OpaquePointer

    public init() {
        guard let parser = envelope_parser_new() else { preconditionFailure("out of memory") }
        self.parser = parser
    }

    deinit { envelope_parser_free(parser) }

    /// Decodes one message value. An empty value is a tombstone.
    public func decode(_ value: UnsafeRawBufferPointer) -> ExecutionMessage {
        if value.isEmpty { return .deleted }
        var row = envelope_row()
        switch envelope_parse(parser, value.baseAddress, value.count, &row) {
        case ENVELOPE_ROW:
            return read(row)
        case ENVELOPE_DELETED: return .deleted
        case ENVELOPE_RESOLVED: return .resolved
        default: return .malformed(field: row.fault.map { String(cString: $0) } ?? "JSON")
        }
    }

    /// The block code that a message names, whatever else is wrong with it, so that it need not be JSON; nil if it names none.
    public static func blockCode(in value: UnsafeRawBufferPointer) -> String? {
        let text = String(decoding: value, as: UTF8.self)
        guard let name = text.firstRange(of: "\"block_order_code\"") else { return nil }
        let rest = text[name.upperBound...].drop { ": \t\n\r".contains($0) }
        guard rest.first == "\"" else { return nil }
        let code = rest.dropFirst().prefix { $0 != "\"" && $0 != "\\" }
        return code.isEmpty ? nil : String(code)
    }

    /// Checks what the parser found, as the table's own checks have it: a row that says two things at once is none.
    private func read(_ row: envelope_row) -> ExecutionMessage {
        guard row.execution_id > 0 else { return .malformed(field: "after.execution_id") }
        guard row.block_order_id > 0 else { return .malformed(field: "after.block_order_id") }
        guard let type = ExecType(rawValue: Int64(row.exec_type)) else { return .malformed(field: "after.exec_type") }
        // No block is larger, and sums of what is larger would leave 64 bits.
        let quantities = 1...QuotaApportionment.totalMaximum
        guard quantities.contains(row.order_quantity) else { return .malformed(field: "after.order_quantity") }
        let isTrade = type == .trade
        guard isTrade ? quantities.contains(row.quantity) : row.quantity == 0 else {
            return .malformed(field: "after.quantity")
        }
        let digits = UnsafeBufferPointer(start: row.price, count: row.price_length)
        guard let price = Price(decimal: digits), (price.ticks > 0) == isTrade else {
            return .malformed(field: "after.price")
        }
        let isBust = type == .tradeCancel
        guard isBust ? row.exec_ref_id > 0 : row.exec_ref_id == 0 else { return .malformed(field: "after.exec_ref_id") }
        // A cancel or replace makes a version of the order; anything else only repeats it.
        let isChange = type == .canceled || type == .replaced
        guard row.order_version >= (isChange ? 1 : 0) else { return .malformed(field: "after.order_version") }
        return .execution(
            Execution(
                id: ExecutionID(row.execution_id), type: type, reference: isBust ? ExecutionID(row.exec_ref_id) : nil,
                blockOrder: BlockOrderID(row.block_order_id), orderVersion: row.order_version,
                orderQuantity: row.order_quantity, quantity: row.quantity, price: price))
    }
}

/// How one column of a published row stands in the envelope.
public struct EnvelopeColumn: Sendable, Hashable {
    public enum Kind: Sendable {
        /// Stands bare, digit for digit: `26.3000`.
        case number
        /// Stands in quotes.
        case text
        /// PostgreSQL's `2024-11-14 14:30:00.5+00` becomes CockroachDB's `2024-11-14T14:30:00.5Z`.
        case timestamp
    }

    public let name: String
    public let kind: Kind

    public init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }

    /// `"name": `, or `, "name": ` behind another column.
    public func prefix(isFirst: Bool) -> [UInt8] { Array("\(isFirst ? "" : ", ")\"\(name)\": ".utf8) }
}

/// Encodes envelopes into buffers that it keeps, without Foundation: this is the feed's hot path.
public struct EnvelopeEncoder: Sendable {
    public private(set) var key: [UInt8] = []
    public private(set) var value: [UInt8] = []
    /// How the last envelope ended, and its commit time: a transaction's rows all end alike.
    private var ending: [UInt8] = []
    private var endingNanoseconds: Int64?

    public init() {
        key.reserveCapacity(64)
        value.reserveCapacity(512)
    }

    /// Starts an envelope whose topic key is the JSON array that a changefeed makes of `keyColumn`: `["B1"]` or `[17]`.
    public mutating func begin(keyColumn: UnsafeRawBufferPointer, kind: EnvelopeColumn.Kind = .text) {
        key.removeAll(keepingCapacity: true)
        key.append(UInt8(ascii: "["))
        if kind == .number {
            key.append(contentsOf: keyColumn)
        } else {
            appendString(keyColumn, to: &key)
        }
        key.append(UInt8(ascii: "]"))
        value.removeAll(keepingCapacity: true)
        append(#"{"after": {"#)
    }

    /// Adds a column from its text; nil is null. Columns come in the alphabetical order of their names, as CockroachDB has it.
    /// - Parameter prefix: the column's, made once and not for every row.
    public mutating func append(
        prefix: UnsafeRawBufferPointer, kind: EnvelopeColumn.Kind, text: UnsafeRawBufferPointer?
    ) {
        value.append(contentsOf: prefix)
        guard let text else { return append("null") }
        switch kind {
        case .number: value.append(contentsOf: text)
        case .text: appendString(text, to: &value)
        case .timestamp: appendTimestamp(text)
        }
    }

    /// Ends the envelope with the commit time, in nanoseconds since 1970.
    public mutating func end(updatedNanoseconds: Int64) {
        if updatedNanoseconds != endingNanoseconds {
            ending.removeAll(keepingCapacity: true)
            ending.append(contentsOf: #"}, "updated": ""#.utf8)
            ending.append(decimal: updatedNanoseconds.magnitude)
            ending.append(contentsOf: #".0000000000"}"#.utf8)
            endingNanoseconds = updatedNanoseconds
        }
        value.append(contentsOf: ending)
    }

    private mutating func append(_ text: StaticString) {
        value.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func appendTimestamp(_ text: UnsafeRawBufferPointer) {
        let isUTC = text.count > 3 && text.suffix(3).elementsEqual("+00".utf8)
        value.append(UInt8(ascii: "\""))
        let start = value.count
        value.append(contentsOf: UnsafeRawBufferPointer(rebasing: isUTC ? text.dropLast(3) : text[...]))
        if isUTC { value.append(UInt8(ascii: "Z")) }
        if let space = text.firstIndex(of: UInt8(ascii: " ")) { value[start + space] = UInt8(ascii: "T") }
        value.append(UInt8(ascii: "\""))
    }

    private func appendString(_ text: UnsafeRawBufferPointer, to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "\""))
        let isPlain = !text.contains { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }
        if isPlain {
            buffer.append(contentsOf: text)
            buffer.append(UInt8(ascii: "\""))
            return
        }
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                buffer.append(UInt8(ascii: "\\"))
                buffer.append(byte)
            case 0..<0x20:
                let hexadecimal = Array("0123456789abcdef".utf8)
                buffer.append(contentsOf: Array("\\u00".utf8))
                buffer.append(hexadecimal[Int(byte >> 4)])
                buffer.append(hexadecimal[Int(byte & 15)])
            default: buffer.append(byte)
            }
        }
        buffer.append(UInt8(ascii: "\""))
    }
}
