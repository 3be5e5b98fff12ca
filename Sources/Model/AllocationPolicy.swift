// By which rule the fills of a block are divided among its accounts. Chosen with the block, before its first execution.

/// A rule by its name, as scenario files and tables have it.
public enum AllocationPolicy: String, Sendable, Hashable, CaseIterable {
    /// In proportion to what each account ordered, by the quota method: never takes shares back as fills arrive.
    case proRata = "pro_rata"
    /// The same, but an account's share below the minimum ticket goes to accounts in the order of their orders' arrival.
    case proRataMinimumTicket = "pro_rata_min_ticket"
    /// Accounts are filled one after the other, in the order of their orders' arrival.
    case timePriority = "time_priority"
    /// Every account gets the same until it has what it ordered.
    case equal
    /// In proportion, by largest remainders of the cumulative quantity: may take shares back as fills arrive.
    case largestRemainder = "largest_remainder"

    /// Whether an account may lose shares although the block's filled quantity grew.
    public var mayTakeBack: Bool { self == .largestRemainder || self == .proRataMinimumTicket }
}
