// The replication stream: slots, frames, acknowledgement, and how it ends.

import TestSupport
import Testing

@testable import Postgres

@Suite struct ReplicationTests {
    /// The first bytes of the payloads until a commit, and the end of its frame.
    private func transaction(_ stream: ReplicationConnection) throws -> (kinds: String, end: LSN, inserts: [[UInt8]]) {
        var kinds = ""
        var inserts: [[UInt8]] = []
        while true {
            var data: (end: LSN, payload: [UInt8])?
            let hasReceived = try stream.receive(timeoutMs: 10_000) { frame in
                guard case .xLogData(_, let end, let timestampUs, let payload) = frame else { return }
                #expect(timestampUs > 0)
                data = (end, Array(payload))
            }
            guard hasReceived else {
                Issue.record("no frame within 10 seconds after \"\(kinds)\"")
                return (kinds, .zero, inserts)
            }
            guard let (end, payload) = data else { continue }
            kinds.unicodeScalars.append(Unicode.Scalar(payload[0]))
            if payload[0] == UInt8(ascii: "I") { inserts.append(payload) }
            if payload[0] == UInt8(ascii: "C") { return (kinds, end, inserts) }
        }
    }

    @Test func `an insert comes through a slot, and what is acknowledged doesn't come again`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute(
                "CREATE TABLE t (id bigint PRIMARY KEY, name text); CREATE PUBLICATION p FOR TABLE t")
            let first = try ReplicationConnection.connect(to: info)
            let point = try first.createLogicalSlot("slot_round_trip")
            #expect(point > .zero)
            try connection.execute("INSERT INTO t VALUES (1, 'täxt')")
            try first.startReplication(slot: "slot_round_trip", publication: "p")
            let one = try transaction(first)
            #expect(one.kinds == "BRIC" && one.end > point)
            #expect(one.inserts.first?.suffix(5) == Array("täxt".utf8)[...])
            try connection.execute("INSERT INTO t VALUES (2, 'two'), (3, 'three')")
            let two = try transaction(first)
            #expect(two.kinds == "BIIC" && two.end > one.end)

            // Acknowledge the first only: a new stream starts with the second.
            try first.sendStatus(written: two.end, flushed: one.end, applied: one.end, reply: true)
            try waitForKeepalive(first)
            first.close()
            let second = try ReplicationConnection.connect(to: info)
            try waitUntilInactive("slot_round_trip", connection)
            try second.startReplication(slot: "slot_round_trip", publication: "p")
            let again = try transaction(second)
            #expect(again.kinds == "BRIIC" && again.end == two.end)
            second.close()
            try waitUntilInactive("slot_round_trip", connection)
            let third = try ReplicationConnection.connect(to: info)
            try third.dropSlot("slot_round_trip")
            let missing = #expect(throws: PostgresError.self) { try third.dropSlot("slot_round_trip") }
            #expect(missing?.sqlState == .undefinedObject)
        }
    }

    @Test func `nothing to send means nil after the timeout`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE PUBLICATION p")
            let stream = try ReplicationConnection.connect(to: info)
            _ = try stream.createLogicalSlot("slot_quiet", temporary: true)
            try stream.startReplication(slot: "slot_quiet", publication: "p")
            let clock = ContinuousClock()
            // Other tests write to the same log, of which keepalives may tell; they are no data.
            var frames = 0
            let took = try clock.measure {
                let deadline = clock.now.advanced(by: .milliseconds(300))
                while clock.now < deadline {
                    _ = try stream.receive(timeoutMs: 100) { frame in
                        if case .xLogData = frame { frames += 1 }
                    }
                }
            }
            #expect(frames == 0 && took < .seconds(5))
            stream.close()
            try waitUntilGone("slot_quiet", connection)
        }
    }

    @Test func `failures of a stream are errors with their codes`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let stream = try ReplicationConnection.connect(to: info)
            let missing = #expect(throws: PostgresError.self) {
                try stream.startReplication(slot: "no_such_slot", publication: "p")
            }
            #expect(missing?.sqlState == .undefinedObject)
            _ = try stream.createLogicalSlot("slot_failures", temporary: true)
            let twice = #expect(throws: PostgresError.self) { _ = try stream.createLogicalSlot("slot_failures") }
            #expect(twice?.sqlState == .duplicateObject)
            let plugin = #expect(throws: PostgresError.self) {
                _ = try stream.createLogicalSlot("slot_plugin", plugin: "no_such_plugin")
            }
            #expect(plugin?.isConnectionLost == false)
            let name = #expect(throws: PostgresError.self) { _ = try stream.createLogicalSlot("Not a slot's name") }
            #expect(name?.sqlState?.rawValue == "42602")

            // A failed command drops the session's temporary slots.
            _ = try stream.createLogicalSlot("slot_failures", temporary: true)
            // Without its publication the stream starts and fails at the first change.
            try stream.startReplication(slot: "slot_failures", publication: "it's \"missing\"")
            try connection.execute("CREATE TABLE t (id bigint); INSERT INTO t VALUES (1)")
            let ended = #expect(throws: PostgresError.self) {
                for _ in 0..<100 { _ = try stream.receive(timeoutMs: 100) { _ in } }
            }
            #expect(ended?.sqlState == .undefinedObject)
        }
    }

    @Test func `a stream whose server process ends is a lost connection`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE PUBLICATION p")
            let stream = try ReplicationConnection.connect(to: info)
            _ = try stream.createLogicalSlot("slot_lost", temporary: true)
            try stream.startReplication(slot: "slot_lost", publication: "p")
            try connection.query("SELECT pg_terminate_backend($1::int, 5000)", .text("\(stream.backendProcessID)"))
            let error = #expect(throws: PostgresError.self) {
                for _ in 0..<100 { _ = try stream.receive(timeoutMs: 100) { _ in } }
            }
            #expect(error?.isConnectionLost == true)
            #expect(throws: PostgresError.self) {
                try stream.sendStatus(written: .zero, flushed: .zero, applied: .zero)
            }
        }
    }

    /// The server answers a status that asks for it.
    private func waitForKeepalive(_ stream: ReplicationConnection) throws {
        for _ in 0..<100 {
            var isAnswered = false
            _ = try stream.receive(timeoutMs: 100) { frame in
                guard case .keepalive(let walEnd, _, _) = frame else { return }
                #expect(walEnd > .zero)
                isAnswered = true
            }
            if isAnswered { return }
        }
        Issue.record("no keepalive within 10 seconds")
    }

    private func waitUntilInactive(_ slot: String, _ connection: PostgresConnection) throws {
        try wait(
            connection, "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", slot, rowCount: 1)
    }

    private func waitUntilGone(_ slot: String, _ connection: PostgresConnection) throws {
        try wait(connection, "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", slot, rowCount: 0)
    }

    private func wait(_ connection: PostgresConnection, _ sql: String, _ slot: String, rowCount: Int) throws {
        for _ in 0..<500 {
            if try connection.query(sql, .text(slot)).rowCount == rowCount { return }
            sleepThread(for: .milliseconds(20))
        }
        Issue.record("the slot \(slot) didn't come to rest within 10 seconds")
    }
}
