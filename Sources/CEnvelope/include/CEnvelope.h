#pragma once
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct envelope_parser envelope_parser;
envelope_parser *envelope_parser_new(void);
void envelope_parser_free(envelope_parser *parser);
#ifdef __cplusplus
}
#endif
