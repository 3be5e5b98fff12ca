// A folder of results read back, and the words for every way in which it isn't one.

import Diagnostics
import Foundation
import Testing

@testable import Report

/// A folder with these files, removed afterwards.
private func withFolder<Value>(_ files: [String: String], _ body: (String) throws -> Value) throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("allocbench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
    return try body(folder.path)
}

private let header = "format_version,configuration,repetition,executions_per_s,verified"
private let manifest = """
    {"scenario": {"name": "t", "seed": "42", "text": "seed: 42"}, "fingerprint": "ff",
     "data_sets": [{"name": "orders.block_orders", "rows": 100, "checksum": "ab"}],
     "versions": {"database": "PostgreSQL 15"}, "build": {"git_dirty": null}, "machine": {"cores": 2}}
    """

/// What the folder is refused with, its own path left out.
private func refusal(_ files: [String: String]) throws -> String {
    try withFolder(files) { path in
        do throws(InputError) {
            _ = try FinishedRun(path: path)
            return "accepted"
        } catch {
            return error.description.replacingOccurrences(of: path, with: "RUN")
        }
    }
}

private func refusal(_ lines: String...) throws -> String {
    try refusal(["runs.csv": lines.joined(separator: "\r\n"), "manifest.json": manifest])
}

@Suite struct FinishedRunTests {
    @Test func `runs and identity are read by name, whatever else the files hold`() throws {
        let csv = """
            scenario,verified,executions_per_s,repetition,configuration,format_version,validity,novelty
            t,true,1000.5,1,row,3,valid,x
            t,true,2000,1,"c,8",3,invalid,
            t,false,,2,row,3,valid,
            """
        try withFolder(["runs.csv": csv, "manifest.json": manifest]) { path in
            let run = try FinishedRun(path: path + "/")
            #expect(run.path == path && path.hasSuffix(run.name))
            #expect(run.configurations == ["row", "c,8"])
            #expect(run.runs.map(\.repetition) == [1, 1, 2])
            #expect(
                run.runs.map(\.isValid) == [true, false, true] && run.runs.map(\.isVerified) == [true, true, false])
            #expect(run.runs[0].metrics == ["executions_per_s": 1000.5])
            #expect(run.identity.seed == "42" && run.identity.fingerprint == "ff")
            #expect(run.identity.scenarioText == "seed: 42")
            #expect(run.identity.dataSets == ["orders.block_orders": "100 rows, checksum ab"])
            #expect(run.identity.surroundings["versions.database"] == "PostgreSQL 15")
            #expect(run.identity.surroundings["machine.cores"] == "2")
        }
        let files = ["runs.csv": header + "\n2,row,1,5,true", "manifest.json": manifest, "scenario.yaml": "seed: 7"]
        try withFolder(files) { path in
            let run = try FinishedRun(path: path)
            #expect(run.identity.scenarioText == "seed: 7", "what was taken from other files")
        }
    }

    @Test func `a folder that isn't a finished run is refused`() throws {
        #expect(try refusal([:]) == "RUN: expected a folder with a runs.csv")
        #expect(
            try refusal(["runs.csv.partial": header])
                == "RUN: expected a run that was finished; runs.csv is still .partial")
        let nowhere = #expect(throws: InputError.self) { try FinishedRun(path: "/nowhere/at-all") }
        #expect(nowhere?.description.hasPrefix("/nowhere/at-all: expected a folder of results, such as") == true)
        #expect(
            try refusal(["runs.csv": header + "\n2,row,1,5,true"])
                == "RUN/manifest.json: expected the manifest of the run: without it nobody knows what was compared")
        for (text, words) in [
            "[]": "RUN/manifest.json: expected a JSON object", "{": "RUN/manifest.json: expected a JSON object",
            "{}": "RUN/manifest.json: scenario: expected the text of the scenario",
            #"{"scenario": {"text": ""}}"#: "RUN/manifest.json: data_sets: expected the data sets of the run",
        ] {
            #expect(try refusal(["runs.csv": header + "\n2,row,1,5,true", "manifest.json": text]) == words)
        }
    }

    @Test func `runs that can't be compared are refused, with file and line`() throws {
        #expect(
            try refusal(header, "1,row,1,5,true")
                == "RUN/runs.csv:2: format_version: \"1\": expected 2 to 6")
        #expect(try refusal(header) == "RUN/runs.csv: expected at least one run")
        #expect(
            try refusal(header, "2,row,1,,false")
                == "RUN/runs.csv: expected a verified run; verification failed for every one of them, so there is no result"
        )
        #expect(
            try refusal(header + ",validity", "3,row,1,5,true,invalid")
                == "RUN/runs.csv: expected a valid run; the harness was the limit of every one of them")
        #expect(
            try refusal(header, "2,row,1,5,true", "2,row,1,6,true", "2,row,x,6,true", "2,row,2,fast,true")
                == """
                RUN/runs.csv:3: repetition: "1": expected each repetition of row once; line 2 has it too
                RUN/runs.csv:4: repetition: "x": expected a whole number from 1
                RUN/runs.csv:5: executions_per_s: "fast": expected a number from 0
                """)
        #expect(
            try refusal("format_version,configuration,verified", "2,row,true")
                == "RUN/runs.csv:1: repetition: expected a column of this name in the header")
    }

    @Test func `a run that was cut says what it lacks`() throws {
        func note(_ outcome: String, _ lines: [String], planned: [String]?) throws -> String? {
            let text = manifest.replacingOccurrences(of: #"{"scenario""#, with: #"{"outcome": \#(outcome), "scenario""#)
            let files = ["runs.csv": ([header] + lines).joined(separator: "\n"), "manifest.json": text]
            return try withFolder(files) { path in
                try FinishedRun(path: path).cutNote(planned: planned)?.replacingOccurrences(of: path, with: "RUN")
            }
        }
        let cut = #"{"ending": "interrupted", "runs_finished": 3, "runs_planned": 9}"#
        let lines = ["3,row,1,5,true", "3,c8,1,6,true", "3,c8,2,6,true"]
        #expect(
            try note(cut, lines, planned: ["row", "c8", "batch"])
                == "RUN was cut (interrupted), with 3 of 9 runs in runs.csv. Missing: row in repetition 2, 3; c8 in repetition 3; "
                + "batch altogether. Only what is there is compared.")
        #expect(try note(cut, lines, planned: nil)?.contains("Missing: row in repetition 2, 3, 4; c8") == true)
        let complete = #"{"ending": "complete", "runs_finished": 3, "runs_planned": 3}"#
        #expect(try note(complete, lines, planned: ["row", "c8"]) == nil)
        try withFolder(["runs.csv": header + "\n3,row,1,5,true", "manifest.json": manifest]) { path in
            let old = try FinishedRun(path: path)
            #expect(old.identity.outcome == nil && old.cutNote(planned: nil) == nil, "manifests once had no outcome")
        }
    }

    @Test func `a setting that isn't the same under the same name is found`() throws {
        func write(_ columns: String, _ rows: [String]) -> [String: String] {
            ["runs.csv": ([header + columns] + rows).joined(separator: "\n"), "manifest.json": manifest]
        }
        try withFolder(write(",workers,mode", ["3,row,1,5,true,4,row", "3,c8,1,5,true,8,concurrent"])) { a in
            let first = try FinishedRun(path: a)
            try withFolder(write(",workers,mode", ["3,c8,1,5,true,16,concurrent", "3,new,1,5,true,1,row"])) { b in
                let difference = first.settingDifference(from: try FinishedRun(path: b))
                #expect(difference?.configuration == "c8" && difference?.setting == "workers")
                #expect(difference?.own == "8" && difference?.other == "16")
            }
            // A version without the column says nothing of it.
            try withFolder(write(",mode", ["2,c8,1,5,true,concurrent"])) { b in
                let second = try FinishedRun(path: b)
                #expect(first.settingDifference(from: second) == nil)
            }
        }
    }

    @Test func `the probes beside runs.csv say which rates are lower bounds`() throws {
        let probes = """
            format_version,configuration,repetition,probe,purpose,rate_per_s,outcome
            1,row,1,1,confirm,1000.0,held
            1,c8,1,1,bracket,2000.0,failed
            1,c8,1,2,confirm,1000.0,held
            """
        let files = [
            "runs.csv": header + "\n3,row,1,5,true\n3,c8,1,5,true", "manifest.json": manifest, "probes.csv": probes,
        ]
        try withFolder(files) { path in
            let bounds = try FinishedRun(path: path).runs.map(\.isRateLowerBound)
            #expect(bounds == [true, false])
        }
    }
}
