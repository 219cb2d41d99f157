/* SPDX-License-Identifier: MIT */
/* A run by chance with spans by chance, against a model that looks at everything each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/span_test.h"

#define N_LANES 3u
#define N_NAMES 6u /* 4 is inside of 1, 5 of 4 */
#define N_SPANS 4000u
#define N_STEPS 6000u
#define N_THREADS 6u
#define START_NS (1000 * TEST_MS) /* as random_life has it */

static const uint32_t parents[N_NAMES + 1] = {[4] = 1, [5] = 4};

struct told_span {
    struct event_span span;
    struct event_span_details details;
};

/* A moment of a thread, out of what the run has stored. */
struct moment {
    uint64_t time_ns;
    thread_id thread;
    stack_id user;
};

struct model {
    struct told_span *spans;
    struct moment *moments;
    size_t n_moments;
    bool is_late; /* all had happened before the spans came */
};

/* Mostly within a few bounds of a moment that is known. */
static struct event_origin random_origin(const struct model *model, struct random_life *chance,
                                         uint64_t end_ns)
{
    const struct moment *moment = &model->moments[random_life_below(chance, model->n_moments)];
    struct event_origin origin =
        test_origin(TEST_PID + (int64_t)random_life_below(chance, N_THREADS),
                    moment->time_ns + random_life_below(chance, 8 * TEST_MS) - 4 * TEST_MS);
    if (random_life_below(chance, 4) == 0) {
        origin.time_ns = START_NS + random_life_below(chance, end_ns - START_NS);
    }
    if (origin.time_ns < START_NS + 20 * TEST_MS) {
        origin.time_ns +=
            20 * TEST_MS; /* what a thread did first of all is not seen as it begins */
    }
    switch (random_life_below(chance, 12)) {
    case 0:
        return (struct event_origin){0};
    case 1:
        origin.tid = LANE_TID_FIRST + 1;
        break;
    case 2:
        origin.pid = 7;
        break;
    case 3:
        origin.time_ns = START_NS / 2;
        break;
    case 4:
        origin.tid = 99999;
        break;
    default:
        break;
    }
    return origin;
}

static void make_spans(struct model *model, uint64_t end_ns)
{
    struct random_life chance = {.state = 77};
    for (size_t i = 0; i < N_SPANS; i++) {
        struct told_span *told = &model->spans[i];
        uint64_t length_ns =
            random_life_below(&chance, UINT64_C(1) << random_life_below(&chance, 30));
        told->span = (struct event_span){
            .lane = (uint32_t)random_life_below(&chance, N_LANES),
            .name = 1 + (uint32_t)random_life_below(&chance, N_NAMES),
            .start_ns = START_NS + random_life_below(&chance, end_ns - START_NS),
            .origin = random_origin(model, &chance, end_ns),
        };
        told->span.end_ns = told->span.start_ns + length_ns;
        if (random_life_below(&chance, 3) == 0) {
            told->details.wait = random_origin(model, &chance, end_ns);
            told->details.wait.time_ns = told->span.start_ns + random_life_below(&chance, 1000);
            told->details.wait_end_ns = told->span.end_ns;
            told->span.details = &told->details;
        }
    }
}

static void tell_lanes(struct aggregate *aggregate)
{
    static const char *const names[] = {"", "a", "b", "c", "inner", "innermost", "d"};
    for (uint32_t i = 0; i < N_LANES; i++) {
        tell_lane(aggregate, i, "lane");
    }
    for (uint32_t i = 1; i <= N_NAMES; i++) {
        tell_span_name(aggregate, i, parents[i], names[i]);
    }
}

static struct random_life begin_life(void)
{
    return (struct random_life){.state = 3,
                                .n_threads = N_THREADS,
                                .sample_pct = 30,
                                .has_switches = true,
                                .has_wakers = true};
}

/* ---- the model ---- */

static stack_id user_part(const struct snapshot *snapshot, stack_id stack)
{
    while (stack != STACK_ID_EMPTY) {
        struct stack_node node = snapshot_stack(snapshot, stack);
        image_id image = snapshot_frame(snapshot, node.frame).image;
        if (image != IMAGE_ID_KERNEL && image != IMAGE_ID_NAMED) {
            break;
        }
        stack = node.parent;
    }
    return stack;
}

