// Why brokers and this client don't come together, out of what librdkafka logs and asks while it tries. It tries again for as
// long as it is let; a wrong password is none the better for that. Pure but for the lock.

internal import CRDKafka
import Glibc
import Synchronization

/// What stands between a client and the brokers.
struct ConnectionFault: Sendable, Equatable {
    let code: KafkaError.Code
    let words: String
    /// When it was first noticed, on the monotonic clock.
    let sinceMs: Int64
    /// When it was last noticed. librdkafka doesn't repeat a line at once that says what the one before did.
    let lastMs: Int64

    /// How long others of the brokers have to be better; one that is starting closes connections, too.
    var patienceMs: Int64 { code == .transport ? 3_000 : 1_000 }
}

/// Written by librdkafka's own threads.
final class ConnectionFaults: Sendable {
    private let state = Mutex<(fault: ConnectionFault?, certificate: String?)>((nil, nil))

    var current: ConnectionFault? { state.withLock { $0.fault } }

    /// What librdkafka says of brokers that are out of reach comes shortly before it says that all of them are.
    static let leadMs: Int64 = 10_000

    /// The fault that may have to do with brokers that are all gone since `downSinceMs`; nil where it passed long before, as that of
    /// a broker that was still starting.
    func current(downSinceMs: Int64?) -> ConnectionFault? {
        guard let downSinceMs else { return current }
        return current.flatMap { $0.lastMs >= downSinceMs - Self.leadMs ? $0 : nil }
    }

    func clear() { state.withLock { $0 = (nil, nil) } }

    /// A line of the log: most say nothing of the kind.
    func note(line: String, at now: Int64 = monotonicNowMs()) {
        guard let (code, words) = Self.reading(of: line) else { return }
        state.withLock { state in
            let words = code == .ssl ? state.certificate ?? words : words
            state.fault = ConnectionFault(
                code: code, words: words, sinceMs: state.fault?.sinceMs ?? now, lastMs: now)
        }
    }

    /// What OpenSSL has against a broker's certificate, which the log doesn't tell.
    func note(certificateError error: Int32, of broker: String) {
        let words = "the certificate of \(broker) \(Self.certificateFault(error))"
        let now = monotonicNowMs()
        state.withLock { state in
            // The first of a chain is the cause.
            if state.certificate == nil { state.certificate = words }
            state.fault = ConnectionFault(
                code: .ssl, words: state.certificate ?? words, sinceMs: state.fault?.sinceMs ?? now, lastMs: now)
        }
    }

    /// What a line of librdkafka's log says of a failed connection; nil for every other line.
    /// - Parameter speaksEveryBrokersSCRAM: see KafkaAdmin.
    static func reading(
        of line: String, speaksEveryBrokersSCRAM: Bool = KafkaAdmin.speaksEveryBrokersSCRAM
    ) -> (KafkaError.Code, String)? {
        let lowercase = line.lowercased()
        func has(_ words: String) -> Bool { lowercase.contains(words) }
        if has("sasl authentication error") || has("authentication failed") {
            let doubt =
                has("mechanism scram") && !speaksEveryBrokersSCRAM
                ? "; Kafka 4 refuses every SCRAM user of librdkafka \(KafkaAdmin.libraryVersion), whatever the password: "
                    + "that takes librdkafka 2.6.1, or a user of PLAIN"
                : ""
            return (
                .authentication,
                "the broker refused the user: check sasl.username, sasl.mechanism and the password "
                    + "(a line sasl.password=... in --kafka-properties FILE, or ALLOCBENCH_KAFKA_SASL_PASSWORD)"
                    + doubt
            )
        }
        if has("unsupported sasl mechanism") || has("sasl handshake") && has("not supported") {
            return (.authentication, "the broker doesn't offer this sasl.mechanism")
        }
        if has("connecting to a plaintext broker listener") || has("wrong version number") {
            return (.ssl, "the broker's listener speaks no TLS: check the port and security.protocol")
        }
        // What OpenSSL 3 says of a broker that takes the greeting for a request of absurd size and hangs up.
        if has("unexpected eof while reading") && has("ssl_handshake") {
            return (
                .ssl,
                "the broker hangs up in the TLS handshake, as a listener does that speaks no TLS: "
                    + "check the port and security.protocol"
            )
        }
        if has("certificate verify failed") {
            return (.ssl, "the broker's certificate isn't trusted: check ssl.ca.location")
        }
        if has("ssl handshake failed") { return (.ssl, "the TLS handshake failed: check security.protocol and ssl.*") }
        // In the words of librdkafka 2.0 and of 2.16.
        if has("disconnected while requesting apiversion")
            || has("disconnected: connection closed") && has("in state apiversion_query")
        {
            return (
                .transport,
                "the broker's listener wants TLS, or isn't a Kafka's: check the port and security.protocol (SSL, SASL_SSL)"
            )
        }
        return nil
    }

    /// The numbers are OpenSSL's X509_V_ERR_…, which are part of its interface.
    private static func certificateFault(_ error: Int32) -> String {
        switch error {
        case 9: "isn't valid yet: compare the clocks"
        case 10: "has expired"
        case 62, 64: "is for another name than the one that --brokers or the broker's advertised listener says"
        case 2, 7, 18, 19, 20, 21, 24: "isn't signed by an authority in ssl.ca.location"
        case 23: "was revoked"
        default: "was refused (X509_V_ERR \(error))"
        }
    }
}

/// Sound on any thread: it only reads what was set before the client was made, and notes under a lock. Says what OpenSSL says.
func verifyCertificate(
    _ client: OpaquePointer?, _ broker: UnsafePointer<CChar>?, _ brokerID: Int32, _ error: UnsafeMutablePointer<Int32>?,
    _ depth: Int32, _ certificate: UnsafePointer<CChar>?, _ size: Int, _ reason: UnsafeMutablePointer<CChar>?,
    _ reasonSize: Int, _ opaque: UnsafeMutableRawPointer?
) -> Int32 {
    guard let error = unsafe error, unsafe error.pointee != 0 else { return 1 }
    if let opaque = unsafe opaque {
        let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
        let name = unsafe broker.map { unsafe String(cString: $0) } ?? "the broker"
        // `sasl_ssl://127.0.0.1:9093/bootstrap`: the address in the middle is what the user knows.
        let address = name.split(separator: "/").first { $0.contains(":") && !$0.hasSuffix(":") }.map(String.init)
        let number = unsafe error.pointee
        context.connectionFaults.note(certificateError: number, of: address ?? name)
    }
    if reasonSize > 0 { unsafe reason?.pointee = 0 }
    return 0
}
