// Keeps a password that was given in an argument out of the process list. Called once, first of all, on the main thread.

import Glibc

public enum ProcessArguments {
    /// Overwrites what of this process' arguments is a password: the kernel shows everybody the memory in which they were handed
    /// over. A moment is left in which it could be read; the variables and files that libpq knows leave none.
    public static func hideSecrets() {
        // Swift reads the arguments when they are first asked for, and keeps copies of them.
        guard CommandLine.arguments.contains(where: { !secrets(in: Array($0.utf8)).isEmpty }),
            let fields = fileContents("/proc/self/stat")?.split(separator: ")").last?.split(separator: " "),
            // Fields 48 and 49 of the whole line, of which two stand before the closing parenthesis.
            fields.count > 46, let start = UInt(fields[45]), let end = UInt(fields[46]), start < end,
            let memory = UnsafeMutableRawPointer(bitPattern: start)
        else { return }
        let bytes = UnsafeMutableRawBufferPointer(start: memory, count: Int(end - start))
        var position = 0
        for argument in bytes.split(separator: 0, omittingEmptySubsequences: false) {
            for range in secrets(in: Array(argument)) {
                for index in range { bytes[position + index] = UInt8(ascii: "*") }
            }
            position += argument.count + 1
        }
    }

    /// Where passwords stand in a URI, or in `key=value` words: `password`, `sslpassword` and the like.
    static func secrets(in argument: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        let scheme = Array("://".utf8)
        if let start = argument.firstRange(of: scheme)?.upperBound, let at = argument.lastIndex(of: UInt8(ascii: "@")),
            start < at, let colon = argument[start..<at].firstIndex(of: UInt8(ascii: ":"))
        {
            found.append(colon + 1..<at)
        }
        let key = Array("password".utf8)
        var position = 0
        while let match = argument[position...].firstRange(of: key) {
            var value = match.upperBound
            while value < argument.count, isBlank(argument[value]) { value += 1 }
            position = match.upperBound
            guard value < argument.count, argument[value] == UInt8(ascii: "=") else { continue }
            value += 1
            while value < argument.count, isBlank(argument[value]) { value += 1 }
            var end = value
            if value < argument.count, argument[value] == UInt8(ascii: "'") {
                end += 1
                while end < argument.count, argument[end] != UInt8(ascii: "'") {
                    end += argument[end] == UInt8(ascii: "\\") ? 2 : 1
                }
            } else {
                while end < argument.count, !isBlank(argument[end]), argument[end] != UInt8(ascii: "&") { end += 1 }
            }
            end = min(end, argument.count)
            if value < end { found.append(value..<end) }
            position = end
        }
        return found
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (9...13).contains(byte) }
}
