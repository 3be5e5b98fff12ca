#define _GNU_SOURCE
#include "CCounters.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

static __thread thread_counts counts;

thread_counts counters_read(void) { return counts; }

// ---- Instructions

int instruction_counter_open(void) {
    struct perf_event_attr wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.size = sizeof wanted;
    wanted.type = PERF_TYPE_HARDWARE;
    wanted.config = PERF_COUNT_HW_INSTRUCTIONS;
    wanted.exclude_kernel = 1;
    wanted.exclude_hv = 1;
    wanted.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return (int)syscall(SYS_perf_event_open, &wanted, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int64_t instruction_counter_read(int counter) {
    struct { uint64_t count, enabled, running; } answer;
    if (read(counter, &answer, sizeof answer) != sizeof answer) return -1;
    // A counter that had to be shared has counted a part of the time only.
    return answer.enabled == answer.running ? (int64_t)answer.count : -1;
}

__attribute__((noinline)) void counters_measurement_begins(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void counters_measurement_ends(void) { __asm__ volatile("" ::: "memory"); }

// ---- malloc and locks

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#if !defined(__GLIBC__) || defined(HAS_SANITIZER)

int counters_are_counting(void) { return 0; }

#else

int counters_are_counting(void) { return 1; }

// Where the code of a library lies.
static struct { uintptr_t start, end; } libraries[COUNTER_OWNERS];

static int note_library(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size, (void)context;
    const char *name = strrchr(info->dlpi_name, '/');
    name = name ? name + 1 : info->dlpi_name;
    int owner = COUNTER_PROGRAM;
    if (strncmp(name, "libpq.so", 8) == 0) owner = COUNTER_LIBPQ;
    if (strncmp(name, "librdkafka.so", 13) == 0) owner = COUNTER_LIBRDKAFKA;
    if (owner == COUNTER_PROGRAM) return 0;
    for (int index = 0; index < info->dlpi_phnum; index++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[index];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        libraries[owner].start = info->dlpi_addr + part->p_vaddr;
        libraries[owner].end = libraries[owner].start + part->p_memsz;
    }
    return 0;
}

static inline __attribute__((always_inline)) int owner_of(void *caller) {
    const uintptr_t place = (uintptr_t)caller;
    for (int owner = COUNTER_LIBPQ; owner < COUNTER_OWNERS; owner++) {
        if (place - libraries[owner].start < libraries[owner].end - libraries[owner].start) return owner;
    }
    return COUNTER_PROGRAM;
}

#define COUNT(what) counts.what[owner_of(__builtin_return_address(0))]++

// The C library's own, under the names that it keeps for those who stand before it.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
    COUNT(allocations);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    COUNT(allocations);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    COUNT(allocations);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    COUNT(allocations);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    COUNT(allocations);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **into, size_t alignment, size_t size) {
    COUNT(allocations);
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *memory = __libc_memalign(alignment, size);
    if (!memory) return ENOMEM;
    *into = memory;
    return 0;
}

// Of locks the C library keeps no second name, so they are looked for: before the program's first line, or at the first call
// of a library that is made ready even earlier.
#define LOCK(name, type)                                                        \
    static int (*next_##name)(type *);                                          \
    int name(type *lock) {                                                      \
        COUNT(locks);                                                           \
        if (!next_##name) *(void **)&next_##name = dlsym(RTLD_NEXT, #name);     \
        return next_##name(lock);                                               \
    }

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK(mtx_lock, mtx_t)

__attribute__((constructor)) static void find_owners(void) {
    dl_iterate_phdr(note_library, NULL);
    *(void **)&next_pthread_mutex_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    *(void **)&next_pthread_rwlock_rdlock = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
    *(void **)&next_pthread_rwlock_wrlock = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
    *(void **)&next_mtx_lock = dlsym(RTLD_NEXT, "mtx_lock");
}

#endif
