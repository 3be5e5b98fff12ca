// Transactions of Kafka: what is produced in one is seen by readers of committed messages as a whole, or never. On the producer's
// thread; every call blocks it. The producer must have a `transactional.id`, and at most one lives of each: the newest fences
// off the others.

internal import CRDKafka
import Glibc

extension KafkaProducer {
    /// Once, before the first transaction. Whatever an earlier producer of the same id left open is aborted.
    /// - Throws: also where the broker has no transactions.
    public func initTransactions(timeoutMs: Int32 = 60_000) throws(KafkaError) {
        try unsafe repeating("preparing transactions", timeoutMs: timeoutMs) {
            unsafe rd_kafka_init_transactions($0, $1)
        }
    }

    /// What is produced from now on belongs to a new transaction.
    public func beginTransaction() throws(KafkaError) {
        try unsafe repeating("beginning a transaction", timeoutMs: 0) { client, _ in
            unsafe rd_kafka_begin_transaction(client)
        }
    }

    /// Sends what is still here, waits for all of it, and commits. The delivery reports are handed over by the next `poll`.
    /// - Throws: when nothing of the transaction will be seen: it is aborted then.
    public func commitTransaction(timeoutMs: Int32 = 60_000) throws(KafkaError) {
        do throws(KafkaError) {
            try unsafe repeating("committing a transaction", timeoutMs: timeoutMs) {
                unsafe rd_kafka_commit_transaction($0, $1)
            }
        } catch {
            if !error.isFatal { try? abortTransaction() }
            throw error
        }
    }

    /// Takes back what the transaction has produced.
    public func abortTransaction(timeoutMs: Int32 = 30_000) throws(KafkaError) {
        try unsafe repeating("aborting a transaction", timeoutMs: timeoutMs) {
            unsafe rd_kafka_abort_transaction($0, $1)
        }
    }

    /// "The application may call this again" (rdkafka.h) is what a retriable error means; a timeout in the middle is one.
    private func repeating(
        _ context: String, timeoutMs: Int32, _ call: (_ client: OpaquePointer, _ timeoutMs: Int32) -> OpaquePointer?
    ) throws(KafkaError) {
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        while true {
            let left = Int32(max(0, deadline - monotonicNowMs()))
            guard let problem = unsafe call(handle, left) else { return }
            let error = unsafe KafkaError(consuming: problem, context)
            guard error.isRetriable, monotonicNowMs() < deadline else { throw error }
            usleep(20_000)
        }
    }
}