static void note_moment(struct model *model, const struct snapshot *snapshot, thread_id thread,
                        uint64_t time_ns, stack_id stack)
{
    model->moments[model->n_moments++] =
        (struct moment){.time_ns = time_ns, .thread = thread, .user = user_part(snapshot, stack)};
}

/* Where nobody told the stack of a wait nothing is known of that moment. */
static void note_wait(struct model *model, const struct snapshot *snapshot,
                      const struct stored_wait *wait)
{
    if ((wait->flags & WAIT_FLAG_APPROXIMATE) == 0 && wait->stack != STACK_ID_EMPTY) {
        note_moment(model, snapshot, wait->thread, wait->start_ns, wait->stack);
    }
}

static void collect(struct model *model, const struct snapshot *snapshot)
{
    size_t n_most = (size_t)(snapshot->n_samples + snapshot->n_waits) + snapshot->n_threads;
    model->moments = calloc(n_most, sizeof(*model->moments));
    assert_non_null(model->moments);
    for (uint64_t i = 0; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        note_moment(model, snapshot, sample->thread, sample->time_ns, sample->stack);
    }
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        note_wait(model, snapshot, snapshot_wait(snapshot, i));
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        if (totals->phase == THREAD_PHASE_BLOCKED) {
            const struct stored_wait wait = {.start_ns = totals->phase_since_ns,
                                             .thread = (thread_id)i,
                                             .stack = totals->wait_stack,
                                             .flags = totals->wait_flags};
            note_wait(model, snapshot, &wait);
        }
    }
}

struct nearest {
    uint64_t any_ns, stack_ns;
    stack_id before, after; /* of those with a stack the nearest; where two are as near either */
};

static struct nearest look(const struct model *model, thread_id thread, uint64_t time_ns)
{
    struct nearest nearest = {.any_ns = UINT64_MAX, .stack_ns = UINT64_MAX};
    for (size_t i = 0; i < model->n_moments; i++) {
        const struct moment *moment = &model->moments[i];
        if (moment->thread != thread) {
            continue;
        }
        bool is_before = moment->time_ns <= time_ns;
        uint64_t distance_ns = is_before ? time_ns - moment->time_ns : moment->time_ns - time_ns;
        nearest.any_ns = distance_ns < nearest.any_ns ? distance_ns : nearest.any_ns;
        if (moment->user == STACK_ID_EMPTY || distance_ns > nearest.stack_ns) {
            continue;
        }
        if (distance_ns < nearest.stack_ns) {
            nearest.before = nearest.after = STACK_ID_EMPTY;
        }
        nearest.stack_ns = distance_ns;
        *(is_before ? &nearest.before : &nearest.after) = moment->user;
    }
    return nearest;
}

/* What the naked eye says of an origin; -1: near the bound, where rows of moments that say nothing
 * are not told one by one. */
static int expected_state(const struct snapshot *snapshot, const struct event_origin *origin,
                          const struct nearest *nearest)
{
    if (origin->tid == 0) {
        return ORIGIN_MISSING;
    }
    if (origin->tid >= LANE_TID_FIRST) {
        return ORIGIN_SYNTHETIC_TID;
    }
    if (origin->pid != TEST_PID) {
        return ORIGIN_WRONG_PID;
    }
    if (origin->time_ns + snapshot->origin_bound_ns < START_NS) {
        return ORIGIN_OUTSIDE_RUN;
    }
    if (origin->tid >= TEST_PID + N_THREADS) {
        return ORIGIN_NO_THREAD;
    }
    if (nearest->stack_ns <= snapshot->origin_bound_ns) {
        return ORIGIN_LINKED;
    }
    if (nearest->any_ns > snapshot->origin_bound_ns + ORIGIN_POINTS_NEAR_NS) {
        return ORIGIN_TOO_FAR;
    }
    return nearest->any_ns + ORIGIN_POINTS_NEAR_NS < snapshot->origin_bound_ns
               ? ORIGIN_NO_USER_STACK
               : -1;
}

