// When the fills of a block are allocated to its accounts, while it is neither filled nor canceled yet.

/// When a snapshot is due on the way. When a block is filled or canceled, and when a bust took back what is allocated, a
/// snapshot is due under every policy.
public enum SnapshotPolicy: Sendable, Hashable {
    /// Whenever the fills pass another `1/parts` of the block; 4 allocates at every quarter.
    case fraction(parts: Int64)
    /// Whenever so many more executions are live.
    case executions(Int64)
    /// When so long has passed since the block's last snapshot, or since its first fill.
    case interval(milliseconds: Int64)
    /// Only when the block is filled or canceled.
    case completion

    public static let quarters = SnapshotPolicy.fraction(parts: 4)
}
