// Lists in fields, matrices, what they include and exclude, and the names that come of it.

import Measurement
import Model
import Testing

@testable import Scenario

@Suite struct ScenarioConfigurationsTests {
    @Test func `a list in a field makes a configuration of each value, the last field fastest`() throws {
        #expect(
            try names("[{ mode: concurrent, workers: [4, 8], txn_size: [1, 8] }]") == [
                "concurrent-w4-t1-d1", "concurrent-w4-t8-d1", "concurrent-w8-t1-d1", "concurrent-w8-t8-d1",
            ])
        #expect(
            try names("[{ mode: row, snapshots: [completion, { parts: 2 }] }]") == [
                "row-w4-completion", "row-w4-parts2",
            ])
    }

    @Test func `one configuration with a round trip time puts all of them behind the emulated network`() throws {
        func emulates(_ configurations: String) throws -> Bool {
            try parsed(scenarioText(configurations: configurations)).emulatesNetwork
        }
        #expect(try !emulates("[{ mode: row }, { mode: batch, emulated_round_trip: 0 }]"))
        #expect(try emulates("[{ mode: row }, { mode: batch, emulated_round_trip: [0, 1us] }]"))
    }

    @Test func `a name is a prefix of what the lists make, and says only what varies`() throws {
        let fields =
            "isolation: [read_committed, serializable], topic_key: [block_order, execution], "
            + "synchronous_commit: [off], key_strategy: [uuid7], emulated_round_trip: [0, 500us], handicap: [0.1]"
        #expect(
            try names("[{ name: c, mode: concurrent, \(fields) }]") == [
                "c-rc-keyblock_order-sync_off-uuid7-rtt0us-handicap100000ppm",
                "c-rc-keyblock_order-sync_off-uuid7-rtt500us-handicap100000ppm",
                "c-rc-keyexecution-sync_off-uuid7-rtt0us-handicap100000ppm",
                "c-rc-keyexecution-sync_off-uuid7-rtt500us-handicap100000ppm",
                "c-ser-keyblock_order-sync_off-uuid7-rtt0us-handicap100000ppm",
                "c-ser-keyblock_order-sync_off-uuid7-rtt500us-handicap100000ppm",
                "c-ser-keyexecution-sync_off-uuid7-rtt0us-handicap100000ppm",
                "c-ser-keyexecution-sync_off-uuid7-rtt500us-handicap100000ppm",
            ])
        let more =
            "workers: [1], pipeline_depth: [2], booking_workers: [0], partitions: [4], snapshots: [completion]"
        #expect(
            try names("[{ name: c, mode: [concurrent], \(more) }]")
                == ["c-concurrent-w1-d2-completion-book0-p4"])
        #expect(try names("[{ name: b, mode: batch, batch_size: [8], batch_window_ms: [5] }]") == ["b-b8-ms5"])
        #expect(try names("[{ name: y, mode: cycle, cycle_interval_ms: [100] }]") == ["y-i100"])
    }

    @Test func `a further value renames nothing, and the order of keys doesn't either`() throws {
        let before = try names("[{ name: c, mode: concurrent, workers: [4], txn_size: [1, 8] }]")
        let after = try names("[{ txn_size: [1, 8, 64], workers: [4, 8], mode: concurrent, name: c }]")
        #expect(Set(before).isSubset(of: after))
        #expect(after.count == 6)
    }

    @Test func `two of a kind are an A/A when they have names of their own`() throws {
        #expect(try names("[{ name: a, mode: row }, { name: b, mode: row }]") == ["a", "b"])
        let twins = refusal(of: scenarioText(configurations: "[{ mode: row, workers: [4, 4] }]"))
        #expect(
            twins == "s.yaml:2: name: \"row-w4\": expected a name of its own; the configuration at line 2 has it too")
    }

    @Test func `a matrix leaves out what a mode doesn't have, and counts what is equal once`() throws {
        #expect(
            try names("{ matrix: { mode: [row, concurrent, batch], workers: [2, 4], batch_size: [8, 128] } }") == [
                "row-w2", "row-w4", "concurrent-w2-t1-d1", "concurrent-w4-t1-d1", "batch-w2-b8", "batch-w2-b128",
                "batch-w4-b8", "batch-w4-b128",
            ])
    }

    @Test func `exclude takes away what has all its values, and include adds whole configurations`() throws {
        let text = """
            {
              matrix: { mode: [row, batch], workers: [1, 2, 4], batch_size: [8, 128] },
              exclude: [{ mode: row, workers: [2, 4] }, { batch_size: 8, workers: 1 }, { mode: batch, workers: 4 }],
              include: [{ name: own, mode: cycle }, { name: c, mode: concurrent, workers: [1, 2] }],
            }
            """
        #expect(
            try names(text) == [
                "row-w1", "batch-w1-b128", "batch-w2-b8", "batch-w2-b128", "own", "c-w1", "c-w2",
            ])
    }

    @Test func `exclude sees defaults, and goes before what must fit`() throws {
        let text =
            "{ matrix: { mode: adaptive, workers: [1, 4], partitions: [1, 8] }, "
            + "exclude: [{ workers: 4, partitions: 1, isolation: read_committed }] }"
        #expect(try names(text) == ["adaptive-w1-b1024-p1", "adaptive-w1-b1024-p8", "adaptive-w4-b1024-p8"])
        let unfit = refusal(
            of: scenarioText(configurations: "{ matrix: { mode: adaptive, workers: [1, 4], partitions: [1, 8] } }"))
        #expect(
            unfit
                == "s.yaml:2: workers: \"4\": expected at most 1: each worker needs a partition of its own (partitions: 1)"
        )
    }

    @Test func `routing and the change feed have lists and matrices as well`() throws {
        let route = scenarioText(
            "stage: route",
            configurations:
                "{ matrix: { routing: [set_based, event_driven], workers: [1, 4], batch_size: [1, 64] }, "
                + "exclude: [{ workers: 1, batch_size: 64 }] }")
        #expect(
            try parsed(route).routingConfigurations.map(\.name) == [
                "set_based", "event_driven-w1-b1", "event_driven-w4-b1", "event_driven-w4-b64",
            ])
        let execute = scenarioText(
            "stage: execute", configurations: "[{ feed: [none, slot, running], batch_size: [1, 100] }]")
        #expect(
            try parsed(execute).executeConfigurations.map(\.name) == [
                "feed-none-b1", "feed-none-b100", "feed-slot-b1", "feed-slot-b100", "feed-running-b1",
                "feed-running-b100",
            ])
        let named = scenarioText("stage: execute", configurations: "[{ name: f, feed: [none, running] }]")
        #expect(try parsed(named).executeConfigurations.map(\.name) == ["f-none", "f-running"])
    }

    @Test(arguments: [
        (
            "{ mode: row }",
            "mode: expected a key of configurations: matrix, include or exclude\n"
                + "s.yaml:2: matrix: expected this key in configurations, which is missing"
        ),
        ("{ matrix: { workers: [1] } }", "mode: expected this key in matrix, which is missing"),
        (
            "{ matrix: { mode: row, name: x } }",
            "name: expected a key of a matrix: mode, workers, txn_size, pipeline_depth, batch_size, batch_window_ms, "
                + "cycle_interval_ms, isolation, snapshots, booking_workers, partitions, topic_key, consumers, assignor, synchronous_commit, "
                + "key_strategy, emulated_round_trip or handicap"
        ),
        (
            "{ matrix: { mode: [row, cycle], txn_size: [1, 2] } }",
            "txn_size: expected a key of a mode in the matrix; txn_size belongs to mode concurrent"
        ),
        (
            "{ matrix: { mode: [row, btch] } }",
            "mode: \"btch\": expected row, concurrent, adaptive, batch or cycle; did you mean batch?"
        ),
        (
            "{ matrix: { mode: row }, exclude: [{ mode: batch }] }",
            "exclude: expected a rule that excludes something: no configuration of the matrix matches it"
        ),
        ("{ matrix: { mode: row }, exclude: [{ mode: row }] }", "matrix: expected a configuration that exclude leaves"),
        (
            "{ matrix: { mode: row }, exclude: {} }",
            "exclude: expected a list of what is left out, such as - { mode: row, workers: 8 }, not a mapping"
        ),
        (
            "{ matrix: { mode: row }, exclude: [{}] }",
            "exclude: expected a list of what is left out, such as - { mode: row, workers: 8 }"
        ),
        (
            "{ matrix: { mode: row }, exclude: [{ workers: 0 }] }",
            "workers: \"0\": expected a whole number from 1 to 256"
        ),
        (
            "{ matrix: { mode: row }, include: [] }",
            "include: expected a list of whole configurations, not an empty list"
        ),
        (
            "{ matrix: { mode: row }, include: [{ mode: row }] }",
            "name: \"row-w4\": expected a name of its own; the configuration at line 2 has it too"
        ),
        (
            "[{ mode: row, name: [a, b] }]",
            "name: expected 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or a digit, not a list"
        ),
        (
            "[{ mode: row, batch_size: [1, 2] }]",
            "batch_size: \"1\": expected a key of mode row; batch_size belongs to modes adaptive, batch and cycle\ns.yaml:2: batch_size: \"2\": expected a key of mode row; batch_size belongs to modes adaptive, batch and cycle"
        ),
        (
            "[{ mode: row, topic_key: execution }]",
            "topic_key: \"execution\": expected block_order, or workers: 1: mode row has no transaction that could keep two "
                + "workers off one block"
        ),
        (
            "[{ mode: batch, synchronous_commit: remote_apply }]",
            "synchronous_commit: \"remote_apply\": expected off, local or on, or a standby to wait for "
                + "(servers: { standbys: 1 })"
        ),
        (
            "[{ mode: batch, key_strategy: uuid }]",
            "key_strategy: \"uuid\": expected natural, sequence, uuid4 or uuid7; did you mean uuid4?"
        ),
        (
            "[{ mode: batch, emulated_round_trip: 1001ms }]",
            "emulated_round_trip: \"1001ms\": expected a time up to 1000ms, such as 500us or 2ms, or 0"
        ),
        (
            "[{ mode: batch, emulated_round_trip: 500 }]",
            "emulated_round_trip: \"500\": expected a time up to 1000ms, such as 500us or 2ms, or 0"
        ),
        (
            "[{ mode: batch, emulated_round_trip: 9223372036854775807ms }]",
            "emulated_round_trip: \"9223372036854775807ms\": expected a time up to 1000ms, such as 500us or 2ms, or 0"
        ),
        (
            "[{ mode: batch, emulated_round_trip: 1.5ms }]",
            "emulated_round_trip: \"1.5ms\": expected a time up to 1000ms, such as 500us or 2ms, or 0"
        ),
        (
            "[{ mode: batch, round_trip_us: 500 }]",
            "round_trip_us: expected a key of a configuration: name, mode, workers, txn_size, pipeline_depth, batch_size, "
                + "batch_window_ms, cycle_interval_ms, isolation, snapshots, booking_workers, partitions, topic_key, "
                + "consumers, assignor, synchronous_commit, key_strategy, emulated_round_trip or handicap; round_trip_us is called "
                + "emulated_round_trip now, such as emulated_round_trip: 500us"
        ),
        (
            "[{ mode: batch, handicap: 0.91 }]",
            "handicap: \"0.91\": expected a number from 0 to 0.9 with at most six decimals, such as 0.05"
        ),
        (
            "[{ mode: batch, partitions: 3 }]",
            "workers: \"4\": expected at most 3: each worker needs a partition of its own (partitions: 3); a configuration without workers has 4"
        ),
    ])
    func `configurations that can't be understood are refused`(text: String, message: String) {
        #expect(refusal(of: scenarioText(configurations: text)) == "s.yaml:2: \(message)")
    }

    @Test func `products beyond reason are refused before they are made`() {
        let many = "[" + (1...250).map(String.init).joined(separator: ", ") + "]"
        #expect(
            refusal(of: scenarioText(configurations: "[{ mode: batch, batch_size: \(many) }]"))
                == "s.yaml:2: configurations: \"250\": expected lists whose product is at most 200 configurations")
        let cube = "batch_size: \(many), batch_window_ms: \(many), cycle_interval_ms: \(many)"
        #expect(
            refusal(of: scenarioText(configurations: "{ matrix: { mode: batch, \(cube) } }"))
                == "s.yaml:2: configurations: \"62500\": expected lists whose product is at most 10000 configurations")
        #expect(
            refusal(of: scenarioText(configurations: "{ matrix: { mode: batch, batch_size: \(many) } }"))
                == "s.yaml:2: matrix: \"250\": expected at most 200 configurations")
        let parts = (0..<3).map {
            "{ mode: batch, workers: \($0 + 1), batch_size: [\((1...80).map(String.init).joined(separator: ", "))] }"
        }
        #expect(
            refusal(of: scenarioText(configurations: "[\(parts.joined(separator: ", "))]"))
                == "s.yaml:2: configurations: \"240\": expected at most 200 configurations")
    }

    @Test func `names of random matrices are unique, and each stands for settings of its own`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let values: [(key: String, words: [String])] = [
            ("workers", ["1", "2", "4", "8"]), ("txn_size", ["1", "8", "11"]), ("pipeline_depth", ["1", "11", "8"]),
            ("batch_size", ["1", "128", "1024"]), ("batch_window_ms", ["20", "5"]),
            ("cycle_interval_ms", ["500", "50"]),
            ("isolation", ["read_committed", "repeatable_read", "serializable"]),
            ("snapshots", ["completion", "{ parts: 4 }", "{ executions: 4 }", "{ interval_ms: 4 }"]),
            ("booking_workers", ["0", "1", "2"]), ("partitions", ["8", "16"]), ("topic_key", ["block_order"]),
            ("synchronous_commit", ["off", "local", "on"]), ("key_strategy", ["natural", "uuid4", "uuid7"]),
            ("emulated_round_trip", ["0", "500us"]), ("handicap", ["0", "0.1", "0.000001"]),
        ]
        for _ in 0..<60 {
            var fields: [String] = []
            var product = 1
            let modes = Mode.allCases.map(\.rawValue).shuffled(using: &random).prefix(
                Int.random(in: 1...5, using: &random))
            for value in values.shuffled(using: &random) where Bool.random(using: &random) {
                let owners = ModeSetting(rawValue: value.key)?.modes.map(\.rawValue) ?? Array(modes)
                guard owners.contains(where: modes.contains) else { continue }
                let words = value.words.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random))
                guard product * words.count * modes.count <= 200 else { continue }
                product *= words.count
                fields.append("\(value.key): [\(words.joined(separator: ", "))]")
            }
            let matrix = "{ matrix: { mode: [\(modes.joined(separator: ", "))], \(fields.joined(separator: ", ")) } }"
            let file = try parsed(scenarioText(configurations: matrix))
            #expect(Set(file.configurations.map(\.name)).count == file.configurations.count, "seed \(seed): \(matrix)")
            let nameless = file.configurations.map { configuration in
                var configuration = configuration
                configuration.name = ""
                return configuration
            }
            #expect(Set(nameless).count == nameless.count, "seed \(seed): \(matrix)")
            #expect(file.configurations.allSatisfy { $0.name == $0.generatedName }, "seed \(seed): \(matrix)")
        }
    }
}
