/* SPDX-License-Identifier: MIT */

/*
 * sleeper - says "ready", then sleeps; tells which signals it got
 *
 *   SIGUSR1, SIGUSR2, SIGINT   counted
 *   SIGTERM                    ends it with status 0 and the truth line
 * --work-ms N burns N ms of CPU in awake() each second, so that there are samples.
 */

#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

static volatile sig_atomic_t n_usr1, n_usr2, n_int, got_term;

void awake(uint64_t n_iterations);

__attribute__((noinline)) void awake(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

static void on_signal(int signal_number)
{
    if (signal_number == SIGUSR1) {
        n_usr1 = n_usr1 + 1;
    } else if (signal_number == SIGUSR2) {
        n_usr2 = n_usr2 + 1;
    } else if (signal_number == SIGINT) {
        n_int = n_int + 1;
    } else {
        got_term = 1;
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"work-ms", required_argument, NULL, 'w'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    static const int handled[] = {SIGUSR1, SIGUSR2, SIGINT, SIGTERM};
    double seconds = 60;
    uint64_t work_ms = 0;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == 'w') {
            work_ms = option_count(optarg, "--work-ms");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("sleeper [--seconds S] [--work-ms N] [--out FILE]");
        }
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++) {
        sigaction(handled[i], &action, NULL);
    }
    const uint64_t iterations_per_ms = burn_calibrate();
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (!got_term && clock_ns(CLOCK_MONOTONIC) < end_ns) {
        const struct timespec pause = {.tv_nsec = 50 * (long)NS_PER_MS};
        if (work_ms > 0) {
            awake(work_ms * iterations_per_ms / 20);
        }
        nanosleep(&pause, NULL);
    }
    FILE *truth = truth_open(out);
    fprintf(truth,
            "{\"program\": \"sleeper\", \"pid\": %d, \"usr1\": %d, \"usr2\": %d, \"int\": %d, ",
            getpid(), (int)n_usr1, (int)n_usr2, (int)n_int);
    fprintf(truth, "\"term\": %d, \"cpu_ns\": %lu, \"wall_ns\": %lu}", (int)got_term,
            clock_ns(CLOCK_THREAD_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC) - start_ns);
    truth_close(truth);
    return 0;
}
