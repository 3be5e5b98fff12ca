// What the tests of TLS rest on: certificates that are good, expired, or of the wrong authority.

import Services
import TestSupport
import Testing

@Suite struct CertificateTests {
    @Test func `The server's certificate is of the authority, the expired one only expired, and of no other authority`()
        throws
    {
        let made = try Certificates.shared()
        func verify(_ certificate: String, by authority: String) throws -> (Int32, String) {
            try ChildProcess.run([
                "openssl", "verify", "-purpose", "sslserver", "-verify_ip", "127.0.0.1", "-CAfile", authority,
                certificate,
            ])
        }
        let good = try verify(made.server.certificate, by: made.authority)
        #expect(good.0 == 0, "\(good.1)")
        let expired = try verify(made.expiredServer.certificate, by: made.authority)
        #expect(expired.0 != 0 && expired.1.contains("certificate has expired"), "\(expired.1)")
        let foreign = try verify(made.server.certificate, by: made.otherAuthority)
        #expect(foreign.0 != 0, "\(foreign.1)")
    }
}
