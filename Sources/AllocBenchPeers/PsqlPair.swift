// The batch and the cycle worker beside psql, which sends the same set-based SQL from files that were written beforehand: no
// Kafka, no decoding, nothing to work out.

import Allocations
import Diagnostics
import Model
import Postgres
import Scenario

final class PsqlPair: PeerPair {
    enum Kind: String {
        case batch, cycle
    }

    private let kind: Kind
    private let shape: PeerStream.Shape
    private let configuration: Configuration
    private var stream: PeerStream?
    private var hasFiles = false
    private(set) var peer = "psql"

    /// Rows of one cycle of psql, about what a cycle of ours has. They are of two partitions; ours stages as many of one at a time.
    private static let cycleRows = 8192

    init(_ kind: Kind, _ size: PeerSize) {
        self.kind = kind
        shape = PeerStream.Shape(
            executions: size.pick(tiny: 2_000, full: kind == .batch ? 1_000_000 : 800_000),
            blocks: size.pick(tiny: 20, full: 600), accountsPerBlock: 20, partitions: 8)
        configuration =
            kind == .batch
            ? Configuration(mode: .batch, workers: 4, batchSize: 1024)
            : Configuration(mode: .cycle, workers: 4, batchSize: Self.cycleRows / 2, cycleIntervalMs: 250)
    }

    var name: String { kind.rawValue }
    var path: String { "\(kind.rawValue) worker: \(configuration.name), from the topic" }
    var unit: String { "executions/s" }
    var target: Double? { 0.9 }
    var warmUps: Int { 2 }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        surroundings.missing("psql") ?? surroundings.missingKafka
    }

    func prepare(_ bench: PeerBench) throws {
        peer = PeerBench.version(of: "psql") + " -f, the same SQL without Kafka"
        var made = try PeerStream.make(shape, on: bench)
        try made.publish(on: bench)
        try made.planAsWorkersDo(on: bench)
        stream = made
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let stream else { preconditionFailure("a pair is prepared first") }
        try stream.freshAllocations(on: bench)
        let drained = try WorkerPool.run(try stream.plan(configuration, on: bench), stop: bench.stop)
        return PeerRun(figure: drained.messagesPerSecond, work: try work(bench))
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let stream else { preconditionFailure("a pair is prepared first") }
        // What ours has captured says which message stood where in the topic.
        if !hasFiles { try writeFiles(bench) }
        hasFiles = true
        try stream.freshAllocations(on: bench)
        let run = try PsqlScript.run(Self.groups(configuration.workers, stream.shape).indices.map(file), on: bench)
        return PeerRun(figure: Double(shape.executions) / run.seconds, work: try work(bench))
    }

    /// The last allocations, snapshots and fills, digested: they don't depend on how the messages were cut.
    private func work(_ bench: PeerBench) throws -> [String: String] {
        try bench.withConnection { try AllocationsVerification.checksums(on: $0) }
    }

    // MARK: Files

    private func file(_ group: Int) -> String { "\(name)-\(group).sql" }

    /// Partitions dealt out in turn, as among workers.
    private static func groups(_ workers: Int, _ shape: PeerStream.Shape) -> [[Int64]] {
        (0..<min(workers, shape.partitions)).map { worker in
            stride(from: worker, to: shape.partitions, by: workers).map(Int64.init)
        }
    }

    private func writeFiles(_ bench: PeerBench) throws {
        try bench.withConnection { connection in
            let book = try AllocationsSource.book(on: connection)
            for (index, group) in Self.groups(configuration.workers, shape).enumerated() {
                let queues = try group.map { try CapturedRow.all(of: $0, on: connection) }
                let text =
                    switch kind {
                    case .batch: Self.batches(queues, group, book, size: configuration.batchSize)
                    case .cycle: Self.cycles(queues, group, book, size: Self.cycleRows)
                    }
                try bench.write(text, to: file(index))
            }
        }
    }

    /// Transactions of at most `size` messages of one partition, partitions taking turns.
    static func batches(_ queues: [[CapturedRow]], _ partitions: [Int64], _ book: BlockBook, size: Int) -> String {
        var script = PsqlScript()
        var fills = FillsInSwift(book)
        script.prepare("fill_trades", "take_snapshots")
        script.begin()
        var next = queues.map { _ in 0 }
        while next.indices.contains(where: { next[$0] < queues[$0].count }) {
            for index in queues.indices where next[index] < queues[index].count {
                let end = min(next[index] + size, queues[index].count)
                let rows = queues[index][next[index]..<end]
                script.append("BEGIN")
                script.append(
                    "EXECUTE fill_trades('\(PeerStream.topic)', \(partitions[index]), 0, \(next[index]), \(end), "
                        + [
                            PsqlScript.array(rows.lazy.map(\.execution)), PsqlScript.array(rows.lazy.map(\.block)),
                            PsqlScript.array(rows.lazy.map(\.quantity)), PsqlScript.array(rows.lazy.map(\.ticks)),
                            PsqlScript.array(rows.lazy.map(\.offset)),
                        ].joined(separator: ", ") + ")")
                appendSnapshots(fills.fill(rows), to: &script)
                script.append("COMMIT")
                next[index] = end
            }
        }
        script.end()
        return script.text
    }

    /// Cycles of about `size` messages of all partitions: staged by COPY, then processed at once.
    static func cycles(_ queues: [[CapturedRow]], _ partitions: [Int64], _ book: BlockBook, size: Int) -> String {
        var script = PsqlScript()
        var fills = FillsInSwift(book)
        script.prepare("move_offset", "capture_and_fill_staged", "take_snapshots")
        script.begin()
        let share = max(1, size / max(1, queues.count))
        var next = queues.map { _ in 0 }
        while next.indices.contains(where: { next[$0] < queues[$0].count }) {
            var rows: [CapturedRow] = []
            script.append("BEGIN")
            for index in queues.indices where next[index] < queues[index].count {
                let end = min(next[index] + share, queues[index].count)
                rows += queues[index][next[index]..<end]
                script.append(
                    "EXECUTE move_offset('\(PeerStream.topic)', \(partitions[index]), 0, \(next[index]), \(end))")
                next[index] = end
            }
            script.append(
                "COPY allocations.staged_trades (topic_partition, topic_offset, execution_id, exec_type, exec_ref_id, "
                    + "block_order_id, order_version, order_quantity, quantity, price_ticks) FROM STDIN")
            for row in rows {
                script.appendLines(
                    "\(row.partition)\t\(row.offset)\t\(row.execution)\t1\t0\t\(row.block)\t0\t0\t\(row.quantity)\t"
                        + "\(row.ticks)\n")
            }
            script.appendLines("\\.\n")
            script.append("COMMIT")
            script.append("BEGIN")
            let epochs = PsqlScript.array(partitions.map { _ in Int64(0) })
            script.append(
                "EXECUTE capture_and_fill_staged('\(PeerStream.topic)', \(PsqlScript.array(partitions)), \(epochs))")
            appendSnapshots(fills.fill(rows[...]), to: &script)
            script.append("COMMIT")
        }
        script.end()
        return script.text
    }

    private static func appendSnapshots(_ snapshots: [Snapshot], to script: inout PsqlScript) {
        if snapshots.isEmpty { return }
        let rows = snapshots.flatMap { snapshot in
            snapshot.allocations.map { (block: snapshot.block.rawValue, allocation: $0) }
        }
        script.append(
            "EXECUTE take_snapshots("
                + [
                    PsqlScript.array(snapshots.lazy.map(\.block.rawValue)),
                    PsqlScript.array(snapshots.lazy.map(\.number)),
                    PsqlScript.array(snapshots.lazy.map(\.averagePrice.ticks)),
                    PsqlScript.array(snapshots.lazy.map { $0.isFinal ? 1 : 0 }),
                    PsqlScript.array(snapshots.lazy.map { $0.isBookingDue ? 1 : 0 }),
                    PsqlScript.array(rows.lazy.map { $0.block }),
                    PsqlScript.array(rows.lazy.map { $0.allocation.account.rawValue }),
                    PsqlScript.array(rows.lazy.map { $0.allocation.quantityDelta }),
                    PsqlScript.array(rows.lazy.map { $0.allocation.quantityCumulative }),
                ].joined(separator: ", ") + ")")
    }
}

