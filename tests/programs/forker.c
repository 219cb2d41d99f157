/* SPDX-License-Identifier: MIT */

/*
 * forker - children that burn CPU beside their parent
 *
 * The parent works in parent_only(), each child in child_only(): without
 * --children no sample may show the latter.
 */

#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

void parent_only(uint64_t n_iterations);
void child_only(uint64_t n_iterations);

__attribute__((noinline)) void parent_only(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

__attribute__((noinline)) void child_only(uint64_t n_iterations)
{
    uint64_t x = 2;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(2862933555777941757));
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        option_usage("forker CHILDREN CPU_MS_EACH");
    }
    const uint64_t n_children = option_count(argv[1], "CHILDREN");
    const uint64_t cpu_ms = option_count(argv[2], "CPU_MS_EACH");
    const uint64_t iterations_per_ms = burn_calibrate();
    uint64_t n_forked = 0;

    for (uint64_t i = 0; i < n_children; i++) {
        const pid_t child = fork();
        if (child == 0) {
            child_only(cpu_ms * iterations_per_ms);
            _exit(0);
        }
        n_forked += child > 0;
        parent_only(cpu_ms * iterations_per_ms);
    }
    while (wait(NULL) > 0) {
    }
    FILE *truth = truth_open(NULL);
    fprintf(truth, "{\"program\": \"forker\", \"pid\": %d, \"children\": %lu, \"cpu_ns\": %lu}",
            getpid(), n_forked, clock_ns(CLOCK_THREAD_CPUTIME_ID));
    truth_close(truth);
    return 0;
}
