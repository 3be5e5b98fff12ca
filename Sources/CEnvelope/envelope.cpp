#include "CEnvelope.h"
#include <simdjson.h>
struct envelope_parser { simdjson::ondemand::parser parser; };
extern "C" envelope_parser *envelope_parser_new(void) { return new (std::nothrow) envelope_parser; }
extern "C" void envelope_parser_free(envelope_parser *parser) { delete parser; }
