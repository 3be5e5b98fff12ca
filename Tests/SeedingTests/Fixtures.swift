// Files and connections for the tests of this folder.

import Diagnostics
import Glibc
import Postgres
import TestSupport

/// A folder of its own for one test, removed with everything in it.
final class TemporaryFolder {
    let path: String
    private var files: [String] = []
    private var folders: [String] = []

    init() throws {
        var template = Array("/tmp/allocbench-seeding-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw OperatingError("mkdtemp failed with \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        files.forEach { unlink($0) }
        folders.reversed().forEach { rmdir($0) }
        rmdir(path)
    }

    /// Writes a file and returns its path; folders of its name are made.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, bytes: Array(text.utf8)) }

    @discardableResult
    func write(_ name: String, bytes: [UInt8]) throws -> String {
        let parts = name.split(separator: "/")
        if parts.count > 1 { makeFolder(String(parts[0])) }
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw OperatingError("can't write \(file): \(errno)")
        }
        close(descriptor)
        if !files.contains(file) { files.append(file) }
        return file
    }

    @discardableResult
    func makeFolder(_ name: String) -> String {
        let folder = "\(path)/\(name)"
        if mkdir(folder, 0o755) == 0 { folders.append(folder) }
        return folder
    }

    /// What an error says, with the folder's random name left out.
    func lines(of error: any Error) -> [String] {
        "\(error)".split(separator: "\n").map { line in
            var text = String(line)
            while let range = text.firstRange(of: path + "/") { text.removeSubrange(range) }
            return text
        }
    }
}

/// The lines of the input error that `body` throws; empty when it throws none.
func faultLines(in folder: TemporaryFolder, _ body: () throws -> Void) -> [String] {
    do {
        try body()
        return []
    } catch { return folder.lines(of: error) }
}

/// Calls `body` with a new database and a connection to it.
func withConnection<R>(_ body: (ConnectionInfo, PostgresConnection) throws -> R) throws -> R {
    try withTemporaryDatabase { info in
        let connection = try PostgresConnection.connect(to: info)
        defer { connection.close() }
        return try body(info, connection)
    }
}
