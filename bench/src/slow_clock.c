/* Lets the clock by which programs wait run at a twentieth of its speed, so that no time of the SDK's runs out only
   because valgrind, or a busy machine, is slow. Preloaded, it takes the place of libc's function (`lab.rs`). */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static long long start;
    if (syscall(SYS_clock_gettime, clock, time) != 0) return -1;
    if (clock != CLOCK_MONOTONIC) return 0;
    long long now = time->tv_sec * 1000000000LL + time->tv_nsec;
    if (start == 0) start = now;
    now = start + (now - start) / 20;
    time->tv_sec = now / 1000000000LL;
    time->tv_nsec = now % 1000000000LL;
    return 0;
}
