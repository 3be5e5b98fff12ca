// A message's way from the database's log to the worker's queue, without the log and without the broker: the row that
// becomes an envelope, and the envelope that becomes an execution.

import ChangeFeed
import Measurement
import Model
import Report

/// An execution as the benchmarks send it, with the texts that stand in its row.
struct SampleExecution {
    let id: Int64
    let block: Int64
    let quantity: Int64
    let priceTicks: Int64

    var blockCode: String { Self.code(ofBlock: block) }
    var price: String {
        let decimals = "\(priceTicks % 10_000)"
        return "\(priceTicks / 10_000).\(String(repeating: "0", count: 4 - decimals.count))\(decimals)"
    }

    static func code(ofBlock block: Int64) -> String {
        "B20241114-\(String(repeating: "0", count: max(0, 7 - "\(block)".count)))\(block)"
    }

    /// Executions 1, 2, … of some blocks.
    static func draw(_ count: Int, blocks: Int64) -> [SampleExecution] {
        var random = SeededRandom(seed: 11)
        return (0..<count).map { index in
            SampleExecution(
                id: Int64(index) + 1, block: random.integer(in: 1...blocks), quantity: random.integer(in: 50...500),
                priceTicks: random.integer(in: 95_000...5_050_000))
        }
    }
}

/// Rows as PostgreSQL's stream brings them.
enum SampleStream {
    /// The table's columns in their order, with the types' numbers in PostgreSQL's catalogue.
    private static let columns: [(name: String, type: UInt32)] = [
        ("execution_id", 20), ("exec_type", 25), ("exec_ref_id", 20), ("block_order_id", 20), ("block_order_code", 25),
        ("order_version", 20), ("order_quantity", 20), ("quantity", 20), ("price", 1700), ("executed_at", 1184),
    ]
    private static let relationID: UInt32 = 16_384

    /// What comes before the first row.
    static var relation: [UInt8] {
        var bytes = Array("R".utf8) + bigEndian(relationID) + Array("trades\0executions\0d".utf8)
        bytes += bigEndian(UInt16(columns.count))
        for column in columns {
            bytes += [0] + Array(column.name.utf8) + [0] + bigEndian(column.type) + bigEndian(UInt32.max)
        }
        return bytes
    }

    static func insert(_ execution: SampleExecution) -> [UInt8] {
        let cells: [String?] = [
            "\(execution.id)", "TRADE", nil, "\(execution.block)", execution.blockCode, "0", "1000000",
            "\(execution.quantity)", execution.price, "2024-11-14 14:30:00.123456+00",
        ]
        var bytes = Array("I".utf8) + bigEndian(relationID) + Array("N".utf8) + bigEndian(UInt16(cells.count))
        for cell in cells {
            guard let cell else {
                bytes += Array("n".utf8)
                continue
            }
            bytes += Array("t".utf8) + bigEndian(UInt32(cell.utf8.count)) + Array(cell.utf8)
        }
        return bytes
    }

    private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}

/// When all samples were committed.
let sampleCommitNs: Int64 = 1_731_594_600_123_456_789

/// Envelopes of one kind, each of another execution.
struct SampleEnvelopes {
    let name: String
    let values: [[UInt8]]

