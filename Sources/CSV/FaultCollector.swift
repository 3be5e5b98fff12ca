// Gathers what is wrong with an input, so that a user reads every fault at once instead of one per attempt.
// A plain value: each thread that reads a file has its own, and the caller joins them in the order of the files.

public import Diagnostics

/// Keeps the first `limit` faults and counts the rest.
public struct FaultCollector: Sendable {
    public static let defaultLimit = 100

    public let limit: Int
    public private(set) var faults: [InputFault] = []
    public private(set) var omittedCount = 0

    public init(limit: Int = FaultCollector.defaultLimit) { self.limit = limit }

    public var isEmpty: Bool { faults.isEmpty }

    public mutating func add(_ fault: InputFault) {
        if faults.count < limit { faults.append(fault) } else { omittedCount += 1 }
    }

    /// Appends what `other` found, as if it had been found here.
    public mutating func add(_ other: FaultCollector) {
        other.faults.forEach { add($0) }
        omittedCount += other.omittedCount
    }

    /// Throws everything found so far in one error, if there is anything.
    public func throwIfAny() throws(InputError) {
        if !faults.isEmpty { throw InputError(faults, omittedCount: omittedCount) }
    }
}
