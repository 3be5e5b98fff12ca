// A session in replication mode: makes and drops logical slots, and streams the log of one. Belongs to one thread.
// It carries the frames of the protocol; what is in their payload is for others to decode.

internal import CLibPQ
internal import Glibc

/// One frame of the stream, as the server sends it.
@safe public enum ReplicationFrame {
    /// A piece of the decoded log. With pgoutput `start` is the position of the change, 0 for some messages, and
    /// `timestampUs` counts microseconds since 2000-01-01 by the server's clock. The payload lies where libpq has it.
    case xLogData(start: LSN, end: LSN, timestampUs: Int64, payload: UnsafeRawBufferPointer)
    /// The server is alive and has read its log up to `walEnd`. It closes the connection after `wal_sender_timeout` if
    /// `replyRequested` isn't answered by `sendStatus`.
    case keepalive(walEnd: LSN, timestampUs: Int64, replyRequested: Bool)
}

/// A connection that speaks the streaming replication protocol to PostgreSQL.
@safe
public final class ReplicationConnection {
    /// Runs the commands. It is in COPY, both ways, once the stream has started.
    private let connection: PostgresConnection
    private var isStreaming = false

    private init(_ connection: PostgresConnection) { self.connection = connection }

    /// Connects to the database of `info` in logical replication mode. Blocks.
    public static func connect(
        to info: ConnectionInfo, applicationName: String = "allocbench"
    ) throws(PostgresError) -> ReplicationConnection {
        ReplicationConnection(
            try PostgresConnection.connect(
                to: info, applicationName: applicationName, extra: ["replication": "database"]))
    }

    /// Ends the session; a temporary slot goes with it.
    public func close() { connection.close() }

    /// The process of the server that serves this session.
    public var backendProcessID: Int32 { connection.backendProcessID }

    /// Makes a logical slot; from then on the server keeps its log until the slot has been read.
    /// - Parameter name: lower-case letters, digits and underscores.
    /// - Returns: the position from which the slot sees every change.
    public func createLogicalSlot(
        _ name: String, plugin: String = "pgoutput", temporary: Bool = false
    ) throws(PostgresError) -> LSN {
        let kind = temporary ? "TEMPORARY " : ""
        let result = QueryResult(
            try connection.simple(
                "CREATE_REPLICATION_SLOT \(quoted(name)) \(kind)LOGICAL \(quoted(plugin)) NOEXPORT_SNAPSHOT"))
        for column in 0..<result.columnCount where result.columnName(column) == "consistent_point" {
            if let text = result.text(0, column), let point = LSN(text) { return point }
        }
        throw PostgresError(message: "the server named no consistent point for the slot \(name)")
    }

    /// Drops a slot that nobody reads.
    /// - Parameter wait: whether to wait for its reader to leave, instead of failing with 55006.
    public func dropSlot(_ name: String, wait: Bool = false) throws(PostgresError) {
        _ = try connection.simple("DROP_REPLICATION_SLOT \(quoted(name))\(wait ? " WAIT" : "")")
    }

    /// Starts the stream. The server starts at `position` or where the slot was confirmed last, whichever is later.
    public func startReplication(
        slot: String, from position: LSN = .zero, publication: String
    ) throws(PostgresError) {
        precondition(!isStreaming, "the stream has started already")
        let literal = quoted(publication).split(separator: "'", omittingEmptySubsequences: false).joined(
            separator: "''")
        let command =
            "START_REPLICATION SLOT \(quoted(slot)) LOGICAL \(position) "
            + "(proto_version '1', publication_names '\(literal)')"
        let sent = connection.begin(command)
        let result = unsafe PGResultHandle(adopting: PQexec(connection.handle.raw, command))
        guard result.status == PGRES_COPY_BOTH else { throw connection.error(result, sent) }
        connection.activity = .copying
        isStreaming = true
    }

