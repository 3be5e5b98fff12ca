#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
// mallopt, which Swift's importer doesn't see of glibc.
#include <malloc.h>
