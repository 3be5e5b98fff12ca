// Goal: every envelope that CockroachDB's manual shows ("Changefeed Message Envelope" and "Changefeed Messages", v25.2) says the
// same as our own feed's. The examples are the manual's, with a row of ours in the place of its products and vehicles.

import Measurement
import Model
import Testing

private func decode(_ text: String, with decoder: EnvelopeDecoder = EnvelopeDecoder()) -> ExecutionMessage {
    Array(text.utf8).withUnsafeBytes { decoder.decode($0) }
}

private func decodeRequest(_ text: String) -> RequestMessage {
    Array(text.utf8).withUnsafeBytes { RequestDecoder().decode($0) }
}

/// The columns of an execution, as a bare envelope has them and as `after` holds them.
private let columns =
    #""block_order_code": "B20241114-0000003", "block_order_id": 3, "exec_ref_id": null, "exec_type": "TRADE", "#
    + #""executed_at": "2024-11-14T14:30:00.5Z", "execution_id": 7, "order_quantity": 5000, "order_version": 1, "#
    + #""price": 26.30, "quantity": 250"#
private let row = "{\(columns)}"
private let other = row.replacing("26.30", with: "22.30")

private let execution = ExecutionMessage.execution(
    Execution(
        id: ExecutionID(7), blockOrder: BlockOrderID(3), orderVersion: 1, orderQuantity: 5_000, quantity: 250,
        price: Price(ticks: 263_000)))

private let source =
    #"{"changefeed_sink": "kafka", "cluster_id": "585e6512-ea54-490a-8f1d-50c8d182a2e6", "cluster_name": "", "#
    + #""database_name": "test", "db_version": "v25.2.0-beta.2", "job_id": "1068153948173991937", "node_id": "1", "#
    + #""node_name": "localhost", "origin": "cockroachdb", "primary_keys": ["id"], "schema_name": "public", "#
    + #""source_node_locality": "", "table_name": "products", "ts_hlc": "1746045115619002000.0000000000", "#
    + #""ts_ns": 1746045115619002000}"#

private let schema =
    #"{"fields": [{"field": "after", "fields": [{"field": "execution_id", "optional": false, "type": "int64"}, "#
    + #"{"field": "price", "name": "decimal", "optional": false, "parameters": {"precision": "18", "scale": "4"}, "#
    + #""type": "float64"}], "name": "executions.after.value", "optional": false, "type": "struct"}, "#
    + #"{"field": "ts_ns", "optional": false, "type": "int64"}, {"field": "op", "optional": false, "type": "string"}], "#
    + #""name": "cockroachdb.envelope", "optional": false, "type": "struct"}"#

@Suite struct ChangefeedEnvelopeTests {
    // MARK: Rows

    @Test(arguments: [
        // Wrapped: by default, with updated, with key_in_value, with mvcc_timestamp.
        #"{"after": \#(row)}"#,
        #"{"after": \#(row), "updated": "1701102296662969433.0000000000"}"#,
        #"{"after": \#(row), "key": [7], "updated": "1701102296662969433.0000000000"}"#,
        #"{"after": \#(row), "key": [7], "topic": "executions"}"#,
        #"{"after": \#(row), "mvcc_timestamp": "1701102296662969433.0000000000", "updated": "1701102296662969434.0000000001"}"#,
        // Wrapped with diff: an update, and an insert.
        #"{"after": \#(row), "before": \#(other)}"#,
        #"{"after": \#(row), "before": null}"#,
    ]) func `a wrapped row is read with whatever options the changefeed has`(_ text: String) {
        #expect(decode(text) == execution)
    }

    @Test(arguments: [
        #"{"after": \#(row), "op": "c", "ts_ns": 1743792394409866000}"#,
        #"{"after": \#(row), "op": "c", "source": \#(source), "ts_ns": 1745527444910044000}"#,
        #"{"payload": {"after": \#(row), "op": "c", "ts_ns": 1745353048801146000}, "schema": \#(schema)}"#,
        #"{"payload": {"after": \#(row), "before": \#(other), "key": {"id": 7}, "op": "u", "source": \#(source), "ts_ns": 1747243394886231000}, "schema": \#(schema)}"#,
        #"{"schema": \#(schema), "payload": {"op": "c", "ts_ns": 1, "after": \#(row)}}"#,
    ]) func `an enriched row is read with source and schema, and without`(_ text: String) {
        #expect(decode(text) == execution)
    }

