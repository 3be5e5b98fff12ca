// Goal: what workers measure is what happened: every message in every stage once, in the window it belongs to, and a stall
// of the database as long as it was for whoever waited.

import Measurement
import Model
import Postgres
import Report
import TestSupport
import Testing
import Threads
import Trades

@testable import Allocations
@testable import Scenario

private func ms(_ nanoseconds: Int64) -> Int64 { nanoseconds / 1_000_000 }

/// What is due by the schedule and not committed is the lag of each second, wherever it was then.
func expectExactLag(_ figures: WorkerFigures, schedule: ArrivalSchedule, count: Int64) {
    var committed: Int64 = 0
    for (second, interval) in figures.series.intervals.enumerated() {
        committed += interval.messageCount
        guard second < figures.lag.samples.count else { break }
        let time = Int64(second + 1) * 1_000_000_000
        let due = min(count, schedule.dueCount(at: time, start: 0))
        #expect(figures.lag.samples[second].messages == due - committed, "second \(second + 1)")
    }
}

extension WorkerBench {
    /// The messages as a topic has them that is keyed by execution: blocks are all over the partitions.
    fileprivate var messagesKeyedByExecution: [TopicMessage] {
        executions.map { execution in
            var message = TopicMessage(execution, partitions: partitions)
            message.partition = Int32(execution.id.rawValue % Int64(partitions))
            message.key = "[\(execution.id)]"
            return message
        }
    }
}

@Suite struct WorkerStageTests {
    @Test(arguments: modes)
    func `every message is in every stage once, and the stages follow each other`(_ configuration: Configuration) throws
    {
        try withBench { bench in
            let progress = WorkerProgress()
            let result = try bench.drain(configuration) {
                $0.schedule = .uniform(ratePerSecond: 500)
                $0.progress = progress
            }
            let (figures, count) = (result.figures, Int64(bench.executions.count))
            for stage in [LatencyStage.timeToVisible, .polledToBegun, .begunToCommitted, .scheduleLag] {
                #expect(figures.latencies[stage].count == count, "\(stage)")
            }
            #expect(figures.latencies[.publishedToPolled].count == 0, "a recorded topic was published long ago")
            #expect(figures.latencies[.committedToAllocated].count == count, "every fill is allocated in the end")
            // Messages are polled before they are due, so what follows the arrival is these two.
            let sum = figures.latencies[.polledToBegun].mean + figures.latencies[.begunToCommitted].mean
            // Whatever was polled late makes a difference.
            let difference = figures.timeToVisible.mean - sum
            #expect((-1..<200_000_000).contains(difference), "\(difference) ns")
            #expect(figures.latencies[.firstTryLatency].count == figures.transactionLatency.count)
            #expect(figures.series.intervals.reduce(0) { $0 + $1.messageCount } == count)
            #expect(figures.partitions.values.reduce(0) { $0 + $1.messages } == count)
            #expect(progress.committedMessageCount == count && progress.lagMessageCount == 0)
            #expect(result.committedMessageCount == count && result.messagesPerSecond > 0)
        }
    }

    @Test func `messages that are published while workers run are timed from their publication`() throws {
        try withBench { bench in
            let figures = try bench.drain(modes[1]) { $0.measuresPublishing = true }.figures
            let published = figures.latencies[.publishedToPolled]
            #expect(published.count == Int64(bench.executions.count))
            #expect(ms(published.max) < 60_000, "the broker's clock is ours: \(ms(published.max)) ms")
            #expect(figures.latencies[.scheduleLag].count == 0)
        }
    }

    @Test func `a worker that wakes late shows it as schedule lag, and one that was at work doesn't`() throws {
        try withBench { bench in
            var plan = try bench.plan(Configuration(mode: .concurrent, workers: 1))
            plan.schedule = .uniform(ratePerSecond: 20)
            let worker = try AllocationWorker(plan: plan, stop: StopFlag())
            defer { worker.close() }
            let start = monotonicNow() + 1_000_000_000
            worker.begin(at: start)
            while worker.queues.contains(where: { $0.unsentCount == 0 }), monotonicNow() < start {
                _ = try worker.fillQueues()
            }
            // Polled long before it is due, and looked at 40 ms after that.
            sleepUntil(monotonic: start + 40_000_000)
            #expect(worker.nextReadyUnit() != nil)
            let late = worker.figures.latencies[.scheduleLag]
            #expect(late.count == 1 && late.max >= 40_000_000, "\(late.count), \(ms(late.max)) ms")
            // The next one falls due while the worker has that unit in hand.
            sleepUntil(monotonic: start + 90_000_000)
            #expect(worker.nextReadyUnit() != nil)
            let both = worker.figures.latencies[.scheduleLag]
            #expect(both.count > late.count && both.max == late.max && both.percentile(50) == 0)
        }
    }

