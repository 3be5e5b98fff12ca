// Child processes: what they inherit, what they answer, how they end.

import Glibc
import TestSupport
import Testing

@testable import Services

@Suite struct ChildProcessTests {
    @Test func `a command's outputs come in the order of writing, with its status`() throws {
        let (status, output) = try ChildProcess.run(["sh", "-c", "echo one; echo two >&2; echo three; exit 7"])
        #expect(status == 7 && output == "one\ntwo\nthree\n")
    }

    @Test func `a large input that comes back large doesn't deadlock`() throws {
        let input = String(repeating: "0123456789abcde\n", count: 100_000)
        let (status, output) = try ChildProcess.run(["cat"], input: input)
        #expect(status == 0 && output == input)
    }

    @Test func `a grandchild that keeps the output open doesn't hold the caller`() throws {
        let clock = ContinuousClock()
        let took = try clock.measure {
            let (status, output) = try ChildProcess.run(["sh", "-c", "sleep 20 & echo $!"])
            #expect(status == 0)
            kill(try #require(Int32(output.filter { $0.isNumber })), SIGKILL)
        }
        #expect(took < .seconds(10))
    }

    @Test func `a command ended by a signal answers 128 plus its number`() throws {
        #expect(try ChildProcess.run(["sh", "-c", "kill -TERM $$"]).status == 128 + SIGTERM)
    }

    @Test func `environment and working folder are those asked for`() throws {
        let (_, output) = try ChildProcess.run(
            ["/bin/sh", "-c", "pwd; echo $A; echo $HOME"], environment: ["A": "b c"], workingFolder: "/var")
        #expect(output == "/var\nb c\n\n")
    }

    @Test func `a child that has no use for them gets no secrets`() {
        let variables = [
            "PATH": "/bin", "PGHOST": "db", "PGPASSWORD": "x", "ALLOCBENCH_KAFKA_SASL_PASSWORD": "x",
            "ALLOCBENCH_KAFKA_SASL_USERNAME": "me", "ALLOCBENCH_EXECUTABLE": "/a",
        ]
        let expected = ["PATH": "/bin", "PGHOST": "db", "ALLOCBENCH_EXECUTABLE": "/a"]
        #expect(ChildProcess.withoutSecrets(variables) == expected)
    }

    @Test func `what can't be started is named`() throws {
        let error = #expect(throws: (any Error).self) { try ChildProcess.run(["no-such-program-here"]) }
        #expect("\(try #require(error))".contains("no-such-program-here"))
        #expect(throws: (any Error).self) { try ChildProcess.run([]) }
        #expect(throws: (any Error).self) { try ChildProcess.run(["pwd"], workingFolder: "/no/such/folder") }
    }

    @Test func `a detached process has its own session, default signals and no descriptor of ours`() throws {
        try withFolder { folder in
            let leaked = open("/dev/null", O_RDONLY)
            defer { close(leaked) }
            #expect(leaked > 2)
            var mask = sigset_t()
            var previous = sigset_t()
            sigemptyset(&mask)
            sigaddset(&mask, SIGUSR1)
            pthread_sigmask(SIG_BLOCK, &mask, &previous)
            signal(SIGUSR2, SIG_IGN)
            defer { signal(SIGUSR2, SIG_DFL) }
            defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
            let script =
                "ls /proc/self/fd | wc -l; ls /proc/$$/fd | tr '\\n' ' '; ps -o sid= -p $$; echo $$; "
                + "grep -E '^Sig(Blk|Ign)' /proc/self/status; cat; echo oops >&2"
            let pid = try ChildProcess.spawnDetached(
                ["sh", "-c", script], standardOutput: folder + "/out", standardError: folder + "/err")
            var status: Int32 = 0
            #expect(waitpid(pid, &status, 0) == pid && status == 0)
            let lines = try text(folder + "/out").split(separator: "\n").map(String.init)
            #expect(lines.count == 5)
            #expect(lines[1].hasPrefix("0 1 2 ") && !lines[1].contains(" \(leaked) "))
            let sessionAndPid = lines[1].split(separator: " ").suffix(1) + [Substring(lines[2])]
            #expect(sessionAndPid.allSatisfy { Int32($0) == pid })
            // The 31 ordinary signals; glibc has the child ignore two that it keeps for itself.
            for line in lines[3...] {
                let mask = try #require(line.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
                #expect(mask & 0x7FFF_FFFF == 0, "\(line)")
            }
            #expect(try text(folder + "/err") == "oops\n")
        }
    }

    @Test func `a detached process reads the descriptor it is given, and appends to its files`() throws {
        try withFolder { folder in
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            #expect(write(ends[1], "hello\n", 6) == 6)
            close(ends[1])
            defer { close(ends[0]) }
            for input in [ends[0], nil] {
                let pid = try ChildProcess.spawnDetached(
                    ["sh", "-c", "cat; echo end"], standardOutput: folder + "/out", standardError: folder + "/out",
                    standardInput: input)
                waitpid(pid, nil, 0)
            }
            #expect(try text(folder + "/out") == "hello\nend\nend\n")
        }
    }

    @Test func `a process is told from a later one with its number`() throws {
        let pid = try spawn(["sleep", "60"])
        let ticks = try #require(ChildProcess.processStartTicks(pid))
        #expect(ChildProcess.isRunning(pid, startTicks: ticks) && !ChildProcess.isRunning(pid, startTicks: ticks + 1))
        #expect(ChildProcess.terminate(pid, startTicks: ticks + 1, signal: SIGKILL, timeout: .zero))
        #expect(ChildProcess.isRunning(pid, startTicks: ticks), "another process' number was signalled")
        #expect(ChildProcess.terminate(pid, startTicks: ticks, signal: SIGTERM, timeout: .seconds(10)))
        #expect(!ChildProcess.isRunning(pid, startTicks: ticks) && ChildProcess.processStartTicks(pid) == nil)
        #expect(ChildProcess.processStartTicks(0) == nil)
    }

    @Test func `a process that ignores the signal is reported, and killed by the one it can't ignore`() throws {
        try withFolder { folder in
            let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
            let pid = try ChildProcess.spawnDetached(
                ["sh", "-c", script], standardOutput: folder + "/out", standardError: folder + "/out")
            while try text(folder + "/out").isEmpty { usleep(5_000) }
            let ticks = try #require(ChildProcess.processStartTicks(pid))
            #expect(!ChildProcess.terminate(pid, startTicks: ticks, signal: SIGTERM, timeout: .milliseconds(200)))
            #expect(ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL, timeout: .seconds(10)))
        }
    }

    @Test func `a zombie doesn't run`() throws {
        let pid = try spawn(["true"])
        let ticks = try #require(ChildProcess.processStartTicks(pid))
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while ChildProcess.isRunning(pid, startTicks: ticks) && ContinuousClock.now < deadline { usleep(2_000) }
        #expect(!ChildProcess.isRunning(pid, startTicks: ticks))
        #expect(waitpid(pid, nil, 0) == pid)
    }

    @Test func `a child with many threads is gone, and no zombie, once it is terminated`() throws {
        try withFolder { folder in
            for _ in 1...40 {
                let pid = try spawn([
                    HarnessProcess.executable, "broker-mock", "--control", folder + "/s", "--state", folder,
                ])
                let ticks = try #require(ChildProcess.processStartTicks(pid))
                let tasks = { try ChildProcess.run(["ls", "/proc/\(pid)/task"]).output.split(separator: "\n").count }
                #expect(try eventually { try tasks() > 2 })
                #expect(ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL))
                #expect(ChildProcess.processStartTicks(pid) == nil)
                waitpid(pid, nil, 0)
            }
        }
    }

    @Test func `a program's name with parentheses and spaces doesn't hide its start`() throws {
        try withFolder { folder in
            let program = folder + "/a) S 1 (b"
            #expect(try ChildProcess.run(["cp", "/bin/sleep", program]).status == 0)
            let pid = try spawn([program, "60"])
            let plain = try spawn(["sleep", "60"])
            let ticks = try #require(ChildProcess.processStartTicks(pid))
            let plainTicks = try #require(ChildProcess.processStartTicks(plain))
            // Ticks are hundredths of a second; the two started within a few of them.
            #expect(plainTicks >= ticks && plainTicks - ticks < 1_000)
            for (pid, ticks) in [(pid, ticks), (plain, plainTicks)] {
                ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL, timeout: .seconds(10))
            }
        }
    }

    private func spawn(_ arguments: [String]) throws -> Int32 {
        try ChildProcess.spawnDetached(arguments, standardOutput: "/dev/null", standardError: "/dev/null")
    }

    private func text(_ path: String) throws -> String { try ChildProcess.run(["cat", path]).output }
}

/// Calls `body` with a new folder, which is removed afterwards.
func withFolder(_ body: (String) throws -> Void) throws {
    let output = try ChildProcess.run(["mktemp", "-d", "--tmpdir=\(TestFolder.root)"]).output
    let folder = String(output.prefix { !$0.isNewline })
    defer { _ = try? ChildProcess.run(["rm", "-rf", folder]) }
    try body(folder)
}
