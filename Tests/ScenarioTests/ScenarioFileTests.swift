// Every refusal of a scenario file with its exact words, and what a good one becomes. Files are written to a folder
// of their own under the temporary folder and removed again.

import Diagnostics
import Foundation
import Measurement
import Model
import Testing

@testable import Scenario

/// A scenario whose parts can be replaced one by one; the line numbers in the tests count from here.
private func scenario(
    head: String = "seed: 7",
    executions: String = "executions: 2000",
    blocks: String = "blocks: 10",
    workload: String = "partitions: 8",
    load: String = "load: backlog",
    configurations: [String] = ["{ mode: row }"]
) -> String {
    ([head, "workload:", "  " + executions, "  " + blocks, "  " + workload, load, "configurations:"]
        + configurations.map { "  - " + $0 }).joined(separator: "\n") + "\n"
}

private func refusal(_ text: String) -> String {
    do throws(InputError) {
        _ = try ScenarioFile.parse(text: text, path: "s.yaml")
        return "accepted"
    } catch {
        return error.description
    }
}

/// A text with the words that refuse it.
struct Refused: Sendable {
    let text: String
    let message: String
    init(_ text: String, _ message: String) {
        self.text = text
        self.message = message
    }
}

private let loadForms = "backlog, { model: open, rate: 5000 } or { model: search, p99_ms: 50 }"
private let integerForm = "a whole number from"

