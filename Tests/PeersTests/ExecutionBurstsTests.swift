// Our sides of the pairs beside Debezium, in small, with librdkafka's mock broker: the other sides take a Kafka with Connect.

import Diagnostics
import Foundation
import Testing
import Threads

@testable import allocbench_peers

@Suite(.serialized, .timeLimit(.minutes(5))) struct ExecutionBurstsTests {
    @Test(arguments: ["feed-debezium", "capture"])
    func `each run of our side brings over every execution of both bursts, and none of an earlier run`(
        _ name: String
    ) throws {
        let pair = try #require(allPairs(.tiny).first { $0.name == name })
        let state = NSTemporaryDirectory() + "peers-\(UUID().uuidString)"
        try PeerBench.with(
            PeerSurroundings(kafkaHome: nil, size: .tiny), state: state, postgresSettings: pair.postgresSettings,
            stop: StopFlag()
        ) { bench in
            try pair.prepare(bench)
            let runs = [try pair.runOurs(bench), try pair.runOurs(bench)]
            let counts = runs.map { $0.work["messages"] ?? $0.work["rows"] }
            #expect(counts == (name == "capture" ? ["1500", "1500"] : ["2000", "2000"]))
            #expect(runs[0].work == runs[1].work)
            #expect(runs.allSatisfy { $0.figure > 0 })
        }
        #expect(!FileManager.default.fileExists(atPath: state))
    }
}
