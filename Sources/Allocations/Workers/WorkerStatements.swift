// The SQL of the workers for those who send it by other means: what AllocBench is measured beside.

internal import Postgres

package enum WorkerStatements {
    private static let script = SQLScript(embedded: PackageResources.fill_sql)

    /// The statement as workers prepare it where no two of them share a block, without comments and semicolon.
    package static func text(_ name: String) -> String {
        script.fragment(name).split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: "\n")
    }
}
