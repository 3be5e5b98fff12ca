// By its name alone: what is a secret of the user's. One answer for Kafka's properties, connections, environments and results.

/// Whether a setting of this name holds what must reach no text, log, file, process list or child: `sslpassword`, `PGPASSWORD`,
/// `sasl.password`, `ssl.key.pem`. On the side of caution: any such word in it makes it one.
public func isSecretName(_ name: some StringProtocol) -> Bool {
    let name = name.lowercased()
    // Where a key or a certificate lies, and where a token is asked for under which name, is no secret.
    if [".location", ".url", ".id"].contains(where: name.hasSuffix) { return false }
    return secretWords.contains { name.contains($0) }
}

private let secretWords = [
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "credential", "apikey", "api_key",
    "api-key", "jaas", "private_key", "key.pem", "keystore.pem", "ssl_key", "oauthbearer.config", "scram_client_key",
    "scram_server_key",
]
