// The message that carries an execution: CockroachDB's wrapped changefeed envelope, whichever database feeds it.

internal import CEnvelope

/// What one message says.
public enum ExecutionMessage: Sendable, Equatable {
    case execution(Execution)
    /// `{"after": null}` or no value at all: the row is gone. Executions are never deleted, so nothing follows from it.
    case deleted
    /// `{"resolved": "…"}`: a feed's progress mark.
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
            guard row.quantity > 0 else { return .malformed(field: "after.quantity") }
            let digits = UnsafeBufferPointer(start: row.price, count: row.price_length)
            guard let price = Price(decimal: digits), price.ticks > 0 else { return .malformed(field: "after.price") }
            return .execution(
                Execution(
                    id: ExecutionID(row.execution_id), blockOrder: BlockOrderID(row.block_order_id),
                    quantity: row.quantity, price: price))
        case ENVELOPE_DELETED: return .deleted
        case ENVELOPE_RESOLVED: return .resolved
        default: return .malformed(field: row.fault.map { String(cString: $0) } ?? "JSON")
        }
    }
}

/// Encodes envelopes into a buffer that it keeps, without Foundation: this is the feed's hot path.
public struct EnvelopeEncoder: Sendable {
    public private(set) var key: [UInt8] = []
    public private(set) var value: [UInt8] = []

    public init() {
        key.reserveCapacity(64)
        value.reserveCapacity(512)
    }

    /// Encodes one row from the texts of its columns, in the names and the alphabetical order that CockroachDB uses.
    /// - Parameters:
    ///   - columns: name and text of each column; `isNumber` tells which stand bare.
    ///   - keyColumn: the text of the column that keys the topic; it becomes the JSON array CockroachDB makes of it.
    ///   - updatedNanoseconds: commit time since 1970.
    public mutating func encode(
        columns: [(name: StaticString, isNumber: Bool)], texts: borrowing [UnsafeRawBufferPointer?],
        keyColumn: UnsafeRawBufferPointer, updatedNanoseconds: Int64
    ) {
        key.removeAll(keepingCapacity: true)
        key.append(UInt8(ascii: "["))
        appendString(keyColumn, to: &key)
        key.append(UInt8(ascii: "]"))

        value.removeAll(keepingCapacity: true)
        append(#"{"after": {"#)
        for index in columns.indices {
            if index > 0 { append(", ") }
            append("\"")
            append(columns[index].name)
            append("\": ")
            guard let text = texts[index] else {
                append("null")
                continue
            }
            if columns[index].isNumber { value.append(contentsOf: text) } else { appendString(text, to: &value) }
        }
        append(#"}, "updated": ""#)
        appendDecimal(updatedNanoseconds)
        append(#".0000000000"}"#)
    }

    private mutating func append(_ text: StaticString) {
        value.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func appendDecimal(_ number: Int64) {
        var digits: (UInt64, Int) = (number.magnitude, 0)
        let start = value.count
        if number < 0 { value.append(UInt8(ascii: "-")) }
        repeat {
            value.append(UInt8(ascii: "0") + UInt8(digits.0 % 10))
            digits.0 /= 10
            digits.1 += 1
        } while digits.0 > 0
        value[(start + (number < 0 ? 1 : 0))...].reverse()
    }

    private func appendString(_ text: UnsafeRawBufferPointer, to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "\""))
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
