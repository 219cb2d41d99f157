/* SPDX-License-Identifier: MIT */

/*
 * spin - one thread that only computes
 *
 * Truth: iterations per second of wall time (what slows a target down lowers
 * it) and of its own CPU time (which stays, unless caches are disturbed).
 */

#include <getopt.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

/* Static, so that the stripped build of this program has no name for it. */
__attribute__((noinline)) static void spin_here(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    double seconds = 5;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("spin [--seconds S] [--out FILE]");
        }
    }
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    volatile uint64_t turn = 1000000; /* a constant would make a clone with another name */
    uint64_t n_iterations = 0;
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        spin_here(turn);
        n_iterations += turn;
    }
    const uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
    const uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"spin\", \"pid\": %d, \"wall_ns\": %lu, \"cpu_ns\": %lu, ",
            getpid(), wall_ns, cpu_ns);
    fprintf(truth, "\"iterations\": %lu, \"iterations_per_s\": %.0f, ", n_iterations,
            (double)n_iterations * 1e9 / (double)wall_ns);
    fprintf(truth, "\"iterations_per_cpu_s\": %.0f}", (double)n_iterations * 1e9 / (double)cpu_ns);
    truth_close(truth);
    return 0;
}
