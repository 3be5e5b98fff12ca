// What the recorder adds to each message, and whether it allocates: the measured path may cost 100 ns and no allocation.

import Measurement

/// What one worker records into, with latencies drawn beforehand, so that drawing them isn't measured.
struct RecorderState {
    /// What a worker counts at each message when every message is a transaction of its own: the most that there is to do.
    static let stages: [LatencyStage] = [
        .timeToVisible, .publishedToPolled, .polledToBegun, .begunToCommitted, .transactionLatency, .firstTryLatency,
    ]

    var histogram = Histogram()
    var latencies = StageLatencies(stages: stages)
    var series = TimeSeries()
    let window: MeasuredWindow
    let drawn: [Int64]
    private(set) var now: Int64 = 0

    /// Latencies from a tenth of a millisecond to a tenth of a second, as many to each octave, touch two thousand counts of each
    /// histogram. A lone worker's window has a warm-up and an end by count, which is the dearest way.
    init() {
        var random = SeededRandom(seed: 7)
        drawn = (0..<4096).map { _ in random.integer(in: 100_000...200_000) << random.integer(in: 0...9) }
        window = MeasuredWindow(
            plan: WindowPlan(warmUp: .count(10), measured: .count(1 << 60)), schedule: .backlog)
        window.begin(at: 0)
        series.begin(at: 0)
    }

    /// The next message's latency; 100,000 messages make a second.
    @inline(__always)
    mutating func advance(_ event: Int64) -> Int64 {
        now += 10_000
        return drawn[Int(event & 4095)]
    }

    @inline(__always)
    mutating func recordEvent(latency: Int64) {
        let membership = window.commit(count: 1, at: now)
        guard membership.contains(arrival: 0) else { return }
        latencies.record(.timeToVisible, latency)
        latencies.record(.publishedToPolled, latency >> 3)
        latencies.record(.polledToBegun, latency >> 2)
        latencies.record(.begunToCommitted, latency >> 1)
        latencies.record(.transactionLatency, latency >> 1)
        latencies.record(.firstTryLatency, latency >> 1)
        series.record(latency: latency, at: now)
        series.recordCommit(at: now)
    }

    /// Of everything that was recorded.
    var checksum: UInt64 {
        let figures =
            [histogram.count, histogram.percentile(99)] + latencies.stages.map { latencies[$0].percentile(99) }
            + series.intervals.flatMap { [$0.messageCount, $0.latencyP50Ns] } + [window.committedCount ?? 0, now]
        return figures.reduce(1) { $0 &* 31 &+ UInt64(bitPattern: $1) }
    }
}

/// Each part of the recorder alone, then all that a message of a small transaction takes.
func recorder(_ size: BenchmarkSize) -> [Figure] {
    let events = size.operationsMaximum
    func figure(_ name: String, _ record: (inout RecorderState, Int64) -> Void) -> Figure {
        measure(
            "recorder, \(name)", per: "event", runs: size.runs, on: { RecorderState() },
            { state in
                for event in 0..<events {
                    let latency = state.advance(event)
                    record(&state, latency)
                }
                return (events, state.checksum)
            })
    }
    func whole() -> Figure {
        var whole = figure("all of a message") { $0.recordEvent(latency: $1) }
        whole.note = "\(RecorderState.stages.count) stages, window and time series; the bound is 100 ns"
        return whole
    }
    // Callgrind's dumps are told apart by their order, so figures are measured in the order in which they are returned.
    return [
        figure("Histogram.record") { $0.histogram.record($1) },
        figure("StageLatencies.record") { $0.latencies.record(.timeToVisible, $1) },
        figure("MeasuredWindow.commit") { state, _ in _ = state.window.commit(count: 1, at: state.now) },
        figure("TimeSeries.record") { $0.series.record(latency: $1, at: $0.now) },
        whole(),
        figure("a reading of the clock, for comparison") { state, _ in state.histogram.record(min(1, monotonicNow())) },
    ]
}

/// The intended arrival of a message, which a worker asks for once for each.
func arrivals(_ size: BenchmarkSize) -> [Figure] {
    let ramp = [
        ArrivalSchedule.Phase(ratePerSecondFrom: 100, to: 20_000, durationMs: 120_000),
        ArrivalSchedule.Phase(ratePerSecond: 20_000),
    ]
    let schedules: [(String, ArrivalSchedule)] = [
        ("even", .uniform(ratePerSecond: 3000)), ("Poisson", .poisson(ratePerSecond: 3000, seed: 1)),
        ("even, in a ramp", ArrivalSchedule(phases: ramp)),
        ("Poisson, in a ramp", ArrivalSchedule(phases: ramp, spread: .poisson(seed: 1))),
    ]
    return schedules.map { name, schedule in
        measure(
            "intended arrival, \(name)", per: "message", runs: size.runs, on: { UInt64(1) },
            { checksum in
                for sequence in 0..<size.operationsMaximum {
                    let arrival = schedule.intendedArrival(sequence: sequence, start: 0)
                    checksum = checksum &* 31 &+ UInt64(bitPattern: arrival)
                }
                return (size.operationsMaximum, checksum)
            })
    }
}

/// How often malloc is asked while messages are recorded.
func recorderAllocations(events: Int64) -> Int64 {
    var state = RecorderState()
    // The warm-up: the first intervals, and whatever the runtime makes at the first call.
    for event in 0..<100 as Range<Int64> { state.recordEvent(latency: state.advance(event)) }
    let before = ThreadCounts.now
    for event in 0..<events { state.recordEvent(latency: state.advance(event)) }
    let counts = ThreadCounts.now - before
    return withExtendedLifetime(state) { counts.allocations.program }
}
