// Certificates for tests of TLS, made with the `openssl` program when the first test asks for them and removed at exit.
// They are good for two days and for this machine's loopback only. What a killed test process left, the next one removes.

import Foundation
import Services
import Synchronization

/// An authority, what it signed, and an authority that nobody here trusts. Every path is that of a PEM file.
public struct Certificates: Sendable {
    /// A server's certificate and the key to it. Keys are readable by their owner alone: a PostgreSQL that runs as another user
    /// needs a copy of its own.
    public struct Pair: Sendable {
        public let certificate: String
        /// PKCS #8, without a password.
        public let key: String
        /// Key and certificate in one file: what Kafka's `ssl.keystore.location` wants with `ssl.keystore.type=PEM`.
        public let keystore: String

        fileprivate init(_ name: String, in folder: String) {
            certificate = "\(folder)/\(name).pem"
            key = "\(folder)/\(name).key"
            keystore = "\(folder)/\(name)-keystore.pem"
        }
    }

    /// The authority that signed all servers' certificates.
    public let authority: String
    /// An authority of the same name with another key, which signed nothing here.
    public let otherAuthority: String
    /// For 127.0.0.1, ::1 and localhost.
    public let server: Pair
    /// The same, expired years ago.
    public let expiredServer: Pair
    /// Where all of them are.
    public let folder: String

    /// Those of this test process; the first test that asks waits some tenths of a second for them.
    public static func shared() throws -> Certificates { try made.get() }

    private static let made = Result { () throws -> Certificates in
        removeLeftovers()
        let own = ProcessIdentity.current
        let folder = "/tmp/\(prefix)\(own.pid)-\(own.startTicks)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o711])
        ownFolder.withLock { $0 = folder }
        atexit { Certificates.removeOwn() }
        return try Certificates(in: folder)
    }

    private static let prefix = "allocbench-certificates-"
    private static let ownFolder = Mutex<String?>(nil)

    private init(in folder: String) throws {
        self.folder = folder
        authority = "\(folder)/authority.pem"
        otherAuthority = "\(folder)/other-authority.pem"
        server = Pair("server", in: folder)
        expiredServer = Pair("expired", in: folder)
        try Data(Self.configuration.utf8).write(to: URL(fileURLWithPath: "\(folder)/openssl.cnf"))
        try Data().write(to: URL(fileURLWithPath: "\(folder)/index.txt"))
        for name in ["authority", "other-authority"] {
            try openssl(
                "req -x509 \(Self.newKey) -keyout \(name).key -out \(name).pem -days 2 -subj /CN=allocbench-tests "
                    + "-extensions authority -config openssl.cnf")
        }
        try sign(server, validity: "-days 2")
        try sign(expiredServer, validity: "-startdate 20200101000000Z -enddate 20200102000000Z")
    }

    /// `openssl x509` of OpenSSL 3.0 can't date a certificate back; `openssl ca` can.
    private func sign(_ pair: Pair, validity: String) throws {
        try openssl(
            "req -new \(Self.newKey) -keyout \(pair.key) -out request.pem -subj /CN=localhost -config openssl.cnf")
        try openssl(
            "ca -batch -notext -create_serial -config openssl.cnf -extensions server -cert authority.pem "
                + "-keyfile authority.key -in request.pem -out \(pair.certificate) \(validity)")
        let both = contents(of: pair.key) + contents(of: pair.certificate)
        try Data(both.utf8).write(to: URL(fileURLWithPath: pair.keystore))
        for file in [pair.key, pair.keystore] {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        }
    }

    private func openssl(_ arguments: String) throws {
        let words = ["openssl"] + arguments.split(separator: " ").map(String.init)
        let (status, output) = try ChildProcess.run(words, workingFolder: folder)
        guard status == 0 else { throw Failure(description: "openssl \(arguments): \(output)") }
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// An elliptic curve's key is made at once; an RSA key takes its time.
    private static let newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

    private static let configuration = """
        [req]
        distinguished_name = name
        prompt = no
        [name]
        [authority]
        basicConstraints = critical, CA:TRUE
        keyUsage = critical, keyCertSign, cRLSign
        subjectKeyIdentifier = hash
        [server]
        basicConstraints = critical, CA:FALSE
        keyUsage = critical, digitalSignature, keyAgreement
        extendedKeyUsage = serverAuth
        subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
        authorityKeyIdentifier = keyid
        [ca]
        default_ca = tests
        [tests]
        database = index.txt
        serial = serial.txt
        new_certs_dir = .
        default_md = sha256
        policy = anything
        unique_subject = no
        [anything]
        commonName = supplied

        """

    private static func removeOwn() {
        if let folder = ownFolder.withLock({ $0.take() }) { removeFolder(folder) }
    }

    private static func removeLeftovers() {
        guard let listing = try? ChildProcess.run(["ls", "/tmp"]).output else { return }
        for name in listing.split(separator: "\n") where name.hasPrefix(prefix) {
            let numbers = name.dropFirst(prefix.count).split(separator: "-")
            guard numbers.count == 2, let pid = Int32(numbers[0]), let ticks = UInt64(numbers[1]),
                !ProcessIdentity(pid: pid, startTicks: ticks).isRunning
            else { continue }
            removeFolder("/tmp/\(name)")
        }
    }
}
