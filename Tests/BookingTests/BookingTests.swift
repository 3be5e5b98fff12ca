// Goal: what is booked of a block is what its last snapshot says, whatever was booked before and however often; and positions
// can be put back. Every test makes its snapshots by hand and runs real workers on a real PostgreSQL.

import Booking
import Holdings
import Measurement
import Model
import Postgres
import Testing
import Threads

@Suite(.timeLimit(.minutes(5))) struct BookingTests {
    @Test func `a filled block is booked for every account, and those without shares are audited too`() throws {
        try withBookingBench { bench in
            try bench.addBlock(7, intended: [60, 40, 1], broker: "XYZ")
            try bench.hold(1, 7, 5)
            try bench.snapshot(7, [59, 42, 0], notional: "1010.05")
            let figures = try bench.book()
            #expect(figures.bookedBlockCount == 1)
            #expect(figures.accountBookingCount == 2)
            #expect(figures.transactionCount == 1)
            #expect(figures.latency.count == 1 && figures.latency.clippedCount == 0)
            #expect(
                try bench.lines("SELECT * FROM allocations.block_bookings").map { $0.split(separator: " ").prefix(10) }
                    == ["7 FILLED pro_rata 101 101 101 1010.0500 10.0005 -0.0005 1".split(separator: " ").prefix(10)])
            #expect(
                try bench.lines(
                    "SELECT block_order_id, account_id, intended_quantity, allocated_quantity, average_price FROM allocations.account_audits ORDER BY 2"
                )
                    == ["7 1 60 59 10.0005", "7 2 40 42 10.0005", "7 3 1 0 10.0005"])
            #expect(try bench.instructions == ["7-1-1 - NEW 59 10.0005", "7-2-1 - NEW 42 10.0005"])
            #expect(
                try bench.lines("SELECT * FROM allocations.settlement_instructions ORDER BY 2") == [
                    "7 1 7 BUY 59 10.0005 -590.0295 2024-11-18 XYZ", "7 2 7 BUY 42 10.0005 -420.0210 2024-11-18 XYZ",
                ])
            #expect(
                try bench.lines("SELECT DISTINCT target_broker FROM allocations.allocation_instructions") == ["XYZ"])
            #expect(try bench.positions == ["1 7 64", "2 7 42"])
            #expect(try bench.number("SELECT count(*) FROM allocations.booking_outbox") == 0)
            #expect(try bench.differences() == [])
        }
    }

    @Test func `a sale takes shares out of positions and brings money in`() throws {
        try withBookingBench { bench in
            try bench.addBlock(8, side: "SELL", intended: [60, 40])
            try bench.hold(1, 8, 60)
            try bench.hold(2, 8, 100)
            try bench.snapshot(8, [60, 40], notional: "250.00")
            try bench.book()
            #expect(try bench.positions == ["1 8 0", "2 8 60"])
            #expect(
                try bench.lines("SELECT account_id, net_money FROM allocations.settlement_instructions ORDER BY 1")
                    == ["1 150.0000", "2 100.0000"])
            #expect(
                try bench.lines("SELECT * FROM holdings.position_movements ORDER BY 2") == ["8 1 8 -60", "8 2 8 -40"])
            #expect(try bench.differences() == [])
        }
    }

    @Test(arguments: [SynchronousCommit.off, .local, nil])
    func `bookings wait for the disk as the configuration says`(_ setting: SynchronousCommit?) throws {
        try withBookingBench { bench in
            try bench.connection.execute(
                """
                CREATE TABLE seen (setting TEXT);
                CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NULL;
                END $$;
                CREATE TRIGGER see AFTER INSERT ON allocations.block_bookings FOR EACH STATEMENT EXECUTE FUNCTION see()
                """)
            try bench.addBlock(7, intended: [60])
            try bench.snapshot(7, [60], notional: "60.00")
            var plan = bench.plan()
            plan.synchronousCommit = setting
            _ = try BookingPool.run(plan, stop: bench.stop)
            let server = try bench.lines("SHOW synchronous_commit")
            #expect(try bench.lines("SELECT DISTINCT setting FROM seen") == (setting.map { [$0.rawValue] } ?? server))
        }
    }

    @Test func `booking the same snapshot again changes nothing, not even times`() throws {
        try withBookingBench { bench in
            for block: Int64 in 1...3 {
                try bench.addBlock(block, intended: [50, 50, 3])
                try bench.snapshot(block, [50, 50, 3], notional: "1030.77")
            }
            try bench.book()
            let before = try bench.booked(withTimes: true)
            for block: Int64 in 1...3 { try bench.request(block, 1) }
            #expect(try bench.book().bookedBlockCount == 3)
            #expect(try bench.booked(withTimes: true) == before)
        }
    }

    @Test func `several requests of one block are one booking, of the last snapshot`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [60, 40], notional: "1000")
            try bench.snapshot(1, [30, 20], notional: "500", isFinal: false)
            try bench.snapshot(1, [48, 32], notional: "800", isCanceled: true)
            let figures = try bench.book(blocksPerTransaction: 1)
            #expect(figures.bookedBlockCount == 1 && figures.transactionCount == 1)
            #expect(try bench.instructions == ["1-1-1 - NEW 48 10.0000", "1-2-1 - NEW 32 10.0000"])
            #expect(
                try bench.lines("SELECT ord_status, snapshot_number FROM allocations.block_bookings") == ["CANCELED 3"])
            #expect(try bench.differences() == [])
        }
    }

    @Test func `a bust of a canceled block replaces instructions and takes the difference back from positions`() throws
    {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40, 20])
            try bench.snapshot(1, [50, 30, 20], notional: "1000", isCanceled: true)
            try bench.book()
            // The first loses shares, the second all, the third none, but its price is another.
            try bench.snapshot(1, [40, 0, 20], notional: "606", isCanceled: true)
            try bench.book()
            #expect(
                try bench.instructions == [
                    "1-1-1 - NEW 50 10.0000", "1-1-2 1-1-1 REPLACE 40 10.1000", "1-2-1 - NEW 30 10.0000",
                    "1-2-2 1-2-1 CANCEL 0 10.0000", "1-3-1 - NEW 20 10.0000", "1-3-2 1-3-1 REPLACE 20 10.1000",
                ])
            #expect(try bench.positions == ["1 1 40", "2 1 0", "3 1 20"])
            #expect(
                try bench.lines("SELECT account_id FROM allocations.settlement_instructions ORDER BY 1") == ["1", "3"])
            #expect(try bench.number("SELECT count(*) FROM allocations.account_audits") == 3)
            #expect(try bench.differences() == [])
            // A late fill: the second account has shares again, and a new instruction.
            try bench.snapshot(1, [50, 30, 20], notional: "1000", isCanceled: true)
            try bench.book()
            #expect(try bench.instructions.contains("1-2-3 - NEW 30 10.0000"))
            #expect(try bench.differences() == [])
        }
    }

    @Test func `a block that isn't final any more is unbooked, and booked again once it is`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, side: "SELL", intended: [60, 40])
            try bench.hold(1, 1, 60)
            try bench.hold(2, 1, 40)
            let before = try bench.positions
            try bench.snapshot(1, [60, 40], notional: "1000")
            try bench.book()
            // A replace raised the order: it is partially filled now.
            try bench.snapshot(1, [60, 40], notional: "1000", isFinal: false)
            let figures = try bench.book()
            #expect(figures.unbookedBlockCount == 1 && figures.bookedBlockCount == 0)
            #expect(try bench.positions == before)
            for table in ["block_bookings", "account_audits", "settlement_instructions"] {
                #expect(try bench.number("SELECT count(*) FROM allocations.\(table)") == 0, "\(table)")
            }
            #expect(try bench.number("SELECT count(*) FROM holdings.position_movements") == 0)
            #expect(
                try bench.instructions == [
                    "1-1-1 - NEW 60 10.0000", "1-1-2 1-1-1 CANCEL 0 10.0000", "1-2-1 - NEW 40 10.0000",
                    "1-2-2 1-2-1 CANCEL 0 10.0000",
                ])
            // Asking once more changes nothing.
            let unbooked = try bench.booked(withTimes: true)
            try bench.request(1, 2)
            try bench.book()
            #expect(try bench.booked(withTimes: true) == unbooked)
            try bench.snapshot(1, [60, 40], notional: "1000")
            try bench.book()
            #expect(try bench.instructions.filter { $0.contains("NEW") }.count == 4)
            #expect(try bench.differences() == [])
        }
    }

    @Test func `a block without fills is not booked, and one whose fills were all busted is unbooked`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [0, 0], notional: "0", isCanceled: true)
            try bench.addBlock(2, intended: [60, 40])
            try bench.snapshot(2, [60, 40], notional: "1000", isCanceled: true)
            try bench.book()
            try bench.snapshot(2, [0, 0], notional: "0", isCanceled: true)
            try bench.book()
            #expect(try bench.number("SELECT count(*) FROM allocations.block_bookings") == 0)
            #expect(try bench.number("SELECT count(*) FROM holdings.position_movements") == 0)
            #expect(try bench.number("SELECT sum(quantity) FROM holdings.positions") == 0)
            #expect(
                try bench.number("SELECT count(*) FROM allocations.allocation_instructions WHERE block_order_id = 1")
                    == 0)
            #expect(try bench.differences() == [])
        }
    }

    @Test(arguments: [
        ("2024-11-11", "2024-11-12"), ("2024-11-14", "2024-11-15"), ("2024-11-15", "2024-11-18"),
        ("2024-11-16", "2024-11-18"), ("2024-11-17", "2024-11-18"), ("2024-12-31", "2025-01-01"),
        ("2024-02-29", "2024-03-01"), ("2024-03-29", "2024-04-01"),
    ])
    func `settlement is on the next day from Monday to Friday`(_ traded: String, _ settled: String) throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [10], date: traded)
            try bench.snapshot(1, [10], notional: "100")
            try bench.book()
            #expect(
                try bench.lines("SELECT settlement_date FROM allocations.settlement_instructions") == ["\(settled)"])
        }
    }

    @Test func `money is exact beyond what a 64-bit number holds`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [1_999_999_999, 1])
            try bench.snapshot(1, [1_999_999_999, 1], notional: "1999999999999999999.9999")
            try bench.book()
            #expect(
                try bench.lines("SELECT average_price, residual FROM allocations.block_bookings") == [
                    "1000000000.0000 -0.0001"
                ])
            #expect(
                try bench.lines("SELECT net_money FROM allocations.settlement_instructions WHERE account_id = 1")
                    == ["-1999999999000000000.0000"])
            #expect(try bench.differences() == [])
        }
    }

    @Test func `one position that several blocks move is moved by each of them once`() throws {
        try withBookingBench { bench in
            for (block, side) in [(1, "BUY"), (2, "SELL"), (3, "BUY")] as [(Int64, String)] {
                try bench.addBlock(block, side: side, intended: [100], security: 9)
                try bench.snapshot(block, [100], notional: "100")
            }
            try bench.book()
            #expect(try bench.positions == ["1 9 100"])
            try bench.snapshot(2, [30], notional: "30", isCanceled: true)
            try bench.snapshot(3, [60], notional: "60", isCanceled: true)
            try bench.book()
            #expect(try bench.positions == ["1 9 130"])
            #expect(try bench.differences() == [])
        }
    }

    @Test func `positions are put back exactly, and those that bookings added are gone`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.addBlock(2, side: "SELL", intended: [25, 10])
            for (account, security, quantity) in [(1, 1, 5), (2, 3, 0), (1, 2, 25), (2, 2, 90)]
                as [(Int64, Int64, Int64)]
            {
                try bench.hold(account, security, quantity)
            }
            let before = try bench.positions
            for _ in 1...2 {
                try bench.snapshot(1, [60, 40], notional: "1000")
                try bench.snapshot(2, [25, 10], notional: "350")
                try bench.book()
                #expect(try bench.positions == ["1 1 65", "1 2 0", "2 1 40", "2 2 80", "2 3 0"])
                try bench.connection.transaction { try HoldingsBooking.restorePositions(on: $0) }
                #expect(try bench.positions == before)
                #expect(try bench.number("SELECT count(*) FROM holdings.position_movements") == 0)
                #expect(try bench.number("SELECT count(*) FROM holdings.added_positions") == 0)
                // Nothing left to put back.
                try bench.connection.transaction { try HoldingsBooking.restorePositions(on: $0) }
                #expect(try bench.positions == before)
                try bench.connection.execute(
                    """
                    TRUNCATE allocations.snapshots, allocations.allocations, allocations.block_bookings,
                      allocations.account_audits, allocations.allocation_instructions, allocations.settlement_instructions
                    """)
            }
        }
    }

    @Test func `allocations begun anew don't move positions twice`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [60, 40], notional: "1000")
            try bench.book()
            try bench.connection.execute(
                """
                TRUNCATE allocations.snapshots, allocations.allocations, allocations.block_bookings,
                  allocations.account_audits, allocations.allocation_instructions, allocations.settlement_instructions
                """)
            try bench.snapshot(1, [70, 30], notional: "1000")
            try bench.book()
            #expect(try bench.positions == ["1 1 70", "2 1 30"])
            #expect(try bench.differences() == [])
        }
    }
}

