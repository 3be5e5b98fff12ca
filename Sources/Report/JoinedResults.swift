// The same file of several runs as one table: the first column names the run, and a column that only some runs have is empty
// for the others. Reads files on the caller's thread.

import CSV
public import Diagnostics
import Foundation

public struct JoinedResults: Sendable {
    public static let runColumn = "run"

    public private(set) var columns = [JoinedResults.runColumn]
    public private(set) var rows: [[String]] = []
    public private(set) var runCount = 0

    /// Reads `file` of every run in `folder`, in the order of their names; `folder` may be a run itself.
    /// - Throws: `InputError` where there is none, or for every file that isn't whole.
    public init(folder: String, file: String) throws(InputError) {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let own = String(folder.split(separator: "/").last ?? "")
        var files = [(run: own, path: "\(folder)/\(file)")]
        files += names.map { (run: $0, path: "\(folder)/\($0)/\(file)") }
        files = files.filter { FileManager.default.fileExists(atPath: $0.path) }
        guard !files.isEmpty else {
            throw InputError(
                InputFault(
                    source: folder,
                    expected: "a folder of runs, or a run, with \(file) in it"
                        + JoinedResults.nearer(below: folder, names, file: file)))
        }
        var positions = [JoinedResults.runColumn: 0]
        var sparse: [[Int: String]] = []
        var faults: [InputFault] = []
        for (run, path) in files {
            do throws(InputError) {
                let reader = try read(path)
                _ = try reader.readHeader([])
                let places = reader.header.map { name in
                    if positions[name] == nil {
                        positions[name] = columns.count
                        columns.append(name)
                    }
                    return positions[name] ?? 0
                }
                while try next(reader) {
                    var row = [0: run]
                    for (index, place) in places.enumerated() { row[place] = reader.text(index) }
                    sparse.append(row)
                }
                runCount += 1
            } catch {
                faults += error.faults
            }
        }
        guard faults.isEmpty else { throw InputError(faults) }
        rows = sparse.map { row in columns.indices.map { row[$0] ?? "" } }
    }

    /// The words about folders that would do, for whoever named the one above them; at most three, so that it stays a line.
    private static func nearer(below folder: String, _ names: [String], file: String) -> String {
        let above = folder.hasSuffix("/") ? folder : "\(folder)/"
        let files = FileManager.default
        let fitting = names.map { above + $0 }.filter { folder in
            let runs = (try? files.contentsOfDirectory(atPath: folder)) ?? []
            return runs.contains { files.fileExists(atPath: "\(folder)/\($0)/\(file)") }
        }
        guard !fitting.isEmpty else { return "" }
        let more = fitting.count > 3 ? " and \(fitting.count - 3) more" : ""
        return ", such as \(fitting.prefix(3).joined(separator: ", "))\(more)"
    }
}

private func read(_ path: String) throws(InputError) -> CSVReader {
    do throws(InputFault) {
        let reader = try CSVReader(path: path)
        return reader
    } catch { throw InputError(error) }
}

private func next(_ reader: CSVReader) throws(InputError) -> Bool {
    do throws(InputFault) { return try reader.next() } catch { throw InputError(error) }
}
