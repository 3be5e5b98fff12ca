// What a host measured in a cell, as it travels through the database: histograms in HdrHistogram's own encoding, so that the
// runner merges counts, never percentiles. Times are from the cell's start, because every host has a clock of its own.

public import Allocations
public import Booking
import Diagnostics
import Measurement
import Postgres

/// A report that can't be read: not by a host of the same program.
public struct ReportFault: Error, Sendable, CustomStringConvertible {
    public let description: String
}

public struct HostReport: Codable, Sendable {
    public var figures: FiguresRecord
    /// Nil where the host had no booking workers.
    public var bookings: BookingRecord?
    /// Messages committed in the measured part, where the window counts them; nil where the figures do.
    public var committedInWindow: Int64?
    /// From the start until the host's last worker had ended.
    public var drainNs: Int64
    /// Of the host's process, from its workers' readiness until the last of them had ended.
    public var cpuSeconds: Double
    public var peakResidentBytes: Int64
    /// How the server's time of day stood against the host's before the start, how far off the estimate may be, and how far the
    /// clocks moved against each other until the end.
    public var clockOffsetNs: Int64
    public var clockUncertaintyNs: Int64
    public var clockDriftNs: Int64

    public init(
        figures: FiguresRecord, bookings: BookingRecord?, committedInWindow: Int64?, drainNs: Int64,
        cpuSeconds: Double, peakResidentBytes: Int64, clockOffsetNs: Int64, clockUncertaintyNs: Int64,
        clockDriftNs: Int64
    ) {
        self.figures = figures
        self.bookings = bookings
        self.committedInWindow = committedInWindow
        self.drainNs = drainNs
        self.cpuSeconds = cpuSeconds
        self.peakResidentBytes = peakResidentBytes
        self.clockOffsetNs = clockOffsetNs
        self.clockUncertaintyNs = clockUncertaintyNs
        self.clockDriftNs = clockDriftNs
    }

    public init(text: String) throws { try self.init(jsonText: text) }

    public func text() throws -> String { try jsonText() }

    /// By how much the host's start may have missed the common one, and with it each of its latencies.
    public var startUncertaintyNs: Int64 { clockUncertaintyNs + abs(clockDriftNs) }
}

/// `WorkerFigures` on paper.
public struct FiguresRecord: Codable, Sendable {
    private struct Retries: Codable, Sendable {
        var sqlState: String
        var figures: RetryFigures
    }

    /// By stage, in the format of HdrHistogram's logs.
    private var histograms: String
    private var series: TimeSeries.Counts
    private var lagIntervalNs: Int64
    private var lag: [LagSeries.Sample]
    private var transactionCount: Int64
    private var messageCount: Int64
    private var capturedCount: Int64
    private var committedCapturedCount: Int64
    private var snapshotCount: Int64
    private var parkedCount: Int64
    private var retries: [Retries]
    private var ambiguousCommits: AmbiguousCommits
    private var reconnectCount: Int64
    private var replayedMessageCount: Int64
    private var lostMessageCount: Int64
    private var handicapNanoseconds: Int64
    private var partitions: [Int32: PartitionFigures]
    /// Since the start; nil without a commit.
    private var lastCommitNs: Int64?

    /// - Parameter start: of the cell, on the clock of these figures.
    public init(_ figures: WorkerFigures, start: Int64) {
        histograms = histogramText(of: figures.latencies)
        series = figures.series.counts
        lagIntervalNs = figures.lag.intervalNs
        lag = figures.lag.samples
        transactionCount = figures.transactionCount
        messageCount = figures.messageCount
        capturedCount = figures.capturedCount
        committedCapturedCount = figures.committedCapturedCount
        snapshotCount = figures.snapshotCount
        parkedCount = figures.parkedCount
        retries = figures.retries.map { Retries(sqlState: $0.key.rawValue, figures: $0.value) }
        ambiguousCommits = figures.ambiguousCommits
        reconnectCount = figures.reconnectCount
        replayedMessageCount = figures.replayedMessageCount
        lostMessageCount = figures.lostMessageCount
        handicapNanoseconds = figures.handicapNanoseconds
        partitions = figures.partitions
        lastCommitNs = figures.lastCommitTime == 0 ? nil : figures.lastCommitTime - start
    }

