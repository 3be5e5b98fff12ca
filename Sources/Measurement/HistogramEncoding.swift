// HdrHistogram's compressed encoding V2 of one histogram, in base64: the last column of its log. All numbers are big-endian.
//
// Outside: cookie 0x1c849314, length, then that many bytes of zlib. Inside: cookie 0x1c849313, the length of the counts in
// bytes, the index offset 0, 3 digits, lowest value 1, highest value, the ratio 1.0, then the counts in the order of
// their values up to the last that isn't 0. A count is a ZigZag LEB128 number, a run of n zeros is the number -n.

internal import CZlib

/// Why an encoding was refused, in words that fit after "expected".
struct EncodingFault: Error {
    let expected: String
}

// The 0x10 in both cookies stands for counts of variable length.
private let compressedCookie: UInt32 = 0x1c84_9314
private let plainCookie: UInt32 = 0x1c84_9313
private let headerSize = 40
private let significantDigits: UInt32 = 3

/// The histogram as HdrHistogram's `encodeIntoCompressedByteBuffer` and base64 write it.
func encoded(_ histogram: Histogram) -> String {
    var counts: [UInt8] = []
    var zeros: Int64 = 0
    for count in histogram.countsInUse {
        if count == 0 {
            zeros += 1
            continue
        }
        if zeros > 0 { append(zigZag: -zeros, to: &counts) }
        zeros = 0
        append(zigZag: Int64(clamping: count), to: &counts)
    }
    var plain: [UInt8] = []
    append(plainCookie, to: &plain)
    append(UInt32(counts.count), to: &plain)
    append(UInt32(0), to: &plain)
    append(significantDigits, to: &plain)
    append(UInt64(1), to: &plain)
    append(UInt64(Histogram.highestTrackable), to: &plain)
    append((1.0).bitPattern, to: &plain)
    plain += counts

    var size = compressBound(uLong(plain.count))
    var compressed = [UInt8](repeating: 0, count: Int(size))
    let status = compress2(&compressed, &size, plain, uLong(plain.count), Z_DEFAULT_COMPRESSION)
    // With a buffer of compressBound's size nothing but a lack of memory can fail.
    precondition(status == Z_OK, "zlib can't compress a histogram: status \(status)")
    var bytes: [UInt8] = []
    append(compressedCookie, to: &bytes)
    append(UInt32(size), to: &bytes)
    bytes += compressed[..<Int(size)]
    return base64(bytes)
}

/// The histogram of an encoding, whatever bytes it is.
func decoded(_ text: Substring, exact: Histogram.Exact?) throws(EncodingFault) -> Histogram {
    guard let bytes = bytes(base64: text) else { throw EncodingFault(expected: "base64") }
    var outer = Reader(bytes[...])
    guard outer.number(4) == UInt64(compressedCookie) else {
        throw EncodingFault(expected: "HdrHistogram's compressed encoding V2")
    }
    guard let length = outer.number(4), length == UInt64(outer.rest.count) else {
        throw EncodingFault(expected: "as many compressed bytes as its header says")
    }
    // What a full histogram needs; anything that grows beyond it isn't one.
    var plain = [UInt8](repeating: 0, count: headerSize + 9 * Histogram.slots)
    var size = uLong(plain.count)
    guard uncompress(&plain, &size, Array(outer.rest), uLong(outer.rest.count)) == Z_OK else {
        throw EncodingFault(expected: "zlib data of a histogram")
    }
    var inner = Reader(plain[..<Int(size)])
    guard inner.number(4) == UInt64(plainCookie), let countsLength = inner.number(4) else {
        throw EncodingFault(expected: "HdrHistogram's encoding V2 in the compressed bytes")
    }
    guard inner.number(4) == 0, inner.number(4) == UInt64(significantDigits), inner.number(8) == 1,
        inner.number(8) == UInt64(Histogram.highestTrackable), inner.number(8) == (1.0).bitPattern
    else {
        throw EncodingFault(
            expected: "a histogram with 3 digits from 1 to \(Histogram.highestTrackable), neither shifted nor scaled")
    }
    guard countsLength == UInt64(inner.rest.count) else {
        throw EncodingFault(expected: "as many bytes of counts as its header says")
    }
    var counts: [UInt64] = []
    while !inner.rest.isEmpty {
        guard let number = inner.zigZag() else { throw EncodingFault(expected: "whole counts") }
        // A single zero may be written as such.
        let zeros = number <= 0 ? max(1, number.magnitude) : 0
        guard UInt64(counts.count) + max(zeros, 1) <= UInt64(Histogram.slots) else {
            throw EncodingFault(expected: "at most \(Histogram.slots) counts")
        }
        if zeros > 0 {
            counts += repeatElement(0, count: Int(zeros))
        } else {
            counts.append(UInt64(number))
        }
    }
    guard let histogram = Histogram(counts: counts, exact: exact) else {
        throw EncodingFault(
            expected: exact == nil ? "counts that add up to 64 bits" : "counts that agree with the #[Exact: …] above")
    }
    return histogram
}

private func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
}

/// HdrHistogram's LEB128 has nine bytes at most: the ninth holds eight bits and no mark.
private func append(zigZag number: Int64, to bytes: inout [UInt8]) {
    var rest = UInt64(bitPattern: (number << 1) ^ (number >> 63))
    for _ in 0..<8 {
        if rest < 0x80 {
            bytes.append(UInt8(rest))
            return
        }
        bytes.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
    }
    bytes.append(UInt8(rest))
}

private struct Reader {
    var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func number(_ size: Int) -> UInt64? {
        guard rest.count >= size else { return nil }
        let number = rest.prefix(size).reduce(0) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(size)
        return number
    }

    mutating func zigZag() -> Int64? {
        var number: UInt64 = 0
        for index in 0..<9 as Range<UInt64> {
            guard let byte = rest.popFirst() else { return nil }
            if index == 8 {
                number |= UInt64(byte) << 56
            } else {
                number |= UInt64(byte & 0x7F) << (7 * index)
                if byte < 0x80 { break }
            }
        }
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }
}

private let base64Alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

private func base64(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
        for place in 0..<4 as Range<UInt32> {
            let isFilled = Int(place) <= group.count
            text.append(isFilled ? base64Alphabet[Int(bits >> (18 - 6 * place) & 63)] : UInt8(ascii: "="))
        }
    }
    return String(decoding: text, as: UTF8.self)
}

private func bytes(base64 text: Substring) -> [UInt8]? {
    var digits = Array(text.utf8)
    guard digits.count % 4 == 0 else { return nil }
    var padding = 0
    while padding < 2, digits.last == UInt8(ascii: "=") {
        digits.removeLast()
        padding += 1
    }
    var bytes: [UInt8] = []
    var (bits, bitCount): (UInt32, UInt32) = (0, 0)
    for digit in digits {
        guard let value = base64Value(digit) else { return nil }
        bits = bits << 6 | value
        bitCount += 6
        if bitCount >= 8 {
            bitCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
            bits &= (1 << bitCount) - 1
        }
    }
    return bits == 0 ? bytes : nil
}

private func base64Value(_ digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