    @Test(arguments: [
        row,
        #"{"__crdb__": {"key": ["B20241114-0000003", 7]}, \#(columns)}"#,
        #"{"__crdb__": {"updated": "1701102296662969433.0000000000"}, \#(columns)}"#,
        #"{"__crdb__": {"topic": "executions"}, \#(columns)}"#,
        #"{\#(columns), "__crdb__": {"mvcc_timestamp": "1701102296662969433.0000000000"}}"#,
    ]) func `a bare row, which is also what envelope row writes, is read from the top`(_ text: String) {
        #expect(decode(text) == execution)
    }

    @Test func `a price is the decimal that was written in every envelope`() {
        // None of these is a binary fraction: through a Double the last ticks would be others.
        for (text, ticks) in [("26.30", 263_000), ("90071992547409.9305", 900_719_925_474_099_305), ("0.1", 1_000)] {
            let priced = row.replacing("26.30", with: text)
            for envelope in [#"{"after": \#(priced)}"#, #"{"payload": {"after": \#(priced)}, "schema": {}}"#, priced] {
                guard case .execution(let read) = decode(envelope) else {
                    Issue.record("\(envelope) wasn't read")
                    continue
                }
                #expect(read.price == Price(ticks: Int64(ticks)))
            }
        }
    }

    // MARK: Deletions and marks

    @Test(arguments: [
        #"{"after": null}"#, #"{"after": null, "key": [5]}"#,
        #"{"after": null, "before": \#(row), "updated": "1.0000000000"}"#,
        #"{"after": null, "op": "d", "ts_ns": 1745527444910044000}"#,
        #"{"payload": {"after": null, "before": \#(row), "op": "d", "ts_ns": 1}, "schema": \#(schema)}"#,
        // Bare: the row is null, or nothing but metadata, or nothing but its key.
        "null", " null\n", #"{"__crdb__": {"updated": "1701102296662969433.0000000000"}}"#,
        #"{"__crdb__": {"key": [7]}, "block_order_code": null, "block_order_id": null, "exec_ref_id": null, "exec_type": null, "executed_at": null, "execution_id": 7, "order_quantity": null, "order_version": null, "price": null, "quantity": null}"#,
        // A tombstone, as envelope row has it.
        "",
    ]) func `a deletion is one in every envelope`(_ text: String) {
        #expect(decode(text) == .deleted)
        #expect(decodeRequest(text.replacing("exec_type", with: "status")) == .deleted)
    }

    @Test(arguments: [
        #"{"resolved": "1532377312562986715.0000000000"}"#,
        #"{"__crdb__": {"resolved": "1532377312562986715.0000000000"}}"#,
        #"{"payload": {"resolved": "1532377312562986715.0000000000"}, "schema": {}}"#,
    ]) func `a resolved mark is one in every envelope`(_ text: String) {
        #expect(decode(text) == .resolved)
        #expect(decodeRequest(text) == .resolved)
    }

    @Test(arguments: [
        #"{"__crdb__": {"resolved": "1.0"}, \#(columns)}"#, #"{\#(columns), "resolved": "1.0"}"#,
        #"{"payload": {"resolved": "1.0", "after": \#(row)}, "schema": {}}"#,
        #"{"after": null, "resolved": "1.0"}"#,
    ]) func `a row or a deletion beside a mark is neither`(_ text: String) {
        #expect(decode(text) == .malformed(field: "resolved"))
    }

    // MARK: What is none

