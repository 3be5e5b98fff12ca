// Decoded messages of one partition between the consumer and the database: columns, so that a transaction's parameters
// are slices of them. Used by one worker's thread.

import Model

/// The uncommitted messages of one partition, oldest first.
struct PartitionQueue {
    let partition: Int32
    private(set) var epoch: Int64
    /// The offset row's value when everything before `head` is committed.
    private(set) var committedOffset: Int64
    /// The offset that the next polled message must have: a gap means that the broker lost messages.
    private(set) var polledOffset: Int64

    private(set) var executions: [Int64] = []
    private(set) var blocks: [Int64] = []
    private(set) var quantities: [Int64] = []
    private(set) var priceTicks: [Int64] = []
    private(set) var offsets: [Int64] = []
    /// Positions in the book.
    private(set) var bookPositions: [Int] = []
    /// Intended arrival of each message on the monotonic clock.
    private(set) var arrivals: [Int64] = []
    /// When each message was handed over by the consumer.
    private(set) var polledTimes: [Int64] = []
    /// Busts, cancels and replaces, by offset. They are few: the columns have a place for each, without shares and price.
    private(set) var changes: [Int64: Execution] = [:]
    /// Messages that stop their block, by offset: they go to the parked tables instead.
    private(set) var parked: [Int64: ParkedMessage] = [:]

    /// Whether the last transaction that looked found messages that had come before: then more of them may follow.
    var meetsDuplicates = false

    /// Where the partition stood when it was claimed: what is there may be half done by an earlier owner of mode row.
    let firstOffset: Int64
    /// Index of the oldest uncommitted message.
    private(set) var head = 0
    /// Index of the oldest message that is in no transaction yet; beyond `head` while transactions are in flight.
    private(set) var unsent = 0
    /// Index of the oldest message that wasn't due yet when the worker last looked, and the offset behind all that were: a
    /// message that is read again was seen before.
    private var unseen = 0
    private(set) var unseenOffset: Int64

    init(partition: Int32, epoch: Int64, nextOffset: Int64, unseenOffset: Int64 = 0) {
        self.unseenOffset = unseenOffset
        self.partition = partition
        self.epoch = epoch
        firstOffset = nextOffset
        committedOffset = nextOffset
        polledOffset = nextOffset
    }

    var unsentCount: Int { offsets.count - unsent }
    var isEmpty: Bool { head == offsets.count }
    /// Whether any message came since the partition was claimed or is read anew.
    var hasPolled: Bool { polledOffset != firstOffset }

    mutating func append(_ execution: Execution, bookPosition: Int, offset: Int64, arrival: Int64, polled: Int64) {
        executions.append(execution.id.rawValue)
        blocks.append(execution.blockOrder.rawValue)
        quantities.append(execution.quantity)
        priceTicks.append(execution.price.ticks)
        offsets.append(offset)
        bookPositions.append(bookPosition)
        arrivals.append(arrival)
        polledTimes.append(polled)
        polledOffset = offset + 1
        if execution.type != .trade { changes[offset] = execution }
    }

    /// Queues a message that must be parked, in its place among the others.
    mutating func append(parked message: ParkedMessage, offset: Int64, arrival: Int64, polled: Int64) {
        append(
            Execution(id: ExecutionID(0), blockOrder: BlockOrderID(0), quantity: 0, price: Price(ticks: 0)),
            bookPosition: -1, offset: offset, arrival: arrival, polled: polled)
        parked[offset] = message
    }

    /// Notes a message without content for us (a resolved timestamp, a tombstone): only the offset moves.
    mutating func skip(offset: Int64) {
        polledOffset = offset + 1
    }

    /// The unit of work at `unsent` of up to `limit` messages that are due by `now`; nil if there is none.
    /// A message to park is a unit of its own.
    func nextUnit(limit: Int, dueBy now: Int64) -> UnitOfWork? {
        guard unsent < offsets.count, arrivals[unsent] <= now else { return nil }
        let expected = unsent == head ? committedOffset : offsets[unsent - 1] + 1
        if parked[offsets[unsent]] != nil {
            return UnitOfWork(range: unsent..<unsent + 1, expectedOffset: expected, nextOffset: offsets[unsent] + 1)
        }
        var end = unsent + 1
        while end < offsets.count, end - unsent < limit, arrivals[end] <= now,
            parked.isEmpty || parked[offsets[end]] == nil
        {
            end += 1
        }
        // Whatever was skipped behind the last message goes with it.
        let next = end == offsets.count ? polledOffset : offsets[end - 1] + 1
        return UnitOfWork(range: unsent..<end, expectedOffset: expected, nextOffset: next)
    }

