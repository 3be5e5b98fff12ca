// The verbs between the stages: feed, work, verify. `run` does the same by itself.

import Allocations
import Booking
import ChangeFeed
import Diagnostics
import Holdings
import Kafka
import Model
import Postgres
import Scenario
import Services
import Threads

enum PipelineCommands {
    static let feed = Verb(
        name: "feed", summary: "Publishes committed executions to the topic; without an end it goes on until Ctrl-C.",
        flags: [
            TargetFlags.topic,
            Flag("--partitions", "N", "partitions of the topic, when it is made (default 8)"),
            Flag("--replication", "N", "copies of each of its partitions (default the brokers' own)"),
            Flag(
                "--topic-setting", "KEY=VALUE", "another setting of the topic by Kafka's name; may be repeated",
                isRepeatable: true),
            Flag("--topic-key", "KEY", "block_order (default) keeps a block in one partition; execution spreads it"),
            Flag("--transactional", nil, "publishes in transactions of Kafka; a real one, not the mock"),
            Flag("--until-caught-up", nil, "ends when everything committed before the start is published"),
            Flag(
                "--keep-slot", nil,
                "leaves the slot, or the paused changefeed, at the end, so that the next feed goes on from here"),
            Flag("--drop", nil, "only drops the slots and publications, or the changefeeds, of earlier feeds"),
        ] + TargetFlags.all
    ) { arguments in
        let topic = arguments.text("--topic") ?? TargetFlags.topicDefault
        let partitions = try arguments.integer("--partitions", in: 1...256)
        let settings = try topicSettings(arguments)
        let key = try arguments.word("--topic-key", TopicKey.self) ?? .standard
        let need = arguments.has("--drop") ? Target.BrokerNeed.none : .lasting
        return try TargetFlags.withConnection(arguments, broker: need) { target, connection in
            if arguments.has("--drop") {
                try ChangeFeeds.dropAll(connection: target.connection)
                return .success
            }
            guard let kafka = target.kafka else { return .failure }
            try Schemas.create(on: connection)
            try target.ensureTopic(topic, partitions: partitions, otherwise: 8, settings: settings)
            let feed = try FeedPlan(
                connection: target.connection, kafka: kafka, topic: topic, source: .executions(keyedBy: key),
                isTransactional: target.isFeedTransactional
            ).makeFeed()
            try feed.create(scanTable: true)
            let end = FeedEnd(arguments.has("--until-caught-up") ? try FeedPosition.now(on: connection) : nil)
            var isTold = false
            let figures = try feed.run(until: end, stop: Interrupt.flag) { figures in
                guard !isTold, let lag = figures.lag else { return }
                isTold = true
                print(
                    "the server publishes by itself: changefeed \(feed.name), job \(lag.job). Its high-water mark follows "
                        + "\(seconds(lag.floorNs)) behind at best, so an end is seen that late")
            }
            if arguments.has("--keep-slot") { try feed.keep() } else { try feed.drop() }
            if let lag = figures.lag {
                print(
                    "published \(figures.publishedCount) messages to topic \(topic); the high-water mark was "
                        + "\(seconds(lag.lastNs)) behind at the end, \(seconds(lag.maximumNs)) at most")
            } else {
                print(
                    "published \(figures.publishedCount) messages (\(figures.scannedCount) from the first scan), "
                        + "\(figures.byteCount) bytes, to topic \(topic)")
            }
            return .success
        }
    }

    /// To a tenth: a high-water mark is looked at no more often than that.
    private static func seconds(_ nanoseconds: Int64) -> String {
        "\(nanoseconds / 1_000_000_000).\(nanoseconds / 100_000_000 % 10) s"
    }

