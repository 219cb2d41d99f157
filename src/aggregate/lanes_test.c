/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/lanes.h"

static int add_lane(struct lanes *lanes, uint32_t number, const char *name)
{
    const struct event_lane lane = {.lane = number, .kind = LANE_KIND_CUDA, .name = name};
    return lanes_add(lanes, 5, &lane);
}

static int add_name(struct lanes *lanes, uint32_t number, uint32_t parent, const char *text)
{
    const struct event_span_name name = {.name = number, .parent = parent, .text = text};
    return lanes_add_name(lanes, &name);
}

static void numbers_are_dense(void **state)
{
    (void)state;
    struct lanes lanes;
    assert_int_equal(lanes_init(&lanes), 0);
    assert_int_equal(lanes_n_names(&lanes), 0);
    assert_string_equal(lanes_name(&lanes, 0).text, "(other)");
    assert_int_equal(add_lane(&lanes, 1, "b"), -EBADMSG);
    assert_int_equal(add_lane(&lanes, 0, "a"), 0);
    assert_int_equal(add_lane(&lanes, 0, "again"), 0);
    assert_int_equal(lanes.n_lanes, 1);
    assert_string_equal(lanes.lanes[0].name, "a");
    assert_int_equal(lanes.lanes[0].pid, 5);
    assert_int_equal(lanes.lanes[0].kind, LANE_KIND_CUDA);
    assert_int_equal(add_name(&lanes, 0, 0, "none"), -EBADMSG);
    assert_int_equal(add_name(&lanes, 2, 0, "b"), -EBADMSG);
    assert_int_equal(add_name(&lanes, 1, 0, "a"), 0);
    assert_int_equal(add_name(&lanes, 2, 1, "b"), 0);
    assert_int_equal(add_name(&lanes, 2, 0, "again"), 0);
    assert_int_equal(lanes_n_names(&lanes), 2);
    assert_int_equal(lanes_name(&lanes, 2).parent, 1);
    assert_string_equal(lanes_name(&lanes, 2).text, "b");
    lanes_release(&lanes);
}

static void what_makes_no_sense_is_put_right(void **state)
{
    (void)state;
    struct lanes lanes;
    char text[2 * LIMIT_SPAN_NAME_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(lanes_init(&lanes), 0);
    assert_int_equal(add_name(&lanes, 1, 7, text), 0);
    assert_int_equal(lanes_name(&lanes, 1).parent, 0);
    assert_int_equal(strlen(lanes_name(&lanes, 1).text), LIMIT_SPAN_NAME_BYTES - 1);
    assert_int_equal(add_name(&lanes, 2, 2, "inside of itself"), 0);
    assert_int_equal(lanes_name(&lanes, 2).parent, 0);
    const struct event_lane lane = {.kind = 200};
    assert_int_equal(lanes_add(&lanes, 5, &lane), 0);
    assert_int_equal(lanes.lanes[0].kind, LANE_KIND_GENERIC);
    assert_string_equal(lanes.lanes[0].name, "");
    for (uint32_t i = 3; i < 100; i++) {
        assert_int_equal(add_name(&lanes, i, i - 1, "deep"), 0);
        uint32_t depth = 0;
        for (uint32_t name = i; name != 0; name = lanes_name(&lanes, name).parent) {
            depth++;
        }
        assert_true(depth <= LIMIT_SPAN_DEPTH);
    }
    lanes_release(&lanes);
}

static void floods_end_at_the_limits(void **state)
{
    (void)state;
    struct lanes lanes;
    char text[32];
    assert_int_equal(lanes_init(&lanes), 0);
    for (uint32_t i = 1; i <= LIMIT_SPAN_NAMES + 10; i++) {
        snprintf(text, sizeof(text), "name %u", i);
        assert_int_equal(add_name(&lanes, i, 0, text) == 0, i <= LIMIT_SPAN_NAMES);
    }
    assert_int_equal(lanes_n_names(&lanes), LIMIT_SPAN_NAMES);
    for (uint32_t i = 0; i < LIMIT_LANES + 10; i++) {
        assert_int_equal(add_lane(&lanes, i, "lane") == 0, i < LIMIT_LANES);
    }
    assert_int_equal(lanes.n_lanes, LIMIT_LANES);
    assert_true(lanes_memory_bytes(&lanes) > 1u << 20);
    lanes_release(&lanes);
}

static void spans_are_counted(void **state)
{
    (void)state;
    struct lanes lanes;
    assert_int_equal(lanes_init(&lanes), 0);
    assert_int_equal(add_lane(&lanes, 0, "a"), 0);
    assert_int_equal(add_name(&lanes, 1, 0, "outer"), 0);
    assert_int_equal(add_name(&lanes, 2, 1, "inner"), 0);
    struct stored_span span = {.start_ns = 100, .end_ns = 200, .name = 1};
    lanes_count(&lanes, &span);
    span = (struct stored_span){.start_ns = 110, .end_ns = 250, .name = 2};
    lanes_count(&lanes, &span);
    span = (struct stored_span){.start_ns = 90, .end_ns = 90, .name = 1};
    lanes_count(&lanes, &span);
    assert_int_equal(lanes.lanes[0].n_spans, 3);
    assert_int_equal(lanes.lanes[0].first_ns, 90);
    assert_int_equal(lanes.lanes[0].last_ns, 250);
    assert_int_equal(lanes.lanes[0].states[ORIGIN_PENDING], 3);
    lanes_settle(&lanes, 0, ORIGIN_TOO_FAR);
    assert_int_equal(lanes.lanes[0].states[ORIGIN_PENDING], 2);
    assert_int_equal(lanes.lanes[0].states[ORIGIN_TOO_FAR], 1);
    lanes_release(&lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_dense),
        cmocka_unit_test(what_makes_no_sense_is_put_right),
        cmocka_unit_test(floods_end_at_the_limits),
        cmocka_unit_test(spans_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
