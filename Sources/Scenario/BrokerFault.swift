// One of several embedded Kafka nodes dies in the middle of a run. On the thread that breaks things.

import Kafka
import Measurement
import Services

/// Which node dies is decided by what the topic needs.
public struct BrokerFault: Sendable {
    let services: EmbeddedServices
    let topic: String

    /// Ends the node that leads the topic's first partition, with SIGKILL.
    /// - Returns: its number.
    func kill() throws -> Int { try services.killBroker(leading: topic) }

    /// Waits until others lead all partitions of the topic, or until `isOver`. Until then those of the dead one stand still.
    func waitForLeaders(without dead: Int, isOver: () -> Bool) throws {
        let admin = try KafkaAdmin(settings: services.broker.clientSettings)
        while !isOver() {
            if let leaders = try? admin.leaders(of: topic, timeoutMs: 1_000),
                leaders.allSatisfy({ $0 >= 0 && $0 != Int32(dead) })
            {
                return
            }
            sleepUntil(monotonic: monotonicNow() + 20_000_000)
        }
    }
}
