// The plan of a configuration's workers, made in one place for the threads of the runner and for worker hosts elsewhere:
// what a worker does must not depend on where it is.

import Allocations
import Booking
import Kafka
import Model
import Postgres

extension WorkerPlan {
    /// What is the same for every worker of a cell, wherever it is. End offsets and schedule are the load's.
    init(
        of configuration: Configuration, repetition: Int, scenario: ScenarioFile, topic: String, partitions: [Int32],
        connection: ConnectionInfo, kafka: KafkaClientSettings, book: BlockBook
    ) {
        self.init(
            connection: connection, kafka: kafka, topic: topic, partitions: partitions, configuration: configuration,
            book: book)
        // Under SERIALIZABLE a transaction may lose often before it wins; the retries are a result, not a failure.
        retry = RetryPolicy(maxAttempts: 1000)
        seed = scenario.seed &+ UInt64(repetition)
    }
}

extension BookingPlan {
    /// Of the workers that book beside these.
    init(beside plan: WorkerPlan, workers: Int) {
        self.init(connection: plan.connection, workers: workers)
        seed = plan.seed
        synchronousCommit = plan.configuration.synchronousCommit
        progress = plan.progress
    }
}