    /// Hands over the next frame, without a copy of its own: it is valid inside `body` only. 0 only looks at what has arrived.
    /// - Returns: false if no frame came within `timeoutMs`.
    /// - Throws: when the server ended the stream or the connection was lost, and what `body` throws.
    public func receive(timeoutMs: Int32, _ body: (ReplicationFrame) throws -> Void) throws -> Bool {
        precondition(isStreaming, "the stream hasn't started")
        var deadline: ContinuousClock.Instant?
        while true {
            var start: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(connection.handle.raw, &start, 1)
            let data = unsafe PGMemoryHandle(adopting: start)
            if length > 0 {
                try body(unsafe Self.frame(UnsafeRawBufferPointer(start: data.raw, count: Int(length))))
                return true
            }
            guard length == 0 else { throw endOfStream() }
            // No clock is read while frames are there.
            let now = ContinuousClock.now
            let end = deadline ?? now.advanced(by: .milliseconds(timeoutMs))
            deadline = end
            let rest = max(.zero, now.duration(to: end))
            // Rounded up, so that the last wait doesn't turn into a busy loop.
            let restMs = Int32((rest / .milliseconds(1)).rounded(.up))
            guard let ready = unsafe pollSocket(connection.handle.raw, Int16(POLLIN), timeoutMs: restMs) else {
                throw lost()
            }
            if ready != 0 {
                guard unsafe PQconsumeInput(connection.handle.raw) == 1 else { throw lost() }
            } else if ContinuousClock.now >= end {
                return false
            }
        }
    }

    /// Tells the server how far we are; it may then forget its log up to `flushed`. Each position is that of the last byte
    /// plus one, as a frame's `end` is.
    /// - Parameter reply: asks for a keepalive at once.
    public func sendStatus(
        written: LSN, flushed: LSN, applied: LSN, reply: Bool = false
    ) throws(PostgresError) {
        precondition(isStreaming, "the stream hasn't started")
        var message: [UInt8] = [UInt8(ascii: "r")]
        message.reserveCapacity(34)
        for number in [written.rawValue, flushed.rawValue, applied.rawValue, UInt64(bitPattern: serverTimeUs())] {
            for shift in stride(from: 56, through: 0, by: -8) {
                message.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
            }
        }
        message.append(reply ? 1 : 0)
        let status = unsafe message.withUnsafeBytes { bytes in
            unsafe PQputCopyData(
                connection.handle.raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
        }
        guard status == 1, unsafe PQflush(connection.handle.raw) == 0 else { throw lost() }
    }

    private static func frame(_ bytes: UnsafeRawBufferPointer) throws(PostgresError) -> ReplicationFrame {
        func number(at offset: Int) -> UInt64 {
            unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        switch unsafe (bytes[0], bytes.count) {
        case (UInt8(ascii: "w"), 25...):
            return unsafe .xLogData(
                start: LSN(rawValue: number(at: 1)), end: LSN(rawValue: number(at: 9)),
                timestampUs: Int64(bitPattern: number(at: 17)),
                payload: UnsafeRawBufferPointer(rebasing: bytes[25...]))
        case (UInt8(ascii: "k"), 18...):
            return unsafe .keepalive(
                walEnd: LSN(rawValue: number(at: 1)), timestampUs: Int64(bitPattern: number(at: 9)),
                replyRequested: bytes[17] == 1)
        default:
            throw PostgresError(message: "the replication stream has a frame of an unknown kind")
        }
    }

    /// -1 of PQgetCopyData: "the COPY is done"; -2: "an error occurred". The result says which and why.
    private func endOfStream() -> PostgresError {
        let result = unsafe PGResultHandle(adopting: PQgetResult(connection.handle.raw))
        if result.status == PGRES_FATAL_ERROR { return connection.error(result) }
        return PostgresError(message: "the server ended the replication stream", isConnectionLost: true)
    }

    private func lost() -> PostgresError {
        var failure = connection.connectionError()
        failure.isConnectionLost = true
        return failure
    }

    /// An identifier of the replication grammar, which takes no parameters.
    private func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// Microseconds since 2000-01-01, as the protocol counts them.
    private func serverTimeUs() -> Int64 {
        var time = timespec()
        unsafe _ = clock_gettime(CLOCK_REALTIME, &time)
        return (Int64(time.tv_sec) - 946_684_800) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
