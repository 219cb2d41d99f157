/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "aggregate/aggregate.h"
#include "base/clock.h"
#include "query/frame_jit.h"

#define CODE_IP UINT64_C(0x700000)
#define MS NS_PER_MS

static struct aggregate *aggregate;
static struct jit_code *code;

static void apply_sample(int64_t pid, uint64_t time_ns)
{
    const uint64_t ips[] = {CODE_IP + 8};
    const struct event event = {
        .kind = EVENT_SAMPLE,
        .pid = pid,
        .tid = pid,
        .time_ns = time_ns,
        .stack = {.ips = ips, .n_ips = 1},
        .sample = {.period_ns = 1000},
    };
    assert_int_equal(aggregate_apply(aggregate, &event, 1), 0);
}

static void map_code(int64_t pid)
{
    const struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = CODE_IP,
        .end_ip = CODE_IP + 4096,
        .path = "//anon",
    };
    const struct event event = {
        .kind = EVENT_IMAGE, .pid = pid, .tid = pid, .time_ns = 1, .image = &image};
    assert_int_equal(aggregate_apply(aggregate, &event, 1), 0);
}

static void load(int64_t pid, uint64_t from_ns, const char *name)
{
    const struct jit_load wanted = {
        .pid = pid,
        .start_ip = CODE_IP,
        .n_bytes = 64,
        .from_ns = from_ns,
        .name = name,
        .n_name_bytes = strlen(name),
        .fd = -1,
    };
    assert_int_equal(jit_code_load(code, &wanted), 0);
    assert_int_equal(jit_code_publish(code), 0);
}

static const char *name_of(const struct snapshot *snapshot, frame_id id)
{
    struct symbol_chain_entry entry;
    return frame_jit_entry(code, snapshot, snapshot_frame(snapshot, id), &entry)
               ? entry.symbol->name
               : "";
}

/* One address, two processes, and a replacement that is told before and after the fact. */
static void test_by_process_and_time(void **state)
{
    (void)state;
    assert_int_equal(jit_code_new(&code), 0);
    const struct aggregate_config config = {.code_reuse_count = jit_code_reuse_count(code)};
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    map_code(1);
    map_code(2);
    apply_sample(1, 100 * MS);
    apply_sample(2, 100 * MS);
    load(1, 50 * MS, "first");
    load(1, 200 * MS, "second");
    apply_sample(1, 210 * MS);  /* the replacement was seen: another frame */
    apply_sample(1, 900 * MS);  /* time went by: another frame */
    load(1, 800 * MS, "third"); /* told late */
    load(2, 50 * MS, "of the other");
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = aggregate_snapshot(aggregate, 1000 * MS);
    assert_int_equal(snapshot->n_frames, 4);
    assert_string_equal(name_of(snapshot, 0), "first");
    assert_string_equal(name_of(snapshot, 1), "of the other");
    assert_string_equal(name_of(snapshot, 2), "second");
    assert_string_equal(name_of(snapshot, 3), "third");
    struct epoch_span span = snapshot_code_epoch(snapshot, snapshot_frame(snapshot, 3).code_epoch);
    assert_int_equal(span.pid, 1);
    assert_int_equal(span.from_ns, 900 * MS);
    assert_int_equal(span.to_ns, snapshot->now_ns);
    struct jit_place place;
    struct frame file_frame = {.image = IMAGE_ID_KERNEL, .offset = CODE_IP};
    assert_false(frame_jit_find(code, snapshot, file_frame, &place));
    assert_false(frame_jit_find(NULL, snapshot, snapshot_frame(snapshot, 0), &place));
}

static int teardown(void **state)
{
    (void)state;
    aggregate = aggregate_free(aggregate);
    code = jit_code_free(code);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_by_process_and_time, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
