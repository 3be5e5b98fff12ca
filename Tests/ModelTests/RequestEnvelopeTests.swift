// Decoding of rebalancing requests: what is one, and the field that is named when it isn't.

import Measurement
import Model
import Testing

private func decode(_ text: String, with decoder: RequestDecoder = RequestDecoder()) -> RequestMessage {
    Array(text.utf8).withUnsafeBytes(decoder.decode)
}

private func request(_ id: Int64 = 17, _ account: Int64 = 5, _ group: Int64 = 2) -> RebalancingRequest {
    RebalancingRequest(
        id: RequestID(id), account: AccountID(account), group: group, date: TradeDate(dayNumber: 20_041))
}

private let fields = [
    ("account_id", "5"), ("group_id", "2"), ("request_id", "17"), ("status", #""PENDING""#),
    ("trade_date", #""2024-11-14""#),
]

/// The envelope of request 17, one column replaced or, with nil, left out.
private func envelope(_ name: String = "", _ text: String? = nil) -> String {
    let columns = fields.compactMap { field -> String? in
        if field.0 == name, text == nil { return nil }
        return "\"\(field.0)\": \(field.0 == name ? text ?? "" : field.1)"
    }
    return #"{"after": {\#(columns.joined(separator: ", "))}, "updated": "1731594600000000123.0000000000"}"#
}

@Suite struct RequestEnvelopeTests {
    @Test func `a request is read with the time of its commit`() {
        #expect(decode(envelope()) == .request(request(), committedAtNs: 1_731_594_600_000_000_123))
        #expect(
            decode(
                #"{"after":{"trade_date":"2024-11-14","x":[1],"request_id":17,"account_id":5,"status":"PENDING","group_id":2}}"#
            ) == .request(request(), committedAtNs: nil))
    }

    @Test func `a row that is routed, deletions and marks are told apart from requests`() {
        #expect(decode(envelope("status", #""ROUTED""#)) == .routed)
        #expect(decode(#"{"after": null, "updated": "1.0"}"#) == .deleted)
        #expect(decode("") == .deleted)
        #expect(decode(#"{"resolved":"1532377312562986715.0000000000"}"#) == .resolved)
    }

    @Test(arguments: [
        ("request_id", "0"), ("request_id", "-1"), ("request_id", #""17""#), ("request_id", "1.5"),
        ("account_id", "0"), ("account_id", "null"), ("group_id", "0"), ("group_id", "{}"),
        ("trade_date", #""2024-02-30""#), ("trade_date", "20241114"), ("trade_date", #""""#), ("trade_date", "null"),
        ("status", #""DONE""#), ("status", "1"), ("status", "null"),
    ]) func `a field that is wrong is named`(name: String, text: String) {
        #expect(decode(envelope(name, text)) == .malformed(field: "after.\(name)"))
    }

    @Test(arguments: ["request_id", "account_id", "group_id", "trade_date", "status"])
    func `a field that is missing is named`(name: String) {
        #expect(decode(envelope(name, nil)) == .malformed(field: "after.\(name)"))
    }

    @Test(arguments: ["now", "", ".5", "-1.0", "99999999999999999999.0", "9223372036854775808"])
    func `a commit time that is none is named`(updated: String) {
        let text = String(envelope().prefix { $0 != "}" }) + "}, \"updated\": \"\(updated)\"}"
        #expect(decode(text) == .malformed(field: "updated"))
    }

    @Test func `an execution is no request, and no truncation of a request is one`() {
        #expect(
            decode(#"{"after": {"block_order_id": 3, "execution_id": 7, "price": 26.3, "quantity": 250}}"#)
                == .malformed(field: "after.request_id"))
        let whole = envelope()
        for length in 1..<whole.count {
            guard case .malformed = decode(String(whole.prefix(length))) else {
                Issue.record("\(length) of \(whole.count) characters were taken for a message")
                continue
            }
        }
    }

    @Test func `random edits never crash the decoder, and what it takes is a request`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let decoder = RequestDecoder()
        let whole = Array(envelope().utf8)
        let alphabet = Array(#"{}[]",:.0123456789-nultrue\ "#.utf8)
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<random.integer(in: 1...4) {
                let position = Int(random.integer(in: 0...Int64(bytes.count - 1)))
                let letter = alphabet[Int(random.integer(in: 0...Int64(alphabet.count - 1)))]
                switch random.integer(in: 0...2) {
                case 0: bytes[position] = letter
                case 1: bytes.insert(letter, at: position)
                default: if bytes.count > 1 { bytes.remove(at: position) }
                }
            }
            if case .request(let read, _) = bytes.withUnsafeBytes(decoder.decode) {
                #expect(read.id.rawValue > 0 && read.account.rawValue > 0 && read.group > 0, "seed \(seed)")
            }
        }
    }
}
