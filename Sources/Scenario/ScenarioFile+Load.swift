// What a scenario says about time: how executions arrive, which of them are measured, what is judged, what is broken.
// Plain values; the readers of the same names check them.

public import Kafka
public import Measurement
import Model
public import Postgres
public import Services

extension ScenarioFile {
    /// How executions reach the workers.
    public enum Load: Sendable, Equatable {
        /// The topic is filled, then drained as fast as can be.
        case backlog
        /// On a schedule, whether or not the system keeps up.
        case open(OpenLoad)
        /// The highest rate that holds a limit is looked for.
        case search(SearchLoad)
    }

    public struct OpenLoad: Sendable, Equatable {
        public var schedule: ArrivalSchedule
        public var through: Through
        /// How late the harness may be with what is due; nil for the harness's own bound.
        public var scheduleLagLimitMs: Double?
    }

    /// The way that executions of an open load take.
    public enum Through: String, Sendable, CaseIterable {
        /// They were recorded in the topic before, and are held back until they are due.
        case topic
        /// They are committed into `trades` when they are due, and come through the change feed.
        case feed
    }

    public struct SearchLoad: Sendable, Equatable {
        public static let lagLimitMsDefault = 1000.0
        public static let lowRateDefault = 500.0
        public static let highRateLimitDefault = 200_000.0
        public static let precisionDefault = 0.05
        public static let probeSecondsDefault = 5.0

        /// What the p99 of time-to-visible may be at most.
        public var p99LimitMs: Double
        /// How far behind its schedule the stream may be at the end of a probe.
        public var lagLimitMs: Double
        /// Executions per second of the first probe.
        public var lowRate: Double
        /// No probe has a higher one.
        public var highRateLimit: Double
        /// The search ends when the highest rate that held and the lowest that didn't differ by at most this share.
        public var precision: Double
        public var probeSeconds: Double
        public var through: Through
    }

    /// Whether some configuration asks for a round-trip time. All of them then reach the database through the proxy, those of 0 as
    /// well: what the proxy costs would else be taken for the cost of the round trips.
    var emulatesNetwork: Bool { configurations.contains { $0.roundTripTimeUs > 0 } }

    /// In which order the cells of an experiment run.
    public enum Order: String, Sendable, CaseIterable {
        case abba
        case latinSquare = "latin_square"
    }

    /// What the embedded servers are made of, or where the user's own are.
    public struct Servers: Sendable, Equatable {
        /// Copies of the database that a commit may wait for.
        public var standbys = 0
        /// For which of them a commit waits; nil for any one.
        public var synchronousStandbys: SynchronousStandbys?
        /// PostgreSQL's settings, in the order of the file.
        public var settings: [Setting] = []
        /// A URI or key=value words of the user's own database; nil for the embedded PostgreSQL.
        public var database: String?
        /// What is said about a CockroachDB cluster; nil if nothing is.
        public var cockroach: CockroachSettings?
        /// Processes on any machines that the workers are in; nil where they are threads of the runner.
        public var workerHosts: Int?
        /// HOST:PORT,… of a Kafka of the user's; nil for the embedded broker.
        public var brokers: String?
        /// Nodes of the embedded Kafka.
        public var embeddedBrokers = 1
        public var kafka = Kafka()

        /// What is asked of a Kafka's clients and topics.
        public struct Kafka: Sendable, Equatable {
            /// Properties of librdkafka; none of them a secret.
            public var properties: [String: String] = [:]
            /// A file of further properties: the place of secrets.
            public var propertiesFile: String?
            public var topic = TopicSettings()
            public var isFeedTransactional = false
        }

        public struct Setting: Sendable, Equatable {
            public var name: String
            public var value: String
        }
    }

    /// What a configuration must reach, or else the run ends with an exit status of its own.
    public struct GateRule: Sendable, Equatable {
        public enum Rule: Sendable, Equatable {
            case maxP99Ms(Double)
            case minExecutionsPerSecond(Double)
            /// At least `ratio` times as good as the configuration `other`; a nil metric is the load's own.
            case minRatio(to: String, ratio: Double, metric: Metric?)
        }

        public enum Metric: String, Sendable, CaseIterable {
            case executionsPerSecond = "executions_per_s"
            case sustainedRatePerSecond = "sustained_rate_per_s"
            case p50Ms = "p50_ms"
            case p99Ms = "p99_ms"

            /// Of two milliseconds the smaller are better.
            public var isMoreBetter: Bool { self == .executionsPerSecond || self == .sustainedRatePerSecond }
        }

        /// Nil for every configuration.
        public var configuration: String?
        public var rule: Rule
    }

    /// Something that breaks while a cell runs.
    public struct FaultPlan: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable {
            case killWorker = "kill_worker"
            case terminateBackends = "terminate_backends"
            /// Of several embedded Kafka nodes the one that leads the first partition.
            case killBroker = "kill_broker"
            /// The primary dies, a standby takes its place.
            case promoteStandby = "promote_standby"
        }

        /// After the start of the cell.
        public var atNs: Int64
        public var kind: Kind
    }

    /// A file that the scenario names instead of a mapping.
    public struct IncludedFile: Sendable, Equatable {
        /// The key that named it: `workload` or `servers`.
        public var key: String
        public var path: String
        public var text: String
    }
}
