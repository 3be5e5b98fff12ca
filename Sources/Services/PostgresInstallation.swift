// Where the binaries of a PostgreSQL server are on this machine, and who runs them.

internal import Diagnostics
internal import Glibc

/// One installed PostgreSQL.
struct PostgresInstallation {
    let binaryFolder: String

    func program(_ name: String) -> String { "\(binaryFolder)/\(name)" }

    /// The newest installation; for a cluster that exists already, the one of its version.
    /// `PG_BINDIR` overrules the search, which takes Debian's folders first and what pg_config names second.
    static func find(
        for dataFolder: String, named override: String? = environmentValue("PG_BINDIR"),
        debian: String = "/usr/lib/postgresql", pgConfig: String = "pg_config"
    ) throws(OperatingError) -> PostgresInstallation {
        if let override {
            let named = PostgresInstallation(binaryFolder: override)
            guard named.isComplete else {
                throw OperatingError(
                    "PG_BINDIR names \(override), which has no initdb and postgres", remedy: "unset PG_BINDIR")
            }
            return named
        }
        let versions = folderEntries(debian).compactMap { Int($0) }.sorted(by: >).filter { version in
            PostgresInstallation(binaryFolder: "\(debian)/\(version)/bin").isComplete
        }
        let clusterVersion = fileContents("\(dataFolder)/PG_VERSION").flatMap { $0.split(separator: "\n").first }
        if let clusterVersion, !versions.isEmpty {
            guard let version = versions.first(where: { String($0) == clusterVersion }) else {
                throw OperatingError(
                    "the cluster in \(dataFolder) needs PostgreSQL \(clusterVersion), which isn't installed",
                    remedy: "install the package postgresql-\(clusterVersion), or delete the folder")
            }
            return PostgresInstallation(binaryFolder: "\(debian)/\(version)/bin")
        }
        if let newest = versions.first { return PostgresInstallation(binaryFolder: "\(debian)/\(newest)/bin") }
        if let answer = try? ChildProcess.run([pgConfig, "--bindir"]), answer.status == 0 {
            let named = PostgresInstallation(binaryFolder: String(answer.output.prefix { !$0.isNewline }))
            if named.isComplete { return named }
        }
        throw OperatingError("no PostgreSQL server is installed", remedy: "install the package postgresql")
    }

    private var isComplete: Bool {
        access(program("initdb"), X_OK) == 0 && access(program("postgres"), X_OK) == 0
    }
}

private func environmentValue(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// The user a server runs as.
struct ServerUser {
    let name: String
    let uid: uid_t
    let gid: gid_t

    var isOurselves: Bool { uid == geteuid() }

    /// Us; for root, the owner of the cluster if it exists, `postgres` or else `nobody`: initdb and postgres refuse to run as
    /// root.
    static func choose(for dataFolder: String) throws(OperatingError) -> ServerUser {
        let owner = fileOwner("\(dataFolder)/PG_VERSION")
        guard geteuid() == 0 else {
            guard owner == nil || owner == geteuid() else {
                throw OperatingError(
                    "\(dataFolder) belongs to another user", remedy: "run as that user or name another folder")
            }
            return ServerUser(name: "", uid: geteuid(), gid: getegid())
        }
        if let owner, owner != 0, let user = user(getpwuid(owner)) { return user }
        guard let user = user(getpwnam("postgres")) ?? user(getpwnam("nobody")) else {
            throw OperatingError(
                "PostgreSQL doesn't run as root, and there is neither a user postgres nor a user nobody",
                remedy: "make a user postgres")
        }
        return user
    }

    /// What comes before a command to run it as this user.
    var commandPrefix: [String] {
        isOurselves ? [] : ["setpriv", "--reuid=\(uid)", "--regid=\(gid)", "--init-groups", "--"]
    }

    /// Whether this user gets to what is in the folder: also a matter of every folder above it.
    func canPass(_ folder: String) -> Bool {
        isOurselves || (try? ChildProcess.run(commandPrefix + ["test", "-x", folder], workingFolder: "/"))?.status == 0
    }

    private static func user(_ entry: UnsafeMutablePointer<passwd>?) -> ServerUser? {
        guard let entry = entry?.pointee, let name = entry.pw_name else { return nil }
        return ServerUser(name: String(cString: name), uid: entry.pw_uid, gid: entry.pw_gid)
    }
}
