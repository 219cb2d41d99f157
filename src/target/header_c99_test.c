/* SPDX-License-Identifier: MIT */
/* Compiled as C99, with -pedantic and without _GNU_SOURCE: what a program includes is no GNU C. */
#include <stax/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#if __STDC_VERSION__ != 199901L
#error "this is not C99"
#endif

static void all_of_it_can_be_called(void **state)
{
    static const uint32_t shape[2] = {640, 480};
    stax_lane lane = stax_lane_new_kind("lane", STAX_LANE_EXECUTOR);
    stax_name_id outer = stax_name("outer"), inner = stax_name_inside(outer, "inner");
    stax_origin origin = stax_origin_capture(lane);
    stax_span span = stax_span_begin(lane, "span", origin);
    stax_span_builder builder;
    stax_stats stats;

    (void)state;
    stax_span_end(&span);
    span = stax_span_begin_named(lane, inner, stax_no_origin());
    stax_span_end(&span);
    stax_span_report(lane, "span", 1, 2, origin);
    stax_span_report_named(lane, inner, 1, 2, origin);
    stax_builder_init(&builder, lane, "span", origin);
    stax_builder_ids(&builder, 1, 2, 3);
    stax_builder_waited(&builder, origin, stax_now_ns());
    stax_builder_completed(&builder, origin);
    stax_builder_source(&builder, "file.c", 1, "function");
    stax_builder_counter(&builder, "bytes", 1.0, "B");
    stax_builder_attachment(&builder, "frame", 1, shape, 2);
    stax_builder_report(&builder, 1, 2);
    stats.size = sizeof(stats);
    stax_target_stats(&stats);
    assert_true(lane.id != 0 && inner.id != 0);
    assert_int_equal(stats.n_queued, 0);
    assert_false(stax_recording_active());
    /* One that was compiled before the struct grew. */
    stats.size = offsetof(stax_stats, n_queued);
    stats.n_queued = 7;
    stax_target_stats(&stats);
    assert_int_equal(stats.n_queued, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_can_be_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