    @Test(arguments: [
        // The manual's own rows are of other tables.
        (#"{"after": {"id": 1, "name": "Terry", "office": "new york city"}, "key": [1]}"#, "after.execution_id"),
        (#"{"__crdb__": {"key": ["washington dc"]}, "city": "washington dc", "type": "bike"}"#, ""),
        (#"{"city": "los angeles", "type": "skateboard"}"#, "after"),
        (row.replacing("26.30", with: "null"), "price"), (row.replacing("26.30", with: "26.3e0"), "after.price"),
        (row.replacing(#""quantity": 250"#, with: #""quantity": "250""#), "quantity"),
        (row.replacing("TRADE", with: "DONE"), "exec_type"), (row.replacing(#""price": 26.30, "#, with: ""), "price"),
        (#"{"payload": [{"after": \#(row)}], "length": 1}"#, "payload"),
        (#"{"payload": {"payload": {"after": \#(row)}}}"#, "after"),
        (#"{"payload": {"after": {"execution_id": 7}}}"#, "after.exec_type"), (#"{"payload": null}"#, "payload"),
        (#"{"__crdb__": 1, \#(columns)}"#, "__crdb__"), (#"{"after": \#(row), "source": 1}"#, "source"),
        ("nul", "JSON object"), ("null x", ""), ("nullnull", ""),
    ]) func `what is no row of ours names the place`(_ text: String, _ field: String) {
        let message = decode(text)
        if field.isEmpty {
            if case .execution = message { Issue.record("\(text) was taken for an execution") }
        } else if case .malformed(let named) = message {
            #expect(named == field, "\(text)")
        } else {
            Issue.record("\(text): \(message)")
        }
    }

    @Test func `every truncation of an enriched or bare envelope is malformed`() {
        let decoder = EnvelopeDecoder()
        for whole in [
            #"{"payload": {"after": \#(row), "op": "c", "source": \#(source)}, "schema": {}}"#,
            #"{"__crdb__": {"updated": "1.0"}, \#(columns)}"#,
        ] {
            #expect(decode(whole, with: decoder) == execution)
            for length in 1..<whole.utf8.count {
                guard case .malformed = decode(String(whole.prefix(length)), with: decoder) else {
                    Issue.record("\(length) of \(whole.utf8.count) bytes were taken for a message")
                    continue
                }
            }
        }
    }

    @Test func `random edits of every envelope never crash the decoder, and what it takes is an execution`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("fuzzing changefeed envelopes with seed \(seed)")
        var random = SeededRandom(seed: seed)
        let decoder = EnvelopeDecoder()
        let wholes = [
            row, #"{"__crdb__": {"updated": "1.0"}, \#(columns)}"#,
            #"{"payload": {"after": \#(row), "op": "c", "source": \#(source)}, "schema": \#(schema)}"#,
            #"{"payload": {"resolved": "1.0"}, "__crdb__": {"resolved": "1.0"}}"#,
        ].map { Array($0.utf8) }
        let alphabet = Array(#"{}[]",:.0123456789eE+-nultrfasx\ "#.utf8)
        for round in 0..<8_000 {
            var bytes = wholes[round % wholes.count]
            for _ in 0..<random.integer(in: 1...4) {
                let position = Int(random.integer(in: 0...Int64(bytes.count - 1)))
                let letter = alphabet[Int(random.integer(in: 0...Int64(alphabet.count - 1)))]
                switch random.integer(in: 0...2) {
                case 0: bytes[position] = letter
                case 1: bytes.insert(letter, at: position)
                default: if bytes.count > 1 { bytes.remove(at: position) }
                }
            }
            if case .execution(let read) = bytes.withUnsafeBytes({ decoder.decode($0) }) {
                #expect((read.quantity > 0) == (read.type == .trade), "seed \(seed)")
                #expect(read.id.rawValue > 0 && read.orderQuantity > 0, "seed \(seed)")
            }
        }
    }

    // MARK: Requests

    private static let timedRequests: [(String, Int64?)] = [
        (#"{"after": ROW, "updated": "1746045115619002000.0000000000"}"#, 1_746_045_115_619_002_000),
        (#"{"after": ROW, "op": "c", "source": \#(source), "ts_ns": 5}"#, 1_746_045_115_619_002_000),
        (#"{"payload": {"after": ROW, "op": "c", "ts_ns": 5}, "schema": {}}"#, nil),
        (#"{"__crdb__": {"updated": "1746045115619002000.0000000000"}, COLUMNS}"#, 1_746_045_115_619_002_000),
        (#"{"after": ROW, "mvcc_timestamp": "7.0000000001"}"#, 7),
        (#"{"after": ROW, "mvcc_timestamp": "7.0000000001", "updated": "9.0000000000"}"#, 9),
        (#"{"after": ROW, "updated": "9.0000000000", "mvcc_timestamp": "7.0000000001"}"#, 9),
    ]

    @Test(arguments: timedRequests)
    func `a request brings the time of its commit, wherever the envelope has it`(_ text: String, _ committed: Int64?) {
        let columns =
            #""account_id": 5, "group_id": 2, "request_id": 17, "status": "PENDING", "trade_date": "2024-11-14""#
        let whole = text.replacing("ROW", with: "{\(columns)}").replacing("COLUMNS", with: columns)
        #expect(
            decodeRequest(whole)
                == .request(
                    RebalancingRequest(
                        id: RequestID(17), account: AccountID(5), group: 2, date: TradeDate(dayNumber: 20_041)),
                    committedAtNs: committed))
        #expect(decodeRequest(whole.replacing("PENDING", with: "ROUTED")) == .routed)
    }
}
