// Goal: workers whose partitions come from a consumer group lose nothing and do nothing twice while partitions move, are taken
// over and come back, in every mode. Method: pools of one group side by side on a real Kafka; what must happen in the middle is
// made to by holding the topic's end back, or by a lock.

import Allocations
import Kafka
import Measurement
import Model
import Postgres
import TestSupport
import Testing
import Threads
import Trades

@testable import Scenario

extension WorkerBench {
    /// A pool of the group, on a thread of its own.
    fileprivate func member(
        _ configuration: Configuration, of group: KafkaGroup, stop: StopFlag = StopFlag(),
        change: (inout WorkerPlan) -> Void = { _ in }
    ) throws -> WorkerThread<DrainResult> {
        var changed = try plan(configuration)
        changed.group = group
        changed.kafka = changed.kafka.with("session.timeout.ms", "6000").with("heartbeat.interval.ms", "300")
        change(&changed)
        let plan = changed
        return WorkerThread(name: "member") { try WorkerPool.run(plan, stop: stop) }
    }

    fileprivate func capturedCount() throws -> Int64 {
        try connection.number("SELECT count(*) FROM allocations.captured_trades WHERE quantity IS NOT NULL")
    }

    /// Grows with every claim of a partition.
    fileprivate func epochs() throws -> Int64 {
        try connection.number("SELECT sum(epoch) FROM allocations.consumer_offsets")
    }
}

@Suite(.enabled(if: BrokerKind.kafkaHome != nil, "KAFKA_HOME names no Kafka")) struct WorkerGroupTests {
    @Test(arguments: modes)
    func `partitions that move to a second pool and back lose nothing in any mode`(_ configuration: Configuration)
        throws
    {
        try withBench(on: .kafka, rates: EventRates(bustPpm: 50_000, replacePpm: 100_000, cancelPpm: 0)) { bench in
            let group = KafkaGroup(
                name: "g-\(bench.topic)", assignor: configuration.mode == .batch ? .range : .cooperativeSticky)
            // Neither knows where the topic ends, so both work until they have met.
            let end = StreamEnd()
            let stop = StopFlag()
            let change = { (plan: inout WorkerPlan) in
                plan.endOffsets = nil
                plan.streamEnd = end
                plan.schedule = .uniform(ratePerSecond: 400)
            }
            var one = configuration
            one.workers = 1
            let first = try bench.member(one, of: group, change: change)
            let isBegun = try eventually { try bench.capturedCount() > 20 }
            #expect(isBegun)
            let claims = try bench.epochs()
            let second = try bench.member(one, of: group, stop: stop, change: change)
            let hasJoined = try eventually { try bench.epochs() > claims }
            #expect(hasJoined)
            let captured = try bench.capturedCount()
            let isGoingOn = try eventually {
                try bench.capturedCount() > min(captured + 20, Int64(bench.executions.count) / 2)
            }
            #expect(isGoingOn)
            stop.set()
            let left = try second.join().figures.group
            end.set(try bench.broker.ends(bench.topic))
            let stayed = try first.join().figures.group
            #expect(stayed.partitionsGivenUp > 0 && left.partitionsTaken > 0, "\(stayed) \(left)")
            #expect(stayed.partitionsLost == 0 && stayed.fencedTransactions == 0, "\(stayed)")
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test(arguments: modes)
    func `a member that is fenced changes nothing, goes on with the rest and in the end claims what nobody else wants`(
        _ configuration: Configuration
    ) throws {
        try withBench(on: .kafka) { bench in
            var one = configuration
            one.workers = 1
            let pool = try bench.member(one, of: KafkaGroup(name: "g-\(bench.topic)")) {
                $0.schedule = .uniform(ratePerSecond: 150)
            }
            let isBegun = try eventually { try bench.capturedCount() > 20 }
            #expect(isBegun)
            // A claim by someone who does nothing more with partition 0. From here on nothing of it may change.
            let claim = "UPDATE allocations.consumer_offsets SET epoch = epoch + 1 WHERE topic_partition = 0"
            try bench.connection.execute("BEGIN; \(claim)")
            let before = try bench.rows(of: 0)
            let others = try bench.rows(of: 1)
            try bench.connection.commit()
            let isGoingOn = try eventually { try bench.rows(of: 1) != others }
            #expect(isGoingOn, "the other partitions stopped, too")
            #expect(try bench.rows(of: 0) == before)
            let figures = try pool.join().figures.group
            #expect(figures.partitionsLost == 1)
            // Mode cycle moves offsets by a transaction of several partitions, which is one.
            #expect(figures.fencedTransactions >= 1, "\(figures)")
            #expect(figures.partitionsTaken == 4, "\(figures)")
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }
}

extension WorkerBench {
    /// What stands in the tables of one partition and its blocks, but for the epoch.
    fileprivate func rows(of partition: Int) throws -> [String] {
        let blocks = "WHERE block_order_id % \(partitions) = \(partition)"
        return try [
            "SELECT next_offset FROM allocations.consumer_offsets WHERE topic_partition = \(partition)",
            "SELECT t FROM allocations.captured_trades AS t \(blocks) ORDER BY t::TEXT",
            "SELECT t FROM allocations.block_fills AS t \(blocks) ORDER BY t::TEXT",
            "SELECT t FROM allocations.allocations AS t \(blocks) ORDER BY t::TEXT",
            "SELECT t FROM allocations.snapshots AS t \(blocks) ORDER BY t::TEXT",
            "SELECT t FROM allocations.staged_trades AS t \(blocks) ORDER BY t::TEXT",
        ].flatMap { try connection.lines($0) }
    }
}
