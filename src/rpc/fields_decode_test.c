/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "jsonrpc/json_scan.h"
#include "model/limits.h"
#include "model/requests.h"
#include "model/results/diagnose.h"
#include "model/results/flame.h"
#include "model/results/run.h"
#include "model/results/threads.h"
#include "rpc/fields.h"
#include "rpc/service.h"
#include "rpc/tables.h"

static struct arena arena;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* Decodes by both readers, which must agree; the result is the text reader's. */
static int decode(const struct rpc_type *type, const char *json, void *object, size_t n_bytes,
                  struct error *error)
{
    struct error tree_error = {.code = ""};
    void *from_tree = arena_alloc(&arena, n_bytes);
    json_t *tree = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(tree);
    int r_tree = rpc_decode(type, tree, &arena, from_tree, &tree_error);
    json_decref(tree);

    struct json_scan scan = json_scan_of(json, strlen(json));
    *error = (struct error){.code = ""};
    int r_text = rpc_decode_text(type, &scan, &arena, object, error);
    assert_int_equal(r_tree, r_text);
    assert_string_equal(tree_error.code, error->code);
    assert_string_equal(tree_error.message, error->message);
    if (r_text == 0) {
        struct text one;
        struct text other;
        text_init(&one, SIZE_MAX);
        text_init(&other, SIZE_MAX);
        rpc_encode(type, object, &one);
        rpc_encode(type, from_tree, &other);
        assert_string_equal(one.data, other.data);
        text_release(&one);
        text_release(&other);
    }
    return r_text;
}

