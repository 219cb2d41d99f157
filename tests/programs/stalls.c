/* SPDX-License-Identifier: MIT */

/*
 * stalls - steady work that is held up for a known time every now and then
 *
 * A worker takes a lock, works, lets go, sleeps. At set times another thread
 * keeps the lock: --stall-ms long, and half way between two stalls --near-ms;
 * counted from when the worker asks for it, and never twice without the worker
 * having had it. So each holds the worker up for that long, whatever else the
 * machine does.
 * Truth: when each stall held the worker up: from its asking until the lock was
 * free, by clock readings. How long it waits for a CPU after that is no stall.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define WORK_NS NS_PER_MS
#define PAUSE_NS (4 * NS_PER_MS)

struct held {
    uint64_t start_ns, end_ns;
};

static pthread_mutex_t resource = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_over;
static atomic_ulong n_asked, n_had; /* how often the worker wanted the lock, and got it */
static uint64_t freed_ns;           /* under it: when the holder let it go */
static uint64_t iterations;
static uint64_t long_ns; /* what the worker notes */
static struct held *held;
static size_t n_held, capacity;
static long worker_tid;

__attribute__((noinline)) static void steady_work(void)
{
    uint64_t x = 1;

    for (uint64_t i = 0; i < iterations; i++) {
        BURN_STEP(x, 7);
    }
}

static void *work(void *argument)
{
    (void)argument;
    prctl(PR_SET_NAME, "worker");
    worker_tid = syscall(SYS_gettid);
    while (!is_over) {
        const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
        n_asked++;
        pthread_mutex_lock(&resource);
        n_had++;
        const uint64_t end_ns = freed_ns;
        steady_work();
        pthread_mutex_unlock(&resource);
        if (end_ns > start_ns && end_ns - start_ns > long_ns && n_held < capacity) {
            held[n_held++] = (struct held){start_ns, end_ns};
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return NULL;
}

static void sleep_until(uint64_t time_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(time_ns / NS_PER_S),
                                   .tv_nsec = (long)(time_ns % NS_PER_S)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void nap(void)
{
    sleep_until(clock_ns(CLOCK_MONOTONIC) + NS_PER_MS / 10);
}

static void hold(uint64_t from_ns, uint64_t length_ns)
{
    static uint64_t n_had_then; /* when it was held the last time */

    sleep_until(from_ns);
    while (n_had == n_had_then) {
        nap();
    }
    pthread_mutex_lock(&resource);
    while (n_asked == n_had) {
        nap();
    }
    sleep_until(clock_ns(CLOCK_MONOTONIC) + length_ns);
    n_had_then = n_had;
    freed_ns = clock_ns(CLOCK_MONOTONIC);
    pthread_mutex_unlock(&resource);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"stalls", required_argument, NULL, 'n'},
                                          {"every-ms", required_argument, NULL, 'e'},
                                          {"stall-ms", required_argument, NULL, 's'},
                                          {"near-ms", required_argument, NULL, 'm'},
                                          {"lead-ms", required_argument, NULL, 'l'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    uint64_t n_stalls = 20, every_ns = 1200 * NS_PER_MS, stall_ns = 150 * NS_PER_MS;
    uint64_t near_ns = 0, lead_ns = 1000 * NS_PER_MS;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'n') {
            n_stalls = option_count(optarg, "--stalls");
        } else if (c == 'e') {
            every_ns = option_count(optarg, "--every-ms") * NS_PER_MS;
        } else if (c == 's') {
            stall_ns = option_count(optarg, "--stall-ms") * NS_PER_MS;
        } else if (c == 'm') {
            near_ns = option_count(optarg, "--near-ms") * NS_PER_MS;
        } else if (c == 'l') {
            lead_ns = option_count(optarg, "--lead-ms") * NS_PER_MS;
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("stalls [--stalls N] [--every-ms MS] [--stall-ms MS] [--near-ms MS] "
                         "[--lead-ms MS] [--out FILE]");
        }
    }
    iterations = burn_iterations(burn_calibrate(), WORK_NS);
    long_ns = stall_ns * 2 / 3;
    capacity = 2 * n_stalls + 10;
    held = calloc(capacity, sizeof(*held));
    pthread_t worker;
    if (!held || pthread_create(&worker, NULL, work, NULL) != 0) {
        return 1;
    }
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC) + lead_ns;
    for (uint64_t i = 0; i < n_stalls; i++) {
        hold(start_ns + i * every_ns, stall_ns);
        if (near_ns > 0) {
            hold(start_ns + i * every_ns + every_ns / 2, near_ns);
        }
    }
    sleep_until(start_ns + n_stalls * every_ns);
    is_over = true;
    pthread_join(worker, NULL);

    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"stalls\", \"pid\": %d, \"worker_tid\": %ld, \"stalls\": [",
            getpid(), worker_tid);
    for (size_t i = 0; i < n_held; i++) {
        fprintf(truth, "%s{\"start_ns\": %lu, \"end_ns\": %lu}", i > 0 ? ", " : "",
                held[i].start_ns, held[i].end_ns);
    }
    fprintf(truth, "]}");
    truth_close(truth);
    free(held);
    return 0;
}
