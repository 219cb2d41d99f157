/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compare/gates.h"
#include "compare/made_run_test.h"

#define RUNS_MAX 6u

/* A smaller bench/compare: the same pairs each time. */
static const struct made_recording recording = {.seconds = 10, .frequency_hz = 900};
static const struct made_program independent = {"", MADE_PHASES_NONE, 1, 1, 1, 0};
static const struct made_program four_threads = {"", MADE_PHASES_RANDOM, 0.1, 4, 4, 0};
static const struct made_program phases = {"", MADE_PHASES_RANDOM, 0.1, 4, 1, 0};
static const struct made_program stages = {"", MADE_PHASES_SCRIPT, 2.5, 4, 1, 0};

struct pair {
    unsigned int n_runs;
    struct made_run runs[2 * RUNS_MAX];
    struct arena arena;
    struct compare_result result;
};

static void begin(struct pair *pair, const struct made_program *program, bool is_shifted,
                  const struct made_recording *how, unsigned int n_runs)
{
    struct query_context contexts[2 * RUNS_MAX];
    const struct compare_request request = {.limit = 0};
    struct error error = {0};
    *pair = (struct pair){.n_runs = n_runs};
    arena_init(&pair->arena, 0);
    for (unsigned int i = 0; i < 2 * n_runs; i++) {
        assert_int_equal(
            made_run_begin(program, is_shifted && i >= n_runs, how, &pair->arena, &pair->runs[i]),
            0);
        contexts[i] = pair->runs[i].context;
        contexts[i].run = i + 1;
    }
    const struct compare_runs base = {.n_runs = n_runs, .runs = contexts};
    const struct compare_runs candidate = {.n_runs = n_runs, .runs = contexts + n_runs};
    assert_int_equal(compare_runs(&base, &candidate, &request, &pair->result, &error), 0);
}

static void end(struct pair *pair)
{
    for (unsigned int i = 0; i < 2 * pair->n_runs; i++) {
        made_run_end(&pair->runs[i]);
    }
    arena_release(&pair->arena);
}

static unsigned int count_flagged(const struct made_program *program, unsigned int n_pairs)
{
    unsigned int n_flagged = 0;
    for (unsigned int i = 0; i < n_pairs; i++) {
        struct pair pair;
        made_chance_begin(1000 + i);
        begin(&pair, program, false, &recording, 1);
        assert_int_equal(pair.result.method, COMPARE_METHOD_BLOCKS);
        assert_true(pair.result.tested > 50);
        n_flagged += pair.result.significant > 0;
        end(&pair);
    }
    return n_flagged;
}

static void equal_runs_are_not_told_apart(void **state)
{
    (void)state;
    assert_true(count_flagged(&independent, 20) <= 1);
    assert_true(count_flagged(&phases, 20) <= 1);
    assert_true(count_flagged(&four_threads, 10) <= 1);
    assert_true(count_flagged(&stages, 20) <= 1);
}

static unsigned int count_named_first(const struct made_program *program, unsigned int n_pairs,
                                      unsigned int n_runs)
{
    unsigned int n_named = 0;
    for (unsigned int i = 0; i < n_pairs; i++) {
        struct pair pair;
        made_chance_begin(2000 + i);
        begin(&pair, program, true, &recording, n_runs);
        const struct compare_function *first = &pair.result.rows[0];
        bool has_grown = made_run_is_function(first, MADE_TO_FUNCTION) && first->self.delta_pp > 0;
        bool has_shrunk =
            made_run_is_function(first, MADE_FROM_FUNCTION) && first->self.delta_pp < 0;
        n_named += first->self.is_significant && (has_grown || has_shrunk);
        end(&pair);
    }
    return n_named;
}

static void a_shift_of_five_points_is_named_first(void **state)
{
    (void)state;
    assert_true(count_named_first(&independent, 20, 1) >= 19);
    assert_true(count_named_first(&phases, 20, 1) >= 19);
    assert_true(count_named_first(&stages, 20, 1) >= 19);
    assert_true(count_named_first(&phases, 10, 3) >= 9);
}