    @Test func `an open run's goodput is of what was committed in the window, less the duplicates committed in it`()
        throws
    {
        try withBench(isPublished: false) { bench in
            // Five messages of the window's beginning come twice at once, half a second before it closes.
            let doubled = bench.messages.enumerated().flatMap { index, message in
                [TopicMessage](repeating: message, count: (25..<30).contains(index) ? 2 : 1)
            }
            // And everything once more: by arrival a part of that is the window's, too, but it is behind messages that fall due
            // after the closing.
            try bench.publish(doubled + bench.messages)
            let schedule = ArrivalSchedule.uniform(ratePerSecond: 200)
            let window = MeasuredWindow(
                plan: WindowPlan(warmUp: .count(20), measured: .count(100)), schedule: schedule)
            let late = Set(bench.messages.dropFirst(120).map(\.partition))
            try #require(late == Set(bench.messages.map(\.partition)), "each partition holds one that is due later")
            let result = try bench.drain(modes[3]) {
                $0.schedule = schedule
                $0.window = window
            }
            #expect(result.figures.duplicateCount > 50, "by arrival, the repetitions count as well")
            #expect(result.committedMessageCount > 50, "\(result.committedMessageCount)")
            #expect(result.committedCapturedCount == result.committedMessageCount - 5)
        }
    }

    @Test func `the time series tells the whole run with its lag, and which seconds were measured`() throws {
        try withBench { bench in
            let schedule = ArrivalSchedule.uniform(ratePerSecond: Double(bench.executions.count) / 2.5)
            let window = MeasuredWindow(
                plan: WindowPlan(warmUp: .seconds(1), measured: .seconds(1)), schedule: schedule)
            let result = try bench.drain(modes[1]) {
                $0.schedule = schedule
                $0.window = window
            }
            let rows = result.timeSeriesRows(key: RunKey(configuration: "a", repetition: 1), lockWaits: nil)
            func column(_ name: String) throws -> [String] {
                let index = try #require(ResultTable.timeSeries.columnNames.firstIndex(of: name))
                return rows.map { $0[index] }
            }
            #expect(try column("measured").prefix(3) == ["false", "true", "false"])
            let messages = try column("messages").compactMap { Int($0) }
            #expect(messages.reduce(0, +) == bench.executions.count && messages[0] > 0, "\(messages)")
            let lag = try column("lag_messages").prefix(2)
            #expect(lag.allSatisfy { Int($0) != nil }, "\(lag)")
        }
    }

    @Test func `a window by count in an open run measures exactly the messages that are due in it`() throws {
        try withBench { bench in
            let schedule = ArrivalSchedule.uniform(ratePerSecond: 500)
            let window = MeasuredWindow(
                plan: WindowPlan(warmUp: .count(20), measured: .count(50)), schedule: schedule)
            let result = try bench.drain(modes[3]) {
                $0.schedule = schedule
                $0.window = window
            }
            #expect(result.figures.messageCount == 50 && result.figures.timeToVisible.count == 50)
            #expect(result.figures.latencies[.polledToBegun].count == 50)
            #expect(result.figures.latencies[.scheduleLag].count == 50)
            #expect(result.elapsedNanoseconds == 100_000_000)
            #expect(result.committedCapturedCount == result.committedMessageCount, "nothing came twice")
            #expect(try bench.verify().isClean, "the rest is processed all the same")
        }
    }

    @Test func `a window by count of a backlog measures what is committed in it`() throws {
        try withBench { bench in
            let window = MeasuredWindow(plan: WindowPlan(warmUp: .count(30), measured: .count(60)), schedule: .backlog)
            let result = try bench.drain(modes[1]) { $0.window = window }
            #expect((59...62).contains(result.figures.messageCount), "\(result.figures.messageCount)")
            #expect(result.committedMessageCount == result.figures.messageCount)
            #expect(result.figures.timeToVisible.count == result.figures.messageCount)
            #expect(result.elapsedNanoseconds > 0)
            #expect(try bench.verify().isClean)
        }
    }

