// The one word by which threads are asked to end.

import Synchronization

/// A flag that any thread may set once and any thread may read; nothing unsets it.
public final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    public var isSet: Bool { flag.load(ordering: .acquiring) }
    public func set() { flag.store(true, ordering: .releasing) }
}
