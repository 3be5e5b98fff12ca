// What librdkafka or a broker says went wrong, as one value. No thread of its own; safe on any.

internal import CRDKafka

/// An error of librdkafka (negative codes) or of a broker (positive codes).
public struct KafkaError: Error, Sendable, CustomStringConvertible {
    public let code: Code
    /// One sentence, with the topic, partition or address where that is known. Never holds a secret property's value.
    public let message: String
    /// The client can't go on: destroy it and make another.
    public let isFatal: Bool
    /// The same call may work when tried again.
    public let isRetriable: Bool

    public init(code: Code, message: String, isFatal: Bool = false, isRetriable: Bool? = nil) {
        self.code = code
        self.message = message
        self.isFatal = isFatal
        self.isRetriable = isRetriable ?? (!isFatal && Code.usuallyPassing.contains(code))
    }

    /// `kafka: topic "fills": … (UNKNOWN_TOPIC_OR_PART)`
    public var description: String { "kafka: \(message) (\(code.name))" }
}

extension KafkaError {
    /// `rd_kafka_resp_err_t`; a struct, so that a code unknown today still has a value.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        init(_ code: rd_kafka_resp_err_t) { self.init(rawValue: code.rawValue) }
        var raw: rd_kafka_resp_err_t { rd_kafka_resp_err_t(rawValue) }

        // From librdkafka itself.
        public static let invalidArgument = Code(RD_KAFKA_RESP_ERR__INVALID_ARG)
        public static let transport = Code(RD_KAFKA_RESP_ERR__TRANSPORT)
        public static let allBrokersDown = Code(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        public static let authentication = Code(RD_KAFKA_RESP_ERR__AUTHENTICATION)
        public static let ssl = Code(RD_KAFKA_RESP_ERR__SSL)
        public static let resolve = Code(RD_KAFKA_RESP_ERR__RESOLVE)
        public static let timedOut = Code(RD_KAFKA_RESP_ERR__TIMED_OUT)
        public static let messageTimedOut = Code(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        public static let queueFull = Code(RD_KAFKA_RESP_ERR__QUEUE_FULL)
        public static let fatal = Code(RD_KAFKA_RESP_ERR__FATAL)
        public static let autoOffsetReset = Code(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        public static let state = Code(RD_KAFKA_RESP_ERR__STATE)
        public static let unknownPartition = Code(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        public static let unknownTopic = Code(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
        public static let unsupportedFeature = Code(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
        public static let fail = Code(RD_KAFKA_RESP_ERR__FAIL)

        // From a broker.
        public static let offsetOutOfRange = Code(RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        public static let unknownTopicOrPartition = Code(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        public static let leaderNotAvailable = Code(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        public static let requestTimedOut = Code(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT)
        public static let messageTooLarge = Code(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        public static let topicAlreadyExists = Code(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        public static let notLeaderForPartition = Code(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        public static let notController = Code(RD_KAFKA_RESP_ERR_NOT_CONTROLLER)

        static let usuallyPassing: Set<Code> = [
            .transport, .allBrokersDown, .timedOut, .messageTimedOut, .queueFull, .leaderNotAvailable,
            .requestTimedOut, .notController,
        ]

        /// The name in the protocol or in librdkafka, such as `_ALL_BROKERS_DOWN` (`rd_kafka_err2name`).
        public var name: String { unsafe String(cString: rd_kafka_err2name(raw)) }
        /// librdkafka's words for the code (`rd_kafka_err2str`).
        public var text: String { unsafe String(cString: rd_kafka_err2str(raw)) }
        public var description: String { name }
    }

    init(_ code: rd_kafka_resp_err_t, _ context: String, detail: String? = nil) {
        let code = Code(code)
        self.init(code: code, message: "\(context): \(detail ?? code.text)", isFatal: code == .fatal)
    }

    /// Takes over an error object: reads it and destroys it, which its receiver must do exactly once.
    init(consuming error: OpaquePointer, _ context: String) {
        let text = unsafe String(cString: rd_kafka_error_string(error))
        unsafe self.init(
            code: Code(rd_kafka_error_code(error)), message: "\(context): \(text)",
            isFatal: rd_kafka_error_is_fatal(error) != 0, isRetriable: rd_kafka_error_is_retriable(error) != 0)
        unsafe rd_kafka_error_destroy(error)
    }
}

/// Text up to the first zero of a buffer that C filled.
func text(of buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
