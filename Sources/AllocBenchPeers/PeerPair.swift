// What is compared: a path of ours beside what a user would pick instead, on the same work.

/// One path of ours and its peer. The runner prepares it, has both sides run in turn, and finishes it; everything on the
/// main thread.
protocol PeerPair: AnyObject {
    /// Short and without blanks, for `--only`, folders and files.
    var name: String { get }
    /// What of ours is measured.
    var path: String { get }
    /// What runs beside it; with its version once the pair is prepared.
    var peer: String { get }
    /// Of the figures, such as "executions/s".
    var unit: String { get }
    var isHigherBetter: Bool { get }
    /// The ratio of ours to the peer's that is to be reached: at least where higher is better, else at most. Nil where the
    /// figures are for orientation.
    var target: Double? { get }
    /// How often each side runs unmeasured before the others: a broker is a JVM, which compiles what it has seen run for a while.
    var warmUps: Int { get }
    /// What its PostgreSQL is started with beside the harness's own settings.
    var postgresSettings: [String: String] { get }

    /// What the pair needs and doesn't find here, in a few words; nil if nothing is missing.
    func obstacle(_ surroundings: PeerSurroundings) -> String?
    /// Makes what both sides work on. Its services are up, and nobody else's.
    func prepare(_ bench: PeerBench) throws
    /// Each brings what it needs to be fresh, does the work, and says what it measured of it.
    func runOurs(_ bench: PeerBench) throws -> PeerRun
    func runPeer(_ bench: PeerBench) throws -> PeerRun
    /// Ends what the pair has started, also after an error. The services and the folder go by themselves.
    func finish(_ bench: PeerBench)
}

extension PeerPair {
    var isHigherBetter: Bool { true }
    var warmUps: Int { 1 }
    var postgresSettings: [String: String] { [:] }
    func obstacle(_ surroundings: PeerSurroundings) -> String? { nil }
    func finish(_ bench: PeerBench) {}
}

/// One run of one side.
struct PeerRun {
    let figure: Double
    /// What was done, by name, such as rows and a digest of them: the same in every run of either side, or the pair is no
    /// comparison.
    let work: [String: String]
}

/// How much is measured: what figures are published of, or so little that a test of it takes seconds.
enum PeerSize: String, CaseIterable {
    case tiny, full

    /// One of two numbers.
    func pick<Value>(tiny: Value, full: Value) -> Value { self == .tiny ? tiny : full }
}
