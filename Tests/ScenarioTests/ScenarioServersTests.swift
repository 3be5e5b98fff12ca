// Servers, parts of a scenario in files of their own, skew, order, and the stage execute.

import Measurement
import Model
import Services
import Testing

@testable import Scenario

@Suite struct ScenarioServersTests {
    @Test func `servers have standbys and settings`() throws {
        let text = scenarioText(
            "servers: { standbys: 2, settings: { shared_buffers: 256MB, fsync: off, random_page_cost: 1.1 } }",
            configurations: "[{ mode: batch, synchronous_commit: [on, remote_write, remote_apply] }]")
        let servers = try parsed(text).servers
        #expect(servers.standbys == 2)
        #expect(servers.settings.map(\.name) == ["shared_buffers", "fsync", "random_page_cost"])
        #expect(servers.settings.map(\.value) == ["256MB", "off", "1.1"])
        #expect(try parsed(scenarioText()).servers == ScenarioFile.Servers())
    }

    @Test(arguments: ["port", "data_directory", "wal_level", "synchronous_standby_names", "listen_addresses"])
    func `a setting that the harness lives by is refused`(name: String) {
        let refused = refusal(of: scenarioText("servers: { settings: { \(name): 1 } }"))
        #expect(refused.hasPrefix("s.yaml:1: \(name): expected a setting that a scenario may change: autovacuum, "))
    }

