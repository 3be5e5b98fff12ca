// What a thread has asked of malloc and of locks, and how many instructions it has run: counted for benchmarks alone.
//
// A program that links this has its malloc, calloc, realloc and relatives, and its locks, counted by thread and by who asked:
// the symbols here stand before the C library's, for every shared library of the process as well. A count costs one
// addition to a thread's own memory.
#pragma once
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

// Who called malloc or a lock: the code at the return address. What the C library allocates for somebody, as in strdup,
// is the program's.
typedef enum {
    COUNTER_PROGRAM = 0,     // the program, the Swift runtime, and whatever is neither of those below
    COUNTER_LIBPQ = 1,
    COUNTER_LIBRDKAFKA = 2,
} counter_owner;
enum { COUNTER_OWNERS = 3 };

typedef struct {
    uint64_t allocations[COUNTER_OWNERS];
    uint64_t locks[COUNTER_OWNERS];
} thread_counts;

// Of the calling thread since it began.
thread_counts counters_read(void);
// 0 where nothing is counted: another C library, or a build with a sanitizer, which has a malloc of its own.
int counters_are_counting(void);

// A counter of the instructions that this thread runs outside of the kernel; -1 where the kernel or the machine has none.
int instruction_counter_open(void);
// What it has counted so far; -1 if it has not counted all the time.
int64_t instruction_counter_read(int counter);

// Where a measurement begins and ends. They do nothing: callgrind is told their names, to begin and to end there as well.
void counters_measurement_begins(void);
void counters_measurement_ends(void);

#ifdef __cplusplus
}
#endif