@Suite struct ScenarioFileTests {
    @Test func `a full scenario is read with every value`() throws {
        let text = """
            name: full
            description: |
              What is faster?
            seed: 18446744073709551615
            repetitions: 3
            workload:
              executions: 20000
              blocks: 100
              accounts_per_block: 30
              partitions: 16
              securities_file: /data/securities.csv
              prices_folder: prices
              route_date: 2024-11-14
            load: { model: open, rate: 33.5 }
            configurations:
              - { name: row, mode: row, workers: 4 }
              - { name: c8, mode: concurrent, workers: 8, txn_size: 2, pipeline_depth: 4, isolation: serializable }
              - { mode: adaptive, workers: 3, batch_size: 512 }
              - { mode: batch, batch_size: 64, batch_window_ms: 5 }
              - { mode: cycle, cycle_interval_ms: 250, batch_size: 2048, isolation: repeatable_read }

            """
        let file = try ScenarioFile.parse(text: text, path: "folder/x.yaml")
        #expect(file.name == "full")
        #expect(file.description == "What is faster?\n")
        #expect(file.seed == .max)
        #expect(file.repetitions == 3)
        #expect(
            file.workload
                == ScenarioFile.Workload(
                    executions: 20000, blocks: 100, accountsPerBlock: 30, partitions: 16,
                    securitiesFile: "/data/securities.csv", pricesFolder: "folder/prices",
                    routeDate: TradeDate(year: 2024, month: 11, day: 14)))
        #expect(file.arrivals == .uniform(ratePerSecond: 33.5))
        #expect(file.text == text)
        #expect(file.path == "folder/x.yaml")
        #expect(
            file.configurations == [
                Configuration(name: "row", mode: .row, workers: 4),
                Configuration(
                    name: "c8", mode: .concurrent, workers: 8, transactionSize: 2, pipelineDepth: 4,
                    isolation: .serializable),
                Configuration(name: "adaptive-w3-b512", mode: .adaptive, workers: 3, batchSize: 512),
                Configuration(name: "batch-w4-b64-ms5", mode: .batch, workers: 4, batchSize: 64, batchWindowMs: 5),
                Configuration(
                    name: "cycle-w4-i250-b2048-rr", mode: .cycle, workers: 4, batchSize: 2048, cycleIntervalMs: 250,
                    isolation: .repeatableRead),
            ])
    }

    @Test func `what isn't said takes its default`() throws {
        let text = """
            workload: { executions: 2000, blocks: 10 }
            configurations:
              - mode: row
              - mode: concurrent
              - mode: adaptive
              - mode: batch
              - mode: cycle
            """
        let file = try ScenarioFile.parse(text: text, path: "scenarios/night run.v2.yaml")
        #expect(file.name == "night-run.v2")
        #expect(file.description == "")
        #expect(file.seed == 42)
        #expect(file.repetitions == 1)
        #expect(file.workload.accountsPerBlock == 20)
        #expect(file.workload.partitions == 8)
        #expect(file.workload.securitiesFile == nil)
        #expect(file.workload.routeDate == nil)
        #expect(file.arrivals == .backlog)
        let names = ["row-w4", "concurrent-w4-t1-d1", "adaptive-w4-b1024", "batch-w4-b128", "cycle-w4-i500"]
        #expect(file.configurations.map(\.name) == names)
        #expect(file.configurations.allSatisfy { $0.workers == 4 && $0.isolation == .readCommitted })
        #expect(file.configurations[3].batchWindow == .milliseconds(20))
        #expect(file.configurations[4].cycleInterval == .milliseconds(500))
        #expect(file.configurations[4].value(of: .batchSize) == 1024)
        #expect(file.configurations[4].value(of: .batchWindowMs) == nil)
    }

    @Test func `anchors and aliases spare repetition`() throws {
        let text = scenario(configurations: [
            "{ mode: batch, workers: &w 2 }", "{ mode: row, workers: *w }",
        ])
        let file = try ScenarioFile.parse(text: text, path: "s.yaml")
        #expect(file.configurations.map(\.workers) == [2, 2])
    }

    @Test func `the base of these tests is accepted`() {
        #expect(refusal(scenario()) == "accepted")
        #expect(refusal(scenario(load: "load: { model: open, rate: 0.5 }")) == "accepted")
        #expect(refusal(scenario(load: "load: { model: backlog }")) == "accepted")
    }

    @Test(arguments: [
        Refused(
            scenario(head: "sede: 7"),
            "s.yaml:1: sede: expected a key of a scenario: name, description, seed, repetitions, order, stage, workload, "
                + "servers, load, warm_up, measured, gates, faults or configurations; did you mean seed?"
        ),
        Refused(
            scenario(workload: "partition: 8"),
            "s.yaml:5: partition: expected a key of workload: executions, blocks, accounts_per_block, partitions, skew, "
                + "securities_file, prices_folder, route_date, busts, replaces, cancels, allocation_policies, "
                + "minimum_ticket_lots, lot_size or routing; did you mean partitions?"
        ),
        Refused(
            scenario(load: "load: { model: open, rate: 5, burst: 2 }"),
            "s.yaml:6: burst: expected a key of load: model, rate, phases, arrivals, through, schedule_lag_max_ms, p99_ms, "
                + "lag_max_ms, from, to, precision or probe_seconds"
        ),
        Refused(
            scenario(configurations: ["{ mode: row, wokers: 4 }"]),
            "s.yaml:8: wokers: expected a key of a configuration: name, mode, workers, txn_size, pipeline_depth, "
                + "batch_size, batch_window_ms, cycle_interval_ms, isolation, snapshots, booking_workers, partitions, "
                + "topic_key, consumers, assignor, synchronous_commit, key_strategy, emulated_round_trip or handicap; did you mean workers?"
        ),
        Refused(
            scenario(configurations: ["{ mode: concurent }"]),
            "s.yaml:8: mode: \"concurent\": expected row, concurrent, adaptive, batch or cycle; "
                + "did you mean concurrent?"
        ),
        Refused(
            scenario(configurations: ["{ mode: turbo }"]),
            "s.yaml:8: mode: \"turbo\": expected row, concurrent, adaptive, batch or cycle"
        ),
        Refused(
            scenario(configurations: ["{ mode: row, isolation: serialisable }"]),
            "s.yaml:8: isolation: \"serialisable\": expected read_committed, repeatable_read or serializable; "
                + "did you mean serializable?"
        ),
        Refused(
            scenario(load: "load: backlgo"),
            "s.yaml:6: load: \"backlgo\": expected \(loadForms); did you mean backlog?"
        ),
        Refused(
            scenario(load: "load: { model: opne, rate: 5 }"),
            "s.yaml:6: model: \"opne\": expected backlog, open or search; did you mean open?"
        ),
    ])
    func `a misspelt word is refused with the nearest valid one`(refused: Refused) {
        #expect(refusal(refused.text) == refused.message)
    }

    @Test(arguments: [
        ("row", "txn_size", "mode concurrent"), ("batch", "txn_size", "mode concurrent"),
        ("adaptive", "pipeline_depth", "mode concurrent"), ("row", "batch_size", "modes adaptive, batch and cycle"),
        ("concurrent", "batch_size", "modes adaptive, batch and cycle"), ("cycle", "batch_window_ms", "mode batch"),
        ("adaptive", "batch_window_ms", "mode batch"), ("batch", "cycle_interval_ms", "mode cycle"),
    ])
    func `a key of another mode is refused`(mode: String, key: String, owner: String) {
        #expect(
            refusal(scenario(configurations: ["{ mode: \(mode), \(key): 8 }"]))
                == "s.yaml:8: \(key): \"8\": expected a key of mode \(mode); \(key) belongs to \(owner)")
    }

    @Test(arguments: [
        ("0", "workers", "row", "1 to 256"), ("-4", "workers", "row", "1 to 256"),
        ("257", "workers", "row", "1 to 256"),
        ("four", "workers", "row", "1 to 256"), ("4.5", "workers", "row", "1 to 256"),
        ("010", "workers", "row", "1 to 256"), ("1e2", "workers", "row", "1 to 256"),
        ("99999999999999999999", "workers", "row", "1 to 256"), ("0", "txn_size", "concurrent", "1 to 10000"),
        ("10001", "txn_size", "concurrent", "1 to 10000"), ("0", "pipeline_depth", "concurrent", "1 to 1000"),
        ("-1", "batch_size", "batch", "1 to 100000"), ("0", "batch_size", "cycle", "1 to 100000"),
        ("0", "batch_window_ms", "batch", "1 to 60000"), ("0", "cycle_interval_ms", "cycle", "1 to 600000"),
        ("600001", "cycle_interval_ms", "cycle", "1 to 600000"),
    ])
    func `a number of a configuration outside its range is refused`(
        value: String, key: String, mode: String, range: String
    ) {
        #expect(
            refusal(scenario(configurations: ["{ mode: \(mode), \(key): \(value) }"]))
                == "s.yaml:8: \(key): \"\(value)\": expected \(integerForm) \(range)")
    }

    @Test(arguments: [
        Refused(scenario(head: "repetitions: 0"), "s.yaml:1: repetitions: \"0\": expected \(integerForm) 1 to 1000"),
        Refused(
            scenario(head: "seed: -1"), "s.yaml:1: seed: \"-1\": expected \(integerForm) 0 to 18446744073709551615"),
        Refused(
            scenario(executions: "executions: 0"),
            "s.yaml:3: executions: \"0\": expected \(integerForm) 1 to 100000000"
        ),
        Refused(
            scenario(executions: "executions: 100000001"),
            "s.yaml:3: executions: \"100000001\": expected \(integerForm) 1 to 100000000"
        ),
        Refused(scenario(blocks: "blocks: -2"), "s.yaml:4: blocks: \"-2\": expected \(integerForm) 1 to 1000000"),
        Refused(
            scenario(workload: "accounts_per_block: 0"),
            "s.yaml:5: accounts_per_block: \"0\": expected \(integerForm) 1 to 10000"
        ),
        Refused(scenario(workload: "partitions: 0"), "s.yaml:5: partitions: \"0\": expected \(integerForm) 1 to 256"),
        Refused(
            scenario(workload: "partitions: 300"), "s.yaml:5: partitions: \"300\": expected \(integerForm) 1 to 256"),
        Refused(
            scenario(workload: "route_date: 2024-02-30"),
            "s.yaml:5: route_date: \"2024-02-30\": expected a day of the calendar such as 2024-11-14"
        ),
    ])
    func `a number of the workload outside its range is refused`(refused: Refused) {
        #expect(refusal(refused.text) == refused.message)
    }

    @Test(arguments: ["0", "-5", "0.0001", "10000001", "fast", "nan", "inf", "1e3", "5."])
    func `a rate that is no rate is refused`(rate: String) {
        #expect(
            refusal(scenario(load: "load: { model: open, rate: \(rate) }"))
                == "s.yaml:6: rate: \"\(rate)\": expected a number of executions per second from 0.001 to 10000000")
    }

    @Test(arguments: [
        Refused(
            "load: open",
            "s.yaml:6: load: \"open\": expected a rate with it: { model: open, rate: 5000 }"
        ),
        Refused("load: { model: open }", "s.yaml:6: rate: expected this key in load, or phases, which are missing"),
        Refused("load: { rate: 5 }", "s.yaml:6: model: expected this key in load, which is missing"),
        Refused("load: [backlog]", "s.yaml:6: load: expected \(loadForms), not a list"),
        Refused("load:", "s.yaml:6: load: expected \(loadForms), not an empty value"),
        Refused(
            "load: { model: backlog, rate: 5 }",
            "s.yaml:6: rate: \"5\": expected a key of model backlog; rate belongs to model open"
        ),
        Refused(
            "load: { model: open, rate: 0.01 }",
            "s.yaml:6: rate: \"0.01\": expected a rate at which 2000 executions arrive within 24 hours"
        ),
    ])
    func `a load that can't be understood is refused`(refused: Refused) {
        #expect(refusal(scenario(load: refused.text)) == refused.message)
    }

    @Test(arguments: [
        ("workers: \"4\"", "workers: \"4\": expected a whole number from 1 to 256, not text in quotes"),
        ("workers: [[4]]", "workers: expected a whole number from 1 to 256, not a list"),
        ("workers: {}", "workers: expected a whole number from 1 to 256, not a mapping"),
        ("workers:", "workers: expected a whole number from 1 to 256, not an empty value"),
        ("workers: ~", "workers: expected a whole number from 1 to 256, not an empty value"),
        ("isolation: []", "isolation: expected read_committed, repeatable_read or serializable, not an empty list"),
    ])
    func `a wrong type is refused`(pair: String, message: String) {
        #expect(refusal(scenario(configurations: ["{ mode: row, \(pair) }"])) == "s.yaml:8: \(message)")
    }

    @Test func `more workers than partitions are refused`() {
        #expect(
            refusal(scenario(configurations: ["{ mode: row, workers: 9 }"]))
                == "s.yaml:8: workers: \"9\": expected at most 8: each worker needs a partition of its own "
                + "(partitions: 8)"
        )
        #expect(
            refusal(scenario(workload: "partitions: 2"))
                == "s.yaml:8: workers: \"4\": expected at most 2: each worker needs a partition of its own "
                + "(partitions: 2); a configuration without workers has 4")
    }

    @Test func `executions that can't fill every block are refused`() {
        #expect(
            refusal(scenario(executions: "executions: 9"))
                == "s.yaml:4: blocks: \"10\": expected at most 9: each block needs an execution (executions: 9)")
        #expect(
            refusal(scenario(executions: "executions: 19", workload: "accounts_per_block: 51"))
                == "s.yaml:5: accounts_per_block: \"51\": expected at most 50: each account needs a share, and "
                + "1 executions a block can have as few as 50 shares")
        #expect(refusal(scenario(executions: "executions: 10", workload: "accounts_per_block: 50")) == "accepted")
    }

    @Test func `missing keys are named where they belong`() {
        #expect(
            refusal("seed: 1\n") == """
                s.yaml:1: workload: expected this key, which is missing
                s.yaml:1: configurations: expected this key, which is missing
                """)
        #expect(
            refusal("workload: {}\nconfigurations:\n  - { workers: 2 }\n") == """
                s.yaml:1: executions: expected this key in workload, which is missing
                s.yaml:1: blocks: expected this key in workload, which is missing
                s.yaml:3: mode: expected this key in configurations, which is missing
                """)
    }

    @Test(arguments: [
        ("configurations: []", "not an empty list"), ("configurations:", "not an empty value"),
        ("configurations: row", "not \"row\""),
    ])
    func `configurations that are no list are refused`(text: String, kind: String) {
        #expect(
            refusal("workload: { executions: 2000, blocks: 10 }\n\(text)\n")
                == "s.yaml:2: configurations: expected a list of configurations, such as "
                + "- { mode: concurrent, workers: 8 }, or a matrix of them, \(kind)")
    }

    @Test func `a configuration or a workload that is no mapping is refused`() {
        #expect(
            refusal(scenario(configurations: ["row"]))
                == "s.yaml:8: configurations: expected a mapping with the keys name, mode, workers, txn_size, "
                + "pipeline_depth, batch_size, batch_window_ms, cycle_interval_ms, isolation, snapshots, booking_workers, "
                + "partitions, topic_key, consumers, assignor, synchronous_commit, key_strategy, emulated_round_trip and "
                + "handicap, not \"row\"")
        #expect(
            refusal("- 1\n")
                == "s.yaml:1: expected a mapping with the keys name, description, seed, repetitions, order, stage, "
                + "workload, servers, load, warm_up, measured, gates, faults and configurations, not a list")
    }

    @Test func `more configurations than anyone would read are refused`() {
        let many = (1...201).map { "{ mode: row, name: r\($0) }" }
        #expect(
            refusal(scenario(configurations: many))
                == "s.yaml:7: configurations: \"201\": expected at most 200 configurations")
        #expect(refusal(scenario(configurations: many.dropLast())) == "accepted")
    }

    @Test func `two configurations of one name are refused, given or generated`() {
        #expect(
            refusal(scenario(configurations: ["{ name: a, mode: row }", "{ name: a, mode: batch }"]))
                == "s.yaml:9: name: \"a\": expected a name of its own; the configuration at line 8 has it too")
        #expect(
            refusal(scenario(configurations: ["{ mode: batch }", "{ mode: row }", "{ mode: batch, batch_size: 128 }"]))
                == "s.yaml:10: name: \"batch-w4-b128\": expected a name of its own; "
                + "the configuration at line 8 has it too")
    }

    @Test(arguments: ["a b", "../x", ".hidden", "é", String(repeating: "n", count: 65), "a/b", "-x"])
    func `a name that can't be a folder is refused`(name: String) {
        let message = refusal(scenario(head: "name: \(name)"))
        #expect(message.hasPrefix("s.yaml:1: name: \""))
        #expect(
            message.hasSuffix(
                "expected 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or a digit"))
        #expect(refusal(scenario(configurations: ["{ mode: row, name: \"\(name)\" }"])).hasPrefix("s.yaml:8: name: \""))
    }

    @Test func `one path of real data without the other is refused`() {
        #expect(
            refusal(scenario(workload: "securities_file: s.csv"))
                == "s.yaml:5: securities_file: \"s.csv\": expected prices_folder or --prices with it")
        #expect(
            refusal(scenario(workload: "prices_folder: p"))
                == "s.yaml:5: prices_folder: \"p\": expected securities_file or --securities with it")
    }

    @Test func `all faults are told in one go, in the order of the file`() {
        let text = """
            sede: 7
            workload:
              executions: none
              blocks: 0
              partitions: 4
              partitions: 5
            configurations:
              - { mode: row, workers: 0 }
              - { mode: batsch, batch_size: -1 }
              - { mode: cycle, workers: 5, txn_size: 3 }
            repetitions: 0
            """
        #expect(
            refusal(text) == """
                s.yaml:1: sede: expected a key of a scenario: name, description, seed, repetitions, order, stage, \
                workload, servers, load, warm_up, measured, gates, faults or configurations; did you mean seed?
                s.yaml:3: executions: "none": expected a whole number from 1 to 100000000
                s.yaml:4: blocks: "0": expected a whole number from 1 to 1000000
                s.yaml:6: partitions: expected each key once; line 5 has it too
                s.yaml:8: workers: "0": expected a whole number from 1 to 256
                s.yaml:9: mode: "batsch": expected row, concurrent, adaptive, batch or cycle; did you mean batch?
                s.yaml:9: batch_size: "-1": expected a whole number from 1 to 100000
                s.yaml:10: txn_size: "3": expected a key of mode cycle; txn_size belongs to mode concurrent
                s.yaml:10: workers: "5": expected at most 4: each worker needs a partition of its own (partitions: 4)
                s.yaml:11: repetitions: "0": expected a whole number from 1 to 1000
                """)
    }

    @Test func `faults beyond a hundred are counted`() {
        let text = scenario(configurations: (1...120).map { _ in "{ mode: row, workers: 0 }" })
        #expect(refusal(text).split(separator: "\n").count == 101)
        #expect(refusal(text).hasSuffix("\n... and 20 more faults"))
    }
}
