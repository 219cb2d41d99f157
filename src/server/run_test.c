/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/run.h"
#include "server/run_diagnose_unwind.h"
#include "server/run_test.h"

/* A backend that fails where it is told to, and otherwise plays a replay. */
static int start_answer, drain_answer, n_freed;

static int failing_start(struct capture *capture)
{
    return start_answer < 0 ? start_answer : capture_fake_ops.start(capture);
}

static int failing_drain(struct capture *capture, int timeout_ms, enum capture_state *ret_state)
{
    return drain_answer < 0 ? drain_answer : capture_fake_ops.drain(capture, timeout_ms, ret_state);
}

static struct capture *counting_free(struct capture *capture)
{
    n_freed++;
    return capture_fake_ops.free(capture);
}

static struct capture_ops ops;

static int set_up(void **state)
{
    (void)state;
    ops = capture_fake_ops;
    ops.start = failing_start;
    ops.drain = failing_drain;
    ops.free = counting_free;
    start_answer = drain_answer = n_freed = 0;
    return begin_surroundings();
}

static int tear_down(void **state)
{
    (void)state;
    end_surroundings();
    return 0;
}

static struct start_request request_for(const char *script)
{
    return (struct start_request){
        .replay = script,
        .frequency_hz = 900,
        .max_memory_bytes = LIMIT_MEMORY_DEFAULT_BYTES,
    };
}

static struct run *start(const struct start_request *request)
{
    const struct run_config config = {
        .id = 3,
        .capture = &ops,
        .request = request,
        .symbolizer = symbolizer,
        .on_change = on_change,
    };
    struct run *run = NULL;
    assert_int_equal(run_new(&config, &run), 0);
    return run;
}

static void wait_for(struct run *run, enum run_phase phase)
{
    while (run_get_phase(run) != phase) {
        uv_sem_wait(&changed);
    }
}

static struct run_info describe(struct run *run, struct arena *arena)
{
    struct run_info info;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(run);
    assert_non_null(snapshot);
    assert_int_equal(run_describe(run, snapshot, arena, &info), 0);
    return info;
}

static void test_from_start_to_end(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=30000,threads=5,switches=3000,block=1");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    struct run_info info = describe(run, &arena);
    assert_int_equal(info.id, 3);
    assert_int_equal(info.state, RUN_STATE_STOPPED);
    assert_string_equal(info.stop_reason, "target exited");
    assert_int_equal(info.samples, 30000);
    assert_int_equal(run_get_samples(run), 30000);
    assert_int_equal(info.threads, 5);
    assert_int_equal(info.lost, 0);
    assert_int_equal(info.n_notes, 1);
    assert_false(info.has_exit_status);
    run_set_exit_status(run, 137);
    info = describe(run, &arena);
    assert_true(info.has_exit_status);
    assert_int_equal(info.exit_status, 137);
    assert_int_equal(n_freed, 1);
    /* The clock of the stream: 30000 samples at 4 * 900 Hz. */
    assert_in_range(info.duration_ns, UINT64_C(8300000000), UINT64_C(8400000000));
    struct capture_stats capture;
    struct run_ingest_stats ingest;
    run_get_stats(run, &capture, &ingest);
    assert_int_equal(ingest.n_lost, 0);
    assert_true(capture.events_delivered > 36000);
    assert_null(run_unref(run));
}

static void test_stop(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=1G,rate=20000");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_RECORDING);
    while (run_get_samples(run) == 0) {
        struct snapshot *snapshot = run_take_snapshot(run);
        assert_non_null(snapshot);
        snapshot_unref(snapshot);
    }
    assert_int_equal(describe(run, &arena).state, RUN_STATE_RECORDING);
    assert_null(describe(run, &arena).stop_reason);
    run_stop(run, RUN_END_STOPPED);
    run_stop(run, RUN_END_SERVER_SHUTDOWN); /* the first cause counts */
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    assert_string_equal(describe(run, &arena).stop_reason, "stopped");
    uint64_t sequence = run_get_sequence(run);
    assert_int_equal(describe(run, &arena).samples, describe(run, &arena).samples);
    assert_int_equal(run_get_sequence(run), sequence);
    run_unref(run);
}

static void test_time_limit(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=1G,rate=1000");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    request.time_limit_ns = 50 * NS_PER_MS;
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    struct run_info info = describe(run, &arena);
    assert_string_equal(info.stop_reason, "time limit");
    assert_in_range(info.duration_ns, 50 * NS_PER_MS, 2000 * NS_PER_MS);
    run_unref(run);
}

/* A live target that does nothing: its time passes all the same. */
static void test_time_passes_without_events(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=0,hold=1");
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_RECORDING);
    uint64_t passed_ns = 0;
    uint64_t began_ns = clock_now_ns();
    while (passed_ns < 100 * NS_PER_MS) {
        struct snapshot *snapshot = run_take_snapshot(run);
        passed_ns = snapshot->now_ns - snapshot->start_ns;
        assert_true(snapshot->now_ns <= clock_now_ns());
        snapshot_unref(snapshot);
        uv_sleep(5);
        assert_true(clock_now_ns() - began_ns < 10 * NS_PER_S);
    }
    run_stop(run, RUN_END_STOPPED);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    run_unref(run);
}