static void check_origin(const struct model *model, const struct snapshot *snapshot,
                         const struct event_origin *origin, const struct stored_span *span)
{
    thread_id thread = (thread_id)(origin->tid - TEST_PID); /* in the order of their births */
    const struct nearest nearest = look(model, thread, origin->time_ns);
    int state = expected_state(snapshot, origin, &nearest);
    if (state < 0) {
        assert_true(span->state == ORIGIN_TOO_FAR || span->state == ORIGIN_NO_USER_STACK);
        return;
    }
    if (state == ORIGIN_TOO_FAR && !model->is_late) {
        /* Nobody waits for what comes behind the bound: it may be nearer. */
        assert_true(span->state == ORIGIN_TOO_FAR || span->state == ORIGIN_NO_SAMPLE);
        assert_true(span->distance_ns >= nearest.any_ns || span->state == ORIGIN_NO_SAMPLE);
        return;
    }
    assert_int_equal(span->state, state);
    if (state == ORIGIN_LINKED) {
        assert_int_equal(span->origin_thread, thread);
        assert_int_equal(span->distance_ns, nearest.stack_ns);
        stack_id stack = nearest.before != STACK_ID_EMPTY ? nearest.before : nearest.after;
        assert_int_equal(span->origin_stack, stack);
    } else if (state == ORIGIN_TOO_FAR) {
        assert_in_range(span->distance_ns, nearest.any_ns, nearest.any_ns + ORIGIN_POINTS_NEAR_NS);
    }
}

static int compare_lengths(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* The sums of a lane and name, out of the spans that were told. */
static void check_sums(const struct model *model, const struct snapshot *snapshot, size_t index)
{
    const struct span_sums *sums = &snapshot->span_sums[index];
    uint64_t total_ns = 0, *lengths = calloc(N_SPANS, sizeof(*lengths));
    size_t n_lengths = 0, n_waited = 0;
    assert_non_null(lengths);
    for (size_t i = 0; i < N_SPANS; i++) {
        const struct event_span *span = &model->spans[i].span;
        if (span->lane == sums->lane && span->name == sums->name) {
            lengths[n_lengths] = span->end_ns - span->start_ns;
            total_ns += lengths[n_lengths++];
            n_waited += span->details && span->details->wait.tid != 0 &&
                        span->details->wait.time_ns < span->end_ns;
        }
    }
    qsort(lengths, n_lengths, sizeof(*lengths), compare_lengths);
    assert_int_equal(sums->n_spans, n_lengths);
    assert_int_equal(sums->total_ns, total_ns);
    assert_int_equal(sums->min_ns, lengths[0]);
    assert_int_equal(sums->max_ns, lengths[n_lengths - 1]);
    assert_int_equal(sums->n_waited, n_waited);
    for (unsigned int percent = 0; percent <= 100; percent += 5) {
        size_t rank = (n_lengths * percent + 99) / 100;
        uint64_t exact_ns = lengths[rank > 0 ? rank - 1 : 0];
        uint64_t told_ns = snapshot_span_quantile_ns(snapshot, index, percent / 100.0);
        assert_in_range(told_ns, exact_ns - exact_ns / 200, exact_ns + exact_ns / 200);
    }
    size_t first = 0;
    while (snapshot->longest_spans[first].lane != sums->lane ||
           snapshot->longest_spans[first].name != sums->name) {
        first++;
    }
    for (size_t i = 0; i < SNAPSHOT_LONGEST_SPANS && i < n_lengths; i++) {
        const struct stored_span *span = &snapshot->longest_spans[first + i];
        assert_int_equal(span->end_ns - span->start_ns, lengths[n_lengths - 1 - i]);
        assert_int_not_equal(span->state, ORIGIN_PENDING);
    }
    free(lengths);
}

static void check_lanes(const struct model *model, const struct snapshot *snapshot)
{
    for (uint32_t lane = 0; lane < N_LANES; lane++) {
        const struct lane_totals *totals = &snapshot->lanes[lane];
        uint64_t n_spans = 0, total_ns = 0, n_states = 0;
        for (size_t i = 0; i < N_SPANS; i++) {
            const struct event_span *span = &model->spans[i].span;
            if (span->lane == lane) {
                n_spans++;
                total_ns += parents[span->name] == 0 ? span->end_ns - span->start_ns : 0;
            }
        }
        for (size_t i = 0; i < ORIGIN_STATE_N; i++) {
            n_states += totals->states[i];
        }
        assert_int_equal(totals->n_spans, n_spans);
        assert_int_equal(totals->total_ns, total_ns);
        assert_int_equal(n_states, n_spans);
        assert_int_equal(totals->states[ORIGIN_PENDING], 0);
    }
}

/* Each row of origins is what the stored spans say. */
static void check_origin_sums(const struct snapshot *snapshot)
{
    uint64_t n_in_all = 0;
    for (size_t i = 0; i < snapshot->n_origin_sums; i++) {
        const struct origin_sums *sums = &snapshot->origin_sums[i];
        uint64_t n_spans = 0, total_ns = 0;
        for (uint64_t k = 0; k < snapshot->n_spans; k++) {
            const struct stored_span span = snapshot_span(snapshot, k);
            bool is_of =
                span.lane == sums->lane && span.name == sums->name && span.state == sums->state;
            bool is_linked = span.state == ORIGIN_LINKED;
            if (is_of && (!is_linked || (span.origin_thread == sums->thread &&
                                         span.origin_stack == sums->stack))) {
                n_spans++;
                total_ns += span.end_ns - span.start_ns;
            }
        }
        assert_int_equal(sums->n_spans, n_spans);
        assert_int_equal(sums->total_ns, total_ns);
        n_in_all += n_spans;
    }
    assert_int_equal(n_in_all, snapshot->n_spans);
}

static void check_waits(const struct model *model, const struct snapshot *snapshot)
{
    uint64_t n_waits = 0, waited_ns = 0;
    for (size_t i = 0; i < snapshot->n_span_wait_sums; i++) {
        const struct span_wait_sums *sums = &snapshot->span_wait_sums[i];
        n_waits += sums->n_waits;
        waited_ns += sums->waited_ns;
    }
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        n_waits -= snapshot->span_sums[i].n_waited;
        waited_ns -= snapshot->span_sums[i].waited_ns;
    }
    assert_int_equal(n_waits, 0);
    assert_int_equal(waited_ns, 0);
    assert_true(snapshot->n_span_wait_sums > 1);
    (void)model;
}

