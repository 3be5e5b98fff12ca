// Whether a run measured the system or the harness. A pure verdict over what the harness measured of itself.

/// What the harness knows of its own part in a run; nil where it wasn't measured.
public struct HarnessFigures: Sendable, Equatable {
    /// Who offers the messages of an open run when they are due.
    public enum Generator: Sendable, Equatable {
        /// The workers themselves, which replay a topic.
        case workers
        /// The executor, which commits executions into trades; the feed publishes them.
        case executor
    }

    /// How late messages were offered, by the generator's own fault: those that fell due while a worker was idle, or after the
    /// executor had committed what was due before. Of open runs only.
    public var scheduleLagP99Ns: Int64?
    public var generator: Generator
    /// The scenario's own bound on that lag, before the timer's error; nil for `HarnessValidity.scheduleLagBoundNs`.
    public var scheduleLagBoundNs: Int64?
    public var timerErrorP99Ns: Int64?
    /// Of open runs only: the highest rate of the schedule. Offering more than the ceiling isn't a fault: what the system can't
    /// take waits in the topic, and the harness was the limit only if the throughput says so.
    public var offeredRatePerSecond: Double?
    public var throughputPerSecond: Double
    /// What the same harness reaches with a sink that does nothing.
    public var ceilingPerSecond: Double?
    /// How much later than asked the emulated network passed bytes on.
    public var proxyLatenessP99Ns: Int64?
    /// What the emulated network was asked for: there and back.
    public var roundTripTimeNs: Int64
    /// Of the hosts that the workers were on, the one whose processors the harness used most.
    public var busiestHost: Host?

    /// A machine that workers were on.
    public struct Host: Sendable, Equatable {
        public var name: String
        /// The harness's part of all its processors' time, 0 to 1.
        public var cpuShare: Double

        public init(name: String, cpuShare: Double) {
            self.name = name
            self.cpuShare = cpuShare
        }
    }

    public init(
        scheduleLagP99Ns: Int64? = nil, generator: Generator = .workers, scheduleLagBoundNs: Int64? = nil,
        timerErrorP99Ns: Int64? = nil,
        offeredRatePerSecond: Double? = nil, throughputPerSecond: Double, ceilingPerSecond: Double? = nil,
        proxyLatenessP99Ns: Int64? = nil, roundTripTimeNs: Int64 = 0, busiestHost: Host? = nil
    ) {
        self.scheduleLagP99Ns = scheduleLagP99Ns
        self.generator = generator
        self.scheduleLagBoundNs = scheduleLagBoundNs
        self.timerErrorP99Ns = timerErrorP99Ns
        self.offeredRatePerSecond = offeredRatePerSecond
        self.throughputPerSecond = throughputPerSecond
        self.ceilingPerSecond = ceilingPerSecond
        self.proxyLatenessP99Ns = proxyLatenessP99Ns
        self.roundTripTimeNs = roundTripTimeNs
        self.busiestHost = busiestHost
    }
}

/// The verdict. An invalid run is shown with its reasons and never averaged.
public enum HarnessValidity: Sendable, Equatable {
    case valid
    /// Each reason is a sentence; there is at least one.
    case invalid(reasons: [String])

    /// Above this part of its own ceiling the harness, not the system, may be what limits a run: queueing makes a generator
    /// late well before it is full. (k6 asks for 20 % of idle processor for the same reason.)
    public static let ceilingShareMax = 0.8
    /// A worker host whose processors the harness uses for more than this part of the time has none left to be quick with.
    public static let hostCPUShareMax = 0.9
    /// Where the scenario's `schedule_lag_max_ms` doesn't say better. A configuration whose p99 is smaller than this needs a lower
    /// bound; `isLargePart` says when. The timer's own error comes on top, because no harness can be more punctual than the
    /// machine wakes it.
    public static let scheduleLagBoundNs: Int64 = 5_000_000
    /// How late the emulated network may be: a tenth of the round trip, and what is below this is no more than a busy machine
    /// takes to wake a thread.
    public static func proxyLatenessBoundNs(roundTripTimeNs: Int64) -> Int64 { max(roundTripTimeNs / 10, 200_000) }

    /// Whether a run's schedule lag is so much of its time-to-visible that readers of the latter must know: above a tenth,
    /// it may show in the p99 that is published. No reason to condemn a run, for the lag is a part of what was measured.
    public static func isLargePart(scheduleLagP99: Double, ofTimeToVisibleP99 timeToVisibleP99: Double) -> Bool {
        scheduleLagP99 > timeToVisibleP99 / 10
    }

    /// Judges one run.
    public static func judge(_ figures: HarnessFigures) -> HarnessValidity {
        var reasons: [String] = []
        if let ceiling = figures.ceilingPerSecond {
            let limit = ceilingShareMax * ceiling
            if figures.throughputPerSecond > limit {
                reasons.append(
                    "The throughput of \(whole(figures.throughputPerSecond))/s is above 80 % of the \(whole(ceiling))/s that "
                        + "the harness reaches with a sink that does nothing, so the harness may have been the limit.")
            }
        }
        // Without a schedule nothing is late.
        if figures.offeredRatePerSecond != nil, let lag = figures.scheduleLagP99Ns {
            let bound = figures.scheduleLagBoundNs ?? scheduleLagBoundNs
            let timerError = figures.timerErrorP99Ns ?? 0
            if lag > bound + timerError {
                reasons.append(
                    "The schedule lag's p99 of \(milliseconds(lag)) ms is above the bound of "
                        + "\(milliseconds(bound)) ms plus the timer error's p99 of \(milliseconds(timerError)) ms: "
                        + figures.generator.reproach)
            }
        }
        if let lateness = figures.proxyLatenessP99Ns {
            let bound = proxyLatenessBoundNs(roundTripTimeNs: figures.roundTripTimeNs)
            if lateness > bound {
                reasons.append(
                    "The emulated network passed bytes on later than asked, its p99 of \(milliseconds(lateness)) ms above the "
                        + "bound of \(milliseconds(bound)) ms for a round trip of \(milliseconds(figures.roundTripTimeNs)) ms: "
                        + "the network was slower than the configuration says.")
            }
        }
        if let host = figures.busiestHost, host.cpuShare > hostCPUShareMax {
            reasons.append(
                "The workers used \(whole(host.cpuShare * 100)) % of the processors of host \(host.name), above 90 %, so that "
                    + "host may have been the limit: give it more, or use more hosts.")
        }
        return reasons.isEmpty ? .valid : .invalid(reasons: reasons)
    }

    public var isValid: Bool { self == .valid }

    /// All reasons in one line; nil for a valid run.
    public var reason: String? {
        guard case .invalid(let reasons) = self else { return nil }
        return reasons.joined(separator: " ")
    }
}

extension HarnessFigures.Generator {
    /// How the sentence about a schedule lag ends.
    fileprivate var reproach: String {
        switch self {
        case .workers: "idle workers offered messages too late."
        case .executor: "the executor began to write executions too late, though its commit before was answered."
        }
    }
}

private func whole(_ value: Double) -> String { String(Int64(value.rounded())) }

private func milliseconds(_ nanoseconds: Int64) -> String {
    let hundredths = (nanoseconds + 5_000) / 10_000
    let rest = String(hundredths % 100)
    return "\(hundredths / 100)." + (rest.count < 2 ? "0" : "") + rest
}
