#pragma once
#include <stdint.h>

// Linux's readiness and timers, which Swift's Glibc module leaves out. Declared here and not included: their headers bring
// types along that the importer would then take for this module's. The layouts and numbers are the kernel's and never change.

struct epoll_event {
    uint32_t events;
    uint64_t data;
}
#ifdef __x86_64__
__attribute__((packed))
#endif
;

enum {
    EPOLL_CTL_ADD = 1,
    EPOLL_CTL_DEL = 2,
    // EPOLL_CLOEXEC, EFD_CLOEXEC and TFD_CLOEXEC are O_CLOEXEC, the two NONBLOCKs O_NONBLOCK.
    TFD_TIMER_ABSTIME = 1
};
static const uint32_t EPOLLIN = 0x001, EPOLLOUT = 0x004, EPOLLERR = 0x008, EPOLLHUP = 0x010, EPOLLRDHUP = 0x2000,
                      EPOLLET = 1u << 31;

int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event);
int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int eventfd(unsigned int value, int flags);
int timerfd_create(int clock, int flags);

/// `struct itimerspec` on 64-bit systems.
struct timer_setting {
    int64_t interval_s, interval_ns, value_s, value_ns;
};
int timerfd_settime(int timer, int flags, const struct timer_setting *setting, struct timer_setting *old);
