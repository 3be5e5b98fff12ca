// What the program says about itself.

import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct HelpTests {
    /// Every verb with the flags it has.
    private static let kafka = ["--kafka-properties", "--kafka-property"]
    private static let target = ["--state", "--kafka-home", "--name", "--database", "--brokers"] + kafka
    private static let verbs: [String: [String]] = [
        "run": [
            "FILE", "--results", "--resume", "--json", "--wait-for-hosts", "--securities", "--prices", "--state",
            "--kafka-home", "--database", "--brokers",
        ] + kafka,
        "rerun": [
            "RUN", "--results", "--json", "--wait-for-hosts", "--state", "--kafka-home", "--database", "--brokers",
        ] + kafka,
        "check": ["FILE", "--schema", "--securities", "--prices"],
        "compare": ["RUN", "[RUN]", "--baseline", "--csv", "--all"],
        "export": ["FOLDER", "--file", "--csv"],
        "scale": ["FOLDER", "--by", "--csv"],
        "services start": ["--state", "--kafka-home", "--embedded-brokers"],
        "services status": ["--state"],
        "services stop": ["--state"],
        "schema create": target,
        "schema show": ["--dialect"],
        "schema drop": target,
        "schema check": target,
        "seed": [
            "--size", "--securities-count", "--days", "--managers", "--manager-groups", "--accounts",
            "--positions-per-account", "--seed", "--securities", "--prices", "--date", "--parallel", "--replace",
            "--quiet", "--lot-size",
        ] + target,
        "route": [
            "--date", "--policy", "--minimum-ticket", "--replace", "--events", "--workers", "--batch-size", "--topic",
            "--partitions",
        ] + target,
        "execute": [
            "--date", "--seed", "--count", "--busts", "--replaces", "--cancels", "--txn-size", "--rate", "--replace",
        ] + target,
        "feed": [
            "--topic", "--topic-key", "--partitions", "--replication", "--topic-setting", "--transactional",
            "--until-caught-up", "--keep-slot", "--drop",
        ] + target,
        "work": [
            "--topic", "--mode", "--workers", "--txn-size", "--pipeline-depth", "--batch-size", "--batch-window-ms",
            "--cycle-interval-ms", "--fresh", "--follow", "--group", "--assignor", "--join", "--once",
        ] + target,
        "book": ["--workers", "--blocks", "--follow"] + target,
        "verify": ["--topic", "--without-topic"] + target,
    ]

    @Test func `every verb has a help that names its operands and all its flags`() throws {
        try withPlace { place in
            for (verb, flags) in Self.verbs {
                let words = verb.split(separator: " ").map(String.init)
                let help = try place.start(words + ["--help"], state: false).wait()
                #expect(help.status == 0 && help.errors == "", "\(verb)")
                #expect(help.output.hasPrefix("usage: allocbench \(verb)"), "\(verb)")
                let named = help.output.matches(of: #/\n  (--[a-z-]+)/#).map { String($0.output.1) }
                #expect(named.sorted() == flags.filter { $0.hasPrefix("--") }.sorted(), "\(verb)")
                for operand in flags where !operand.hasPrefix("--") { #expect(help.output.contains(" \(operand) ")) }
                let other = try place.start(["help"] + words, state: false).wait()
                #expect(other.status == 0 && other.output == help.output, "help \(verb)")
            }
            #expect(place.names().allSatisfy { $0.hasPrefix("program-") })
        }
    }

    @Test func `a family of verbs has a help that lists them`() throws {
        try withPlace { place in
            for (family, verbs) in [
                ("services", ["start", "status", "stop"]), ("schema", ["create", "show", "drop", "check"]),
            ] {
                let help = try place.run(family, "--help", state: false)
                #expect(help.status == 0 && help.errors == "", "\(family)")
                for verb in verbs { #expect(help.output.contains("\n  \(family) \(verb) "), "\(family) \(verb)") }
                #expect(try place.run("help", family, state: false).output == help.output)
            }
        }
    }

    @Test func `the overview lists every verb and the exit statuses`() throws {
        try withPlace { place in
            let overview = try place.run("--help", state: false)
            #expect(overview.status == 0)
            let listed = overview.output.matches(of: #/\n  ([a-z]+(?: [a-z]+)?)  /#).map { String($0.output.1) }
            #expect(listed.sorted() == Self.verbs.keys.sorted())
            for status in ["0 success", "1 a service", "2 wrong input", "3 verification", "130 interrupted"] {
                #expect(overview.output.contains(status))
            }
            let nothing = try place.run(state: false)
            #expect(nothing.status == 2 && nothing.output == "" && nothing.errors == overview.output)
            #expect(try place.run("--version", state: false).output.hasPrefix("allocbench "))
        }
    }
}
