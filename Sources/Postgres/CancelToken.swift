// The one thing about a connection that another thread may use.

internal import CLibPQ

/// Cancels the statement that runs on a connection, from any thread. It outlives the connection harmlessly.
public final class CancelToken: Sendable {
    private let handle: PGCancelHandle

    init(_ handle: consuming PGCancelHandle) { self.handle = handle }

    /// Asks the server to cancel; the statement then fails with 57014. Blocks for a connection of its own.
    ///
    /// A request that comes late hits the next statement on that connection: after a cancel, expect one more 57014.
    public func cancel() throws(PostgresError) {
        var reason = [CChar](repeating: 0, count: 256)
        let count = Int32(reason.count)
        guard unsafe PQcancel(handle.raw, &reason, count) != 1 else { return }
        let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw PostgresError(message: "the request to cancel wasn't delivered: \(text)")
    }
}
