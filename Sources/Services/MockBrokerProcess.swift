// librdkafka's mock cluster as a process of its own, and how the harness talks to it.
// The mock of librdkafka 2.0.2 has no CreateTopics request, so topics are made over a small control socket:
// one line asks, one line answers (`ok …` or `error …`).

import CSpawn
import Diagnostics
import Glibc
import Kafka
import Threads

/// The child's side: what the hidden verb `broker-mock` runs.
public enum MockBrokerProcess {
    public static let verb = "broker-mock"

    /// Serves the mock cluster until SIGTERM or SIGINT; prints nothing. Doesn't return unless it can't start.
    ///
    /// Requests: `ping`, `bootstrap`, `topic NAME PARTITIONS`. One connection is served at a time.
    public static func run(controlSocket path: String) throws -> Never {
        // Blocked before the first thread, so that all threads inherit it and only sigwait takes the signal.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let cluster = try MockCluster()
        let socket = try UnixSocket.listen(at: path)
        let waited = signals
        let watcher = WorkerThread<Void>(name: "signals") {
            var signal: Int32 = 0
            var waited = waited
            while sigwait(&waited, &signal) != 0 {}
            unlink(path)
            _exit(0)
        }
        // The watcher ends the process; there is nothing to join.
        _ = watcher
        while true {
            let peer = try socket.accept(timeoutMs: 5_000)
            while let line = peer.readLine() {
                guard peer.write(line: answer(to: line, cluster)) else { break }
            }
        }
    }

    /// The answer to one request line.
    static func answer(to line: String, _ cluster: MockCluster) -> String {
        let words = line.split(separator: " ")
        switch words.first {
        case "ping" where words.count == 1: return "ok"
        case "bootstrap" where words.count == 1: return "ok \(cluster.bootstrapServers)"
        case "topic" where words.count == 3:
            guard let partitions = Int(words[2]), (1...10_000).contains(partitions) else {
                return "error \(words[2]) is not a number of partitions from 1 to 10000"
            }
            do throws(KafkaError) {
                try cluster.createTopic(String(words[1]), partitions: partitions)
                return "ok"
            } catch {
                return error.code == .topicAlreadyExists ? "error exists" : "error \(error.message)"
            }
        default: return "error unknown request"
        }
    }
}

/// The harness's side of the control socket.
struct MockBrokerControl {
    let socket: String

    /// Whether the mock answers.
    var isAnswering: Bool { (try? ask("ping")) != nil }

    func bootstrapServers() throws(OperatingError) -> String { try ask("bootstrap") }

    func createTopic(_ name: String, partitions: Int) throws {
        do throws(OperatingError) {
            _ = try ask("topic \(name) \(partitions)")
        } catch {
            guard error.message == "exists" else { throw error }
            throw KafkaError(code: .topicAlreadyExists, message: "topic \"\(name)\" exists already")
        }
    }

    /// Sends a line and gives back what follows `ok`.
    private func ask(_ line: String) throws(OperatingError) -> String {
        let connection = try UnixSocket.connect(to: socket, timeoutMs: 5_000)
        guard connection.write(line: line), let answer = connection.readLine() else {
            throw OperatingError("the mock broker doesn't answer at \(socket)")
        }
        if answer == "ok" { return "" }
        if answer.hasPrefix("ok ") { return String(answer.dropFirst(3)) }
        throw OperatingError(answer.hasPrefix("error ") ? String(answer.dropFirst(6)) : answer)
    }
}
