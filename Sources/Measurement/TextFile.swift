// Reads the small text files that the kernel makes up: their size is 0 until they are read.

import Glibc

/// The whole file as text, or nil where it doesn't exist, can't be read, or vanished meanwhile with its process.
func readKernelFile(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(file, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { return nil }
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}

/// The value behind `key` in lines such as `VmHWM:     1234 kB` or `NAME="Debian"`.
func value(of key: String, in text: String, separator: Character) -> Substring? {
    for line in text.split(separator: "\n") {
        guard let end = line.firstIndex(of: separator) else { continue }
        guard trimmed(line[..<end]) == key else { continue }
        return trimmed(line[line.index(after: end)...])
    }
    return nil
}

/// `text` without blanks at either end.
func trimmed(_ text: Substring) -> Substring {
    var rest = text
    while let first = rest.first, first.isWhitespace { rest.removeFirst() }
    while let last = rest.last, last.isWhitespace { rest.removeLast() }
    return rest
}
