// Where a stream ends that is still being made while workers process it. Shared by its maker and the workers.

import Synchronization

/// Per partition the offset behind the last message, once nobody writes to the topic any more.
public final class StreamEnd: Sendable {
    private let known = Mutex<[Int32: Int64]?>(nil)
    private let isKnown = Atomic<Bool>(false)

    public init() {}

    /// Says where the stream ends: from here on no message is added to the topic.
    public func set(_ offsets: [Int32: Int64]) {
        known.withLock { $0 = offsets }
        isKnown.store(true, ordering: .releasing)
    }

    /// Nil as long as the stream may still grow. Asked in a worker's loop, so that it costs a load until then.
    public var offsets: [Int32: Int64]? {
        isKnown.load(ordering: .acquiring) ? known.withLock { $0 } : nil
    }
}
