// Going on with a run that was cut: what its manifest says then, and what is refused.

import Diagnostics
import Foundation
import Measurement
import Report
import Testing

@testable import Scenario

@Suite struct RunFolderTests {
    private func makeManifest(isDirty: Bool = false, sharedBuffers: String = "16384 8kB") -> Manifest {
        var manifest = Manifest(
            outcome: .init(.unfinished, runsFinished: 0, runsPlanned: 3), scenarioName: "s", scenarioPath: "s.yaml",
            scenarioText: "", seed: 1, commandLine: [],
            build: BuildDescription(gitCommit: "abc", gitIsDirty: isDirty, swiftVersion: "6", isOptimized: true),
            versions: [], connection: "embedded", serverSettings: [.init("shared_buffers", sharedBuffers)],
            brokerSettings: [],
            machine: MachineDescription(
                cpuModel: "CPU", coreCount: 2, memoryBytes: 1024, kernel: "6.1", architecture: "x86_64",
                operatingSystem: "Debian"),
            startedAtUnixMs: 0, endedAtUnixMs: 0, dataSets: [])
        manifest.fingerprint = "7:1"
        return manifest
    }

    /// A run that was begun as `manifest` says and finished two cells.
    private func withCutRun(_ manifest: Manifest, _ body: (RunFolder) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "allocbench-folder-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try RunFolder.create(path, scenario: try parsed(scenarioText("load: backlog")))
        try manifest.write(to: folder.manifestPath)
        for repetition in 1...2 {
            try folder.journal.append(
                CellRecord(
                    configuration: "a", repetition: repetition, run: RunRow.columnNames.map { _ in "" }, tables: [:],
                    histograms: [], finalTables: [:]))
        }
        try body(folder)
    }

    @Test func `a resumed run says from its start what the parts before it finished`() throws {
        try withCutRun(makeManifest()) { folder in
            var said: [String] = []
            let resumed = try folder.resume(makeManifest()) { said.append($0) }
            #expect(resumed.outcome == .init(.unfinished, runsFinished: 2, runsPlanned: 3))
            let written = try String(contentsOfFile: folder.manifestPath, encoding: .utf8)
            #expect(written.contains("\"runs_finished\": 2") && said == [])
        }
    }

    @Test func `a run isn't resumed with other settings of the server, nor with sources that were changed since`()
        throws
    {
        try withCutRun(makeManifest()) { folder in
            for (other, difference) in [
                (makeManifest(sharedBuffers: "1024 8kB"), "shared_buffers was 16384 8kB, is 1024 8kB"),
                (makeManifest(isDirty: true), "git_dirty was false, is true"),
            ] {
                let error = #expect(throws: OperatingError.self) { try folder.resume(other) { _ in } }
                #expect(error.map { "\($0)".contains(difference) } == true, "\(error.map { "\($0)" } ?? "")")
            }
        }
    }

    @Test func `a run of another program is refused before anything of it is touched`() throws {
        let results = NSTemporaryDirectory() + "allocbench-folder-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: results) }
        try FileManager.default.createDirectory(atPath: results, withIntermediateDirectories: true)
        let scenario = try parsed(scenarioText("load: backlog"))
        let path = "\(results)/cut"
        _ = try RunFolder.create(path, scenario: scenario)
        var manifest = makeManifest()
        manifest.scenarioName = scenario.name
        try manifest.write(to: "\(path)/manifest.json")
        let error = #expect(throws: OperatingError.self) { try RunFolder.unfinished(scenario, in: results) }
        #expect(error.map { "\($0)".contains("git_commit was abc, is ") } == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test func `where the sources differed before and after the cut, it is said`() throws {
        try withCutRun(makeManifest(isDirty: true)) { folder in
            var said: [String] = []
            _ = try folder.resume(makeManifest(isDirty: true)) { said.append($0) }
            #expect(said.count == 1 && said[0].contains("can't be told"), "\(said)")
        }
    }
}
