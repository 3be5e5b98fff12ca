// The envelope between feeds and workers: what CockroachDB documents, what our feed writes, and everything that is neither.

import Measurement
import Model
import Testing

/// Decodes one text; a decoder of its own, as a worker has.
private func decode(_ text: String) -> ExecutionMessage { decode(Array(text.utf8)) }
private func decode(_ bytes: [UInt8], with decoder: EnvelopeDecoder = EnvelopeDecoder()) -> ExecutionMessage {
    bytes.withUnsafeBytes { decoder.decode($0) }
}

private func execution(_ id: Int64 = 7, _ block: Int64 = 3, _ quantity: Int64 = 250, _ ticks: Int64 = 263_000)
    -> ExecutionMessage
{
    .execution(
        Execution(
            id: ExecutionID(id), blockOrder: BlockOrderID(block), orderVersion: 1, orderQuantity: 5_000,
            quantity: quantity, price: Price(ticks: ticks)))
}

private let columns = [
    "block_order_id": "3", "exec_ref_id": "null", "exec_type": "\"TRADE\"", "execution_id": "7",
    "order_quantity": "5000",
    "order_version": "1", "price": "26.30", "quantity": "250",
]

/// A row with some columns set otherwise, as `after` holds it; columns named in `without` are missing.
private func row(_ changes: [String: String] = [:], without: String? = nil, code: String = "B1") -> String {
    let fields = columns.merging(changes) { $1 }.filter { $0.key != without }.sorted { $0.key < $1.key }
    return "{"
        + (["\"block_order_code\": \"\(code)\""] + fields.map { "\"\($0.key)\": \($0.value)" }).joined(separator: ", ")
        + "}"
}

/// An envelope with the given numbers behind `after`.
private func envelope(
    _ id: String = "7", _ block: String = "3", _ quantity: String = "250", _ price: String = "26.30"
) -> String {
    let changes = ["execution_id": id, "block_order_id": block, "quantity": quantity, "price": price]
    return #"{"after": \#(row(changes))}"#
}

/// An envelope with some columns set otherwise.
private func envelope(_ changes: [String: String], without: String? = nil) -> String {
    #"{"after": \#(row(changes, without: without))}"#
}

/// What stands in every row besides `execution_id`, `quantity`, `price` and `block_order_id`.
private let rest = #""exec_type":"TRADE","exec_ref_id":null,"order_version":1,"order_quantity":5000"#

/// The columns of a report that is no trade.
private func report(_ type: ExecType, _ changes: [String: String] = [:]) -> [String: String] {
    var report = ["exec_type": "\"\(type.word)\"", "quantity": "0", "price": "0.0000"]
    if type == .tradeCancel { report["exec_ref_id"] = "6" }
    return report.merging(changes) { $1 }
}

@Suite struct ExecutionEnvelopeTests {
    // MARK: What is an envelope

