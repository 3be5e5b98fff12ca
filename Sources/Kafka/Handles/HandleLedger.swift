// Counts C handles adopted and freed, so that a test can prove that a path leaks nothing.
// Off (nil) outside tests: a handle then pays one nil check.

import Synchronization

/// The kinds of C object this module owns.
enum HandleKind: Int, CaseIterable, Sendable {
    case configuration, client, topic, message, partitionList, queue, event, metadata, mockCluster
    case newTopic, deleteTopic, configResource, adminOptions
}

/// Counts what was made while it was current on the making thread's task.
final class HandleLedger: Sendable {
    /// Handles remember the ledger that was current when they were made, so tests that run side by side don't mix.
    @TaskLocal static var current: HandleLedger?

    private let counts = Mutex<[HandleKind: (adopted: Int, freed: Int)]>([:])

    func adopted(_ kind: HandleKind) { counts.withLock { $0[kind, default: (0, 0)].adopted += 1 } }
    func freed(_ kind: HandleKind) { counts.withLock { $0[kind, default: (0, 0)].freed += 1 } }

    func adoptedCount(_ kind: HandleKind) -> Int { counts.withLock { $0[kind]?.adopted ?? 0 } }
    /// Kinds with handles still open, with how many.
    var open: [HandleKind: Int] {
        counts.withLock { $0.mapValues { $0.adopted - $0.freed }.filter { $0.value != 0 } }
    }
}
