/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/requests.h"
#include "model/results/flame.h"
#include "model/results/run.h"
#include "rpc/fields.h"
#include "rpc/service.h"
#include "rpc/tables.h"

static void assert_encoded(const struct rpc_type *type, const void *object, const char *expected)
{
    struct text text;
    text_init(&text, 1 << 20);
    rpc_encode(type, object, &text);
    assert_string_equal(text.data, expected);
    text_release(&text);
}

static void every_kind_of_member_is_written(void **state)
{
    (void)state;
    const struct top_row row = {
        .name = "f<int>",
        .image = "libx.so",
        .kind = FRAME_KIND_JIT,
        .inlined = true,
        .address = "0x10",
        .file = "x.c",
        .line = 7,
        .self_active_ns = 1,
        .total_active_ns = UINT64_MAX,
        .self_pct = 12.5,
    };
    assert_encoded(&rpc_type_top_row, &row,
                   "{\"name\":\"f<int>\",\"image\":\"libx.so\",\"kind\":\"jit\",\"inlined\":true,"
                   "\"address\":\"0x10\",\"file\":\"x.c\",\"line\":7,\"self_active_ns\":1,"
                   "\"total_active_ns\":18446744073709551615,\"self_samples\":0,"
                   "\"total_samples\":0,\"self_off_cpu_ns\":0,\"total_off_cpu_ns\":0,\"waits\":0,"
                   "\"target_ns\":0,\"spans\":0,\"self_pct\":12.5,\"total_pct\":0}");
}

static void strings_that_are_not_known_are_left_out(void **state)
{
    (void)state;
    const struct capability_row row = {.name = "wakeups"};
    assert_encoded(&rpc_type_capability_row, &row, "{\"name\":\"wakeups\",\"available\":false}");
}

static void flags_decide_about_their_members(void **state)
{
    (void)state;
    struct view view = {.from_ns = -5, .to_ns = 9, .has_from = true};
    assert_encoded(&rpc_type_view, &view,
                   "{\"run\":0,\"tids\":[],\"from_ns\":-5,\"exclude\":[],\"focus\":[],"
                   "\"mode\":\"active\"}");
    view.has_from = false;
    view.has_to = true;
    assert_encoded(&rpc_type_view, &view,
                   "{\"run\":0,\"tids\":[],\"to_ns\":9,\"exclude\":[],\"focus\":[],"
                   "\"mode\":\"active\"}");
    const struct exit_request request = {.run = 2, .exit_status = -1};
    assert_encoded(&rpc_type_exit_request, &request, "{\"run\":2,\"exit_status\":-1}");
}

static void arrays_hold_numbers_strings_and_structs(void **state)
{
    (void)state;
    int64_t tids[] = {1, -2, INT64_MAX};
    char *focus[] = {"a\"b", "c"};
    const struct view view = {
        .n_tids = 3, .tids = tids, .n_focus = 2, .focus = focus, .mode = VIEW_MODE_OFF_CPU};
    assert_encoded(&rpc_type_view, &view,
                   "{\"run\":0,\"tids\":[1,-2,9223372036854775807],\"exclude\":[],"
                   "\"focus\":[\"a\\\"b\",\"c\"],\"mode\":\"off_cpu\"}");
}

static void json_is_carried_as_it_is(void **state)
{
    (void)state;
    struct subscribe_request request = {
        .method = "profile.top", .params_json = "{\"limit\": 5}", .min_interval_ms = 100};
    assert_encoded(
        &rpc_type_subscribe_request, &request,
        "{\"method\":\"profile.top\",\"params\":{\"limit\": 5},\"min_interval_ms\":100}");
    request.params_json = NULL;
    assert_encoded(&rpc_type_subscribe_request, &request,
                   "{\"method\":\"profile.top\",\"min_interval_ms\":100}");
}

static void an_enum_out_of_range_is_null(void **state)
{
    (void)state;
    const struct wait_result result = {.outcome = (enum wait_outcome)99};
    struct text text;
    text_init(&text, 1 << 20);
    rpc_encode(&rpc_type_wait_result, &result, &text);
    assert_non_null(strstr(text.data, "{\"outcome\":null,\"run\":{"));
    text_release(&text);
}

static void trees_nest(void **state)
{
    (void)state;
    struct flame_node leaf = {.name = "leaf", .linked = true};
    struct flame_node twins[] = {{.name = "a", .n_children = 1, .children = &leaf}, {.name = "b"}};
    const struct flame_node root = {.name = "(all)", .n_children = 2, .children = twins};
    struct text text;
    text_init(&text, 1 << 20);
    rpc_encode(&rpc_type_flame_node, &root, &text);
    assert_non_null(strstr(text.data, "\"children\":[{\"name\":\"a\""));
    assert_non_null(strstr(text.data, "\"children\":[{\"name\":\"leaf\""));
    assert_non_null(strstr(text.data, "\"children\":[]}]},{\"name\":\"b\""));
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_member_is_written),
        cmocka_unit_test(strings_that_are_not_known_are_left_out),
        cmocka_unit_test(flags_decide_about_their_members),
        cmocka_unit_test(arrays_hold_numbers_strings_and_structs),
        cmocka_unit_test(json_is_carried_as_it_is),
        cmocka_unit_test(an_enum_out_of_range_is_null),
        cmocka_unit_test(trees_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
