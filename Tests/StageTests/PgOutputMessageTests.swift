// The messages of pgoutput, made by hand from the manual's tables: whole, cut short, and of kinds that a feed of inserts
// passes over.

import Measurement
import Postgres
import Testing

@testable import ChangeFeed

/// Big-endian fields, one after another.
private func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
private func zeroEnded(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

private let begin =
    [UInt8(ascii: "B")] + big(UInt64(0x16_B374_D848)) + big(Int64(785_000_000_000_001)) + big(UInt32(731))
private let commit =
    [UInt8(ascii: "C"), 0] + big(UInt64(0x16_B374_D848)) + big(UInt64(0x16_B374_D900)) + big(Int64(785_000_000_000_001))
private let relation =
    [UInt8(ascii: "R")] + big(UInt32(16_400)) + zeroEnded("trades") + zeroEnded("executions") + [UInt8(ascii: "d")]
    + big(UInt16(2)) + [1] + zeroEnded("execution_id") + big(UInt32(20)) + big(Int32(-1))
    + [0] + zeroEnded("préis") + big(UInt32(1700)) + big(Int32(1_179_656))
private let insert =
    [UInt8(ascii: "I")] + big(UInt32(16_400)) + [UInt8(ascii: "N")] + big(UInt16(3)) + [UInt8(ascii: "t")]
    + big(UInt32(3)) + Array("123".utf8) + [UInt8(ascii: "n")] + [UInt8(ascii: "t")] + big(UInt32(0))

private func read(_ message: [UInt8], _ cells: inout [PgOutputCell]) throws -> PgOutputMessage {
    try message.withUnsafeBytes { try PgOutputMessage($0, cells: &cells) }
}
private func read(_ message: [UInt8]) throws -> PgOutputMessage {
    var cells: [PgOutputCell] = []
    return try read(message, &cells)
}

@Suite struct PgOutputMessageTests {
    @Test func `each message is read as the manual lays it out`() throws {
        #expect(
            try read(begin)
                == .begin(finalLSN: LSN(rawValue: 0x16_B374_D848), commitTimeUs: 785_000_000_000_001, transaction: 731))
        #expect(try read(commit) == .commit(endLSN: LSN(rawValue: 0x16_B374_D900)))
        #expect(
            try read(relation)
                == .relation(
                    PgOutputRelation(
                        oid: 16_400, schema: "trades", name: "executions",
                        columns: [("execution_id", 20), ("préis", 1700)])))
        var cells: [PgOutputCell] = [1..<2]
        #expect(try read(insert, &cells) == .insert(relation: 16_400) && cells == [13..<16, nil, 22..<22])
    }

    @Test func `every truncation is an error that says so`() {
        for message in [begin, commit, relation, insert] {
            // What follows the last field that we read is not looked at.
            let needed =
                message.first == UInt8(ascii: "B") ? 17 : message.first == UInt8(ascii: "C") ? 18 : message.count
            for length in 0..<needed {
                let error = #expect(throws: PgOutputError.self) { try read(Array(message.prefix(length))) }
                #expect(error?.description.isEmpty == false)
            }
        }
    }

    @Test(arguments: ["U", "D", "T", "O", "Y", "M", "z"]) func `other messages are passed over`(_ kind: String) throws {
        let byte = try #require(kind.utf8.first)
        #expect(try read([byte, 1, 2, 3]) == .other(kind: byte))
    }

    @Test func `an insert without a new row, and cells that a new row can't have, are errors`() {
        var old = insert
        old[5] = UInt8(ascii: "O")
        #expect(throws: PgOutputError.self) { try read(old) }
        for kind in [UInt8(ascii: "u"), UInt8(ascii: "b"), 0] {
            var other = insert
            other[8] = kind
            #expect(throws: PgOutputError.self) { try read(other) }
        }
    }

    @Test func `lengths beyond the message are errors, however large`() {
        for length: UInt32 in [4_000, 0x7FFF_FFFF, 0xFFFF_FFFF] {
            var long = insert
            long.replaceSubrange(9..<13, with: big(length))
            #expect(throws: PgOutputError.self) { try read(long) }
        }
        var many = insert
        many.replaceSubrange(6..<8, with: big(UInt16.max))
        #expect(throws: PgOutputError.self) { try read(many) }
    }

    @Test func `random bytes never crash the reader`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("fuzzing pgoutput with seed \(seed)")
        var random = SeededRandom(seed: seed)
        for round in 0..<20_000 {
            var bytes = [begin, commit, relation, insert][round % 4]
            for _ in 0..<random.integer(in: 1...6) {
                bytes[Int(random.integer(in: 1...Int64(bytes.count - 1)))] = UInt8(random.integer(in: 0...255))
            }
            var cells: [PgOutputCell] = []
            if case .insert? = try? read(bytes, &cells) {
                for case let cell? in cells { #expect(cell.upperBound <= bytes.count, "seed \(seed)") }
            }
        }
    }
}
