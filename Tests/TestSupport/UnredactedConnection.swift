// What the program itself never writes: a connection's text with its password in it.

public import Postgres

extension ConnectionInfo {
    /// As `key=value` words, for a process that a test starts.
    public var unredacted: String {
        ["password", "sslpassword"].reduce(redacted) { words, key in
            guard let secret = self[key] else { return words }
            let escaped = secret.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
            return "\(words) \(key)='\(escaped)'"
        }
    }
}
