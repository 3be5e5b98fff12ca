// Calendar days: two centuries of them, and what is none.

import Model
import Testing

@Suite struct TradeDateTests {
    @Test func `every day from 1900 to 2100 goes round and follows the one before`() throws {
        let first = try #require(TradeDate(year: 1900, month: 1, day: 1))
        let last = try #require(TradeDate(year: 2100, month: 12, day: 31))
        // 1 January 1900 was a Monday.
        var weekday = 1
        var count = 0
        for number in first.dayNumber...last.dayNumber {
            let date = TradeDate(dayNumber: number)
            let (year, month, day) = date.civil
            try #require(TradeDate(year: year, month: month, day: day) == date, "day \(number)")
            try #require(TradeDate(iso: date.description) == date, "day \(number)")
            try #require(date.weekday == weekday, "\(date)")
            try #require(date.isWeekend == (weekday > 5), "\(date)")
            weekday = weekday % 7 + 1
            count += 1
        }
        // 201 years, 49 of them leap years: 1900 and 2100 are none, 2000 is one.
        #expect(count == 201 * 365 + 49)
    }

    @Test(arguments: [
        ("1970-01-01", 0, 4), ("1969-12-31", -1, 3), ("1969-12-22", -10, 1), ("2000-02-29", 11_016, 2),
        ("2024-11-14", 20_041, 4),
    ]) func `known days have their number and weekday`(_ text: String, _ number: Int, _ weekday: Int) {
        let date = TradeDate(iso: text)
        #expect(date?.dayNumber == number)
        #expect(date?.weekday == weekday)
        #expect(date?.description == text)
    }

    @Test(arguments: [
        "2023-02-29", "1900-02-29", "2024-02-30", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00", "2024-01-32",
        "1899-12-31", "10000-01-01", "2024-1-01", "2024-01-1", "24-01-01", "2024/01/01", "2024-01-01 ", "", "2024",
        "2024-01-01-01", "2024-+1-01", "2024-01-+1", "+202-01-01", "-024-01-01", "２０２４-01-01", "2024-01-01T00:00",
    ]) func `what the calendar doesn't have is refused`(_ text: String) {
        #expect(TradeDate(iso: text) == nil)
    }

    @Test func `dates compare and move by days over a year's end`() throws {
        let eve = try #require(TradeDate(iso: "2023-12-31"))
        #expect(eve.advanced(by: 1).description == "2024-01-01")
        #expect(eve.advanced(by: -365).description == "2022-12-31")
        #expect(eve < eve.advanced(by: 1))
    }
}
