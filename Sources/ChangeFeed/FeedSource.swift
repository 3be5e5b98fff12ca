// Which table a change feed publishes, and what its messages are keyed by. Plain values.

public import Model

/// A table whose new rows are published.
public struct FeedSource: Sendable, Hashable {
    public let schema: String
    public let name: String
    /// What the topic is keyed by.
    let key: EnvelopeColumn
    /// In this order the first scan reads what stands in the table.
    let orderColumn: String
    /// All columns, in the alphabetical order of an envelope.
    let columns: [EnvelopeColumn]
    /// Tells the slots of one database apart; empty for the executions, whose slot has the plain name.
    let slotSuffix: String

    /// The column that a CockroachDB changefeed must be told to key by; nil where the table's primary key is the key.
    let changefeedKeyColumn: String?

    public var table: String { "\(schema).\(name)" }

    /// Executions, keyed by their block order: a block's messages stay in order, in one partition.
    public static let executions = executions(keyedBy: .blockOrder)

    /// Executions by either key. Keyed by themselves, a block's messages spread over the partitions, and a bust may be read
    /// before the execution that it reverses. Each key has a slot of its own, so that no feed goes on with the other's.
    public static func executions(keyedBy key: TopicKey) -> FeedSource {
        switch key {
        case .blockOrder:
            executions(key: blockOrderCode, slotSuffix: "", changefeedKeyColumn: blockOrderCode.name)
        case .execution:
            executions(
                key: EnvelopeColumn(name: "execution_id", kind: .number), slotSuffix: "_by_id", changefeedKeyColumn: nil
            )
        }
    }

    private static let blockOrderCode = EnvelopeColumn(name: "block_order_code", kind: .text)

    private static func executions(
        key: EnvelopeColumn, slotSuffix: String, changefeedKeyColumn: String?
    ) -> FeedSource {
        FeedSource(
            schema: "trades", name: "executions", key: key, orderColumn: "execution_id",
            columns: [
                EnvelopeColumn(name: "block_order_code", kind: .text),
                EnvelopeColumn(name: "block_order_id", kind: .number),
                EnvelopeColumn(name: "exec_ref_id", kind: .number),
                EnvelopeColumn(name: "exec_type", kind: .text), EnvelopeColumn(name: "executed_at", kind: .timestamp),
                EnvelopeColumn(name: "execution_id", kind: .number),
                EnvelopeColumn(name: "order_quantity", kind: .number),
                EnvelopeColumn(name: "order_version", kind: .number), EnvelopeColumn(name: "price", kind: .number),
                EnvelopeColumn(name: "quantity", kind: .number),
            ], slotSuffix: slotSuffix, changefeedKeyColumn: changefeedKeyColumn)
    }

    /// Rebalancing requests, keyed by their own id: they don't depend on each other, so they spread over the partitions.
    public static let requests = FeedSource(
        schema: "orders", name: "rebalancing_requests", key: EnvelopeColumn(name: "request_id", kind: .number),
        orderColumn: "request_id",
        columns: [
            EnvelopeColumn(name: "account_id", kind: .number), EnvelopeColumn(name: "group_id", kind: .number),
            EnvelopeColumn(name: "request_id", kind: .number), EnvelopeColumn(name: "status", kind: .text),
            EnvelopeColumn(name: "trade_date", kind: .text),
        ], slotSuffix: "_requests", changefeedKeyColumn: nil)

    public static let all = [executions, executions(keyedBy: .execution), requests]
}