static const struct compare_function *find(const struct pair *pair, unsigned int function)
{
    for (size_t i = 0; i < pair->result.n_rows; i++) {
        if (made_run_is_function(&pair->result.rows[i], function)) {
            return &pair->result.rows[i];
        }
    }
    fail_msg("there is no function %u", function);
    return NULL;
}

static void rows_tell_both_sides(void **state)
{
    (void)state;
    struct pair pair;
    made_chance_begin(1);
    begin(&pair, &independent, true, &recording, 1);
    const struct compare_result *result = &pair.result;
    assert_int_equal(result->base.n_runs, 1);
    assert_int_equal(result->base.runs[0], 1);
    assert_int_equal(result->candidate.runs[0], 2);
    assert_int_equal(result->base.samples, 9000);
    assert_int_equal(result->base.active_ns, 10 * NS_PER_S);
    assert_int_equal(result->base.duration_ns, 10 * NS_PER_S);
    assert_int_equal(result->base.threads, 1);
    assert_true(result->base.effective_samples > 5000 && result->base.effective_samples <= 9000);
    assert_null(result->hint);

    const struct compare_function *grown = find(&pair, MADE_TO_FUNCTION);
    assert_true(grown->self.is_tested && grown->self.is_significant);
    assert_true(fabs(grown->self.delta_pp - 5) < 2);
    assert_true(grown->self.low_pp < 5 && grown->self.high_pp > 5);
    assert_true(grown->self.high_pp - grown->self.low_pp < 4);
    assert_true(grown->self.p_value < grown->self.adjusted_p);
    /* It calls nothing: both shares are one. */
    assert_true(fabs(grown->self.delta_pp - grown->total.delta_pp) < 1e-9);
    assert_int_equal(grown->candidate_self_ns / 1000000,
                     (uint64_t)(grown->self.candidate_pct * 100));
    assert_true(grown->candidate_samples > grown->base_samples && !grown->is_new);
    /* main has nearly all: what lacks is chance's. */
    const struct compare_function *outermost = find(&pair, MADE_FUNCTION_N + MADE_GROUP_N + 3);
    assert_false(outermost->total.is_tested || outermost->self.is_tested);
    assert_true(fabs(outermost->total.base_pct - 100) < 1e-6);
    end(&pair);
}

static void groups_of_runs_are_held_against_each_other(void **state)
{
    (void)state;
    struct pair pair;
    made_chance_begin(3);
    begin(&pair, &independent, false, &recording, 3);
    assert_int_equal(pair.result.method, COMPARE_METHOD_BETWEEN_RUNS);
    assert_int_equal(pair.result.candidate.n_runs, 3);
    assert_int_equal(pair.result.candidate.runs[2], 6);
    assert_int_equal(pair.result.candidate.samples, 9000); /* a mean */
    const struct compare_function *function = find(&pair, MADE_TO_FUNCTION);
    assert_int_equal(function->base_samples + function->candidate_samples > 6 * 900, true);
    assert_int_equal(pair.result.significant, 0);
    end(&pair);

    begin(&pair, &independent, false, &recording, 2);
    assert_int_equal(pair.result.method, COMPARE_METHOD_BLOCKS);
    end(&pair);
}

static void few_samples_say_nothing(void **state)
{
    (void)state;
    static const struct made_recording moment = {.seconds = 0.05, .frequency_hz = 900};
    struct pair pair;
    made_chance_begin(4);
    begin(&pair, &independent, true, &moment, 1);
    assert_int_equal(pair.result.method, COMPARE_METHOD_NONE);
    assert_int_equal(pair.result.tested, 0);
    assert_int_equal(pair.result.significant, 0);
    assert_non_null(strstr(pair.result.hint, "those of run 1 are worth 45, and each run needs 64"));
    assert_true(pair.result.n_rows > 5);
    assert_true(pair.result.rows[0].self.p_value == 1);
    end(&pair);
}

