/* SPDX-License-Identifier: MIT */

/*
 * inlines - functions that are only there inlined, with known shares
 *
 *   render_rows → [shade → blend]            50 %, all of it in blend
 *   store_rows  → [encode]                   30 %
 *   store_rows  → [flush] → emit             20 %, emit is a call out of inlined code
 *
 * Those in brackets are inlined into what stands before them.
 * Truth: CLOCK_THREAD_CPUTIME_ID around every turn.
 */

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define INLINED static inline __attribute__((always_inline))
#define KEPT __attribute__((noinline))
#define TURN_NS (4 * NS_PER_MS)

void render_rows(uint64_t n_iterations);
void store_rows(uint64_t n_encoded, uint64_t n_emitted);
void emit(uint64_t n_iterations);

INLINED void blend(uint64_t n_iterations)
{
    uint64_t x = 50;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

INLINED void shade(uint64_t n_iterations)
{
    blend(n_iterations);
    __asm__ volatile("" : : : "memory");
}

KEPT void render_rows(uint64_t n_iterations)
{
    shade(n_iterations);
    __asm__ volatile("" : : "r"(__builtin_frame_address(0)));
}

INLINED void encode(uint64_t n_iterations)
{
    uint64_t x = 30;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(2862933555777941757));
    }
}

KEPT void emit(uint64_t n_iterations)
{
    uint64_t x = 20;
    __asm__ volatile("" : : "r"(__builtin_frame_address(0)));
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(3202034522624059733));
    }
}

INLINED void flush(uint64_t n_iterations)
{
    if (n_iterations > 0) {
        emit(n_iterations);
        __asm__ volatile("" : : : "memory"); /* no tail call */
    }
}

KEPT void store_rows(uint64_t n_encoded, uint64_t n_emitted)
{
    encode(n_encoded);
    flush(n_emitted);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    static const char *const names[] = {"blend", "encode", "emit"};
    /* Ten turns, mixed so that no timer falls into step: 5, 3 and 2 of them. */
    static const int deck[] = {0, 1, 0, 2, 0, 1, 0, 1, 2, 0};
    double seconds = 3;
    const char *out = NULL;
    uint64_t cpu_ns[3] = {0}, seed = 88172645463325252u;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("inlines [--seconds S] [--out FILE]");
        }
    }
    const uint64_t iterations_per_ms = burn_calibrate();
    const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    for (size_t turn = 0; clock_ns(CLOCK_MONOTONIC) < end_ns; turn++) {
        const int what = deck[turn % (sizeof(deck) / sizeof(deck[0]))];
        const uint64_t turn_ns = TURN_NS / 2 + random_next(&seed) % TURN_NS;
        const uint64_t n = burn_iterations(iterations_per_ms, turn_ns);
        const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        if (what == 0) {
            render_rows(n);
        } else {
            store_rows(what == 1 ? n : 0, what == 2 ? n : 0);
        }
        cpu_ns[what] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    }
    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"inlines\", \"pid\": %d, \"functions\": {", getpid());
    for (int i = 0; i < 3; i++) {
        fprintf(truth, "%s\"%s\": {\"cpu_ns\": %lu}", i == 0 ? "" : ", ", names[i], cpu_ns[i]);
    }
    fprintf(truth, "}}");
    truth_close(truth);
    return 0;
}
