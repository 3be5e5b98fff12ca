// Goal: processes of one consumer group finish a topic whatever happens to some of them, and one that comes back too late
// changes nothing. Method: a real Kafka. A trigger makes every fill take a few milliseconds, so that there is always a middle;
// what must meet in it is brought together by row locks.

import Glibc
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: BrokerKind.kafkaHome != nil, "KAFKA_HOME names no Kafka"), .timeLimit(.minutes(5)))
struct GroupKillTests {
    private static let topic = "group-kill"
    private static let total = 2000

    @Test func `four processes of a group, one stopped in a transaction and continued, one killed, one added`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            let broker = try TemporaryBroker.shared(.kafka).bootstrapServers
            let servers = try place.ownServers("members").prefix(2) + ["--brokers", broker]
            let watch = try place.connect("members")
            defer { watch.close() }
            try prepare(place, servers, watch)

            let work =
                ["work", "--topic", Self.topic, "--group", "kill-test", "--workers", "1"]
                + ["session.timeout.ms=6000", "max.poll.interval.ms=6000", "heartbeat.interval.ms=300"]
                .flatMap { ["--kafka-property", $0] } + servers
            var members: [RunningProgram] = []
            for _ in 1...4 { members.append(try place.start(work)) }
            let isDealtOut = eventually { members.allSatisfy { $0.partitions.count == 2 } }
            try #require(isDealtOut, "\(members.map(\.errors))")

            let (zombie, killed) = (members[3], members[2])
            let lost = try stopInTransaction(zombie, watch)
            killed.killNow()
            members = [members[0], members[1], try place.start(work)]
            // The group notices both, and whoever gets their partitions claims them.
            let claimed =
                "SELECT count(*) FROM allocations.consumer_offsets WHERE topic_partition IN (\(lost)) AND epoch > "
            let highest = try integer("SELECT max(epoch) FROM fenced_epochs", watch)
            #expect(try eventually { try integer(claimed + String(highest), watch) == 2 })
            zombie.signal(SIGCONT)
            #expect(zombie.waitFor("worker 0 is fenced from"), "\(zombie.errors)")

            for member in members + [zombie] {
                let ended = try member.wait(seconds: 90)
                #expect(ended.status == 0, "\(ended.errors)")
                #expect(ended.output.contains("group kill-test: "), "\(ended.output)")
            }
            #expect(zombie.output.contains(" 2 lost, 1 transactions fenced"), "\(zombie.output)")
            let booked = try place.start(["book"] + servers.prefix(2)).wait()
            #expect(booked.status == 0, "\(booked.errors)")
            let verified = try place.start(["verify", "--topic", Self.topic] + servers).wait()
            #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
        }
    }

    /// Executions in the topic, and a database that takes its time.
    private func prepare(_ place: Place, _ servers: some Collection<String>, _ watch: PostgresConnection) throws {
        for verb in [
            ["seed", "--size", "tiny", "--quiet"] + servers.prefix(2), ["route"] + servers.prefix(2),
            ["execute", "--count", String(Self.total)] + servers.prefix(2),
            ["feed", "--topic", Self.topic, "--partitions", "8", "--until-caught-up"] + servers,
        ] {
            let finished = try place.start(verb).wait()
            #expect(finished.status == 0, "\(verb): \(finished.errors)")
        }
        try watch.execute(
            """
            CREATE FUNCTION public.take_time() RETURNS TRIGGER LANGUAGE plpgsql AS
              'BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END';
            CREATE TRIGGER take_time AFTER INSERT ON allocations.captured_trades
              FOR EACH STATEMENT EXECUTE FUNCTION public.take_time()
            """)
    }

    /// Stops a process while the server has its transaction, and lets that meet a later epoch: it changes nothing.
    /// - Returns: the partitions of the process, with commas between them.
    private func stopInTransaction(_ member: RunningProgram, _ watch: PostgresConnection) throws -> String {
        let lost = member.partitions.joined(separator: ", ")
        let place =
            "SELECT string_agg(next_offset::TEXT, ' ' ORDER BY topic_partition) FROM allocations.consumer_offsets "
        // What whoever has the partitions next will do: until this commits, the process waits in its transaction.
        try watch.execute(
            """
            BEGIN;
            UPDATE allocations.consumer_offsets SET epoch = epoch + 1 WHERE topic_partition IN (\(lost));
            CREATE TABLE public.fenced_epochs AS
              SELECT epoch FROM allocations.consumer_offsets WHERE topic_partition IN (\(lost))
            """)
        let offsets = try watch.query(place + "WHERE topic_partition IN (\(lost))").text(0, 0)
        let waiting = """
            SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'allocbench worker' AND wait_event_type = 'Lock'
              AND pg_blocking_pids(pid) = ARRAY[pg_backend_pid()]
            """
        #expect(try eventually { try integer(waiting, watch) == 1 }, "\(member.errors)")
        member.signal(SIGSTOP)
        let transaction = try integer(
            waiting.replacing("count(*)", with: "max(pid)"), watch)
        try watch.execute("COMMIT")
        let isOver = "SELECT count(*) FROM pg_stat_activity WHERE pid = \(transaction) AND state LIKE 'idle%'"
        #expect(try eventually { try integer(isOver, watch) == 1 })
        #expect(try watch.query(place + "WHERE topic_partition IN (\(lost))").text(0, 0) == offsets)
        return lost
    }

    private func integer(_ sql: String, _ connection: PostgresConnection) throws -> Int {
        Int(try connection.query(sql).text(0, 0) ?? "") ?? 0
    }
}

extension RunningProgram {
    /// What the last line about its partitions says that its worker has.
    fileprivate var partitions: [String] {
        guard let line = errors.split(separator: "\n").last(where: { $0.contains("; has now: ") }),
            let list = line.split(separator: "; has now: ").last, list != "nothing"
        else { return [] }
        return list.split(separator: ", ").map(String.init)
    }
}
