// Where a proxy forwards to: the address in a connection text, found as libpq would find it.

internal import Diagnostics
internal import Glibc
internal import Postgres

/// A socket address as the kernel takes it.
struct SocketAddress: Sendable {
    let family: Int32
    let bytes: [UInt8]

    static func unix(path: String) throws(OperatingError) -> SocketAddress {
        guard path.utf8.count <= ClusterPlace.socketPathSizeMax else {
            throw OperatingError("the path of the socket \(path) is too long")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return SocketAddress(family: AF_UNIX, bytes: withUnsafeBytes(of: address) { Array($0) })
    }

    /// The first address of a name. Blocks while the name is looked up.
    static func internet(host: String, port: String) throws(OperatingError) -> SocketAddress {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, port, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0, let first = list?.pointee, let address = first.ai_addr else {
            throw OperatingError("can't find the address of \(host): \(String(cString: gai_strerror(status)))")
        }
        let bytes = UnsafeRawBufferPointer(start: address, count: Int(first.ai_addrlen))
        return SocketAddress(family: first.ai_family, bytes: Array(bytes))
    }

    func with<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        bytes.withUnsafeBytes { memory in
            guard let start = memory.bindMemory(to: sockaddr.self).baseAddress else {
                preconditionFailure("an address has bytes")
            }
            return body(start, socklen_t(memory.count))
        }
    }
}

enum ProxyTarget {
    private static let encryptions: Set = ["require", "verify-ca", "verify-full"]

    /// The one address of a target. What the text doesn't say is in the PG* variables, or libpq's default.
    static func address(of target: ConnectionInfo) throws(OperatingError) -> SocketAddress {
        func value(_ key: String, _ variable: String) -> String? {
            let text = target[key] ?? getenv(variable).map { String(cString: $0) }
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let service = value("service", "PGSERVICE") {
            throw OperatingError(
                "an emulated round trip needs the server's address, not service=\(service)",
                remedy: "name host and port")
        }
        let host = value("hostaddr", "PGHOSTADDR") ?? value("host", "PGHOST") ?? "/var/run/postgresql"
        let port = value("port", "PGPORT") ?? "5432"
        guard !host.contains(","), !port.contains(",") else {
            throw OperatingError("an emulated round trip needs one server, not \(host)", remedy: "name one host")
        }
        // libpq takes a path, or a name in the abstract space, for a Unix socket; those are never encrypted.
        if host.hasPrefix("/") { return try .unix(path: "\(host)/.s.PGSQL.\(port)") }
        if host.hasPrefix("@") { throw OperatingError("an emulated round trip can't use the abstract socket \(host)") }
        let demands = [
            ("sslmode", value("sslmode", "PGSSLMODE"), encryptions),
            ("gssencmode", value("gssencmode", "PGGSSENCMODE"), ["require"]),
            ("channel_binding", value("channel_binding", "PGCHANNELBINDING"), ["require"]),
        ]
        for case (let key, let demand?, let refused) in demands where refused.contains(demand) {
            throw OperatingError(
                "an emulated round trip can't go through an encrypted connection (\(key)=\(demand))",
                remedy: "use a server on the same machine or a network that you trust, and \(key)=disable")
        }
        return try .internet(host: host, port: port)
    }
}