    /// Our own feed's, made by it, and what CockroachDB makes of the same rows by its options.
    static func all(count: Int) throws -> [SampleEnvelopes] {
        let executions = SampleExecution.draw(count, blocks: 1_000)
        let own = try published(executions).map(\.value)
        let rows = own.map { value in
            // What stands behind "after".
            let text = String(decoding: value, as: UTF8.self)
            return String(text.dropFirst(10).prefix(while: { $0 != "}" })) + "}"
        }
        func envelopes(_ name: String, _ text: (String) -> String) -> SampleEnvelopes {
            SampleEnvelopes(name: name, values: rows.map { Array(text($0).utf8) })
        }
        let updated = #""updated": "1731594600123456789.0000000001""#
        let source =
            #"{"changefeed_sink": "kafka", "cluster_id": "585e6512-ea54-490a-8f1d-50c8d182a2e6", "cluster_name": "", "#
            + #""database_name": "allocbench", "db_version": "v25.2.0", "job_id": "1068153948173991937", "#
            + #""node_id": "1", "node_name": "localhost", "origin": "cockroachdb", "primary_keys": ["execution_id"], "#
            + #""schema_name": "trades", "source_node_locality": "", "table_name": "executions", "#
            + #""ts_hlc": "1731594600123456789.0000000001", "ts_ns": 1731594600123456789}"#
        return [
            SampleEnvelopes(name: "wrapped, our feed's", values: own),
            envelopes("wrapped, CockroachDB's") { #"{"after": \#($0), "key": ["B20241114-0000001"], \#(updated)}"# },
            envelopes("wrapped with diff, CockroachDB's") { #"{"after": \#($0), "before": null, \#(updated)}"# },
            envelopes("enriched with source, CockroachDB's") {
                #"{"after": \#($0), "op": "c", "source": \#(source), "ts_ns": 1731594600123456789}"#
            },
            envelopes("bare, CockroachDB's") { #"{"__crdb__": {\#(updated)}, \#($0.dropFirst())"# },
        ]
    }

    /// What the feed publishes of these executions.
    static func published(_ executions: [SampleExecution]) throws -> [(key: [UInt8], value: [UInt8])] {
        var feed = try SampleFeed()
        return try executions.map { execution in
            _ = try feed.take(SampleStream.insert(execution))
            return (feed.encoder.envelope.key, feed.encoder.envelope.value)
        }
    }
}

/// What the feed keeps between the rows that it encodes.
private struct SampleFeed {
    private(set) var encoder = FeedRowEncoder(source: .executions)
    private var cells: [PgOutputCell] = []

    init() throws { _ = try take(SampleStream.relation) }

    /// Returns false if the message is no row.
    /// - Parameter transaction: which one the row is of: each has its time.
    mutating func take(_ message: [UInt8], transaction: Int64 = 0) throws -> Bool {
        try message.withUnsafeBytes {
            try encoder.take($0, cells: &cells, committedNs: sampleCommitNs + transaction * 1_000)
        }
    }
}

/// Samples of each kind: more than fit the nearest cache would measure memory, fewer could be learnt by heart.
private let sampleCount = 64

/// What a worker does with each message before it is queued.
func decoding(_ size: BenchmarkSize) throws -> [Figure] {
    try SampleEnvelopes.all(count: sampleCount).map { sample in
        let bytes = sample.values.reduce(0) { $0 + $1.count } / sample.values.count
        var figure = measure(
            "decode, \(sample.name)", per: "message", runs: size.runs,
            on: {
                let decoder = EnvelopeDecoder()
                // Its buffers grow with the first messages.
                for value in sample.values { _ = value.withUnsafeBytes { decoder.decode($0) } }
                return decoder
            },
            { decoder in
                var checksum: UInt64 = 0
                for message in 0..<size.operationsMaximum {
                    let value = sample.values[Int(message) % sampleCount]
                    guard case .execution(let execution) = value.withUnsafeBytes({ decoder.decode($0) }) else {
                        preconditionFailure("\(sample.name) isn't decoded")
                    }
                    checksum = checksum &* 31 &+ UInt64(execution.id.rawValue ^ execution.price.ticks)
                }
                return (size.operationsMaximum, checksum)
            })
        figure.note = "\(bytes) bytes, \(groupedWhole(figure.perSecond)) messages/s"
        return figure
    }
}

/// What the feed does with each row between the stream and the producer.
func encoding(_ size: BenchmarkSize) throws -> [Figure] {
    let rows = SampleExecution.draw(sampleCount, blocks: 1_000).map { SampleStream.insert($0) }
    var figure = try measure(
        "encode, a row of the stream to our feed's envelope", per: "message", runs: size.runs,
        on: {
            var feed = try SampleFeed()
            for row in rows { _ = try feed.take(row) }
            return feed
        },
        { feed in
            var checksum: UInt64 = 0
            for message in 0..<size.operationsMaximum {
                guard try feed.take(rows[Int(message) % sampleCount], transaction: message) else {
                    preconditionFailure("a row isn't encoded")
                }
                let value = feed.encoder.envelope.value
                checksum = checksum &* 31 &+ UInt64(value.count) &+ UInt64(value[60])
            }
            return (size.operationsMaximum, checksum)
        })
    figure.note = "\(groupedWhole(figure.perSecond)) messages/s"
    return [figure]
}
