/* SPDX-License-Identifier: MIT */

/*
 * churn - many threads at once, and threads that come and go
 *
 *   --threads N   live from start to end, each burns a little every 50 ms
 *   --born M      threads born per second, each burns 100 µs in short_life()
 * Truth: the thread ids of both kinds.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define BORN_MAX 100000

static const char usage[] = "churn [--seconds S] [--threads N] [--born PER_SECOND] [--out FILE]";

struct long_life {
    pthread_t thread;
    int64_t tid;
};

static double seconds = 3;
static uint64_t n_threads = 64, born_per_s = 500, iterations_per_ms, end_ns;
static const char *out;
static int64_t born_tids[BORN_MAX];

void short_life(uint64_t n_iterations);
void long_life(uint64_t n_iterations);

__attribute__((noinline)) void short_life(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

__attribute__((noinline)) void long_life(uint64_t n_iterations)
{
    uint64_t x = 2;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(2862933555777941757));
    }
}

static void sleep_ns(uint64_t ns)
{
    const struct timespec pause = {.tv_sec = (time_t)(ns / NS_PER_S),
                                   .tv_nsec = (long)(ns % NS_PER_S)};
    nanosleep(&pause, NULL);
}

static void *live_long(void *argument)
{
    struct long_life *life = argument;

    life->tid = syscall(SYS_gettid);
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        long_life(burn_iterations(iterations_per_ms, 50 * NS_PER_US));
        sleep_ns(50 * NS_PER_MS);
    }
    return NULL;
}

static void *live_shortly(void *argument)
{
    *(int64_t *)argument = syscall(SYS_gettid);
    short_life(burn_iterations(iterations_per_ms, 100 * NS_PER_US));
    return NULL;
}

/* Keeps to the rate by the clock: what was slept too long is made up for. */
static uint64_t raise_threads(uint64_t start_ns)
{
    uint64_t n_born = 0;

    while (clock_ns(CLOCK_MONOTONIC) < end_ns && n_born < BORN_MAX) {
        const uint64_t due = (clock_ns(CLOCK_MONOTONIC) - start_ns) * born_per_s / NS_PER_S;
        pthread_t thread;
        if (n_born >= due) {
            sleep_ns(NS_PER_MS);
        } else if (pthread_create(&thread, NULL, live_shortly, &born_tids[n_born]) == 0) {
            pthread_join(thread, NULL);
            n_born++;
        }
    }
    return n_born;
}

static void tell(const struct long_life *lives, uint64_t n_born)
{
    FILE *truth = truth_open(out);

    fprintf(truth, "{\"program\": \"churn\", \"pid\": %d, \"born\": %lu, \"process_cpu_ns\": %lu, ",
            getpid(), n_born, clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    fprintf(truth, "\"long_tids\": [");
    for (uint64_t i = 0; i < n_threads; i++) {
        fprintf(truth, "%s%ld", i == 0 ? "" : ", ", lives[i].tid);
    }
    fprintf(truth, "], \"born_tids\": [");
    for (uint64_t i = 0; i < n_born; i++) {
        fprintf(truth, "%s%ld", i == 0 ? "" : ", ", born_tids[i]);
    }
    fprintf(truth, "]}");
    truth_close(truth);
}

static void parse_options(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"born", required_argument, NULL, 'b'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 's':
            seconds = option_number(optarg, "--seconds");
            break;
        case 't':
            n_threads = option_count(optarg, "--threads");
            break;
        case 'b':
            born_per_s = option_count(optarg, "--born");
            break;
        case 'o':
            out = optarg;
            break;
        default:
            option_usage(usage);
        }
    }
    if (optind != argc) {
        option_usage(usage);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    struct long_life *lives = calloc(n_threads + 1, sizeof *lives);
    if (lives == NULL) {
        return 1;
    }
    iterations_per_ms = burn_calibrate();
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    end_ns = start_ns + (uint64_t)(seconds * 1e9);
    for (uint64_t i = 0; i < n_threads; i++) {
        if (pthread_create(&lives[i].thread, NULL, live_long, &lives[i]) != 0) {
            return 1;
        }
    }
    const uint64_t n_born = raise_threads(start_ns);
    for (uint64_t i = 0; i < n_threads; i++) {
        pthread_join(lives[i].thread, NULL);
    }
    tell(lives, n_born);
    free(lives);
    return 0;
}
