/* SPDX-License-Identifier: MIT */
/*
 * span_costs - what telling stax of spans costs a program, and how many it can tell
 *
 * The other side of the ring is in this program, so that the costs are the
 * library's alone. Each round does all kinds of loops once, one after the other.
 *
 * usage: span_costs costs ROUNDS | span_costs flow SECONDS SPANS_PER_S
 *        span_costs tell SECONDS SPANS_PER_S: to the server that records this program
 * Prints one line of JSON. SPANS_PER_S 0: as fast as it goes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <stax/target.h>

#include "target/test_server.h"

#define N_BATCH 1000
#define N_BATCHES 200
#define N_THREADS 4
#define DRAIN_NS 5000000 /* the server looks at least as often */

static stax_lane lane;
static stax_name_id name;
static struct test_peer *peer;
static volatile uint64_t kept;

static inline void barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

static void empty_batch(void)
{
    for (int i = 0; i < N_BATCH; i++) {
        barrier();
    }
}

static void gate_batch(void)
{
    for (int i = 0; i < N_BATCH; i++) {
        barrier();
        if (stax_recording_active()) {
            kept = 1;
        }
    }
}

static void clocks_batch(void)
{
    for (int i = 0; i < N_BATCH; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        clock_gettime(CLOCK_MONOTONIC, &now);
        barrier();
    }
}

static void named_batch(void)
{
    stax_origin none = stax_no_origin();
    for (int i = 0; i < N_BATCH; i++) {
        stax_span span = stax_span_begin_named(lane, name, none);
        stax_span_end(&span);
    }
}

static void text_batch(void)
{
    stax_origin none = stax_no_origin();
    for (int i = 0; i < N_BATCH; i++) {
        stax_span span = stax_span_begin(lane, "decode frame", none);
        stax_span_end(&span);
    }
}

static void origin_batch(void)
{
    for (int i = 0; i < N_BATCH; i++) {
        kept = stax_origin_capture(lane).time_ns;
    }
}