    /// The figures as they would have been measured on a clock on which the cell began at `start`.
    public func figures(start: Int64) throws -> WorkerFigures {
        var figures = WorkerFigures()
        figures.latencies.merge(try latencies(ofText: histograms))
        guard let series = TimeSeries(series, start: start),
            let lag = LagSeries(intervalNs: lagIntervalNs, samples: lag)
        else { throw ReportFault(description: "its time series isn't one") }
        figures.series = series
        figures.lag = lag
        figures.transactionCount = transactionCount
        figures.messageCount = messageCount
        figures.capturedCount = capturedCount
        figures.committedCapturedCount = committedCapturedCount
        figures.snapshotCount = snapshotCount
        figures.parkedCount = parkedCount
        for entry in retries { figures.retries[SQLState(rawValue: entry.sqlState)] = entry.figures }
        figures.ambiguousCommits = ambiguousCommits
        figures.reconnectCount = reconnectCount
        figures.replayedMessageCount = replayedMessageCount
        figures.lostMessageCount = lostMessageCount
        figures.handicapNanoseconds = handicapNanoseconds
        figures.partitions = partitions
        figures.lastCommitTime = lastCommitNs.map { start + $0 } ?? 0
        return figures
    }
}

/// `BookingResult` on paper.
public struct BookingRecord: Codable, Sendable {
    private var histograms: String
    private var bookedBlockCount: Int64
    private var unbookedBlockCount: Int64
    private var accountBookingCount: Int64
    private var transactionCount: Int64
    private var retries: [String: RetryFigures]
    private var reconnectCount: Int64
    private var ambiguousCommits: AmbiguousCommits
    private var lastCommitNs: Int64?
    private var startNs: Int64
    private var workers: Int

    public init(_ result: BookingResult, start: Int64) {
        histograms = histogramText(of: result.figures.latencies)
        bookedBlockCount = result.figures.bookedBlockCount
        unbookedBlockCount = result.figures.unbookedBlockCount
        accountBookingCount = result.figures.accountBookingCount
        transactionCount = result.figures.transactionCount
        retries = Dictionary(uniqueKeysWithValues: result.figures.retries.map { ($0.key.rawValue, $0.value) })
        reconnectCount = result.figures.reconnectCount
        ambiguousCommits = result.figures.ambiguousCommits
        lastCommitNs = result.figures.lastCommitTime == 0 ? nil : result.figures.lastCommitTime - start
        startNs = result.startTime - start
        workers = result.workers
    }

    public func result(start: Int64) throws -> BookingResult {
        var figures = BookingFigures()
        figures.latencies.merge(try latencies(ofText: histograms))
        figures.bookedBlockCount = bookedBlockCount
        figures.unbookedBlockCount = unbookedBlockCount
        figures.accountBookingCount = accountBookingCount
        figures.transactionCount = transactionCount
        for (state, retries) in retries { figures.retries[SQLState(rawValue: state)] = retries }
        figures.reconnectCount = reconnectCount
        figures.ambiguousCommits = ambiguousCommits
        figures.lastCommitTime = lastCommitNs.map { start + $0 } ?? 0
        return BookingResult(figures: figures, startTime: start + startNs, workers: workers)
    }
}

/// One interval a stage; those in which nothing was recorded are left out.
private func histogramText(of latencies: StageLatencies) -> String {
    let recorded = latencies.stages.filter { latencies[$0].count > 0 }
    return HistogramLog(
        startUnixNs: 0,
        intervals: recorded.map {
            HistogramLog.Interval(tag: $0.rawValue, startNs: 0, lengthNs: 0, histogram: latencies[$0])
        }
    ).text
}

private func latencies(ofText text: String) throws -> StageLatencies {
    var latencies = StageLatencies(stages: [])
    for interval in try HistogramLog(text: text, source: "a host's report").intervals {
        guard let stage = LatencyStage(rawValue: interval.tag) else {
            throw ReportFault(description: "no stage is named \(interval.tag)")
        }
        latencies.merge(interval.histogram, into: stage)
    }
    return latencies
}