static void check(struct model *model, struct aggregate *aggregate)
{
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_spans, N_SPANS);
    assert_int_equal(snapshot->n_pending_spans, 0);
    for (uint64_t i = 0; i < N_SPANS; i++) {
        const struct stored_span span = snapshot_span(snapshot, i);
        assert_int_equal(span.start_ns, model->spans[i].span.start_ns);
        check_origin(model, snapshot, &model->spans[i].span.origin, &span);
    }
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        check_sums(model, snapshot, i);
    }
    check_lanes(model, snapshot);
    check_origin_sums(snapshot);
    check_waits(model, snapshot);
    assert_true(snapshot->linked_distance.n > 100);
    assert_true(snapshot->too_far_distance.n > 10);
    snapshot_unref(snapshot);
}

/* What is known before the first lane comes, and what comes behind it, is found alike. */
static void spans_are_what_a_model_says(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *early = NULL, *late = NULL;
    struct random_life early_life = begin_life(), late_life = begin_life();
    struct model model = {.spans = calloc(N_SPANS, sizeof(*model.spans))};
    assert_non_null(model.spans);
    assert_int_equal(aggregate_new(&config, &early), 0);
    assert_int_equal(aggregate_new(&config, &late), 0);
    random_life_play(&late_life, late, N_STEPS);
    struct snapshot *snapshot = aggregate_snapshot(late, 0);
    collect(&model, snapshot);
    snapshot_unref(snapshot);
    make_spans(&model, late_life.now_ns);
    tell_lanes(early);
    size_t n_told = 0;
    for (unsigned int i = 0; i < N_STEPS; i++) {
        random_life_play(&early_life, early, 1);
        /* As they are read: in no order of time, some of them before their origins happened. */
        for (; n_told < N_SPANS * (i + 1) / N_STEPS; n_told++) {
            tell_span_read(early, model.spans[n_told].span, late_life.now_ns);
        }
    }
    tell_lanes(late);
    for (size_t i = 0; i < N_SPANS; i++) {
        tell_span_read(late, model.spans[i].span, late_life.now_ns);
    }
    assert_int_equal(early_life.now_ns, late_life.now_ns);
    aggregate_end(early, early_life.now_ns);
    aggregate_end(late, late_life.now_ns);
    check(&model, early);
    model.is_late = true;
    check(&model, late);
    aggregate_free(early);
    aggregate_free(late);
    free(model.spans);
    free(model.moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_what_a_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