#define DECODE(type, json, object, error)                                                          \
    decode(&rpc_type_##type, (json), (object), sizeof(struct type), (error))

static void what_is_missing_has_its_default(void **state)
{
    (void)state;
    struct start_request start;
    struct top_request top;
    struct wait_request wait;
    struct error error;
    memset(&start, 0xff, sizeof(start));
    memset(&top, 0xff, sizeof(top));
    assert_int_equal(DECODE(start_request, "{}", &start, &error), 0);
    assert_int_equal(start.frequency_hz, LIMIT_FREQUENCY_DEFAULT_HZ);
    assert_true(start.max_memory_bytes == LIMIT_MEMORY_DEFAULT_BYTES);
    assert_null(start.command);
    assert_false(start.launched || start.follow_children || start.no_kernel || start.no_off_cpu);
    assert_int_equal(DECODE(top_request, "{\"view\":null,\"sort\":null}", &top, &error), 0);
    assert_int_equal(top.limit, 20);
    assert_int_equal(top.sort, TOP_SORT_SELF);
    assert_int_equal(top.view.mode, VIEW_MODE_ACTIVE);
    assert_int_equal(top.view.n_tids, 0);
    assert_false(top.view.has_from || top.view.has_to);
    assert_int_equal(DECODE(wait_request, "{}", &wait, &error), 0);
    assert_false(wait.has_timeout);

    memset(&start, 0xff, sizeof(start));
    assert_int_equal(rpc_decode(&rpc_type_start_request, NULL, &arena, &start, NULL), 0);
    assert_int_equal(start.frequency_hz, LIMIT_FREQUENCY_DEFAULT_HZ);
    memset(&start, 0xff, sizeof(start));
    rpc_set_defaults(&rpc_type_start_request, &start);
    assert_int_equal(start.frequency_hz, LIMIT_FREQUENCY_DEFAULT_HZ);
}

static void what_is_there_is_taken(void **state)
{
    (void)state;
    struct top_request top;
    struct subscribe_request subscribe;
    struct flame_request flame;
    struct error error;
    assert_int_equal(DECODE(top_request,
                            "{\"limit\":5,\"unknown\":{\"deep\":[1]},\"sort\":\"off_cpu\","
                            "\"view\":{\"focus\":[\"a\",\"b\"],\"to_ns\":0,\"from_ns\":-7,"
                            "\"tids\":[3,2,1],\"mode\":\"wall\",\"more\":null,\"run\":4}}",
                            &top, &error),
                     0);
    assert_int_equal(top.limit, 5);
    assert_int_equal(top.sort, TOP_SORT_OFF_CPU);
    assert_int_equal(top.view.run, 4);
    assert_int_equal(top.view.n_focus, 2);
    assert_string_equal(top.view.focus[1], "b");
    assert_int_equal(top.view.n_tids, 3);
    assert_int_equal(top.view.tids[0], 3);
    assert_true(top.view.has_from && top.view.from_ns == -7);
    assert_true(top.view.has_to && top.view.to_ns == 0);
    assert_int_equal(top.view.mode, VIEW_MODE_WALL);

    assert_int_equal(DECODE(subscribe_request,
                            "{\"method\":\"profile.top\",\"params\":{\"limit\":5}}", &subscribe,
                            &error),
                     0);
    assert_string_equal(subscribe.params_json, "{\"limit\":5}");
    assert_int_equal(subscribe.min_interval_ms, RPC_MIN_INTERVAL_DEFAULT_MS);

    assert_int_equal(DECODE(flame_request, "{\"threshold_pct\":1,\"max_depth\":3}", &flame, &error),
                     0);
    assert_true(flame.threshold_pct == 1.0);
    assert_int_equal(DECODE(flame_request, "{\"threshold_pct\":0.25}", &flame, &error), 0);
    assert_true(flame.threshold_pct == 0.25);
}

static void numbers_that_just_fit_are_taken(void **state)
{
    (void)state;
    struct exit_request exit_request;
    struct view view;
    struct start_request start;
    struct error error;
    assert_int_equal(DECODE(exit_request, "{\"exit_status\":-2147483648,\"run\":4294967295}",
                            &exit_request, &error),
                     0);
    assert_int_equal(exit_request.exit_status, INT32_MIN);
    assert_true(exit_request.run == UINT32_MAX);
    assert_int_equal(DECODE(view,
                            "{\"from_ns\":-9223372036854775808,\"to_ns\":9223372036854775807}",
                            &view, &error),
                     0);
    assert_true(view.from_ns == INT64_MIN && view.to_ns == INT64_MAX);
    assert_int_equal(DECODE(start_request, "{\"time_limit_ns\":-0}", &start, &error), 0);

    /* Past what the tree reader's parser has; answers may hold it. */
    static const char json[] = "{\"time_limit_ns\":18446744073709551615}";
    struct json_scan scan = json_scan_of(json, sizeof(json) - 1);
    assert_int_equal(rpc_decode_text(&rpc_type_start_request, &scan, &arena, &start, &error), 0);
    assert_true(start.time_limit_ns == UINT64_MAX);
}

static void wrong_types_are_named_by_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"[]", "an object is expected"},
        {"1", "an object is expected"},
        {"{\"limit\":\"5\"}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"limit\":-1}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"limit\":4294967296}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"limit\":1.0}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"limit\":true}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"limit\":[1]}", "limit: an integer from 0 to 4294967295 is expected"},
        {"{\"sort\":\"size\"}", "sort: one of \"self\", \"total\", \"off_cpu\" is expected"},
        {"{\"sort\":1}", "sort: a string is expected"},
        {"{\"view\":1}", "view: an object is expected"},
        {"{\"view\":[]}", "view: an object is expected"},
        {"{\"view\":{\"tids\":5}}", "view.tids: an array is expected"},
        {"{\"view\":{\"tids\":{}}}", "view.tids: an array is expected"},
        {"{\"view\":{\"tids\":[1,\"x\"]}}", "view.tids[1]: an integer of 64 bits is expected"},
        {"{\"view\":{\"tids\":[null]}}", "view.tids[0]: an integer of 64 bits is expected"},
        {"{\"view\":{\"focus\":[\"a\",1]}}", "view.focus[1]: a string is expected"},
        {"{\"view\":{\"from_ns\":0.5}}", "view.from_ns: an integer of 64 bits is expected"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct top_request top;
        struct error error;
        assert_int_equal(DECODE(top_request, cases[i].json, &top, &error), -EINVAL);
        assert_string_equal(error.code, "invalid_params");
        assert_string_equal(error.message, cases[i].message);
    }
    struct start_request start;
    struct error error;
    assert_int_equal(DECODE(start_request, "{\"launched\":1}", &start, &error), -EINVAL);
    assert_string_equal(error.message, "launched: true or false is expected");
    assert_int_equal(DECODE(start_request, "{\"time_limit_ns\":-1}", &start, &error), -EINVAL);
    assert_int_equal(DECODE(start_request, "{\"command\":false}", &start, &error), -EINVAL);
    struct subscribe_request subscribe;
    assert_int_equal(
        DECODE(subscribe_request, "{\"method\":\"m\",\"params\":[1]}", &subscribe, &error),
        -EINVAL);
    assert_string_equal(error.message, "params: an object is expected");
}