    @Test func `CockroachDB's wrapped envelope is read as its manual shows it`() {
        #expect(
            decode(
                #"{"after": {"block_order_code": "B20241114-0000003", "block_order_id": 3, "exec_ref_id": null, "#
                    + #""exec_type": "TRADE", "executed_at": "2024-11-14T14:30:00.5Z", "execution_id": 7, "#
                    + #""order_quantity": 5000, "order_version": 1, "price": 26.30, "quantity": 250}, "#
                    + #""updated": "1532377312562986715.0000000000"}"#) == execution())
    }

    @Test(arguments: [
        #"{"updated":"1.0","mvcc_timestamp":"1.0","before":null,"after":{"quantity":250,\#(rest),"price":26.30,"execution_id":7,"block_order_id":3}}"#,
        #"{ "after" : { \#(rest) , "execution_id" : 7 , "price" : 26.3 , "quantity" : 250 , "block_order_id" : 3 } }"#,
        "{\"after\":\n\t{\"execution_id\":7,\r\n\"price\":26.3000\n,\"quantity\":250,\"block_order_id\":3,\n\(rest)\t}}\n",
        #"{"after":{"x":{"quantity":1,"y":[1,{"price":2}]},"execution_id":7,"price":26.3,"quantity":250,"block_order_id":3,"z":null,\#(rest)}}"#,
        #"{"after":{"execution_id":7,"price":"26.30","quantity":250,"block_order_id":3,\#(rest)},"before":{"quantity":1}}"#,
        #"{"after":{"execution_id":7,"price":26.300000000,"quantity":250,"block_order_id":3,\#(rest)},"op":"c","ts_ns":1}"#,
        #"{"after":{"execution\u005fid":7,"price":26.3,"quantity":250,"block_order_id":3,\#(rest)}}"#,
        #"{"after":{"exec_type":"\u0054RADE","exec_ref_id": null ,"order_version":1,"order_quantity":5000,"execution_id":7,"price":26.3,"quantity":250,"block_order_id":3}}"#,
    ]) func `order, blanks, further fields and a quoted price make no difference`(_ text: String) {
        #expect(decode(text) == execution())
    }

    @Test func `each type of report is read with what belongs to it`() {
        func message(_ type: ExecType, _ reference: Int64? = nil) -> ExecutionMessage {
            .execution(
                Execution(
                    id: ExecutionID(7), type: type, reference: reference.map { ExecutionID($0) },
                    blockOrder: BlockOrderID(3), orderVersion: 1, orderQuantity: 5_000))
        }
        #expect(decode(envelope([:])) == execution())
        #expect(decode(envelope(report(.tradeCancel))) == message(.tradeCancel, 6))
        #expect(decode(envelope(report(.canceled))) == message(.canceled))
        #expect(decode(envelope(report(.replaced))) == message(.replaced))
        // However a feed writes the price of nothing.
        for zero in ["0", "0.0", "\"0.0000\""] {
            #expect(decode(envelope(report(.canceled, ["price": zero]))) == message(.canceled), "\(zero)")
        }
        // A bust may name any execution, and an order that was never changed.
        let unknown = report(.tradeCancel, ["exec_ref_id": "\(Int64.max)", "order_version": "0"])
        guard case .execution(let bust) = decode(envelope(unknown)) else {
            Issue.record("a bust of an unknown execution wasn't read")
            return
        }
        #expect(bust.reference == ExecutionID(Int64.max) && bust.orderVersion == 0)
    }

    @Test func `deletions and resolved marks are told apart from rows`() {
        #expect(decode(#"{"after": null}"#) == .deleted)
        #expect(decode(#"{"after":null,"before":{"execution_id":7},"updated":"1.0"}"#) == .deleted)
        #expect(decode("") == .deleted)
        #expect(decode(#"{"resolved":"1532377312562986715.0000000000"}"#) == .resolved)
        #expect(decode(#"{"__crdb__":{"x":1},"resolved":"1.0"}"#) == .resolved)
    }

    @Test func `a row beside a resolved mark is no mark`() {
        #expect(decode(#"{"resolved":"1.0",\#(envelope().dropFirst())"#) == .malformed(field: "resolved"))
        #expect(decode(#"\#(envelope().dropLast()),"resolved":"1.0"}"#) == .malformed(field: "resolved"))
    }

    @Test func `the largest numbers that the tables hold are read`() {
        let id = Int64.max
        #expect(
            decode(envelope("\(id)", "\(id)", "2000000000", "99999999999999.9999"))
                == execution(id, id, 2_000_000_000, 999_999_999_999_999_999))
        #expect(decode(envelope("1", "1", "1", "0.0001")) == execution(1, 1, 1, 1))
    }

    // MARK: What is none

    @Test(arguments: [
        "-26.30", "2.63e1", "26.30001", "null", "0", "0.0000", "\"\"", "\"-1\"", "\"26.30", "\"12\\u002e5\"", "[26]",
        "{}", "true", "100000000000000", "26.", ".5", "+1", "NaN", "26.30x", "\"26.30 \"",
    ]) func `a price that is no plain decimal above zero is named`(_ price: String) {
        let message = decode(envelope("7", "3", "250", price))
        guard case .malformed(let field) = message else {
            Issue.record("\(price) became \(message)")
            return
        }
        #expect(["after.price", "after", "JSON"].contains(field), "\(price): \(field)")
    }

    @Test(arguments: [
        "0", "-1", "250.0", "2.5e2", "\"250\"", "null", "true", "[250]", "{}", "9223372036854775808",
        "123456789012345678901234567890", "2000000001", "007",
    ]) func `a quantity that is no whole number of shares is named`(_ quantity: String) {
        #expect(decode(envelope("7", "3", quantity)) == .malformed(field: "after.quantity"))
    }

