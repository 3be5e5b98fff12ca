// A YAML file as a tree in which every key and every value knows its line, read with libyaml's events.
// The only file that imports CYAML. Runs on the thread that loads a scenario, before any measurement.

import CYAML
import Diagnostics

/// One value of a YAML file.
struct YAMLNode: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        /// `isPlain` is false for quoted and block text, which is never a number or null.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([YAMLEntry])
    }

    var content: Content
    /// From 1.
    var line: Int
}

/// One key of a mapping with its value.
struct YAMLEntry: Sendable, Equatable {
    var key: String
    /// Where the key stands, from 1.
    var line: Int
    var value: YAMLNode
}

/// One document: its root, and the faults that didn't keep it from being read.
struct YAMLDocument: Sendable {
    static let depthMaximum = 32
    /// Aliases count with everything they stand for, so that nine lines can't unfold into a billion values.
    static let nodeCountMaximum = 10_000

    var root: YAMLNode
    /// Keys that stand twice in one mapping; the tree holds the first of them.
    var duplicateKeys: [InputFault]

    /// Throws: the first fault of syntax or encoding, because nothing after it can be trusted.
    init(bytes: [UInt8], path: String, what: String = "a scenario") throws(InputError) {
        if let line = firstLineThatIsNotUTF8(bytes) {
            throw InputError(InputFault(source: path, line: line, expected: "text in UTF-8"))
        }
        let composer = YAMLComposer(bytes: bytes, path: path, what: what)
        do {
            root = try composer.document()
        } catch {
            throw InputError(error)
        }
        duplicateKeys = composer.duplicateKeys
    }
}

/// The number of the first line with a byte that no UTF-8 text has, or nil.
private func firstLineThatIsNotUTF8(_ bytes: [UInt8]) -> Int? {
    guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
    // No byte of a longer character is a line feed, so each line can be judged alone.
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    return lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }.map { $0 + 1 }
}

/// Builds the tree from the events of one stream.
private final class YAMLComposer {
    private let parser: YAMLParser
    private let path: String
    /// What the document is, for the refusal of an empty one.
    private let what: String
    private var anchors: [String: (node: YAMLNode, nodeCount: Int)] = [:]
    private var nodeCount = 0
    private(set) var duplicateKeys: [InputFault] = []

    init(bytes: [UInt8], path: String, what: String) {
        self.parser = YAMLParser(bytes: bytes, path: path)
        self.path = path
        self.what = what
    }

    func document() throws(InputFault) -> YAMLNode {
        _ = try parser.next()
        let start = try parser.next()
        guard start.kind == .documentStart else { throw fault(1, "\(what), not an empty file") }
        let root = try node(from: try parser.next(), depth: 1)
        _ = try parser.next()
        let end = try parser.next()
        guard end.kind == .streamEnd else { throw fault(end.line, "one YAML document, not a second one after ---") }
        return root
    }

    private func node(from event: YAMLEvent, depth: Int) throws(InputFault) -> YAMLNode {
        guard depth <= YAMLDocument.depthMaximum else {
            throw fault(event.line, "at most \(YAMLDocument.depthMaximum) levels")
        }
        if let tag = event.tag { throw fault(event.line, "no tags", value: tag) }
        let countBefore = nodeCount
        try count(1, line: event.line)
        let content: YAMLNode.Content
        switch event.kind {
        case .alias(let name):
            guard let anchor = anchors[name] else {
                throw fault(event.line, "an anchor &\(name) before its alias", value: "*\(name)")
            }
            try count(anchor.nodeCount, line: event.line)
            return anchor.node
        case .scalar(let text, let isPlain): content = .scalar(text, isPlain: isPlain)
        case .sequenceStart: content = .sequence(try items(depth: depth))
        case .mappingStart: content = .mapping(try entries(depth: depth))
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw fault(event.line, "a value")
        }
        let node = YAMLNode(content: content, line: event.line)
        if let anchor = event.anchor { anchors[anchor] = (node, nodeCount - countBefore) }
        return node
    }

    private func items(depth: Int) throws(InputFault) -> [YAMLNode] {
        var items: [YAMLNode] = []
        while true {
            let event = try parser.next()
            if event.kind == .sequenceEnd { return items }
            items.append(try node(from: event, depth: depth + 1))
        }
    }

