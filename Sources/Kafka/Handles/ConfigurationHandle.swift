// Owns one rd_kafka_conf_t until rd_kafka_new takes it over. Used on the thread that makes the client.

internal import CRDKafka
internal import Diagnostics

@safe
struct ConfigurationHandle: ~Copyable {
    /// nil once a client has taken it over.
    private var pointer: OpaquePointer?
    private let ledger = HandleLedger.current

    init() {
        unsafe pointer = rd_kafka_conf_new()
        ledger?.adopted(.configuration)
    }

    deinit {
        if let pointer = unsafe pointer { unsafe rd_kafka_conf_destroy(pointer) }
        ledger?.freed(.configuration)
    }

    /// Sets one property, or says which one was refused and why (`rd_kafka_conf_set`).
    func set(_ property: String, _ value: String) throws(KafkaError) {
        var reason = [CChar](repeating: 0, count: 512)
        let outcome = unsafe rd_kafka_conf_set(pointer, property, value, &reason, reason.count)
        switch outcome {
        case RD_KAFKA_CONF_OK: return
        case RD_KAFKA_CONF_UNKNOWN:
            let nearest = nearestWord(to: property, among: names()).map { "; did you mean \"\($0)\"?" } ?? ""
            throw KafkaError(
                code: .invalidArgument, message: "librdkafka has no property \"\(property)\"\(nearest)")
        default:
            let why = KafkaClientSettings.isSecret(property) ? "its value was refused" : text(of: reason)
            throw KafkaError(code: .invalidArgument, message: "property \"\(property)\": \(why)")
        }
    }

    /// Where the C callbacks find their object again.
    func setOpaque(_ opaque: UnsafeMutableRawPointer) { unsafe rd_kafka_conf_set_opaque(pointer, opaque) }

    func setCallbacks(deliveryReports: Bool) {
        unsafe rd_kafka_conf_set_log_cb(pointer, receiveLogLine)
        unsafe rd_kafka_conf_set_error_cb(pointer, receiveError)
        if deliveryReports { unsafe rd_kafka_conf_set_dr_msg_cb(pointer, receiveDeliveryReport) }
    }

    /// `rd_kafka_new` owns the configuration when it succeeds, and leaves it to its caller when it fails.
    mutating func makeClient(_ kind: rd_kafka_type_t) throws(KafkaError) -> OpaquePointer {
        var reason = [CChar](repeating: 0, count: 512)
        guard let client = unsafe rd_kafka_new(kind, pointer, &reason, reason.count) else {
            throw KafkaError(code: .invalidArgument, message: "no client could be made: \(text(of: reason))")
        }
        unsafe pointer = nil
        return unsafe client
    }

    /// The names of all properties that this build of librdkafka knows, as far as they have a value.
    private func names() -> [String] {
        var count = 0
        guard let dump = unsafe rd_kafka_conf_dump(pointer, &count) else { return [] }
        defer { unsafe rd_kafka_conf_dump_free(dump, count) }
        return stride(from: 0, to: count, by: 2).compactMap { index in
            unsafe dump[index].map { unsafe String(cString: $0) }
        }
    }
}