    @Test func `a stalled database is as long for those who wait as it was: nobody's waiting is left out`() throws {
        let rooms = [[Int64]](repeating: [9_000, 9_500, 9_000], count: 10)
        try withBench(blocks: rooms) { bench in
            let rate = Double(bench.executions.count) / 4
            let info = bench.info
            // Others have the table for two seconds; nothing of this worker gets through.
            let lock = WorkerThread(name: "lock") {
                let connection = try PostgresConnection.connect(to: info)
                defer { connection.close() }
                while try connection.number("SELECT count(*) FROM allocations.captured_trades") < Int64(rate) {
                    sleepUntil(monotonic: monotonicNow() + 5_000_000)
                }
                try connection.execute("BEGIN; LOCK TABLE allocations.block_fills IN ACCESS EXCLUSIVE MODE")
                let began = monotonicNow()
                sleepUntil(monotonic: began + 2_000_000_000)
                try connection.commit()
                return monotonicNow() - began
            }
            let result = try bench.drain(Configuration(mode: .adaptive, workers: 1, batchSize: 64)) {
                $0.schedule = .uniform(ratePerSecond: rate)
            }
            let stall = try lock.join()
            // Of a stream of 4 s, 1 % comes in 40 ms: those who came in the stall's first 40 ms waited the longest.
            let expected = stall - 4_000_000_000 / 100
            let p99 = result.figures.timeToVisible.percentile(99)
            #expect(abs(p99 - expected) < 100_000_000, "p99 \(ms(p99)) ms, computed \(ms(expected)) ms")
            // What a closed loop would have told: one slow transaction among hundreds.
            let closed = result.figures.transactionLatency
            #expect(ms(closed.percentile(99)) < 1_000 && ms(closed.max) > 1_900)
            #expect(ms(result.figures.latencies[.scheduleLag].percentile(99)) < 500, "the generator isn't to blame")
            // The samples of the seconds in which nothing was committed.
            let longest = result.figures.lag.samples.map(\.nanoseconds).max() ?? 0
            #expect((900...2_100).contains(ms(longest)), "\(ms(longest)) ms")
            #expect((result.figures.lag.samples.map(\.messages).max() ?? 0) > Int64(rate * 0.9))
            expectExactLag(
                result.figures, schedule: .uniform(ratePerSecond: rate), count: Int64(bench.executions.count))
            #expect(try bench.verify().isClean)
        }
    }
}

@Suite struct WorkerContentionTests {
    /// Two blocks that everyone fills.
    private static let hot: [[Int64]] = [[9_000, 3_000], [12_000]]

    @Test(arguments: modes.dropFirst() + [Configuration(mode: .concurrent, transactionSize: 1, pipelineDepth: 8)])
    func `workers that share hot blocks lose and repeat nothing`(_ configuration: Configuration) throws {
        for snapshots in [SnapshotPolicy.quarters, .interval(milliseconds: 5)] {
            try withBench(blocks: Self.hot, partitions: 4, isPublished: false) { bench in
                try bench.publish(bench.messagesKeyedByExecution)
                var shared = configuration
                shared.workers = 4
                shared.topicKey = .execution
                shared.snapshots = snapshots
                let figures = try bench.drain(shared).figures
                let checks = try bench.verify()
                #expect(checks.isClean, "\(checks.differenceLines)")
                #expect(figures.capturedCount == Int64(bench.executions.count))
                #expect(figures.latencies[.committedToAllocated].count == 0, "it would take a lock to know")
            }
        }
    }

    @Test(arguments: [
        Configuration(mode: .batch, batchSize: 32, batchWindowMs: 5), Configuration(mode: .adaptive, batchSize: 32),
        Configuration(mode: .cycle, cycleIntervalMs: 5),
    ])
    func `workers that fill many of the same blocks at once never wait for each other in a circle`(
        _ configuration: Configuration
    ) throws {
        let blocks = (0..<24).map { _ in [Int64](repeating: 2_000, count: 4) }
        // Statements for trades alone, and those for busts and replaces, too.
        for rates in [EventRates.none, EventRates(bustPpm: 50_000, replacePpm: 100_000)] {
            try withBench(blocks: blocks, partitions: 4, rates: rates, isPublished: false) { bench in
                try bench.publish(bench.messagesKeyedByExecution)
                var shared = configuration
                shared.workers = 4
                shared.topicKey = .execution
                let figures = try bench.drain(shared).figures
                #expect(figures.retryCount == 0, "\(figures.retries)")
                let checks = try bench.verify()
                #expect(checks.isClean, "\(checks.differenceLines)")
            }
        }
    }

