/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * made_run_test - recordings of made-up programs, for the test and the bench of compare
 *
 * A program is functions with shares, and phases in which the shares differ.
 * In the shifted version 5 percentage points of one function's time go to
 * another one, in all phases.
 *
 * Shape:   made_chance_begin(), made_run_begin(), ask its context,
 *          made_run_end(). The same seed gives the same runs.
 * Owner:   the caller's struct. Threads: one.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate_test.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "compare/compare.h"
#include "query/query_names.h"

#define MADE_FUNCTION_N 60u
#define MADE_GROUP_N 8u
#define MADE_STATE_MAX 6u
#define MADE_THREAD_MAX 8u
#define MADE_SHIFT 0.05
#define MADE_FROM_FUNCTION 1u /* the shift goes from here … */
#define MADE_TO_FUNCTION 5u   /* … to here; both have 15 % or so */

enum made_phases {
    MADE_PHASES_NONE,     /* each sample for itself */
    MADE_PHASES_RANDOM,   /* from one to another after a time by chance */
    MADE_PHASES_PERIODIC, /* round and round */
    MADE_PHASES_SCRIPT,   /* one after the other, once; their ends vary a little */
};

struct made_program {
    const char *name;
    enum made_phases phases;
    double phase_s; /* mean length */
    unsigned int n_states, n_threads;
    double run_to_run; /* relative deviation of each function's share from run to run */
};

struct made_recording {
    double seconds, frequency_hz;
};

/* ---- chance ---- */

static uint64_t made_chance_state;

static inline void made_chance_begin(uint64_t seed)
{
    made_chance_state = hash_u64(seed);
}

static inline double made_chance(void)
{
    made_chance_state += UINT64_C(0x9e3779b97f4a7c15);
    return (double)(hash_u64(made_chance_state) >> 11) / (double)(UINT64_C(1) << 53);
}

static inline double made_normal(void)
{
    return sqrt(-2 * log(1 - made_chance())) * cos(2 * M_PI * made_chance());
}

/* ---- a made-up program ---- */

struct made_life {
    const struct made_program *program;
    double shares[MADE_STATE_MAX][MADE_FUNCTION_N]; /* up to and with this function */
    double shifted; /* part of MADE_FROM_FUNCTION that goes to MADE_TO_FUNCTION */
    double stage_ends_s[MADE_STATE_MAX];
    unsigned int states[MADE_THREAD_MAX]; /* by thread */
    double until_s[MADE_THREAD_MAX];
};

/* Each state has functions of its own that are hot; two are as hot in all. */
static inline double made_weight(const struct made_life *life, unsigned int state,
                                 unsigned int function)
{
    if (function == MADE_FROM_FUNCTION || function == MADE_TO_FUNCTION) {
        return 0.9;
    }
    unsigned int rank = (function + state * 17) % MADE_FUNCTION_N;
    return 1.0 / (1.0 + rank) * (life->program->n_states > 1 && rank < 6 ? 2 : 1);
}

static inline void made_life_begin(struct made_life *life, const struct made_program *program,
                                   bool is_shifted, double seconds)
{
    *life = (struct made_life){.program = program};
    double factors[MADE_FUNCTION_N], from_share = 0;
    for (unsigned int f = 0; f < MADE_FUNCTION_N; f++) {
        factors[f] = exp(program->run_to_run * made_normal());
    }
    for (unsigned int s = 0; s < program->n_states; s++) {
        double sum = 0;
        for (unsigned int f = 0; f < MADE_FUNCTION_N; f++) {
            sum += made_weight(life, s, f) * factors[f];
            life->shares[s][f] = sum;
        }
        for (unsigned int f = 0; f < MADE_FUNCTION_N; f++) {
            life->shares[s][f] /= sum;
        }
        from_share += made_weight(life, s, MADE_FROM_FUNCTION) / sum / program->n_states;
        life->stage_ends_s[s] =
            seconds * ((double)(s + 1) + 0.05 * made_normal()) / program->n_states;
    }
    life->shifted = is_shifted ? MADE_SHIFT / from_share : 0;
    for (unsigned int t = 0; t < program->n_threads; t++) {
        life->states[t] = (unsigned int)(made_chance() * program->n_states);
        life->until_s[t] = program->phase_s * made_chance();
    }
}

static inline unsigned int made_state_at(struct made_life *life, unsigned int thread, double time_s)
{
    const struct made_program *program = life->program;
    if (program->phases == MADE_PHASES_SCRIPT) {
        unsigned int stage = 0;
        while (stage + 1 < program->n_states && time_s >= life->stage_ends_s[stage]) {
            stage++;
        }
        return stage;
    }
    while (program->phases != MADE_PHASES_NONE && time_s >= life->until_s[thread]) {
        bool is_random = program->phases == MADE_PHASES_RANDOM;
        life->until_s[thread] +=
            is_random ? -program->phase_s * log(1 - made_chance()) : program->phase_s;
        life->states[thread] = is_random ? (unsigned int)(made_chance() * program->n_states)
                                         : (life->states[thread] + 1) % program->n_states;
    }
    return life->states[thread];
}