static void check_failed(const struct start_request *request, const char *code)
{
    struct run *run = start(request);
    wait_for(run, RUN_PHASE_FAILED);
    run_join(run);
    assert_string_equal(run_get_error(run)->code, code);
    assert_true(run_get_error(run)->message[0] != '\0');
    assert_null(run_unref(run));
}

static void test_start_that_fails(void **state)
{
    (void)state;
    struct start_request request = request_for("nonsense");
    check_failed(&request, "invalid_params");
    assert_int_equal(n_freed, 0);
    request = request_for("samples=1");
    start_answer = -ESRCH;
    check_failed(&request, "target_gone");
    assert_int_equal(n_freed, 1);
    start_answer = -EMFILE;
    check_failed(&request, "internal");
    request.replay = NULL;
    request.pid = 4194305;
    check_failed(&request, "no_such_process");
}

static void test_capture_that_breaks(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=1G,rate=1000");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    drain_answer = -EIO;
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    assert_non_null(strstr(describe(run, &arena).stop_reason, "capture failed"));
    run_unref(run);
}

static void test_frequency_is_clamped_with_a_note(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=1");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    request.frequency_hz = 20000000;
    struct run *run = start(&request);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    struct run_info info = describe(run, &arena);
    assert_true(info.frequency_hz <= LIMIT_FREQUENCY_HZ);
    assert_int_equal(info.n_notes, 2);
    assert_non_null(strstr(info.notes[0], "20000000"));
    run_unref(run);
}

/* A capture whose set_code() takes as long as the test wants, as reading another process can. */
static struct event_sink slow_sink;
static uv_sem_t slow_has_begun, slow_may_end;
static bool slow_has_told;

static int slow_open(const struct capture_config *config, struct event_sink sink,
                     struct capture **ret_capture, struct error *reterr_error)
{
    slow_sink = sink;
    return capture_fake_ops.open(config, sink, ret_capture, reterr_error);
}

static int slow_drain(struct capture *capture, int timeout_ms, enum capture_state *ret_state)
{
    static const uint64_t ip = 0x401000;
    struct event sample = {.kind = EVENT_SAMPLE, .pid = 9, .tid = 9, .time_ns = clock_now_ns()};
    sample.stack.ips = &ip;
    sample.stack.n_ips = 1;
    sample.stack.source = EVENT_STACK_WALKED;
    sample.stack.end = EVENT_STACK_END_COMPLETE;
    if (!slow_has_told) {
        slow_has_told = true;
        assert_int_equal(slow_sink.on_events(slow_sink.userdata, &sample, 1), 0);
    }
    return capture_fake_ops.drain(capture, timeout_ms, ret_state);
}

static void slow_set_code(struct capture *capture, const struct code_map *map)
{
    (void)capture;
    assert_int_equal(map->pid, 9);
    uv_sem_post(&slow_has_begun);
    uv_sem_wait(&slow_may_end);
    uv_sem_post(&slow_may_end); /* once more, if the run lasts until code is told again */
}

static void test_who_asks_does_not_wait_for_the_target(void **state)
{
    (void)state;
    struct start_request request = request_for("samples=10,threads=1,hold=1");
    _cleanup_(cfi_store_freep) struct cfi_store *store = NULL;
    _cleanup_(arena_releasep) struct arena arena;
    struct diagnose_unwind unwind;
    struct capture_stats capture;
    struct run_ingest_stats ingest;
    struct run *run = NULL;
    arena_init(&arena, 0);
    ops.open = slow_open;
    ops.drain = slow_drain;
    ops.set_code = slow_set_code;
    slow_has_told = false;
    uv_sem_init(&slow_has_begun, 0);
    uv_sem_init(&slow_may_end, 0);
    assert_int_equal(cfi_store_new(&store), 0);
    const struct run_config config = {
        .id = 3,
        .capture = &ops,
        .request = &request,
        .symbolizer = symbolizer,
        .cfi_store = store,
        .on_change = on_change,
    };
    assert_int_equal(run_new(&config, &run), 0);
    uv_sem_wait(&slow_has_begun);
    alarm(20);
    run_get_stats(run, &capture, &ingest);
    assert_int_equal(run_diagnose_unwind(run, &arena, &unwind), 0);
    alarm(0);
    uv_sem_post(&slow_may_end);
    run_stop(run, RUN_END_STOPPED);
    wait_for(run, RUN_PHASE_STOPPED);
    run_join(run);
    assert_int_equal(run_diagnose_unwind(run, &arena, &unwind), 0);
    assert_true(unwind.stacks >= 1);
    run_unref(run);
    uv_sem_destroy(&slow_has_begun);
    uv_sem_destroy(&slow_may_end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_from_start_to_end),
        TEST(test_stop),
        TEST(test_time_limit),
        TEST(test_time_passes_without_events),
        TEST(test_start_that_fails),
        TEST(test_capture_that_breaks),
        TEST(test_frequency_is_clamped_with_a_note),
        TEST(test_who_asks_does_not_wait_for_the_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