/// A message as a worker has captured it.
struct CapturedRow {
    let partition: Int64
    let offset: Int64
    let execution: Int64
    let block: Int64
    let quantity: Int64
    let ticks: Int64

    /// Those of a partition, in the order of the topic.
    static func all(of partition: Int64, on connection: PostgresConnection) throws -> [CapturedRow] {
        let result = try connection.query(
            """
            SELECT topic_offset, execution_id, block_order_id, quantity, (price * 10000)::INT8
            FROM allocations.captured_trades WHERE topic_partition = $1::INT8 ORDER BY topic_offset
            """, .int64(partition))
        return (0..<result.rowCount).map { row in
            CapturedRow(
                partition: partition, offset: result.int64(row, 0), execution: result.int64(row, 1),
                block: result.int64(row, 2), quantity: result.int64(row, 3), ticks: result.int64(row, 4))
        }
    }
}

/// Where blocks stand after fills, and which snapshots those make due: what a worker learns from the database.
struct FillsInSwift {
    private let book: BlockBook
    private var states: [BlockState]

    init(_ book: BlockBook) {
        self.book = book
        states = book.blocks.map { BlockState(orderQuantity: $0.intendedQuantity) }
    }

    /// Fills these together, as one transaction does; returns the snapshots that it takes.
    mutating func fill(_ rows: ArraySlice<CapturedRow>) -> [Snapshot] {
        var moved: Set<Int> = []
        for row in rows {
            guard let block = book.position(of: BlockOrderID(row.block)) else { continue }
            states[block].cumQuantity += row.quantity
            states[block].notionalTicks += Int128(row.quantity) * Int128(row.ticks)
            states[block].executionCount += 1
            moved.insert(block)
        }
        var snapshots: [Snapshot] = []
        for block in moved.sorted() where states[block].isSnapshotDue(.quarters, elapsedMs: 0) {
            snapshots.append(book.blocks[block].snapshot(of: states[block]))
            states[block] = states[block].allocated()
        }
        return snapshots
    }
}
