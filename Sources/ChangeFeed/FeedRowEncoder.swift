// From a row of the stream, or of the first scan, to the envelope that is published: what the feed does for every message.
// Pure: bytes in, bytes out.

package import Model

/// Knows how the rows of one table come, and keeps the last envelope.
package struct FeedRowEncoder {
    private let source: FeedSource
    private var relations: [UInt32: PublishedRelation] = [:]
    /// The relation of the row before, which is that of nearly every row.
    private var currentOID: UInt32?
    private var current: PublishedRelation
    /// How a scanned row stands in the envelope.
    private let scanned: PublishedRelation
    package private(set) var envelope = EnvelopeEncoder()

    package init(source: FeedSource) {
        self.source = source
        scanned = PublishedRelation(source)
        current = scanned
    }

    /// The server describes the table, which it does before the first row and when the table has changed.
    mutating func note(_ relation: PgOutputRelation) throws(PgOutputError) {
        relations[relation.oid] = try PublishedRelation(relation, of: source)
        currentOID = nil
    }

    /// A row that the stream brought.
    mutating func encode(
        _ cells: [PgOutputCell], ofRelation oid: UInt32, in payload: UnsafeRawBufferPointer, committedNs: Int64
    ) throws {
        if currentOID != oid {
            guard let relation = relations[oid] else {
                throw PgOutputError(description: "a row of relation \(oid) came before its description")
            }
            (currentOID, current) = (oid, relation)
        }
        func text(_ index: Int) -> UnsafeRawBufferPointer? {
            cells[index].map { UnsafeRawBufferPointer(rebasing: payload[$0]) }
        }
        guard cells.count == current.columns.count, let key = text(current.keyIndex) else {
            throw PgOutputError(description: "a row of \(source.table) with other columns than described")
        }
        encode(as: current, key: key, committedNs: committedNs, text: text)
    }

    private mutating func encode(
        as relation: PublishedRelation, key: UnsafeRawBufferPointer, committedNs: Int64,
        text: (Int) -> UnsafeRawBufferPointer?
    ) {
        envelope.begin(keyColumn: key, kind: source.key.kind)
        relation.prefixes.withUnsafeBytes { prefixes in
            for position in relation.columns.indices {
                let column = relation.columns[position]
                envelope.append(
                    prefix: UnsafeRawBufferPointer(rebasing: prefixes[column.prefix]), kind: column.kind,
                    text: text(column.index))
            }
        }
        envelope.end(updatedNanoseconds: committedNs)
    }

    /// One row of COPY's text format. Nothing in these tables needs the format's escapes: words and numbers have no tabs.
    mutating func encode(scanned row: UnsafeRawBufferPointer, committedNs: Int64) throws {
        let line = row.last == UInt8(ascii: "\n") ? row.dropLast() : row[...]
        let cells = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        guard cells.count == source.columns.count else {
            throw PgOutputError(description: "the scan of \(source.table) gave a row with other columns")
        }
        let key = UnsafeRawBufferPointer(rebasing: cells[scanned.keyIndex])
        encode(as: scanned, key: key, committedNs: committedNs) { index in
            // COPY writes a null as \N.
            cells[index].elementsEqual(#"\N"#.utf8) ? nil : UnsafeRawBufferPointer(rebasing: cells[index])
        }
    }

    /// One message of the stream from its bytes on, for the benchmark of all of this. Returns false if it is no row.
    package mutating func take(
        _ payload: UnsafeRawBufferPointer, cells: inout [PgOutputCell], committedNs: Int64
    ) throws -> Bool {
        switch try PgOutputMessage(payload, cells: &cells) {
        case .relation(let relation):
            try note(relation)
            return false
        case .insert(let oid):
            try encode(cells, ofRelation: oid, in: payload, committedNs: committedNs)
            return true
        default: return false
        }
    }
}

/// The published table's columns, in the alphabetical order of an envelope.
private struct PublishedRelation {
    /// Plain numbers: what a row of a dozen columns retained and released would be half of its cost.
    struct Column {
        let kind: EnvelopeColumn.Kind
        /// Where in `prefixes` its own stands.
        let prefix: Range<Int>
        /// Its position in a row.
        let index: Int
    }

    private(set) var columns: [Column] = []
    private(set) var prefixes: [UInt8] = []
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
        add(relation.columns.map { EnvelopeColumn(name: $0.name, kind: Self.kind(ofType: $0.typeOID)) })
    }

    /// As the scan has it.
    init(_ source: FeedSource) {
        guard let key = source.columns.firstIndex(of: source.key) else {
            preconditionFailure("the key of \(source.table) is one of its columns")
        }
        keyIndex = key
        add(source.columns)
    }

    private mutating func add(_ formats: [EnvelopeColumn]) {
        for (index, format) in formats.enumerated().sorted(by: { $0.element.name < $1.element.name }) {
            let start = prefixes.count
            prefixes += format.prefix(isFirst: start == 0)
            columns.append(Column(kind: format.kind, prefix: start..<prefixes.count, index: index))
        }
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
