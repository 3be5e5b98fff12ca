// The wiki's data dictionary. Goal: no column without its meaning on the page, and none on the page that isn't there.

import Foundation
import Testing

@testable import Report

@Suite struct DictionaryTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../wiki/Results.md")
    private static let begin = "<!-- dictionary: begin -->\n"
    private static let end = "<!-- dictionary: end -->"

    /// With ALLOCBENCH_WRITE_DICTIONARY set the page is brought up to date instead.
    @Test func `the page in the wiki holds the dictionary as the code has it`() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let first = try #require(text.range(of: Self.begin), "the page marks where the dictionary begins")
        let last = try #require(text.range(of: Self.end), "the page marks where the dictionary ends")
        if ProcessInfo.processInfo.environment["ALLOCBENCH_WRITE_DICTIONARY"] != nil {
            let updated = text[..<first.upperBound] + DataDictionary.markdown + text[last.lowerBound...]
            try Data(updated.utf8).write(to: Self.page)
        } else {
            let isCurrent = text[first.upperBound..<last.lowerBound] == DataDictionary.markdown[...]
            #expect(isCurrent, "write it anew: ALLOCBENCH_WRITE_DICTIONARY=1 swift test --filter DictionaryTests")
        }
    }
}
