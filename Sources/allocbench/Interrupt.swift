// Ctrl-C and TERM: set a flag that every loop of this program looks at.

import Glibc
import Threads

enum Interrupt {
    /// Set once; a handler may touch it because setting is one atomic store.
    static let flag = StopFlag()

    /// The first signal ends the program in order; a second one ends it at once.
    static func install() {
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

/// Writes a line to standard error, where progress and faults go.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
