// Goal: a lost connection is sought as long and as often as the policy says. Method: a clock that only sleeping moves.

import Postgres
import Testing

@Suite struct ReconnectPolicyTests {
    private static let lost = PostgresError(message: "server closed the connection", isConnectionLost: true)
    private static let starting = PostgresError(sqlState: .cannotConnectNow, message: "starting up")
    private static let refused = PostgresError(sqlState: .uniqueViolation, message: "duplicate key")

    /// Seeks a connection that fails with `errors`, one after the other, and is there then.
    private final class Search {
        var nowNs: Int64 = 0
        var attempts = 0
        /// Set once this many attempts have failed.
        var stopsAfter = Int.max

        func run(_ policy: ReconnectPolicy, _ errors: [PostgresError]) throws -> String {
            try policy.reconnect(
                since: 0, now: { nowNs }, isStopped: { attempts >= stopsAfter },
                sleep: { nowNs += Int64($0 / .nanoseconds(1)) }
            ) {
                attempts += 1
                if attempts <= errors.count { throw errors[attempts - 1] }
                return "connected"
            }
        }
    }

    private func message(_ body: () throws -> String) -> String {
        do { return try body() } catch { return (error as? PostgresError)?.message ?? "\(error)" }
    }

    @Test func `a server that goes and comes up again is found, one interval after the other`() {
        let search = Search()
        let found = message { try search.run(ReconnectPolicy(), [Self.lost, Self.starting, Self.lost]) }
        #expect(found == "connected")
        #expect(search.attempts == 4)
        #expect(search.nowNs == 300_000_000)
    }

    @Test func `one that doesn't come back is given up when the time has passed, with the last error`() {
        let search = Search()
        let errors = Array(repeating: Self.lost, count: 20) + [Self.starting]
        let policy = ReconnectPolicy(timeout: .seconds(2))
        #expect(message { try search.run(policy, errors) } == Self.starting.message)
        #expect(search.nowNs == 2_000_000_000)
    }

    @Test func `without any time there is one attempt`() {
        let search = Search()
        #expect(message { try search.run(ReconnectPolicy(timeout: .zero), [Self.lost]) } == Self.lost.message)
        #expect(search.attempts == 1)
        #expect(search.nowNs == 0)
    }

    @Test func `what won't pass is thrown at once`() {
        let search = Search()
        #expect(message { try search.run(ReconnectPolicy(), [Self.lost, Self.refused]) } == Self.refused.message)
        #expect(search.attempts == 2)
        #expect(ReconnectPolicy().delay(after: Self.refused, elapsed: .zero) == nil)
    }

    @Test func `a stop ends the search at the next failure, and not an attempt that succeeds`() {
        let stopped = Search()
        stopped.stopsAfter = 2
        #expect(
            message { try stopped.run(ReconnectPolicy(), Array(repeating: Self.lost, count: 9)) } == Self.lost.message)
        #expect(stopped.attempts == 2)
        let lucky = Search()
        lucky.stopsAfter = 1
        #expect(message { try lucky.run(ReconnectPolicy(), []) } == "connected")
    }
}
