// Turns what the workers measured into a row of runs.csv and the rows of the files beside it.

import Allocations
import Booking
import Measurement
import Postgres
import Report

extension RunRow {
    /// Takes what the workers and the booking workers measured.
    mutating func fill(from result: DrainResult) {
        let figures = result.figures
        elapsedNanoseconds = result.elapsedNanoseconds
        // Goodput: each execution once, of what was committed during the elapsed time. Of an open load this is about the rate
        // offered, off by what was under way at the opening and at the end, so no comparison has it.
        executions = result.committedCapturedCount
        committedMessages = result.committedMessageCount
        timeToVisible = LatencySummary(figures.timeToVisible)
        transactionLatency = LatencySummary(figures.transactionLatency)
        transactions.committed = figures.transactionCount
        transactions.retries = figures.retryCount
        transactions.retriedMessages = figures.retriedMessageCount
        transactions.retriedNanoseconds = figures.retries.values.reduce(0) { $0 + $1.nanoseconds }
        transactions.ambiguous = figures.ambiguousCommits.count
        transactions.reconnects = figures.reconnectCount
        duplicates = figures.duplicateCount
        snapshots = figures.snapshotCount
        if figures.group.rebalances > 0 {
            rebalances = figures.group.rebalances
            partitionsLost = figures.group.partitionsLost
            fencedTransactions = figures.group.fencedTransactions
        }
        lagMaxMessages = figures.partitions.values.map(\.lagMaxMessages).max()
        lagMaxNanoseconds = figures.partitions.values.map(\.lagMaxNs).max()
        partitionSkew = skew(figures.partitions.values.map(\.messages))
        recoveredNanoseconds = result.faults.last { $0.atNs != nil }?.recoveredAfterNs
        booking = result.bookings.map { bookings in
            BookingSummary(
                blocks: bookings.figures.bookedBlockCount, accounts: bookings.figures.accountBookingCount,
                latency: LatencySummary(bookings.figures.latency),
                // Beside the drain it begins with the drain, though its workers are connected before.
                elapsedNanoseconds: bookings.elapsedNanoseconds(since: max(result.startTime, bookings.startTime)))
        }
    }

    /// Of the fullest over the mean one.
    private func skew(_ messages: [Int64]) -> Double? {
        let sum = messages.reduce(0, +)
        guard let most = messages.max(), sum > 0 else { return nil }
        return Double(most) * Double(messages.count) / Double(sum)
    }
}

extension CellOutcome {
    /// Adds the rows of latency.csv, timeseries.csv, retries.csv, partitions.csv and faults.csv.
    mutating func add(_ result: DrainResult, key: RunKey, lockWaits: [Int64: Int]?) {
        let figures = result.figures
        for stage in WorkerFigures.stages { addHistogram(stage, figures.latencies[stage]) }
        addHistogram(.allocatedToBooked, result.bookings?.figures.latency)
        tables[.timeSeries] = result.timeSeriesRows(key: key, lockWaits: lockWaits)
        tables[.retries] = retryRows(figures, key: key)
        tables[.partitions] = partitionRows(figures.partitions, key: key)
        tables[.faults] = result.faults.map { fault in
            ResultTable.faults.row(
                key,
                [
                    fault.kind.rawValue, fault.atNs.map { milliseconds($0) } ?? "",
                    fault.recoveredAfterNs.map { milliseconds($0) } ?? "",
                    String(fault.replayedMessages), String(fault.duplicates), String(fault.lostMessages),
                ])
        }
    }

    /// Adds a stage that has recorded something.
    mutating func addHistogram(_ stage: LatencyStage, _ histogram: Histogram?) {
        guard let histogram, histogram.count > 0, !latencies.contains(where: { $0.stage == stage }) else { return }
        latencies.append((stage, histogram))
    }

    private func retryRows(_ figures: WorkerFigures, key: RunKey) -> [[String]] {
        var rows = figures.retries.sorted { $0.key.rawValue < $1.key.rawValue }.map { state, retries in
            ResultTable.retries.row(
                key,
                [
                    state.rawValue, String(retries.count), String(retries.messages), milliseconds(retries.nanoseconds),
                    "",
                ])
        }
        let ambiguous = figures.ambiguousCommits
        if ambiguous.count > 0 {
            rows.append(
                ResultTable.retries.row(
                    key, ["ambiguous", String(ambiguous.count), "", "", String(ambiguous.committed)]))
        }
        return rows
    }

    private func partitionRows(_ partitions: [Int32: PartitionFigures], key: RunKey) -> [[String]] {
        let sum = partitions.values.reduce(0) { $0 + $1.messages }
        return partitions.sorted { $0.key < $1.key }.map { partition, figures in
            let share = sum == 0 ? 0 : Double(figures.messages) / Double(sum)
            return ResultTable.partitions.row(
                key,
                [
                    String(partition), String(figures.messages), decimal(share, decimals: 4),
                    String(figures.lagMaxMessages), milliseconds(figures.lagMaxNs), String(figures.lagLastMessages),
                ])
        }
    }
}

extension DrainResult {
    /// The rows of timeseries.csv: of the whole run, each with whether some of it lies in the measured part.
    func timeSeriesRows(key: RunKey, lockWaits: [Int64: Int]?) -> [[String]] {
        figures.series.intervals.map { interval in
            let seconds = interval.startNs / 1_000_000_000
            let length = max(1, interval.lengthNs / 1_000_000_000)
            let waits = lockWaits.map { waits in (seconds..<seconds + length).compactMap { waits[$0] }.max() ?? 0 }
            let begin = startTime + interval.startNs
            let isMeasured = (begin..<begin + interval.lengthNs).overlaps(measuredTimes)
            let lag = figures.lag.sample(atNs: interval.startNs + interval.lengthNs)
            return ResultTable.timeSeries.row(
                key,
                [
                    String(seconds), String(length), String(isMeasured), String(interval.messageCount),
                    String(interval.commitCount), String(interval.retryCount), milliseconds(interval.latencyP50Ns),
                    milliseconds(interval.latencyP99Ns), milliseconds(interval.latencyMaxNs),
                    lag.map { String($0.messages) } ?? "", lag.map { milliseconds($0.nanoseconds) } ?? "",
                    waits.map { String($0) } ?? "",
                ])
        }
    }
}
