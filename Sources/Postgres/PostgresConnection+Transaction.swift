// Transactions: begin, commit, roll back, and the loop that tries again what the server rolled back by itself.
// On the connection's thread. Clock and randomness come from the caller.

internal import CLibPQ
internal import Glibc

extension PostgresConnection {
    /// Opens a transaction. `isolation` nil takes the session's default.
    public func begin(isolation: IsolationLevel? = nil) throws(PostgresError) {
        failureInTransaction = nil
        try execute(isolation.map { "BEGIN ISOLATION LEVEL \($0.rawValue)" } ?? "BEGIN")
    }

    /// Commits the open transaction.
    ///
    /// A connection lost meanwhile makes an error whose `isAmbiguous` is set: the server may have committed.
    /// A COMMIT that the server answers with ROLLBACK, because a statement had failed before, throws with the code of
    /// that statement's failure.
    public func commit() throws(PostgresError) {
        let cause = failureInTransaction
        let result = try simple("COMMIT")
        failureInTransaction = nil
        let tag = unsafe PQcmdStatus(result.raw).map { unsafe String(cString: $0) }
        guard tag == "ROLLBACK" else { return }
        throw PostgresError(
            sqlState: cause?.sqlState ?? .inFailedTransaction,
            message: "COMMIT was answered with ROLLBACK: " + (cause?.message ?? "an earlier statement had failed"),
            detail: cause?.detail, hint: cause?.hint, constraint: cause?.constraint, statement: cause?.statement)
    }

    /// Abandons the open transaction.
    public func rollback() throws(PostgresError) {
        failureInTransaction = nil
        try execute("ROLLBACK")
    }

    /// Goes back to the savepoint behind which everything of this transaction lies.
    private func restart() throws(PostgresError) {
        failureInTransaction = nil
        try execute(ServerStatements.statement("restart", for: dialect))
    }

    /// Runs `body` in a transaction, and again when the server says that a new attempt may succeed (40001, 40P01).
    ///
    /// Whatever `body` throws rolls the transaction back. An ambiguous COMMIT isn't tried again: it is thrown, and the
    /// caller looks at the database. Blocks for the statements and for the delays between attempts.
    /// - Parameters:
    ///   - random: which part of a delay's limit to wait, from 0 up to 1; a seeded source makes a run repeatable.
    ///   - sleep: waits; replaced in tests.
    ///   - onRetry: hears of each failure that leads to a new attempt, before the delay.
    ///   - method: what is repeated. With a savepoint the transaction goes back to it instead of ending, and begins anew only
    ///     when that has failed as often as `CockroachSettings.savepointRestartsMax`.
    public func transaction<R>(
        isolation: IsolationLevel? = nil,
        retry: RetryPolicy = RetryPolicy(),
        method: RetryMethod = .transaction,
        random: () -> Double = { Double.random(in: 0..<1) },
        sleep: (Duration) -> Void = sleepThread,
        onRetry: (PostgresError) -> Void = { _ in },
        body: (PostgresConnection) throws -> R
    ) throws -> R {
        var attempt = 1
        var restarts = 0
        while true {
            do {
                if !isInTransaction {
                    try begin(isolation: isolation)
                    restarts = 0
                    if method == .savepoint { try execute(ServerStatements.statement("begin_retryable", for: dialect)) }
                }
                let value = try body(self)
                if method == .savepoint { try execute(ServerStatements.statement("end_retryable", for: dialect)) }
                try commit()
                return value
            } catch {
                // What `body` left in a pipeline is read first: ROLLBACK takes its turn after it.
                if activity == .pipelining { try? exitPipelineMode() }
                if method == .savepoint, let failure = error as? PostgresError, failure.isRetryable,
                    activity == .idle, isTransactionFailed, restarts < CockroachSettings.savepointRestartsMax,
                    attempt < retry.maxAttempts, (try? restart()) != nil
                {
                    restarts += 1
                    onRetry(failure)
                    sleep(retry.delay(attempt: attempt, jitter: random()))
                    attempt += 1
                    continue
                }
                // A failed ROLLBACK means a lost connection, which the error at hand tells, or the next statement will.
                if activity == .idle && isInTransaction { try? rollback() }
                guard let failure = error as? PostgresError, failure.isRetryable, !failure.isConnectionLost,
                    attempt < retry.maxAttempts
                else { throw error }
                onRetry(failure)
                sleep(retry.delay(attempt: attempt, jitter: random()))
                attempt += 1
            }
        }
    }
}

/// Blocks the calling thread for `duration`, through signals.
@Sendable
public func sleepThread(for duration: Duration) {
    let (seconds, attoseconds) = duration.components
    var rest = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    while true {
        var request = rest
        guard unsafe nanosleep(&request, &rest) != 0 && errno == EINTR else { return }
    }
}
