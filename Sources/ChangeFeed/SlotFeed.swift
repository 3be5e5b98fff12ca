// PostgreSQL's change feed behind the common face: a slot on the server, and our relay that reads it.

import Kafka
import Postgres
import Threads

struct SlotFeed: ChangeFeed {
    private let plan: FeedPlan
    private let slot: FeedSlot

    init(_ plan: FeedPlan, database: String) {
        self.plan = plan
        slot = FeedSlot(database: database, source: plan.source)
    }

    var name: String { slot.name }

    /// The producer is idempotent, so only a crash makes duplicates.
    var mayRepeat: Bool { false }

    func create(scanTable: Bool) throws {
        try slot.create(topic: plan.topic, scanTable: scanTable, connection: plan.connection)
    }

    func createAnew() throws { try slot.createAnew(topic: plan.topic, connection: plan.connection) }

    func run(until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void) throws -> FeedFigures {
        try ReplicationFeed(
            connection: plan.connection, kafka: plan.kafka, topic: plan.topic, slot: slot,
            isTransactional: plan.isTransactional, window: plan.window
        ).run(until: end, stop: stop, report: report)
    }

    /// A slot that nobody reads is kept by the server.
    func keep() {}

    func drop() throws { try slot.drop(connection: plan.connection) }
}
