// What goes to a server: the rows of a seed by COPY, and a worker's statement by pipeline.
//
// The server is a private one on a Unix socket that doesn't wait for its disk, so that what is measured is the way there and
// back. Its processes run on the same cores.

import Diagnostics
import Market
import Measurement
import Model
import Postgres
import Report
import Services

/// A PostgreSQL of the benchmarks' own, in a folder of its own.
struct BenchmarkServer {
    let info: ConnectionInfo
    /// The same as text, for a child.
    var text: String { server?.connectionInfo ?? "" }
    private let server: EmbeddedPostgres?

    /// Blocks until it accepts connections.
    /// - Parameter folder: holds the cluster from one time to the next.
    init(folder: String) throws {
        let settings = EmbeddedPostgres.defaultSettings.merging(
            ["fsync": "off", "autovacuum": "off", "synchronous_commit": "off"], uniquingKeysWith: { $1 })
        let server = try EmbeddedPostgres.start(
            dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket", settings: settings,
            logFile: "\(folder)/log")
        self.server = server
        do {
            info = try ConnectionInfo(server.connectionInfo)
        } catch {
            server.stop(mode: .immediate)
            throw error
        }
    }

    /// One that others started and stop.
    init(info: ConnectionInfo) {
        self.info = info
        server = nil
    }

    func stop() { server?.stop() }

    /// Calls `body` with a new database, which is dropped afterwards.
    func withDatabase<R>(_ body: (ConnectionInfo) throws -> R) throws -> R {
        let name = "allocbench_micro"
        let maintenance = try PostgresConnection.connect(to: info)
        defer { maintenance.close() }
        try maintenance.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        try maintenance.execute("CREATE DATABASE \(name) TEMPLATE template0")
        let outcome = Result { try body(info.with(database: name)) }
        try maintenance.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        return try outcome.get()
    }
}

// MARK: COPY

private func samplePrices() -> [DailyPrice] {
    var random = SeededRandom(seed: 5)
    return (0..<64).map { index in
        let low = random.integer(in: 10_000...5_000_000)
        return DailyPrice(
            securityID: SecurityID(Int64(index) + 1), date: TradeDate(dayNumber: 20_000), open: Price(ticks: low + 100),
            high: Price(ticks: low + 900), low: Price(ticks: low), close: Price(ticks: low + 500),
            volume: random.integer(in: 1_000...90_000_000))
    }
}

/// The row of a day, which no row before it has had.
private func price(_ samples: [DailyPrice], _ row: Int64) -> DailyPrice {
    let sample = samples[Int(row & 63)]
    return DailyPrice(
        securityID: sample.securityID, date: TradeDate(dayNumber: Int(row >> 6)), open: sample.open, high: sample.high,
        low: sample.low, close: sample.close, volume: sample.volume)
}

/// The seeder's row of daily prices, which is most of a seed, into memory.
func copyingToMemory(_ size: BenchmarkSize) throws -> [Figure] {
    let samples = samplePrices()
    var figure = try measure(
        "COPY, a row of prices to memory", per: "row", runs: size.runs, on: { UInt64(0) },
        { checksum in
            var sum: UInt64 = 0
            // The benchmark keeps nothing: what is measured is the writing of the rows.
            var writer = CopyWriter { block throws(PostgresError) in sum = sum &* 31 &+ UInt64(block.count) }
            for row in 0..<size.operationsMaximum { try MarketStore.write(price(samples, row), to: &writer) }
            try writer.flush()
            checksum = sum
            return (size.operationsMaximum, sum)
        })
    figure.note = "\(groupedWhole(figure.perSecond)) rows/s"
    return [figure]
}

let copyingToServerName = "COPY, a row of prices to the server"

/// The same into the table, through one connection.
func copyingToServer(_ size: BenchmarkSize, on server: BenchmarkServer) throws -> [Figure] {
    let samples = samplePrices()
    let rows = min(10 * size.serverOperations, size.operationsMaximum)
    return try server.withDatabase { info in
        let connection = try PostgresConnection.connect(to: info)
        defer { connection.close() }
        try MarketSchema.create(on: connection)
        var figure = try measure(
            copyingToServerName, per: "row", runs: size.runs, clock: .wall,
            on: { try MarketStore.truncate(on: connection) },
            { _ in
                let stored = try MarketStore.copyDailyPrices(on: connection) { write in
                    for row in 0..<rows { try write(price(samples, row)) }
                }
                return (Int64(stored), UInt64(stored))
            })
        figure.note = "\(groupedWhole(figure.perSecond)) rows/s"
        return [figure]
    }
}

// MARK: Pipeline

/// A statement that takes and answers as much as a worker's fill of one execution, and does nothing.
private let fillSizedStatement = """
    SELECT 1::INT8, cardinality($6::INT8[])::INT8, ($7::INT8[])[1], $2::INT8, $3::INT8::TEXT, 1::INT8, $4::INT8, 0::INT4,
           1::INT8, $5::INT8, ($9::INT8[])[1]::TEXT, ($8::INT8[])[1], 0::INT4, 0::INT4
    WHERE $1::TEXT <> '' AND ($10::INT8[])[1] >= 0
    """

private let pipelineDepths = [1, 8]
let pipeliningNames = pipelineDepths.map(pipeliningName)

private func pipeliningName(_ depth: Int) -> String { "pipeline round trip, depth \(depth)" }

/// The time from sending a statement to having read its answer and its sync, with so many under way.
func pipelining(_ size: BenchmarkSize, on server: BenchmarkServer) throws -> [Figure] {
    let connection = try PostgresConnection.connect(to: server.info)
    defer { connection.close() }
    try connection.prepare("fill_sized", fillSizedStatement)
    try connection.enterPipelineMode()
    let parameters = ParameterBuffer()

    func send(_ number: Int64) throws {
        parameters.reset()
        parameters.append(text: "allocbench-executions")
        // One by one: an array of them would be an allocation of the benchmark's own.
        parameters.append(int64: 3)
        parameters.append(int64: 17)
        parameters.append(int64: number)
        parameters.append(int64: number + 1)
        parameters.append(int64ArrayOf: 1) { _ in number }
        parameters.append(int64ArrayOf: 1) { _ in 7 }
        parameters.append(int64ArrayOf: 1) { _ in 250 }
        parameters.append(int64ArrayOf: 1) { _ in 263_000 }
        parameters.append(int64ArrayOf: 1) { _ in number }
        try connection.sendPrepared("fill_sized", parameters: parameters, resultFormat: .binary)
        try connection.sendSync()
    }
    func receive() throws -> UInt64 {
        let answer = try connection.answerUpToSync { rows in UInt64(bitPattern: rows.int64(0, 1) ^ rows.int64(0, 6)) }
        return try answer.get()
    }

    return try pipelineDepths.map { depth in
        var figure = try measure(
            pipeliningName(depth), per: "statement", runs: size.runs, clock: .wall,
            on: {
                // The server plans a statement for each of its first five times; libpq's buffers grow.
                for number in 0..<16 as Range<Int64> {
                    try send(number)
                    _ = try receive()
                }
            },
            { _ in
                var checksum: UInt64 = 0
                for number in 0..<size.serverOperations {
                    try send(number)
                    if connection.pendingPipelineResultCount >= 2 * depth { checksum = try checksum &* 31 &+ receive() }
                }
                while connection.pendingPipelineResultCount > 0 { checksum = try checksum &* 31 &+ receive() }
                return (size.serverOperations, checksum)
            })
        figure.note = "\(groupedWhole(figure.perSecond)) statements/s"
        return figure
    }
}
