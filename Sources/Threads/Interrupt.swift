// Ctrl-C and TERM: set a flag that every loop of a program looks at. And where its words go meanwhile.

import Glibc

public enum Interrupt {
    /// Set once; a handler may touch it because setting is one atomic store.
    public static let flag = StopFlag()

    /// The first signal ends the program in order; a second one ends it at once.
    public static func install() {
        _ = flag.isSet
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                if Interrupt.flag.isSet { _exit(128 + number) }
                Interrupt.flag.set()
            }
        }
        // A closed pipe is an error of the write that met it, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }
}

/// Writes a line to standard error, where progress and faults go: C's `stderr` is a mutable global, which Swift 6 refuses.
public func say(_ line: String) { say(line, to: STDERR_FILENO) }

public func say(_ line: String, to descriptor: Int32) {
    let bytes = Array((line + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}