    static let work = Verb(
        name: "work",
        summary:
            "Runs allocation workers on the topic until its end, or until Ctrl-C with --follow; with --join as a worker host.",
        flags: [
            TargetFlags.topic,
            Flag("--mode", "MODE", "row, concurrent (default), adaptive, batch or cycle"),
            Flag("--workers", "N", "worker threads (default 4)"),
            Flag(
                "--group", "NAME",
                "joins a consumer group, which deals the partitions out to all its processes' threads"),
            Flag("--assignor", "NAME", "of the group: cooperative-sticky (default) or range; all members alike"),
            Flag("--txn-size", "N", "concurrent: messages a transaction (default 1)"),
            Flag("--pipeline-depth", "N", "concurrent: transactions in flight (default 1)"),
            Flag("--batch-size", "N", "adaptive, batch, cycle: messages a transaction at most"),
            Flag("--batch-window-ms", "N", "batch: how long a batch waits to fill (default 20)"),
            Flag("--cycle-interval-ms", "N", "cycle: time between cycles (default 500)"),
            Flag("--fresh", nil, "empties the allocations tables first"),
            Flag("--follow", nil, "goes on with what comes later"),
        ] + JoinCommand.flags + TargetFlags.all
    ) { arguments in
        if arguments.has(JoinCommand.join.name) { return try JoinCommand.run(arguments) }
        try JoinCommand.refuseAlone(arguments)
        let topic = arguments.text("--topic") ?? TargetFlags.topicDefault
        let configuration = try configuration(arguments)
        let group = try group(arguments)
        return try TargetFlags.withConnection(arguments, broker: .lasting) { target, connection in
            guard let kafka = target.kafka else { return .failure }
            if let level = IsolationLevel(rawValue: configuration.isolation.sql) {
                try connection.requireIsolation(level)
            }
            guard let partitions = try target.partitionCount(of: topic) else {
                throw OperatingError(
                    "there is no topic \(topic)", remedy: "publish first: allocbench feed --topic \(topic)")
            }
            guard configuration.workers <= partitions else {
                throw InputError(
                    InputFault(
                        source: "--workers", value: String(configuration.workers),
                        expected: "at most \(partitions), the partitions of \(topic)"))
            }
            try Schemas.create(on: connection)
            if arguments.has("--fresh") { try Schemas.emptyStages(behind: .trades, on: connection) }
            try AllocationsSource.receive(on: connection, topic: topic, partitions: partitions)
            var plan = WorkerPlan(
                connection: target.connection, kafka: kafka, topic: topic,
                partitions: (0..<partitions).map { Int32($0) }, configuration: configuration,
                book: try AllocationsSource.book(on: connection))
            plan.group = group
            // Whoever published to a Kafka may have done so in transactions; the mock has none, and may drop messages.
            plan.mayHaveTransactions = target.services?.brokerKind != .mockBroker
            if group != nil { plan.kafka = target.groupSettings(kafka) }
            if let group { plan.groupNews = { say("group \(group.name): \($0)") } }
            if !arguments.has("--follow") {
                let content = try target.completeContent(of: topic, mayHaveTransactions: true)
                plan.endOffsets = content.ends
                // Where every offset is a message's, a gap can only be a loss.
                plan.mayHaveTransactions = content.messageCount != content.ends.values.reduce(0, +)
            }
            let result = try WorkerPool.run(plan, stop: Interrupt.flag)
            let figures = result.figures
            print(
                "\(configuration.name): \(figures.messageCount) messages, \(figures.capturedCount) executions captured, "
                    + "\(figures.duplicateCount) duplicates, \(figures.parkedCount) parked, "
                    + "\(figures.snapshotCount) snapshots, \(figures.transactionCount) transactions, "
                    + "\(figures.retryCount) retries"
                    + (figures.lostMessageCount == 0
                        ? "" : ", \(figures.lostMessageCount) lost after the answer to their commit and done again")
                    + (group.map { groupWords(figures.group, of: $0) } ?? ""))
            return Interrupt.flag.isSet && !arguments.has("--follow") ? .interrupted : .success
        }
    }

    /// The group that `--group` names; nil without it.
    private static func group(_ arguments: ParsedArguments) throws -> KafkaGroup? {
        let assignor = try arguments.word("--assignor", KafkaAssignor.self)
        guard let name = arguments.text("--group") else {
            guard assignor == nil else {
                throw InputError(
                    InputFault(
                        source: "--assignor", value: arguments.text("--assignor"), expected: "--group NAME with it"))
            }
            return nil
        }
        return KafkaGroup(name: name, assignor: assignor ?? .cooperativeSticky)
    }

    private static func groupWords(_ figures: GroupFigures, of group: KafkaGroup) -> String {
        "; group \(group.name): \(figures.rebalances) rebalances, \(figures.partitionsTaken) partitions taken, "
            + "\(figures.partitionsGivenUp) given up, \(figures.partitionsLost) lost, "
            + "\(figures.fencedTransactions) transactions fenced"
    }

