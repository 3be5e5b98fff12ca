// The part of a page that a program writes: a table of figures between two marks, amid what people write.
// Reads and writes files on the caller's thread.

public import Diagnostics
import Foundation

/// What stands on a page between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
public struct MarkedPart: Sendable {
    public let begin: String
    public let end: String

    public init(_ name: String) {
        begin = "<!-- \(name): begin -->"
        end = "<!-- \(name): end -->"
    }

    /// The page with other text between the marks.
    /// - Parameter write: makes it of what stands there now, line ends behind the first and before the second mark included.
    /// - Throws: where the page has no place for it.
    public func rewritten(in page: String, _ write: (Substring) -> String) throws(OperatingError) -> String {
        guard let first = page.range(of: begin), let last = page.range(of: end), first.upperBound <= last.lowerBound
        else { throw OperatingError("the page has no \(begin) before an \(end)") }
        return page[..<first.upperBound] + write(page[first.upperBound..<last.lowerBound]) + page[last.lowerBound...]
    }

    /// The same with a file, which is written whole or not at all.
    public func rewrite(_ path: String, _ write: (Substring) -> String) throws(OperatingError) {
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw OperatingError("\(path) can't be read")
        }
        let page: String
        do {
            page = try rewritten(in: String(decoding: bytes, as: UTF8.self), write)
        } catch {
            throw OperatingError("\(path): \(error.message)")
        }
        try writeWhole(page, to: path)
    }
}
