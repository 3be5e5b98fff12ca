// Goal: what a member of a group does with its partitions follows from the events alone, in whatever order they come.
// Method: the value by itself, no consumer and no database.

import Kafka
import Measurement
import Testing

@testable import Allocations

@Suite struct GroupMembershipTests {
    private func member(_ assignor: KafkaAssignor = .cooperativeSticky) -> GroupMembership {
        GroupMembership(KafkaGroup(name: "g", assignor: assignor), patienceNs: 100)
    }

    @Test func `a cooperative member claims what it is given beside what it has`() {
        var member = member()
        #expect(!member.isJoined)
        #expect(member.take(.assigned([3, 1])) == .init(claimed: [1, 3]))
        #expect(member.take(.assigned([2])) == .init(claimed: [2]))
        #expect(member.held == [1, 2, 3])
        #expect(member.isJoined)
        #expect(member.figures.rebalances == 2)
        #expect(member.figures.partitionsTaken == 3)
    }

    @Test func `an assignment of nothing is a rebalance, too`() {
        var member = member()
        #expect(member.take(.assigned([])) == .init())
        #expect(member.isJoined)
        #expect(member.held == [])
    }

    @Test func `what the group asks for is finished, what it has taken is dropped`() {
        var member = member()
        _ = member.take(.assigned([1, 2, 3, 4]))
        #expect(member.take(.revoked([2, 1])) == .init(finished: [1, 2]))
        #expect(member.take(.lost([3, 4])) == .init(dropped: [3, 4]))
        #expect(member.held == [])
        #expect(member.figures.partitionsGivenUp == 2)
        #expect(member.figures.partitionsLost == 2)
    }

    @Test func `a partition that comes back is claimed again`() {
        var member = member()
        _ = member.take(.assigned([1]))
        _ = member.take(.lost([1]))
        #expect(member.take(.assigned([1])) == .init(claimed: [1]))
        // Twice without having gone: somebody else may have had it meanwhile.
        #expect(member.take(.assigned([1])) == .init(dropped: [1], claimed: [1]))
        #expect(member.held == [1])
    }

    @Test func `a range assignment is the whole of it`() {
        var member = member(.range)
        _ = member.take(.assigned([1, 2]))
        #expect(member.take(.revoked([1, 2])) == .init(finished: [1, 2]))
        #expect(member.take(.assigned([2])) == .init(claimed: [2]))
        #expect(member.take(.assigned([3])) == .init(dropped: [2], claimed: [3]))
        #expect(member.held == [3])
    }

    @Test func `a fenced partition is lost once, whatever the group says of it later`() {
        var member = member()
        _ = member.take(.assigned([1, 2]))
        member.fence([2], transactions: 3, at: 1000)
        #expect(member.held == [1])
        #expect(member.figures.fencedTransactions == 3)
        #expect(member.take(.lost([1, 2])) == .init(dropped: [1]))
        #expect(member.figures.partitionsLost == 2)
        #expect(member.toReclaim(at: .max) == [])
        // Fenced again before it was given back: there is nothing to lose.
        member.fence([2], transactions: 0, at: 2000)
        #expect(member.figures.partitionsLost == 2)
        #expect(member.toReclaim(at: .max) == [])
    }

    @Test func `an orderly end of a fenced partition has nothing to finish`() {
        var member = member()
        _ = member.take(.assigned([1, 2]))
        member.fence([1], transactions: 1, at: 0)
        #expect(member.take(.revoked([1, 2])) == .init(finished: [2]))
        #expect(member.figures.partitionsGivenUp == 1)
    }

    @Test func `a fenced partition that the group leaves with its member is claimed again after a while`() {
        var member = member()
        _ = member.take(.assigned([1, 2, 3]))
        member.fence([1, 3], transactions: 1, at: 1000)
        #expect(member.toReclaim(at: 1099) == [])
        #expect(member.toReclaim(at: 1100) == [1, 3])
        member.reclaimed([1, 3])
        #expect(member.held == [1, 2, 3])
        #expect(member.toReclaim(at: .max) == [])
        #expect(member.figures.partitionsTaken == 5)
    }

    @Test func `a range rebalance takes fenced partitions back with all others`() {
        var member = member(.range)
        _ = member.take(.assigned([1, 2]))
        member.fence([1], transactions: 1, at: 0)
        _ = member.take(.assigned([2]))
        #expect(member.toReclaim(at: .max) == [])
        #expect(member.held == [2])
    }

    @Test func `whatever comes, every partition is held or fenced or free, and gains and losses add up`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for assignor in KafkaAssignor.allCases {
            for _ in 1...300 {
                var member = member(assignor)
                var claims: Int64 = 0
                var dropsAtAssignment: Int64 = 0
                for step in 0..<Int64(40) {
                    let partitions = (0..<Int32(6)).filter { _ in random.integer(in: 0...1) == 1 }
                    let before = member
                    switch random.integer(in: 0...4) {
                    case 0:
                        let moves = member.take(.assigned(partitions))
                        #expect(moves.claimed == partitions, "seed \(seed)")
                        #expect(moves.finished == [], "seed \(seed)")
                        claims += Int64(partitions.count)
                        dropsAtAssignment += Int64(moves.dropped.count)
                        #expect(member.held.isSuperset(of: partitions), "seed \(seed)")
                    case 1: #expect(Set(member.take(.revoked(partitions)).finished).isSubset(of: before.held))
                    case 2: #expect(Set(member.take(.lost(partitions)).dropped).isSubset(of: before.held))
                    case 3: member.fence(partitions, transactions: 1, at: step)
                    default:
                        let due = member.toReclaim(at: step + 100)
                        #expect(Set(due).isSubset(of: before.fenced.keys), "seed \(seed)")
                        claims += Int64(due.count)
                        member.reclaimed(due)
                    }
                    #expect(member.held.isDisjoint(with: member.fenced.keys), "seed \(seed)")
                }
                let figures = member.figures
                #expect(figures.partitionsTaken == claims, "seed \(seed)")
                #expect(
                    figures.partitionsTaken - figures.partitionsGivenUp - figures.partitionsLost - dropsAtAssignment
                        == Int64(member.held.count), "seed \(seed)")
            }
        }
    }
}

extension GroupMembership {
    /// The moves of an event, done at once.
    fileprivate mutating func take(_ event: GroupEvent) -> Moves {
        let moves = moves(for: event)
        did(event)
        return moves
    }
}
