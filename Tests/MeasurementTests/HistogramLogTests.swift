// Histograms through their log and back, and against the Python package that other people read such logs with.

import Diagnostics
import Glibc
import Measurement
import Services
import Testing

/// The interpreter that `make python` made.
private let python = getenv("ALLOCBENCH_PYTHON").map { String(cString: $0) }

@Suite struct HistogramLogTests {
    private func randomHistogram(_ random: inout SeededRandom, count: Int64) -> Histogram {
        var histogram = Histogram()
        for _ in 0..<count {
            histogram.record(random.integer(in: 0...(Int64(1) << random.integer(in: 0...41))))
        }
        return histogram
    }

    private func faultOf(_ text: String) -> String {
        do throws(InputError) {
            _ = try HistogramLog(text: text, source: "histograms.hlog")
            return "none"
        } catch {
            return error.description
        }
    }

    @Test func `what is written is read as it was, exact figures included`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        var log = HistogramLog(startUnixNs: 1_763_734_000_123_456_789)
        for (index, count) in [0, 1, 2, 1000, 5000].enumerated() {
            log.intervals.append(
                .init(
                    tag: index == 0 ? "" : "row/1:time_to_visible", startNs: Int64(index) * 1_000_000_007,
                    lengthNs: Int64(index), histogram: randomHistogram(&random, count: Int64(count))))
        }
        var clipped = Histogram()
        clipped.record(.max)
        clipped.record(-3)
        clipped.record(7, count: 1 << 62)
        log.intervals.append(.init(tag: "clipped", startNs: 5, lengthNs: 0, histogram: clipped))
        let read = try HistogramLog(text: log.text, source: "x")
        #expect(read == log, "seed \(seed)")
        #expect(read.text == log.text, "seed \(seed)")
    }

    @Test func `the header and the lines are those of format 1.3`() {
        var histogram = Histogram()
        histogram.record(1_500_000)
        let log = HistogramLog(
            startUnixNs: 1_000_000_001,
            intervals: [.init(tag: "a", startNs: 250_000_000, lengthNs: 2_000_000_000, histogram: histogram)])
        let lines = log.text.split(separator: "\n")
        #expect(lines[0] == "#[Histogram log format version 1.3]")
        #expect(lines[1].hasPrefix("#[StartTime: 1.000000001 (seconds since epoch), "))
        #expect(lines[2] == "#[BaseTime: 1.000000001 (seconds since epoch)]")
        #expect(lines[3].hasPrefix("\"StartTimestamp\",\"Interval_Length\""))
        #expect(lines[4] == "#[Exact: min 1500000, max 1500000, sum 1500000, clipped 0]")
        // Every V2 compressed histogram begins so in base64: its cookie.
        #expect(lines[5].hasPrefix("Tag=a,0.250000000,2.000000000,1.500000,HISTFAAAA"))
    }

    @Test func `a log of another writer is read with the precision of its counts`() throws {
        var histogram = Histogram()
        for value: Int64 in [1_000_000, 1_000_100, 5_000_000] { histogram.record(value) }
        let log = HistogramLog(
            startUnixNs: 0, intervals: [.init(tag: "", startNs: 0, lengthNs: 1, histogram: histogram)])
        let foreign = log.text.split(separator: "\n").filter { !$0.hasPrefix("#[Exact") }.joined(separator: "\n")
        let read = try #require(try HistogramLog(text: foreign, source: "x").intervals.first).histogram
        #expect(read.count == 3)
        #expect(read.percentile(50) == 1_000_447)
        #expect(abs(Double(read.max) / 5_000_000 - 1) < 0.001)
        #expect(abs(read.mean / histogram.mean - 1) < 0.001)
    }

    @Test func `garbage is refused with its line and what was expected`() {
        var histogram = Histogram()
        for value in 1...100 as ClosedRange<Int64> { histogram.record(value * 1000) }
        let good = HistogramLog(
            startUnixNs: 0, intervals: [.init(tag: "t", startNs: 0, lengthNs: 1, histogram: histogram)]
        ).text
        let code = String(good.split(separator: "\n").last?.split(separator: ",").last ?? "")
        func replaced(_ code: String) -> String { faultOf("Tag=t,0.0,1.0,2.0," + code) }

        #expect(replaced(code) == "none")
        #expect(faultOf("hello").contains("histograms.hlog:1: interval: \"hello\": expected [Tag="))
        #expect(faultOf("\n-1,1,1,\(code)").contains("histograms.hlog:2: start: \"-1\""))
        #expect(faultOf("0,1e9,1,\(code)").contains("length: \"1e9\""))
        #expect(faultOf("#[StartTime: soon]").contains("StartTime"))
        #expect(faultOf("#[Exact: min 1]").contains("Exact"))
        #expect(replaced("").contains("V2"))
        #expect(replaced("HIST!AAA").contains("base64"))
        #expect(replaced("AAAAAAAA").contains("V2"))
        // Cut in the middle; a byte of zlib's data turned around.
        #expect(replaced(String(code.prefix(40))).contains("header says"))
        var turned = Array(code)
        turned[30] = turned[30] == "A" ? "B" : "A"
        #expect(replaced(String(turned)).contains("expected"))
        // The exact figures of another histogram.
        let wrong = good.split(separator: "\n").map {
            $0.hasPrefix("#[Exact") ? "#[Exact: min 1, max 2, sum 3, clipped 0]" : $0
        }
        #expect(faultOf(wrong.joined(separator: "\n")).contains("agree"))
    }

    @Test func `no damaged encoding traps`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let good = HistogramLog(
            startUnixNs: 0,
            intervals: [.init(tag: "t", startNs: 0, lengthNs: 1, histogram: randomHistogram(&random, count: 50))]
        ).text
        let bytes = Array(good.utf8)
        for _ in 0..<100 {
            var damaged = bytes
            for _ in 0..<random.integer(in: 1...3) {
                damaged[Int(random.integer(in: 0...Int64(bytes.count - 1)))] = UInt8(random.integer(in: 32...126))
            }
            _ = faultOf(String(decoding: damaged, as: UTF8.self))
        }
    }

    @Test(.enabled(if: python != nil, "ALLOCBENCH_PYTHON names no interpreter; `make python` makes one"))
    func `the Python package hdrhistogram reads the same counts and percentiles`() throws {
        let interpreter = try #require(python)
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let sizes: [Int64] = [1000, 1000, 20_000]
        let histograms = sizes.map { randomHistogram(&random, count: $0) }
        let log = HistogramLog(
            startUnixNs: 1_763_734_000_000_000_000,
            intervals: histograms.enumerated().map {
                .init(tag: "t\($0)", startNs: Int64($0) * 1_000_000_000, lengthNs: 1_000_000_000, histogram: $1)
            })
        let path = "/tmp/allocbench-\(getpid())-\(seed).hlog"
        defer { unlink(path) }
        let file = try #require(fopen(path, "w"))
        fputs(log.text, file)
        fclose(file)

        // Its percentile rounds the rank to the nearest where ours rounds up: with these sizes both are whole.
        let percents = [0.1, 1, 10, 50, 90, 99, 99.9, 100]
        let program = """
            import sys
            from hdrh.histogram import HdrHistogram
            from hdrh.log import HistogramLogReader
            empty = HdrHistogram(1, \(Histogram.highestTrackable), 3)
            reader = HistogramLogReader(sys.argv[1], empty)
            while True:
                one = reader.get_next_interval_histogram()
                if one is None:
                    break
                figures = [one.get_value_at_percentile(float(p)) for p in sys.argv[2:]]
                seconds = int(one.get_start_time_stamp() / 1000 - reader.get_start_time_sec())
                print(one.get_tag(), seconds, one.counts_len, one.get_total_count(), *figures)
            """
        let result = try ChildProcess.run([interpreter, "-c", program, path] + percents.map { String($0) })
        #expect(result.status == 0, "\(result.output)")
        let expected = histograms.enumerated().map { index, histogram in
            (["t\(index)", "\(index)", "33792", "\(histogram.count)"]
                + percents.map { percent in
                    // It answers with the end of the bucket even above the maximum.
                    var open = histogram
                    open.record(Histogram.highestTrackable)
                    let rank = (Double(histogram.count) * percent / 100).rounded() - 0.5
                    return String(open.percentile(rank * 100 / Double(open.count)))
                }).joined(separator: " ")
        }
        #expect(result.output.split(separator: "\n").map { String($0) } == expected, "seed \(seed)")
    }
}
