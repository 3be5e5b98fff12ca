// The pages that people read. Goal: no link that leads nowhere, no page that can't be found from Home, no environment
// variable or verb that the reference leaves out. Every page is read once.

import Foundation
import Testing

@Suite struct PagesTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL

    /// A Markdown file with its place in the project.
    private struct Page {
        var path: String
        var lines: [String]
        /// Without what stands in fenced or indented code, where brackets are no links.
        var prose: [String]

        init(_ path: String) throws {
            self.path = path
            let text = try String(contentsOf: PagesTests.root.appendingPathComponent(path), encoding: .utf8)
            lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            var isFenced = false
            prose = lines.map { line in
                if line.hasPrefix("```") {
                    isFenced.toggle()
                    return ""
                }
                return isFenced || line.hasPrefix("    ") ? "" : line
            }
        }

        /// What can be linked to: each heading the way in which forges make an anchor of it, the second of equals with -1.
        var anchors: Set<String> {
            var seen: [String: Int] = [:]
            var anchors: Set<String> = []
            for line in prose where line.hasPrefix("#") {
                let title = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                let linkless = title.replacing(/\[([^\]]*)\]\([^)]*\)/) { String($0.output.1) }
                let slug = String(
                    linkless.unicodeScalars.compactMap { scalar -> Character? in
                        if scalar == " " { return "-" }
                        let isKept =
                            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                            || "-_".unicodeScalars.contains(scalar)
                        return isKept ? Character(scalar) : nil
                    })
                let count = seen[slug, default: 0]
                seen[slug] = count + 1
                anchors.insert(count == 0 ? slug : "\(slug)-\(count)")
            }
            return anchors
        }

        /// Targets of inline links, with their lines. Code spans are taken out first.
        var links: [(line: Int, target: String)] {
            prose.enumerated().flatMap { index, line in
                line.replacing(/`[^`]*`/, with: "`").matches(of: /\]\(([^)\s]+)\)/).map {
                    (index + 1, String($0.output.1))
                }
            }
        }
    }

    private static func pages() throws -> [Page] {
        let wiki = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("wiki").path)
            .filter { $0.hasSuffix(".md") }.sorted().map { "wiki/\($0)" }
        return try (["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md"] + wiki).map(Page.init)
    }

    @Test func `every relative link of README, contributing, changelog and wiki leads somewhere`() throws {
        let pages = try Self.pages()
        var anchors: [String: Set<String>] = [:]
        for page in pages { anchors[page.path] = page.anchors }
        var count = 0
        for page in pages {
            let folder = page.path.split(separator: "/").dropLast().joined(separator: "/")
            for (line, target) in page.links where !target.hasPrefix("http") {
                count += 1
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(
                    String.init)
                let file = parts[0].isEmpty ? page.path : Self.resolved(parts[0], in: folder)
                let exists = FileManager.default.fileExists(atPath: Self.root.appendingPathComponent(file).path)
                #expect(exists, "\(page.path):\(line): \(target): there is no \(file)")
                if parts.count == 2, let known = anchors[file] {
                    #expect(known.contains(parts[1]), "\(page.path):\(line): \(target): \(file) has no such heading")
                }
            }
        }
        #expect(count > 100, "links were found at all")
    }

    @Test func `home leads to every page of the wiki`() throws {
        let pages = try Self.pages()
        let home = try #require(pages.first { $0.path == "wiki/Home.md" })
        let linked = Set(home.links.map { String($0.target.prefix { $0 != "#" }) })
        for page in pages where page.path.hasPrefix("wiki/") && page.path != home.path {
            let name = String(page.path.dropFirst("wiki/".count))
            #expect(linked.contains(name), "\(name) isn't on wiki/Home.md")
        }
    }

    @Test func `the configuration reference has every variable that the program asks its environment for`() throws {
        let reference = try Page("wiki/Configuration.md").lines.joined(separator: "\n")
        let sources = Self.root.appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var names: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            // What is compared with peers sets variables of theirs.
            if file.path.contains("/AllocBenchPeers/") { continue }
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /(?:getenv\(|environment\[|environment\()"([A-Z][A-Z_]*)"/) {
                names.insert(String(match.output.1))
            }
        }
        #expect(names.contains("KAFKA_HOME"), "variables were found at all")
        for name in names.sorted() {
            #expect(reference.contains("`\(name)`"), "\(name) isn't in wiki/Configuration.md")
        }
    }

    private static func resolved(_ target: String, in folder: String) -> String {
        var parts = folder.split(separator: "/").map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }
}