static inline unsigned int made_function_at(struct made_life *life, unsigned int thread,
                                            double time_s)
{
    unsigned int state = made_state_at(life, thread, time_s), function = 0;
    double where = made_chance();
    while (function + 1 < MADE_FUNCTION_N && where >= life->shares[state][function]) {
        function++;
    }
    return function == MADE_FROM_FUNCTION && made_chance() < life->shifted ? MADE_TO_FUNCTION
                                                                           : function;
}

#define MADE_FIRST_IP UINT64_C(0x10000)
#define MADE_PLACE_BYTES UINT64_C(0x100)

static inline uint64_t made_ip(unsigned int number)
{
    return MADE_FIRST_IP + number * MADE_PLACE_BYTES;
}

/* main, a group, something that several groups call, the function. */
static inline uint32_t made_stack(unsigned int function, uint64_t *ret_ips)
{
    ret_ips[0] = made_ip(function);
    ret_ips[1] = made_ip(MADE_FUNCTION_N + MADE_GROUP_N + function % 3) + 1;
    ret_ips[2] = made_ip(MADE_FUNCTION_N + function % MADE_GROUP_N) + 1;
    ret_ips[3] = made_ip(MADE_FUNCTION_N + MADE_GROUP_N + 3) + 1;
    return 4;
}

struct made_run {
    struct query_names *names;
    struct aggregate *aggregate;
    struct query_context context;
};

static const struct view made_whole_view = {0};

/* 0 or -ENOMEM. */
static inline int made_run_begin(const struct made_program *program, bool is_shifted,
                                 const struct made_recording *options, struct arena *arena,
                                 struct made_run *run)
{
    const struct aggregate_config config = {.max_memory_bytes = 0};
    struct made_life life;
    struct event_image image = {.change = EVENT_IMAGE_MAPPED,
                                .start_ip = MADE_FIRST_IP,
                                .end_ip = MADE_FIRST_IP + 0x100000,
                                .path = "/made/up/program",
                                .inode = 1,
                                .build_id_bytes = 4,
                                .build_id = {1, 2, 3, 4}};
    made_life_begin(&life, program, is_shifted, options->seconds);
    *run = (struct made_run){0};
    int r = query_names_new(NULL, &run->names);
    r = r ? r : aggregate_new(&config, &run->aggregate);
    if (r != 0) {
        return r;
    }
    uint64_t start_ns = NS_PER_S, step_ns = (uint64_t)(NS_PER_S / options->frequency_hz);
    uint64_t end_ns = start_ns + (uint64_t)(options->seconds * NS_PER_S);
    tell_image(run->aggregate, start_ns, TEST_PID, image);
    for (unsigned int t = 0; t < program->n_threads; t++) {
        tell_thread(run->aggregate, start_ns, TEST_PID + t, EVENT_THREAD_PRESENT, "worker");
        tell_in(run->aggregate, start_ns, TEST_PID + t);
    }
    for (uint64_t time_ns = start_ns + step_ns; time_ns < end_ns; time_ns += step_ns) {
        for (unsigned int t = 0; t < program->n_threads; t++) {
            uint64_t ips[4];
            double time_s = (double)(time_ns - start_ns) / NS_PER_S;
            uint32_t n_ips = made_stack(made_function_at(&life, t, time_s), ips);
            tell_sample(run->aggregate, time_ns, TEST_PID + t, ips, n_ips);
        }
    }
    for (unsigned int t = 0; t < program->n_threads; t++) {
        tell_out(run->aggregate, end_ns, TEST_PID + t, false);
    }
    aggregate_end(run->aggregate, end_ns);
    run->context = (struct query_context){
        .snapshot = aggregate_snapshot(run->aggregate, end_ns),
        .names = run->names,
        .view = &made_whole_view,
        .run = 1,
        .state = RUN_STATE_STOPPED,
        .arena = arena,
    };
    return run->context.snapshot ? 0 : -ENOMEM;
}

static inline void made_run_end(struct made_run *run)
{
    snapshot_unref(run->context.snapshot);
    query_names_free(run->names);
    aggregate_free(run->aggregate);
}

/* Is this row the function's? Made-up functions have no names but their places. */
static inline bool made_run_is_function(const struct compare_function *row, unsigned int function)
{
    char offset[32];
    int length = snprintf(offset, sizeof(offset), "+0x%llx",
                          (unsigned long long)(made_ip(function) - MADE_FIRST_IP));
    const char *found = strrchr(row->name, '+');
    return found && length > 0 && strcmp(found, offset) == 0;
}
