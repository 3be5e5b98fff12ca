// The concurrent workers beside pgbench, which does the same to the same tables: by the same statements, and for fills alone by the
// one statement that does as much as the workers' three.
//
// pgbench has no stream, so it makes its values by formula: a client is a partition, its counter the offset, and blocks and
// executions are its own. It writes as many rows as the workers do, which is compared after every run.

import Allocations
import Diagnostics
import Model
import Postgres
import Scenario

final class PgbenchPair: PeerPair {
    enum Kind: String {
        /// A snapshot with every execution: fill and allocate in one transaction.
        case full = "concurrent"
        /// The same, several transactions on their way at once.
        case pipelined = "concurrent-pipelined"
        /// Hardly any snapshots: a fill is a transaction by itself.
        case fills
    }

    private static let clients = 16
    private static let depth = 8
    private static let accountsPerBlock = 10
    /// Of all blocks on pgbench's side, which can't know how much each was ordered.
    private static let orderQuantity = 1_000_000_000

    private let kind: Kind
    private let shape: PeerStream.Shape
    private var stream: PeerStream?
    /// Executions of each client: as many as the partition with the fewest has, so that all have work to the end on either side.
    private(set) var perClient = 0
    /// How many rows of allocations our workers wrote.
    private var allocationRows: Int64 = 0
    private(set) var peer = "pgbench"

    init(_ kind: Kind, _ size: PeerSize) {
        self.kind = kind
        let perClient = size.pick(tiny: 2 * Self.depth, full: kind == .fills ? 3200 : 1600)
        shape = PeerStream.Shape(
            executions: Self.clients * perClient, blocks: Self.clients * size.pick(tiny: 2, full: 40),
            accountsPerBlock: Self.accountsPerBlock, partitions: Self.clients)
    }

    var name: String { kind.rawValue }
    var path: String {
        switch kind {
        case .full: "concurrent worker: the full allocation transaction per execution, 16 connections"
        case .pipelined: "the same, pipelined"
        case .fills: "concurrent worker: a fill per execution, 16 connections"
        }
    }
    var unit: String { "executions/s" }
    var warmUps: Int { 2 }
    var target: Double? {
        switch kind {
        case .full: 1.5
        case .pipelined: 1.1
        case .fills: nil
        }
    }

    func obstacle(_ surroundings: PeerSurroundings) -> String? { surroundings.missing("pgbench") }

    func prepare(_ bench: PeerBench) throws {
        peer = PeerBench.version(of: "pgbench") + (kind == .pipelined ? ", \\startpipeline" : "") + ", -M prepared"
        var made = try PeerStream.make(shape, on: bench)
        try made.publish(on: bench)
        try made.planAsWorkersDo(on: bench)
        perClient = try made.cutEvenly(to: Self.depth, on: bench)
        stream = made
        let ids = try bench.withConnection {
            try $0.query("SELECT min(block_order_id), max(block_order_id) FROM orders.block_orders")
        }
        guard ids.int64(0, 1) - ids.int64(0, 0) + 1 == shape.blocks else {
            throw OperatingError("the ids of block orders have gaps, so that no formula finds them")
        }
        try bench.write(script(firstBlock: ids.int64(0, 0)), to: "script.sql")
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let stream else { preconditionFailure("a pair is prepared first") }
        try stream.freshAllocations(on: bench)
        let configuration = Configuration(
            mode: .concurrent, workers: Self.clients, pipelineDepth: kind == .pipelined ? Self.depth : 1,
            snapshots: kind == .fills ? .completion : .executions(1))
        let drained = try WorkerPool.run(try stream.plan(configuration, on: bench), stop: bench.stop)
        allocationRows = try bench.withConnection {
            try $0.query("SELECT count(*) FROM allocations.allocations").int64(0, 0)
        }
        return PeerRun(figure: drained.messagesPerSecond, work: try work(bench))
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let stream else { preconditionFailure("a pair is prepared first") }
        try stream.freshAllocations(on: bench)
        if kind != .fills {
            try bench.withConnection {
                try $0.execute("UPDATE allocations.block_fills SET order_quantity = \(Self.orderQuantity)")
                try $0.execute("VACUUM allocations.block_fills")
                try $0.execute("CHECKPOINT")
            }
        }
        let perScript = kind == .pipelined ? Self.depth : 1
        let output = try PeerBench.child([
            "pgbench", "-n", "-M", "prepared", "-c", "\(Self.clients)", "-j", "2",
            "-t", "\(perClient / perScript)", "-D", "n=-1", "-D", "topic=\(stream.topic)",
            "-D", "rows=\(allocationRows)", "-f", bench.path("script.sql"), bench.connectionText,
        ])
        guard let rate = Self.rate(in: output) else { throw OperatingError("pgbench told no rate: \(output)") }
        return PeerRun(figure: rate * Double(perScript), work: try work(bench))
    }