    /// The arrival of the next message that is due by `now` and wasn't when this was last asked; nil if there is none.
    /// Messages to park have no arrival of their own.
    mutating func nextNewlyDue(by now: Int64) -> Int64? {
        while unseen < offsets.count, arrivals[unseen] <= now {
            let index = unseen
            unseen += 1
            guard offsets[index] >= unseenOffset else { continue }
            unseenOffset = offsets[index] + 1
            if parked.isEmpty || parked[offsets[index]] == nil { return arrivals[index] }
        }
        return nil
    }

    /// The bust, cancel or replace at an index; nil if there is a trade.
    func change(at index: Int) -> Execution? { changes.isEmpty ? nil : changes[offsets[index]] }

    /// The busts, cancels and replaces of a range.
    func changes(in range: Range<Int>) -> [(offset: Int64, report: Execution)] {
        if changes.isEmpty { return [] }
        return range.compactMap { index in change(at: index).map { (offsets[index], $0) } }
    }

    func holdsChange(in range: Range<Int>) -> Bool {
        !changes.isEmpty && range.contains { changes[offsets[$0]] != nil }
    }

    /// Whether the unit holds trades alone, each execution once: their ids ascend.
    func isOfAscendingTrades(_ unit: UnitOfWork) -> Bool {
        var last: Int64 = 0
        for index in unit.range {
            guard executions[index] > last, change(at: index) == nil else { return false }
            last = executions[index]
        }
        return true
    }

    /// Whether the unit is a message to park.
    func isParked(_ unit: UnitOfWork) -> Bool {
        !parked.isEmpty && unit.range.count == 1 && parked[offsets[unit.range.lowerBound]] != nil
    }

    /// The move that skipped messages alone ask for; nil if there is none.
    func offsetOnlyUnit() -> UnitOfWork? {
        guard isEmpty, polledOffset > committedOffset else { return nil }
        return UnitOfWork(range: head..<head, expectedOffset: committedOffset, nextOffset: polledOffset)
    }

    /// The database stands at an earlier offset than it has answered: everything from there on is read again.
    mutating func goBack(to offset: Int64) {
        self = PartitionQueue(partition: partition, epoch: epoch, nextOffset: offset, unseenOffset: unseenOffset)
    }

    /// Another worker goes on in the place of the one that had the partition.
    mutating func claim(epoch: Int64) { self.epoch = epoch }

    /// Arrivals were reckoned from 0 instead of `start`, which wasn't known.
    mutating func delay(by start: Int64) {
        for index in arrivals.indices { arrivals[index] += start }
    }

    mutating func markSent(_ unit: UnitOfWork) { unsent = unit.range.upperBound }

    /// Forgets that anything is in flight: it is sent again, and the guard tells what was done.
    mutating func unsend() { unsent = head }

    mutating func markCommitted(_ unit: UnitOfWork) {
        head = unit.range.upperBound
        unsent = max(unsent, head)
        committedOffset = unit.nextOffset
    }

    /// Drops committed messages once they are worth the move. Only between units, because it renumbers them.
    mutating func compact() {
        guard head == offsets.count || head >= 8192, head > 0, unsent == head else { return }
        if !parked.isEmpty { parked = parked.filter { $0.key >= committedOffset } }
        if !changes.isEmpty { changes = changes.filter { $0.key >= committedOffset } }
        executions.removeFirst(head)
        blocks.removeFirst(head)
        quantities.removeFirst(head)
        priceTicks.removeFirst(head)
        offsets.removeFirst(head)
        bookPositions.removeFirst(head)
        arrivals.removeFirst(head)
        polledTimes.removeFirst(head)
        unsent -= head
        unseen = max(0, unseen - head)
        head = 0
    }
}

/// A run of messages of one partition that one transaction processes.
struct UnitOfWork {
    /// Indexes in the partition's queue.
    let range: Range<Int>
    /// What the offset row holds before, and what it must hold after.
    let expectedOffset: Int64
    let nextOffset: Int64
}

/// A message that stops its block.
struct ParkedMessage {
    static let blockIsParked = "its block is parked"

    let blockCode: String
    let reason: String
    let value: [UInt8]
}
