// What happened in each second of a run. A value without locks, like `Histogram`: each worker owns one, the runner merges them
// after the threads have ended. Averages over a run hide a stall; this shows it.

/// Counts and coarse latencies per interval since the start, in memory that is reserved before it.
///
/// A latency lies within 1.6 % of what is reported from 8 µs to 137 s, and within 128 ns below; above, only the maximum, which is
/// always exact, tells it. What a run reports as its percentiles comes from `Histogram`, never from here.
///
/// The memory of 3,600 intervals of 3.2 KB is reserved, not touched, so that a short run takes little of it. A run that is longer
/// doubles its intervals and folds the old ones by two, which takes a few milliseconds once: nothing is lost, nothing is
/// allocated. A copy has no reserve: a worker makes its own and keeps it.
public struct TimeSeries: Sendable, Equatable {
    /// What one interval amounts to.
    public struct Interval: Sendable, Equatable {
        /// Since the start of the run.
        public var startNs: Int64
        public var lengthNs: Int64
        /// Messages whose latency was recorded.
        public var messageCount: Int64
        public var commitCount: Int64
        public var retryCount: Int64
        /// 0 without messages.
        public var latencyP50Ns: Int64
        public var latencyP99Ns: Int64
        public var latencyMaxNs: Int64
    }

    private struct Tally: Sendable, Equatable {
        var messages: Int64 = 0
        var commits: Int64 = 0
        var retries: Int64 = 0
        var latencyMax: Int64 = 0
    }

    /// Latencies are told apart in steps of 256 ns up to 8 µs, then in 32 steps to the octave.
    private static let unitMagnitude: Int64 = 8
    private static let latencyMagnitudeMax: Int64 = 37
    private static let slotsPerInterval = 800

    private let shortestIntervalNs: Int64
    private let capacity: Int
    private var intervalNs: Int64
    private var start = Int64.min
    /// The interval of the event before, where the next one mostly is, too: its number, and its bounds on the clock.
    private var current = 0
    private var currentStart = Int64.max
    private var currentEnd = Int64.min
    private var tallies: ContiguousArray<Tally> = []
    private var slots: ContiguousArray<UInt32> = []

    public init(intervalNs: Int64 = 1_000_000_000, capacity: Int = 3600) {
        precondition(intervalNs > 0 && capacity >= 2 && capacity % 2 == 0, "an even number of intervals that last")
        shortestIntervalNs = intervalNs
        self.intervalNs = intervalNs
        self.capacity = capacity
        tallies.reserveCapacity(capacity)
        slots.reserveCapacity(capacity * TimeSeries.slotsPerInterval)
    }

    /// When the run started; recording counts from here. What is earlier counts in the first interval.
    public mutating func begin(at start: Int64) {
        precondition(tallies.isEmpty, "a time series begins once")
        self.start = start
    }

    /// Counts `count` messages that became visible at `now`, each this long after it was due.
    @inline(__always)
    public mutating func record(latency nanoseconds: Int64, count: Int64 = 1, at now: Int64) {
        let interval = interval(at: now)
        tallies[interval].messages &+= count
        tallies[interval].latencyMax = max(tallies[interval].latencyMax, nanoseconds)
        let slot = interval &* TimeSeries.slotsPerInterval &+ TimeSeries.slot(of: nanoseconds)
        slots[slot] = TimeSeries.sum(slots[slot], UInt32(clamping: count))
    }

    /// Counts a committed transaction, with the retries that it took.
    @inline(__always)
    public mutating func recordCommit(retries: Int64 = 0, at now: Int64) {
        let interval = interval(at: now)
        tallies[interval].commits &+= 1
        tallies[interval].retries &+= retries
    }

    /// Counts retries when they happen, of a transaction that isn't committed yet.
    public mutating func recordRetries(_ count: Int64 = 1, at now: Int64) {
        tallies[interval(at: now)].retries &+= count
    }

    /// Adds what `other` counted to the same intervals, in the longer of both lengths.
    public mutating func merge(_ other: TimeSeries) {
        precondition(shortestIntervalNs == other.shortestIntervalNs, "time series of unlike intervals don't merge")
        guard !other.tallies.isEmpty else { return }
        if tallies.isEmpty && start == .min { start = other.start }
        precondition(start == other.start, "time series of unlike starts don't merge")
        var other = other
        while other.intervalNs < intervalNs { other.widen() }
        while intervalNs < other.intervalNs || other.tallies.count > capacity {
            if intervalNs < other.intervalNs { widen() } else { other.widen() }
        }
        grow(to: other.tallies.count)
        for (index, tally) in other.tallies.enumerated() { add(tally, to: index) }
        for (index, count) in other.slots.enumerated() where count > 0 {
            slots[index] = TimeSeries.sum(slots[index], count)
        }
    }

    /// Every interval up to the last in which anything was recorded, empty ones included.
    public var intervals: [Interval] {
        tallies.enumerated().map { index, tally in
            Interval(
                startNs: Int64(index) * intervalNs, lengthNs: intervalNs, messageCount: tally.messages,
                commitCount: tally.commits, retryCount: tally.retries,
                latencyP50Ns: percentile(50, interval: index), latencyP99Ns: percentile(99, interval: index),
                latencyMaxNs: tally.latencyMax)
        }
    }

