// The message that carries a rebalancing request to the routing workers: the same envelope as an execution's.

internal import CEnvelope

public enum RequestRow {}
public typealias RequestID = Identifier<RequestRow>

/// A row of `orders.rebalancing_requests` as it was written: an account that is to be traded back to its targets.
public struct RebalancingRequest: Sendable, Equatable {
    public let id: RequestID
    public let account: AccountID
    public let group: Int64
    public let date: TradeDate

    public init(id: RequestID, account: AccountID, group: Int64, date: TradeDate) {
        self.id = id
        self.account = account
        self.group = group
        self.date = date
    }
}

/// What one message says.
public enum RequestMessage: Sendable, Equatable {
    /// With the time of the commit that made the row, in nanoseconds since 1970; nil where the feed doesn't tell it.
    case request(RebalancingRequest, committedAtNs: Int64?)
    /// The row is routed already: a feed that also publishes updates, or a scan, says so. Nothing follows from it.
    case routed
    /// `{"after": null}` or no value at all: the row is gone, because its date was routed anew.
    case deleted
    /// `{"resolved": "…"}`: a feed's progress mark.
    case resolved
    /// Not an envelope of a request; names the field at fault.
    case malformed(field: String)
}

/// Decodes requests. One per thread: it keeps its buffers from message to message.
public final class RequestDecoder {
    /// Freed in `deinit`; used only by the thread that owns this object.
    private let parser: OpaquePointer

    public init() {
        guard let parser = envelope_parser_new() else { preconditionFailure("out of memory") }
        self.parser = parser
    }

    deinit { envelope_parser_free(parser) }

    /// Decodes one message value. An empty value is a tombstone.
    public func decode(_ value: UnsafeRawBufferPointer) -> RequestMessage {
        if value.isEmpty { return .deleted }
        var row = envelope_request()
        switch envelope_parse_request(parser, value.baseAddress, value.count, &row) {
        case ENVELOPE_ROW: return read(row)
        case ENVELOPE_DELETED: return .deleted
        case ENVELOPE_RESOLVED: return .resolved
        default: return .malformed(field: row.fault.map { String(cString: $0) } ?? "JSON")
        }
    }

    /// Checks what the parser found.
    private func read(_ row: envelope_request) -> RequestMessage {
        guard row.request_id > 0 else { return .malformed(field: "after.request_id") }
        guard row.account_id > 0 else { return .malformed(field: "after.account_id") }
        guard row.group_id > 0 else { return .malformed(field: "after.group_id") }
        let text = UnsafeBufferPointer(start: row.trade_date, count: row.trade_date_length)
        guard let date = TradeDate(iso: String(decoding: text, as: UTF8.self)) else {
            return .malformed(field: "after.trade_date")
        }
        guard row.status == 1 else { return .routed }
        return .request(
            RebalancingRequest(
                id: RequestID(row.request_id), account: AccountID(row.account_id), group: row.group_id, date: date),
            committedAtNs: row.updated > 0 ? row.updated : nil)
    }
}
