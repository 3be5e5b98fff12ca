// A server of PostgreSQL's protocol that knows no SQL: it says that it is a CockroachDB, notes what it is sent, and answers from
// a script. It proves which statements go to such a server, not what that would make of them.

import Glibc
public import Postgres
import Synchronization

/// Listens on 127.0.0.1, one thread a session. Whoever starts one closes it.
public final class ScriptedServer: Sendable {
    /// What a statement is answered with.
    public enum Answer: Sendable {
        /// Rows of text; nil is NULL. Without rows the answer has one column.
        case rows([[String?]])
        case failure(sqlState: String, message: String)
    }

    private struct State {
        var statements: [String] = []
        var copied: [String] = []
    }

    private let server = LoopbackServer(name: "scripted")
    private let version: String
    private let answer: @Sendable (String) -> Answer?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - version: what it reports as `crdb_version`.
    ///   - answer: what a statement is answered with; nil for nothing but that it was done.
    public init(
        version: String = "CockroachDB CCL v24.1.3 (x86_64-pc-linux-gnu, built 2024/08/01 12:00:00, go1.22.5)",
        answer: @escaping @Sendable (String) -> Answer? = { _ in nil }
    ) throws {
        self.version = version
        self.answer = answer
        server.start { [self] socket in
            var session = ScriptedSession(socket: socket)
            serve(&session)
        }
    }

    public var port: UInt16 { server.port }

    public var connectionInfo: ConnectionInfo {
        get throws {
            try ConnectionInfo("postgresql://root@127.0.0.1:\(port)/bench?sslmode=disable&gssencmode=disable")
        }
    }

    /// Every statement so far, in the order in which they came; prepared ones where they were prepared.
    public var statements: [String] { state.withLock { $0.statements } }

    /// What was copied in, by COPY.
    public var copied: [String] { state.withLock { $0.copied } }

    /// Ends every session. Blocks until they are over.
    public func close() { server.close() }

    private func serve(_ session: inout ScriptedSession) {
        guard session.open(reporting: [("server_version", "13.0.0"), ("crdb_version", version)]) else { return }
        while let (type, body) = session.read() {
            if session.isSkipping && type != "S" && type != "X" { continue }
            switch type {
            case "Q": answerSimply(ScriptedSession.text(body[...]), &session)
            case "P":
                let parts = body.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
                let (name, sql) = (ScriptedSession.text(parts[0]), ScriptedSession.text(parts[1]))
                session.prepared[name] = sql
                note(sql)
                session.write("1", [])
            case "B":
                let parts = body.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
                session.bound = session.prepared[ScriptedSession.text(parts[1])] ?? ""
                session.write("2", [])
            case "D": session.describe(body.first == UInt8(ascii: "S") ? nil : answer(session.bound))
            case "E": session.complete(session.bound, answer(session.bound), describes: false)
            case "S": session.ready()
            case "X": return
            default: break
            }
        }
    }

    private func note(_ sql: String) { state.withLock { $0.statements.append(sql) } }

    private func answerSimply(_ sql: String, _ session: inout ScriptedSession) {
        note(sql)
        if ScriptedSession.words(of: sql).first == "COPY", case .none = answer(sql) {
            guard sql.contains("FROM STDIN") else {
                session.write("H", [0, 0, 0])
                session.write("c", [])
                session.complete(sql, nil, describes: false)
                return session.ready()
            }
            session.write("G", [0, 0, 0])
            while let (type, body) = session.read() {
                if type == "d" { state.withLock { $0.copied.append(String(decoding: body, as: UTF8.self)) } }
                if type == "c" || type == "f" { break }
            }
            session.complete(sql, nil, describes: false)
        } else {
            session.complete(sql, answer(sql), describes: true)
        }
        session.ready()
    }
}

