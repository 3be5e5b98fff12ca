// Goal: a member of a group that the database forgets says how much, a fault isn't over before its partitions are dealt out
// again, and a group that says nothing isn't waited for without end. Method: one worker by itself, handed partitions as if a
// group had, so that nobody waits for a group's timeouts.

import Kafka
import Measurement
import Model
import Postgres
import TestSupport
import Testing
import Threads

@testable import Allocations

@Suite struct GroupFaultTests {
    /// Calls `body` with a member that has partitions 0 and 1 and was answered that they are committed up to 40 and 50.
    private func withMember(
        _ fault: WorkerFault, _ body: (AllocationWorker, PostgresConnection) throws -> Void
    ) throws {
        try withEmptyBench { bench in
            var plan = try bench.plan(Configuration(mode: .concurrent, workers: 1))
            plan.group = KafkaGroup(name: "g-\(bench.topic)")
            plan.fault = fault
            let worker = try AllocationWorker(plan: plan, stop: StopFlag())
            // Without a word to a group that has never answered.
            defer {
                worker.consumer.abandon()
                worker.store.connection.close()
            }
            for (partition, offset) in [(Int32(0), Int64(40)), (1, 50)] {
                worker.add(PartitionQueue(partition: partition, epoch: 1, nextOffset: offset))
            }
            try body(worker, bench.connection)
        }
    }

    @Test func `a member counts what the database has forgotten before others can claim it`() throws {
        let fault = WorkerFault()
        fault.begin(at: monotonicNow(), killing: false)
        try withMember(fault) { worker, connection in
            try connection.execute(
                """
                UPDATE allocations.consumer_offsets
                SET next_offset = CASE topic_partition WHEN 0 THEN 33 WHEN 1 THEN 60 ELSE 0 END
                """)
            try worker.replace()
            // What was committed without an answer in partition 1 makes up for nothing.
            #expect(worker.figures.lostMessageCount == 7 && fault.lostMessageCount == 7)
            #expect(worker.queues.isEmpty)
        }
    }

    @Test func `a fault isn't over while a member waits for partitions`() throws {
        let fault = WorkerFault()
        fault.begin(at: monotonicNow(), killing: false)
        try withMember(fault) { worker, _ in
            try worker.replace()
            #expect(fault.recoveryTime == nil)
            worker.add(PartitionQueue(partition: 2, epoch: 1, nextOffset: 0))
            worker.noteDealt([2])
            #expect(fault.recoveryTime == nil)
            worker.noteWhole(0, at: 123)
            #expect(fault.recoveryTime == 123)
        }
    }

    @Test func `a fault of a partition that was given up is over, one that was lost isn't`() throws {
        let (orderly, hard) = (WorkerFault(), WorkerFault())
        for (fault, isGivenUp) in [(orderly, true), (hard, false)] {
            fault.begin(at: monotonicNow(), killing: false)
            try withMember(fault) { worker, _ in
                worker.noteBroken()
                worker.forgetFault(of: 0, isGivenUp: isGivenUp)
                #expect(fault.recoveryTime == nil)
                worker.noteWhole(1, at: 123)
                #expect(fault.recoveryTime == (isGivenUp ? 123 : nil))
                worker.noteDealt([])
                #expect(fault.recoveryTime != nil)
            }
        }
    }

    @Test func `a group that says nothing ends the wait with librdkafka's words`() throws {
        try withEmptyBench { bench in
            var plan = try bench.plan(Configuration(mode: .concurrent, workers: 1))
            plan.group = KafkaGroup(name: "silent")
            plan.kafka = KafkaClientSettings(bootstrapServers: "127.0.0.1:1")
            plan.groupStart = GroupStart(members: 1, partitions: 3, patienceNs: 300_000_000)
            let (member, line) = (plan, StartingLine(workerCount: 1))
            let text = errorText { _ = try AllocationWorker.run(member, line: line, stop: StopFlag()) }
            #expect(text.hasPrefix("group silent: worker 0 has had no answer for 0 s; librdkafka says "), "\(text)")
            #expect(text.contains("127.0.0.1:1"), "\(text)")
        }
    }
}
