// The one fair price of a block: what every account behind it pays or gets per share.

/// The average price of `quantity` shares that cost `notionalTicks` in all, and what rounding leaves over.
public struct AveragePrice: Sendable, Equatable {
    /// Rounded to the nearest tick, halves up.
    public let price: Price
    /// `notional − price × quantity`, in ticks: at most half a tick per share either way. It is booked, never dropped.
    public let residualTicks: Int128

    public init(notionalTicks: Int128, quantity: Int64) {
        precondition(quantity > 0 && notionalTicks >= 0)
        let divisor = Int128(quantity)
        let rounded = (2 * notionalTicks + divisor) / (2 * divisor)
        price = Price(ticks: Int64(rounded))
        residualTicks = notionalTicks - rounded * divisor
    }
}