/// The server's side of one session's protocol.
private struct ScriptedSession {
    let socket: Int32
    var prepared: [String: String] = [:]
    var bound = ""
    private var status = UInt8(ascii: "I")
    /// After a failure, up to the next sync.
    var isSkipping = false

    init(socket: Int32) { self.socket = socket }

    /// Answers the start of a session; false if it is none.
    func open(reporting parameters: [(String, String)]) -> Bool {
        while true {
            guard let head = read(count: 8) else { return false }
            let (length, code) = (Self.number(head[0..<4]), Self.number(head[4..<8]))
            guard read(count: Int(length) - 8) != nil else { return false }
            // A question for encryption, which is declined.
            if code == 80_877_103 || code == 80_877_104 {
                send([UInt8(ascii: "N")])
                continue
            }
            guard code == 196_608 else { return false }
            break
        }
        write("R", Self.bytes(0))
        for (name, value) in parameters + [("client_encoding", "UTF8"), ("standard_conforming_strings", "on")] {
            write("S", Array(name.utf8) + [0] + Array(value.utf8) + [0])
        }
        write("K", Self.bytes(1) + Self.bytes(1))
        write("Z", [UInt8(ascii: "I")])
        return true
    }

    mutating func complete(_ sql: String, _ answer: ScriptedServer.Answer?, describes: Bool) {
        if isSkipping { return }
        let words = Self.words(of: sql)
        switch answer {
        case .failure(let state, let message):
            let fields = [("S", "ERROR"), ("V", "ERROR"), ("C", state), ("M", message)]
            write("E", fields.flatMap { Array($0.0.utf8) + Array($0.1.utf8) + [0] } + [0])
            isSkipping = !describes
            if status == UInt8(ascii: "T") { status = UInt8(ascii: "E") }
            return
        case .rows(let rows):
            if describes { describe(answer) }
            for row in rows {
                write(
                    "D",
                    Self.short(row.count)
                        + row.flatMap { cell in
                            cell.map { Self.bytes(UInt32($0.utf8.count)) + Array($0.utf8) } ?? Self.bytes(.max)
                        })
            }
            write("C", Array("SELECT \(rows.count)".utf8) + [0])
        case nil:
            write("C", Array((words.first ?? "").utf8) + [0])
        }
        switch words.first {
        case "BEGIN": status = UInt8(ascii: "T")
        case "COMMIT": status = UInt8(ascii: "I")
        case "ROLLBACK": status = UInt8(ascii: words.contains("SAVEPOINT") ? "T" : "I")
        default: break
        }
    }

    mutating func describe(_ answer: ScriptedServer.Answer?) {
        if isSkipping { return }
        guard case .rows(let rows) = answer else { return write("n", []) }
        let count = rows.first?.count ?? 1
        var body = Self.short(count)
        for column in 0..<count {
            // Name, no table, no column, text, any length, no modifier, as text.
            body += Array("column\(column)".utf8) + [0] + Self.bytes(0) + Self.short(0) + Self.bytes(25)
            body += Self.short(0xFFFF) + Self.bytes(.max) + Self.short(0)
        }
        write("T", body)
    }

    mutating func ready() {
        isSkipping = false
        write("Z", [status])
    }

    /// In capitals, without the comments above the statement.
    static func words(of sql: String) -> [String] {
        sql.split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: " ")
            .split { !$0.isLetter }.map { $0.uppercased() }
    }

    // MARK: Bytes

    func read() -> (type: Character, body: [UInt8])? {
        guard let head = read(count: 5), let body = read(count: Int(Self.number(head[1..<5])) - 4) else { return nil }
        return (Character(UnicodeScalar(head[0])), body)
    }

    private func read(count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + filled, count - filled, 0) }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }

    func write(_ type: Unicode.Scalar, _ body: [UInt8]) {
        send([UInt8(ascii: type)] + Self.bytes(UInt32(body.count + 4)) + body)
    }

    private func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
    }

    private static func short(_ number: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
    }
}
