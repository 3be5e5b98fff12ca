// Windows by count and by time, with a backlog and in an open run, told what is committed and when: no clock, no sleep.

import Measurement
import Testing

@Suite struct MeasuredWindowTests {
    private func window(
        _ warmUp: WindowPlan.Extent, _ measured: WindowPlan.Extent?, schedule: ArrivalSchedule = .backlog
    ) -> MeasuredWindow {
        let window = MeasuredWindow(plan: WindowPlan(warmUp: warmUp, measured: measured), schedule: schedule)
        window.begin(at: 1000)
        return window
    }

    @Test func `without limits everything counts`() {
        let window = MeasuredWindow(plan: .everything, schedule: .backlog)
        window.begin(at: 1000)
        let membership = window.commit(count: 5, at: 1001)
        #expect(membership.contains(arrival: 1000) && membership.contains(arrival: 0))
        #expect(window.openingTime == 1000)
        #expect(window.closingTime == nil)
        #expect(window.elapsedNs(atEnd: 3500) == 2500)
        #expect(window.committedCount == nil)
        #expect(window.startTime == 1000)
        #expect(window.membership(at: 1001) == membership)
    }

    @Test func `with a backlog a count of commits opens and closes the window, each at the end of a transaction`() {
        let window = window(.count(10), .count(20))
        #expect(window.openingTime == nil)
        #expect(window.committedCount == 0)
        let counted = stride(from: Int64(1), through: 9, by: 1).map { transaction in
            window.commit(count: 6, at: 1000 + transaction * 100).contains(arrival: 1000)
        }
        // 12 commits open it, not 10; 30 close it.
        #expect(counted == [false, false, true, true, true, false, false, false, false])
        #expect(window.openingTime == 1200)
        #expect(window.closingTime == 1500)
        #expect(window.committedCount == 18)
        #expect(window.elapsedNs(atEnd: 1900) == 300)
    }

    @Test func `asking which messages count tells the window of nothing, and answers as a commit would`() {
        let window = window(.count(10), .count(20))
        func counts(at time: Int64) -> Bool { window.membership(at: time).contains(arrival: 1000) }
        #expect((1...50).allSatisfy { !counts(at: 1000 + $0) }, "asking doesn't warm up")
        _ = window.commit(count: 10, at: 1100)
        #expect(!counts(at: 1100) && counts(at: 1101))
        #expect(window.openingTime == 1100 && window.committedCount == 0)
        _ = window.commit(count: 20, at: 1200)
        #expect(counts(at: 1200) && !counts(at: 1201) && window.committedCount == 20)

        let schedule = ArrivalSchedule.uniform(ratePerSecond: 10_000_000)
        let open = MeasuredWindow(plan: WindowPlan(warmUp: .count(5), measured: .count(10)), schedule: schedule)
        #expect(!open.membership(at: 900).contains(arrival: 900), "it hasn't begun")
        open.begin(at: 1000)
        for time in stride(from: Int64(1400), through: 9_000, by: 200) {
            #expect(open.membership(at: time) == open.commit(count: 1, at: time))
        }
        let committed = open.committedCount
        _ = open.membership(at: 2000)
        #expect(open.committedCount == committed)
    }

    @Test func `with a backlog a commit belongs to a window by time`() {
        let window = window(.nanoseconds(500), .nanoseconds(1000))
        let counted = [1400, 1500, 1501, 2500, 2501].map { window.commit(count: 2, at: $0).contains(arrival: 1000) }
        #expect(counted == [false, false, true, true, false])
        #expect(window.committedCount == 4)
        #expect(window.elapsedNs(atEnd: 1400) == nil)
        #expect(window.elapsedNs(atEnd: 2000) == 500)
        #expect(window.elapsedNs(atEnd: 9000) == 1000)
    }

    @Test func `count and time mix`() {
        let countThenTime = window(.count(3), .nanoseconds(100))
        #expect(!countThenTime.commit(count: 3, at: 1050).contains(arrival: 0))
        #expect(countThenTime.commit(count: 3, at: 1150).contains(arrival: 0))
        #expect(!countThenTime.commit(count: 3, at: 1151).contains(arrival: 0))
        #expect(countThenTime.closingTime == 1150 && countThenTime.committedCount == 3)

        let timeThenCount = window(.nanoseconds(100), .count(3))
        #expect(!timeThenCount.commit(count: 30, at: 1100).contains(arrival: 0))
        #expect(timeThenCount.commit(count: 2, at: 1101).contains(arrival: 0))
        #expect(timeThenCount.commit(count: 2, at: 1102).contains(arrival: 0))
        #expect(!timeThenCount.commit(count: 2, at: 1103).contains(arrival: 0))
        #expect(timeThenCount.closingTime == 1102 && timeThenCount.committedCount == 4)
    }

    @Test func `in an open run a message belongs to the window by its intended arrival, however late its commit`() {
        // One arrival each 100 ns from 1000 on.
        let schedule = ArrivalSchedule.uniform(ratePerSecond: 10_000_000)
        for plan in [
            (WindowPlan.Extent.count(5), WindowPlan.Extent.count(10)), (.nanoseconds(500), .nanoseconds(1000)),
        ] {
            let window = window(plan.0, plan.1, schedule: schedule)
            #expect(window.openingTime == 1500 && window.closingTime == 2500)
            let late = window.commit(count: 1, at: 99_000)
            let arrivals = (0..<30).map { schedule.intendedArrival(sequence: $0, start: 1000) }
            #expect(arrivals.count(where: { late.contains(arrival: $0) }) == 10)
            #expect(late.contains(arrival: 1500) && !late.contains(arrival: 2500))
            // The throughput is of what was committed meanwhile.
            #expect(window.committedCount == 0)
            #expect(window.commit(count: 7, at: 2000) == late)
            #expect(window.committedCount == 7)
        }
    }

    @Test func `in an open run a count begins with the first message after a warm-up by time`() {
        let window = window(.nanoseconds(450), .count(2), schedule: .uniform(ratePerSecond: 10_000_000))
        let membership = window.commit(count: 1, at: 5000)
        let counted = (0..<30).map { Int64(1000 + $0 * 100) }.filter { membership.contains(arrival: $0) }
        #expect(counted == [1500, 1600])
    }

    @Test func `the first start decides, and before it nothing counts`() {
        let window = MeasuredWindow(plan: WindowPlan(warmUp: .none, measured: .count(2)), schedule: .backlog)
        #expect(!window.commit(count: 1, at: 900).contains(arrival: 0))
        window.begin(at: 1000)
        window.begin(at: 2000)
        #expect(window.openingTime == 1000)
        #expect(window.commit(count: 1, at: 1001).contains(arrival: 0))
    }

    @Test func `threads agree on one opening and one closing`() async {
        let window = window(.count(1000), .count(5000))
        let counted = await withTaskGroup(of: Int64.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var counted: Int64 = 0
                    for step in 0..<4000 as Range<Int64> {
                        let count = step % 3 + 1
                        let membership = window.commit(count: count, at: 2000 + step * 4 + Int64(worker))
                        if membership.contains(arrival: 0) { counted += count }
                    }
                    return counted
                }
            }
            return await group.reduce(0, +)
        }
        #expect(window.committedCount == counted)
        #expect((4998...5002).contains(counted))
    }
}
