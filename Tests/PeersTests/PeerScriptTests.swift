// What other people's programs are given to run, and what is read out of what they say.

import Allocations
import Diagnostics
import Model
import Testing

@testable import allocbench_peers

@Suite struct PeerScriptTests {
    @Test func `pgbench gets the workers' statements with its own words for the parameters`() {
        let script = PgbenchPair(.full, .tiny).script(firstBlock: 101)
        #expect(script.contains("\\set block 101 + :client_id + 16 * (:n % 2)\n"))
        #expect(script.contains("SET next_offset = :next::INT8"))
        #expect(script.contains("(VALUES (:execution::INT8, :block::INT8, :quantity::INT8, :ticks::INT8, :n::INT8))"))
        #expect(script.contains("BEGIN;\n") && script.hasSuffix("COMMIT;\n"))
        // A parameter that is left, or a colon that pgbench would take for a variable's, is a fault at the first execution.
        #expect(!script.contains("$") && !script.contains("--"))
        // An empty statement would be a round trip of its own.
        #expect(!script.contains(";;") && !script.contains(";\n;"))
        let pipelined = PgbenchPair(.pipelined, .tiny).script(firstBlock: 101)
        #expect(pipelined.split(separator: "\n").count { $0 == "COMMIT;" } == 8)
        let fills = PgbenchPair(.fills, .tiny).script(firstBlock: 101)
        #expect(!fills.contains("COMMIT") && !fills.contains("allocations.snapshots"))
        #expect(fills.contains("unnest(ARRAY[:execution]::INT8[], ARRAY[:block]::INT8[]"))
    }

    @Test func `pgbench's rate is the one without connecting`() {
        let output = """
            tps = 1.500000 (including connections establishing)
            tps = 5123.456789 (without initial connection time)
            """
        #expect(PgbenchPair.rate(in: output) == 5123.456789)
        #expect(PgbenchPair.rate(in: "no tps") == nil)
    }

    @Test func `psql's time is from the first mark to the last`() throws {
        let outputs = ["begun 1000000\nended 3000000\n", "begun 1500000\nrow\nended 4000000\n"]
        let (seconds, rest) = try PsqlScript.read(outputs)
        #expect(seconds == 3 && rest == ["row"])
        #expect(throws: OperatingError.self) { try PsqlScript.read(["begun 1000000\n"]) }
    }

    private static let book = BlockBook(blocks: [
        Block(
            id: BlockOrderID(7), code: "B7", accounts: [AccountID(1), AccountID(2)],
            division: BlockDivision(
                policy: .proRata, lotSize: 1, minimumTicketLots: 1, ordered: [100, 300], arrivals: [1, 2]))
    ])

    private static func rows(_ partition: Int64, _ quantities: [Int64]) -> [CapturedRow] {
        quantities.enumerated().map { index, quantity in
            CapturedRow(
                partition: partition, offset: Int64(index), execution: Int64(index) + 1, block: 7, quantity: quantity,
                ticks: 500_000)
        }
    }

    @Test func `a batch file fills in batches and takes the snapshots that follow`() {
        let text = PsqlPair.batches([Self.rows(3, [40, 40, 320])], [3], Self.book, size: 2)
        #expect(text.contains("EXECUTE advance_offset('executions', 3, 0, 0, 2);"))
        #expect(text.contains("EXECUTE capture_trades(3, '{1,2}', '{7,7}', '{40,40}', '{500000,500000}', '{0,1}');"))
        #expect(text.contains("EXECUTE capture_trades(3, '{3}', '{7}', '{320}', '{500000}', '{2}');"))
        // 80 of 400 isn't a quarter yet; then it is all.
        let notFirst = "'{0}', '{0}', '{0}', '{400}', '{0}', '{0}', '{0}', '{0}', '{0}'"
        #expect(text.contains("EXECUTE move_blocks('{7}', '{80}', '{40000000}', '{2}', \(notFirst));"))
        let then = "'{80}', '{40000000}', '{2}', '{400}', '{0}', '{0}', '{0}', '{1}', '{1}'"
        #expect(text.contains("EXECUTE move_blocks('{7}', '{320}', '{160000000}', '{1}', \(then));"))
        #expect(text.split(separator: "\n").count { $0.hasPrefix("EXECUTE record_snapshots(") } == 1)
        #expect(text.contains("EXECUTE record_snapshots('{7}', '{1}', '{400}', '{200000000}', '{500000}', '{1}');"))
        let accounts = "'{7,7}', '{1,2}', '{1,1}', '{100,300}', '{100,300}', '{500000,500000}'"
        #expect(text.contains("EXECUTE allocate(\(accounts));"))
        #expect(text.contains("EXECUTE request_bookings('{7}', '{1}');"))
    }

    @Test func `a cycle file stages all partitions, then processes them`() {
        let text = PsqlPair.cycles([Self.rows(0, [200]), Self.rows(2, [200])], [0, 2], Self.book, size: 8)
        #expect(text.contains("EXECUTE advance_offset('executions', 2, 0, 0, 1);"))
        #expect(text.contains("FROM STDIN;\n0\t0\t1\t1\t0\t7\t0\t0\t200\t500000\n2\t0\t1\t"))
        let cycle = """
            EXECUTE hold_partitions('executions', '{0,2}', '{0,0}');
            EXECUTE capture_staged('{0,2}', 2);
            EXECUTE move_blocks('{7}', '{400}', '{200000000}', '{2}', '{0}',
            """
        #expect(text.contains("\\.\nCOMMIT;\nBEGIN;\n\(cycle)"))
    }
}
