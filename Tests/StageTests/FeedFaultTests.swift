// Goal: whatever keeps a feed from the server's log is told in one line with its remedy, and leaves nothing half made.
// Method: real servers; what concerns a whole cluster happens in one of the test's own, which starts twice.

import Diagnostics
import Glibc
import Kafka
import Measurement
import Postgres
import Scenario
import Services
import TestSupport
import Testing
import Threads

@testable import ChangeFeed

@Suite(.timeLimit(.minutes(5))) struct FeedFaultTests {
    private let startOver = "drop the feed (allocbench feed --drop) and start it again: it scans the whole table"

    /// What is left of feeds in a database.
    private func leftovers(on connection: PostgresConnection) throws -> [String] {
        try connection.lines(
            """
            SELECT slot_name FROM pg_replication_slots WHERE database = current_database()
            UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT slot_name FROM trades.change_feeds
            """)
    }

    private func insert(_ ids: ClosedRange<Int64>, on connection: PostgresConnection) throws {
        try connection.query(
            """
            INSERT INTO trades.executions
              (execution_id, exec_type, block_order_id, block_order_code, order_version, order_quantity, quantity, price,
               executed_at)
            SELECT i, 'TRADE', 1, 'B20241114-0000001', 0, 5000, 100, 9.5, TIMESTAMPTZ '2024-11-14 14:30:00+00'
            FROM generate_series($1::INT8, $2::INT8) AS i
            """, .int64(ids.lowerBound), .int64(ids.upperBound))
    }

    /// Reads the slot until everything that is committed by now is acknowledged, or something keeps it from that.
    private func run(_ slot: FeedSlot, _ info: ConnectionInfo, topic: String, waitMs: Int = 10_000) throws {
        let connection = try PostgresConnection.connect(to: info)
        let end = try #require(LSN(try connection.lines("SELECT pg_current_wal_lsn()")[0]))
        connection.close()
        _ = try ReplicationFeed(
            connection: info, kafka: TemporaryBroker.shared(.mock).settings, topic: topic, slot: slot,
            slotWaitMs: waitMs
        ).run(until: FeedEnd(end), stop: StopFlag())
    }

    // MARK: In a database

    @Test func `a database without the schema is refused`() throws {
        try withTemporaryDatabase { info in
            let slot = FeedSlot(database: try #require(info["dbname"]))
            let text = errorText { try slot.create(topic: "t", scanTable: true, connection: info) }
            #expect(
                text
                    == "the database has no table trades.change_feeds; create the tables first: allocbench schema create"
            )
        }
    }

    @Test func `a user without the right to publish or to read the log is told which one, and leaves nothing`() throws {
        try withStages(isOwn: true) { info, connection in
            let (database, user) = (try #require(info["dbname"]), "plain_\(try #require(info["dbname"]))")
            try connection.execute(
                """
                CREATE ROLE \(user) LOGIN; GRANT ALL ON SCHEMA trades TO \(user);
                GRANT ALL ON ALL TABLES IN SCHEMA trades TO \(user)
                """)
            defer {
                try? connection.execute(
                    "REASSIGN OWNED BY \(user) TO CURRENT_USER; DROP OWNED BY \(user); DROP ROLE \(user)")
            }
            let slot = FeedSlot(database: database)
            func refusal() -> String {
                errorText { try slot.create(topic: "t", scanTable: true, connection: info.with("user", user)) }
            }
            let publication = refusal()
            #expect(
                publication.hasPrefix("the user \(user) may not publish trades.executions: ")
                    && publication.hasSuffix("; feed as the table's owner, with the right to CREATE in the database"),
                "\(publication)")
            try connection.execute(
                """
                GRANT CREATE ON DATABASE \(database) TO \(user); ALTER TABLE trades.executions OWNER TO \(user)
                """)
            #expect(refusal() == "the user \(user) may not read the server's log; ALTER ROLE \(user) REPLICATION")
            #expect(try leftovers(on: connection) == [])
            // The remedy is one.
            try connection.execute("ALTER ROLE \(user) REPLICATION")
            try slot.create(topic: "t", scanTable: true, connection: info.with("user", user))
            #expect(try leftovers(on: connection) == [slot.name, slot.name, slot.name])
            try slot.drop(connection: info)
        }
    }

    @Test func `a publication that is dropped in the middle ends the feed, and isn't quietly made anew`() throws {
        try withStages(isOwn: true) { info, connection in
            try withTopic(partitions: 1, on: .mock) { _, topic in
                let slot = FeedSlot(database: try #require(info["dbname"]))
                try slot.create(topic: topic, scanTable: false, connection: info)
                try insert(1...5, on: connection)
                try connection.execute("DROP PUBLICATION \(slot.publication)")
                try insert(6...9, on: connection)
                let expected = "the publication \(slot.name) is gone although its feed is not finished; \(startOver)"
                #expect(errorText { try run(slot, info, topic: topic) } == expected)
                #expect(errorText { try slot.create(topic: topic, scanTable: false, connection: info) } == expected)
                #expect(try connection.lines("SELECT pubname FROM pg_publication") == [])
                try slot.drop(connection: info)
                try slot.create(topic: topic, scanTable: true, connection: info)
                try run(slot, info, topic: topic)
                try slot.drop(connection: info)
            }
        }
    }

    @Test func `a slot that another feed reads is named with its reader`() throws {
        try withStages(isOwn: true) { info, connection in
            try withTopic(partitions: 1, on: .mock) { _, topic in
                let slot = FeedSlot(database: try #require(info["dbname"]))
                try slot.create(topic: topic, scanTable: false, connection: info)
                let replication = try ReplicationConnection.connect(to: info)
                try replication.startReplication(slot: slot.name, publication: slot.publication)
                #expect(
                    errorText { try run(slot, info, topic: topic, waitMs: 0) }
                        == "another feed reads the slot \(slot.name) (process \(replication.backendProcessID) of the server); "
                        + "end that feed; of one that was killed the server notices it within wal_sender_timeout")
                replication.close()
                try slot.drop(connection: info)
            }
        }
    }

    // MARK: In a cluster

    /// The server notices the end of a session a moment later than its client.
    private func waitUntilNobodyReads(_ connection: PostgresConnection) throws {
        let isFree = try eventually {
            try connection.lines("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'") == []
        }
        try #require(isFree)
    }

    @Test func `a server whose log is not logical, full of readers or too short is told with the remedy`() throws {
        let folder = "\(TestFolder.root)/allocbench-feedtest-\(getpid())"
        defer { removeFolder(folder) }
        func start(_ own: [String: String]) throws -> EmbeddedPostgres {
            let small = ["fsync": "off", "shared_buffers": "16MB", "autovacuum": "off"].merging(own) { $1 }
            return try EmbeddedPostgres.start(
                dataFolder: folder + "/data", socketFolder: folder + "/socket",
                settings: EmbeddedPostgres.defaultSettings.merging(small) { $1 }, logFile: folder + "/log")
        }
        var server = try start(["wal_level": "replica"])
        defer {
            server.stop(mode: .immediate)
            try? server.removeFiles()
        }
        let info = try ConnectionInfo(server.connectionInfo)
        let slot = FeedSlot(database: "postgres")
        func refusal() -> String { errorText { try slot.create(topic: "t", scanTable: false, connection: info) } }
        #expect(
            refusal()
                == "wal_level is replica, a change feed needs logical; ALTER SYSTEM SET wal_level = logical and restart the server"
        )
        server.stop()
        server = try start(["max_replication_slots": "1", "max_wal_senders": "1", "max_slot_wal_keep_size": "1MB"])
        let connection = try PostgresConnection.connect(to: info)
        try Schemas.create(on: connection)

        try connection.execute("SELECT pg_create_physical_replication_slot('another')")
        #expect(
            refusal()
                == "all replication slots of the server are in use (max_replication_slots = 1); drop one that nobody needs "
                + "(SELECT pg_drop_replication_slot), or raise the limit and restart the server")
        try connection.execute("SELECT pg_drop_replication_slot('another')")
        try waitUntilNobodyReads(connection)
        let other = try ReplicationConnection.connect(to: info)
        #expect(
            refusal()
                == "the server has no place for another reader of its log (max_wal_senders = 1); end one of them, or raise the "
                + "limit and restart the server")
        other.close()
        #expect(try leftovers(on: connection) == [])

        try waitUntilNobodyReads(connection)
        try slot.create(topic: "t", scanTable: false, connection: info)
        let limit = "the server has dropped log that the slot \(slot.name) still needed (max_slot_wal_keep_size = 1MB)"
        try connection.execute("CREATE TABLE filler (x int)")
        for _ in 0..<2 {
            try connection.execute("INSERT INTO filler VALUES (1)")
            try connection.execute("SELECT pg_switch_wal()")
        }
        try connection.execute("CHECKPOINT")
        let expected = "\(limit); raise that limit, then \(startOver)"
        #expect(errorText { try run(slot, info, topic: "t") } == expected)
        #expect(refusal() == expected)
        try slot.drop(connection: info)
        #expect(try leftovers(on: connection) == [])
    }
}
