// Goal: whoever books beside whom, and whatever dies in the middle, the bookings follow the last snapshots in the end, and no
// fill waits for a booking. Expected states are worked out from the snapshots, or are those of a quiet run.

import Booking
import Glibc
import Holdings
import Measurement
import Postgres
import Testing
import Threads

/// Every statement that a booking transaction writes with, and its commit.
private let crashPoints: [(table: String, event: String)] = [
    ("allocations.booking_outbox", "DELETE"), ("allocations.block_bookings", "INSERT"),
    ("allocations.account_audits", "INSERT"), ("allocations.settlement_instructions", "INSERT"),
    ("allocations.allocation_instructions", "INSERT"), ("holdings.positions", "INSERT"),
    ("holdings.added_positions", "INSERT"), ("holdings.position_movements", "INSERT"),
    ("holdings.positions", "UPDATE"), ("allocations.block_bookings", "COMMIT"),
    ("allocations.block_bookings", "UPDATE"), ("allocations.account_audits", "UPDATE"),
    ("allocations.settlement_instructions", "UPDATE"), ("allocations.settlement_instructions", "DELETE"),
    ("allocations.block_bookings", "DELETE"), ("allocations.account_audits", "DELETE"),
    ("holdings.position_movements", "UPDATE"), ("holdings.position_movements", "DELETE"),
]

/// Three blocks of every kind, booked, then changed in every way.
private func writeHistory(_ bench: BookingBench, _ step: Int) throws {
    if step == 1 {
        for (block, side) in [(1, "BUY"), (2, "SELL"), (3, "BUY")] as [(Int64, String)] {
            try bench.addBlock(block, side: side, intended: [60, 40, 20])
            if side == "SELL" { for account: Int64 in 1...3 { try bench.hold(account, block, 60) } }
            try bench.snapshot(block, [60, 40, 20], notional: "1213.37", isCanceled: true)
        }
    } else {
        try bench.snapshot(1, [50, 0, 20], notional: "701", isCanceled: true)
        try bench.snapshot(2, [60, 40, 20], notional: "1213.37", isFinal: false)
        try bench.snapshot(3, [60, 40, 20], notional: "1214", isCanceled: true)
    }
}

extension BookingBench {
    /// Makes the session that first does `event` on `table` end there, once.
    fileprivate func crash(at table: String, _ event: String) throws {
        // A sequence isn't rolled back: it remembers the crash.
        try connection.execute(
            """
            CREATE SEQUENCE crashes;
            CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF current_setting('application_name') = 'allocbench booking' AND nextval('crashes') = 1 THEN
                PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF;
              IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
              RETURN NEW;
            END $$
            """)
        if event == "COMMIT" {
            try connection.execute(
                """
                CREATE CONSTRAINT TRIGGER crash AFTER INSERT ON \(table) DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION crash()
                """)
        } else {
            try connection.execute(
                "CREATE TRIGGER crash BEFORE \(event) ON \(table) FOR EACH ROW EXECUTE FUNCTION crash()")
        }
    }

    /// Makes a booking wait before it writes its first row, as long as this session holds the lock.
    fileprivate func holdBookings() throws {
        try connection.execute(
            """
            CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW;
            END $$;
            CREATE TRIGGER hold BEFORE INSERT ON allocations.block_bookings FOR EACH ROW EXECUTE FUNCTION hold();
            SELECT pg_advisory_lock(4711)
            """)
    }

    fileprivate func releaseBookings() throws { try connection.execute("SELECT pg_advisory_unlock(4711)") }

    /// How many booking sessions wait for a lock.
    fileprivate func waitingBookings() throws -> Int64 {
        try number(
            """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
              AND application_name = 'allocbench booking' AND wait_event_type = 'Lock'
            """)
    }
}