static void required_members_must_be_there(void **state)
{
    (void)state;
    struct exit_request exit_request;
    struct error error;
    assert_int_equal(DECODE(exit_request, "{}", &exit_request, &error), -EINVAL);
    assert_string_equal(error.message, "exit_status: it must be there");
    assert_int_equal(DECODE(exit_request, "{\"exit_status\":null}", &exit_request, &error),
                     -EINVAL);
    assert_int_equal(DECODE(exit_request, "{\"exit_status\":0}", &exit_request, &error), 0);
}

static void text_that_is_not_json_says_where(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"limit\":1,}",
        "{\"limit\"}",
        "{\"limit\":",
        "{\"view\":{\"tids\":[1}}",
        "{\"view\":{\"tids\":[1,]}}",
        "{\"limit\":01}",
        "{\"sort\":\"\\x\"}",
        "{\"limit\":truth}",
        "{\"unknown\":[}]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct top_request top;
        struct error error;
        struct json_scan scan = json_scan_of(wrong[i], strlen(wrong[i]));
        int r = rpc_decode_text(&rpc_type_top_request, &scan, &arena, &top, &error);
        if (strcmp(wrong[i], "{\"limit\":truth}") == 0) {
            assert_int_equal(r, -EINVAL); /* a bool, or nearly: of the wrong type either way */
            continue;
        }
        if (r == 0) {
            assert_false(json_scan_end(&scan));
            continue;
        }
        assert_int_equal(r, -EBADMSG);
        assert_string_equal(error.code, "parse_error");
    }
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    struct arena small;
    struct view view;
    struct error error;
    char json[6000] = "{\"focus\":[\"";
    memset(json + 11, 'x', 5000);
    memcpy(json + 5011, "\"]}", 4);
    arena_init(&small, 1000);
    struct json_scan scan = json_scan_of(json, strlen(json));
    assert_true(rpc_decode_text(&rpc_type_view, &scan, &small, &view, &error) < 0);
    json_t *tree = json_loads(json, 0, NULL);
    assert_int_equal(rpc_decode(&rpc_type_view, tree, &small, &view, &error), -ENOMEM);
    json_decref(tree);
    arena_release(&small);
}

/* Encodes, decodes by both readers, encodes: the text must not change. */
static void assert_round_trip(const struct rpc_type *type, const void *object, size_t n_bytes)
{
    struct text text;
    struct text again;
    struct error error;
    void *copy = arena_alloc(&arena, n_bytes);
    text_init(&text, SIZE_MAX);
    text_init(&again, SIZE_MAX);
    rpc_encode(type, object, &text);
    assert_int_equal(decode(type, text.data, copy, n_bytes, &error), 0);
    rpc_encode(type, copy, &again);
    assert_string_equal(text.data, again.data);
    text_release(&text);
    text_release(&again);
}

static void results_travel(void **state)
{
    (void)state;
    char *notes[] = {"no kernel stacks: perf_event_paranoid=2", "\xff\u00e4\n"};
    char *clean_notes[] = {"no kernel stacks", "\u00e4\n"};
    struct run_info run = {.id = 3,
                           .state = RUN_STATE_STOPPED,
                           .pid = 4711,
                           .command = "./a b",
                           .started_at_unix_ns = UINT64_C(1790000000123456789),
                           .has_exit_status = true,
                           .exit_status = 139,
                           .is_launched = true,
                           .n_notes = 2,
                           .notes = clean_notes,
                           .folded_until_ns = 5};
    struct run_list_result list = {.n_runs = 1, .runs = &run};
    assert_round_trip(&rpc_type_run_list_result, &list, sizeof(list));
    run.notes = notes;
    struct wait_result wait = {.outcome = WAIT_OUTCOME_TIMED_OUT, .run = run};
    assert_round_trip(&rpc_type_wait_result, &wait, sizeof(wait));

    struct top_row rows[2] = {{.name = "f", .self_pct = 100.0 / 3}, {.name = "g", .line = 5}};
    struct top_result top = {.run = {.id = 1}, .n_rows = 2, .rows = rows, .hint = "stax threads"};
    assert_round_trip(&rpc_type_top_result, &top, sizeof(top));

    struct thread_row threads[1] = {{.tid = -1, .kind = THREAD_KIND_TARGET, .is_alive = true}};
    struct threads_result threads_result = {.n_rows = 1, .rows = threads, .threads = 9};
    assert_round_trip(&rpc_type_threads_result, &threads_result, sizeof(threads_result));

    struct diagnose_counter counters[1] = {{.room = "rpc", .name = "n", .value = 1, .unit = "x"}};
    struct diagnose_result diagnose = {
        .stacks = {.total = 4, .complete = 3}, .n_counters = 1, .counters = counters};
    assert_round_trip(&rpc_type_diagnose_result, &diagnose, sizeof(diagnose));
}

