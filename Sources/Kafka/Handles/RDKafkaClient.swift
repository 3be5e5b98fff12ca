// Owns one rd_kafka_t, the C client. Which thread may use it is its owner's rule: librdkafka itself is thread-safe,
// but the callbacks write to the context on the thread that polls.

internal import CRDKafka
import Glibc
import Threads

/// Messages and topics retain their client, so the C client is destroyed after the last of them: rd_kafka_destroy
/// would otherwise wait for them for ever.
@safe
final class RDKafkaClient {
    let pointer: OpaquePointer
    let context: ClientContext
    let settings: KafkaClientSettings
    let ledger: HandleLedger?
    private let retainedContext: Unmanaged<ClientContext>

    /// - Throws: when a property is unknown or has an impossible value; nothing is left behind then.
    static func make(
        _ kind: rd_kafka_type_t, _ settings: KafkaClientSettings, defaults: [(String, String)] = [],
        deliveryReports: Bool = false, rebalances: Bool = false
    ) throws(KafkaError) -> RDKafkaClient {
        var configuration = ConfigurationHandle()
        let context = ClientContext()
        let common = [("client.id", "allocbench"), ("bootstrap.servers", settings.bootstrapServers)]
        for (property, value) in common + defaults where settings.properties[property] == nil {
            try configuration.set(property, value)
        }
        for (property, value) in settings.properties.sorted(by: { $0.key < $1.key }) {
            try configuration.set(property, value)
        }
        configuration.setCallbacks(deliveryReports: deliveryReports, rebalances: rebalances)
        let retained = unsafe Unmanaged.passRetained(context)
        unsafe configuration.setOpaque(retained.toOpaque())
        do {
            return unsafe RDKafkaClient(
                adopting: try configuration.makeClient(kind), context, retained, settings)
        } catch {
            unsafe retained.release()
            throw error
        }
    }

    private init(
        adopting pointer: OpaquePointer, _ context: ClientContext, _ retained: Unmanaged<ClientContext>,
        _ settings: KafkaClientSettings
    ) {
        unsafe self.pointer = pointer
        self.context = context
        self.settings = settings
        unsafe self.retainedContext = retained
        self.ledger = HandleLedger.current
        ledger?.adopted(.client)
    }

    deinit {
        // What is left behind has left its group; its memory and threads go with the process.
        if context.isIndestructible { return }
        if unsafe Self.destroy(pointer, retainedContext) { ledger?.freed(.client) }
    }

    /// rd_kafka_destroy waits for every reference to the client without a limit, and hangs for ever if librdkafka itself
    /// has lost count of one. So it runs on a thread of its own, which is left behind after 10 s.
    /// - Returns: whether the client is gone.
    private static func destroy(_ pointer: OpaquePointer, _ context: Unmanaged<ClientContext>) -> Bool {
        let isDone = StopFlag()
        // Handed over: nothing here touches them any more.
        nonisolated(unsafe) let pointer = unsafe pointer
        nonisolated(unsafe) let context = unsafe context
        let thread = WorkerThread<Void>(name: "kafka destroy") {
            // KafkaConsumer.close has already closed the consumer, with a deadline; closing here would have none.
            unsafe rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
            unsafe context.release()
            isDone.set()
        }
        let deadline = monotonicNowMs() + 10_000
        while !isDone.isSet {
            guard monotonicNowMs() < deadline else { return false }
            usleep(500)
        }
        _ = try? thread.join()
        return true
    }

    // MARK: Reachability

    /// Throws when no broker answers a metadata request in time, and long before where trying on is of no use: a second after a
    /// broker has refused the user, or the client the broker's certificate. Blocks its thread.
    func requireReachable(timeoutMs: Int32) throws(KafkaError) {
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        while true {
            let slice = max(1, min(100, deadline - monotonicNowMs()))
            var metadata: UnsafePointer<rd_kafka_metadata>?
            let code = unsafe rd_kafka_metadata(pointer, 0, nil, &metadata, Int32(slice))
            if let metadata = unsafe metadata { unsafe rd_kafka_metadata_destroy(metadata) }
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else {
                context.allBrokersDownSinceMs = nil
                context.connectionFaults.clear()
                return
            }
            // Of several brokers one may be right where another is wrong.
            if let fault = context.connectionFaults.current, monotonicNowMs() - fault.sinceMs >= fault.patienceMs {
                throw refused(fault)
            }
            guard monotonicNowMs() < deadline else { throw unreachable(code, "within \(timeoutMs) ms") }
        }
    }

    private func refused(_ fault: ConnectionFault) -> KafkaError {
        KafkaError(
            code: fault.code, message: "no connection to \(settings.bootstrapServers): \(fault.words)",
            isRetriable: false)
    }

    /// Called by every poll: nothing to do but one comparison while brokers are connected.
    @inline(__always)
    func checkHealth() throws(KafkaError) {
        if context.fatalError != nil || context.allBrokersDownSinceMs != nil { try checkHealthSlowly() }
    }

    private func checkHealthSlowly() throws(KafkaError) {
        if let fatal = context.fatalError { throw fatal }
        guard let since = context.allBrokersDownSinceMs,
            monotonicNowMs() - since >= Int64(settings.unreachableTimeoutMs)
        else { return }
        // librdkafka doesn't say when a broker is back, so ask.
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(pointer, 0, nil, &metadata, 1_000)
        if let metadata = unsafe metadata { unsafe rd_kafka_metadata_destroy(metadata) }
        if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            context.allBrokersDownSinceMs = nil
            context.connectionFaults.clear()
        } else {
            throw unreachable(code, "for \(monotonicNowMs() - since) ms")
        }
    }

    private func unreachable(_ code: rd_kafka_resp_err_t, _ howLong: String) -> KafkaError {
        if let fault = context.connectionFaults.current(downSinceMs: context.allBrokersDownSinceMs) {
            return refused(fault)
        }
        let quote = context.log.last.last.map { ": \($0)" } ?? ""
        let code = KafkaError.Code(code)
        return KafkaError(
            code: code == .timedOut || code == .transport ? .allBrokersDown : code,
            message: "no broker answered at \(settings.bootstrapServers) \(howLong)\(quote)")
    }
}

/// Milliseconds of CLOCK_MONOTONIC, for deadlines.
func monotonicNowMs() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
}
