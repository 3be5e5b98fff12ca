// Numbers as decimal digits in a buffer, without a string in between: rows and messages are written by the million.

extension [UInt8] {
    /// Appends `value` × 10^-`decimals`, exactly: 123400 with 4 decimals is `12.3400`.
    /// - Parameters:
    ///   - minimumDigits: of those before the point, 1 to 19; zeros fill up.
    ///   - decimals: how many digits stand behind the point; none, no point. At most 19.
    public mutating func append(decimal value: UInt64, minimumDigits: Int = 1, decimals: Int = 0) {
        precondition((1...19).contains(minimumDigits) && (0...19).contains(decimals))
        // From the last digit to the first, on the stack: UInt64.max has 20 digits.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { digits in
            var start = digits.count
            var rest = value
            var written = 0
            while rest > 0 || written < decimals + minimumDigits {
                if decimals > 0 && written == decimals {
                    start -= 1
                    digits[start] = UInt8(ascii: ".")
                }
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
                written += 1
            }
            append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }
}