private func waitUntil(
    _ what: String, timeoutMs: Int64 = 20_000, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () throws -> Bool
) throws {
    let deadline = monotonicNow() + timeoutMs * 1_000_000
    while try !condition() {
        if monotonicNow() > deadline {
            Issue.record("\(what) never happened", sourceLocation: sourceLocation)
            return
        }
        usleep(5_000)
    }
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct BookingCrashTests {
    @Test(arguments: crashPoints)
    func `a session that ends in the middle of a booking leaves nothing half done`(_ table: String, _ event: String)
        throws
    {
        // First and second bookings in a quiet database, then with the crash in one of them.
        let quiet = try withBookingBench { bench in
            for step in 1...2 {
                try writeHistory(bench, step)
                try bench.book()
            }
            return try bench.booked() + bench.instructions
        }
        try withBookingBench { bench in
            try bench.crash(at: table, event)
            var reconnects: Int64 = 0
            for step in 1...2 {
                try writeHistory(bench, step)
                reconnects += try bench.book(blocksPerTransaction: 2).reconnectCount
            }
            #expect(reconnects == 1, "the crash at \(event) on \(table) happened")
            #expect(try bench.booked() + bench.instructions == quiet)
            #expect(try bench.differences() == [])
        }
    }

    @Test func `workers that are killed again and again book everything once`() throws {
        try withBookingBench { bench in
            for block: Int64 in 1...120 {
                try bench.addBlock(block, side: block % 2 == 0 ? "BUY" : "SELL", intended: [60, 40, 20])
                if block % 2 == 1 { for account: Int64 in 1...3 { try bench.hold(account, block, 60) } }
                try bench.snapshot(block, [60, 40, 20], notional: "1213.37")
            }
            let pool = try BookingPool(bench.plan(workers: 2, blocksPerTransaction: 2), stop: StopFlag())
            pool.finish()
            var kills: Int64 = 0
            while try !pool.hasFailed && kills < 30
                && bench.number("SELECT count(*) FROM allocations.booking_outbox") > 0
            {
                kills += try bench.number(
                    """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'allocbench booking'
                    """)
                // Long enough to connect and to book a little.
                usleep(60_000)
            }
            let figures = try pool.join().figures
            #expect(kills > 0)
            #expect(figures.reconnectCount > 0)
            #expect(try bench.differences() == [])
            #expect(try bench.number("SELECT count(*) FROM allocations.allocation_instructions") == 360)
            #expect(try bench.number("SELECT sum(quantity) FROM holdings.positions") == 120 * 120 / 2 + 60 * 60)
        }
    }
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct BookingRaceTests {
    @Test func `fills and snapshots of a block go on while it is being booked, and its booking follows them`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [30, 20], notional: "500", isCanceled: true)
            try bench.holdBookings()
            let plan = bench.plan()
            let booking = WorkerThread(name: "bookings") { try BookingPool.run(plan, stop: StopFlag()) }
            try waitUntil("a booking in the middle") { try bench.waitingBookings() == 1 }
            // Nothing that a fill touches is locked: a lock that isn't free at once would fail it.
            let fills = try PostgresConnection.connect(to: bench.info)
            defer { fills.close() }
            try fills.execute("SET lock_timeout = '1ms'")
            for quantity: Int64 in [31, 32, 60] {
                try fills.begin()
                try bench.snapshot(1, [quantity, 20], notional: "\(quantity)", isCanceled: true, on: fills)
                try fills.commit()
            }
            #expect(try bench.waitingBookings() == 1)
            try bench.releaseBookings()
            #expect(try booking.join().figures.transactionCount == 2)
            #expect(try bench.positions == ["1 1 60", "2 1 20"])
            #expect(try bench.differences() == [])
        }
    }

    @Test func `what a booking transaction locks is told: outbox rows, its own tables, positions; nothing of a fill`()
        throws
    {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [60, 40], notional: "500")
            try bench.holdBookings()
            let plan = bench.plan()
            let booking = WorkerThread(name: "bookings") { try BookingPool.run(plan, stop: StopFlag()) }
            try waitUntil("a booking in the middle") { try bench.waitingBookings() == 1 }
            let locked = try bench.lines(
                """
                SELECT DISTINCT c.relname || ' ' || l.mode FROM pg_locks AS l
                JOIN pg_class AS c ON c.oid = l.relation JOIN pg_stat_activity AS a ON a.pid = l.pid
                WHERE a.application_name = 'allocbench booking' AND c.relkind = 'r' AND a.datname = current_database()
                  AND l.mode <> 'AccessShareLock' ORDER BY 1
                """)
            #expect(
                locked == [
                    "account_audits RowExclusiveLock", "allocation_instructions RowExclusiveLock",
                    "block_bookings RowExclusiveLock", "booking_outbox RowExclusiveLock",
                    "booking_outbox RowShareLock", "settlement_instructions RowExclusiveLock",
                ])
            try bench.releaseBookings()
            _ = try booking.join()
        }
    }

    @Test func `a snapshot that is not committed yet is not booked, and not missed`() throws {
        try withBookingBench { bench in
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [30, 20], notional: "500", isCanceled: true)
            let fills = try PostgresConnection.connect(to: bench.info)
            defer { fills.close() }
            try fills.begin()
            try bench.snapshot(1, [40, 20], notional: "600", isCanceled: true, on: fills)
            #expect(try bench.book().transactionCount == 1)
            #expect(try bench.positions == ["1 1 30", "2 1 20"])
            try fills.commit()
            #expect(try bench.book().transactionCount == 1)
            #expect(try bench.positions == ["1 1 40", "2 1 20"])
            #expect(try bench.differences() == [])
        }
    }

    @Test func `a block that one worker has taken is left alone by others, its newer requests too`() throws {
        try withBookingBench { bench in
            for block: Int64 in 1...2 {
                try bench.addBlock(block, intended: [60, 40])
                try bench.snapshot(block, [30, 20], notional: "500", isCanceled: true)
            }
            let other = try PostgresConnection.connect(to: bench.info)
            defer { other.close() }
            try other.execute("BEGIN; DELETE FROM allocations.booking_outbox WHERE block_order_id = 1")
            try bench.snapshot(1, [60, 40], notional: "1000", isCanceled: true)
            let plan = bench.plan()
            let booking = WorkerThread(name: "bookings") { try BookingPool.run(plan, stop: StopFlag()) }
            try waitUntil("the other block's booking") {
                try bench.number("SELECT count(*) FROM allocations.block_bookings WHERE block_order_id = 2") == 1
            }
            usleep(50_000)
            #expect(try bench.number("SELECT count(*) FROM allocations.block_bookings") == 1)
            // The worker doesn't end before the taken one is done, and books it when it comes back.
            try other.rollback()
            #expect(try booking.join().figures.bookedBlockCount == 2)
            #expect(try bench.differences() == [])
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `workers beside fills end with what the last snapshots say`(_ seed: UInt64) throws {
        print("seed \(seed)")
        try withBookingBench { bench in
            let blocks: Int64 = 30
            for block in 1...blocks {
                // Few accounts and securities: blocks meet in positions.
                try bench.addBlock(
                    block, side: block % 3 == 0 ? "SELL" : "BUY", intended: [60, 40, 20],
                    security: block % 3 == 0 ? block % 2 : block % 4)
            }
            for account: Int64 in 1...3 { for security: Int64 in 0...2 { try bench.hold(account, security, 5_000) } }
            let before = try bench.positions
            let pool = try BookingPool(bench.plan(workers: 3, blocksPerTransaction: 4), stop: StopFlag())
            let info = bench.info
            let fillers = (0..<2).map { index in
                WorkerThread(name: "filler") {
                    var random = SeededRandom(seed: seed, stream: UInt64(index))
                    let session = try PostgresConnection.connect(to: info)
                    defer { session.close() }
                    let bench = BookingBench(info: info, connection: session)
                    for _ in 1...150 {
                        // Each filler has its own blocks, as allocation workers have.
                        let block = random.integer(in: 1...blocks / 2) * 2 - Int64(index)
                        let shares = [60, 40, 20].map { random.integer(in: 0...$0) }
                        let isEmpty = random.integer(in: 0...9) == 0
                        try session.begin()
                        try bench.snapshot(
                            block, isEmpty ? [0, 0, 0] : shares,
                            notional: isEmpty || shares == [0, 0, 0] ? "0" : "\(random.integer(in: 1...5_000)).37",
                            isFinal: random.integer(in: 0...3) != 0, isCanceled: random.integer(in: 0...1) == 0,
                            on: session)
                        try session.commit()
                    }
                }
            }
            for filler in fillers { try filler.join() }
            pool.finish()
            let figures = try pool.join().figures
            #expect(figures.bookedBlockCount > blocks / 2)
            #expect(try bench.number("SELECT count(*) FROM allocations.booking_outbox") == 0)
            #expect(try bench.differences() == [])
            let sums = try bench.number(
                """
                SELECT count(*) FROM (
                  SELECT p.account_id, p.security_id, p.quantity - coalesce(sum(m.quantity), 0) AS rest
                  FROM holdings.positions AS p LEFT JOIN holdings.position_movements AS m
                    ON m.account_id = p.account_id AND m.security_id = p.security_id
                  GROUP BY p.account_id, p.security_id, p.quantity) AS s
                WHERE rest <> CASE WHEN security_id < 3 THEN 5000 ELSE 0 END
                """)
            #expect(sums == 0)
            try bench.connection.transaction { try HoldingsBooking.restorePositions(on: $0) }
            #expect(try bench.positions == before)
        }
    }

    @Test func `a pool that waits ends when it is told, or stopped`() throws {
        try withBookingBench { bench in
            let pool = try BookingPool(bench.plan(workers: 2), stop: StopFlag())
            usleep(50_000)
            try bench.addBlock(1, intended: [60, 40])
            try bench.snapshot(1, [60, 40], notional: "1000")
            pool.finish()
            let result = try pool.join()
            #expect(result.figures.bookedBlockCount == 1)
            #expect(result.elapsedNanoseconds() > 0)

            let stop = StopFlag()
            let other = try BookingPool(bench.plan(workers: 2), stop: stop)
            stop.set()
            let empty = try other.join()
            #expect(empty.figures.transactionCount == 0)
            #expect(empty.elapsedNanoseconds() == 0)
        }
    }

    @Test func `a worker that fails stops the others`() throws {
        try withBookingBench { bench in
            let pool = try BookingPool(bench.plan(workers: 3), stop: StopFlag())
            try bench.request(99, 1)
            try waitUntil("the failure") { pool.hasFailed }
            #expect(errorText { _ = try pool.join() }.hasPrefix("block order 99 can't be booked"))
        }
    }
}
