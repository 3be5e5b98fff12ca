// Where a block stands by FIX's words, and when its fills are due to be allocated.

import Measurement
import Model
import Testing

@Suite struct BlockStateTests {
    /// A block order of 100 shares, at 10 ticks each.
    private func state(
        filled: Int64 = 0, executions: Int64 = 0, ordered: Int64 = 100, isCanceled: Bool = false
    ) -> BlockState {
        var state = BlockState(orderQuantity: ordered)
        state.cumQuantity = filled
        state.notionalTicks = Int128(filled * 10)
        state.executionCount = executions
        state.isCanceled = isCanceled
        return state
    }

    private let everyPolicy: [SnapshotPolicy] = [
        .completion, .quarters, .fraction(parts: 1), .executions(3), .interval(milliseconds: 500),
    ]

    // MARK: OrdStatus and LeavesQty

    @Test(arguments: [
        (0, 100, false, OrdStatus.new, 100, false), (1, 100, false, .partiallyFilled, 99, false),
        (99, 100, false, .partiallyFilled, 1, false), (100, 100, false, .filled, 0, true),
        // FIX matrix D.1.b: canceled takes precedence, after a bust of everything and after a late fill alike.
        (0, 100, true, .canceled, 0, true), (40, 100, true, .canceled, 0, true), (100, 100, true, .canceled, 0, true),
        // Replaced down to what is filled, and more filled than a replace or bust to come explains.
        (40, 40, false, .filled, 0, true), (120, 100, false, .partiallyFilled, -20, false),
    ]) func `status and leaves follow from what is live and what the order was changed to`(
        _ filled: Int64, _ ordered: Int64, _ isCanceled: Bool, _ status: OrdStatus, _ leaves: Int64, _ isFinal: Bool
    ) {
        let state = state(filled: filled, ordered: ordered, isCanceled: isCanceled)
        #expect(state.ordStatus == status)
        #expect(state.leavesQuantity == leaves)
        #expect(state.isFinal == isFinal)
        #expect(state.isOverfilled == (filled > ordered))
    }

    // MARK: when a snapshot is due

