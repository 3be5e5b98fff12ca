// Owns one rd_kafka_conf_t until rd_kafka_new takes it over. Used on the thread that makes the client.

internal import CRDKafka
internal import Diagnostics
import Glibc

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
            let nearest = nearestWord(to: property, among: Self.propertyNames())
            let hint = nearest.map { "; did you mean \"\($0)\"?" } ?? ""
            throw KafkaError(code: .invalidArgument, message: "librdkafka has no property \"\(property)\"\(hint)")
        default:
            let isSecret = isSecretName(property)
            let why = isSecret ? "its value was refused" : "\"\(value)\" was refused: \(text(of: reason))"
            throw KafkaError(code: .invalidArgument, message: "property \"\(property)\": \(why)")
        }
    }

    /// Where the C callbacks find their object again.
    func setOpaque(_ opaque: UnsafeMutableRawPointer) { unsafe rd_kafka_conf_set_opaque(pointer, opaque) }

    func setCallbacks(deliveryReports: Bool, rebalances: Bool) {
        unsafe rd_kafka_conf_set_log_cb(pointer, receiveLogLine)
        unsafe rd_kafka_conf_set_error_cb(pointer, receiveError)
        // Without TLS in librdkafka it is refused, and never needed.
        unsafe _ = rd_kafka_conf_set_ssl_cert_verify_cb(pointer, verifyCertificate)
        if deliveryReports { unsafe rd_kafka_conf_set_dr_msg_cb(pointer, receiveDeliveryReport) }
        if rebalances { unsafe rd_kafka_conf_set_rebalance_cb(pointer, receiveRebalance) }
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

    /// The names of all properties of this build of librdkafka, aliases such as `linger.ms` included.
    /// rd_kafka_conf_dump leaves the aliases out; what rd_kafka_conf_properties_show prints is a table of all.
    static func propertyNames() -> [String] {
        var buffer: UnsafeMutablePointer<CChar>?
        var size = 0
        guard let stream = unsafe open_memstream(&buffer, &size) else { return [] }
        unsafe rd_kafka_conf_properties_show(stream)
        unsafe fclose(stream)
        defer { unsafe free(buffer) }
        guard let table = unsafe buffer.map({ unsafe String(cString: $0) }) else { return [] }
        return table.split(separator: "\n").compactMap { line in
            line.contains("|") ? String(line.prefix { $0 != " " }) : nil
        }
    }
}
