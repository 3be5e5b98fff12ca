// How many shares make a lot: real files don't say, so a seed does.

public import Diagnostics
import Measurement
public import Model

/// Which lot size a security gets.
public enum LotSizes: Sendable, Hashable, CustomStringConvertible {
    /// One for all.
    case fixed(Int64)
    /// 1 for most securities, 10 for a quarter of them, 100 for some: drawn for each from the seed.
    case mixed

    /// Single shares.
    public static let single = LotSizes.fixed(1)
    public static let range: ClosedRange<Int64> = 1...1_000

    /// Reads `mixed` or a number.
    /// - Parameter source: the flag or key that the text comes from.
    public init(_ text: String, source: String) throws(InputFault) {
        if text == "mixed" {
            self = .mixed
        } else if let size = Int64(text), Self.range.contains(size) {
            self = .fixed(size)
        } else {
            throw InputFault(
                source: source, value: text,
                expected: "\(Self.range.lowerBound) to \(Self.range.upperBound) shares, or mixed")
        }
    }

    public func lotSize(of security: SecurityID, seed: UInt64) -> Int64 {
        switch self {
        case .fixed(let size): return size
        case .mixed:
            var random = SeededRandom(seed: seed, stream: 0x4C4F_5453, UInt64(bitPattern: security.rawValue))
            return [1, 1, 1, 1, 1, 1, 10, 10, 10, 100][Int(random.integer(in: 0...9))]
        }
    }

    public var description: String {
        switch self {
        case .fixed(let size): String(size)
        case .mixed: "mixed"
        }
    }
}