    @Test(arguments: ["0", "-7", "1.5", "\"7\"", "null", "9223372036854775808", "{}"])
    func `a key that is no whole number above zero is named`(_ key: String) {
        #expect(decode(envelope(key)) == .malformed(field: "after.execution_id"))
        #expect(decode(envelope("7", key)) == .malformed(field: "after.block_order_id"))
    }

    @Test(arguments: columns.keys.sorted(), ExecType.allCases)
    func `a missing field is named, whatever the type`(_ name: String, _ type: ExecType) {
        let changes = type == .trade ? [:] : report(type)
        #expect(decode(envelope(changes, without: name)) == .malformed(field: "after.\(name)"))
    }

    @Test(arguments: ["\"FILL\"", "\"trade\"", "\"\"", "\"TRADE \"", "null", "1", "[]", "{}", "true"])
    func `a type that no report has is named`(_ word: String) {
        #expect(decode(envelope(["exec_type": word])) == .malformed(field: "after.exec_type"))
    }

    @Test(arguments: ["-1", "1.5", "\"1\"", "true", "[1]", "{}", "9223372036854775808"], ExecType.allCases)
    func `a reference, version or quantity of the order that is no such number is named, whatever the type`(
        _ number: String, _ type: ExecType
    ) {
        for column in ["exec_ref_id", "order_version", "order_quantity"] {
            let changes = (type == .trade ? [:] : report(type)).merging([column: number]) { $1 }
            #expect(decode(envelope(changes)) == .malformed(field: "after.\(column)"), "\(column)")
        }
    }

    @Test(arguments: [
        // A bust names an execution, and nothing else does.
        (ExecType.tradeCancel, "exec_ref_id", "null"), (.tradeCancel, "exec_ref_id", "0"), (.trade, "exec_ref_id", "6"),
        (.canceled, "exec_ref_id", "6"), (.replaced, "exec_ref_id", "6"),
        // Only a trade has shares and a price.
        (.tradeCancel, "quantity", "250"), (.canceled, "quantity", "1"), (.replaced, "quantity", "250"),
        (.tradeCancel, "price", "26.30"), (.canceled, "price", "0.0001"), (.replaced, "price", "26.30"),
        (.canceled, "price", "null"), (.replaced, "price", "-0"), (.tradeCancel, "price", "0e0"),
        (.canceled, "quantity", "null"), (.canceled, "quantity", "-1"),
        // A cancel or replace is a version of its order.
        (.canceled, "order_version", "0"), (.replaced, "order_version", "0"), (.replaced, "order_version", "null"),
        (.replaced, "order_quantity", "0"), (.canceled, "order_quantity", "0"), (.trade, "order_quantity", "0"),
        (.replaced, "order_quantity", "2000000001"), (.tradeCancel, "order_quantity", "null"),
    ]) func `what doesn't belong to its type is named`(_ type: ExecType, _ column: String, _ value: String) {
        let changes = (type == .trade ? [:] : report(type)).merging([column: value]) { $1 }
        #expect(decode(envelope(changes)) == .malformed(field: "after.\(column)"))
    }

