// Prices and amounts in ticks: what is read, what is refused, and what is printed back.

import Measurement
import Model
import Testing

@Suite struct PriceTests {
    @Test(arguments: [
        ("12", 120_000), ("12.5", 125_000), ("0.0001", 1), ("0", 0), ("12.5000", 125_000), ("007.25", 72_500),
        ("99999999999999.9999", 999_999_999_999_999_999), ("26.30", 263_000), ("1.10000000000000", 11_000),
    ]) func `a plain decimal is read exactly`(_ text: String, _ ticks: Int64) {
        #expect(Price(text)?.ticks == ticks)
    }

    @Test(arguments: [
        "", ".", "12.", ".5", "-1", "+1", "1e3", "1E3", "12,5", " 12", "12 ", "1_000", "1.2.3", "NaN", "Infinity",
        "null",
        "0.00001", "12.34567", "1.00010000001", "100000000000000", "100000000000000.0", "9223372036854775808",
        "１２", "12\u{0}", "\"12\"",
    ]) func `anything else is refused`(_ text: String) {
        #expect(Price(text) == nil)
    }

    @Test func `fourteen whole digits fit and fifteen do not, leading zeros included`() {
        #expect(Price("12345678901234")?.ticks == 123_456_789_012_340_000)
        #expect(Price("123456789012345") == nil)
        #expect(Price("000000000000012") == nil)
        #expect(Price("99999999999999.9999") == Price.maximum)
    }

    @Test func `decimals beyond the fourth may only be zeros`() {
        #expect(Price("1.234500000") == Price(ticks: 12_345))
        #expect(Price("1.23450001") == nil)
    }

    @Test func `a price prints with four decimals and reads back`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        #expect(Price(ticks: 125_000).description == "12.5000")
        #expect(Price(ticks: 1).description == "0.0001")
        #expect(Price(ticks: 0).description == "0.0000")
        #expect(Price.maximum.description == "99999999999999.9999")
        for _ in 0..<2_000 {
            let largest: Int64 = [9, 99_999, 10_000_000, Price.maximum.ticks][Int(random.integer(in: 0...3))]
            let price = Price(ticks: random.integer(in: 0...largest))
            #expect(Price(price.description) == price, "seed \(seed)")
        }
    }

    @Test func `prices compare by amount`() {
        #expect(Price(ticks: 9_999) < Price(ticks: 10_000))
        #expect([Price(ticks: 3), Price(ticks: 1)].max() == Price(ticks: 3))
    }

    // MARK: Amounts of 128 bits

    @Test(arguments: [
        ("0", "0.0000"), ("0.0000", "0.0000"), ("123456.78", "123456.7800"), ("5", "5.0000"), ("5.0001", "5.0001"),
        ("9999999999999999999999999999999999.9999", "9999999999999999999999999999999999.9999"),
    ]) func `an amount as large as a NUMERIC(38,4) is read exactly`(_ text: String, _ printed: String) {
        #expect(Price.ticks(decimal: Array(text.utf8)).map { Price.format(ticks: $0) } == printed)
    }

    @Test(arguments: [
        "", ".", "5.", ".5", "-1", "1e3", "1.23456", "1.2.3", "NaN", " 1", "1 ",
        "99999999999999999999999999999999999999999999",
    ]) func `what is no amount is refused`(_ text: String) {
        #expect(Price.ticks(decimal: Array(text.utf8)) == nil)
    }

    @Test func `random amounts of 128 bits print and read back`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            let amount = Int128(random.integer(in: 0...Int64.max)) * Int128(random.integer(in: 0...1_000_000_000_000))
            #expect(Price.ticks(decimal: Array(Price.format(ticks: amount).utf8)) == amount, "seed \(seed)")
        }
        #expect(Price.format(ticks: -1) == "-0.0001")
        #expect(Price.format(ticks: -123_456_789) == "-12345.6789")
    }
}
