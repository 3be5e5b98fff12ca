// What a run ran on, for its manifest: read once, from /proc and /etc/os-release.

import Glibc

/// The machine as its kernel describes it. What can't be found out is "unknown" or 0, never a guess.
public struct MachineDescription: Sendable, Equatable {
    public var cpuModel: String
    /// Processors that are online.
    public var coreCount: Int
    public var memoryBytes: Int64
    /// `uname -r`, such as `6.1.0-18-amd64`.
    public var kernel: String
    /// `uname -m`, such as `x86_64`.
    public var architecture: String
    /// `PRETTY_NAME` of os-release, such as `Debian GNU/Linux 12 (bookworm)`.
    public var operatingSystem: String

    public init(
        cpuModel: String, coreCount: Int, memoryBytes: Int64, kernel: String, architecture: String,
        operatingSystem: String
    ) {
        self.cpuModel = cpuModel
        self.coreCount = coreCount
        self.memoryBytes = memoryBytes
        self.kernel = kernel
        self.architecture = architecture
        self.operatingSystem = operatingSystem
    }

    /// The machine this process runs on.
    public static func current() -> MachineDescription {
        MachineDescription(
            cpuInfo: readKernelFile("/proc/cpuinfo") ?? "",
            memoryInfo: readKernelFile("/proc/meminfo") ?? "",
            kernel: readKernelFile("/proc/sys/kernel/osrelease") ?? "",
            architecture: architectureName(),
            // os-release(5): /etc first, then /usr/lib.
            release: readKernelFile("/etc/os-release") ?? readKernelFile("/usr/lib/os-release") ?? "",
            coreCount: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    init(
        cpuInfo: String, memoryInfo: String, kernel: String, architecture: String, release: String, coreCount: Int
    ) {
        // ARM kernels write no model name; "Model" names the board where there is one.
        let model =
            value(of: "model name", in: cpuInfo, separator: ":") ?? value(of: "Model", in: cpuInfo, separator: ":")
        let memory = value(of: "MemTotal", in: memoryInfo, separator: ":")
        let name = value(of: "PRETTY_NAME", in: release, separator: "=")
        let kernelName = trimmed(kernel[...])
        self.init(
            cpuModel: model.map(String.init) ?? "unknown",
            coreCount: max(0, coreCount),
            memoryBytes: memory.flatMap { $0.hasSuffix(" kB") ? Int64($0.dropLast(3)) : nil }.map { $0 * 1024 } ?? 0,
            kernel: kernelName.isEmpty ? "unknown" : String(kernelName),
            architecture: architecture.isEmpty ? "unknown" : architecture,
            operatingSystem: name.map { String($0.filter { $0 != "\"" && $0 != "'" }) } ?? "unknown")
    }

    private static func architectureName() -> String {
        var names = utsname()
        guard uname(&names) == 0 else { return "" }
        return withUnsafeBytes(of: &names.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