    /// `tps = 5123.456789 (without initial connection time)`
    static func rate(in output: String) -> Double? {
        let line = output.split(separator: "\n").last { $0.hasPrefix("tps = ") && $0.contains("without initial") }
        return line.flatMap { $0.split(separator: " ").dropFirst(2).first }.flatMap { Double($0) }
    }

    // MARK: The script

    /// What one client does for one execution, or for several in one pipeline. A block's quantities and prices are always the same,
    /// so that where it stands follows from the number of its executions.
    func script(firstBlock: Int64) -> String {
        let perBlockCount = shape.blocks / Self.clients
        let count = Self.clients * perClient
        let values = """
            \\set n :n + 1
            \\set execution :n * \(Self.clients) + :client_id + 1
            \\set next :n + 1
            \\set block \(firstBlock) + :client_id + \(Self.clients) * (:n % \(perBlockCount))
            \\set quantity 250 + :block % 50
            \\set ticks 1000000 + :block % 1000

            """
        let trade = [":execution", ":block", ":quantity", ":ticks", ":n"]
        let advance = [":topic", ":client_id", "0", ":n", ":next"]
        if kind == .fills {
            return values + Self.statement("fill_trades", advance + trade.map { "ARRAY[\($0)]" })
        }
        // Of all accounts that changed, each transaction has its even share.
        let snapshotValues = """
            \\set snapshot :n / \(perBlockCount) + 1
            \\set before :snapshot - 1
            \\set notional :quantity * :ticks
            \\set cum_before :before * :quantity
            \\set cum_quantity :snapshot * :quantity
            \\set notional_before :before * :notional
            \\set cum_notional :snapshot * :notional
            \\set accounts :execution * :rows / \(count) - (:execution - 1) * :rows / \(count)
            \\set cumulative :snapshot * 27

            """
        let accounts = Self.accountsPerBlock
        func ofAccounts(_ value: String) -> String { "array_fill(\(value)::INT8, ARRAY[:accounts]::INT4[])" }
        let statements = [
            Self.statement("advance_offset", advance),
            Self.statement("capture_trade", [":client_id"] + trade),
            Self.statement(
                "move_block",
                [
                    ":block", ":quantity", ":notional", "1", ":cum_before", ":notional_before", ":before",
                    "\(Self.orderQuantity)", ":before", ":cum_before", ":notional_before", "1", "0",
                ]),
            Self.statement(
                "record_snapshot", [":block", ":snapshot", ":cum_quantity", ":cum_notional", ":ticks", "0"]),
            Self.statement(
                "allocate_block",
                [
                    ":block",
                    "('{\((1...accounts).map(String.init).joined(separator: ","))}'::INT8[])[1 : :accounts]",
                    ":snapshot", ofAccounts("27"), ofAccounts(":cumulative"), ":ticks",
                ]),
        ]
        let transaction = values + snapshotValues + "BEGIN;\n" + statements.joined() + "COMMIT;\n"
        guard kind == .pipelined else { return transaction }
        return "\\startpipeline\n" + String(repeating: transaction, count: Self.depth) + "\\endpipeline\n"
    }

    /// The workers' statement with these words in the places of its parameters.
    static func statement(_ name: String, _ parameters: [String]) -> String {
        var text = WorkerStatements.text(name)
        // From the last on, because $1 begins $10.
        for (index, word) in parameters.enumerated().reversed() {
            text = text.split(separator: "$\(index + 1)", omittingEmptySubsequences: false).joined(separator: word)
        }
        return text + ";\n"
    }

    // MARK: What was done

    /// Rows written and moved.
    private func work(_ bench: PeerBench) throws -> [String: String] {
        var counts = [
            ("captured", "SELECT count(*) FROM allocations.captured_trades"),
            ("filled", "SELECT sum(execution_count) FROM allocations.block_fills"),
            ("moved offsets", "SELECT sum(next_offset) FROM allocations.consumer_offsets"),
        ]
        // Of fills alone ours takes a snapshot at the end of each block, which pgbench is spared.
        if kind != .fills {
            counts += [
                ("snapshots", "SELECT count(*) FROM allocations.snapshots"),
                ("allocations", "SELECT count(*) FROM allocations.allocations"),
            ]
        }
        return try bench.withConnection { connection in
            var work: [String: String] = [:]
            for (name, sql) in counts { work[name] = try connection.query(sql).text(0, 0) ?? "none" }
            return work
        }
    }
}
