/* SPDX-License-Identifier: MIT */
/* Spans of which a part is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "archive/history_damage_test.h"

/* Spans around a frame that is lost are as they were; details that are lost are those of the spans
 * behind, which else are as they were. */
static void spans_without_some_of_them(void **state)
{
    (void)state;
    const enum history_kind kinds[] = {HISTORY_SPANS, HISTORY_SPAN_DETAILS, HISTORY_SPAN_COUNTERS};
    const struct snapshot *whole = fixture.snapshot;
    for (size_t i = 0; i < 3; i++) {
        struct member changed = fixture.members[member_of(kinds[i])];
        struct column_buffer buffer = {0};
        struct run_history_damage damage;
        struct error error = {0};
        size_t n_without = 0, n_lost = kinds[i] == HISTORY_SPANS ? 64 : 0;
        put_damaged(kinds[i], 1, &buffer);
        changed.bytes = buffer.bytes;
        changed.n_bytes = buffer.n_bytes;
        struct aggregate *aggregate = read_with(&changed, &damage, &error);
        assert_non_null(aggregate);
        assert_int_equal(damage.n_losses, 1);
        assert_string_equal(damage.losses[0].member, changed.name);
        assert_true(damage.losses[0].n_rows >= 64);
        struct snapshot *left = aggregate_snapshot(aggregate, 0);
        assert_sound_spans(left);
        assert_same_lanes(whole, left);
        assert_same_span_sums(whole, left);
        assert_int_equal(left->n_spans, whole->n_spans - n_lost);
        for (uint64_t k = 0; k < left->n_spans; k++) {
            struct stored_span a = snapshot_span(whole, k < 64 ? k : k + n_lost);
            struct stored_span b = snapshot_span(left, k);
            bool is_without = a.details != b.details && b.details == STORED_SPAN_NO_DETAILS;
            n_without += is_without;
            a.details = is_without || kinds[i] == HISTORY_SPAN_COUNTERS ? b.details : a.details;
            assert_same_span(kinds[i] == HISTORY_SPAN_COUNTERS ? left : whole, &a, left, &b);
        }
        assert_int_equal(n_without > 0, kinds[i] == HISTORY_SPAN_DETAILS);
        snapshot_unref(left);
        aggregate_free(aggregate);
        column_buffer_release(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_without_some_of_them),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
