// The rows of the market schema as values.

public import Model

/// The prices of one security on one day.
public struct DailyPrice: Sendable, Hashable {
    public let securityID: SecurityID
    public let date: TradeDate
    public let open: Price
    public let high: Price
    public let low: Price
    public let close: Price
    public let volume: Int64

    public init(
        securityID: SecurityID, date: TradeDate, open: Price, high: Price, low: Price, close: Price, volume: Int64
    ) {
        self.securityID = securityID
        self.date = date
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
    }
}
