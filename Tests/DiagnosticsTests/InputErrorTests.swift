// What a user reads when input is refused. Goal: the exact lines, and suggestions only where a slip is likely.

import Diagnostics
import Testing

@Suite struct InputErrorTests {
    @Test func `a fault names file, line, field, value and what was expected`() {
        let fault = InputFault(
            source: "prices/ABBV.csv", line: 17, field: "High", value: "12,5", expected: "a price such as 12.50")
        #expect(fault.description == "prices/ABBV.csv:17: High: \"12,5\": expected a price such as 12.50")
    }

    @Test func `a fault leaves out what it doesn't know`() {
        #expect(InputFault(source: "--workers", expected: "a number").description == "--workers: expected a number")
        #expect(InputFault(source: "f", line: 2, expected: "a row").description == "f:2: expected a row")
    }

    @Test func `a long value is cut to 60 characters`() {
        let exact = String(repeating: "x", count: 60)
        #expect(InputFault(source: "f", value: exact, expected: "less").value == exact)
        let cut = InputFault(source: "f", value: exact + "y", expected: "less").value
        #expect(cut == String(repeating: "x", count: 57) + "...")
    }

    @Test func `all faults of an input are told in order and the rest is counted`() {
        let faults = [InputFault(source: "a", expected: "x"), InputFault(source: "b", expected: "y")]
        #expect(
            InputError(faults, omittedCount: 3).description == "a: expected x\nb: expected y\n... and 3 more faults")
        #expect(InputError(faults).description == "a: expected x\nb: expected y")
    }

    @Test func `an operating error adds its remedy when there is one`() {
        #expect(OperatingError("no slot", remedy: "drop one").description == "no slot; drop one")
        #expect(OperatingError("no slot").description == "no slot")
    }

    @Test(arguments: [
        ("workrs", "workers"), ("Workers", "workers"), ("bacth_size", "batch_size"), ("batchsize", "batch_size"),
        ("seeed", "seed"), ("sede", "seed"), ("wrokers", "workers"),
    ])
    func `a slip finds the word that was meant`(typed: String, meant: String) {
        #expect(nearestWord(to: typed, among: ["workers", "batch_size", "batch_window_ms", "seed"]) == meant)
    }

    @Test func `a word that is no slip finds nothing`() {
        #expect(nearestWord(to: "colour", among: ["workers", "batch_size", "seed"]) == nil)
        #expect(nearestWord(to: "", among: ["seed"]) == nil)
        #expect(nearestWord(to: "seed", among: []) == nil)
    }

    @Test func `of equally near words the first by alphabet is taken`() {
        #expect(nearestWord(to: "rox", among: ["row", "rob"]) == "rob")
    }
}