    @Test func `a block that nothing has happened to needs no snapshot`() {
        for policy in everyPolicy { #expect(!state().isSnapshotDue(policy, elapsedMs: 1_000_000)) }
    }

    @Test func `a block that was canceled unfilled needs no first snapshot`() {
        for policy in everyPolicy { #expect(!state(isCanceled: true).isSnapshotDue(policy, elapsedMs: 1_000_000)) }
    }

    @Test func `completion is due under every policy, and once`() {
        let filled = state(filled: 100, executions: 1)
        let canceled = state(filled: 1, executions: 1, isCanceled: true)
        let replacedDown = state(filled: 30, executions: 1, ordered: 30)
        for policy in everyPolicy {
            for state in [filled, canceled, replacedDown] {
                #expect(state.isSnapshotDue(policy, elapsedMs: 0))
                #expect(!state.allocated().isSnapshotDue(policy, elapsedMs: 1_000_000))
            }
        }
    }

    @Test func `a bust of what is allocated is due under every policy`() {
        var state = state(filled: 60, executions: 6).allocated()
        state.cumQuantity = 50
        state.notionalTicks = 500
        for policy in everyPolicy { #expect(state.isSnapshotDue(policy, elapsedMs: 0)) }
        // Also when it takes back everything.
        state.cumQuantity = 0
        state.notionalTicks = 0
        for policy in everyPolicy { #expect(state.isSnapshotDue(policy, elapsedMs: 0)) }
    }

    @Test func `a bust of what is not allocated yet is not due`() {
        var state = state(filled: 50, executions: 3).allocated()
        state.cumQuantity = 60
        state.notionalTicks = 600
        for policy in everyPolicy where policy != .interval(milliseconds: 500) {
            #expect(!state.isSnapshotDue(policy, elapsedMs: 1_000_000))
        }
    }

    @Test func `whatever changes a block after its last snapshot was final is due at once`() {
        let final = state(filled: 40, executions: 4, isCanceled: true).allocated()
        var lateFill = final
        lateFill.cumQuantity = 41
        lateFill.notionalTicks = 410
        var bustAndFill = final
        bustAndFill.notionalTicks = 401
        var replacedUp = state(filled: 100, executions: 4).allocated()
        replacedUp.orderQuantity = 200
        #expect(!replacedUp.isFinal)
        // The fill that came after the cancel arrived before it, and filled the order: its status changes all the same.
        var canceledLate = state(filled: 100, executions: 4).allocated()
        canceledLate.isCanceled = true
        for policy in everyPolicy {
            for state in [lateFill, bustAndFill, replacedUp, canceledLate] {
                #expect(state.isSnapshotDue(policy, elapsedMs: 0))
            }
        }
    }

    @Test func `an overfilled block waits for its bust or replace`() {
        let fresh = state(filled: 101, executions: 5)
        var late = state(filled: 100, executions: 5).allocated()
        late.cumQuantity = 120
        let canceled = state(filled: 101, executions: 5, isCanceled: true)
        for policy in everyPolicy {
            for state in [fresh, late, canceled] { #expect(!state.isSnapshotDue(policy, elapsedMs: 1_000_000)) }
        }
    }

    @Test(arguments: [
        (0, 24, false), (0, 25, true), (25, 49, false), (25, 50, true), (49, 50, true), (50, 74, false),
        (75, 99, false), (75, 100, true), (99, 100, true), (0, 100, true), (0, 0, false),
    ]) func `quarters are due when the fills pass one`(_ before: Int64, _ filled: Int64, _ isDue: Bool) {
        var state = before == 0 ? state() : state(filled: before).allocated()
        state.cumQuantity = filled
        state.notionalTicks = Int128(filled * 10)
        #expect(state.isSnapshotDue(.quarters, elapsedMs: 0) == isDue)
    }

    @Test func `quarters are those of the order as it was last replaced`() {
        var state = state(filled: 50).allocated()
        state.cumQuantity = 70
        #expect(!state.isSnapshotDue(.quarters, elapsedMs: 0))
        // Of 80 shares, 50 is in the third quarter and 70 in the fourth.
        state.orderQuantity = 80
        #expect(state.isSnapshotDue(.quarters, elapsedMs: 0))
        state.orderQuantity = 2_000
        #expect(!state.isSnapshotDue(.quarters, elapsedMs: 0))
    }

    @Test func `one part is due at completion only, whatever the block`() {
        for ordered: Int64 in [1, 2, 3, 500, 2_000_000_000] {
            let (one, full) = (ordered - 1, ordered)
            #expect(state(filled: full, ordered: ordered).isSnapshotDue(.fraction(parts: 1), elapsedMs: 0))
            #expect(!state(filled: one, ordered: ordered).isSnapshotDue(.fraction(parts: 1), elapsedMs: 0))
        }
    }

    @Test(arguments: [(0, 2, false), (0, 3, true), (2, 3, true), (3, 5, false), (3, 6, true), (4, 6, true)])
    func `so many executions are due when their number passes a multiple`(
        _ before: Int64, _ executions: Int64, _ isDue: Bool
    ) {
        var state = before == 0 ? state() : state(filled: before, executions: before).allocated()
        state.cumQuantity = executions
        state.executionCount = executions
        #expect(state.isSnapshotDue(.executions(3), elapsedMs: 1_000_000) == isDue)
    }

    @Test func `an interval is due when it has passed and something changed`() {
        let policy = SnapshotPolicy.interval(milliseconds: 500)
        let open = state(filled: 10, executions: 1)
        #expect(!open.isSnapshotDue(policy, elapsedMs: 499))
        #expect(open.isSnapshotDue(policy, elapsedMs: 500))
        #expect(!open.allocated().isSnapshotDue(policy, elapsedMs: 5_000))
    }

    @Test func `however the fills are cut, no quarter is missed and the last snapshot is the completion`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let ordered = random.integer(in: 1...5_000)
            var state = BlockState(orderQuantity: ordered)
            while state.cumQuantity < ordered {
                state.cumQuantity = min(ordered, state.cumQuantity + random.integer(in: 1...700))
                if state.isSnapshotDue(.quarters, elapsedMs: 0) { state = state.allocated() }
                #expect(state.cumQuantity * 4 / ordered == state.allocatedQuantity * 4 / ordered, "seed \(seed)")
            }
            #expect(state.allocatedQuantity == ordered && state.allocatedIsFinal, "seed \(seed)")
        }
    }
}
