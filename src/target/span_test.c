/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include <stax/target.h>

#include "target/scenario.h"
#include "target/test_server.h"
#include "target_ring/tables.h"

static stax_stats stats_now(void)
{
    stax_stats stats = {.size = sizeof(stats)};

    stax_target_stats(&stats);
    return stats;
}

static struct test_peer *record(struct test_server *server)
{
    struct test_peer *peer = test_server_find(server, getpid(), SCENARIO_WAIT_MS);

    CHECK(peer);
    CHECK_SOON(stats_now().state == STAX_TARGET_CONNECTED);
    test_peer_set_active(peer, true);
    CHECK(stax_recording_active());
    CHECK(stats_now().state == STAX_TARGET_RECORDED);
    return peer;
}

static void nothing_without_a_lane(const char *socket)
{
    (void)socket;
    stax_lane none = {0};
    CHECK(!stax_recording_active());
    CHECK(stax_gate != NULL);
    CHECK(stats_now().state == STAX_TARGET_IDLE);
    stax_origin origin = stax_origin_capture(none);
    CHECK(origin.tid == 0 && origin.time_ns == 0 && origin.pid == 0);
    stax_span span = stax_span_begin(none, "x", origin);
    CHECK(span.start_ns == 0);
    stax_span_end(&span);
    stax_span_report(none, "x", 1, 2, origin);
    stax_span_builder builder;
    stax_builder_init(&builder, none, "x", origin);
    stax_builder_ids(&builder, 1, 2, 3);
    stax_builder_report(&builder, 1, 2);
    CHECK(stats_now().n_queued == 0);
    CHECK(stax_now_ns() != 0);
}

static void inactive_it_does_nothing(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = test_server_find(server, getpid(), SCENARIO_WAIT_MS);
    CHECK(peer && lane.id);
    stax_span span = stax_span_begin(lane, "never told", stax_origin_capture(lane));
    CHECK(span.start_ns == 0 && span.name.id == 0);
    stax_span_end(&span);
    stax_span_report(lane, "never told", 1, 2, stax_no_origin());
    const struct target_ring_state *state = target_ring_state(peer->memory);
    CHECK(state->head == 0);
    CHECK(state->n_names == 2); /* "(other)" and the lane's */
    CHECK(stats_now().n_queued == 0 && stats_now().n_dropped_no_server == 0);
    CHECK_SOON(stats_now().state == STAX_TARGET_CONNECTED);
}

static void a_span_is_told_as_it_was(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new_kind("GPU 0", STAX_LANE_GPU);
    struct test_peer *peer = record(server);
    struct target_ring_slot slot;
    char text[64];

    errno = 7;
    uint64_t before_ns = stax_now_ns();
    stax_origin origin = stax_origin_capture(lane);
    stax_span span = stax_span_begin(lane, "decode frame", origin);
    stax_span_end(&span);
    uint64_t after_ns = stax_now_ns();
    CHECK(errno == 7);
    CHECK(span.start_ns == 0);
    stax_span_end(&span);

    CHECK(test_peer_take(peer, &slot, 1) == 1);
    CHECK(slot.kind == TARGET_RING_SPAN && slot.n_details == 0);
    CHECK(slot.span.lane == lane.id && slot.span.reporter_tid == (uint32_t)getpid());
    CHECK(slot.span.origin.pid == (uint32_t)getpid());
    CHECK(slot.span.origin.tid == (uint32_t)getpid());
    CHECK(before_ns <= slot.span.origin.time_ns);
    CHECK(slot.span.origin.time_ns <= slot.span.start_ns);
    CHECK(slot.span.start_ns <= slot.span.end_ns && slot.span.end_ns <= after_ns);
    test_peer_name(peer, slot.name, text, sizeof(text));
    CHECK(strcmp(text, "decode frame") == 0);
    const struct target_ring_lane *told = &target_ring_lanes(peer->memory)[slot.span.lane];
    CHECK(told->is_set == 1 && told->kind == STAX_LANE_GPU);
    test_peer_name(peer, told->name, text, sizeof(text));
    CHECK(strcmp(text, "GPU 0") == 0);
    CHECK(test_peer_take(peer, &slot, 1) == 0);

    stax_name_id inner = stax_name_inside(stax_name("outer"), "inner");
    stax_span_report_named(lane, inner, 10, 20, stax_no_origin());
    CHECK(test_peer_take(peer, &slot, 1) == 1);
    CHECK(slot.span.start_ns == 10 && slot.span.end_ns == 20 && slot.span.origin.tid == 0);
    CHECK(target_ring_names(peer->memory)[slot.name].parent == stax_name("outer").id);
    CHECK(stats_now().n_queued == 2 && stats_now().n_sent == 2);
}

