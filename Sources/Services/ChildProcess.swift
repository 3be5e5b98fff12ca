// Starts, watches and ends the processes that the harness owns: PostgreSQL, a broker, short tools.
// Blocks the calling thread. Knows nothing of what the processes do and keeps no list of them.

internal import CSpawn
public import Diagnostics
internal import Glibc
import Kafka

/// Child processes by `posix_spawn`: no fork in a process that has threads.
public enum ChildProcess {
    /// Runs a command to its end and returns what it wrote to both of its outputs, in the order of writing.
    ///
    /// Input and output go through unlinked files, not pipes: a large input can't deadlock with a large output, and a
    /// grandchild that keeps the output open can't hold the caller. Blocks until the command ends.
    /// - Parameters:
    ///   - arguments: the program, searched in PATH unless it holds a slash, and its arguments.
    ///   - environment: the whole environment of the command; nil hands down this process' own.
    ///   - workingFolder: where the command runs; nil stays here.
    /// - Returns: the exit status, or 128 plus the number of the signal that ended the command.
    public static func run(
        _ arguments: [String], environment: [String: String]? = nil, input: String? = nil,
        workingFolder: String? = nil
    ) throws(OperatingError) -> (status: Int32, output: String) {
        let program = arguments.first ?? ""
        guard let outputFile = tmpfile() else { throw .system("make a temporary file for the output of \(program)") }
        defer { fclose(outputFile) }
        guard let inputFile = tmpfile() else { throw .system("make a temporary file for the input of \(program)") }
        defer { fclose(inputFile) }
        if let input {
            let bytes = Array(input.utf8)
            guard fwrite(bytes, 1, bytes.count, inputFile) == bytes.count, fflush(inputFile) == 0 else {
                throw .system("write the input of \(program)")
            }
            rewind(inputFile)
        }
        // Two descriptors of one open file share its position, so the outputs don't overwrite each other.
        let pid = try spawn(
            arguments, environment: environment, workingFolder: workingFolder, ownSession: false,
            streams: [.inherited(fileno(inputFile)), .inherited(fileno(outputFile)), .inherited(fileno(outputFile))])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { throw .system("wait for \(program)") }
        }
        return (exitStatus(of: status), contents(of: fileno(outputFile)))
    }

    /// Starts a process in a session of its own, so that a signal to our terminal's group doesn't reach it.
    ///
    /// Its signal mask is empty and its signal handlers are the defaults, whatever this process blocks or ignores; of our
    /// descriptors it gets none but its standard three. The output files are appended to and made with mode 0600.
    /// - Parameters:
    ///   - standardOutput: path of the file for its output.
    ///   - standardError: path of the file for its errors; may be the same.
    ///   - standardInput: a descriptor to read from, `/dev/null` if nil.
    /// - Returns: its process id. `processStartTicks` of it tells it from a later process with the same id.
    public static func spawnDetached(
        _ arguments: [String], standardOutput: String, standardError: String, standardInput: Int32? = nil,
        environment: [String: String]? = nil, workingFolder: String? = nil
    ) throws(OperatingError) -> Int32 {
        try spawn(
            arguments, environment: environment, workingFolder: workingFolder, ownSession: true,
            streams: [
                standardInput.map { .inherited($0) } ?? .file("/dev/null", O_RDONLY),
                .file(standardOutput, O_WRONLY | O_CREAT | O_APPEND),
                .file(standardError, O_WRONLY | O_CREAT | O_APPEND),
            ])
    }

    /// This process' own environment less the user's passwords and what is said of the user's brokers, for a child that has no use
    /// for them and shows its environment to whoever may look into it.
    static var environmentWithoutSecrets: [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            next += 1
        }
        return withoutSecrets(variables)
    }

    static func withoutSecrets(_ variables: [String: String]) -> [String: String] {
        variables.filter { !isSecretName($0.key) && !$0.key.hasPrefix(KafkaPropertySource.variablePrefix) }
    }

    /// When a process started, in clock ticks after the machine's start; nil if there is no such process.
    /// A process id and this figure together name one process for as long as the machine is up.
    public static func processStartTicks(_ pid: Int32) -> UInt64? {
        statusFields(of: pid).flatMap { $0.count > 19 ? UInt64($0[19]) : nil }
    }

    /// The process that started this one; nil if it is gone.
    static func parent(of pid: Int32) -> Int32? {
        statusFields(of: pid).flatMap { $0.count > 1 ? Int32($0[1]) : nil }
    }

    /// Whether the process that started at `startTicks` still runs; a zombie doesn't.
    public static func isRunning(_ pid: Int32, startTicks: UInt64) -> Bool {
        guard let fields = statusFields(of: pid), fields.count > 19 else { return false }
        return UInt64(fields[19]) == startTicks && fields[0] != "Z" && fields[0] != "X"
    }

    /// Sends `signal` to a process and waits until it is gone; reaps it if it is our child.
    ///
    /// A process id that names another process by now is left alone. Blocks for `timeout` at most.
    /// - Returns: whether the process is gone.
    @discardableResult
    public static func terminate(
        _ pid: Int32, startTicks: UInt64, signal: Int32, timeout: Duration = .seconds(10)
    ) -> Bool {
        if isRunning(pid, startTicks: startTicks) { kill(pid, signal) }
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while isRunning(pid, startTicks: startTicks) {
            guard ContinuousClock.now < deadline else { return false }
            usleep(5_000)
        }
        // Its first thread, which gives the process its state, may be gone while others aren't yet; "waitpid" then says 0.
        // ECHILD, for a process that isn't our child, is as good an answer as its number.
        while processStartTicks(pid) == startTicks, waitpid(pid, nil, WNOHANG) == 0 {
            guard ContinuousClock.now < deadline else { return false }
            usleep(1_000)
        }
        return true
    }

    /// What a standard stream of a child is connected to.
    private enum Stream {
        case inherited(Int32)
        case file(String, Int32)
    }

    private static func spawn(
        _ arguments: [String], environment: [String: String]?, workingFolder: String?, ownSession: Bool,
        streams: [Stream]
    ) throws(OperatingError) -> Int32 {
        guard let program = arguments.first else { throw OperatingError("no program to start") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The streams first: their paths may be relative to where we are.
        for (descriptor, stream) in streams.enumerated() {
            switch stream {
            case .inherited(let source):
                posix_spawn_file_actions_adddup2(&actions, source, Int32(descriptor))
            case .file(let path, let flags):
                posix_spawn_file_actions_addopen(&actions, Int32(descriptor), path, flags, 0o600)
            }
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, Int32(streams.count))
        if let workingFolder { posix_spawn_file_actions_addchdir_np(&actions, workingFolder) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        sigfillset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &mask)
        let session = ownSession ? Int32(SPAWN_SETSID) : 0
        posix_spawnattr_setflags(&attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | session))

        var pid: pid_t = 0
        let status = withCStrings(arguments) { argumentList in
            guard let environment else {
                return posix_spawnp(&pid, program, &actions, &attributes, argumentList, environ)
            }
            return withCStrings(environment.map { "\($0.key)=\($0.value)" }.sorted()) { environmentList in
                posix_spawnp(&pid, program, &actions, &attributes, argumentList, environmentList)
            }
        }
        guard status == 0 else { throw OperatingError("can't start \(program): \(String(cString: strerror(status)))") }
        return pid
    }

    /// The fields of `/proc/PID/stat` from the third one, the state, on. The second, the name in parentheses, may hold
    /// spaces and parentheses of its own, so the fields are counted from its last parenthesis.
    private static func statusFields(of pid: Int32) -> [Substring]? {
        guard let text = fileContents("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }

    /// The value a shell would show for a status of `waitpid`, whose macros Swift doesn't import.
    private static func exitStatus(of status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    private static func contents(of descriptor: Int32) -> String {
        lseek(descriptor, 0, SEEK_SET)
        return String(decoding: readToEnd(descriptor), as: UTF8.self)
    }
}

/// The text of a file, nil if it can't be opened.
func fileContents(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return String(decoding: readToEnd(descriptor), as: UTF8.self)
}

private func readToEnd(_ descriptor: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count > 0 {
            bytes += chunk[..<count]
        } else if count == 0 || errno != EINTR {
            return bytes
        }
    }
}

/// Calls `body` with the null-terminated array of C strings that `exec` expects.
private func withCStrings<R>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
}

extension OperatingError {
    /// What the last C call failed at, in the words of `errno`.
    static func system(_ action: String) -> OperatingError {
        let reason = String(cString: strerror(errno))
        return OperatingError("can't \(action): \(reason)")
    }
}