    @Test func `conflicts between workers are counted with what they threw away`() throws {
        try withBench(blocks: Self.hot, partitions: 4, isPublished: false) { bench in
            try bench.publish(bench.messagesKeyedByExecution)
            var shared = Configuration(mode: .adaptive, workers: 4, batchSize: 4, isolation: .repeatableRead)
            shared.topicKey = .execution
            let progress = WorkerProgress()
            let figures = try bench.drain(shared) {
                $0.retry = RetryPolicy(maxAttempts: 1_000, maxDelay: .milliseconds(5))
                $0.progress = progress
            }.figures
            let conflicts = try #require(figures.retries[.serializationFailure])
            #expect(conflicts.count > 0 && conflicts.messages >= conflicts.count && conflicts.nanoseconds > 0)
            #expect(progress.retryCount == figures.retryCount)
            #expect(figures.latencies[.firstTryLatency].count < figures.transactionLatency.count)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test func `in a topic keyed by execution a malformed message parks the block that it names`() throws {
        try withEmptyBench(blocks: [[1_000], [1_000]], partitions: 1) { bench in
            let code = blockCode(1)
            try bench.publish([
                TopicMessage(key: "[7]", value: #"{"after": {"block_order_code": "\#(code)", "execution_id": 1.5}}"#),
                TopicMessage(key: "[8]", value: "{"),
            ])
            var shared = Configuration(mode: .concurrent, workers: 1)
            shared.topicKey = .execution
            try bench.drain(shared)
            #expect(try bench.parked().map { $0.split(separator: " ")[0] } == [Substring(code), "1"])
        }
    }

    @Test func `a notional that no executions lead to ends the run with words`() throws {
        try withBench { bench in
            try bench.connection.execute(
                "UPDATE allocations.block_fills SET notional = -1, cum_quantity = 1 WHERE block_order_id = 2")
            let text = errorText { try bench.drain(modes[1]) }
            #expect(text.contains("block order 2 has the notional -1.0000"), "\(text)")
        }
    }
}

@Suite struct WorkerFaultTests {
    private static let configurations = [
        modes[0], Configuration(mode: .concurrent, workers: 2, transactionSize: 2, pipelineDepth: 8), modes[2],
        modes[4],
    ]

    /// Those that need nothing beside the workers.
    @Test(arguments: configurations, [ScenarioFile.FaultPlan.Kind.killWorker, .terminateBackends])
    func `what a planned fault interrupts is done by whoever comes after, once`(
        _ configuration: Configuration, _ kind: ScenarioFile.FaultPlan.Kind
    ) throws {
        try withBench { bench in
            var plan = try bench.plan(configuration)
            plan.schedule = .uniform(ratePerSecond: 200)
            let faults = [100, 300].map { ScenarioFile.FaultPlan(atNs: $0 * 1_000_000, kind: kind) }
            let result = try WorkerPool.run(plan, faults: faults, stop: StopFlag())
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            let count = Int64(bench.executions.count)
            #expect(result.figures.messageCount == count && result.figures.capturedCount == count)
            #expect(result.figures.timeToVisible.count == count)
            let first = try #require(result.faults.first)
            #expect(first.kind == kind && (first.atNs ?? 0) >= first.plannedAtNs && first.duplicates == 0)
            #expect(result.faults.contains { ($0.recoveredAfterNs ?? 0) > 0 }, "\(result.faults)")
        }
    }

    /// As when a broker dies: the worker loses nothing of its own, and yet says when it has caught up.
    @Test(arguments: configurations)
    func `a worker that was only kept waiting says when it is past what was due`(_ configuration: Configuration) throws
    {
        try withBench { bench in
            var configuration = configuration
            configuration.workers = 1
            let (stalled, unaware) = (WorkerFault(), WorkerFault())
            let began = monotonicNow()
            stalled.beginStall(until: began)
            unaware.begin(at: began, killing: false)
            try bench.drain(configuration) { $0.fault = stalled }
            let recovered = try #require(stalled.recoveryTime)
            #expect(recovered > began && stalled.duplicateCount == 0 && stalled.replayedMessageCount == 0)
            #expect(try bench.verify().isClean)
            // Nothing broke for this one, so it has nothing to be over.
            try bench.prepare()
            try bench.drain(configuration) { $0.fault = unaware }
            #expect(unaware.recoveryTime == nil)
        }
    }

    @Test func `a planned fault that the run doesn't come to is told`() throws {
        try withBench { bench in
            let fault = ScenarioFile.FaultPlan(atNs: 3_600_000_000_000, kind: .killWorker)
            let result = try WorkerPool.run(try bench.plan(modes[1]), faults: [fault], stop: StopFlag())
            let told = try #require(result.faults.first)
            #expect(result.faults.count == 1 && told.kind == .killWorker && told.plannedAtNs == fault.atNs)
            #expect(told.atNs == nil && told.recoveredAfterNs == nil)
        }
    }

    @Test func `with a backlog a fault is over at the first commit of each partition`() throws {
        try withBench { bench in
            var configuration = Configuration(mode: .concurrent, workers: 1)
            // Slow enough for the fault to find it at work.
            configuration.handicapPpm = 900_000
            let fault = ScenarioFile.FaultPlan(atNs: 20_000_000, kind: .killWorker)
            let result = try WorkerPool.run(try bench.plan(configuration), faults: [fault], stop: StopFlag())
            #expect((result.faults.first?.recoveredAfterNs ?? 0) > 0)
            #expect(try bench.verify().isClean)
        }
    }
}

@Suite struct PartitionLagTests {
    /// One message: when it was due, polled (more than once, if it was forgotten) and committed.
    private struct Message {
        var due: Int64
        var polls: [Int64]
        var committed: Int64
    }

    private enum Event {
        case poll(Int)
        case commit(Int)
        case forget
    }

    @Test func `each sample ends up as what was due and not committed, whatever was known when it was taken`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let second: Int64 = 1_000_000_000
        for _ in 0..<200 {
            let start = random.integer(in: 0...5 * second)
            let forgotten = start + random.integer(in: 0...8 * second)
            var messages: [Message] = []
            var (due, polled, committed) = (start, start, start)
            for _ in 0..<random.integer(in: 1...60) {
                due += random.integer(in: 0...second / 2)
                // Before it is due, as from a recorded topic, or long after it, as from a feed that is behind.
                polled = max(polled, due + random.integer(in: -2 * second...2 * second), start)
                committed = max(committed, max(due, polled) + random.integer(in: 0...second / 2)) + 1
                messages.append(Message(due: due, polls: [polled], committed: committed))
            }
            // Once, everything that is polled and not committed is dropped and comes again.
            for index in messages.indices
            where messages[index].polls[0] <= forgotten && messages[index].committed > forgotten {
                messages[index].polls.append(forgotten + 1)
            }
            var events: [(time: Int64, event: Event)] = []
            for (index, message) in messages.enumerated() {
                events += message.polls.map { ($0, .poll(index)) }
                events.append((max(message.committed, (message.polls.last ?? 0) + 1), .commit(index)))
                messages[index].committed = events[events.count - 1].time
            }
            events.append((forgotten, .forget))
            events.sort { $0.time < $1.time }
            check(events, messages, start: start, seed: seed)
        }
    }

    /// Plays the worker that sees these events, and compares what it says with what was.
    private func check(_ events: [(time: Int64, event: Event)], _ messages: [Message], start: Int64, seed: UInt64) {
        let second: Int64 = 1_000_000_000
        var lag = PartitionLag()
        lag.begin(at: start)
        var known: Set<Int> = []
        var next = start + second
        func sample(upTo now: Int64) {
            while next <= now {
                let waiting = known.filter { messages[$0].due <= next }
                let oldest = waiting.map { messages[$0].due }.min()
                lag.sample(messages: Int64(waiting.count), nanoseconds: oldest.map { next - $0 } ?? 0, at: next)
                next += second
            }
        }
        for (time, event) in events {
            switch event {
            case .poll(let index):
                // Samples are taken late or not: what is polled meanwhile is in them by its arrival.
                if index % 2 == 0 { sample(upTo: time) }
                lag.add(arrival: messages[index].due, offset: Int64(index))
                known.insert(index)
            case .commit(let index):
                sample(upTo: time)
                known.remove(index)
            case .forget:
                sample(upTo: time)
                lag.forget(below: known.max().map { Int64($0 + 1) } ?? 0)
                known.removeAll()
            }
        }
        let truth = lag.series.samples.indices.map { index -> LagSeries.Sample in
            let time = start + Int64(index + 1) * second
            let waiting = messages.filter { $0.due <= time && $0.committed > time }
            return LagSeries.Sample(
                messages: Int64(waiting.count), nanoseconds: waiting.map { time - $0.due }.max() ?? 0)
        }
        #expect(lag.series.samples == truth, "seed \(seed)")
        #expect(lag.maxMessages == truth.map(\.messages).max() ?? 0, "seed \(seed)")
        #expect(lag.maxNs == truth.map(\.nanoseconds).max() ?? 0, "seed \(seed)")
    }
}

@Suite struct HandicapTests {
    @Test func `a handicap makes a worker work the share that it leaves`() {
        var handicap = Handicap(ppm: 100_000)
        handicap.resume(at: 1_000)
        #expect(handicap.wait(at: 91_000) == 10_000)
        // What one wait took too much, the next one gives back.
        handicap.note(waited: 12_000, owed: 10_000, at: 103_000)
        #expect(handicap.wait(at: 193_000) == 8_000)
        handicap.resume(at: 500_000)
        #expect(handicap.wait(at: 500_000) == -2_000)
        #expect(Handicap(ppm: 0).wait(at: 5) == 0)
    }

