// When the filled quantity of a block is allocated to its accounts.

/// A snapshot is due whenever the fills pass another `1/parts` of the block; completion is the last part.
public struct SnapshotPolicy: Sendable, Equatable {
    /// 4 allocates at every quarter; 1 only at completion.
    public let parts: Int64

    public init(parts: Int64) { self.parts = parts }

    public static let quarters = SnapshotPolicy(parts: 4)

    /// Whether the fills moved into another part since the last snapshot.
    /// - Parameters:
    ///   - allocated: shares filled at the last snapshot, 0 before the first.
    ///   - filled: shares filled now.
    ///   - ordered: shares of the whole block, above 0.
    @inlinable
    public func isDue(allocated: Int64, filled: Int64, ordered: Int64) -> Bool {
        filled * parts / ordered > allocated * parts / ordered
    }
}
