// What a host is told of a cell, as it travels through the database. Everything that decides how a worker works is in the
// scenario, and both ends read that with the same program, so that no setting can be forgotten on the way.

import Foundation

/// One host's part of a cell.
public struct CellShare: Codable, Sendable, Equatable {
    /// The scenario in one file.
    public var scenario: String
    public var scenarioPath: String
    public var configuration: String
    public var repetition: Int
    /// Of a search, the rate of the probe.
    public var ratePerSecond: Double?
    public var topic: String
    /// The host's own.
    public var partitions: [Int32]
    /// Of all partitions.
    public var endOffsets: [Int32: Int64]
    public var firstExecution: Int64
    /// The host's own threads, of those that the configuration has altogether.
    public var workers: Int
    public var bookingWorkers: Int
    /// From 0.
    public var hostIndex: Int

    public init(
        scenario: String, scenarioPath: String, configuration: String, repetition: Int, ratePerSecond: Double?,
        topic: String, partitions: [Int32], endOffsets: [Int32: Int64], firstExecution: Int64, workers: Int,
        bookingWorkers: Int, hostIndex: Int
    ) {
        self.scenario = scenario
        self.scenarioPath = scenarioPath
        self.configuration = configuration
        self.repetition = repetition
        self.ratePerSecond = ratePerSecond
        self.topic = topic
        self.partitions = partitions
        self.endOffsets = endOffsets
        self.firstExecution = firstExecution
        self.workers = workers
        self.bookingWorkers = bookingWorkers
        self.hostIndex = hostIndex
    }

    /// What each host gets of partitions and threads: as nearly the same as whole numbers allow.
    public struct Deal: Sendable, Equatable {
        public var partitions: [Int32] = []
        public var workers = 0
        public var bookingWorkers = 0
    }

    /// Deals the threads out among the hosts in turn, and to each thread its partitions in turn, as to threads of one process.
    public static func deal(
        partitions: [Int32], workers: Int, bookingWorkers: Int, among hosts: Int
    ) -> [Deal] {
        var deals = [Deal](repeating: Deal(), count: hosts)
        let threads = min(workers, partitions.count)
        for thread in 0..<threads { deals[thread % hosts].workers += 1 }
        for (index, partition) in partitions.enumerated() {
            deals[index % threads % hosts].partitions.append(partition)
        }
        for worker in 0..<bookingWorkers { deals[worker % hosts].bookingWorkers += 1 }
        return deals
    }
}

extension Encodable {
    /// As it stands in a column.
    func jsonText() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
}

extension Decodable {
    init(jsonText: String) throws { self = try JSONDecoder().decode(Self.self, from: Data(jsonText.utf8)) }
}