static void report_batch(void)
{
    stax_origin none = stax_no_origin();
    for (int i = 0; i < N_BATCH; i++) {
        stax_span_report_named(lane, name, 1, 2, none);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median batch, in ns for each of its turns. */
static double measure(void (*batch)(void))
{
    static double ns[N_BATCHES];

    for (int i = 0; i < N_BATCHES; i++) {
        uint64_t start_ns = stax_now_ns();
        batch();
        ns[i] = (double)(stax_now_ns() - start_ns) / N_BATCH;
        test_peer_drain(peer);
    }
    qsort(ns, N_BATCHES, sizeof(ns[0]), compare_doubles);
    return ns[N_BATCHES / 2];
}

static int costs(long n_rounds)
{
    static const struct {
        const char *name;
        bool is_active;
        void (*batch)(void);
    } kinds[] = {
        {"empty", false, empty_batch},         {"gate", false, gate_batch},
        {"inactive_span", false, named_batch}, {"clocks", true, clocks_batch},
        {"span_named", true, named_batch},     {"span_text", true, text_batch},
        {"origin", true, origin_batch},        {"report", true, report_batch},
    };
    const size_t n_kinds = sizeof(kinds) / sizeof(kinds[0]);
    double *ns = calloc((size_t)n_rounds * n_kinds, sizeof(*ns));

    if (!ns) {
        return 1;
    }
    for (long round = 0; round < n_rounds; round++) {
        for (size_t k = 0; k < n_kinds; k++) {
            test_peer_set_active(peer, kinds[k].is_active);
            ns[(size_t)round * n_kinds + k] = measure(kinds[k].batch);
        }
    }
    for (size_t k = 0; k < n_kinds; k++) {
        printf("%s\"%s\": [", k ? ", " : "{", kinds[k].name);
        for (long round = 0; round < n_rounds; round++) {
            printf("%s%.2f", round ? ", " : "", ns[(size_t)round * n_kinds + k]);
        }
        printf("]");
    }
    printf("}\n");
    free(ns);
    return 0;
}

static uint64_t pace_ns, flow_end_ns; /* between two spans of a thread; 0: as fast as it goes */

/* In bursts of a millisecond, as work comes from queues. */
static void *tell(void *unused)
{
    uint64_t next_ns = stax_now_ns();

    (void)unused;
    while (next_ns < flow_end_ns) {
        uint64_t n_burst = pace_ns ? 1000000 / pace_ns : N_BATCH;
        for (uint64_t i = 0; i < n_burst; i++) {
            stax_span span = stax_span_begin_named(lane, name, stax_no_origin());
            stax_span_end(&span);
        }
        next_ns = pace_ns ? next_ns + 1000000 : stax_now_ns();
        struct timespec until = {.tv_sec = (time_t)(next_ns / 1000000000),
                                 .tv_nsec = (long)(next_ns % 1000000000)};
        if (pace_ns) {
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
    }
    return NULL;
}

static int start_threads(pthread_t threads[N_THREADS], long seconds, long spans_per_s)
{
    pace_ns = spans_per_s ? UINT64_C(1000000000) * N_THREADS / (uint64_t)spans_per_s : 0;
    flow_end_ns = stax_now_ns() + (uint64_t)seconds * UINT64_C(1000000000);
    for (int i = 0; i < N_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, tell, NULL) != 0) {
            return -1;
        }
    }
    return 0;
}

static void print_flow(uint64_t start_ns, uint64_t n_taken, const stax_stats *stats)
{
    printf("{\"seconds\": %.3f, \"told\": %" PRIu64 ", \"taken\": %" PRIu64
           ", \"dropped\": %" PRIu64 "}\n",
           (double)(stax_now_ns() - start_ns) / 1e9, stats->n_queued + stats->n_dropped_full,
           n_taken, stats->n_dropped_full);
}

static int flow(long seconds, long spans_per_s)
{
    pthread_t threads[N_THREADS];
    stax_stats stats = {.size = sizeof(stats)};
    struct timespec pause = {.tv_nsec = DRAIN_NS};
    uint64_t n_taken = 0, start_ns = stax_now_ns();

    test_peer_set_active(peer, true);
    if (start_threads(threads, seconds, spans_per_s) < 0) {
        return 1;
    }
    while (stax_now_ns() < flow_end_ns) {
        n_taken += test_peer_drain(peer);
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    n_taken += test_peer_drain(peer);
    stax_target_stats(&stats);
    print_flow(start_ns, n_taken, &stats);
    return n_taken == stats.n_queued ? 0 : 1;
}

/* A server has until the end of this to say that it records. */
#define ACTIVE_WAIT_MS 10000

static int tell_server(long seconds, long spans_per_s)
{
    pthread_t threads[N_THREADS];
    stax_stats stats = {.size = sizeof(stats)};
    struct timespec pause = {.tv_nsec = 1000000};

    lane = stax_lane_new("lane");
    name = stax_name("decode frame");
    for (int i = 0; i < ACTIVE_WAIT_MS && !stax_recording_active(); i++) {
        nanosleep(&pause, NULL);
    }
    uint64_t start_ns = stax_now_ns();
    if (!stax_recording_active() || start_threads(threads, seconds, spans_per_s) < 0) {
        return 1;
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    stax_target_stats(&stats);
    print_flow(start_ns, stats.n_sent, &stats);
    return 0;
}

/* A line whenever somebody begins to record, or ends; looks every 0.1 ms, for so many seconds. */
static int watch_gate(long seconds)
{
    struct timespec pause = {.tv_nsec = 100000};
    uint64_t end_ns = stax_now_ns() + (uint64_t)seconds * 1000000000;
    int was_active = -1;

    lane = stax_lane_new("lane");
    while (stax_now_ns() < end_ns) {
        int is_active = stax_recording_active();
        if (is_active != was_active) {
            printf("{\"recorded\":%d,\"ns\":%llu}\n", is_active, (unsigned long long)stax_now_ns());
            fflush(stdout);
            was_active = is_active;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char path[64];
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    bool is_flow = argc == 4 && argv[1][0] == 'f', is_told = argc == 4 && argv[1][0] == 't';

    if (n < 1 || n > 10000 || (!is_flow && !is_told && argc != 3)) {
        fprintf(stderr, "usage: span_costs costs ROUNDS | flow|tell SECONDS SPANS_PER_S | "
                        "gate SECONDS\n");
        return 2;
    }
    if (argv[1][0] == 'g') {
        return watch_gate(n);
    }
    if (is_told) {
        return tell_server(n, strtol(argv[3], NULL, 10));
    }
    snprintf(path, sizeof(path), "/tmp/stax-span-costs-%d.sock", (int)getpid());
    setenv("STAX_SERVER_SOCKET", path, 1);
    struct test_server *server = test_server_start(path, TEST_SERVER_ACCEPTS);
    lane = stax_lane_new("lane");
    name = stax_name("decode frame");
    peer = test_server_find(server, getpid(), 10000);
    unlink(path);
    if (!peer) {
        fprintf(stderr, "span_costs: no connection\n");
        return 1;
    }
    return is_flow ? flow(n, strtol(argv[3], NULL, 10)) : costs(n);
}
