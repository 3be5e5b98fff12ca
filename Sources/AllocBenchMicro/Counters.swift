// What the calling thread has asked of malloc and of locks, and how many instructions it has run.

import CCounters
import Synchronization

/// Counts of one thread, or what it added to them.
struct ThreadCounts: Sendable {
    struct Owners: Sendable {
        var program: Int64 = 0
        var libpq: Int64 = 0
        var librdkafka: Int64 = 0

        var libraries: Int64 { libpq + librdkafka }

        static func - (a: Self, b: Self) -> Self {
            Self(program: a.program - b.program, libpq: a.libpq - b.libpq, librdkafka: a.librdkafka - b.librdkafka)
        }
    }

    var allocations = Owners()
    var locks = Owners()

    /// False in a build with a sanitizer, which has a malloc of its own.
    static let isCounting = counters_are_counting() != 0

    static var now: ThreadCounts {
        let counts = counters_read()
        func owners(_ counts: (UInt64, UInt64, UInt64)) -> Owners {
            Owners(program: Int64(counts.0), libpq: Int64(counts.1), librdkafka: Int64(counts.2))
        }
        return ThreadCounts(allocations: owners(counts.allocations), locks: owners(counts.locks))
    }

    static func - (a: Self, b: Self) -> Self {
        Self(allocations: a.allocations - b.allocations, locks: a.locks - b.locks)
    }
}

/// The kernel's counter of the thread that opened it: the one that runs the benchmarks.
enum InstructionCounter {
    /// -1 while there is none.
    private static let descriptor = Atomic<Int32>(-1)

    /// Opens the counter for the calling thread. Returns false where the kernel or the machine has none: a virtual machine often
    /// hasn't, and `kernel.perf_event_paranoid` above 2 refuses it.
    static func open() -> Bool {
        let opened = instruction_counter_open()
        descriptor.store(opened, ordering: .relaxed)
        return opened >= 0
    }

    /// nil while there is none.
    static var now: Int64? {
        let descriptor = descriptor.load(ordering: .relaxed)
        guard descriptor >= 0 else { return nil }
        let count = instruction_counter_read(descriptor)
        return count < 0 ? nil : count
    }
}
