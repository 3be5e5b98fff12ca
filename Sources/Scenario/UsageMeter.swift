// What a cell takes from the machine and from the database: read before and after it, never inside.

import Measurement
import Report
import Services

struct UsageMeter {
    private let target: Target
    private let own: ProcessUsage?
    private let databaseCPUSeconds: Double?

    /// Begins to count, with a peak of memory of its own.
    init(_ target: Target) {
        self.target = target
        ProcessUsage.resetOwnPeak()
        own = ProcessUsage.own()
        databaseCPUSeconds = UsageMeter.databaseUsage(target)
    }

    func finish() -> ResourceSummary {
        var summary = ResourceSummary()
        let now = ProcessUsage.own()
        summary.harnessCPUSeconds = (now?.cpuSeconds ?? 0) - (own?.cpuSeconds ?? 0)
        summary.harnessPeakResidentBytes = now?.peakResidentBytes ?? 0
        summary.databaseCPUSeconds = UsageMeter.databaseUsage(target).flatMap { end in
            databaseCPUSeconds.map { end - $0 }
        }
        return summary
    }

    /// Processor seconds of the embedded PostgreSQL so far.
    private static func databaseUsage(_ target: Target) -> Double? {
        guard let services = target.services else { return nil }
        let postgres = ServicesControl.status(in: services.state).first { $0.record.kind == .postgres && $0.isRunning }
        return postgres.flatMap { ProcessUsage.ofTree(root: $0.record.process.pid)?.cpuSeconds }
    }
}
