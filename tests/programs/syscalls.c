/* SPDX-License-Identifier: MIT */

/*
 * syscalls - time in the vdso and in the kernel
 *
 *   ask_time()    clock_gettime() in a loop: the vdso, where the clock source allows it
 *   read_zeros()  reads from /dev/zero: nearly all of it in the kernel
 *   recurse()     a recursion of depth 20 with the work at its end
 * Each gets the same CPU time.
 */

#include <fcntl.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define RECURSION_DEPTH 20

void ask_time(uint64_t cpu_ns);
void read_zeros(uint64_t cpu_ns);
uint64_t recurse(int depth, uint64_t n_iterations);

static uint64_t until(uint64_t cpu_ns)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ns;
}

__attribute__((noinline)) void ask_time(uint64_t cpu_ns)
{
    const uint64_t end_ns = until(cpu_ns);
    struct timespec now;

    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
        for (int i = 0; i < 50000; i++) {
            clock_gettime(CLOCK_MONOTONIC, &now);
        }
    }
}

__attribute__((noinline)) void read_zeros(uint64_t cpu_ns)
{
    static char buffer[1 << 20];
    const uint64_t end_ns = until(cpu_ns);
    const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
        if (read(zeros, buffer, sizeof buffer) <= 0) {
            break;
        }
    }
    close(zeros);
}

__attribute__((noinline)) uint64_t recurse(int depth, uint64_t n_iterations)
{
    uint64_t x = (uint64_t)depth + 1;

    if (depth > 0) {
        x += recurse(depth - 1, n_iterations);
    } else {
        for (uint64_t i = 0; i < n_iterations; i++) {
            BURN_STEP(x, UINT64_C(6364136223846793005));
        }
    }
    __asm__ volatile("" : "+r"(x)); /* keeps the call from becoming a loop */
    return x;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        option_usage("syscalls CPU_MS_EACH");
    }
    const uint64_t cpu_ns = option_count(argv[1], "CPU_MS_EACH") * NS_PER_MS;
    const uint64_t iterations_per_ms = burn_calibrate();

    ask_time(cpu_ns);
    read_zeros(cpu_ns);
    const uint64_t end_ns = until(cpu_ns);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
        recurse(RECURSION_DEPTH, burn_iterations(iterations_per_ms, 2 * NS_PER_MS));
    }
    FILE *truth = truth_open(NULL);
    fprintf(truth, "{\"program\": \"syscalls\", \"pid\": %d, \"cpu_ns\": %lu}", getpid(),
            clock_ns(CLOCK_THREAD_CPUTIME_ID));
    truth_close(truth);
    return 0;
}
