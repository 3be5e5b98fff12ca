// Deals out numbered pieces of work to threads.

import Synchronization
import Threads

/// Hands each number below `count` to exactly one taker. Any thread.
final class WorkQueue: Sendable {
    private let count: Int
    private let next = Atomic<Int>(0)

    init(count: Int) { self.count = count }

    func take() -> Int? {
        let index = next.add(1, ordering: .relaxed).oldValue
        return index < count ? index : nil
    }
}

/// Runs `body` once for every item on `workerCount` threads and waits; results stand in the order of the items.
func onWorkers<R: Sendable>(
    _ workerCount: Int, itemCount: Int, body: @escaping @Sendable (Int) -> R
) -> [R] {
    let queue = WorkQueue(count: itemCount)
    let workers = (0..<max(1, min(workerCount, itemCount))).map { number in
        WorkerThread(name: "seed-check-\(number)") {
            var results: [(index: Int, value: R)] = []
            while let index = queue.take() { results.append((index, body(index))) }
            return results
        }
    }
    // The threads throw nothing, so joining them doesn't either.
    let results = workers.flatMap { (try? $0.join()) ?? [] }
    return results.sorted { $0.index < $1.index }.map(\.value)
}
