/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "server/ring_triggers.h"
#include "server/run_freeze.h"
#include "server/run_internal.h"
#include "server/run_registry.h"
#include "server/run_test.h"

static int set_up(void **state)
{
    (void)state;
    return begin_surroundings();
}

static int tear_down(void **state)
{
    (void)state;
    end_surroundings();
    return 0;
}

/* Ten seconds of a stream, played at once. */
static struct run *played_run(void)
{
    const struct start_request request = {
        .replay = "samples=20000,threads=5,switches=3000,duration_ns=10G,block=1",
        .frequency_hz = 900,
        .max_memory_bytes = LIMIT_MEMORY_DEFAULT_BYTES,
    };
    const struct run_config config = {
        .id = 1,
        .capture = &capture_fake_ops,
        .request = &request,
        .symbolizer = symbolizer,
        .on_change = on_change,
    };
    struct run *run = NULL;
    assert_int_equal(run_new(&config, &run), 0);
    while (run_get_phase(run) != RUN_PHASE_STOPPED) {
        uv_sem_wait(&changed);
    }
    run_join(run);
    return run;
}

static struct run *freeze_last(struct run *run, uint64_t back_ns, const char *reason)
{
    struct error error = {0};
    struct run *frozen = NULL;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(run);
    const struct run_part part = {
        .from_ns = snapshot->now_ns - back_ns, .to_ns = snapshot->now_ns, .reason = reason};
    assert_int_equal(run_freeze(run, snapshot, &part, &frozen, &error), 0);
    return frozen;
}

static struct run_info describe(struct run *run, struct arena *arena)
{
    struct run_info info;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(run);
    assert_non_null(snapshot);
    assert_int_equal(run_describe(run, snapshot, arena, &info), 0);
    return info;
}

static void test_a_part_is_a_run(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run *run = played_run();
    struct run *frozen = freeze_last(run, 3 * NS_PER_S, "somebody asked");
    struct run_info whole = describe(run, &arena), part = describe(frozen, &arena);
    assert_int_equal(part.state, RUN_STATE_STOPPED);
    assert_string_equal(part.stop_reason, "frozen: somebody asked");
    assert_int_equal(part.frozen_from, 1);
    assert_int_equal(whole.frozen_from, 0);
    assert_int_equal(part.duration_ns, 3 * NS_PER_S);
    assert_int_equal(part.pid, whole.pid);
    assert_string_equal(part.command, whole.command);
    assert_int_equal(part.frequency_hz, whole.frequency_hz);
    assert_true(part.samples > whole.samples / 4 && part.samples < whole.samples / 2);
    assert_non_null(strstr(part.notes[0], "of run 1"));
    assert_ptr_equal(run_get_names(frozen), run_get_names(run));

    /* Whoever has the part keeps what it needs of the run. */
    run_unref(run);
    part = describe(frozen, &arena);
    assert_int_equal(part.frozen_from, 1);
    struct snapshot *snapshot = run_take_snapshot(frozen);
    assert_non_null(query_names_find(run_get_names(frozen), snapshot, 0)->name);
    snapshot_unref(snapshot);
    run_unref(frozen);
}

static void test_nothing_of_no_time(void **state)
{
    (void)state;
    struct error error = {0};
    struct run *run = played_run(), *frozen = NULL;
    struct snapshot *snapshot = run_take_snapshot(run);
    const struct run_part part = {.from_ns = snapshot->now_ns, .to_ns = snapshot->now_ns};
    assert_int_equal(run_freeze(run, snapshot, &part, &frozen, &error), -EINVAL);
    assert_null(frozen);
    snapshot_unref(snapshot);
    run_unref(run);
}

static void test_the_run_tells_of_its_parts(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run_registry registry;
    run_registry_init(&registry);
    struct run *run = played_run();
    run_registry_begin(&registry, run);
    run_registry_commit(&registry);
    for (int i = 0; i < 10; i++) {
        struct run *frozen = freeze_last(run, NS_PER_S, NULL);
        run_registry_add_part(&registry, frozen);
        run_note_frozen(run, frozen);
        assert_int_equal(run_get_id(frozen), i + 2);
    }
    run_note_not_frozen(run, 3, 2);
    /* The recording goes on and is what is meant. */
    assert_int_equal(registry.selected, 1);
    assert_ptr_equal(run_registry_meant(&registry, 0), run);
    assert_int_equal(run_registry_next_id(&registry), 12);
    struct run_info info = describe(run, &arena);
    assert_string_equal(info.notes[info.n_notes - 1],
                        "frozen 10 times, the last of them run 4, 5, 6, 7, 8, 9, 10, 11; 3 more "
                        "stalls began before "
                        "the last freeze ended; 2 stalls were not frozen: what is frozen takes "
                        "all the room there is");
    info = describe(registry.runs[1], &arena);
    assert_string_equal(info.stop_reason, "frozen on request");
    run_registry_retire(&registry);
    run_registry_release(&registry);
}

static int try_freeze(struct run *run, struct run **ret_frozen, struct error *reterr_error)
{
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(run);
    const struct run_part part = {.from_ns = 0, .to_ns = snapshot->now_ns};
    return run_freeze(run, snapshot, &part, ret_frozen, reterr_error);
}

