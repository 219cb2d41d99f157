/* SPDX-License-Identifier: MIT */

/*
 * pingpong - two threads that wake each other over pipes as fast as they can
 *
 * Both are pinned to one CPU unless --two-cpus is given, so that every round
 * is exactly two context switches.
 * Truth: rounds, rounds per second, the switches that the kernel counted: those
 * of threads that waited, and those of threads that the woken one displaced.
 */

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

static int to_pong[2], to_ping[2];

static void *pong(void *argument)
{
    char byte;

    (void)argument;
    while (read(to_pong[0], &byte, 1) == 1) {
        if (write(to_ping[1], &byte, 1) != 1) {
            break;
        }
    }
    return NULL;
}

static void pin_to_one_cpu(void)
{
    cpu_set_t allowed, one;

    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    sched_setaffinity(0, sizeof one, &one);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"two-cpus", no_argument, NULL, '2'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    double seconds = 5;
    bool one_cpu = true;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == '2') {
            one_cpu = false;
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("pingpong [--seconds S] [--two-cpus] [--out FILE]");
        }
    }
    if (one_cpu) {
        pin_to_one_cpu();
    }
    pthread_t partner;
    if (pipe(to_pong) != 0 || pipe(to_ping) != 0 ||
        pthread_create(&partner, NULL, pong, NULL) != 0) {
        return 1;
    }
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    uint64_t n_rounds = 0;
    char byte = 'x';
    while (n_rounds % 64 != 0 || clock_ns(CLOCK_MONOTONIC) < end_ns) {
        if (write(to_pong[1], &byte, 1) != 1 || read(to_ping[0], &byte, 1) != 1) {
            return 1;
        }
        n_rounds++;
    }
    const uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
    close(to_pong[1]);
    pthread_join(partner, NULL);

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"pingpong\", \"pid\": %d, \"rounds\": %lu, \"wall_ns\": %lu, ",
            getpid(), n_rounds, wall_ns);
    fprintf(truth, "\"rounds_per_s\": %.1f, \"voluntary_switches\": %ld, ",
            (double)n_rounds * 1e9 / (double)wall_ns, used.ru_nvcsw);
    fprintf(truth, "\"involuntary_switches\": %ld, ", used.ru_nivcsw);
    fprintf(truth, "\"process_cpu_ns\": %lu}", clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    truth_close(truth);
    return 0;
}
