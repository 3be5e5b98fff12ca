// What the C callbacks of one client write to. Log lines come from librdkafka's own threads, so they are behind a
// mutex; delivery reports and errors come inside rd_kafka_poll and rd_kafka_consumer_poll, on the caller's thread.

internal import CRDKafka
import Synchronization

/// One message's fate, as the delivery callback saw it.
struct DeliveryReport {
    let tag: UInt64
    let offset: Int64
    let partition: Int32
    let error: rd_kafka_resp_err_t
}

/// Lives from before `rd_kafka_new` until after `rd_kafka_destroy`: the client retains it for the C side.
final class ClientContext {
    let log = LogLines()
    let connectionFaults = ConnectionFaults()
    /// Reports that the callback left for the next hand-over. Caller's thread only.
    var deliveries: [DeliveryReport] = []
    /// What the group said and the consumer hasn't answered. Caller's thread only.
    var groupEvents: [GroupEvent] = []
    /// Whether rd_kafka_destroy must not be called: in librdkafka 2.0.2 it ends the process (`Assertion assignor_state failed`)
    /// when a member of a cooperative-sticky group has joined and never had an assignment. Caller's thread only.
    var isIndestructible = false
    /// When librdkafka last said that no broker is connected (monotonic ms); nil once one answered. Caller's thread only.
    var allBrokersDownSinceMs: Int64?
    /// Set once, when librdkafka raises a fatal error. Caller's thread only.
    var fatalError: KafkaError?
}

/// The last lines librdkafka logged, so that an error can quote them.
final class LogLines: Sendable {
    private static let lineCountMax = 20
    private let lines = Mutex<[String]>([])

    func append(_ line: String) {
        lines.withLock {
            if $0.count == Self.lineCountMax { $0.removeFirst() }
            $0.append(line)
        }
    }

    var last: [String] { lines.withLock { $0 } }
}

/// "An application MUST NOT call any librdkafka APIs or do any prolonged work in a non-forwarded log_cb" (rdkafka.h);
/// rd_kafka_opaque only reads a field that was set before the first line can come.
func receiveLogLine(
    _ client: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ line: UnsafePointer<CChar>?
) {
    guard let client = unsafe client, let line = unsafe line, let opaque = unsafe rd_kafka_opaque(client) else {
        return
    }
    let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
    let words = unsafe String(cString: line)
    context.log.append(words)
    context.connectionFaults.note(line: words)
}

/// "These errors should generally be considered informational and non-permanent, the client will try to recover
/// automatically" (rdkafka.h): only a fatal error and the loss of all brokers are kept.
func receiveError(
    _ client: OpaquePointer?, _ code: Int32, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let opaque = unsafe opaque else { return }
    let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
    let words = unsafe reason.map { unsafe String(cString: $0) } ?? ""
    context.log.append(words)
    context.connectionFaults.note(line: words)
    switch KafkaError.Code(rawValue: code) {
    case .fatal:
        var text = [CChar](repeating: 0, count: 512)
        let cause = unsafe rd_kafka_fatal_error(client, &text, text.count)
        context.fatalError = KafkaError(
            code: KafkaError.Code(cause), message: "the client can't go on: \(Kafka.text(of: text))", isFatal: true)
    case .allBrokersDown:
        if context.allBrokersDownSinceMs == nil { context.allBrokersDownSinceMs = monotonicNowMs() }
    default:
        break
    }
}

/// Serves one delivery report. The 64-bit tag travelled as the message's opaque pointer.
func receiveDeliveryReport(
    _ client: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let message = unsafe message, let opaque = unsafe opaque else { return }
    let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
    let report = unsafe DeliveryReport(
        tag: UInt64(UInt(bitPattern: message.pointee._private)), offset: message.pointee.offset,
        partition: message.pointee.partition, error: message.pointee.err)
    context.deliveries.append(report)
}
