// Telling the servers apart: by what each reports, without one of them.

import Postgres
import TestSupport
import Testing

@Suite struct ServerDialectTests {
    private static func version(_ server: String?, _ cockroach: String? = nil) -> ServerVersion {
        ServerVersion(serverVersion: server, cockroachVersion: cockroach)
    }

    @Test(arguments: [
        ("13.0", 13, 0, true), ("15.18 (Debian 15.18-0+deb12u1)", 15, 18, true), ("17beta2", 17, 2, true),
        ("17.6", 17, 6, true), ("12.22", 12, 22, false), ("18.1", 18, 1, false), ("9.6.24", 9, 6, false),
        ("EnterpriseDB", 0, 0, false),
    ])
    func `PostgreSQL is told by its version`(text: String, major: Int, minor: Int, isSupported: Bool) {
        let version = Self.version(text)
        #expect(version.dialect == .postgresql)
        #expect(version.major == major && version.minor == minor)
        #expect(version.isSupported == isSupported)
    }

    @Test(arguments: [
        ("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)", 23, 1, true),
        ("CockroachDB CCL v25.2.0-rc.1 (aarch64-unknown-linux-gnu, built 2025/05/01 00:00:00, go1.23.7)", 25, 2, true),
        ("CockroachDB OSS v26.3.0", 26, 3, true),
        ("CockroachDB CCL v22.2.19 (x86_64-pc-linux-gnu)", 22, 2, false),
        ("CockroachDB CCL v3.0.0", 3, 0, false),
        ("something else", 0, 0, false),
    ])
    func `CockroachDB is told by the setting that only it reports`(
        text: String, major: Int, minor: Int, isSupported: Bool
    ) {
        // Whatever it is, CockroachDB calls itself 13.0.0 where PostgreSQL has its version.
        let version = Self.version("13.0.0", text)
        #expect(version.dialect == .cockroachdb)
        #expect(version.major == major && version.minor == minor)
        #expect(version.isSupported == isSupported)
    }

    @Test func `a version is told with its server's name`() {
        #expect(Self.version("15.18 (Debian)").description == "PostgreSQL 15.18")
        #expect(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)").description == "CockroachDB v24.1.3")
        #expect(Self.version(nil).description == "PostgreSQL unknown")
        #expect(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)") >= (24, 1))
        #expect(!(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)") >= (24, 2)))
    }

    @Test func `the server of the tests is one that is supported`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            #expect(connection.dialect == .postgresql && connection.server.major >= 13)
            try connection.requireSupportedServer()
        }
    }
}