/// What can't be booked stops the worker with one clear error, and leaves its request.
@Suite(.timeLimit(.minutes(5))) struct BookingFaultTests {
    private func expect(
        _ message: String, leaving requests: Int64 = 1, in bench: BookingBench,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let text = errorText { try bench.book() }
        #expect(text.hasPrefix(message), "\(text)", sourceLocation: sourceLocation)
        #expect(text.contains("its request stays in allocations.booking_outbox"), sourceLocation: sourceLocation)
        let left = try bench.number("SELECT count(*) FROM allocations.booking_outbox")
        #expect(left == requests, sourceLocation: sourceLocation)
    }

    @Test func `a sale beyond the position names block and account`() throws {
        try withBookingBench { bench in
            for block: Int64 in 1...4 {
                try bench.addBlock(block, side: "SELL", intended: [60, 40])
                try bench.hold(1, block, 60)
                try bench.hold(2, block, block == 3 ? 39 : 40)
                try bench.snapshot(block, [60, 40], notional: "1000")
            }
            let before = try bench.positions
            try expect(
                "block order 3 can't be booked for account 2: it holds 39 shares of security 3, and the booking takes 40",
                leaving: 4, in: bench)
            #expect(try bench.positions == before)
            #expect(try bench.number("SELECT count(*) FROM allocations.block_bookings") == 0)
            // What was wrong is put right, and booking goes on.
            try bench.connection.execute("UPDATE holdings.positions SET quantity = 40 WHERE quantity = 39")
            #expect(try bench.book().bookedBlockCount == 4)
            #expect(try bench.differences() == [])
        }
    }

    @Test func `an account that holdings doesn't have is named`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40], firstAccount: 200)
            try bench.snapshot(1, [60, 40], notional: "1000", firstAccount: 200)
            try expect("block order 1 can't be booked for account 201: holdings.accounts doesn't have it", in: bench)
        }
    }

    @Test func `what the tables refuse names its block, and the others are booked`() throws {
        try withBookingBench { bench in
            for block: Int64 in 1...5 {
                try bench.addBlock(block, intended: [60, 40])
                try bench.snapshot(block, [60, 40], notional: "1000")
            }
            try bench.connection.execute(
                "ALTER TABLE allocations.account_audits ADD CONSTRAINT not_two CHECK (block_order_id <> 4 OR account_id <> 2)"
            )
            try expect("block order 4 can't be booked: 23514:", leaving: 2, in: bench)
            #expect(
                try bench.lines("SELECT block_order_id FROM allocations.block_bookings ORDER BY 1") == ["1", "2", "3"])
        }
    }

    @Test func `allocations that don't add up to their snapshot are named`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [60, 40], notional: "1000")
            try bench.connection.execute("UPDATE allocations.allocations SET quantity_delta = 39 WHERE account_id = 2")
            try expect(
                "block order 1 can't be booked: its accounts' allocations add up to 99 shares, its snapshot 1 has 100",
                in: bench)
            try bench.connection.execute("UPDATE allocations.allocations SET account_id = 77 WHERE account_id = 2")
            let text = errorText { try bench.book() }
            #expect(text.contains("; account 77 has allocations without being behind it"), "\(text)")
            try bench.connection.execute(
                "UPDATE allocations.allocations SET account_id = 2, quantity_delta = -5 WHERE account_id = 77")
            try expect("block order 1 can't be booked: account 2: its allocations add up to -5 shares", in: bench)
        }
    }

    @Test func `a request without its snapshot, block or accounts is named`() throws {
        try withBookingBench { bench in
            try bench.request(5, 1)
            try expect("block order 5 can't be booked: isn't among the blocks that allocations received", in: bench)
            try bench.addBlock(5, intended: [10])
            try expect("block order 5 can't be booked: has no snapshot", in: bench)
            try bench.snapshot(5, [10], notional: "1", request: false)
            try bench.connection.execute("DELETE FROM allocations.block_accounts")
            try expect("block order 5 can't be booked: has no accounts behind it", in: bench)
        }
    }

    @Test func `a database that isn't there is told, not sought for ever`() throws {
        try withBookingBench { bench in
            var plan = bench.plan()
            plan.connection = bench.info.with(database: "nowhere")
            let lost = plan
            #expect(
                errorText { _ = try BookingPool.run(lost, stop: StopFlag()) }.contains("\"nowhere\" does not exist"))
        }
    }
}