static void details_follow_their_span(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    struct target_ring_slot slots[20];
    char text[64];
    static const uint32_t shape[5] = {1, 2, 3, 4, 5};
    stax_origin waiter = {.time_ns = 100, .tid = 5, .pid = 6};
    stax_span_builder builder;

    stax_builder_init(&builder, lane, "kernel", waiter);
    stax_builder_ids(&builder, 1, 2, 3);
    stax_builder_waited(&builder, waiter, 200);
    stax_builder_completed(&builder, waiter);
    stax_builder_source(&builder, "kernel.cl", 42, NULL);
    stax_builder_counter(&builder, "bytes", 1.5, "GB/s");
    stax_builder_attachment(&builder, "tensor", 4096, shape, 5);
    stax_builder_report(&builder, 150, 190);
    CHECK(test_peer_take(peer, slots, 20) == 7);
    CHECK(slots[0].kind == TARGET_RING_SPAN && slots[0].n_details == 6);
    CHECK(slots[1].kind == TARGET_RING_IDS && slots[1].ids.queue_id == 1);
    CHECK(slots[1].ids.command_buffer_id == 2 && slots[1].ids.dispatch_id == 3);
    CHECK(slots[2].kind == TARGET_RING_WAIT && slots[2].wait.end_ns == 200);
    CHECK(slots[2].wait.begin.tid == 5 && slots[2].wait.begin.time_ns == 100);
    CHECK(slots[3].kind == TARGET_RING_COMPLETION && slots[3].completion.pid == 6);
    CHECK(slots[4].kind == TARGET_RING_SOURCE && slots[4].source.line == 42);
    CHECK(slots[4].source.function == 0);
    test_peer_name(peer, slots[4].name, text, sizeof(text));
    CHECK(strcmp(text, "kernel.cl") == 0);
    CHECK(slots[5].kind == TARGET_RING_COUNTER && slots[5].counter.value > 1.4);
    test_peer_name(peer, slots[5].counter.unit, text, sizeof(text));
    CHECK(strcmp(text, "GB/s") == 0);
    CHECK(slots[6].kind == TARGET_RING_ATTACHMENT && slots[6].attachment.size_bytes == 4096);
    CHECK(slots[6].attachment.n_dimensions == 4 && slots[6].attachment.dimensions[3] == 4);
    for (int i = 0; i < 20; i++) {
        stax_builder_ids(&builder, 1, 2, 3);
    }
    CHECK(stats_now().n_details_refused == 11);
    stax_builder_report(&builder, 1, 2);
    CHECK(test_peer_take(peer, slots, 20) == 16);
    CHECK(stats_now().n_queued == 2 && stats_now().n_sent == 2);
}

static void a_full_ring_drops_the_newest(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    stax_name_id name = stax_name("name");
    struct target_ring_slot slot;

    for (uint64_t i = 0; i < TARGET_RING_SLOTS + 1000; i++) {
        stax_span_report_named(lane, name, i + 1, i + 2, stax_no_origin());
    }
    CHECK(stats_now().n_queued == TARGET_RING_SLOTS && stats_now().n_dropped_full == 1000);
    CHECK(stats_now().n_sent == 0);
    for (uint64_t i = 0; i < TARGET_RING_SLOTS; i++) {
        CHECK(test_peer_take(peer, &slot, 1) == 1);
        CHECK(slot.span.start_ns == i + 1);
    }
    CHECK(stats_now().n_sent == TARGET_RING_SLOTS);
    stax_span_report_named(lane, name, 5, 6, stax_no_origin());
    CHECK(test_peer_take(peer, &slot, 1) == 1 && slot.span.start_ns == 5);
}

static void what_ends_too_late_is_counted(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    struct target_ring_slot slot;
    stax_span span = stax_span_begin(lane, "name", stax_no_origin());
    stax_span_builder builder;

    stax_builder_init(&builder, lane, "name", stax_no_origin());
    test_peer_set_active(peer, false);
    stax_span_end(&span);
    stax_builder_report(&builder, 1, 2);
    CHECK(stats_now().n_dropped_no_server == 2 && stats_now().n_queued == 0);
    CHECK(test_peer_take(peer, &slot, 1) == 0);
}

