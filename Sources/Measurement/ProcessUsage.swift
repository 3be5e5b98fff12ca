// What a process costs, from /proc: the harness measures itself and the database it drives.
// Reads files, so it runs before and after a measured section, never inside it.

import Glibc

/// Processor time and memory of one process, or of a process and all its descendants.
public struct ProcessUsage: Sendable, Equatable {
    /// User plus system time since the process began, in steps of the kernel's clock tick (10 ms).
    public var cpuSeconds: Double
    /// Peak resident memory (VmHWM). Of several processes: the sum of their peaks, an upper bound, because pages
    /// they share, such as PostgreSQL's buffers, count once for each.
    public var peakResidentBytes: Int64
    /// Resident memory now (VmRSS), summed in the same way.
    public var residentBytes: Int64
    /// How many processes the figures cover.
    public var processCount: Int

    public init(cpuSeconds: Double, peakResidentBytes: Int64, residentBytes: Int64, processCount: Int = 1) {
        self.cpuSeconds = cpuSeconds
        self.peakResidentBytes = peakResidentBytes
        self.residentBytes = residentBytes
        self.processCount = processCount
    }

    /// This process alone, without its children.
    public static func own() -> ProcessUsage? { of(processID: getpid()) }

    /// One process, without its children; nil when there is none with this number.
    public static func of(processID: Int32) -> ProcessUsage? {
        guard let stat = ProcessStat.read(processID) else { return nil }
        return usage(processID: processID, ticks: stat.ownTicks)
    }

    /// A process with all its descendants, those included that have ended and were waited for: a PostgreSQL
    /// postmaster with its backends. Nil when the root doesn't exist.
    public static func ofTree(root: Int32) -> ProcessUsage? {
        var stats = readAll()
        // A process that ends between the reading of its parent and its own is counted nowhere, so the picture is taken
        // again until nothing has come or gone meanwhile.
        for _ in 0..<20 {
            let known = Set(stats.keys)
            usleep(2_000)
            stats = readAll()
            if Set(stats.keys) == known { break }
        }
        guard stats[root] != nil else { return nil }
        var total = ProcessUsage(cpuSeconds: 0, peakResidentBytes: 0, residentBytes: 0, processCount: 0)
        for processID in tree(root: root, parents: stats.mapValues(\.parentID)) {
            guard let stat = stats[processID] else { continue }
            // Time of a child moves to its parent's waited-for time when the parent waits, so nothing counts twice.
            guard let one = usage(processID: processID, ticks: stat.ownTicks + stat.waitedChildrenTicks) else {
                continue
            }
            total.cpuSeconds += one.cpuSeconds
            total.peakResidentBytes += one.peakResidentBytes
            total.residentBytes += one.residentBytes
            total.processCount += 1
        }
        return total
    }

    private static func readAll() -> [Int32: ProcessStat] {
        var stats: [Int32: ProcessStat] = [:]
        for processID in processIDs() { stats[processID] = ProcessStat.read(processID) }
        return stats
    }

    /// Makes this process's peak start again from what is resident now, so that each run has a peak of its own.
    /// False where the kernel refuses. (proc(5), clear_refs: "5 … reset the peak resident set size".)
    @discardableResult
    public static func resetOwnPeak() -> Bool {
        let file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return write(file, "5", 1) == 1
    }

    private static func usage(processID: Int32, ticks: Int64) -> ProcessUsage? {
        guard let status = readKernelFile("/proc/\(processID)/status") else { return nil }
        return ProcessUsage(
            cpuSeconds: Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))),
            peakResidentBytes: kibibytes(of: "VmHWM", in: status) * 1024,
            residentBytes: kibibytes(of: "VmRSS", in: status) * 1024)
    }

    /// 0 where the line is missing: kernel threads and processes that are ending have no memory.
    static func kibibytes(of key: String, in status: String) -> Int64 {
        guard let text = value(of: key, in: status, separator: ":"), text.hasSuffix(" kB") else { return 0 }
        return Int64(trimmed(text.dropLast(3))) ?? 0
    }

    /// `root` and everything below it, given each process's parent.
    static func tree(root: Int32, parents: [Int32: Int32]) -> [Int32] {
        var children: [Int32: [Int32]] = [:]
        for (processID, parent) in parents { children[parent, default: []].append(processID) }
        var found = [root]
        var next = 0
        while next < found.count {
            found += children[found[next]] ?? []
            next += 1
        }
        return found
    }

    private static func processIDs() -> [Int32] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let processID = Int32(name) { found.append(processID) }
        }
        return found
    }
}

/// The fields of `/proc/<pid>/stat` that matter here.
struct ProcessStat: Equatable {
    var parentID: Int32
    var ownTicks: Int64
    var waitedChildrenTicks: Int64

    static func read(_ processID: Int32) -> ProcessStat? {
        readKernelFile("/proc/\(processID)/stat").flatMap(ProcessStat.init(parsing:))
    }

    /// The name in the second field may hold blanks and brackets, so the fields count from the last `)` on.
    init?(parsing text: String) {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
        // proc(5) numbers them from 1; the first after the name is number 3.
        guard fields.count > 14, let parent = Int32(fields[4 - 3]),
            let user = Int64(fields[14 - 3]), let system = Int64(fields[15 - 3]),
            let childrenUser = Int64(fields[16 - 3]), let childrenSystem = Int64(fields[17 - 3])
        else { return nil }
        parentID = parent
        ownTicks = user + system
        waitedChildrenTicks = childrenUser + childrenSystem
    }
}
