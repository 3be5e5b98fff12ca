// The envelope reader: one pass of simdjson's On-Demand interface over what a CockroachDB changefeed writes in JSON:
//   wrapped   {"after": {…}, "updated": "…"}, also with "before", "key", "topic" and "mvcc_timestamp"
//   enriched  {"after": {…}, "op": "c", "source": {…}, "ts_ns": 1}, or {"payload": {that}, "schema": {…}}
//   bare      {"__crdb__": {"updated": "…"}, "execution_id": 7, …}: the row's columns at the top
// PostgreSQL's feed writes the wrapped one, which is the quickest: its "after" comes first and is read where it stands.

#include "CEnvelope.h"

// Without them a result that holds an error doesn't convert to its value silently: that would throw through C into Swift.
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <cstring>
#include <new>
#include <vector>

struct envelope_parser {
    simdjson::ondemand::parser parser;
    // On-Demand reads up to SIMDJSON_PADDING bytes past the end, so a message is copied once to where that is safe.
    std::vector<uint8_t> buffer;
};

namespace {

using simdjson::ondemand::object;
using simdjson::ondemand::value;

bool read_integer(value &field, int64_t &into) { return !field.get_int64().get(into); }

// The token of a number, or the text of a string: feeds may write a decimal either way.
bool read_decimal(value &field, envelope_row &row) {
    std::string_view text = field.raw_json_token();
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    if (text.size() >= 2 && text.front() == '"') {
        size_t closing = text.find('"', 1);
        if (closing == std::string_view::npos) return false;
        text = text.substr(1, closing - 1);
    }
    row.price = reinterpret_cast<const uint8_t *>(text.data());
    row.price_length = text.size();
    return !text.empty();
}

template <typename Row> envelope_kind malformed(Row *row, const char *fault) {
    row->fault = fault;
    return ENVELOPE_MALFORMED;
}

bool read_nullable_integer(value &field, int64_t &into) {
    bool is_null = false;
    if (field.is_null().get(is_null)) return false;
    into = 0;
    return is_null || read_integer(field, into);
}

bool read_exec_type(value &field, int32_t &into) {
    std::string_view word;
    if (field.get_string().get(word)) return false;
    into = word == "TRADE" ? 1 : word == "TRADE_CANCEL" ? 2 : word == "CANCELED" ? 3 : word == "REPLACED" ? 4 : 0;
    return into != 0;
}

// The columns that a row must have, in the order in which a missing one is told.
const char *const column_names[] = {
    "after.execution_id", "after.exec_type", "after.exec_ref_id", "after.block_order_id",
    "after.order_version", "after.order_quantity", "after.quantity", "after.price",
};
enum column : unsigned { EXECUTION_ID, EXEC_TYPE, EXEC_REF_ID, BLOCK_ORDER_ID, ORDER_VERSION, ORDER_QUANTITY, QUANTITY, PRICE };
constexpr unsigned column_count = 8;

bool read_column(std::string_view key, value &field, envelope_row *row, int &column) {
    if (key == "execution_id") return column = EXECUTION_ID, read_integer(field, row->execution_id);
    if (key == "exec_type") return column = EXEC_TYPE, read_exec_type(field, row->exec_type);
    if (key == "exec_ref_id") return column = EXEC_REF_ID, read_nullable_integer(field, row->exec_ref_id);
    if (key == "block_order_id") return column = BLOCK_ORDER_ID, read_integer(field, row->block_order_id);
    if (key == "order_version") return column = ORDER_VERSION, read_integer(field, row->order_version);
    if (key == "order_quantity") return column = ORDER_QUANTITY, read_integer(field, row->order_quantity);
    if (key == "quantity") return column = QUANTITY, read_integer(field, row->quantity);
    if (key == "price") return column = PRICE, read_decimal(field, *row);
    return true;  // A column that isn't ours.
}

// The columns of a request that a row must have.
const char *const request_column_names[] = {
    "after.request_id", "after.account_id", "after.group_id", "after.trade_date", "after.status",
};
enum request_column : unsigned { REQUEST_ID, ACCOUNT_ID, GROUP_ID, TRADE_DATE, STATUS };
constexpr unsigned request_column_count = 5;

bool read_status(value &field, int32_t &into) {
    std::string_view word;
    if (field.get_string().get(word)) return false;
    into = word == "PENDING" ? 1 : word == "ROUTED" ? 2 : 0;
    return into != 0;
}

bool read_trade_date(value &field, envelope_request &request) {
    std::string_view text;
    if (field.get_string().get(text)) return false;
    request.trade_date = reinterpret_cast<const uint8_t *>(text.data());
    request.trade_date_length = text.size();
    return true;
}

bool read_column(std::string_view key, value &field, envelope_request *request, int &column) {
    if (key == "request_id") return column = REQUEST_ID, read_integer(field, request->request_id);
    if (key == "account_id") return column = ACCOUNT_ID, read_integer(field, request->account_id);
    if (key == "group_id") return column = GROUP_ID, read_integer(field, request->group_id);
    if (key == "trade_date") return column = TRADE_DATE, read_trade_date(field, *request);
    if (key == "status") return column = STATUS, read_status(field, request->status);
    return true;  // A column that isn't ours.
}

// "1731594600000000000.0000000000": nanoseconds, and a logical part that only CockroachDB has. An execution's isn't used.
bool read_updated(value &, envelope_row *) { return true; }
bool read_updated(value &field, envelope_request *request) {
    std::string_view text;
    if (field.get_string().get(text)) return false;
    const size_t digits = text.find('.') == std::string_view::npos ? text.size() : text.find('.');
    if (digits == 0 || digits > 18 + 1) return false;
    uint64_t number = 0;
    for (size_t index = 0; index < digits; index++) {
        if (text[index] < '0' || text[index] > '9') return false;
        number = number * 10 + static_cast<uint64_t>(text[index] - '0');
    }
    if (number > INT64_MAX) return false;
    request->updated = static_cast<int64_t>(number);
    return true;
}

// `kind` is the column that every row has and a deleted one hasn't: a bare envelope keeps the key of a deleted row and writes
// null for the rest.
struct columns {
    const char *const *names;
    unsigned count;
    int kind;
    // The column that may be null; -1 where none may.
    int nullable;
};
columns columns_of(const envelope_row *) { return {column_names, column_count, EXEC_TYPE, EXEC_REF_ID}; }
columns columns_of(const envelope_request *) { return {request_column_names, request_column_count, STATUS, -1}; }

// A bare row's columns are not within "after".
const char *bare_name(const char *name) { return name + sizeof("after.") - 1; }

template <typename Row> const char *missing_column(unsigned seen, const Row *row) {
    const columns wanted = columns_of(row);
    for (unsigned column = 0; column < wanted.count; column++) {
        if (!(seen & (1u << column))) return wanted.names[column];
    }
    return nullptr;
}

template <typename Row> envelope_kind read_row(object &after, Row *row) {
    const columns wanted = columns_of(row);
    unsigned seen = 0;
    for (auto item : after) {
        std::string_view key;
        value field;
        if (item.unescaped_key().get(key) || item.value().get(field)) return malformed(row, "after");
        int column = -1;
        if (!read_column(key, field, row, column)) return malformed(row, wanted.names[column]);
        if (column >= 0) seen |= 1u << column;
    }
    const char *missing = missing_column(seen, row);
    return missing ? malformed(row, missing) : ENVELOPE_ROW;
}

// What was seen of an envelope so far.
struct progress {
    bool has_after = false, has_resolved = false, has_metadata = false, has_updated = false;
    // Of a bare row.
    bool is_deleted = false;
    unsigned seen = 0;
    envelope_kind kind = ENVELOPE_MALFORMED;
};

template <typename Row> bool note_updated(value &field, Row *row, progress &found) {
    found.has_updated = true;
    return read_updated(field, row);
}

// "__crdb__" holds a bare envelope's metadata, "source" an enriched one's; of the latter the row's own time counts, and the
// outer "ts_ns" doesn't: that is when the message was made.
template <typename Row> envelope_kind read_metadata(value &field, bool is_source, Row *row, progress &found) {
    const char *place = is_source ? "source" : "__crdb__";
    object metadata;
    if (field.get_object().get(metadata)) return malformed(row, place);
    for (auto item : metadata) {
        std::string_view key;
        value entry;
        if (item.unescaped_key().get(key) || item.value().get(entry)) return malformed(row, place);
        if (key == (is_source ? "ts_hlc" : "updated")) {
            if (!note_updated(entry, row, found)) return malformed(row, is_source ? "source.ts_hlc" : "updated");
        } else if (key == "mvcc_timestamp" && !found.has_updated) {
            if (!read_updated(entry, row)) return malformed(row, "mvcc_timestamp");
        } else if (key == "resolved" && !is_source) {
            found.has_resolved = true;
        }
    }
    if (!is_source) found.has_metadata = true;
    return ENVELOPE_ROW;
}

// A field that belongs to no envelope is a column of a bare row, ours or another. A null is left unread, for a deleted row has
// them where it must have values. What can't be read ends it: simdjson gives up a document whose structure is broken, and
// crashes when it is asked on.
template <typename Row>
envelope_kind read_bare_column(std::string_view key, value &field, Row *row, progress &found) {
    const columns wanted = columns_of(row);
    bool is_null = false;
    if (field.is_null().get(is_null)) return malformed(row, "JSON");
    if (is_null) {
        if (key == bare_name(wanted.names[wanted.kind])) found.is_deleted = true;
        if (wanted.nullable >= 0 && key == bare_name(wanted.names[wanted.nullable])) found.seen |= 1u << wanted.nullable;
        return ENVELOPE_ROW;
    }
    int column = -1;
    if (!read_column(key, field, row, column)) return malformed(row, bare_name(wanted.names[column]));
    if (column >= 0) found.seen |= 1u << column;
    return ENVELOPE_ROW;
}

template <typename Row> envelope_kind read_envelope(object &envelope, bool is_payload, Row *row, progress &found) {
    for (auto item : envelope) {
        std::string_view key;
        value field;
        if (item.unescaped_key().get(key) || item.value().get(field)) return malformed(row, "JSON");
        if (key == "after") {
            found.has_after = true;
            bool is_null = false;
            if (field.is_null().get(is_null)) return malformed(row, "after");
            if (is_null) {
                found.kind = ENVELOPE_DELETED;
                continue;
            }
            object after;
            if (field.get_object().get(after)) return malformed(row, "after");
            found.kind = read_row(after, row);
            if (found.kind == ENVELOPE_MALFORMED) return ENVELOPE_MALFORMED;
        } else if (key == "updated") {
            if (!note_updated(field, row, found)) return malformed(row, "updated");
        } else if (key == "resolved") {
            found.has_resolved = true;
        } else if (key == "payload" && !is_payload) {
            object payload;
            if (field.get_object().get(payload)) return malformed(row, "payload");
            if (read_envelope(payload, true, row, found) == ENVELOPE_MALFORMED) return ENVELOPE_MALFORMED;
        } else if (key == "source" || key == "__crdb__") {
            if (read_metadata(field, key == "source", row, found) == ENVELOPE_MALFORMED) return ENVELOPE_MALFORMED;
        } else if (key == "mvcc_timestamp") {
            if (!found.has_updated && !read_updated(field, row)) return malformed(row, "mvcc_timestamp");
        } else if (!found.has_after) {
            if (read_bare_column(key, field, row, found) == ENVELOPE_MALFORMED) return ENVELOPE_MALFORMED;
        }
    }
    return ENVELOPE_ROW;
}

// What an envelope without "after" is.
template <typename Row> envelope_kind judge_bare(Row *row, const progress &found) {
    if (found.is_deleted) return ENVELOPE_DELETED;
    if (found.seen == 0) return found.has_metadata ? ENVELOPE_DELETED : malformed(row, "after");
    const char *missing = missing_column(found.seen, row);
    return missing ? malformed(row, bare_name(missing)) : ENVELOPE_ROW;
}

template <typename Row> envelope_kind parse(envelope_parser *parser, const void *json, size_t length, Row *row) {
    *row = Row{};
    size_t needed = length + simdjson::SIMDJSON_PADDING;
    if (parser->buffer.size() < needed) parser->buffer.resize(needed * 2);
    if (length > 0) std::memcpy(parser->buffer.data(), json, length);
    std::memset(parser->buffer.data() + length, ' ', simdjson::SIMDJSON_PADDING);

    simdjson::ondemand::document document;
    object envelope;
    if (parser->parser.iterate(parser->buffer.data(), length, parser->buffer.size()).get(document)) {
        return malformed(row, "JSON");
    }
    progress found;
    if (const auto error = document.get_object().get(envelope)) {
        // A bare envelope without metadata is the row itself, and of a deleted row that is null. Only a document of another
        // type can be asked on; one that is broken has been given up.
        bool is_null = false;
        if (error != simdjson::INCORRECT_TYPE || document.is_null().get(is_null) || !is_null) {
            return malformed(row, "JSON object");
        }
        found.kind = ENVELOPE_DELETED;
        found.has_after = true;
    } else if (read_envelope(envelope, false, row, found) == ENVELOPE_MALFORMED) {
        return ENVELOPE_MALFORMED;
    }
    // A mark stands alone; a row beside one must not be skipped as if it were a mark.
    if (found.has_resolved && (found.has_after || found.seen != 0)) return malformed(row, "resolved");
    if (!found.has_after && !found.has_resolved) {
        found.kind = judge_bare(row, found);
        if (found.kind == ENVELOPE_MALFORMED) return ENVELOPE_MALFORMED;
    }
    // At the end of the text there is no current location: simdjson answers OUT_OF_BOUNDS.
    const char *rest = nullptr;
    if (!document.current_location().get(rest)) return malformed(row, "end of JSON");
    return found.has_resolved ? ENVELOPE_RESOLVED : found.kind;
}

}  // namespace

extern "C" envelope_parser *envelope_parser_new(void) { return new (std::nothrow) envelope_parser; }

extern "C" void envelope_parser_free(envelope_parser *parser) { delete parser; }

extern "C" envelope_kind envelope_parse(envelope_parser *parser, const void *json, size_t length, envelope_row *row) {
    return parse(parser, json, length, row);
}

extern "C" envelope_kind envelope_parse_request(
    envelope_parser *parser, const void *json, size_t length, envelope_request *request) {
    return parse(parser, json, length, request);
}
