// Prints what was measured, one line each. A new benchmark is a function that returns figures, and a line here.

func printReport(_ size: BenchmarkSize) {
    // Before anything has been freed, since what is freed would be used again.
    let bytes = cursorBytesPerAccount(accounts: 1_000).map(oneDecimal) ?? "unknown"
    print("memory of a cursor, 1000 accounts: \(bytes) bytes/account")
    let events = size.operationsMaximum
    print("memory that the recorder allocates in \(events) messages: \(recorderAllocatedBytes(events: events)) bytes")
    print("CPU time: median and best of \(size.runs) runs, one thread")
    for benchmark in [lotByLot, jumps, snapshots, recorder, arrivals] {
        for figure in benchmark(size) {
            let name = padded(figure.name, to: 48)
            let median = padded(oneDecimal(figure.nanoseconds), to: 12, isNumber: true)
            let best = padded(oneDecimal(figure.nanosecondsBest), to: 12, isNumber: true)
            print("\(name)\(median)\(best) ns/\(figure.operation)  \(figure.note)")
        }
    }
}

private func oneDecimal(_ value: Double) -> String {
    let tenths = Int64((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}

private func padded(_ text: String, to width: Int, isNumber: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - text.count))
    return isNumber ? blanks + text : text + blanks
}
