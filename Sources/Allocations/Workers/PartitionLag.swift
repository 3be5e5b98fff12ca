// How far behind one partition was, second by second, with what nobody could know at that second.

/// A worker sees what it has polled. What was due and still with the executor, the change feed or the broker comes later, and
/// says by its intended arrival since when it was due: it is added to every sample that was taken without it. Once the whole
/// partition is polled, each sample is exact.
///
/// Adding costs one comparison for a message that wasn't due at the last sample, else an addition for each sample since it
/// was due. Nothing is allocated.
struct PartitionLag {
    private(set) var series = LagSeries()
    private(set) var maxMessages: Int64 = 0
    private(set) var maxNs: Int64 = 0
    private(set) var sampleCount: Int64 = 0
    private var start = Int64.max
    private(set) var lastTime = Int64.min
    /// Messages below this offset were polled before and forgotten again after the sample at `forgottenTime`, in which they are.
    private var forgottenOffset = Int64.min
    private var forgottenTime = Int64.min

    /// The lag of a partition that begins now: the samples so far are those of another, which had none.
    init(after idle: PartitionLag) {
        self = idle
        sampleCount = 0
    }

    init() {}

    /// When the run started, on the monotonic clock.
    mutating func begin(at start: Int64) { self.start = start }

    /// Adds the next sample: what is known at `time` to be due and not committed.
    mutating func sample(messages: Int64, nanoseconds: Int64, at time: Int64) {
        lastTime = time
        sampleCount += 1
        maxMessages = max(maxMessages, messages)
        maxNs = max(maxNs, nanoseconds)
        series.append(messages: messages, nanoseconds: nanoseconds)
    }

    /// A message was polled that has been due since `arrival`.
    @inline(__always)
    mutating func add(arrival: Int64, offset: Int64) {
        if arrival <= lastTime { addToSamples(arrival: arrival, offset: offset) }
    }

    @inline(never)
    private mutating func addToSamples(arrival: Int64, offset: Int64) {
        // The samples up to `forgottenTime` have it already.
        let first = offset < forgottenOffset ? max(arrival, forgottenTime + 1) : arrival
        let most = series.add(dueNs: arrival - start, fromNs: first - start)
        maxMessages = max(maxMessages, most.messages)
        maxNs = max(maxNs, most.nanoseconds)
    }

    /// What was polled below `offset` and isn't committed is dropped, and will be polled again. If not all that was dropped
    /// before has come again, that remains the time.
    mutating func forget(below offset: Int64) {
        guard offset >= forgottenOffset else { return }
        (forgottenOffset, forgottenTime) = (offset, lastTime)
    }
}
