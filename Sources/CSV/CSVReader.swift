// Reads a CSV file as RFC 4180 describes it, in constant memory: quoted fields, CRLF or LF, UTF-8 with or without a
// byte order mark. Runs on the thread of its owner and blocks it in read(2). What fields mean is the caller's business.

public import Diagnostics
import Glibc

/// One pass over one file. After a fault the reader stands at the next line, so that the caller may go on reading.
public final class CSVReader {
    /// A record beyond this is not a record but a quote that was never closed.
    public static let recordBytesMax = 1 << 20

    public let path: String
    /// The line the current record starts on, from 1.
    public private(set) var line = 0
    /// The column names of the first line, empty until `readHeader` was called.
    public private(set) var header: [String] = []

    private let descriptor: Int32
    private var chunk = [UInt8](repeating: 0, count: 1 << 18)
    private var chunkCount = 0
    private var chunkPosition = 0
    private var nextLine = 1
    private var reachedEnd = false
    /// The fields of the current record, unquoted, end to end; `fieldEnds` says where each one stops.
    private var bytes: [UInt8] = []
    private var fieldEnds: [Int] = []

    /// Throws a fault that names the file when it can't be opened.
    public init(path: String) throws(InputFault) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CSVReader.unreadable(path, errno) }
        // The byte order mark is no part of the first column's name.
        try refill()
        if chunk.prefix(min(3, chunkCount)).elementsEqual([0xEF, 0xBB, 0xBF]) { chunkPosition = 3 }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Reads the first record as the header and returns where each of `names` stands.
    public func readHeader(_ names: [String]) throws(InputError) -> [Int] {
        do throws(InputFault) {
            guard try nextRecord() else {
                throw InputFault(source: path, line: 1, expected: "a header line, found an empty file")
            }
        } catch { throw InputError(error) }
        header = (0..<fieldCount).map { text($0) }
        var faults = FaultCollector()
        var indices: [Int] = []
        for name in names {
            let found = header.indices.filter { header[$0] == name }
            if found.count == 1 {
                indices.append(found[0])
            } else if found.isEmpty {
                let near = nearestWord(to: name, among: header).map { ", found \"\($0)\"" } ?? ""
                faults.add(
                    InputFault(
                        source: path, line: line, field: name,
                        expected: "a column of this name in the header\(near)"))
            } else {
                faults.add(InputFault(source: path, line: line, field: name, expected: "this column only once"))
            }
        }
        try faults.throwIfAny()
        return indices
    }

    /// Moves to the next record that isn't blank; false at the end of the file.
    /// Throws a fault for a record that isn't CSV, isn't UTF-8 or hasn't as many fields as the header.
    public func next() throws(InputFault) -> Bool {
        guard try nextRecord() else { return false }
        guard fieldCount == header.count else {
            throw InputFault(
                source: path, line: line, expected: "\(header.count) columns as in the header, found \(fieldCount)")
        }
        return true
    }

    public var fieldCount: Int { fieldEnds.count }

    /// The bytes of a field of the current record; let go of them before the next call of `next`.
    public func field(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : fieldEnds[index - 1])..<fieldEnds[index]]
    }

    /// A field of the current record as text, which was checked to be UTF-8.
    public func text(_ index: Int) -> String { String(decoding: field(index), as: UTF8.self) }

    /// A fault in a field of the current record.
    public func fault(_ index: Int, expected: String) -> InputFault {
        InputFault(source: path, line: line, field: header[index], value: text(index), expected: expected)
    }

    // MARK: Records

    private enum State { case fieldStart, unquoted, quoted, quoteInQuoted, carriageReturn }

    private func nextRecord() throws(InputFault) -> Bool {
        repeat {
            line = nextLine
            bytes.removeAll(keepingCapacity: true)
            fieldEnds.removeAll(keepingCapacity: true)
            guard try readRecord() else { return false }
        } while fieldCount == 1 && bytes.isEmpty
        try checkEncoding()
        return true
    }

    /// Reads up to the end of the record; false when the file ends before it begins.
    private func readRecord() throws(InputFault) -> Bool {
        guard var byte = try nextByte() else { return false }
        var state = State.fieldStart
        var expected: String?
        while true {
            switch (state, byte) {
            case (.quoted, UInt8(ascii: "\"")): state = .quoteInQuoted
            case (.quoted, _): bytes.append(byte)
            case (_, UInt8(ascii: "\n")):
                fieldEnds.append(bytes.count)
                return try ended(expected)
            case (.carriageReturn, _):
                expected = expected ?? "lines that end in CRLF or LF, found a lone carriage return"
                state = .unquoted
                continue
            case (_, UInt8(ascii: ",")):
                fieldEnds.append(bytes.count)
                state = .fieldStart
            case (_, UInt8(ascii: "\r")): state = .carriageReturn
            case (.fieldStart, UInt8(ascii: "\"")): state = .quoted
            case (.quoteInQuoted, UInt8(ascii: "\"")):
                bytes.append(byte)
                state = .quoted
            case (.quoteInQuoted, _):
                expected = expected ?? "a comma or the end of the line after a closing quote"
                state = .unquoted
            case (_, UInt8(ascii: "\"")):
                expected = expected ?? "quotes around a whole field, doubled inside it"
                state = .unquoted
            default:
                bytes.append(byte)
                state = .unquoted
            }
            if bytes.count > CSVReader.recordBytesMax {
                // Where the next record begins is anybody's guess, so nothing behind this is read.
                reachedEnd = true
                chunkPosition = chunkCount
                throw fault("rows under 1 MiB; is a quote left open?")
            }
            guard let following = try nextByte() else {
                fieldEnds.append(bytes.count)
                return try ended(state == .quoted ? "a closing quote before the end of the file" : expected)
            }
            byte = following
        }
    }

    /// A malformed record is reported once its end was found, so that reading can go on behind it.
    private func ended(_ expected: String?) throws(InputFault) -> Bool {
        if let expected { throw fault(expected) }
        return true
    }

    private func fault(_ expected: String) -> InputFault { InputFault(source: path, line: line, expected: expected) }

    /// Zero bytes are refused too: PostgreSQL's TEXT can't hold them, and they are what UTF-16 looks like.
    private func checkEncoding() throws(InputFault) {
        guard bytes.contains(where: { $0 >= 0x80 || $0 == 0 }) else { return }
        for index in 0..<fieldCount {
            let field = field(index)
            if field.contains(0) || String(validating: field, as: UTF8.self) == nil {
                throw InputFault(
                    source: path, line: line, field: header.indices.contains(index) ? header[index] : nil,
                    value: String(decoding: field.filter { $0 != 0 }, as: UTF8.self), expected: "UTF-8 text")
            }
        }
    }

    // MARK: Bytes

    @inline(__always)
    private func nextByte() throws(InputFault) -> UInt8? {
        if chunkPosition == chunkCount {
            try refill()
            if chunkCount == 0 { return nil }
        }
        let byte = chunk[chunkPosition]
        chunkPosition += 1
        if byte == UInt8(ascii: "\n") { nextLine += 1 }
        return byte
    }

    private func refill() throws(InputFault) {
        chunkPosition = 0
        chunkCount = 0
        while !reachedEnd {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                chunkCount = count
                return
            }
            if count < 0 && errno == EINTR { continue }
            let code = errno
            reachedEnd = true
            if count < 0 { throw CSVReader.unreadable(path, code) }
        }
    }

    private static func unreadable(_ path: String, _ code: Int32) -> InputFault {
        InputFault(source: path, expected: "a readable file (\(String(cString: strerror(code))))")
    }
}
