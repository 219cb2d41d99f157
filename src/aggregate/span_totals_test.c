/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/span_totals.h"

static void count(struct span_totals *totals, struct stored_span span, uint64_t index)
{
    uint32_t row = span_totals_find(totals, span.lane, span.name);
    assert_int_not_equal(row, SPAN_ROW_NONE);
    span_totals_count(totals, row, &span, index, 0);
    assert_int_equal(span_totals_count_origin(totals, row, &span, index), 0);
}

static void sums_are_by_lane_and_name(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    count(&totals, (struct stored_span){.end_ns = 10, .lane = 1, .name = 1}, 0);
    count(&totals, (struct stored_span){.end_ns = 30, .lane = 1, .name = 1}, 1);
    count(&totals, (struct stored_span){.end_ns = 5, .lane = 0, .name = 1}, 2);
    count(&totals, (struct stored_span){.end_ns = 7, .lane = 1, .name = 2}, 3);
    assert_int_equal(totals.n_sums, 3);
    assert_int_equal(totals.sums[0].n_spans, 2);
    assert_int_equal(totals.sums[0].total_ns, 40);
    assert_int_equal(totals.sums[0].min_ns, 10);
    assert_int_equal(totals.sums[0].max_ns, 30);
    const uint32_t *order = span_totals_order(&totals);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 2);
    const struct span_sums sums = {.lane = 1, .name = 2};
    assert_int_equal(span_totals_append(&totals, &sums), SPAN_ROW_NONE); /* is there */
    assert_true(span_totals_memory_bytes(&totals) > 1000);
    span_totals_release(&totals);
}

static void the_longest_stay(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    for (uint64_t i = 0; i < 1000; i++) {
        count(&totals, (struct stored_span){.start_ns = i, .end_ns = i + i * 7919 % 1000}, i);
    }
    const struct span_row *row = &totals.rows[0];
    assert_int_equal(row->n_longest, SNAPSHOT_LONGEST_SPANS);
    for (uint32_t i = 0; i < SNAPSHOT_LONGEST_SPANS; i++) {
        const struct stored_span *span = &row->longest[i].span;
        assert_int_equal(span->end_ns - span->start_ns, 999 - i);
        assert_int_equal(row->longest[i].index, span->start_ns);
    }
    /* Of those that are as long the earlier ones. */
    for (uint64_t i = 0; i < 20; i++) {
        count(&totals, (struct stored_span){.end_ns = 50, .name = 1}, 2000 + i);
    }
    for (uint32_t i = 0; i < SNAPSHOT_LONGEST_SPANS; i++) {
        assert_int_equal(totals.rows[1].longest[i].index, 2000 + i);
    }
    span_totals_release(&totals);
}

static void the_longest_learn_of_their_origins(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    struct stored_span span = {.end_ns = 50, .name = 1, .state = ORIGIN_PENDING};
    uint32_t row = span_totals_find(&totals, 0, 1);
    for (uint64_t i = 0; i < 20; i++) {
        span_totals_count(&totals, row, &span, i, 0);
    }
    span.state = ORIGIN_LINKED;
    span.origin_stack = 9;
    assert_int_equal(span_totals_count_origin(&totals, row, &span, 3), 0);
    assert_int_equal(totals.rows[row].longest[3].span.state, ORIGIN_LINKED);
    assert_int_equal(totals.rows[row].longest[3].span.origin_stack, 9);
    assert_int_equal(totals.rows[row].longest[4].span.state, ORIGIN_PENDING);
    span_totals_release(&totals);
}

static void origins_are_by_what_became_of_them(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    static const uint8_t states[] = {ORIGIN_LINKED, ORIGIN_MISSING, ORIGIN_LINKED, ORIGIN_TOO_FAR};
    for (uint64_t i = 0; i < 400; i++) {
        struct stored_span span = {.end_ns = i,
                                   .name = 1,
                                   .state = states[i % 4],
                                   .origin_thread = 2,
                                   .origin_stack = (stack_id)(i % 4)};
        count(&totals, span, i);
    }
    assert_int_equal(totals.n_origins, 4);
    for (size_t i = 0; i < 4; i++) {
        bool is_linked = states[i] == ORIGIN_LINKED;
        assert_int_equal(totals.origins[i].state, states[i]);
        assert_int_equal(totals.origins[i].n_spans, 100);
        assert_int_equal(totals.origins[i].total_ns, 100 * 99 * 2 + 100 * i);
        assert_int_equal(totals.origins[i].thread, is_linked ? 2 : THREAD_ID_NONE);
        assert_int_equal(totals.origins[i].stack, is_linked ? i : STACK_ID_EMPTY);
    }
    span_totals_release(&totals);
}

