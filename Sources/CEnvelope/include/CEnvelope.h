// Reads the JSON envelope of a change feed with simdjson, behind a C interface that Swift can import.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

// One parser per thread: it owns its buffers and keeps them between messages.
typedef struct envelope_parser envelope_parser;

typedef enum {
    ENVELOPE_ROW = 0,        // "after", or a bare envelope, holds a whole row
    ENVELOPE_DELETED = 1,    // "after" is null, or a bare row has nothing but its key
    ENVELOPE_RESOLVED = 2,   // a resolved timestamp, no row
    ENVELOPE_MALFORMED = 3,  // not such an envelope; `fault` says where
} envelope_kind;

typedef struct {
    int64_t execution_id;
    int64_t block_order_id;
    // 1 TRADE, 2 TRADE_CANCEL, 3 CANCELED, 4 REPLACED.
    int32_t exec_type;
    // 0 where the column is null.
    int64_t exec_ref_id;
    int64_t order_version;
    int64_t order_quantity;
    int64_t quantity;
    // The number as it stands in the text, because a price must not pass through a double.
    // Points into the parser's buffer: valid until the next call.
    const uint8_t *price;
    size_t price_length;
    // A static string that names the missing or wrong field; NULL unless malformed.
    const char *fault;
} envelope_row;

// A row of orders.rebalancing_requests.
typedef struct {
    int64_t request_id;
    int64_t account_id;
    int64_t group_id;
    // 1 PENDING, 2 ROUTED.
    int32_t status;
    // The day as text, such as 2024-11-14. Points into the parser's buffer: valid until the next call.
    const uint8_t *trade_date;
    size_t trade_date_length;
    // Nanoseconds since 1970 of the commit, from "updated", "source.ts_hlc" or "mvcc_timestamp"; 0 where there is none of them.
    int64_t updated;
    // As above.
    const char *fault;
} envelope_request;

envelope_parser *envelope_parser_new(void);
void envelope_parser_free(envelope_parser *parser);
envelope_kind envelope_parse(envelope_parser *parser, const void *json, size_t length, envelope_row *row);
envelope_kind envelope_parse_request(
    envelope_parser *parser, const void *json, size_t length, envelope_request *request);

#ifdef __cplusplus
}
#endif
