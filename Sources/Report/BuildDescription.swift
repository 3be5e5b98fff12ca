// Which program ran: the commit it was built from, whether the sources differed from it, and the compiler.
// Starts git as a child process, so it runs before or after a measured section, never inside it.

import Glibc

/// Where this program comes from. What can't be found out is nil, never a guess.
public struct BuildDescription: Sendable, Equatable {
    public var gitCommit: String?
    /// True where what the program is built from differs from the commit, new files among it.
    public var gitIsDirty: Bool?
    public var swiftVersion: String
    public var isOptimized: Bool

    public init(gitCommit: String?, gitIsDirty: Bool?, swiftVersion: String, isOptimized: Bool) {
        self.gitCommit = gitCommit
        self.gitIsDirty = gitIsDirty
        self.swiftVersion = swiftVersion
        self.isOptimized = isOptimized
    }

    /// What has to be the same for two runs of it to be measured alike; by name.
    public var surroundings: [String: String] {
        [
            "git_commit": gitCommit ?? "unknown", "optimized": String(isOptimized),
            "git_dirty": gitIsDirty.map { String($0) } ?? "unknown",
        ]
    }

    /// This program. Its repository is the one its executable lies in: the current folder may be another's.
    public static func current() -> BuildDescription {
        #if DEBUG
            let isOptimized = false
        #else
            let isOptimized = true
        #endif
        let folder = executableFolder()
        // A repository that merely contains an installed copy says nothing about it.
        let root = folder.flatMap { git("rev-parse --show-toplevel", in: $0) }
        guard let root, access(root + "/Sources/allocbench", F_OK) == 0 else {
            // An image has no repository: the commit that it was built from is told to its build.
            let told = getenv("ALLOCBENCH_GIT_COMMIT").map { String(cString: $0) }
            return BuildDescription(
                gitCommit: told.flatMap { $0.isEmpty ? nil : $0 }, gitIsDirty: nil, swiftVersion: compilerVersion,
                isOptimized: isOptimized)
        }
        let changes = git("status --porcelain -- Package.swift Sources sql", in: root)
        return BuildDescription(
            gitCommit: git("rev-parse HEAD", in: root), gitIsDirty: changes.map { !$0.isEmpty },
            swiftVersion: compilerVersion, isOptimized: isOptimized)
    }

    /// The compiler tells its version only by comparison.
    private static var compilerVersion: String {
        #if compiler(>=6.5)
            "6.5 or later"
        #elseif compiler(>=6.4)
            "6.4"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }

    private static func executableFolder() -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &bytes, bytes.count)
        guard count > 0, count < bytes.count else { return nil }
        let path = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }

    /// What git prints, without its last line end; nil where it fails or isn't there.
    static func git(_ arguments: String, in folder: String) -> String? {
        let quoted =
            "'" + folder.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        guard let pipe = popen("git -C \(quoted) \(arguments) 2>/dev/null", "r") else { return nil }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&chunk, 1, chunk.count, pipe)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        guard pclose(pipe) == 0 else { return nil }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
