// Which messages of a feed are in the open transaction of Kafka, and when it is time to commit it. Pure: told the time.

struct FeedTransactions {
    /// A commit takes the brokers some round trips, so messages share one.
    static let messageCountMax = 4096
    static let lengthMaxNs: Int64 = 50_000_000

    private(set) var isOpen = false
    private var beganNs: Int64 = 0
    private var count = 0
    private var held: [UInt64] = []

    /// Counts a message that is about to be produced.
    /// - Returns: whether a transaction has to be begun for it.
    mutating func add(at now: Int64) -> Bool {
        count += 1
        if isOpen { return false }
        isOpen = true
        beganNs = now
        return true
    }

    /// - Parameter isQuiet: whether nothing more to publish is there at the moment.
    func isDue(at now: Int64, isQuiet: Bool) -> Bool {
        isOpen && (isQuiet || count >= Self.messageCountMax || now - beganNs >= Self.lengthMaxNs)
    }

    /// Keeps a delivered message until its transaction is committed.
    mutating func hold(_ tag: UInt64) { held.append(tag) }

    /// The transaction is committed.
    /// - Returns: the tags of its messages.
    mutating func commit() -> [UInt64] {
        let messages = held
        held.removeAll(keepingCapacity: true)
        (isOpen, count) = (false, 0)
        return messages
    }
}
