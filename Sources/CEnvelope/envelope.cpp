// The envelope reader: one pass of simdjson's On-Demand interface over {"after": {…}, "updated": "…"}.

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

struct columns {
    const char *const *names;
    unsigned count;
};
columns columns_of(const envelope_row *) { return {column_names, column_count}; }
columns columns_of(const envelope_request *) { return {request_column_names, request_column_count}; }

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
    for (unsigned column = 0; column < wanted.count; column++) {
        if (!(seen & (1u << column))) return malformed(row, wanted.names[column]);
    }
    return ENVELOPE_ROW;
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
    if (document.get_object().get(envelope)) return malformed(row, "JSON object");
    bool has_after = false, has_resolved = false;
    envelope_kind kind = ENVELOPE_MALFORMED;
    for (auto item : envelope) {
        std::string_view key;
        value field;
        if (item.unescaped_key().get(key) || item.value().get(field)) return malformed(row, "JSON");
        if (key == "after") {
            has_after = true;
            bool is_null = false;
            if (field.is_null().get(is_null)) return malformed(row, "after");
            if (is_null) {
                kind = ENVELOPE_DELETED;
                continue;
            }
            object after;
            if (field.get_object().get(after)) return malformed(row, "after");
            kind = read_row(after, row);
            if (kind == ENVELOPE_MALFORMED) return kind;
        } else if (key == "resolved") {
            has_resolved = true;
        } else if (key == "updated") {
            if (!read_updated(field, row)) return malformed(row, "updated");
        }
    }
    // A mark stands alone; a row beside one must not be skipped as if it were a mark.
    if (has_after && has_resolved) return malformed(row, "resolved");
    if (!has_after && !has_resolved) return malformed(row, "after");
    // At the end of the text there is no current location: simdjson answers OUT_OF_BOUNDS.
    const char *rest = nullptr;
    if (!document.current_location().get(rest)) return malformed(row, "end of JSON");
    return has_resolved ? ENVELOPE_RESOLVED : kind;
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
