// What the commits of a configuration's sessions wait for. Runs on the session's thread.

import Diagnostics
public import Model
public import Postgres

extension AllocationsSource {
    /// Has this session's commits wait for what the configuration says, even where that is the server's default, so that what a
    /// row of results says was so. The sessions of all workers have it, those that book as well: a commit that waits for the
    /// disk beside others that don't would bring their log to the disk, too.
    public static func setSynchronousCommit(_ setting: SynchronousCommit, on connection: PostgresConnection) throws {
        if connection.isCockroachDB {
            guard setting == .standard else {
                throw OperatingError(
                    "synchronous_commit \(setting.rawValue) means nothing to CockroachDB, which commits by consensus",
                    remedy: "leave it out")
            }
        } else {
            try connection.execute("SET synchronous_commit = '\(setting.rawValue)'")
        }
    }
}
