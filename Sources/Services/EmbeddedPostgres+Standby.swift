// A hot standby of a private cluster: copied with pg_basebackup, then a server like any other of ours, in a socket folder of its
// own. Blocks the calling thread.

internal import Diagnostics
internal import Glibc
internal import Postgres

extension EmbeddedPostgres {
    /// Copies the primary and starts the copy as a standby that streams from it through a slot of its own.
    ///
    /// What `dataFolder` held before is replaced: a standby is made anew, never brought up to date.
    /// - Parameters:
    ///   - name: the standby's `application_name`, and the name of its slot behind a prefix.
    ///   - primary: how to reach the primary, by a socket in the file system.
    static func startStandby(
        _ name: String, of primary: String, dataFolder: String, socketFolder: String, settings: [String: String],
        logFile: String
    ) throws(OperatingError) -> EmbeddedPostgres {
        let place = try ClusterPlace(dataFolder: absolutePath(dataFolder), socketFolder: absolutePath(socketFolder))
        let installation = try PostgresInstallation.find(for: place.dataFolder)
        try removeFiles(dataFolder: place.dataFolder, socketFolder: place.socketFolder)
        let unfinished = place.dataFolder + unfinishedSuffix
        try makeFolder(unfinished, mode: 0o700, owner: place.user)
        // -R notes this connection text, the name and the slot in it, for the standby; a checkpoint now rather than at leisure,
        // and no wait for the disk, because whatever interrupts this ends the standby as well.
        let (status, output) = try ChildProcess.run(
            place.user.commandPrefix + [
                installation.program("pg_basebackup"), "--pgdata=\(unfinished)",
                "--dbname=\(primary) application_name=\(name)", "--write-recovery-conf", "--create-slot",
                "--slot=\(slotName(of: name))", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
            ], environment: cleanEnvironment, workingFolder: "/")
        guard status == 0 else {
            removeTree(unfinished)
            throw OperatingError("pg_basebackup failed with status \(status): " + lastLines(output))
        }
        guard rename(unfinished, place.dataFolder) == 0 else {
            throw .system("move the new standby to \(place.dataFolder)")
        }
        // After a promotion it should look for the new primary at once.
        return try start(
            dataFolder: dataFolder, socketFolder: socketFolder,
            settings: settings.merging(["wal_retrieve_retry_interval": "100ms"]) { $1 }, logFile: logFile)
    }

    static func slotName(of standby: String) -> String { "allocbench_\(standby)" }

    /// Ends a standby that nobody needs any more, even one that was halted.
    static func stopStandby(_ process: ProcessIdentity) {
        // A halted process of its would be waited for.
        for pid in folderEntries("/proc").compactMap({ Int32($0) })
        where pid == process.pid || ChildProcess.parent(of: pid) == process.pid {
            if process.isRunning { kill(pid, SIGCONT) }
        }
        stop(pid: process.pid, startTicks: process.startTicks, mode: .immediate)
    }
}