/* A tree of `depth` frames below the root, the one outermost chain having `width` leaves per level.
 */
static struct flame_node *make_tree(unsigned depth, unsigned width)
{
    struct flame_node *root = arena_alloc(&arena, sizeof(*root));
    struct flame_node *node = root;
    root->name = "(all)";
    for (unsigned level = 0; level < depth; level++) {
        node->n_children = width;
        node->children = arena_alloc_array(&arena, width, sizeof(*node));
        for (unsigned i = 0; i < width; i++) {
            node->children[i] = (struct flame_node){
                .name = arena_printf(&arena, "std::vector<int>::push_back_%u_%u", level, i),
                .image = "libstdc++.so.6",
                .address = "0x7f0012345678",
                .active_ns = 123456789 + i,
                .samples = level,
            };
        }
        node = &node->children[0];
    }
    return root;
}

static void the_deepest_stack_travels(void **state)
{
    (void)state;
    struct flame_result flame = {.root = *make_tree(LIMIT_STACK_IPS + 200, 1)};
    struct flame_result copy;
    struct text text;
    struct error error;
    text_init(&text, SIZE_MAX);
    rpc_encode(&rpc_type_flame_result, &flame, &text);
    struct json_scan scan = json_scan_of(text.data, text.length_bytes);
    assert_int_equal(rpc_decode_text(&rpc_type_flame_result, &scan, &arena, &copy, &error), 0);
    assert_true(json_scan_end(&scan));
    unsigned depth = 0;
    for (const struct flame_node *node = &copy.root; node->n_children > 0; depth++) {
        node = &node->children[0];
    }
    assert_int_equal(depth, LIMIT_STACK_IPS + 200);
    text_release(&text);
}

static void megabytes_travel_fast(void **state)
{
    (void)state;
    struct flame_result flame = {.root = *make_tree(100, 100)};
    struct flame_result copy;
    struct text text;
    struct error error;
    text_init(&text, SIZE_MAX);
    uint64_t start_ns = clock_now_ns();
    rpc_encode(&rpc_type_flame_result, &flame, &text);
    uint64_t encoded_ns = clock_now_ns();
    struct json_scan scan = json_scan_of(text.data, text.length_bytes);
    assert_int_equal(rpc_decode_text(&rpc_type_flame_result, &scan, &arena, &copy, &error), 0);
    uint64_t decoded_ns = clock_now_ns();
    assert_int_equal(copy.root.children[0].n_children, 100);
    print_message("%zu bytes: encoded in %.1f ms, decoded in %.1f ms\n", text.length_bytes,
                  (double)(encoded_ns - start_ns) / 1e6, (double)(decoded_ns - encoded_ns) / 1e6);
    text_release(&text);
}

#define ARENA_TEST(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(what_is_missing_has_its_default),
        ARENA_TEST(what_is_there_is_taken),
        ARENA_TEST(numbers_that_just_fit_are_taken),
        ARENA_TEST(wrong_types_are_named_by_their_path),
        ARENA_TEST(required_members_must_be_there),
        ARENA_TEST(text_that_is_not_json_says_where),
        ARENA_TEST(too_little_memory_is_said),
        ARENA_TEST(results_travel),
        ARENA_TEST(the_deepest_stack_travels),
        ARENA_TEST(megabytes_travel_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
