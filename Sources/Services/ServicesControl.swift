// `allocbench services status` and `stop`: what runs in a state folder, and ending it. Blocks its thread.

public import Diagnostics

public enum ServicesControl {
    /// One line of `services status`.
    public struct Status: Sendable {
        public let record: ServiceRecord
        public let isRunning: Bool
    }

    /// What the records say, and whether it is true. Takes no lock: a start or stop may be under way.
    public static func status(in state: StateFolder) -> [Status] {
        state.records.services.map { Status(record: $0, isRunning: $0.isRunning) }
    }

    /// Stops the services that `services start` started, and what killed runs left.
    /// - Returns: the services that were running and are stopped now.
    /// - Throws: when a run is using them.
    @discardableResult
    public static func stop(in state: StateFolder) throws(OperatingError) -> [ServiceRecord] {
        let lock = try state.lockServices()
        defer { lock.release() }
        if let run = try state.runningRun {
            throw OperatingError(
                "the run with pid \(run) is using the services in \(state.path)", remedy: "let it end, or end it, first"
            )
        }
        let running = state.records.services.filter { $0.isRunning && $0.kind != .guardian }
        if let used = running.first(where: { $0.owner != .servicesStart && $0.owner.isAlive }) {
            throw OperatingError("the services in \(state.path) belong to \(used.owner), which stops them itself")
        }
        try Leftovers.stop(in: state) { _ in true }
        return running
    }
}
