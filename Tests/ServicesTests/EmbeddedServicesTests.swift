// PostgreSQL and a broker in a state folder: who owns them, what survives a kill -9 and what doesn't.

import Diagnostics
import Glibc
import Kafka
import Postgres
import Services
import TestSupport
import Testing
import Threads

@Suite struct EmbeddedServicesTests {
    /// What answers where it should.
    private func probe(_ services: EmbeddedServices) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        try connection.execute("SELECT 1")
        connection.close()
        try KafkaAdmin(settings: services.broker.clientSettings).requireReachable()
    }

    private func status(_ state: StateFolder) -> [String: Bool] {
        let all = ServicesControl.status(in: state).map { ($0.record.kind.rawValue, $0.isRunning) }
        return Dictionary(all, uniquingKeysWith: { $0 && $1 })
    }

    @Test(arguments: BrokerKind.available)
    func `a run has services of its own and leaves nothing`(kind: BrokerKind) throws {
        try withStateFolder { state in
            let services = try EmbeddedServices.start(in: state, broker: kind.choice)
            try probe(services)
            try services.createTopic(name: "t", partitions: 2)
            #expect(!services.isShared)
            #expect(services.postgresSettings["wal_level"] == "logical")
            #expect(status(state).count == 3)
            services.stop()
            services.stop()
            #expect(status(state).isEmpty)
            #expect(processes(naming: state.path) == [])
        }
    }

    @Test func `services that were started are used by a run and left running`() throws {
        try withStateFolder { state in
            let started = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
            let run = try EmbeddedServices.start(in: state, broker: .mock)
            #expect(run.isShared)
            #expect(run.connectionInfo == started.connectionInfo)
            #expect(run.bootstrapServers == started.bootstrapServers)
            run.stop()
            try probe(started)
            #expect(status(state) == ["postgres": true, "mock broker": true])
            let stopped = try ServicesControl.stop(in: state).map(\.kind.rawValue).sorted()
            #expect(stopped == ["mock broker", "postgres"])
            #expect(processes(naming: state.path) == [])
        }
    }

    @Test func `a program that attaches to running services breaks no connection that another one is making`() throws {
        try withStateFolder { state in
            let started = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
            let info = try ConnectionInfo(started.connectionInfo)
            let stop = StopFlag()
            // A server process that was forked a moment ago still looks like the server itself.
            let connecting = (0..<3).map { _ in
                WorkerThread(name: "connecting") {
                    var count = 0
                    defer { stop.set() }
                    while !stop.isSet {
                        try PostgresConnection.connect(to: info).close()
                        count += 1
                    }
                    return count
                }
            }
            for _ in 0..<30 where !stop.isSet { _ = try EmbeddedServices.start(in: state, broker: .mock) }
            stop.set()
            for thread in connecting {
                let count = try thread.join()
                #expect(count > 0)
            }
        }
    }

    @Test func `services of another broker kind are refused with the remedy`() throws {
        try withStateFolder { state in
            _ = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
            let error = try operatingError { _ = try EmbeddedServices.start(in: state, broker: .kafka(home: "/x")) }
            #expect(error.message.contains("is a mock broker, but a kafka is wanted"), "\(error)")
            #expect(error.remedy?.contains("services stop") == true)
        }
    }

    @Test func `if one service doesn't start the other is stopped as well`() throws {
        try withStateFolder { state in
            let error = try operatingError { _ = try EmbeddedServices.start(in: state, broker: .kafka(home: "/x")) }
            #expect(error.message.contains("/x is not a Kafka distribution"))
            #expect(status(state).isEmpty)
            #expect(processes(naming: state.path) == [])
        }
    }

    @Test func `what is down after a kill -9 is told, and started again on the same data`() throws {
        try withStateFolder { state in
            let first = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
            let connection = try PostgresConnection.connect(to: ConnectionInfo(first.connectionInfo))
            try connection.execute("CREATE TABLE kept (id INT); INSERT INTO kept VALUES (42)")
            connection.close()
            for kind in [ServiceRecord.Kind.postgres, .mockBroker] {
                let before = ServicesControl.status(in: state)
                let candidate = before.map(\.record).first { $0.kind == kind }
                let victim = try #require(candidate)
                ChildProcess.terminate(victim.process.pid, startTicks: victim.process.startTicks, signal: SIGKILL)
                #expect(status(state) == ["postgres": kind != .postgres, "mock broker": kind != .mockBroker])
                let error = try operatingError { _ = try EmbeddedServices.start(in: state, broker: .mock) }
                #expect(error.message.contains("is down"), "\(error)")

                let again = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
                try probe(again)
                let after = ServicesControl.status(in: state).map(\.record)
                #expect(after.count == 2)
                let survivors = after.filter { $0.kind != kind }.map(\.process)
                let others = before.map(\.record).filter { $0.kind != kind }.map(\.process)
                #expect(survivors == others)
                let reader = try PostgresConnection.connect(to: ConnectionInfo(again.connectionInfo))
                let value = try reader.query("SELECT id FROM kept").int64(0, 0)
                reader.close()
                #expect(value == 42)
            }
        }
    }

    @Test(arguments: BrokerKind.best)
    func `the guard stops the services of a run that was killed`(kind: BrokerKind) throws {
        try withStateFolder { state in
            let home = kind == .kafka ? ["--kafka-home", BrokerKind.kafkaHome ?? ""] : []
            let run = try HarnessProcess(
                ["services-hold", "--state", state.path] + home, log: state.path + "/hold.log")
            #expect(run.waitFor("ready"), "\(run.output)")
            #expect(processes(naming: state.path).count >= 4)
            run.signal(SIGKILL)
            let isClear = eventually(seconds: 40) { processes(naming: state.path).isEmpty }
            #expect(isClear, "\(processes(naming: state.path))")
            let isStruckOff = eventually { status(state).isEmpty }
            #expect(isStruckOff)
            // The lock went with its holder, and the data is whole.
            let lock = try state.lockRun()
            defer { lock.release() }
            let next = try EmbeddedServices.start(in: state, broker: kind.choice)
            try probe(next)
            next.stop()
        }
    }

    @Test func `a start clears what a run and its guard left when both were killed`() throws {
        try withStateFolder { state in
            let run = try HarnessProcess(["services-hold", "--state", state.path], log: state.path + "/hold.log")
            #expect(run.waitFor("ready"), "\(run.output)")
            let left = ServicesControl.status(in: state).map(\.record)
            let candidate = left.first { $0.kind == .guardian }
            let watcher = try #require(candidate)
            ChildProcess.terminate(watcher.process.pid, startTicks: watcher.process.startTicks, signal: SIGKILL)
            run.signal(SIGKILL)
            let areRunning = left.filter { $0.kind != .guardian }.map(\.isRunning)
            #expect(areRunning == [true, true])

            let services = try EmbeddedServices.start(in: state, broker: .mock)
            let areGone = left.allSatisfy { !$0.isRunning }
            #expect(areGone)
            try probe(services)
            services.stop()
            #expect(processes(naming: state.path) == [])
        }
    }

    /// Killed at moments spread over the start: between a spawn and its record, in initdb, anywhere.
    @Test(arguments: [5, 60, 250, 500])
    func `a run killed while it starts leaves nothing that the next start doesn't clear`(delayMs: UInt32) throws {
        try withStateFolder { state in
            let run = try HarnessProcess(["services-hold", "--state", state.path], log: state.path + "/hold.log")
            usleep(delayMs * 1_000)
            // The guard too, if there is one yet, so that only the next start can clear up.
            for record in ServicesControl.status(in: state).map(\.record) where record.kind == .guardian {
                kill(record.process.pid, SIGKILL)
            }
            run.signal(SIGKILL)
            let services = try EmbeddedServices.start(in: state, broker: .mock)
            try probe(services)
            let names = Set(ServicesControl.status(in: state).map { $0.record.process.pid })
            // A server process that was forked a moment ago still looks like the server itself, for that moment.
            let hasNoStrangers = eventually(seconds: 5) {
                processes(naming: "\(state.path)/postgres/data").allSatisfy(names.contains)
            }
            #expect(hasNoStrangers)
            services.stop()
            let isClear = eventually(seconds: 5) { processes(naming: state.path).isEmpty }
            #expect(isClear)
        }
    }

    @Test(arguments: [40, 350])
    func `a run killed while it starts is cleared up by its guard alone`(delayMs: UInt32) throws {
        try withStateFolder { state in
            let run = try HarnessProcess(["services-hold", "--state", state.path], log: state.path + "/hold.log")
            usleep(delayMs * 1_000)
            run.signal(SIGKILL)
            let isClear = eventually(seconds: 30) { processes(naming: state.path).isEmpty && status(state).isEmpty }
            #expect(isClear, "\(processes(naming: state.path)), \(status(state))")
        }
    }

    @Test func `a run that ends by itself stops its services and its guard`() throws {
        try withStateFolder { state in
            let run = try HarnessProcess(["services-hold", "--state", state.path], log: state.path + "/hold.log")
            #expect(run.waitFor("ready"), "\(run.output)")
            #expect(run.end())
            #expect(processes(naming: state.path) == [])
            #expect(status(state).isEmpty)
        }
    }

    @Test func `two state folders don't collide`() throws {
        try withStateFolder { one in
            try withStateFolder { other in
                let first = try EmbeddedServices.start(in: one, broker: .mock)
                let second = try EmbeddedServices.start(in: other, broker: .mock)
                #expect(first.connectionInfo != second.connectionInfo)
                #expect(first.bootstrapServers != second.bootstrapServers)
                try first.createTopic(name: "same", partitions: 1)
                try second.createTopic(name: "same", partitions: 1)
                first.stop()
                try probe(second)
                second.stop()
                #expect(processes(naming: one.path) + processes(naming: other.path) == [])
            }
        }
    }

    @Test func `a second run in one folder is refused with the pid of the first`() throws {
        try withStateFolder { state in
            let run = try HarnessProcess(["services-hold", "--state", state.path], log: state.path + "/hold.log")
            #expect(run.waitFor("ready"), "\(run.output)")
            let error = try operatingError { _ = try state.lockRun() }
            #expect(error.message.contains("pid \(run.identity.pid)"), "\(error)")
            #expect(error.remedy?.contains("--state DIR") == true)
            let stop = try operatingError { try ServicesControl.stop(in: state) }
            #expect(stop.message.contains("pid \(run.identity.pid)"), "\(stop)")
            let start = try operatingError {
                _ = try EmbeddedServices.start(in: state, broker: .mock, owner: .servicesStart)
            }
            #expect(start.message.contains("pid \(run.identity.pid)"), "\(start)")
            #expect(run.end())
            let lock = try state.lockRun()
            lock.release()
        }
    }

    @Test func `the commands start, tell and stop`() throws {
        try withStateFolder { state in
            let options = ["--state", state.path]
            let nothing = try HarnessProcess.run(["services", "status"] + options)
            #expect(nothing.status == 1 && nothing.output == "no services in \(state.path)\n", "\(nothing)")
            let start = try ChildProcess.run(
                ["env", "-u", "KAFKA_HOME", HarnessProcess.executable, "services", "start"] + options)
            #expect(start.status == 0, "\(start.output)")
            let status = try HarnessProcess.run(["services", "status"] + options)
            #expect(status.status == 0 && status.output == start.output, "\(status)")
            for word in ["postgres     up", "mock broker  up", "owner: services start", "127.0.0.1:", "since 20"] {
                #expect(status.output.contains(word), "\(status.output)")
            }
            let stop = try HarnessProcess.run(["services", "stop"] + options)
            #expect(stop.status == 0 && stop.output.contains("stopped postgres"), "\(stop)")
            #expect(processes(naming: state.path) == [])
            let again = try HarnessProcess.run(["services", "stop"] + options)
            #expect(again.status == 0 && again.output == "nothing was running in \(state.path)\n", "\(again)")
        }
    }

    @Test func `a state folder that can't be one is refused`() throws {
        let file = try operatingError { _ = try StateFolder("/etc/passwd") }
        #expect(file.message.contains("/etc/passwd is in the way"), "\(file)")
        let under = try operatingError { _ = try StateFolder("/etc/passwd/state") }
        #expect(under.message.contains("/etc/passwd"), "\(under)")
        let empty = try operatingError { _ = try StateFolder("") }
        #expect(empty.message.contains("--state"), "\(empty)")
    }

    @Test func `a services file that is no JSON counts as none`() throws {
        try withStateFolder { state in
            #expect(try ChildProcess.run(["sh", "-c", "echo '{' > '\(state.path)/services.json'"]).status == 0)
            #expect(ServicesControl.status(in: state).isEmpty)
            let services = try EmbeddedServices.start(in: state, broker: .mock)
            try probe(services)
            services.stop()
        }
    }
}
