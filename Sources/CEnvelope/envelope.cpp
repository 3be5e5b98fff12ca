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

envelope_kind malformed(envelope_row *row, const char *fault) {
    row->fault = fault;
    return ENVELOPE_MALFORMED;
}

enum : unsigned { HAS_ID = 1, HAS_BLOCK = 2, HAS_QUANTITY = 4, HAS_PRICE = 8, HAS_ALL = 15 };

envelope_kind read_row(object &after, envelope_row *row) {
    unsigned seen = 0;
    for (auto item : after) {
        std::string_view key;
        value field;
        if (item.unescaped_key().get(key) || item.value().get(field)) return malformed(row, "after");
        if (key == "execution_id") {
            if (!read_integer(field, row->execution_id)) return malformed(row, "after.execution_id");
            seen |= HAS_ID;
        } else if (key == "block_order_id") {
            if (!read_integer(field, row->block_order_id)) return malformed(row, "after.block_order_id");
            seen |= HAS_BLOCK;
        } else if (key == "quantity") {
            if (!read_integer(field, row->quantity)) return malformed(row, "after.quantity");
            seen |= HAS_QUANTITY;
        } else if (key == "price") {
            if (!read_decimal(field, *row)) return malformed(row, "after.price");
            seen |= HAS_PRICE;
        }
    }
    if (seen == HAS_ALL) return ENVELOPE_ROW;
    if (!(seen & HAS_ID)) return malformed(row, "after.execution_id");
    if (!(seen & HAS_BLOCK)) return malformed(row, "after.block_order_id");
    if (!(seen & HAS_QUANTITY)) return malformed(row, "after.quantity");
    return malformed(row, "after.price");
}

}  // namespace

extern "C" envelope_parser *envelope_parser_new(void) { return new (std::nothrow) envelope_parser; }

extern "C" void envelope_parser_free(envelope_parser *parser) { delete parser; }

extern "C" envelope_kind envelope_parse(envelope_parser *parser, const void *json, size_t length, envelope_row *row) {
    *row = envelope_row{};
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