/* Whoever asks, and of whatever part; what comes to nothing takes no room. */
static void test_what_is_frozen_is_bounded(void **state)
{
    (void)state;
    struct error error = {0};
    struct run *run = played_run(), *part = NULL, *last = NULL;
    struct snapshot *snapshot = run_take_snapshot(run);
    const struct run_part nothing = {.from_ns = snapshot->now_ns, .to_ns = snapshot->now_ns};
    for (unsigned int i = 0; i < RUN_FREEZE_MAX_PARTS; i++) {
        assert_int_equal(run_freeze(run, snapshot, &nothing, &part, &error), -EINVAL);
    }
    snapshot_unref(snapshot);
    for (unsigned int i = 0; i < RUN_FREEZE_MAX_PARTS; i++) {
        part = freeze_last(i % 2 == 0 ? run : last, NS_PER_S / 10, NULL);
        run_unref(last);
        last = part;
    }
    struct run *asked[] = {run, last};
    for (size_t i = 0; i < 2; i++) {
        error = (struct error){0};
        assert_int_equal(try_freeze(asked[i], &part, &error), -ENOSPC);
        assert_string_equal(error.code, "limit");
        assert_non_null(strstr(error.message, "run 1 has been frozen 64 times"));
        assert_true(error.hint[0] != '\0');
    }
    run_unref(last);
    run_unref(run);
    /* And by memory, of which the run says how much there is. */
    run = played_run();
    run->request.max_memory_bytes = 1;
    assert_int_equal(try_freeze(run, &part, &error), 0);
    run_unref(part);
    assert_int_equal(try_freeze(run, &part, &error), -ENOSPC);
    run_unref(run);
}

static void test_a_ring_keeps_what_its_triggers_need(void **state)
{
    (void)state;
    struct ring_trigger triggers[] = {{.on = "off-cpu", .longer_than_ns = 3 * NS_PER_S}};
    struct run *run = played_run();
    assert_int_equal(run_aggregate_config(run).ring_ns, 0);
    run->request.ring_ns = 2 * NS_PER_S;
    assert_int_equal(run_aggregate_config(run).ring_ns, 2 * NS_PER_S + RUN_RING_SLACK_NS);
    run->request.triggers = triggers;
    run->request.n_triggers = 1;
    /* Its beginning is 3 s and the patience away when a wait that lasts is met. */
    assert_int_equal(run_aggregate_config(run).ring_ns,
                     (2 + 3) * NS_PER_S + RING_PATIENCE_NS + RUN_RING_SLACK_NS);
    run_unref(run);
}

static void test_a_part_tells_what_it_lacks(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct error error = {0};
    struct run *run = played_run(), *part = NULL;
    struct snapshot *snapshot = run_take_snapshot(run);
    uint64_t folded_ns = snapshot->start_ns + 4 * NS_PER_S;
    snapshot->folded_until_ns = folded_ns;
    const struct run_part all = {.from_ns = 0, .to_ns = snapshot->now_ns};
    const struct run_part late = {.from_ns = folded_ns, .to_ns = snapshot->now_ns};
    assert_int_equal(run_freeze(run, snapshot, &all, &part, &error), 0);
    struct run_info info = describe(part, &arena);
    assert_string_equal(info.notes[1], "the first 4.000 s of what was to be frozen are not in it: "
                                       "they had been dropped by then");
    run_unref(part);
    assert_int_equal(run_freeze(run, snapshot, &late, &part, &error), 0);
    info = describe(part, &arena);
    for (size_t i = 0; i < info.n_notes; i++) {
        assert_null(strstr(info.notes[i], "to be frozen"));
    }
    run_unref(part);
    snapshot_unref(snapshot);
    run_unref(run);
}

/* However many parts there are, the run that is recorded stays listed. */
static void test_the_active_run_is_not_forgotten(void **state)
{
    (void)state;
    struct run_registry registry;
    run_registry_init(&registry);
    struct run *run = played_run();
    run_registry_begin(&registry, run);
    run_registry_commit(&registry);
    run_registry_add_part(&registry, freeze_last(run, NS_PER_S, NULL));
    assert_true(run_registry_select(&registry, 2));
    struct run *other = NULL;
    for (unsigned int i = 0; i < RUN_REGISTRY_MAX_RUNS; i++) {
        if (i % RUN_FREEZE_MAX_PARTS == 0) {
            run_unref(other);
            other = played_run();
        }
        run_registry_add_part(&registry, freeze_last(other, NS_PER_S / 10, NULL));
    }
    run_unref(other);
    assert_int_equal(registry.n_runs, RUN_REGISTRY_MAX_RUNS);
    assert_ptr_equal(run_registry_find(&registry, 1), run);
    assert_non_null(run_registry_find(&registry, 2));
    assert_null(run_registry_find(&registry, 3));
    run_registry_retire(&registry);
    run_registry_release(&registry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_part_is_a_run),
        TEST(test_nothing_of_no_time),
        TEST(test_the_run_tells_of_its_parts),
        TEST(test_what_is_frozen_is_bounded),
        TEST(test_a_ring_keeps_what_its_triggers_need),
        TEST(test_a_part_tells_what_it_lacks),
        TEST(test_the_active_run_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
