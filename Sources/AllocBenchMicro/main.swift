// allocbench-micro: what the pure parts of the allocation engine cost, on one core and without any service.
//
// The figures compare builds on one machine in one hour. They are no throughput of the harness: that is what
// `allocbench run` measures.

import Glibc

/// C's `stderr` is a mutable global, which Swift 6 refuses.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

if CommandLine.arguments.count > 1 {
    say("allocbench-micro takes no arguments")
    exit(2)
}
#if DEBUG
    say("This is a debug build; its figures mean nothing. `make bench` builds for release.")
#endif
printReport(.full)
