// The verifier, its oracle included, beside psql with the same differences in SQL alone.

import Allocations
import Booking
import Diagnostics
import Measurement
import Model
import Postgres
import Scenario

final class VerifierPair: PeerPair {
    private static let script = "verify.sql"

    private let shape: PeerStream.Shape
    private var ends: [Int32: Int64] = [:]
    private(set) var peer = "psql"

    init(_ size: PeerSize) {
        shape = PeerStream.Shape(
            executions: size.pick(tiny: 2_000, full: 1_000_000), blocks: size.pick(tiny: 20, full: 1_000),
            accountsPerBlock: 20, partitions: 8)
    }

    let name = "verifier"
    var path: String { "verifier over \(shape.executions) executions, oracle included" }
    let unit = "s"
    let isHigherBetter = false
    let target: Double? = 1.5

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        surroundings.missing("psql") ?? surroundings.missingKafka
    }

    /// Both sides read the same tables, so that they are filled once.
    func prepare(_ bench: PeerBench) throws {
        peer = PeerBench.version(of: "psql") + ", the same differences, one after another"
        var stream = try PeerStream.make(shape, on: bench)
        try stream.publish(on: bench)
        try stream.freshAllocations(on: bench)
        ends = stream.ends
        let plan = try stream.plan(Configuration(mode: .batch, workers: 4, batchSize: 1024), on: bench)
        _ = try WorkerPool.run(
            plan, bookings: BookingPlan(connection: bench.target.connection, workers: 1), stop: bench.stop)
        // So that neither side finds the tables as the other doesn't.
        try bench.withConnection { try $0.execute("VACUUM (ANALYZE)") }
        try bench.write(Self.script(ends), to: Self.script)
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        try bench.withConnection { connection in
            let began = monotonicNow()
            let checks = try Verifier.verify(on: connection, topic: PeerStream.topic, topicEnds: ends)
            let seconds = Double(monotonicNow() - began) / 1e9
            return PeerRun(figure: seconds, work: Self.work(differences: checks.differenceLines.count))
        }
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        let run = try PsqlScript.run([Self.script], on: bench)
        return PeerRun(figure: run.seconds, work: Self.work(differences: run.output.count))
    }

    private static func work(differences: Int) -> [String: String] { ["differences": String(differences)] }

    static func script(_ ends: [Int32: Int64]) -> String {
        let partitions = ends.keys.sorted()
        var script = PsqlScript()
        let checks = AllocationsVerification.statements.map { name, sql in
            guard name == "offsets_differ_from_topic" else { return sql }
            script.append("PREPARE \(name) AS \(sql)")
            return "EXECUTE \(name)('\(PeerStream.topic)', \(PsqlScript.array(partitions.map(Int64.init))), "
                + "\(PsqlScript.array(partitions.map { ends[$0] ?? 0 })))"
        }
        script.begin(keepsOutput: true)
        for check in checks { script.append(check) }
        script.end()
        return script.text
    }
}
