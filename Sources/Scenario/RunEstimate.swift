// How long the rest of a run may take. A value: whoever tells it what happens brings the time.

/// Knows how long finished cells took, by their configuration, and how far the one under way is.
///
/// A cell under way is expected to take as long as its configuration took before; the further it gets, the more counts what
/// it shows itself. A cell ahead takes as long as its configuration did, or else as the others did in the mean.
struct RunEstimate {
    /// Configurations of the cells that haven't ended, in their order.
    private var ahead: ArraySlice<String>
    private var finished: [String: (count: Int64, nanoseconds: Int64)] = [:]
    private var current: Current?

    private struct Current {
        let began: Int64
        /// What the cell will take by what it has done so far; nil before it has done anything.
        var measured: Double?
        /// Of its load, from 0 to 1.
        var share = 0.0
    }

    init(cells: [String]) { ahead = cells[...] }

    /// The next cell begins.
    mutating func begin(at now: Int64) { current = Current(began: now) }

    /// - Parameters:
    ///   - share: how much of the cell's load is done; nil where that isn't known.
    ///   - loadNanoseconds: since the load began.
    mutating func note(share: Double?, loadNanoseconds: Int64, at now: Int64) {
        guard let share, share > 0, let began = current?.began else { return }
        let beforeLoad = now - loadNanoseconds - began
        current?.share = share
        current?.measured = Double(beforeLoad) + Double(loadNanoseconds) / share
    }

    mutating func end(at now: Int64) {
        guard let began = current?.began, let configuration = ahead.popFirst() else { return }
        let known = finished[configuration] ?? (0, 0)
        finished[configuration] = (known.count + 1, known.nanoseconds + now - began)
        current = nil
    }

    /// Nil while nothing says how long.
    func remaining(at now: Int64) -> Duration? {
        let currentLength = currentLength
        var sum = 0.0
        for (place, configuration) in ahead.enumerated() {
            let isCurrent = place == 0 && current != nil
            guard
                let length = isCurrent
                    ? currentLength : mean(of: configuration) ?? length(like: configuration, currentLength)
            else { return nil }
            sum += isCurrent ? max(0, length - Double(now - (current?.began ?? now))) : length
        }
        return .nanoseconds(Int64(sum))
    }

    private func mean(of configuration: String) -> Double? {
        finished[configuration].map { Double($0.nanoseconds) / Double($0.count) }
    }

    /// Each configuration counts once, so that those which come first don't weigh more.
    private var meanOfAll: Double? {
        let means = finished.keys.compactMap { mean(of: $0) }
        return means.isEmpty ? nil : means.reduce(0, +) / Double(means.count)
    }

    private var currentLength: Double? {
        guard let current, let configuration = ahead.first else { return nil }
        guard let own = mean(of: configuration) else { return current.measured ?? meanOfAll }
        guard let measured = current.measured else { return own }
        return current.share * measured + (1 - current.share) * own
    }

    /// Of a cell whose configuration has never ended.
    private func length(like configuration: String, _ currentLength: Double?) -> Double? {
        if current != nil, configuration == ahead.first { return currentLength }
        return meanOfAll ?? currentLength
    }
}
