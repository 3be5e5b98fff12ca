// Bytes between two sockets: read in at one end, written out at the other, without a copy in between.
// One thread's.

import Glibc

/// A ring of bytes that grows when it is full, up to a limit.
struct ByteRing: ~Copyable {
    private static let capacityMin = 16 * 1024

    private let capacityMax: Int
    private var bytes: UnsafeMutableRawPointer
    private var capacity = capacityMin
    private var start = 0
    private(set) var count = 0

    init(capacityMax: Int) {
        self.capacityMax = max(capacityMax, Self.capacityMin)
        bytes = .allocate(byteCount: Self.capacityMin, alignment: 16)
    }

    deinit { bytes.deallocate() }

    var isFull: Bool { count == capacityMax }

    /// Reads what the descriptor has, as far as there is room in one piece.
    /// - Returns: what `read` returns, and how much it was asked for; never asks for nothing unless the ring `isFull`.
    mutating func read(from descriptor: Int32) -> (result: Int, asked: Int) {
        if count == capacity { grow() }
        if count == 0 { start = 0 }
        let end = (start + count) % capacity
        let asked = end < start ? start - end : capacity - end
        let result = recv(descriptor, bytes + end, asked, 0)
        if result > 0 { count += result }
        return (result, asked)
    }

    /// Writes the oldest bytes, at most `limit` of them and as far as they lie in one piece.
    /// - Returns: what `send` returns.
    mutating func write(to descriptor: Int32, atMost limit: Int) -> Int {
        let size = min(limit, count, capacity - start)
        // Without MSG_NOSIGNAL a peer that has gone would end this process with SIGPIPE.
        let result = send(descriptor, bytes + start, size, Int32(MSG_NOSIGNAL))
        if result > 0 { drop(result) }
        return result
    }

    /// Forgets the oldest bytes.
    mutating func drop(_ size: Int) {
        start = (start + size) % capacity
        count -= size
    }

    private mutating func grow() {
        let larger = min(capacity * 2, capacityMax)
        guard larger > capacity else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        let first = min(count, capacity - start)
        copy.copyMemory(from: bytes + start, byteCount: first)
        (copy + first).copyMemory(from: bytes, byteCount: count - first)
        bytes.deallocate()
        (bytes, capacity, start) = (copy, larger, 0)
    }
}
