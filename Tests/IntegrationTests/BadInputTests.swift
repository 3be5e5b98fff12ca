// Everything wrong that a user may type or hand over: told with its exact words, before anything is started or made.

import Glibc
import Postgres
import Services
import TestSupport
import Testing

/// A command that is refused.
struct Refusal: Sendable, CustomTestStringConvertible {
    let arguments: [String]
    let lines: [String]
    var environment: [String: String] = [:]

    init(_ arguments: String..., says lines: String..., environment: [String: String] = [:]) {
        self.arguments = arguments
        self.lines = lines
        self.environment = environment
    }

    var testDescription: String { arguments.joined(separator: " ") }
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct BadInputTests {
    private static let commandLines = [
        Refusal("sed", says: #"allocbench: "sed": expected seed"#),
        Refusal("nonsense", says: #"allocbench: "nonsense": expected a verb (allocbench --help lists them)"#),
        Refusal("services", says: #"allocbench: "services": expected services start, services status, services stop"#),
        Refusal("service", "start", says: #"allocbench: "service": expected services start"#),
        Refusal("schema", "chekc", says: #"allocbench: "schema chekc": expected schema check"#),
        Refusal("run", says: "allocbench run: expected FILE"),
        Refusal("run", "a.yaml", "b.yaml", says: #"allocbench run: "a.yaml b.yaml": expected FILE"#),
        Refusal("run", "tiny.yaml", "--resuls", "x", says: #"allocbench run: "--resuls": expected --results"#),
        Refusal(
            "run", "tiny.yaml", "--sede", "3",
            says: #"allocbench run: "--sede": expected a flag of this verb (allocbench run --help)"#),
        Refusal("run", "tiny.yaml", "--results", says: "--results: expected a value: DIR"),
        Refusal("run", "tiny.yaml", "--results", "", says: "--results: expected a value: DIR"),
        Refusal("run", "tiny.yaml", "--results", "a", "--results=b", says: "--results: expected to be given once"),
        Refusal("route", "now", says: #"allocbench route: "now": expected no operand"#),
        Refusal(
            "seed", "--quiet=yes", "--sise", "tiny", says: #"--quiet: "yes": expected no value"#,
            #"allocbench seed: "--sise": expected --size"#),
        Refusal(
            "seed", "--seed", "text", says: #"--seed: "text": expected a whole number from 0 to 18446744073709551615"#),
        Refusal("seed", "--seed=-1", says: #"--seed: "-1": expected a whole number from 0 to 18446744073709551615"#),
        Refusal(
            "seed", "--size", "tinny",
            says: #"--size: "tinny": expected tiny, small, medium or large; did you mean "tiny"?"#),
        Refusal("seed", "--accounts", "-4", says: #"--accounts: "-4": expected 1 to 100000000"#),
        Refusal("seed", "--accounts", "4x", says: #"--accounts: "4x": expected a whole number"#),
        Refusal("seed", "--parallel", "0", says: #"--parallel: "0": expected a whole number from 1 to 64"#),
        Refusal(
            "seed", "--size", "tiny", "--date", "2024-11-16",
            says: #"--date: "2024-11-16": expected a weekday from 2024-10-18 to 2024-11-14"#),
        Refusal(
            "seed", "--securities", "s.csv", says: "--securities: expected --prices beside it, a folder of price files"),
        Refusal("seed", "--prices", "p", says: "--prices: expected --securities beside it, a file of securities"),
        Refusal("route", "--date", "14.11.2024", says: #"--date: "14.11.2024": expected a day such as 2024-11-14"#),
        Refusal("execute", "--date", "2024-02-30", says: #"--date: "2024-02-30": expected a day such as 2024-11-14"#),
        Refusal("execute", "--count", "0", says: #"--count: "0": expected a whole number from 1 to 1000000000"#),
        Refusal(
            "execute", "--busts", "5%",
            says: #"--busts: "5%": expected a probability from 0 to 1 with at most six decimals, such as 0.05"#),
        Refusal(
            "execute", "--replaces", "1.000001",
            says: #"--replaces: "1.000001": expected a probability from 0 to 1 with at most six decimals, such as 0.05"#
        ),
        Refusal(
            "execute", "--cancels=-0.1",
            says: #"--cancels: "-0.1": expected a probability from 0 to 1 with at most six decimals, such as 0.05"#),
        Refusal("execute", "--rate", "0", says: #"--rate: "0": expected a rate per second above 0"#),
        Refusal("work", "--workers", "0", says: #"--workers: "0": expected a whole number from 1 to 256"#),
        Refusal(
            "work", "--mode", "rwo",
            says: #"--mode: "rwo": expected one of row, concurrent, adaptive, batch, cycle (did you mean row?)"#),
        Refusal(
            "work", "--mode", "row", "--txn-size", "4",
            says: #"--txn-size: "4": expected a flag of mode row; this one belongs to concurrent"#),
        Refusal("work", "--once", says: "--once: expected --join with it"),
        Refusal(
            "work", "--join", "a b",
            says: #"--join: "a b": expected 1 to 64 letters, digits, dots, dashes or underscores"#),
        Refusal(
            "work", "--join", "--mode", "row",
            says: #"--mode: "row": expected no such flag with --join: the run says it"#),
        Refusal(
            "run", "x.yaml", "--wait-for-hosts", "0",
            says: #"--wait-for-hosts: "0": expected a whole number from 1 to 86400"#),
        Refusal("book", "--workers", "65", says: #"--workers: "65": expected a whole number from 1 to 64"#),
        Refusal("book", "--blocks", "0", says: #"--blocks: "0": expected a whole number from 1 to 10000"#),
        Refusal("feed", "--partitions", "-1", says: #"--partitions: "-1": expected a whole number from 1 to 256"#),
        Refusal(
            "run", "tiny.yaml", "--kafka-home", "/nowhere",
            says: #"--kafka-home: "/nowhere": expected a Kafka distribution: it has no bin/kafka-storage.sh"#),
        Refusal(
            "run", "tiny.yaml",
            says: #"KAFKA_HOME: "/nowhere": expected a Kafka distribution: it has no bin/kafka-storage.sh"#,
            environment: ["KAFKA_HOME": "/nowhere"]),
        Refusal(
            "services", "start",
            says: #"KAFKA_HOME: "/": expected a Kafka distribution: it has no bin/kafka-storage.sh"#,
            environment: ["KAFKA_HOME": "/"]),
        Refusal(
            "run", "tiny.yaml", "--database", "host=/nowhere password=hunter2",
            says: "--database: expected --brokers or servers.brokers with it, or neither for embedded services"),
        Refusal(
            "run", "tiny.yaml", "--database", "host=/nowhere", "--brokers", "localhost:9092;other",
            says:
                #"--brokers: "localhost:9092;other": expected HOST:PORT of a Kafka, or several with commas between them"#
        ),
        Refusal(
            "run", "three.yaml", "--database", "host=/nowhere", "--brokers", "localhost:9092",
            says: "--brokers: expected a scenario without servers.embedded_brokers: your own Kafka has its own"),
        Refusal(
            "run", "tiny.yaml", "--database", "host=/nowhere", "--brokers", "localhost:9092",
            "--kafka-property", "ssl.ca.location=/nowhere.pem",
            says: #"ssl.ca.location: "/nowhere.pem": expected a file that can be read: No such file or directory"#),
        Refusal(
            "seed", "--brokers", "127.0.0.1:9092",
            says: "--brokers: expected --database with it, or neither for embedded services"),
        Refusal(
            "seed", "--database", "hots=/nowhere",
            says: "--database: expected a URI or key=value words as libpq has them: "
                + #"bad connection text: invalid connection option "hots""#),
    ]

    @Test func `a wrong command line is refused with its exact words, and nothing is made`() throws {
        try withPlace { place in
            try place.write("tiny.yaml", Fixture.tiny)
            try place.write("three.yaml", Fixture.tiny + "servers: { embedded_brokers: 3 }\n")
            for refusal in Self.commandLines { try expect(refusal, in: place) }
        }
    }

    private func expect(_ refusal: Refusal, in place: Place) throws {
        let before = place.names()
        let run = try place.start(refusal.arguments, state: false, environment: refusal.environment).wait(seconds: 10)
        #expect(run.status == 2, "\(refusal.testDescription)")
        #expect(run.errorLines == refusal.lines, "\(refusal.testDescription)")
        #expect(run.output == "", "\(refusal.testDescription)")
        let made = place.names().filter { !before.contains($0) && !$0.hasPrefix("program-") }
        #expect(made == [], "\(refusal.testDescription)")
    }

    @Test func `a wrong scenario is refused with all its faults in one go`() throws {
        try withPlace { place in
            try place.write(
                "bad.yaml",
                """
                name: bad
                wurkload: 1
                colour: blue
                seed: text
                repetitions: 0
                workload: { executions: -5, blocks: 10, acounts_per_block: 4, partitions: 4 }
                configurations:
                  - { mode: row, workers: 0 }
                  - { mode: concurent, workers: 2 }
                  - { mode: batch, workers: 8, batch_size: -8 }
                  - { mode: row, txn_size: 2 }

                """)
            let keys =
                "name, description, seed, repetitions, order, stage, workload, servers, load, warm_up, measured, gates, faults or "
                + "configurations"
            let lines = [
                "bad.yaml:2: wurkload: expected a key of a scenario: \(keys); did you mean workload?",
                "bad.yaml:3: colour: expected a key of a scenario: \(keys)",
                #"bad.yaml:4: seed: "text": expected a whole number from 0 to 18446744073709551615"#,
                #"bad.yaml:5: repetitions: "0": expected a whole number from 1 to 1000"#,
                "bad.yaml:6: acounts_per_block: expected a key of workload: executions, blocks, accounts_per_block, "
                    + "partitions, skew, securities_file, prices_folder, route_date, busts, replaces, cancels, "
                    + "allocation_policies, minimum_ticket_lots, lot_size or routing; "
                    + "did you mean accounts_per_block?",
                #"bad.yaml:6: executions: "-5": expected a whole number from 1 to 100000000"#,
                #"bad.yaml:8: workers: "0": expected a whole number from 1 to 256"#,
                #"bad.yaml:9: mode: "concurent": expected row, concurrent, adaptive, batch or cycle; "#
                    + "did you mean concurrent?",
                #"bad.yaml:10: batch_size: "-8": expected a whole number from 1 to 100000"#,
                #"bad.yaml:10: workers: "8": expected at most 4: each worker needs a partition of its own "#
                    + "(partitions: 4)",
                #"bad.yaml:11: txn_size: "2": expected a key of mode row; txn_size belongs to mode concurrent"#,
            ]
            for verb in ["run", "check"] {
                let run = try place.run(verb, "bad.yaml", state: false)
                #expect(run.status == 2)
                #expect(run.errorLines == lines)
            }
            try place.write("tiny.yaml", Fixture.tiny)
            let both = try place.run("check", "tiny.yaml", "bad.yaml", state: false)
            #expect(both.status == 2 && both.errorLines == lines)
            #expect(both.output.hasPrefix("tiny.yaml: "))
            let missing = try place.run("run", "bda.yaml", state: false)
            #expect(missing.status == 2)
            #expect(
                missing.errorLines == [
                    "bda.yaml: expected a scenario file: No such file or directory; did you mean bad.yaml?"
                ])
            #expect(!place.names().contains("results") && !place.names().contains(".allocbench"))
        }
    }

    @Test func `bad data files are refused in one go, and the database stays as it was`() throws {
        try withPlace { place in
            try writeBadFiles(to: place)
            try place.succeed("services", "start")
            try place.succeed("seed", "--size", "tiny", "--quiet")
            let sum =
                "SELECT md5(string_agg(p::TEXT, ',' ORDER BY security_id, price_date)) FROM market.daily_prices AS p"
            let before = try place.value(sum)
            let seed = try place.run("seed", "--securities", "securities.csv", "--prices", "prices", "--replace")
            #expect(seed.status == 2)
            #expect(
                seed.errorLines == [
                    #"prices/CCC.csv: symbol: "CCC": expected a symbol of securities.csv"#,
                    "prices/AAA.csv:3: expected 6 columns as in the header, found 5",
                    #"prices/AAA.csv:4: Open: "x": expected a price such as 12.50"#,
                    #"prices/AAA.csv:5: High: "35": expected a price of at least Low, 36.0000"#,
                    #"prices/AAA.csv:6: Open: "39": expected a price from Low, 36.0000, to High, 38.0000"#,
                    #"prices/AAA.csv:7: Low: "0": expected a price above 0"#,
                    #"prices/AAA.csv:8: Volume: "-1": expected a volume of 0 or more"#,
                    #"prices/AAA.csv:9: Date: "11/4/2024 16:00:00": expected each day only once; "#
                        + "2024-11-04 already stands in line 2",
                    #"prices/AAA.csv:10: Date: "2024-11-13": expected a US date with a time, such as 12/31/2012 16:00:00"#,
                    "prices/BBB.csv:2: Close: \"37\u{FFFD}\": expected UTF-8 text",
                    "prices/DDD.csv:1: Close: expected a column of this name in the header",
                ])
            #expect(try place.value(sum) == before)

            let holiday = try place.run("route", "--date", "2024-11-16")
            #expect(holiday.status == 2)
            #expect(
                holiday.errorLines == [
                    #"--date: "2024-11-16": expected a trading day, on which securities have prices: "#
                        + "the last one before is 2024-11-14"
                ])
            #expect(try place.value("SELECT count(*) FROM orders.block_orders") == "0")
            // One fault less than a topic has partitions is known only once the topic is.
            try place.succeed("route")
            try place.succeed("execute")
            try place.succeed("feed", "--until-caught-up", "--partitions", "2")
            let crowd = try place.run("work", "--workers", "3")
            #expect(crowd.status == 2)
            #expect(crowd.errorLines == [#"--workers: "3": expected at most 2, the partitions of executions"#])
        }
    }

    private func writeBadFiles(to place: Place) throws {
        try place.write(
            "securities.csv",
            Fixture.securitiesHeader + "Equity,AAA,Triple A,1000.0,United States,2012,Health Care,Biotechnology\n"
                + "Equity,BBB,Double B,2000.0,Ireland,,Energy,\nEquity,DDD,D,1.0,Ireland,,,\n")
        let rows = [
            "11/4/2024 16:00:00,37,38,36,37,100", "11/5/2024 16:00:00,37,38,36,37",
            "11/6/2024 16:00:00,x,38,36,37,100", "11/7/2024 16:00:00,37,35,36,36,100",
            "11/8/2024 16:00:00,39,38,36,37,100", "11/11/2024 16:00:00,37,38,0,37,100",
            "11/12/2024 16:00:00,37,38,36,37,-1", "11/4/2024 16:00:00,37,38,36,37,100", "2024-11-13,37,38,36,37,100",
        ]
        try place.write("prices/AAA.csv", Fixture.pricesHeader + rows.map { $0 + "\r\n" }.joined())
        try place.write(
            "prices/BBB.csv",
            bytes: Array(Fixture.pricesHeader.utf8) + Array("11/4/2024 16:00:00,37,38,36,37".utf8) + [0xE9]
                + Array(",100\r\n".utf8))
        let row = "11/4/2024 16:00:00,37,38,36,37,100\r\n"
        try place.write("prices/CCC.csv", Fixture.pricesHeader + row)
        try place.write("prices/DDD.csv", "Date,Open,High,Low,Closing,Volume\r\n" + row)
    }

    @Test func `what can't be reached is one line without a password, and status 1`() throws {
        try withPlace { place in
            try place.write("tiny.yaml", Fixture.tiny)
            let nobody = "127.0.0.1:1"
            for arguments in [
                ["seed", "--database", "postgresql://me:hunter2@\(nobody)/d"],
                ["seed", "--database", "host=/nowhere user=me password=hunter2"],
                ["run", "tiny.yaml", "--database", "postgresql://me:hunter2@\(nobody)/d", "--brokers", nobody],
                ["work", "--database", "host=127.0.0.1 port=1 password='hunter2'", "--brokers", nobody],
            ] {
                let run = try place.start(arguments, state: false).wait(seconds: 30)
                #expect(run.status == 1, "\(arguments)")
                #expect(run.errorLines.count == 1, "\(run.errors)")
                #expect(run.errors.hasPrefix("allocbench: "), "\(run.errors)")
                #expect(!run.errors.contains("hunter2") && run.output == "")
            }
            #expect(!place.names().contains(".allocbench"))
            for verb in ["feed", "work", "verify"] {
                let run = try place.run(verb)
                #expect(run.status == 1)
                #expect(
                    run.errorLines == [
                        "allocbench: no services are running; start them first: allocbench services start"
                    ])
            }
            #expect(place.names().filter { !$0.hasPrefix("program-") && $0 != "results" } == ["tiny.yaml"])
        }
    }
}
