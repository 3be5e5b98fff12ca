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

    /// Rows of one cycle of psql, half of them of either partition: as many of one as ours stages at a time.
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
        script.prepare(WorkerStatements.foreseen)
        script.begin()
        var next = queues.map { _ in 0 }
        while next.indices.contains(where: { next[$0] < queues[$0].count }) {
            for index in queues.indices where next[index] < queues[index].count {
                let end = min(next[index] + size, queues[index].count)
                let rows = queues[index][next[index]..<end]
                script.append("BEGIN")
                script.execute(
                    "advance_offset", "'\(PeerStream.topic)'", "\(partitions[index])", "0", "\(next[index])", "\(end)")
                script.execute(
                    "capture_trades", "\(partitions[index])", PsqlScript.array(rows.lazy.map(\.execution)),
                    PsqlScript.array(rows.lazy.map(\.block)), PsqlScript.array(rows.lazy.map(\.quantity)),
                    PsqlScript.array(rows.lazy.map(\.ticks)), PsqlScript.array(rows.lazy.map(\.offset)))
                appendForeseen(fills.fill(rows), to: &script)
                script.append("COMMIT")
                next[index] = end
            }
        }
        script.end()
        return script.text
    }

    private static func appendForeseen(_ fills: [BlockFill], to script: inout PsqlScript) {
        func column(_ element: (BlockFill) -> Int64) -> String { PsqlScript.array(fills.lazy.map(element)) }
        script.execute(
            "move_blocks", column { $0.id.rawValue }, column { $0.filled.cumQuantity - $0.before.cumQuantity },
            column { Int64($0.filled.notionalTicks - $0.before.notionalTicks) },
            column { $0.filled.executionCount - $0.before.executionCount }, column { $0.before.cumQuantity },
            column { Int64($0.before.notionalTicks) }, column { $0.before.executionCount },
            column { $0.before.orderQuantity }, column { $0.before.snapshotNumber },
            column { $0.before.allocatedQuantity }, column { Int64($0.before.allocatedNotionalTicks) },
            column { $0.snapshot == nil ? 0 : 1 }, column { $0.snapshot?.isFinal == true ? 1 : 0 })
        let due = fills.compactMap { fill in fill.snapshot.map { (state: fill.filled, snapshot: $0) } }
        if due.isEmpty { return }
        script.execute(
            "record_snapshots", PsqlScript.array(due.lazy.map(\.snapshot.block.rawValue)),
            PsqlScript.array(due.lazy.map(\.snapshot.number)), PsqlScript.array(due.lazy.map(\.state.cumQuantity)),
            PsqlScript.array(due.lazy.map { Int64($0.state.notionalTicks) }),
            PsqlScript.array(due.lazy.map(\.snapshot.averagePrice.ticks)),
            PsqlScript.array(due.lazy.map { $0.snapshot.isFinal ? 1 : 0 }))
        let rows = due.flatMap { due in due.snapshot.allocations.map { (due.snapshot, $0) } }
        script.execute(
            "allocate", PsqlScript.array(rows.lazy.map(\.0.block.rawValue)),
            PsqlScript.array(rows.lazy.map(\.1.account.rawValue)), PsqlScript.array(rows.lazy.map(\.0.number)),
            PsqlScript.array(rows.lazy.map(\.1.quantityDelta)),
            PsqlScript.array(rows.lazy.map(\.1.quantityCumulative)),
            PsqlScript.array(rows.lazy.map(\.0.averagePrice.ticks)))
        let requested = due.lazy.map(\.snapshot).filter(\.isBookingDue)
        if requested.isEmpty { return }
        script.execute(
            "request_bookings", PsqlScript.array(requested.map(\.block.rawValue)),
            PsqlScript.array(requested.map(\.number)))
    }

    /// Cycles of about `size` messages of all partitions: staged by COPY, then processed at once.
    static func cycles(_ queues: [[CapturedRow]], _ partitions: [Int64], _ book: BlockBook, size: Int) -> String {
        var script = PsqlScript()
        var fills = FillsInSwift(book)
        script.prepare(WorkerStatements.foreseenCycle)
        script.begin()
        let share = max(1, size / max(1, queues.count))
        var next = queues.map { _ in 0 }
        while next.indices.contains(where: { next[$0] < queues[$0].count }) {
            var rows: [CapturedRow] = []
            script.append("BEGIN")
            for index in queues.indices where next[index] < queues[index].count {
                let end = min(next[index] + share, queues[index].count)
                rows += queues[index][next[index]..<end]
                script.execute(
                    "advance_offset", "'\(PeerStream.topic)'", "\(partitions[index])", "0", "\(next[index])", "\(end)")
                next[index] = end
            }
            script.append(WorkerStatements.text("copy_staged"))
            for row in rows {
                script.appendLines(
                    "\(row.partition)\t\(row.offset)\t\(row.execution)\t1\t0\t\(row.block)\t0\t0\t\(row.quantity)\t"
                        + "\(row.ticks)\n")
            }
            script.appendLines("\\.\n")
            script.append("COMMIT")
            script.append("BEGIN")
            script.execute(
                "hold_partitions", "'\(PeerStream.topic)'", PsqlScript.array(partitions),
                PsqlScript.array(partitions.map { _ in Int64(0) }))
            script.execute("capture_staged", PsqlScript.array(partitions), "\(rows.count)")
            appendForeseen(fills.fill(rows[...]), to: &script)
            script.append("COMMIT")
        }
        script.end()
        return script.text
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

/// What fills do to one block.
struct BlockFill {
    let id: BlockOrderID
    let before: BlockState
    /// What is live then.
    var filled: BlockState
    /// What is taken of it.
    var snapshot: Snapshot?
}

/// Where blocks stand after fills, and which snapshots those make due: what a worker foresees, or learns from the database.
struct FillsInSwift {
    private let book: BlockBook
    private var states: [BlockState]

    init(_ book: BlockBook) {
        self.book = book
        states = book.blocks.map { BlockState(orderQuantity: $0.intendedQuantity) }
    }

    /// Fills these together, as one transaction does.
    mutating func fill(_ rows: ArraySlice<CapturedRow>) -> [BlockFill] {
        var fills: [Int: BlockFill] = [:]
        for row in rows {
            guard let block = book.position(of: BlockOrderID(row.block)) else { continue }
            var fill =
                fills[block] ?? BlockFill(id: book.blocks[block].id, before: states[block], filled: states[block])
            fill.filled.cumQuantity += row.quantity
            fill.filled.notionalTicks += Int128(row.quantity) * Int128(row.ticks)
            fill.filled.executionCount += 1
            fills[block] = fill
        }
        return fills.keys.sorted().compactMap { block in
            guard var fill = fills[block] else { return nil }
            states[block] = fill.filled
            if fill.filled.isSnapshotDue(.quarters, elapsedMs: 0) {
                fill.snapshot = book.blocks[block].snapshot(of: fill.filled)
                states[block] = fill.filled.allocated()
            }
            return fill
        }
    }
}
