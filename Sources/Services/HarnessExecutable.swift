// Where the allocbench program itself is, to start it again for its hidden verbs.

import Diagnostics
import Glibc

enum HarnessExecutable {
    /// ALLOCBENCH_EXECUTABLE if set; else this program, or the one beside it when this is a test bundle.
    static func path() throws(OperatingError) -> String {
        if let variable = getenv("ALLOCBENCH_EXECUTABLE") { return String(cString: variable) }
        guard let link = Files.link("/proc/self/exe") else { throw .system("read /proc/self/exe") }
        if Files.name(of: link) == "allocbench" { return link }
        // A program that was rebuilt under our feet can still be started through the kernel's own link to it.
        if Files.name(of: link) == "allocbench (deleted)" { return "/proc/\(getpid())/exe" }
        let beside = "\(Files.parent(of: link) ?? "")/allocbench"
        guard access(beside, X_OK) == 0 else {
            throw OperatingError(
                "no allocbench program beside \(link)", remedy: "build it, or name it in ALLOCBENCH_EXECUTABLE")
        }
        return beside
    }
}
