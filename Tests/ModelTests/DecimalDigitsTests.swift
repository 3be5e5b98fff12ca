// Numbers as digits in a buffer.

import Digits
import Measurement
import Testing

@Suite struct DecimalDigitsTests {
    private func digits(_ value: UInt64, minimumDigits: Int = 1, decimals: Int = 0) -> String {
        var buffer = Array("x".utf8)
        buffer.append(decimal: value, minimumDigits: minimumDigits, decimals: decimals)
        return String(decoding: buffer, as: UTF8.self)
    }

    @Test func `numbers stand behind what is there, with the digits that were asked for`() {
        #expect(digits(0) == "x0")
        #expect(digits(7, minimumDigits: 2) == "x07")
        #expect(digits(123, minimumDigits: 2) == "x123")
        #expect(digits(.max) == "x18446744073709551615")
        #expect(digits(.max, minimumDigits: 19, decimals: 19) == "x0000000000000000001.8446744073709551615")
    }

    @Test func `a point stands before the decimals, with at least one digit before it`() {
        #expect(digits(123_400, decimals: 4) == "x12.3400")
        #expect(digits(1, decimals: 4) == "x0.0001")
        #expect(digits(0, decimals: 1) == "x0.0")
        #expect(digits(10, decimals: 1) == "x1.0")
    }

    @Test func `any number reads back`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            // Of every length.
            let value = random.next() >> UInt64.random(in: 0..<64, using: &random)
            #expect(digits(value) == "x\(value)", "seed \(seed)")
        }
    }
}
