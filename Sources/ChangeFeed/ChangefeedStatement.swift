// The statement that makes a changefeed on CockroachDB. Pure.

import Kafka

/// `CREATE CHANGEFEED FOR TABLE … INTO $1 WITH OPTIONS (…)`. The sink is bound, for passwords are in it.
struct ChangefeedStatement: Sendable, Equatable {
    /// The job carries it as its Kafka client's name: so a job that a killed run left is found by its description, and a
    /// changefeed of the user's on the same table is never mistaken for it.
    let name: String
    let source: FeedSource
    let sink: KafkaSinkURI
    let scanTable: Bool

    var text: String {
        """
        CREATE CHANGEFEED FOR TABLE \(source.table) INTO $1 WITH OPTIONS
          (\(options.joined(separator: ", ")),
           kafka_sink_config = '\(sinkConfiguration)')
        """
    }

    /// - `key_column` sends a block's messages to one partition; the server wants `unordered` with it, because the rows of a
    ///   key have no order between them, and refuses `resolved` beside that. Without it the table's primary key is the key.
    /// - Without `min_checkpoint_frequency` the job would tell its high-water mark every 30 s, and the end of a feed with it.
    /// - `initial_scan = 'no'` begins at the statement's own time, so nothing that commits later is missed.
    private var options: [String] {
        var options = ["format = 'json'", "envelope = 'wrapped'", "updated"]
        if let column = source.changefeedKeyColumn { options += ["key_column = '\(column)'", "unordered"] }
        options += [
            "initial_scan = '\(scanTable ? "yes" : "no")'",
            "min_checkpoint_frequency = '\(Self.checkpointIntervalNs / 1_000_000_000)s'",
        ]
        return options
    }

    /// The brokers' acknowledgement is waited for as our own producer does. A batch that fails is sent again whole, so it is kept
    /// to a thousand messages, and it fills for 5 ms at most.
    private var sinkConfiguration: String {
        #"{\#(Self.clientID(name)), "Flush": {"MaxMessages": 1000, "Frequency": "5ms"}, "RequiredAcks": "ALL", "#
            + #""Compression": "LZ4"}"#
    }

    /// What the description of a job of this name has in it, and no other's.
    static func clientID(_ name: String) -> String { #""ClientID": "\#(name)""# }

    static let checkpointIntervalNs: Int64 = 1_000_000_000
}