    static let book = Verb(
        name: "book",
        summary: "Books the blocks that wait for it: instructions, settlement, positions; with --follow until Ctrl-C.",
        flags: [
            Flag("--workers", "N", "booking workers (default 1)"),
            Flag("--blocks", "N", "blocks a transaction at most (default \(BookingPlan.blocksPerTransactionDefault))"),
            Flag("--follow", nil, "goes on with what comes later"),
        ] + TargetFlags.all
    ) { arguments in
        let workers = try arguments.integer("--workers", in: 1...64) ?? 1
        let blocks = try arguments.integer("--blocks", in: 1...10_000)
        return try TargetFlags.withConnection(arguments) { target, connection in
            try Schemas.create(on: connection)
            var plan = BookingPlan(connection: target.connection, workers: workers)
            plan.blocksPerTransaction = blocks ?? plan.blocksPerTransaction
            let follow = arguments.has("--follow")
            let figures = try BookingPool.run(plan, follow: follow, stop: Interrupt.flag).figures
            print(
                "booked \(figures.bookedBlockCount) blocks for \(figures.accountBookingCount) accounts, "
                    + "\(figures.unbookedBlockCount) left unbooked, \(figures.transactionCount) transactions, "
                    + "\(figures.retryCount) retries")
            return Interrupt.flag.isSet && !follow ? .interrupted : .success
        }
    }

    static let verify = Verb(
        name: "verify",
        summary:
            "Compares executions, fills, allocations, bookings and offsets, by SQL and by an oracle; status 3 if anything differs.",
        flags: [
            TargetFlags.topic,
            Flag("--without-topic", nil, "leaves the offsets unchecked, when the topic is gone"),
        ] + TargetFlags.all
    ) { arguments in
        let topic = arguments.text("--topic") ?? TargetFlags.topicDefault
        let need = arguments.has("--without-topic") ? Target.BrokerNeed.none : .lasting
        var waitingBustCount: Int64 = 0
        let checks = try TargetFlags.withConnection(arguments, broker: need) { target, connection in
            let ends =
                arguments.has("--without-topic") ? nil : try target.completeTopicEnds(topic, mayHaveTransactions: true)
            waitingBustCount = try AllocationsVerification.waitingBustCount(on: connection)
            return try Verifier.verify(on: connection, topic: topic, topicEnds: ends)
        }
        for check in checks { print("\(check.differenceCount == 0 ? "ok  " : "FAIL") \(check.name)") }
        if arguments.has("--without-topic") { print("skip offsets_differ_from_topic") }
        if waitingBustCount > 0 { print("note \(waitingBustCount) busts wait for executions that never came") }
        checks.differenceLines.forEach { print($0) }
        return checks.isClean ? .success : .differencesFound
    }

    private static func topicSettings(_ arguments: ParsedArguments) throws(InputError) -> TopicSettings {
        var settings = TopicSettings(replication: try arguments.integer("--replication", in: 1...32))
        for text in arguments.texts("--topic-setting") {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw InputError(
                    InputFault(
                        source: "--topic-setting", value: text, expected: "KEY=VALUE, such as retention.ms=86400000"))
            }
            settings.config[parts[0]] = parts[1]
        }
        return settings
    }

    private static func configuration(_ arguments: ParsedArguments) throws -> Configuration {
        let mode = try arguments.word("--mode", Mode.self) ?? .concurrent
        for (flag, setting) in [
            ("--txn-size", ModeSetting.transactionSize), ("--pipeline-depth", .pipelineDepth),
            ("--batch-size", .batchSize), ("--batch-window-ms", .batchWindowMs),
            ("--cycle-interval-ms", .cycleIntervalMs),
        ] where arguments.has(flag) && !setting.modes.contains(mode) {
            let modes = setting.modes.map(\.rawValue).joined(separator: ", ")
            throw InputError(
                InputFault(
                    source: flag, value: arguments.text(flag),
                    expected: "a flag of mode \(mode.rawValue); this one belongs to \(modes)"))
        }
        return Configuration(
            mode: mode, workers: try arguments.integer("--workers", in: 1...256) ?? Configuration.workersDefault,
            transactionSize: try arguments.integer("--txn-size", in: 1...100_000),
            pipelineDepth: try arguments.integer("--pipeline-depth", in: 1...1024),
            batchSize: try arguments.integer("--batch-size", in: 1...100_000),
            batchWindowMs: try arguments.integer("--batch-window-ms", in: 1...60_000),
            cycleIntervalMs: try arguments.integer("--cycle-interval-ms", in: 1...3_600_000))
    }
}