static void what_the_server_skips_is_not_sent(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    struct target_ring_slot slot;

    for (uint64_t i = 0; i < 3; i++) {
        stax_span_report(lane, "name", i + 1, i + 2, stax_no_origin());
    }
    CHECK(test_peer_take(peer, &slot, 1) == 1);
    CHECK(stats_now().n_sent == 1 && stats_now().n_dropped_no_server == 0);
    test_peer_set_active(peer, false);
    test_peer_set_active(peer, true);
    CHECK(stats_now().n_sent == 1 && stats_now().n_dropped_no_server == 2);
    stax_span_report(lane, "name", 7, 8, stax_no_origin());
    CHECK(stats_now().n_sent == 1 && stats_now().n_dropped_no_server == 2);
    CHECK(test_peer_take(peer, &slot, 1) == 1 && slot.span.start_ns == 7);
    CHECK(stats_now().n_sent == 2 && stats_now().n_dropped_no_server == 2);
}

#define N_THREADS 8
#define N_EACH 50000

static stax_lane hammered_lane;
static stax_name_id hammered_name;

/* The start tells thread and count, and the end repeats it, so that a torn slot shows. */
static void *hammer(void *argument)
{
    uint64_t base = ((uint64_t)(uintptr_t)argument + 1) << 32;

    for (uint64_t i = 0; i < N_EACH; i++) {
        stax_stats stats = {.size = sizeof(stats)};
        stax_span_report_named(hammered_lane, hammered_name, base + i, ~(base + i),
                               stax_no_origin());
        if (i % 10000 == 0) {
            stax_target_stats(&stats);
        }
    }
    return NULL;
}

static uint64_t take_all(struct test_peer *peer, uint64_t *next)
{
    static struct target_ring_slot slots[4096];
    size_t n = test_peer_take(peer, slots, 4096);

    for (size_t i = 0; i < n; i++) {
        uint64_t told = slots[i].span.start_ns;
        uint64_t thread = (told >> 32) - 1;
        CHECK(thread < N_THREADS && slots[i].span.end_ns == ~told);
        /* Those that are dropped are missing, and none comes twice or out of turn. */
        CHECK((told & 0xffffffff) >= next[thread]);
        next[thread] = (told & 0xffffffff) + 1;
    }
    return n;
}

static void threads_hammer_it(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    hammered_lane = stax_lane_new("lane");
    hammered_name = stax_name("name");
    struct test_peer *peer = record(server);
    pthread_t threads[N_THREADS];
    uint64_t next[N_THREADS] = {0}, n_taken = 0, n;

    for (uintptr_t i = 0; i < N_THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, hammer, (void *)i) == 0);
    }
    do {
        n_taken += take_all(peer, next);
    } while (stats_now().n_queued + stats_now().n_dropped_full < (uint64_t)N_THREADS * N_EACH);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    while ((n = take_all(peer, next)) > 0) {
        n_taken += n;
    }
    CHECK(n_taken == stats_now().n_queued && n_taken == stats_now().n_sent);
    CHECK(n_taken + stats_now().n_dropped_full == (uint64_t)N_THREADS * N_EACH);
}

static uint32_t n_interrupts;

static void report_in_handler(int number)
{
    (void)number;
    stax_origin origin = stax_origin_capture(hammered_lane);
    stax_span span = stax_span_begin_named(hammered_lane, hammered_name, origin);
    stax_span_end(&span);
    stax_span_report(hammered_lane, "name", 1, 2, origin);
    /* The first use of a name: its lock is never held where a handler could run. */
    char text[16] = "handler 0000";
    uint32_t n = __atomic_add_fetch(&n_interrupts, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++) {
        text[8 + i] = (char)('a' + (n >> 4 * i & 15));
    }
    stax_span_report(hammered_lane, text, 1, 2, origin);
}

