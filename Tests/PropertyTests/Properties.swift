// How property tests draw their cases. A case is one seed; a failure prints it.
//
//   ALLOCBENCH_PROPERTY_CASES=20000  cases of each property instead of 1,750
//   ALLOCBENCH_PROPERTY_SEED=123     the seed of the first case; alone, that is the only case

import Glibc
import Measurement
import Testing

enum Properties {
    /// Of each property; there are fourteen.
    static let caseCountDefault = 1_750
    private static let seedDefault: UInt64 = 1

    static func number(_ variable: String) -> UInt64? {
        getenv(variable).flatMap { UInt64(String(cString: $0)) }
    }

    /// The seeds of this run's cases.
    static var seeds: Range<UInt64> {
        let seed = number("ALLOCBENCH_PROPERTY_SEED")
        let count = number("ALLOCBENCH_PROPERTY_CASES") ?? (seed == nil ? UInt64(caseCountDefault) : 1)
        let first = seed ?? seedDefault
        return first..<first + count
    }

    /// Tries every case; the first that fails is reported with its seed, and the others are not tried any more.
    /// - Parameter fault: what is wrong with the case; nil if nothing is.
    static func hold(_ location: SourceLocation = #_sourceLocation, fault: (inout SeededRandom) -> String?) {
        for seed in seeds {
            var random = SeededRandom(seed: seed)
            if let fault = fault(&random) {
                Issue.record("ALLOCBENCH_PROPERTY_SEED=\(seed): \(fault)", sourceLocation: location)
                return
            }
        }
    }
}
