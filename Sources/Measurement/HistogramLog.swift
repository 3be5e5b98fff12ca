// Histograms in HdrHistogram's own log format, so that its tools read what we measured, and back again, so that a run that is
// resumed goes on with what it had. Pure text; the caller reads and writes the file.

public import Diagnostics

/// A `.hlog` file: intervals, each with a tag, a time and a histogram.
///
/// The format is that of HdrHistogram's `HistogramLogWriter`, version 1.3. Its encoding keeps the counts and loses what is
/// exact in ours: minimum, maximum, sum, and how many values were clipped. These stand in a comment before each
/// interval, `#[Exact: …]`, which other readers skip.
public struct HistogramLog: Sendable, Equatable {
    public struct Interval: Sendable, Equatable {
        /// What the histogram is of; empty for none. No commas, blanks or line breaks.
        public let tag: String
        /// After the start of the log.
        public let startNs: Int64
        public let lengthNs: Int64
        public let histogram: Histogram

        public init(tag: String, startNs: Int64, lengthNs: Int64, histogram: Histogram) {
            precondition(
                !tag.unicodeScalars.contains { $0 == "," || $0.properties.isWhitespace },
                "a tag holds no comma, blank or line break")
            precondition(startNs >= 0 && lengthNs >= 0, "an interval lies after the start of its log")
            self.tag = tag
            self.startNs = startNs
            self.lengthNs = lengthNs
            self.histogram = histogram
        }
    }

    /// The start, in nanoseconds of the Unix epoch: what the intervals' times count from.
    public var startUnixNs: Int64
    public var intervals: [Interval]

    public init(startUnixNs: Int64, intervals: [Interval] = []) {
        self.startUnixNs = startUnixNs
        self.intervals = intervals
    }

    /// The whole file.
    public var text: String {
        let start = decimal(startUnixNs, digits: 9)
        var text = """
            #[Histogram log format version 1.3]
            #[StartTime: \(start) (seconds since epoch), times below are seconds since then, values are ns, maxima ms]
            #[BaseTime: \(start) (seconds since epoch)]
            "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"

            """
        for interval in intervals {
            let (histogram, exact) = (interval.histogram, interval.histogram.exact)
            text += "#[Exact: min \(exact.min), max \(exact.max), sum \(exact.sum), clipped \(exact.clippedCount)]\n"
            if !interval.tag.isEmpty { text += "Tag=\(interval.tag)," }
            // The format's column can't be negative.
            text += decimal(interval.startNs, digits: 9) + "," + decimal(interval.lengthNs, digits: 9) + ","
            text += decimal(max(0, histogram.max), digits: 6) + "," + encoded(histogram) + "\n"
        }
        return text
    }

    /// Reads a file that `text` wrote, or another writer's with histograms of the same layout.
    /// - Throws: `InputError` for the first line that isn't understood.
    public init(text: String, source: String) throws(InputError) {
        self.init(startUnixNs: 0)
        var exact: Histogram.Exact?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func fault(_ field: String, _ value: Substring, _ expected: String) -> InputError {
                InputError(
                    InputFault(source: source, line: index + 1, field: field, value: String(value), expected: expected))
            }
            if let value = line.value(after: "#[StartTime:") {
                guard let start = nanoseconds(value) else {
                    throw fault("StartTime", line, "seconds since the epoch")
                }
                startUnixNs = start
            } else if let value = line.value(after: "#[Exact:") {
                guard let figures = Histogram.Exact(line: value) else {
                    throw fault("Exact", line, "`min …, max …, sum …, clipped …` in whole numbers")
                }
                exact = figures
            } else if line.isEmpty || line.hasPrefix("#") || line.hasPrefix("\"") {
                continue
            } else {
                var fields = line.split(separator: ",", omittingEmptySubsequences: false)
                var tag = ""
                if let first = fields.first, first.hasPrefix("Tag=") {
                    tag = String(first.dropFirst(4))
                    fields.removeFirst()
                }
                guard fields.count == 4 else {
                    throw fault("interval", line, "[Tag=…,]start,length,maximum,histogram")
                }
                guard let start = nanoseconds(fields[0]) else { throw fault("start", fields[0], "seconds, from 0 on") }
                guard let length = nanoseconds(fields[1]) else { throw fault("length", fields[1], "seconds") }
                guard !tag.unicodeScalars.contains(where: \.properties.isWhitespace) else {
                    throw fault("tag", tag[...], "a tag without blanks")
                }
                let histogram: Histogram
                do throws(EncodingFault) {
                    histogram = try decoded(fields[3], exact: exact)
                } catch {
                    throw fault("histogram", fields[3], error.expected)
                }
                exact = nil
                intervals.append(Interval(tag: tag, startNs: start, lengthNs: length, histogram: histogram))
            }
        }
    }
}

extension Histogram.Exact {
    /// ` min 1, max 9, sum 20, clipped 0]`
    fileprivate init?(line: Substring) {
        let parts = line.split { $0 == " " || $0 == "," || $0 == "]" }
        guard parts.count == 8, parts[0] == "min", parts[2] == "max", parts[4] == "sum", parts[6] == "clipped",
            let min = Int64(parts[1]), let max = Int64(parts[3]), let sum = Int128(parts[5]),
            let clipped = Int64(parts[7]), min <= max
        else { return nil }
        self.init(sum: sum, min: min, max: max, clippedCount: clipped)
    }
}

extension Substring {
    fileprivate func value(after prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }
}

/// `value` with the point before its last `digits` digits.
private func decimal(_ value: Int64, digits: Int) -> String {
    let text = String(value)
    let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
    return padded.dropLast(digits) + "." + padded.suffix(digits)
}

/// Seconds with up to nine decimals, up to the first blank after them; nil for anything else, negative ones included.
private func nanoseconds(_ text: Substring) -> Int64? {
    guard let word = text.split(separator: " ").first else { return nil }
    let parts = word.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, let whole = parts.first, !whole.isEmpty, whole.utf8.count <= 10 else { return nil }
    let decimals = parts.count == 2 ? parts[1] : ""
    guard decimals.utf8.count <= 9, (whole + decimals).utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
        return nil
    }
    // Ten digits of seconds may pass the range of nanoseconds.
    guard let value = Int64(whole + decimals + String(repeating: "0", count: 9 - decimals.utf8.count)) else {
        return nil
    }
    return value
}