static void waits_are_by_where_they_began(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    for (uint32_t i = 0; i < 30; i++) {
        const struct span_wait_sums wait = {
            .lane = 1, .name = 1, .thread = i % 3, .stack = 5, .n_waits = 1, .waited_ns = i};
        assert_int_equal(span_totals_count_wait(&totals, &wait), 0);
    }
    assert_int_equal(totals.n_waits, 3);
    assert_int_equal(totals.waits[1].n_waits, 10);
    assert_int_equal(totals.waits[1].waited_ns, 10 * 1 + 3 * 45);
    span_totals_release(&totals);
}

/* More names, places and waits than there is room for are "(other)"; nothing is lost. */
static void floods_go_to_the_others(void **state)
{
    (void)state;
    struct span_totals totals;
    uint64_t n_flood = SPAN_SUMS_MAX + 1000, n_spans = 0, total_ns = 0, n_origins = 0;
    span_totals_init(&totals);
    for (uint64_t i = 0; i < n_flood; i++) {
        struct stored_span span = {
            .end_ns = 3, .lane = (uint32_t)(i % 2), .name = 1 + (uint32_t)(i / 2)};
        span.state = ORIGIN_MISSING;
        count(&totals, span, i);
    }
    for (uint64_t i = 0; i < ORIGIN_SUMS_MAX; i++) {
        struct stored_span span = {.end_ns = 3, .name = 1, .origin_stack = (stack_id)i};
        count(&totals, span, n_flood + i);
        const struct span_wait_sums wait = {
            .name = 1, .stack = (stack_id)i, .n_waits = 1, .waited_ns = 2};
        assert_int_equal(span_totals_count_wait(&totals, &wait), 0);
    }
    assert_true(totals.n_sums <= SPAN_SUMS_MAX + 2);
    assert_true(totals.n_origins <= ORIGIN_SUMS_MAX + 4);
    assert_true(totals.n_waits <= SPAN_WAIT_SUMS_MAX + 1);
    assert_true(totals.n_others > 1000);
    for (size_t i = 0; i < totals.n_sums; i++) {
        n_spans += totals.sums[i].n_spans;
        total_ns += totals.sums[i].total_ns;
    }
    assert_int_equal(n_spans, n_flood + ORIGIN_SUMS_MAX);
    assert_int_equal(total_ns, 3 * n_spans);
    for (size_t i = 0; i < totals.n_origins; i++) {
        n_origins += totals.origins[i].n_spans;
    }
    assert_int_equal(n_origins, n_spans);
    uint64_t n_waits = 0;
    for (size_t i = 0; i < totals.n_waits; i++) {
        n_waits += totals.waits[i].n_waits;
    }
    assert_int_equal(n_waits, ORIGIN_SUMS_MAX);
    assert_true(span_totals_memory_bytes(&totals) < 128u << 20);
    span_totals_release(&totals);
}

/* Lengths of all sizes under each of many names: their memory ends at its bound. */
static void lengths_end_at_their_bound(void **state)
{
    (void)state;
    struct span_totals totals;
    span_totals_init(&totals);
    totals.lengths_bytes = SPAN_LENGTHS_MAX_BYTES - 20000;
    for (uint32_t i = 0; i < 3000; i++) {
        struct stored_span span = {.end_ns = UINT64_C(1) << (i % 50), .name = 1 + i % 100};
        count(&totals, span, i);
    }
    assert_true(totals.lengths_bytes < SPAN_LENGTHS_MAX_BYTES + 1024);
    assert_true(totals.n_lengths_left_out > 0);
    uint64_t n_spans = 0, n_lengths = 0;
    for (size_t i = 0; i < totals.n_sums; i++) {
        n_spans += totals.sums[i].n_spans;
        n_lengths += totals.rows[i].lengths->n_values;
    }
    assert_int_equal(n_spans, 3000);
    assert_int_equal(n_lengths + totals.n_lengths_left_out, 3000);
    span_totals_release(&totals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_by_lane_and_name),
        cmocka_unit_test(the_longest_stay),
        cmocka_unit_test(the_longest_learn_of_their_origins),
        cmocka_unit_test(origins_are_by_what_became_of_them),
        cmocka_unit_test(waits_are_by_where_they_began),
        cmocka_unit_test(floods_go_to_the_others),
        cmocka_unit_test(lengths_end_at_their_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
