// Which names are secrets', by name alone.

import Diagnostics
import Testing

@Suite struct SecretsTests {
    @Test(arguments: [
        "password", "sslpassword", "PGPASSWORD", "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.pem",
        "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.jaas.config", "oauth_client_secret",
        "scram_client_key", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "ALLOCBENCH_KAFKA_SASL_PASSWORD",
    ])
    func `what proves who somebody is is a secret`(_ name: String) { #expect(isSecretName(name)) }

    @Test(arguments: [
        "passfile", "PGPASSFILE", "user", "sslkey", "ssl.key.location", "ssl.ca.pem", "ssl.keystore.location",
        "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.credentials.client.id", "sasl.username",
        "linger.ms", "PATH",
    ])
    func `where it lies and who asks is none`(_ name: String) { #expect(!isSecretName(name)) }
}
