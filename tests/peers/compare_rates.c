/* SPDX-License-Identifier: MIT */

/*
 * compare_rates - how often `stax compare` is wrong about programs whose truth is known
 *
 *   compare_rates [--pairs N] [--seconds S] [--frequency HZ] [--runs N]
 *
 * Runs of made-up programs go through the aggregate and the comparison as real
 * ones do. Of each program: in how many pairs of equal runs something was
 * called significant, how many functions that were, and in how many pairs a
 * shift of 5 percentage points from one function to another was found and
 * named first. One line of JSON per program.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/made_run_test.h"

static const struct made_program programs[] = {
    {"independent", MADE_PHASES_NONE, 1, 1, 1, 0},
    {"4 threads", MADE_PHASES_NONE, 1, 1, 4, 0},
    {"phases of 5 ms", MADE_PHASES_RANDOM, 0.005, 4, 1, 0},
    {"phases of 20 ms", MADE_PHASES_RANDOM, 0.02, 4, 1, 0},
    {"phases of 100 ms", MADE_PHASES_RANDOM, 0.1, 4, 1, 0},
    {"phases of 300 ms", MADE_PHASES_RANDOM, 0.3, 4, 1, 0},
    {"phases of 1 s", MADE_PHASES_RANDOM, 1, 4, 1, 0},
    {"phases of 3 s", MADE_PHASES_RANDOM, 3, 4, 1, 0},
    {"phases of 100 ms, 4 threads", MADE_PHASES_RANDOM, 0.1, 4, 4, 0},
    {"every 10 ms the same", MADE_PHASES_PERIODIC, 0.01, 4, 1, 0},
    {"every 400 ms the same", MADE_PHASES_PERIODIC, 0.1, 4, 1, 0},
    {"four stages, once", MADE_PHASES_SCRIPT, 2.5, 4, 1, 0},
    {"shares vary by 2 % from run to run", MADE_PHASES_NONE, 1, 1, 1, 0.02},
};
#define PROGRAM_N (sizeof(programs) / sizeof(programs[0]))

struct options {
    unsigned int n_pairs, n_runs;
    struct made_recording recording;
};

struct rates {
    unsigned int n_pairs, n_equal_flagged, n_functions_flagged, n_tested;
    unsigned int n_found, n_named_first;
    double effective_pct;
};

/* ---- pairs ---- */

#define RUNS_MAX 10u

static void must(int r)
{
    if (r != 0) {
        fprintf(stderr, "compare_rates: %s\n", strerror(-r));
        exit(1);
    }
}

static void compare_pair(const struct made_program *program, bool is_shifted,
                         const struct options *options, struct arena *arena,
                         struct compare_result *ret_result)
{
    struct made_run runs[2 * RUNS_MAX];
    struct query_context contexts[2 * RUNS_MAX];
    for (unsigned int i = 0; i < 2 * options->n_runs; i++) {
        must(made_run_begin(program, is_shifted && i >= options->n_runs, &options->recording, arena,
                            &runs[i]));
        contexts[i] = runs[i].context;
    }
    const struct compare_runs base = {.n_runs = options->n_runs, .runs = contexts};
    const struct compare_runs candidate = {.n_runs = options->n_runs,
                                           .runs = contexts + options->n_runs};
    const struct compare_request request = {.limit = 0};
    struct error error = {0};
    must(compare_runs(&base, &candidate, &request, ret_result, &error));
    /* Names live as long as the runs: what is looked at later is copied. */
    for (size_t i = 0; i < ret_result->n_rows; i++) {
        ret_result->rows[i].name = arena_strdup(arena, ret_result->rows[i].name);
    }
    for (unsigned int i = 0; i < 2 * options->n_runs; i++) {
        made_run_end(&runs[i]);
    }
}

static void look_at_equal(const struct compare_result *result, struct rates *rates)
{
    rates->n_pairs++;
    rates->n_equal_flagged += result->significant > 0;
    rates->n_functions_flagged += (unsigned int)result->significant;
    rates->n_tested += (unsigned int)result->tested;
    rates->effective_pct += 100 * result->base.effective_samples / (double)result->base.samples;
}

/* Does the row tell of the shift, in the right direction? */
static bool tells_of_shift(const struct compare_function *row)
{
    bool has_grown = made_run_is_function(row, MADE_TO_FUNCTION) && row->self.delta_pp > 0;
    bool has_shrunk = made_run_is_function(row, MADE_FROM_FUNCTION) && row->self.delta_pp < 0;
    return row->self.is_significant && (has_grown || has_shrunk);
}

static void look_at_shifted(const struct compare_result *result, struct rates *rates)
{
    bool is_found = false;
    for (size_t i = 0; i < result->n_rows; i++) {
        is_found = is_found || tells_of_shift(&result->rows[i]);
    }
    rates->n_found += is_found;
    rates->n_named_first += is_found && tells_of_shift(&result->rows[0]);
}

static void measure(const struct made_program *program, const struct options *options)
{
    struct rates rates = {0};
    for (unsigned int i = 0; i < 2 * options->n_pairs; i++) {
        bool is_shifted = i % 2 == 1;
        struct arena arena;
        struct compare_result result;
        arena_init(&arena, 0);
        made_chance_begin(i + 1);
        compare_pair(program, is_shifted, options, &arena, &result);
        if (is_shifted) {
            look_at_shifted(&result, &rates);
        } else {
            look_at_equal(&result, &rates);
        }
        arena_release(&arena);
    }
    printf("{\"program\": \"%s\", \"pairs\": %u, \"equal_flagged\": %u, \"functions_flagged\": %u, "
           "\"tested\": %.1f, \"effective_pct\": %.1f, \"shift_found\": %u, "
           "\"shift_named_first\": %u}\n",
           program->name, rates.n_pairs, rates.n_equal_flagged, rates.n_functions_flagged,
           (double)rates.n_tested / rates.n_pairs, rates.effective_pct / rates.n_pairs,
           rates.n_found, rates.n_named_first);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"pairs", required_argument, NULL, 'p'},     {"seconds", required_argument, NULL, 's'},
        {"frequency", required_argument, NULL, 'f'}, {"runs", required_argument, NULL, 'r'},
        {"program", required_argument, NULL, 'n'},   {0},
    };
    struct options options = {
        .n_pairs = 100, .n_runs = 1, .recording = {.seconds = 10, .frequency_hz = 900}};
    const char *only = "";
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        switch (option) {
        case 'p':
            options.n_pairs = (unsigned int)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options.recording.seconds = strtod(optarg, NULL);
            break;
        case 'f':
            options.recording.frequency_hz = strtod(optarg, NULL);
            break;
        case 'r':
            options.n_runs = (unsigned int)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            only = optarg;
            break;
        default:
            return 2;
        }
    }
    if (options.n_pairs < 1 || options.n_runs < 1 || options.n_runs > RUNS_MAX ||
        options.recording.seconds <= 0 || options.recording.frequency_hz <= 0) {
        fprintf(stderr, "compare_rates: numbers must be above 0, runs at most %u\n", RUNS_MAX);
        return 2;
    }
    for (size_t i = 0; i < PROGRAM_N; i++) {
        if (strstr(programs[i].name, only)) {
            measure(&programs[i], &options);
        }
    }
    return 0;
}
