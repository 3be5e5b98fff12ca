// What a scenario may say about a CockroachDB cluster, and the statements that carry it out. Plain values.

/// How the rows of the largest tables get into the cluster.
public enum BulkLoad: String, Sendable, CaseIterable {
    /// `COPY`, as on PostgreSQL.
    case copy
    /// `IMPORT INTO` from files that are uploaded into the database first.
    case `import`
}

/// What a worker repeats when the server asks for it (40001).
public enum RetryMethod: String, Sendable, CaseIterable {
    /// The whole transaction, from its BEGIN on.
    case transaction
    /// What lies behind `SAVEPOINT cockroach_restart`: the transaction keeps its place in line before those that it met.
    case savepoint
}

/// `servers.cockroachdb` of a scenario. What isn't said is the cluster's own default.
public struct CockroachSettings: Sendable, Hashable {
    public static let hashBucketsDefault = 8

    /// Copies of every range of the harness's tables.
    public var replicas: Int?
    /// The largest range, in bytes, before the cluster splits it.
    public var rangeBytesMax: Int?
    /// Buckets of the keys that are hash-sharded.
    public var hashBuckets = hashBucketsDefault
    /// Into how many more ranges each table of a block's rows is split before a run, by block order.
    public var splitPoints = 0
    public var bulkLoad = BulkLoad.copy
    public var retry = RetryMethod.transaction
    /// Has the server answer statements in the workers' transactions with 40001, three times each.
    public var injectsRetryErrors = false

    public init() {}

    /// How often a transaction goes back to its savepoint before it is begun anew: the errors that the server injects end
    /// with the third, and where going back doesn't help, as on PostgreSQL after a serialization failure, a new transaction
    /// does.
    public static let savepointRestartsMax = 8

    /// `text` with these values in the places of `:hash_buckets`.
    func filledIn(_ text: String) -> String {
        text.split(separator: ":hash_buckets", omittingEmptySubsequences: false).joined(separator: String(hashBuckets))
    }

    /// What places and sizes the ranges of a table; nil if the cluster's defaults stay.
    func zoneStatement(of table: String) -> String? {
        var variables: [String] = []
        if let rangeBytesMax {
            // A cluster refuses ranges whose least size isn't below the largest.
            variables += ["range_min_bytes = \(rangeBytesMax / 4)", "range_max_bytes = \(rangeBytesMax)"]
        }
        if let replicas { variables.append("num_replicas = \(replicas)") }
        guard !variables.isEmpty else { return nil }
        return "ALTER TABLE \(table) CONFIGURE ZONE USING \(variables.joined(separator: ", "))"
    }

    /// The keys at which a table is split so that as many of the sorted `keys` lie in each part: at most `splitPoints` of them.
    public func splitKeys(among keys: [Int64]) -> [Int64] {
        guard splitPoints > 0, keys.count > 1 else { return [] }
        let parts = min(splitPoints + 1, keys.count)
        return (1..<parts).map { keys[$0 * keys.count / parts] }
    }

    /// What splits a table whose key begins with a whole number, and spreads the ranges over the nodes.
    public static func splitStatements(of table: String, at keys: [Int64]) -> [String] {
        guard !keys.isEmpty else { return [] }
        let values = keys.map { "(\($0))" }.joined(separator: ", ")
        return ["ALTER TABLE \(table) SPLIT AT VALUES \(values)", "ALTER TABLE \(table) SCATTER"]
    }
}
