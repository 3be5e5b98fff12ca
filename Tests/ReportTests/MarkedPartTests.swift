// The part of a page that a program writes.

import Diagnostics
import Foundation
import Testing

@testable import Report

@Suite struct MarkedPartTests {
    private let part = MarkedPart("figures")

    @Test func `what stands between the marks is replaced, and nothing else`() throws {
        let page = "# é\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nBelow.\n"
        let text = try part.rewritten(in: page) { "\n[\($0.dropFirst().dropLast())]\n" }
        #expect(text == "# é\n<!-- figures: begin -->\n[old]\n<!-- figures: end -->\nBelow.\n")
    }

    @Test func `a page without both marks in their order stays as it is`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "page.md"
            for page in ["none", part.begin, part.end + part.begin] {
                try Data(page.utf8).write(to: URL(fileURLWithPath: path))
                let error = #expect(throws: OperatingError.self) { try part.rewrite(path) { _ in "new" } }
                #expect(error?.message == "\(path): the page has no \(part.begin) before an \(part.end)")
                #expect(try String(contentsOfFile: path, encoding: .utf8) == page)
            }
            #expect(throws: OperatingError.self) { try part.rewrite(folder + "absent.md") { _ in "new" } }
        }
    }

    @Test func `a file is rewritten in its place`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "page.md"
            try Data("\(part.begin)\(part.end)".utf8).write(to: URL(fileURLWithPath: path))
            try part.rewrite(path) { _ in "new" }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(part.begin)new\(part.end)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["page.md"])
        }
    }
}
