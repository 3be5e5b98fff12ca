// What a run has finished so far, safe against a kill at any moment: one line of JSON for each cell, synced before the next
// cell begins. The CSV files are written from it, so a run that was cut and resumed ends in the same files.
// Runs on the runner's thread, never inside a measured section.

import Diagnostics
import Foundation
import Glibc

/// Everything that one cell adds to the files of a result folder.
public struct CellRecord: Sendable, Equatable, Codable {
    public var configuration: String
    /// From 1.
    public var repetition: Int
    /// Fields of its row in runs.csv, in the order of `RunRow.columnNames`.
    public var run: [String]
    /// Rows of the other files, by file name.
    public var tables: [String: [[String]]]
    /// Lines of histograms.hlog.
    public var histograms: [String]
    /// What later cells of the run must leave too: by table a digest; empty unless the cell was verified.
    public var finalTables: [String: String]

    public init(
        configuration: String, repetition: Int, run: [String], tables: [String: [[String]]], histograms: [String],
        finalTables: [String: String]
    ) {
        self.configuration = configuration
        self.repetition = repetition
        self.run = run
        self.tables = tables
        self.histograms = histograms
        self.finalTables = finalTables
    }

    public var key: RunKey { RunKey(configuration: configuration, repetition: repetition) }

    /// A field of its row in runs.csv.
    public func field(_ column: String) -> String? {
        RunRow.columnNames.firstIndex(of: column).flatMap { run.indices.contains($0) ? run[$0] : nil }
    }
}

/// journal.jsonl of a result folder.
public final class Journal {
    public static let fileName = "journal.jsonl"

    private let path: String
    private let file: FileHandle
    public private(set) var cells: [CellRecord]

    /// Opens or makes the journal of a folder. A last line without its end, which a killed run leaves, is cut off: its cell
    /// is repeated.
    /// - Throws: where the file can't be read or written, or a whole line isn't a cell.
    public init(folder: String) throws {
        path = "\(folder)/\(Journal.fileName)"
        if !FileManager.default.fileExists(atPath: path) {
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw OperatingError("can't create \(path)")
            }
        }
        guard let file = FileHandle(forUpdatingAtPath: path) else { throw OperatingError("can't open \(path)") }
        // Two writers would cut each other's lines.
        guard flock(file.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw OperatingError("\(path) is being written by another run", remedy: "wait for it to end")
        }
        self.file = file
        // Complete from here on, so that whatever is thrown below gives the lock back.
        cells = []
        let bytes = try file.readToEnd() ?? Data()
        let whole = bytes.lastIndex(of: 0x0A).map { bytes.index(after: $0) } ?? bytes.startIndex
        for (number, line) in bytes[..<whole].split(separator: 0x0A).enumerated() {
            do {
                cells.append(try JSONDecoder().decode(CellRecord.self, from: line))
            } catch {
                throw InputError(
                    InputFault(source: path, line: number + 1, expected: "a finished cell, as this version writes it"))
            }
        }
        try file.truncate(atOffset: UInt64(whole - bytes.startIndex))
        try file.seekToEnd()
    }

    deinit {
        // "A lock is associated with an open file description", and a child that another thread has just forked shares it
        // until it executes its program: closing alone could leave the file locked.
        flock(file.fileDescriptor, LOCK_UN)
        try? file.close()
    }

    /// Adds a finished cell; returns once it is on disk.
    public func append(_ cell: CellRecord) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var line = try encoder.encode(cell)
        line.append(0x0A)
        do {
            try file.write(contentsOf: line)
            try file.synchronize()
        } catch {
            throw OperatingError("can't write \(path): \(error.localizedDescription)")
        }
        cells.append(cell)
    }
}