    @Test func `what servers can't be is refused`() {
        func servers(_ text: String) -> String { refusal(of: scenarioText("servers: \(text)")) }
        #expect(servers("{ standbys: 4 }") == "s.yaml:1: standbys: \"4\": expected a whole number from 0 to 3")
        #expect(
            servers("{ standby: 1 }")
                == "s.yaml:1: standby: expected a key of servers: "
                + "\(list(ScenarioFormat.servers.names, last: "or")); did you mean standbys?")
        #expect(servers("{ settings: { shared_bufers: 1MB } }").hasSuffix("work_mem; did you mean shared_buffers?"))
        #expect(
            servers("{ settings: { synchronous_commit: off } }")
                == "s.yaml:1: synchronous_commit: expected this setting as a field of the configurations, not of the servers"
        )
        #expect(
            servers("{ settings: [1] }")
                == "s.yaml:1: settings: expected a mapping of PostgreSQL's settings, such as { shared_buffers: 256MB }, "
                + "not a list")
        #expect(
            servers("{ settings: { work_mem: } }")
                == "s.yaml:1: work_mem: expected a value of at most 100 printable characters, such as 256MB, on or 0.9, "
                + "not an empty value")
        #expect(
            servers("{ settings: { work_mem: \"1\\n2\" } }").hasSuffix(
                "expected a value of at most 100 printable characters, such as 256MB, on or 0.9"))
    }

    // MARK: Worker hosts

    @Test func `workers may be on hosts, for a backlog, an open load and a search`() throws {
        #expect(try parsed(scenarioText()).servers.workerHosts == nil)
        for load in ["", "load: { model: open, rate: 100 }\n", "load: { model: search, p99_ms: 5 }\n"] {
            let text = scenarioText("\(load)servers: { worker_hosts: 3 }")
            #expect(try parsed(text).servers.workerHosts == 3)
        }
        let windows = "warm_up: { seconds: 1 }\nmeasured: { seconds: 5 }\nservers: { worker_hosts: 2 }"
        #expect(try parsed(scenarioText(windows)).servers.workerHosts == 2)
    }

    @Test func `what workers can't do on hosts is refused in one line`() {
        func refused(_ head: String, _ configurations: String = "[{ mode: row }]") -> String {
            refusal(of: scenarioText("servers: { worker_hosts: 3 }\n\(head)", configurations: configurations))
        }
        let begin = "s.yaml:1: worker_hosts: \"3\": expected "
        #expect(
            refused("load: { model: open, rate: 100, through: feed }")
                == begin
                + "through: topic with it, not feed: the end of a live stream is known to the runner's own workers alone"
        )
        #expect(
            refused("load: { model: search, p99_ms: 5, through: feed }").hasPrefix(begin + "through: topic with it"))
        #expect(
            refused("faults: [{ at_seconds: 1, kind: kill_worker }]")
                == begin + "no faults with it: what breaks, breaks in the runner's own workers")
        #expect(
            refused("warm_up: { executions: 10 }")
                == begin
                + "warm_up and measured in seconds with it: workers of several hosts have no common count of commits")
        #expect(
            refused("", "[{ name: few, mode: row, workers: 2 }]")
                == begin + "a worker and a partition at least for each host; few has 2 workers for 8 partitions")
        #expect(
            refused("", "[{ name: dealt, mode: batch, consumers: group }]")
                == begin + "consumers: assigned with it, not group as dealt has: the runner deals partitions out")
        #expect(
            refused("", "[{ name: far, mode: row, emulated_round_trip: 500us }]")
                == begin + "no emulated round trip with it, as far has: hosts have a network of their own")
        #expect(
            refusal(
                of: "stage: execute\nservers: { worker_hosts: 3 }\nworkload: { executions: 2000, blocks: 10 }\n"
                    + "configurations: [{ feed: running }]\n")
                == "s.yaml:2: worker_hosts: \"3\": expected stage allocate with it: only its workers run on other hosts"
        )
        #expect(
            refusal(of: scenarioText("servers: { worker_hosts: 65 }"))
                == "s.yaml:1: worker_hosts: \"65\": expected a whole number from 1 to 64")
    }

    @Test func `a commit waits for so many of the standbys, by quorum or by priority`() throws {
        func names(_ text: String, standbys: Int = 2) -> String {
            "servers: { standbys: \(standbys), synchronous_standby_names: \(text) }"
        }
        for text in ["ANY 1", "ANY 2", "FIRST 1", "FIRST 2"] {
            let servers = try parsed(scenarioText(names(text))).servers
            #expect(servers.synchronousStandbys?.description == text)
        }
        #expect(try parsed(scenarioText("servers: { standbys: 2 }")).servers.synchronousStandbys == nil)
        // The order of the keys means nothing.
        let early = "servers: { synchronous_standby_names: ANY 3, standbys: 3 }"
        #expect(try parsed(scenarioText(early)).servers.synchronousStandbys == SynchronousStandbys(.any, 3))
        let key = "s.yaml:1: synchronous_standby_names:"
        let form =
            "expected ANY or FIRST and a number from 1 to 3, such as ANY 1: the standbys' names are the harness's"
        for text in ["ANY", "any 1", "ANY 0", "ANY 01", "ANY 4", "ANY  1", "1 (standby1)", "ANY 1 (standby1)", "ALL 2"]
        {
            #expect(refusal(of: scenarioText(names("\"\(text)\""))) == "\(key) \"\(text)\": \(form)")
        }
        #expect(
            refusal(of: scenarioText(names("FIRST 2", standbys: 1)))
                == "\(key) \"FIRST 2\": expected at most as many standbys as there are (standbys: 1)")
        #expect(
            refusal(of: scenarioText(names("ANY 1", standbys: 0)))
                == "\(key) \"ANY 1\": expected at most as many standbys as there are (standbys: 0)")
    }

    @Test func `a promotion needs a standby for each time`() throws {
        func text(_ standbys: Int, _ times: [Int]) -> String {
            let faults = times.map { "{ at_seconds: \($0), kind: promote_standby }" }.joined(separator: ", ")
            return scenarioText("servers: { standbys: \(standbys) }\nfaults: [\(faults)]")
        }
        #expect(try parsed(text(2, [1, 2])).faults.map(\.kind) == [.promoteStandby, .promoteStandby])
        let refused =
            "s.yaml:2: kind: \"promote_standby\": expected a standby for each promotion, which none of standbys:"
        #expect(refusal(of: text(0, [1])) == "\(refused) 0 is left for")
        #expect(refusal(of: text(1, [1, 2])) == "\(refused) 1 is left for")
    }

    // MARK: Files

    @Test func `workload and servers may stand in files of their own`() throws {
        let files = [
            "shared/large.yaml":
                "executions: 4000\nblocks: 20\npartitions: 2\nsecurities_file: s.csv\nprices_folder: p\n",
            "shared/two.yaml": "standbys: 2\n",
        ]
        let text =
            "workload: shared/large.yaml\nservers: shared/two.yaml\nconfigurations: [{ mode: row, workers: 2 }]\n"
        let file = try parsed(text, files: files)
        #expect(file.workload.executions == 4000)
        #expect(file.workload.securitiesFile == "shared/s.csv")
        #expect(file.servers.standbys == 2)
        #expect(file.includedFiles.map(\.key) == ["workload", "servers"])
        #expect(file.includedFiles.map(\.path) == ["shared/large.yaml", "shared/two.yaml"])
        #expect(file.includedFiles.map(\.text) == ["shared/large.yaml", "shared/two.yaml"].compactMap { files[$0] })
    }

    @Test func `faults of a file name it and its lines, behind those of the scenario`() {
        let files = [
            "w.yaml": "executions: 4000\nblocks: none\nblocks: 3\npartitons: 2\n", "v.yaml": "standbys: [\n",
            "e.yaml": "",
        ]
        #expect(
            refusal(of: "workload: w.yaml\nconfigurations: [{ mode: rwo }]\n", files: files) == """
                s.yaml:2: mode: "rwo": expected row, concurrent, adaptive, batch or cycle; did you mean row?
                w.yaml:2: blocks: "none": expected a whole number from 1 to 1000000
                w.yaml:3: blocks: expected each key once; line 2 has it too
                w.yaml:4: partitons: expected a key of workload: executions, blocks, accounts_per_block, partitions, skew, \
                securities_file, prices_folder, route_date, busts, replaces, cancels, allocation_policies, \
                minimum_ticket_lots, lot_size or routing; did you mean partitions?
                """)
        #expect(
            refusal(of: "workload: x.yaml\nconfigurations: [{ mode: row }]\n", files: files)
                == "s.yaml:1: workload: \"x.yaml\": expected a mapping, or the path of a file that was handed over")
        #expect(refusal(of: scenarioText("servers: v.yaml"), files: files).hasPrefix("v.yaml:2: expected valid YAML: "))
        #expect(
            refusal(of: scenarioText("servers: e.yaml"), files: files)
                == "e.yaml:1: expected servers, not an empty file")
    }

    // MARK: Workload and order

    @Test func `blocks are of like size or follow Zipf's law`() throws {
        func skew(_ skew: String) throws -> BlockSkew {
            try parsed(scenarioText(workload: "executions: 2000, blocks: 10, skew: \(skew)")).workload.skew
        }
        #expect(try skew("uniform") == .uniform)
        #expect(try skew("{ zipf: 0.99 }") == .zipf(thetaPpm: 990_000))
        #expect(try skew("{ zipf: 2 }") == .zipf(thetaPpm: 2_000_000))
    }

    @Test(arguments: [
        ("zipf", "skew: \"zipf\": expected uniform or { zipf: 0.99 }"),
        ("{ zipf: 0 }", "zipf: \"0\": expected a number from 0.01 to 2 with at most six decimals, such as 0.05"),
        ("{ zipf: 2.1 }", "zipf: \"2.1\": expected a number from 0.01 to 2 with at most six decimals, such as 0.05"),
        ("{}", "zipf: expected this key in skew, which is missing"),
        ("[1]", "skew: expected uniform or { zipf: 0.99 }, not a list"),
    ])
    func `a skew that is none is refused`(text: String, message: String) {
        #expect(
            refusal(of: scenarioText(workload: "executions: 2000, blocks: 10, skew: \(text)")) == "s.yaml:1: \(message)"
        )
    }

    @Test func `a fault on the minimum ticket is told once`() {
        func minimum(_ keys: String) -> String {
            refusal(of: scenarioText(workload: "executions: 2000, blocks: 10, \(keys)"))
        }
        #expect(
            minimum("minimum_ticket_lots: 0")
                == "s.yaml:1: minimum_ticket_lots: \"0\": expected a whole number from 1 to 1000000")
        #expect(minimum("minimum_ticket_lots: 3, allocation_policies: pro").split(separator: "\n").count == 1)
    }

    @Test func `configurations take turns in one of two orders`() throws {
        #expect(try parsed(scenarioText()).order == .abba)
        #expect(try parsed(scenarioText("order: latin_square")).order == .latinSquare)
        #expect(
            refusal(of: scenarioText("order: latin_sqare"))
                == "s.yaml:1: order: \"latin_sqare\": expected abba or latin_square; did you mean latin_square?")
    }

    // MARK: Stage execute

    @Test func `a scenario of stage execute compares what the change feed costs`() throws {
        let file = try parsed(
            scenarioText(
                "stage: execute", configurations: "[{ feed: none }, { name: r, feed: running, batch_size: 5 }]"))
        #expect(
            file.executeConfigurations == [
                ExecuteConfiguration(feed: .none), ExecuteConfiguration(name: "r", feed: .running, batchSize: 5),
            ])
        #expect(file.competitors.count == 2 && file.configurations.isEmpty && file.routingConfigurations.isEmpty)
    }

    @Test(arguments: [
        ("{ feed: on }", "feed: \"on\": expected none, slot or running"),
        ("{ batch_size: 5 }", "feed: expected this key in configurations, which is missing"),
        ("{ feed: none, batch_size: 10001 }", "batch_size: \"10001\": expected a whole number from 1 to 10000"),
        ("{ feed: none, workers: 2 }", "workers: expected a key of a configuration: name, feed or batch_size"),
    ])
    func `a configuration of stage execute that can't be understood is refused`(text: String, message: String) {
        #expect(refusal(of: scenarioText("stage: execute", configurations: "[\(text)]")) == "s.yaml:3: \(message)")
    }

    @Test func `what belongs to allocation is no key of stage execute`() {
        let text = scenarioText(
            "stage: execute\nload: backlog\nfaults: []",
            workload: "executions: 20, blocks: 1, allocation_policies: equal",
            configurations: "[{ feed: none }]")
        #expect(
            refusal(of: text) == """
                s.yaml:2: load: "backlog": expected a key of stage allocate
                s.yaml:3: faults: expected a key of stage allocate
                s.yaml:4: allocation_policies: "equal": expected a key of stage allocate
                """)
    }
}
