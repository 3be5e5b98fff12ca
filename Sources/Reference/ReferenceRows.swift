// The rows of the reference schema as values.

public import Model

/// Something that can be held and traded.
public struct Security: Sendable, Hashable {
    public let id: SecurityID
    public let symbol: String
    public let name: String
    public let assetClass: String
    public let country: String
    /// Empty where the source has none, as industry.
    public let sector: String
    public let industry: String
    /// Orders are whole multiples of it.
    public var lotSize: Int64

    public init(
        id: SecurityID, symbol: String, name: String, assetClass: String, country: String, sector: String,
        industry: String, lotSize: Int64 = 1
    ) {
        self.id = id
        self.symbol = symbol
        self.name = name
        self.assetClass = assetClass
        self.country = country
        self.sector = sector
        self.industry = industry
        self.lotSize = lotSize
    }
}

/// What the seeding of one stage has come to.
public struct StageSeeding: Sendable, Hashable {
    public enum State: String, Sendable {
        /// Rows are being loaded, or the process that loaded them was killed.
        case loading
        case complete
    }

    public let stage: String
    public let state: State
    /// What the rows were made from, in words.
    public let source: String
    public let seed: UInt64
}
