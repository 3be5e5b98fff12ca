// One session with a database and the plain statements on it. Belongs to one thread: every call blocks that thread until
// the server answered, and nothing here locks. What may cross threads is `CancelToken` and `QueryResult`.

internal import CLibPQ

/// A connection to PostgreSQL or CockroachDB. Freed, and so closed, with its last reference; `close` does it at once.
@safe
public final class PostgresConnection {
    /// What the protocol is in the middle of.
    enum Activity {
        /// Can transition to `copying` and `pipelining`.
        case idle
        /// Inside `copyIn` or `copyOut`; can transition to `idle`.
        case copying
        /// Between `enterPipelineMode` and `exitPipelineMode`; can transition to `idle`.
        case pipelining
    }

    var handle: PGConnHandle
    let info: ConnectionInfo
    var activity = Activity.idle
    /// What made the current transaction fail, for the COMMIT that then answers ROLLBACK.
    var failureInTransaction: PostgresError?
    /// The text of each prepared statement, for errors.
    var preparedStatements: [String: String] = [:]
    /// In pipeline mode: what was sent and isn't answered yet.
    var pending = PendingAnswers()
    /// In pipeline mode: about how much libpq may hold that hasn't been handed to the socket.
    var unsentByteCount = 0
    private let scratch = ParameterBuffer(capacity: 256)

    private init(adopting handle: consuming PGConnHandle, info: ConnectionInfo) {
        self.handle = handle
        self.info = info
    }

    /// Connects. Blocks until the server accepted, at most `connect_timeout` seconds per address (10 unless given).
    /// Without an `application_name` in `info` the server shows `applicationName`.
    public static func connect(
        to info: ConnectionInfo, applicationName: String = "allocbench"
    ) throws(PostgresError) -> PostgresConnection {
        try connect(to: info, applicationName: applicationName, extra: [:])
    }

    static func connect(
        to info: ConnectionInfo, applicationName: String, extra: [String: String]
    ) throws(PostgresError) -> PostgresConnection {
        var complete = info
        if info["application_name"] == nil { complete = complete.with("application_name", applicationName) }
        if info["connect_timeout"] == nil { complete = complete.with("connect_timeout", "10") }
        complete = complete.withLossNoticed().with("client_encoding", "UTF8")
        for (key, value) in extra { complete = complete.with(key, value) }
        let (keys, values) = complete.keysAndValues
        let raw = unsafe withCStrings(keys) { keys in
            unsafe withCStrings(values) { values in
                // 0: a database name isn't read as a connection text of its own.
                unsafe PQconnectdbParams(keys, values, 0)
            }
        }
        let connection = unsafe PostgresConnection(adopting: PGConnHandle(adopting: raw), info: complete)
        guard unsafe PQstatus(connection.handle.raw) == CONNECTION_OK else {
            var failure = connection.connectionError()
            failure.hint = complete.remedy(for: failure.message)
            throw failure
        }
        // By default libpq prints the server's notices on the standard error of this process.
        unsafe _ = PQsetNoticeReceiver(connection.handle.raw, { _, _ in }, nil)
        return connection
    }

    /// Ends the session now. Every later call throws an error whose `isConnectionLost` is set.
    public func close() { handle.finish() }

    /// The process of the server, or of the node, that serves this session.
    public var backendProcessID: Int32 { unsafe PQbackendPID(handle.raw) }

    /// A setting that the server reports by itself, such as "server_version", "TimeZone" or "crdb_version".
    public func parameterStatus(_ name: String) -> String? {
        unsafe PQparameterStatus(handle.raw, name).map { unsafe String(cString: $0) }
    }

    public var serverVersion: String { parameterStatus("server_version") ?? "unknown" }

    /// Whether the server is CockroachDB, which reports its version under a name of its own.
    public var isCockroachDB: Bool { parameterStatus("crdb_version") != nil }

    /// The version of libpq, as 150018 for 15.18.
    public static var libraryVersion: Int { Int(PQlibVersion()) }

    /// Whether a transaction is open, the failed one that only ROLLBACK ends included.
    public var isInTransaction: Bool {
        let status = unsafe PQtransactionStatus(handle.raw)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    /// Whether the open transaction has failed and waits for ROLLBACK.
    public var isTransactionFailed: Bool { unsafe PQtransactionStatus(handle.raw) == PQTRANS_INERROR }

    /// Runs one or several statements without parameters and without rows (the simple protocol).
    /// Several statements in one text are one transaction unless they say otherwise.
    public func execute(_ sql: String) throws(PostgresError) {
        _ = try simple(sql)
    }

    /// Runs one statement with its parameters beside it and returns its rows as text.
    @discardableResult
    public func query(_ sql: String, _ parameters: PostgresValue...) throws(PostgresError) -> QueryResult {
        try query(sql, parameters: parameters)
    }

    @discardableResult
    public func query(
        _ sql: String, parameters: [PostgresValue], resultFormat: ResultFormat = .text
    ) throws(PostgresError) -> QueryResult {
        scratch.reset()
        scratch.append(contentsOf: parameters)
        return try query(sql, parameters: scratch, resultFormat: resultFormat)
    }

    @discardableResult
    public func query(
        _ sql: String, parameters: ParameterBuffer, resultFormat: ResultFormat = .text
    ) throws(PostgresError) -> QueryResult {
        let sent = begin(sql)
        let raw = unsafe parameters.withArrays { count, types, values, lengths, formats in
            unsafe PQexecParams(handle.raw, sql, count, types, values, lengths, formats, resultFormat.code)
        }
        return QueryResult(try check(unsafe PGResultHandle(adopting: raw), sent))
    }

    /// Prepares a statement for this session; the server chooses the types of its parameters.
    public func prepare(_ name: String, _ sql: String) throws(PostgresError) {
        let sent = begin(sql)
        let result = unsafe PGResultHandle(adopting: PQprepare(handle.raw, name, sql, 0, nil))
        _ = try check(result, sent)
        preparedStatements[name] = sql
    }

    /// Runs a prepared statement.
    @discardableResult
    public func executePrepared(
        _ name: String, parameters: ParameterBuffer, resultFormat: ResultFormat = .text
    ) throws(PostgresError) -> QueryResult {
        let sent = begin(prepared: name)
        let raw = unsafe parameters.withArrays { count, _, values, lengths, formats in
            unsafe PQexecPrepared(handle.raw, name, count, values, lengths, formats, resultFormat.code)
        }
        return QueryResult(try check(unsafe PGResultHandle(adopting: raw), sent))
    }

    @discardableResult
    public func executePrepared(
        _ name: String, parameters: [PostgresValue] = [], resultFormat: ResultFormat = .text
    ) throws(PostgresError) -> QueryResult {
        scratch.reset()
        scratch.append(contentsOf: parameters)
        return try executePrepared(name, parameters: scratch, resultFormat: resultFormat)
    }

    /// What another thread needs to cancel the statement that runs on this connection.
    public func cancelToken() -> CancelToken {
        unsafe CancelToken(PGCancelHandle(adopting: PQgetCancel(handle.raw)))
    }
}

/// Calls `body` with a null-terminated array of C strings, which are valid during the call.
func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R) -> R {
    let bytes: [UInt8] = strings.flatMap { Array($0.utf8) + [0] }
    return unsafe bytes.withUnsafeBytes { memory in
        var pointers: [UnsafePointer<CChar>?] = unsafe []
        var start = 0
        for string in strings {
            unsafe pointers.append(memory.baseAddress.map { unsafe ($0 + start).assumingMemoryBound(to: CChar.self) })
            start += string.utf8.count + 1
        }
        unsafe pointers.append(nil)
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
    }
}