    private func entries(depth: Int) throws(InputFault) -> [YAMLEntry] {
        var entries: [YAMLEntry] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try parser.next()
            if event.kind == .mappingEnd { return entries }
            let keyNode = try node(from: event, depth: depth + 1)
            guard case .scalar(let key, _) = keyNode.content else {
                throw fault(event.line, "a word as a key, not a list or a mapping")
            }
            let value = try node(from: try parser.next(), depth: depth + 1)
            if let first = lines[key] {
                let expected = "each key once; line \(first) has it too"
                duplicateKeys.append(InputFault(source: path, line: event.line, field: key, expected: expected))
            } else {
                lines[key] = event.line
                entries.append(YAMLEntry(key: key, line: event.line, value: value))
            }
        }
    }

    private func count(_ added: Int, line: Int) throws(InputFault) {
        nodeCount += added
        guard nodeCount <= YAMLDocument.nodeCountMaximum else {
            throw fault(line, "at most \(YAMLDocument.nodeCountMaximum) values, those behind aliases included")
        }
    }

    private func fault(_ line: Int, _ expected: String, value: String? = nil) -> InputFault {
        InputFault(source: path, line: line, value: value, expected: expected)
    }
}

/// What libyaml met, copied out of its memory.
private struct YAMLEvent {
    enum Kind: Equatable {
        case streamStart, streamEnd, documentStart, documentEnd
        case alias(String)
        case scalar(String, isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
    }

    var kind: Kind
    var line: Int
    var anchor: String?
    var tag: String?
}

/// Owns a `yaml_parser_t` and the bytes it reads; frees both however the reading ends.
private final class YAMLParser {
    private let handle = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let path: String

    init(bytes: [UInt8], path: String) {
        self.path = path
        input = .allocate(capacity: bytes.count)
        _ = input.initialize(from: bytes)
        // Its only failure is out of memory, which Swift's own allocations don't survive either.
        precondition(yaml_parser_initialize(handle) == 1, "yaml_parser_initialize ran out of memory")
        // "the application is responsible for the input buffer until the parser is destroyed": hence the copy.
        yaml_parser_set_input_string(handle, input.baseAddress, input.count)
        yaml_parser_set_encoding(handle, YAML_UTF8_ENCODING)
    }

    deinit {
        yaml_parser_delete(handle)
        handle.deallocate()
        input.deallocate()
    }

    func next() throws(InputFault) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(handle, &event) == 1 else { throw fault() }
        defer { yaml_event_delete(&event) }
        return YAMLEvent(copying: event)
    }

    private func fault() -> InputFault {
        let parser = handle.pointee
        var problem = parser.problem.map { String(cString: $0) } ?? "out of memory"
        if let context = parser.context { problem += " " + String(cString: context) }
        let line: Int
        if parser.error == YAML_READER_ERROR {
            // The reader knows no lines, only the offset of the byte it refuses.
            line = input.prefix(Int(parser.problem_offset)).count { $0 == UInt8(ascii: "\n") } + 1
        } else {
            line = Int(parser.problem_mark.line) + 1
        }
        return InputFault(source: path, line: line, expected: "valid YAML: \(problem)")
    }
}

extension YAMLEvent {
    fileprivate init(copying event: yaml_event_t) {
        func text(_ bytes: UnsafeMutablePointer<yaml_char_t>?) -> String? { bytes.map { String(cString: $0) } }
        line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_STREAM_END_EVENT: kind = .streamEnd
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
        case YAML_ALIAS_EVENT: kind = .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: Int(scalar.length))
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            kind = .scalar(String(decoding: bytes, as: UTF8.self), isPlain: isPlain)
            anchor = text(scalar.anchor)
            tag = text(scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            kind = .sequenceStart
            anchor = text(event.data.sequence_start.anchor)
            tag = text(event.data.sequence_start.tag)
        case YAML_SEQUENCE_END_EVENT: kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            kind = .mappingStart
            anchor = text(event.data.mapping_start.anchor)
            tag = text(event.data.mapping_start.tag)
        case YAML_MAPPING_END_EVENT: kind = .mappingEnd
        default: kind = .streamStart
        }
    }
}

extension ScenarioFile {
    /// The libyaml that this process runs with, for the manifest. Replaces `yaml_get_version_string`.
    public static var yamlVersion: String { String(cString: yaml_get_version_string()) }
}