    @Test func `a worker with a handicap does all its work and tells how long it stood idle for it`() throws {
        try withBench { bench in
            var configuration = Configuration(mode: .concurrent, workers: 1)
            configuration.handicapPpm = 500_000
            let result = try bench.drain(configuration)
            #expect(result.figures.handicapNanoseconds > 0)
            #expect(result.figures.handicapNanoseconds < result.elapsedNanoseconds)
            #expect(try bench.verify().isClean)
        }
    }
}

@Suite struct UnallocatedFillsTests {
    /// What `take` hands over, by wait.
    private func waits(_ fills: UnallocatedFills, _ blocks: [Int], at time: Int64) -> [Int64: Int64] {
        var waits: [Int64: Int64] = [:]
        fills.take(blocks, at: time) { waits[$0, default: 0] += $1 }
        return waits
    }

    @Test func `fills wait from their commit to their block's snapshot`() {
        let fills = UnallocatedFills(blockCount: 3)
        fills.note([0, 1, 0, -1], at: 100)
        fills.note([0], at: 150)
        #expect(waits(fills, [0, 2], at: 200) == [100: 2, 50: 1])
        #expect(waits(fills, [0], at: 300).isEmpty, "a fill is allocated once")
        #expect(waits(fills, [1], at: 300) == [200: 1])
    }

    @Test func `thousands of fills are kept in a few times that are hardly off`() {
        let fills = UnallocatedFills(blockCount: 1)
        for time in 1...10_000 { fills.note([0], at: Int64(time) * 1_000) }
        let waits = waits(fills, [0], at: 10_000_000)
        #expect(waits.count <= 32)
        #expect(waits.values.reduce(0, +) == 10_000)
        let mean = waits.reduce(0.0) { $0 + Double($1.key) * Double($1.value) } / 10_000
        #expect(abs(mean - 4_999_500) < 50_000, "\(mean)")
    }

    @Test func `lag of an hour and more is thinned, and merged at equal times`() {
        var long = LagSeries()
        for second in 1...4_000 { long.append(messages: Int64(second), nanoseconds: 1) }
        #expect(long.intervalNs == 2_000_000_000)
        #expect(long.samples.prefix(2).map(\.messages) == [2, 4])
        var short = LagSeries()
        for second in 1...4 { short.append(messages: 10 * Int64(second), nanoseconds: Int64(second)) }
        short.merge(long)
        #expect(short.samples[1] == LagSeries.Sample(messages: 44, nanoseconds: 4))
        #expect(short.samples.count == long.samples.count)
    }
}
