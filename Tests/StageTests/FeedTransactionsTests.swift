// When a feed's transaction of Kafka is due, and what is acknowledged behind its commit. Pure.

import Testing

@testable import ChangeFeed

@Suite struct FeedTransactionsTests {
    @Test func `a transaction begins with its first message and is due when it is quiet, old or large`() {
        var transactions = FeedTransactions()
        #expect(!transactions.isOpen && !transactions.isDue(at: 0, isQuiet: true))
        let isFirst = transactions.add(at: 1_000)
        let isSecond = transactions.add(at: 2_000)
        #expect(isFirst && !isSecond && transactions.isOpen)
        #expect(!transactions.isDue(at: 2_000, isQuiet: false) && transactions.isDue(at: 2_000, isQuiet: true))
        let old = 1_000 + FeedTransactions.lengthMaxNs
        #expect(!transactions.isDue(at: old - 1, isQuiet: false) && transactions.isDue(at: old, isQuiet: false))
        for _ in 2..<FeedTransactions.messageCountMax { _ = transactions.add(at: 3_000) }
        #expect(transactions.isDue(at: 3_000, isQuiet: false))
    }

    @Test func `what was delivered is handed over once, by the commit`() {
        var transactions = FeedTransactions()
        _ = transactions.add(at: 0)
        transactions.hold(7)
        transactions.hold(8)
        let committed = transactions.commit()
        #expect(committed == [7, 8])
        #expect(!transactions.isOpen)
        let isFirst = transactions.add(at: 5)
        let rest = transactions.commit()
        #expect(isFirst && rest.isEmpty)
    }
}