static void handlers_report_too(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    hammered_lane = stax_lane_new("lane");
    hammered_name = stax_name("name");
    struct test_peer *peer = record(server);
    struct sigaction action = {.sa_handler = report_in_handler, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec every = {.it_interval.tv_nsec = 50000, .it_value.tv_nsec = 50000};
    uint64_t n_reported = 0, n_taken = 0;
    char text[32];
    timer_t timer;

    sigaction(SIGUSR1, &action, NULL);
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &every, NULL) == 0);
    while (__atomic_load_n(&n_interrupts, __ATOMIC_RELAXED) < 500) {
        snprintf(text, sizeof(text), "thread %u", (unsigned)(n_reported % 20000));
        stax_span_report(hammered_lane, text, 1, 2, stax_no_origin());
        n_reported++;
        n_taken += test_peer_drain(peer);
    }
    timer_delete(timer);
    n_reported += 3 * (uint64_t)__atomic_load_n(&n_interrupts, __ATOMIC_RELAXED);
    n_taken += test_peer_drain(peer);
    CHECK(n_taken == stats_now().n_queued);
    CHECK(n_reported == stats_now().n_queued + stats_now().n_dropped_full);
}

static void *report_and_leave(void *tid)
{
    stax_origin origin = stax_origin_capture(hammered_lane);
    stax_span span = stax_span_begin_named(hammered_lane, hammered_name, origin);
    stax_span_end(&span);
    *(uint32_t *)tid = (uint32_t)syscall(SYS_gettid);
    return NULL;
}

static void threads_come_and_go(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    hammered_lane = stax_lane_new("lane");
    hammered_name = stax_name("name");
    struct test_peer *peer = record(server);

    for (int i = 0; i < 500; i++) {
        struct target_ring_slot slot;
        uint32_t tid = 0;
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, report_and_leave, &tid) == 0);
        pthread_join(thread, NULL);
        CHECK(test_peer_take(peer, &slot, 1) == 1);
        CHECK(slot.span.reporter_tid == tid && slot.span.origin.tid == tid);
    }
}

static void floods_are_bounded(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    struct target_ring_slot slot;
    char text[32];

    for (unsigned i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "name %u", i);
        stax_span_report(lane, text, 1, 2, stax_no_origin());
        CHECK(test_peer_take(peer, &slot, 1) == 1);
        CHECK(slot.name != TARGET_RING_NAME_OTHER || i > 65000);
    }
    CHECK(slot.name == TARGET_RING_NAME_OTHER);
    CHECK(stats_now().n_names_refused > 30000 && stats_now().n_queued == 100000);
    for (unsigned i = 0; i < 3000; i++) {
        lane = stax_lane_new_kind(i % 2 ? "lane" : "name 7", (enum stax_lane_kind)(i % 9));
        CHECK(lane.id > 0 && lane.id < TARGET_RING_LANES);
    }
    CHECK(stats_now().n_lanes_refused == 0);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "name %u", i);
        lane = stax_lane_new(text);
    }
    CHECK(lane.id == TARGET_RING_LANE_OTHER && stats_now().n_lanes_refused > 1900);
    CHECK(stax_lane_new(NULL).id == 0 && stax_name(NULL).id == 0 && stax_name("").id == 0);
    stax_name_id unknown = {4000000000u};
    CHECK(stax_name_inside(unknown, "name 7").id == stax_name("name 7").id);
}

#define CASE(scenario)                                                                             \
    static void test_##scenario(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(scenario_run(scenario), 0);                                               \
    }

CASE(nothing_without_a_lane)
CASE(inactive_it_does_nothing)
CASE(what_the_server_skips_is_not_sent)
CASE(a_span_is_told_as_it_was)
CASE(details_follow_their_span)
CASE(a_full_ring_drops_the_newest)
CASE(what_ends_too_late_is_counted)
CASE(threads_hammer_it)
CASE(handlers_report_too)
CASE(threads_come_and_go)
CASE(floods_are_bounded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_without_a_lane),
        cmocka_unit_test(test_inactive_it_does_nothing),
        cmocka_unit_test(test_what_the_server_skips_is_not_sent),
        cmocka_unit_test(test_a_span_is_told_as_it_was),
        cmocka_unit_test(test_details_follow_their_span),
        cmocka_unit_test(test_a_full_ring_drops_the_newest),
        cmocka_unit_test(test_what_ends_too_late_is_counted),
        cmocka_unit_test(test_threads_hammer_it),
        cmocka_unit_test(test_handlers_report_too),
        cmocka_unit_test(test_threads_come_and_go),
        cmocka_unit_test(test_floods_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