/* A limit of nothing at all on one function of the program fails by chance only. */
static unsigned int count_kept_limits_that_fail(const struct made_program *program,
                                                unsigned int n_pairs, unsigned int n_runs)
{
    unsigned int n_failed = 0;
    for (unsigned int i = 0; i < n_pairs; i++) {
        struct pair pair;
        made_chance_begin(9000 + i);
        begin(&pair, program, false, &recording, n_runs);
        struct compare_function_gate gate = {.name = find(&pair, MADE_TO_FUNCTION)->name};
        const struct compare_gates gates = {.n_functions = 1, .functions = &gate};
        assert_int_equal(gates_check(&gates, &pair.arena, &pair.result), 0);
        n_failed += pair.result.n_threshold_failures > 0;
        end(&pair);
    }
    return n_failed;
}

static void limits_on_equal_runs_are_kept(void **state)
{
    (void)state;
    assert_true(count_kept_limits_that_fail(&independent, 20, 1) <= 1);
    assert_true(count_kept_limits_that_fail(&phases, 20, 1) <= 1);
    assert_true(count_kept_limits_that_fail(&four_threads, 10, 1) <= 1);
    assert_true(count_kept_limits_that_fail(&stages, 20, 1) <= 1);
    assert_true(count_kept_limits_that_fail(&independent, 10, 3) <= 1);
}

/* How runs differ needs no blocks of time within them. */
static void many_short_runs_say_enough(void **state)
{
    (void)state;
    static const struct made_recording moment = {.seconds = 0.06, .frequency_hz = 900};
    unsigned int n_flagged = 0;
    for (unsigned int i = 0; i < 40; i++) {
        struct pair pair;
        made_chance_begin(5000 + i);
        begin(&pair, &independent, false, &moment, 6);
        assert_int_equal(pair.result.method, COMPARE_METHOD_BETWEEN_RUNS);
        assert_true(pair.result.tested > 3);
        assert_true(pair.result.base.effective_samples > 10);
        assert_true(pair.result.base.effective_samples < 55);
        assert_null(pair.result.hint);
        n_flagged += pair.result.significant > 0;
        end(&pair);
    }
    assert_true(n_flagged <= 2);
}

/* Of a ring: the shares are of all of it, what is known of their variance is not. */
static void what_was_dropped_is_told(void **state)
{
    (void)state;
    struct pair pair;
    struct query_context contexts[2];
    const struct compare_request request = {.limit = 0};
    struct error error = {0};
    made_chance_begin(6);
    begin(&pair, &independent, false, &recording, 1);
    for (unsigned int i = 0; i < 2; i++) {
        contexts[i] = pair.runs[i].context;
        contexts[i].run = i + 1;
    }
    struct snapshot *snapshot = pair.runs[1].context.snapshot;
    snapshot->first_sample = 6000;
    snapshot->folded_until_ns = snapshot->now_ns - 2 * NS_PER_S;
    const struct compare_runs base = {.n_runs = 1, .runs = contexts};
    const struct compare_runs candidate = {.n_runs = 1, .runs = contexts + 1};
    assert_int_equal(compare_runs(&base, &candidate, &request, &pair.result, &error), 0);
    assert_string_equal(pair.result.hint,
                        "the samples of run 2 are kept of its last 2.000 s of 10.000 s only: its "
                        "shares are of all of it, how they vary is learnt from these");
    snapshot->first_sample = 0;
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_runs_are_not_told_apart),
        cmocka_unit_test(a_shift_of_five_points_is_named_first),
        cmocka_unit_test(rows_tell_both_sides),
        cmocka_unit_test(groups_of_runs_are_held_against_each_other),
        cmocka_unit_test(few_samples_say_nothing),
        cmocka_unit_test(limits_on_equal_runs_are_kept),
        cmocka_unit_test(many_short_runs_say_enough),
        cmocka_unit_test(what_was_dropped_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