    /// The latency at or below which `percent` % of an interval's messages lie.
    private func percentile(_ percent: Int64, interval: Int) -> Int64 {
        let counts = slots[(interval * TimeSeries.slotsPerInterval)..<((interval + 1) * TimeSeries.slotsPerInterval)]
        let total = counts.reduce(Int64(0)) { $0 + Int64($1) }
        guard total > 0 else { return 0 }
        let rank = max(1, (total * percent + 99) / 100)
        var seen: Int64 = 0
        for (slot, count) in counts.enumerated() {
            seen += Int64(count)
            if seen >= rank { return min(TimeSeries.middle(ofSlot: slot), tallies[interval].latencyMax) }
        }
        return tallies[interval].latencyMax
    }

    @inline(__always)
    private mutating func interval(at now: Int64) -> Int {
        if now >= currentStart && now < currentEnd { return current }
        return anotherInterval(at: now)
    }

    @inline(never)
    private mutating func anotherInterval(at now: Int64) -> Int {
        precondition(start != .min, "a time series has to begin first")
        let elapsed = max(0, now - start)
        while elapsed / intervalNs >= Int64(capacity) { widen() }
        current = Int(elapsed / intervalNs)
        currentStart = start + Int64(current) * intervalNs
        currentEnd = currentStart + intervalNs
        grow(to: current + 1)
        return current
    }

    /// Within what was reserved, so without an allocation.
    private mutating func grow(to count: Int) {
        while tallies.count < count {
            tallies.append(Tally())
            slots.append(contentsOf: repeatElement(0, count: TimeSeries.slotsPerInterval))
        }
    }

    private mutating func widen() {
        let size = TimeSeries.slotsPerInterval
        for index in tallies.indices where index > 0 {
            let target = index / 2
            if index % 2 == 0 { tallies[target] = tallies[index] } else { add(tallies[index], to: target) }
            for slot in 0..<size {
                let count = slots[index * size + slot]
                let before = index % 2 == 0 ? 0 : slots[target * size + slot]
                slots[target * size + slot] = TimeSeries.sum(before, count)
            }
        }
        let kept = (tallies.count + 1) / 2
        tallies.removeSubrange(kept...)
        slots.removeSubrange((kept * size)...)
        intervalNs *= 2
        (currentStart, currentEnd) = (.max, .min)
    }

    private mutating func add(_ tally: Tally, to index: Int) {
        tallies[index].messages += tally.messages
        tallies[index].commits += tally.commits
        tallies[index].retries += tally.retries
        tallies[index].latencyMax = max(tallies[index].latencyMax, tally.latencyMax)
    }

    /// Stays at the top instead of starting anew.
    @inline(__always)
    private static func sum(_ one: UInt32, _ other: UInt32) -> UInt32 {
        let (sum, isTooMuch) = one.addingReportingOverflow(other)
        return isTooMuch ? .max : sum
    }

    @inline(__always)
    private static func slot(of nanoseconds: Int64) -> Int {
        let tracked = min(max(nanoseconds, 0), (1 << latencyMagnitudeMax) - 1)
        let value = UInt64(bitPattern: tracked) &>> UInt64(unitMagnitude)
        let octave = 58 - (value | 63).leadingZeroBitCount
        return (octave &<< 5) &+ Int(truncatingIfNeeded: value &>> UInt64(octave))
    }

    private static func middle(ofSlot slot: Int) -> Int64 {
        let octave = Int64(max(0, slot / 32 - 1))
        let width: Int64 = 1 << (octave + unitMagnitude)
        return (Int64(slot) - octave * 32) * width + width / 2
    }

    /// Everything that was counted, as plain numbers that can be written down: on another machine, or for another day.
    public struct Counts: Codable, Sendable, Equatable {
        public var intervalNs: Int64
        /// By interval.
        public var messages: [Int64]
        public var commits: [Int64]
        public var retries: [Int64]
        public var latencyMaxNs: [Int64]
        /// By turns the place of a count of latencies and the count; those of 0 aren't here.
        public var latencies: [Int64]
    }

    public var counts: Counts {
        var counts = Counts(
            intervalNs: intervalNs, messages: tallies.map(\.messages), commits: tallies.map(\.commits),
            retries: tallies.map(\.retries), latencyMaxNs: tallies.map(\.latencyMax), latencies: [])
        for (slot, count) in slots.enumerated() where count > 0 { counts.latencies += [Int64(slot), Int64(count)] }
        return counts
    }

    /// The series that was written down, on a clock on which its run began at `start`.
    /// - Returns: nil for numbers that no series of the usual interval has.
    public init?(_ counts: Counts, start: Int64) {
        self.init()
        let size = counts.messages.count
        var length = shortestIntervalNs
        while length < counts.intervalNs { length *= 2 }
        guard length == counts.intervalNs, size <= capacity, counts.latencies.count % 2 == 0,
            [counts.commits, counts.retries, counts.latencyMaxNs].allSatisfy({ $0.count == size })
        else { return nil }
        intervalNs = length
        self.start = start
        grow(to: size)
        for index in 0..<size {
            tallies[index] = Tally(
                messages: counts.messages[index], commits: counts.commits[index], retries: counts.retries[index],
                latencyMax: counts.latencyMaxNs[index])
        }
        for index in stride(from: 0, to: counts.latencies.count, by: 2) {
            guard let slot = Int(exactly: counts.latencies[index]), slots.indices.contains(slot),
                let count = UInt32(exactly: counts.latencies[index + 1])
            else { return nil }
            slots[slot] = count
        }
    }

    /// Equal counts in equal intervals of equal starts; where the last event was doesn't matter.
    public static func == (one: TimeSeries, other: TimeSeries) -> Bool {
        one.start == other.start && one.intervalNs == other.intervalNs && one.tallies == other.tallies
            && one.slots == other.slots
    }
}
