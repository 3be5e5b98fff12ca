// The death of the primary in the middle of a run through the change feed: a standby takes over, and everything is processed once.

import Foundation
import Glibc
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct PromotionTests {
    private let scenario = """
        name: promoted
        seed: 5
        repetitions: 2
        workload: { executions: 600, blocks: 6, accounts_per_block: 3, partitions: 2 }
        servers: { standbys: 1, settings: { fsync: off, shared_buffers: 32MB } }
        load: { model: open, rate: 300, through: feed }
        faults: [{ at_seconds: 0.7, kind: promote_standby }]
        configurations: [{ name: c, mode: concurrent, workers: 2 }]
        """

    /// In the second repetition the servers must be as in the first.
    @Test func `a promoted standby goes on where the primary died, and the next run finds everything as before`() throws
    {
        try withPlace { place in
            try place.write("promoted.yaml", scenario)
            let run = try place.run("run", "promoted.yaml")
            #expect(run.status == 0 || run.status == 5, "\(run.errors)\(run.output)")
            #expect(place.leftovers() == [])
            for line in [
                "the primary was killed, standby1 of 1 had most of its log and took over after ",
                "the feed's slot allocbench_allocbench_run was lost with the old primary: it has a new one",
            ] { #expect(run.errors.components(separatedBy: line).count == 3, "\(line)\n\(run.errors)") }
            let whole = "the promoted standby's data are the primary's now, and the standbys are made anew"
            #expect(run.errors.components(separatedBy: whole).count == 2, "\(run.errors)")

            let folder = try place.onlyResult()
            let runs = try rows(ofCSV: place.read("\(folder)/runs.csv"))
            #expect(runs.map { $0["verified"] } == ["true", "true"], "\(run.errors)")
            #expect(runs.allSatisfy { $0["executions"] == "600" && $0["database_cpu_s"] == "" }, "\(runs)")
            #expect(Set(runs.map { $0["final_tables"] }).count == 1)
            let faults = try rows(ofCSV: place.read("\(folder)/faults.csv"))
            #expect(faults.map { $0["fault"] } == ["promote_standby", "promote_standby"])
            for fault in faults {
                #expect(fault["lost_messages"] == "0")
                #expect(Double(fault["recovery_ms"] ?? "").map { $0 > 0 } == true, "\(fault)")
            }
            let checks = try rows(ofCSV: place.read("\(folder)/verify.csv"))
            #expect(checks.count { $0["check"] == "answered_commits_lost" && $0["differences"] == "0" } == 2)
        }
    }
}
