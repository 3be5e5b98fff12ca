// From a row of the stream, or of the first scan, to the envelope that is published: what the feed does for every message.
// Pure: bytes in, bytes out.

package import Model

/// Knows how the rows of one table come, and keeps the last envelope.
package struct FeedRowEncoder {
    private let source: FeedSource
    private var relations: [UInt32: PublishedRelation] = [:]
    package private(set) var envelope = EnvelopeEncoder()

    package init(source: FeedSource) { self.source = source }

    /// The server describes the table, which it does before the first row and when the table has changed.
    mutating func note(_ relation: PgOutputRelation) throws(PgOutputError) {
        relations[relation.oid] = try PublishedRelation(relation, of: source)
    }

    /// A row that the stream brought.
    mutating func encode(
        _ cells: [PgOutputCell], ofRelation oid: UInt32, in payload: [UInt8], committedNs: Int64
    ) throws {
        guard let relation = relations[oid] else {
            throw PgOutputError(description: "a row of relation \(oid) came before its description")
        }
        try payload.withUnsafeBytes { bytes in
            func text(_ index: Int) -> UnsafeRawBufferPointer? {
                cells[index].map { UnsafeRawBufferPointer(rebasing: bytes[$0]) }
            }
            guard cells.count == relation.columnCount, let key = text(relation.keyIndex) else {
                throw PgOutputError(description: "a row of \(source.table) with other columns than described")
            }
            envelope.begin(keyColumn: key, kind: source.key.kind)
            for (position, column) in relation.columns.enumerated() {
                envelope.append(column.format, isFirst: position == 0, text: text(column.index))
            }
            envelope.end(updatedNanoseconds: committedNs)
        }
    }

    /// One row of COPY's text format. Nothing in these tables needs the format's escapes: words and numbers have no tabs.
    mutating func encode(scanned row: UnsafeRawBufferPointer, committedNs: Int64) throws {
        let line = row.last == UInt8(ascii: "\n") ? row.dropLast() : row[...]
        let cells = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        guard cells.count == source.columns.count, let key = source.columns.firstIndex(of: source.key) else {
            throw PgOutputError(description: "the scan of \(source.table) gave a row with other columns")
        }
        envelope.begin(keyColumn: UnsafeRawBufferPointer(rebasing: cells[key]), kind: source.key.kind)
        for (position, column) in source.columns.enumerated() {
            // COPY writes a null as \N.
            let isNull = cells[position].elementsEqual(#"\N"#.utf8)
            envelope.append(
                column, isFirst: position == 0,
                text: isNull ? nil : UnsafeRawBufferPointer(rebasing: cells[position]))
        }
        envelope.end(updatedNanoseconds: committedNs)
    }

    /// One message of the stream from its bytes on, for the benchmark of all of this. Returns false if it is no row.
    package mutating func take(_ payload: [UInt8], committedNs: Int64) throws -> Bool {
        switch try PgOutputMessage(payload) {
        case .relation(let relation):
            try note(relation)
            return false
        case .insert(let oid, let cells):
            try encode(cells, ofRelation: oid, in: payload, committedNs: committedNs)
            return true
        default: return false
        }
    }
}

/// The published table's columns, in the alphabetical order of an envelope.
private struct PublishedRelation {
    struct Column {
        let format: EnvelopeColumn
        /// Its position in a row of the stream.
        let index: Int
    }

    let columns: [Column]
    let columnCount: Int
    let keyIndex: Int

    init(_ relation: PgOutputRelation, of source: FeedSource) throws(PgOutputError) {
        guard relation.schema == source.schema, relation.name == source.name else {
            throw PgOutputError(
                description: "\(relation.schema).\(relation.name) came through the slot of \(source.table)")
        }
        guard let key = relation.columns.firstIndex(where: { $0.name == source.key.name }) else {
            throw PgOutputError(description: "\(source.table) has no column \(source.key.name)")
        }
        keyIndex = key
        columnCount = relation.columns.count
        columns = relation.columns.enumerated().map { index, column in
            Column(format: EnvelopeColumn(name: column.name, kind: Self.kind(ofType: column.typeOID)), index: index)
        }.sorted { $0.format.name < $1.format.name }
    }

    /// Object identifiers of the built-in types, from PostgreSQL's `pg_type.dat`.
    private static func kind(ofType oid: UInt32) -> EnvelopeColumn.Kind {
        switch oid {
        case 20, 21, 23, 700, 701, 1700: .number
        case 1114, 1184: .timestamp
        default: .text
        }
    }
}
