// Goal: the digests by which runs are compared see what must be the same, and nothing else. Method: a clean run's tables,
// changed one at a time inside a transaction that is rolled back.

import Allocations
import Postgres
import Testing

@Suite struct FinalTableTests {
    @Test func `a final table that differs has another checksum, and history has none`() throws {
        try withCleanRun { run in
            let sums = run.outcome.checksums
            func changed(_ sql: String) throws -> [String] {
                let after = try run.changed(by: sql) { try AllocationsVerification.checksums(on: run.connection) }
                return sums.keys.filter { sums[$0] != after[$0] }.sorted()
            }
            let history = """
                UPDATE allocations.snapshots SET cum_quantity = 1 WHERE block_order_id = 2 AND snapshot_number = 1;
                UPDATE allocations.captured_trades SET was_reversed = false, topic_offset = 0;
                UPDATE allocations.block_bookings SET booked_at = now(), snapshot_number = 9;
                UPDATE allocations.account_audits SET allocated_at = now();
                DELETE FROM allocations.allocation_instructions
                """
            let byHistory = try changed(history)
            #expect(byHistory == [])
            let tables = [
                "block_bookings": "average_price = 1", "account_audits": "average_price = 1",
                "block_fills": "notional = 1",
                "settlement_instructions": "settlement_date = settlement_date + 1", "snapshots": "residual = 1",
                "captured_changes": "order_version = 9", "captured_trades": "price = 1",
            ]
            for (table, change) in tables {
                let differing = try changed("UPDATE allocations.\(table) SET \(change)")
                #expect(differing == [table])
            }
            let byMovements = try changed("UPDATE holdings.position_movements SET quantity = 1")
            #expect(byMovements == ["position_movements"])
            let byAllocations = try changed(
                "UPDATE allocations.allocations SET quantity_delta = 1 WHERE block_order_id = 2")
            #expect(byAllocations == ["allocations"])
        }
    }
}