    @Test(arguments: [
        ("{}", "after"), (#"{"before":{}}"#, "after"), ("[]", "JSON object"),
        ("42", "JSON object"), (#""after""#, "JSON object"), (#"{"after":[]}"#, "after"), (#"{"after":7}"#, "after"),
        (#"{"after":"x"}"#, "after"), (#"{"after":nope}"#, "after"), (#"{"after":nul}"#, "after"),
        (#"{"after":true}"#, "after"),
    ]) func `what has no row where it should be names the place`(_ text: String, _ field: String) {
        #expect(decode(text) == .malformed(field: field))
    }

    @Test func `every truncation of an envelope is malformed`() {
        let whole = Array((envelope().dropLast() + #", "updated": "1532377312562986715.0000000000"}"#).utf8)
        #expect(decode(whole) == execution())
        for length in 1..<whole.count {
            guard case .malformed = decode(Array(whole.prefix(length))) else {
                Issue.record("\(length) of \(whole.count) bytes were taken for a message")
                continue
            }
        }
    }

    @Test(arguments: ["x", "{}", "]", "}", "null", ","]) func `anything behind the envelope is malformed`(
        _ tail: String
    ) {
        guard case .malformed = decode(envelope() + tail) else {
            Issue.record("\"\(tail)\" was overlooked")
            return
        }
    }

    @Test func `bytes that are no UTF-8, and a zero byte, are malformed`() {
        for byte: UInt8 in [0xFF, 0xC0, 0x80, 0x00] {
            var bytes = Array(envelope().utf8)
            guard let position = bytes.firstIndex(of: UInt8(ascii: "B")) else { return }
            bytes[position] = byte
            guard case .malformed = decode(bytes) else {
                Issue.record("byte \(byte) was overlooked")
                continue
            }
        }
    }

    // MARK: Size and depth

    @Test func `a message of a megabyte is read, and the next small one too`() {
        let decoder = EnvelopeDecoder()
        let padding = String(repeating: "x", count: 1_000_000)
        let large = Array((#"{"padding":"\#(padding)","# + envelope().dropFirst()).utf8)
        #expect(decode(large, with: decoder) == execution())
        #expect(decode(Array(envelope("8").utf8), with: decoder) == execution(8))
        #expect(decode([], with: decoder) == .deleted)
    }

    @Test func `deep nesting neither crashes nor hides the row`() {
        for depth in [10, 1_000, 100_000] {
            let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            let message = decode(#"{"x":\#(nested),\#(envelope().dropFirst())"#)
            let isExpected = message == execution() || (depth > 1_000 && message == .malformed(field: "JSON"))
            #expect(isExpected, "depth \(depth): \(message)")
            guard case .malformed = decode(String(repeating: #"{"after":"#, count: depth)) else {
                Issue.record("\(depth) open objects were taken for a message")
                continue
            }
        }
    }

    @Test func `random bytes and random edits never crash the decoder`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("fuzzing envelopes with seed \(seed)")
        var random = SeededRandom(seed: seed)
        let decoder = EnvelopeDecoder()
        let whole = Array(envelope().utf8)
        let alphabet = Array(#"{}[]",:.0123456789eE+-nultrfasx\ "#.utf8)
        var understood = 0
        for round in 0..<30_000 {
            var bytes = whole
            if round % 3 == 0 {
                bytes = (0..<random.integer(in: 1...80)).map { _ in UInt8(random.integer(in: 0...255)) }
            } else {
                for _ in 0..<random.integer(in: 1...4) {
                    let position = Int(random.integer(in: 0...Int64(bytes.count - 1)))
                    let letter = alphabet[Int(random.integer(in: 0...Int64(alphabet.count - 1)))]
                    switch random.integer(in: 0...2) {
                    case 0: bytes[position] = letter
                    case 1: bytes.insert(letter, at: position)
                    default: if bytes.count > 1 { bytes.remove(at: position) }
                    }
                }
            }
            if case .execution(let read) = decode(bytes, with: decoder) {
                understood += 1
                let isTrade = read.type == .trade
                #expect((read.quantity > 0) == isTrade && (read.price.ticks > 0) == isTrade, "seed \(seed)")
                #expect((read.reference != nil) == (read.type == .tradeCancel), "seed \(seed)")
                #expect(read.id.rawValue > 0 && read.orderQuantity > 0 && read.orderVersion >= 0, "seed \(seed)")
            }
        }
        #expect(understood > 0 && understood < 20_000, "seed \(seed)")
    }

    // MARK: Our own feed

    @Test func `what the feed writes is what the worker reads`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let decoder = EnvelopeDecoder()
        for _ in 0..<2_000 {
            let type = ExecType.allCases[Int(random.integer(in: 0...3))]
            let sent = Execution(
                id: ExecutionID(random.integer(in: 1...Int64.max)), type: type,
                reference: type == .tradeCancel ? ExecutionID(random.integer(in: 1...Int64.max)) : nil,
                blockOrder: BlockOrderID(random.integer(in: 1...Int64.max)),
                orderVersion: random.integer(in: 1...1_000), orderQuantity: random.integer(in: 1...2_000_000_000),
                quantity: type == .trade ? random.integer(in: 1...2_000_000_000) : 0,
                price: Price(ticks: type == .trade ? random.integer(in: 1...Price.maximum.ticks) : 0))
            #expect(decode(encode(sent, code: "B1").value, with: decoder) == .execution(sent), "seed \(seed)")
        }
    }

    @Test func `the envelope looks like CockroachDB's to the byte`() {
        let sent = Execution(
            id: ExecutionID(7), blockOrder: BlockOrderID(3), orderVersion: 1, orderQuantity: 5_000, quantity: 250,
            price: Price(ticks: 263_000))
        let (key, value) = encode(sent, code: "B20241114-0000003")
        #expect(String(decoding: key, as: UTF8.self) == #"["B20241114-0000003"]"#)
        #expect(
            String(decoding: value, as: UTF8.self)
                == #"{"after": {"block_order_code": "B20241114-0000003", "block_order_id": 3, "exec_ref_id": null, "#
                + #""exec_type": "TRADE", "executed_at": "2024-11-14T14:30:00.5Z", "execution_id": 7, "#
                + #""order_quantity": 5000, "order_version": 1, "price": 26.3000, "quantity": 250}, "#
                + #""updated": "1532377312562986715.0000000000"}"#)
    }

    @Test func `a code with quotes, backslashes and control characters stays one string`() {
        let sent = Execution(id: ExecutionID(1), blockOrder: BlockOrderID(1), quantity: 1, price: Price(ticks: 1))
        let (key, value) = encode(sent, code: "a\"b\\c\n\u{1f}é")
        #expect(String(decoding: key, as: UTF8.self) == #"["a\"b\\c\u000a\u001fé"]"#)
        #expect(decode(value) == .execution(sent))
    }

    @Test func `a null column is null, and a row without its price is malformed`() {
        var encoder = EnvelopeEncoder()
        "B1".utf8.withContiguousStorageIfAvailable { encoder.begin(keyColumn: UnsafeRawBufferPointer($0)) }
        for (position, name) in ["block_order_id", "execution_id", "price"].enumerated() {
            append(name == "price" ? nil : "7", EnvelopeColumn(name: name, kind: .number), at: position, to: &encoder)
        }
        encoder.end(updatedNanoseconds: 0)
        #expect(
            String(decoding: encoder.value, as: UTF8.self)
                == #"{"after": {"block_order_id": 7, "execution_id": 7, "price": null}, "updated": "0.0000000000"}"#)
        guard case .malformed = decode(encoder.value) else {
            Issue.record("a row without quantity was taken")
            return
        }
    }

    @Test(arguments: [
        (#"{"after": {"block_order_code": "B1", "execution_id": 1.5}}"#, "B1"), (#"{"block_order_code"  :"B2""#, "B2"),
        (#"{"block_order_code": null}"#, nil), (#"{"block_order_code": ""}"#, nil), (#"{"block_order_code"#, nil),
        ("[]", nil), ("", nil),
    ])
    func `a message that can't be read may still name its block`(text: String, code: String?) {
        #expect(Array(text.utf8).withUnsafeBytes { EnvelopeDecoder.blockCode(in: $0) } == code)
    }

    private func append(
        _ text: String?, _ column: EnvelopeColumn, at position: Int, to encoder: inout EnvelopeEncoder
    ) {
        column.prefix(isFirst: position == 0).withUnsafeBytes { prefix in
            Array((text ?? "").utf8).withUnsafeBytes {
                encoder.append(prefix: prefix, kind: column.kind, text: text == nil ? nil : $0)
            }
        }
    }

    /// Encodes as the feed does, from the text that the database gives.
    private func encode(_ execution: Execution, code: String) -> (key: [UInt8], value: [UInt8]) {
        var encoder = EnvelopeEncoder()
        Array(code.utf8).withUnsafeBytes { encoder.begin(keyColumn: $0) }
        let columns: [(String, EnvelopeColumn.Kind, String?)] = [
            ("block_order_code", .text, code), ("block_order_id", .number, "\(execution.blockOrder)"),
            ("exec_ref_id", .number, execution.reference?.description), ("exec_type", .text, execution.type.word),
            ("executed_at", .timestamp, "2024-11-14 14:30:00.5+00"), ("execution_id", .number, "\(execution.id)"),
            ("order_quantity", .number, "\(execution.orderQuantity)"),
            ("order_version", .number, "\(execution.orderVersion)"), ("price", .number, execution.price.description),
            ("quantity", .number, "\(execution.quantity)"),
        ]
        for (position, column) in columns.enumerated() {
            append(column.2, EnvelopeColumn(name: column.0, kind: column.1), at: position, to: &encoder)
        }
        encoder.end(updatedNanoseconds: 1_532_377_312_562_986_715)
        return (encoder.key, encoder.value)
    }
}
