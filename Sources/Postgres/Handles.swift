// The pointers that libpq hands out, each owned by one value that frees it. No policy here.
// A pointer is adopted first and checked second, so that a failure in between frees it too.

internal import CLibPQ

#if DEBUG
    internal import Synchronization
#endif

/// Owns one connection, failed ones included: "PQfinish … should be called even if the attempt fails".
@safe
struct PGConnHandle: ~Copyable {
    /// Nil once finished; libpq's functions answer nil as a broken connection.
    private(set) var raw: OpaquePointer?

    init(adopting raw: OpaquePointer?) {
        unsafe self.raw = raw
        if unsafe raw != nil { HandleCount.made(.connection) }
    }

    mutating func finish() {
        guard let open = unsafe raw else { return }
        unsafe PQfinish(open)
        unsafe raw = nil
        HandleCount.freed(.connection)
    }

    deinit {
        guard let open = unsafe raw else { return }
        unsafe PQfinish(open)
        HandleCount.freed(.connection)
    }
}

/// Owns one result. "PGresult objects are read-only after creation" and may be read on any thread: hence Sendable.
@safe
struct PGResultHandle: ~Copyable, Sendable {
    /// Guarded by being read-only. Nil where libpq ran out of memory or had no connection to ask.
    nonisolated(unsafe) let raw: OpaquePointer?

    init(adopting raw: OpaquePointer?) {
        unsafe self.raw = raw
        if unsafe raw != nil { HandleCount.made(.result) }
    }

    deinit {
        guard let result = unsafe raw else { return }
        unsafe PQclear(result)
        HandleCount.freed(.result)
    }

    /// PGRES_FATAL_ERROR for a nil result.
    var status: ExecStatusType { unsafe PQresultStatus(raw) }

    /// A field of the server's report, by the letter that libpq's PG_DIAG_ macros stand for.
    func errorField(_ letter: Unicode.Scalar) -> String? {
        unsafe PQresultErrorField(raw, Int32(letter.value)).map { unsafe String(cString: $0) }
    }
}

/// Owns what it takes to cancel; PQcancel may be called on another thread than the connection's.
@safe
struct PGCancelHandle: ~Copyable, Sendable {
    /// Guarded by being read-only: "PQcancel … is safe to be used in a signal handler".
    nonisolated(unsafe) let raw: OpaquePointer?

    init(adopting raw: OpaquePointer?) {
        unsafe self.raw = raw
        if unsafe raw != nil { HandleCount.made(.cancel) }
    }

    deinit {
        guard let cancel = unsafe raw else { return }
        unsafe PQfreeCancel(cancel)
        HandleCount.freed(.cancel)
    }
}

/// Owns an array of connection options that PQconninfoParse made.
@safe
struct PGConninfoHandle: ~Copyable {
    let raw: UnsafeMutablePointer<PQconninfoOption>?

    init(adopting raw: UnsafeMutablePointer<PQconninfoOption>?) {
        unsafe self.raw = raw
        if unsafe raw != nil { HandleCount.made(.conninfo) }
    }

    deinit {
        guard let options = unsafe raw else { return }
        unsafe PQconninfoFree(options)
        HandleCount.freed(.conninfo)
    }
}

/// Owns bytes that libpq allocated: rows of COPY, error texts.
@safe
struct PGMemoryHandle: ~Copyable {
    let raw: UnsafeMutablePointer<CChar>?

    init(adopting raw: UnsafeMutablePointer<CChar>?) {
        unsafe self.raw = raw
        if unsafe raw != nil { HandleCount.made(.memory) }
    }

    deinit {
        guard let memory = unsafe raw else { return }
        unsafe PQfreemem(memory)
        HandleCount.freed(.memory)
    }
}

/// How many handles of each kind were made and freed, for the tests that look for leaks. Only a debug build counts, and
/// only inside `HandleCount.$observed.withValue`, so that tests running side by side don't see each other's handles.
enum HandleCount {
    enum Kind: Int, CaseIterable { case connection, result, cancel, conninfo, memory }

    #if DEBUG
        final class Ledger: Sendable {
            private let counts = Mutex([(made: Int, freed: Int)](repeating: (0, 0), count: Kind.allCases.count))
            func made(_ kind: Kind) { counts.withLock { $0[kind.rawValue].made += 1 } }
            func freed(_ kind: Kind) { counts.withLock { $0[kind.rawValue].freed += 1 } }
            func of(_ kind: Kind) -> (made: Int, freed: Int) { counts.withLock { $0[kind.rawValue] } }
        }

        @TaskLocal static var observed: Ledger?
        static func made(_ kind: Kind) { observed?.made(kind) }
        static func freed(_ kind: Kind) { observed?.freed(kind) }
    #else
        @inline(__always) static func made(_ kind: Kind) {}
        @inline(__always) static func freed(_ kind: Kind) {}
    #endif
}
