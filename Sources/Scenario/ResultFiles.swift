// The files of one run: rows as they come, the manifest last. Used on the runner's thread.

import Allocations
import Diagnostics
import Foundation
import Model
import Report

/// runs.csv, verify.csv and manifest.json in one folder; they take their names when they are whole.
struct ResultFiles {
    private let folder: String
    private let runs: CSVWriter
    private let checks: CSVWriter

    init(folder: String, columns: [String] = RunRow.columnNames) throws(OperatingError) {
        self.folder = folder
        runs = try CSVWriter(path: "\(folder)/runs.csv", columns: columns)
        checks = try CSVWriter(path: "\(folder)/verify.csv", columns: VerifyRow.columnNames)
    }

    func append(_ row: RunRow, _ results: [CheckResult]) throws(OperatingError) {
        try append(row.fields, configuration: row.configuration.name, repetition: row.repetition, results)
    }

    func append(
        _ fields: [String], configuration: String, repetition: Int, _ results: [CheckResult]
    ) throws(OperatingError) {
        for result in results {
            try checks.append(
                VerifyRow(
                    configuration: configuration, repetition: repetition, check: result.name,
                    differences: result.differenceCount, firstDifference: result.first.first?.description
                ).fields)
        }
        try runs.append(fields)
    }

    func finish(_ manifest: Manifest) throws(OperatingError) {
        try checks.finish()
        try runs.finish()
        var manifest = manifest
        manifest.endedAtUnixMs = Int64(Date().timeIntervalSince1970 * 1000)
        try manifest.write(to: "\(folder)/manifest.json")
    }
}
