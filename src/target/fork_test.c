/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include <stax/target.h>

#include "target/scenario.h"
#include "target/test_server.h"

static stax_lane lane;
static stax_name_id name;

static stax_stats stats_now(void)
{
    stax_stats stats = {.size = sizeof(stats)};

    stax_target_stats(&stats);
    return stats;
}

static struct test_peer *record(struct test_server *server, pid_t pid)
{
    struct test_peer *peer = test_server_find(server, pid, SCENARIO_WAIT_MS);

    CHECK(peer);
    test_peer_set_active(peer, true);
    return peer;
}

static void start(const char *socket, struct test_server **ret_server, struct test_peer **ret_peer)
{
    *ret_server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    lane = stax_lane_new("lane");
    name = stax_name("name");
    *ret_peer = record(*ret_server, getpid());
    CHECK(stax_recording_active());
}

static void check_exit(pid_t child)
{
    int status;

    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

/* Takes one span of the peer, as it comes. */
static struct target_ring_slot take_one(struct test_peer *peer)
{
    struct target_ring_slot slot;

    CHECK_SOON(test_peer_take(peer, &slot, 1) == 1);
    return slot;
}

/* What was told before the fork is known, and what is told later is another process's. */
static void report_as_child(uint64_t start_ns)
{
    CHECK_SOON(stax_origin_capture(lane).tid != 0);
    CHECK(stax_recording_active());
    CHECK(stax_name("name").id == name.id && stax_lane_new("lane").id == lane.id);
    stax_origin origin = stax_origin_capture(lane);
    CHECK(origin.pid == (uint32_t)getpid() && origin.tid == (uint32_t)getpid());
    stax_span_report_named(lane, name, start_ns, start_ns + 1, origin);
    CHECK(stats_now().n_queued == 1);
}

static void check_child_span(struct test_peer *peer, pid_t pid, uint64_t start_ns)
{
    char text[32];
    struct target_ring_slot slot = take_one(peer);

    CHECK(slot.span.start_ns == start_ns);
    CHECK(slot.span.reporter_tid == (uint32_t)pid && slot.span.origin.pid == (uint32_t)pid);
    CHECK(target_ring_state(peer->memory)->pid == (uint32_t)pid);
    test_peer_name(peer, slot.name, text, sizeof(text));
    CHECK(strcmp(text, "name") == 0);
    test_peer_name(peer, target_ring_lanes(peer->memory)[slot.span.lane].name, text, sizeof(text));
    CHECK(strcmp(text, "lane") == 0);
}

static void a_child_connects_by_itself(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;

    start(socket, &server, &parent);
    stax_span span = stax_span_begin_named(lane, name, stax_no_origin());
    stax_span_report_named(lane, name, 1, 2, stax_no_origin());
    pid_t child = fork();
    if (child == 0) {
        /* Who asks first is told to go on, and is not recorded. */
        CHECK(stax_recording_active() && stats_now().state == STAX_TARGET_NO_SERVER);
        CHECK(stats_now().n_queued == 0);
        stax_span_report_named(lane, name, 99, 100, stax_no_origin());
        stax_span_end(&span);
        CHECK(stats_now().n_queued == 0 && stats_now().n_dropped_no_server == 1);
        report_as_child(7);
        _exit(0);
    }
    check_child_span(record(server, child), child, 7);
    check_exit(child);
    /* The parent goes on as if nothing had been. */
    stax_span_end(&span);
    CHECK(take_one(parent).span.start_ns == 1);
    CHECK(take_one(parent).span.reporter_tid == (uint32_t)getpid());
    CHECK(stats_now().n_queued == 2 && stats_now().n_sent == 2);
    CHECK(test_peer_drain(parent) == 0);
}

static void a_child_s_child_too(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;
    int pids[2];
    pid_t grandchild;

    start(socket, &server, &parent);
    CHECK(pipe(pids) == 0);
    pid_t child = fork();
    if (child == 0) {
        grandchild = fork();
        if (grandchild == 0) {
            report_as_child(9);
            _exit(0);
        }
        CHECK(write(pids[1], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
        report_as_child(8);
        check_exit(grandchild);
        _exit(0);
    }
    CHECK(read(pids[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
    check_child_span(record(server, child), child, 8);
    check_child_span(record(server, grandchild), grandchild, 9);
    check_exit(child);
}

/* What the kernel refuses to who has two threads can be done in a child that reports nothing. */
static void a_child_has_one_thread_until_it_reports(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;

    start(socket, &server, &parent);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            CHECK(!scenario_library_thread());
            _exit(0);
        }
        check_exit(grandchild);
        CHECK(!scenario_library_thread());
#if !SCENARIO_UNDER_TSAN
        CHECK(unshare(CLONE_THREAD) == 0);
#endif
        report_as_child(4);
        CHECK(scenario_library_thread());
        _exit(0);
    }
    check_child_span(record(server, child), child, 4);
    check_exit(child);
}

static void be_without_memory(void)
{
    CHECK(!stax_recording_active());
    CHECK(stax_name("another").id == 0 && stax_lane_new("another").id == 0);
    stax_span_report_named(lane, name, 1, 2, stax_no_origin());
    pid_t grandchild = fork();
    if (grandchild == 0) {
        CHECK(stax_lane_new("another").id == 0);
        _exit(0);
    }
    check_exit(grandchild);
    CHECK(stats_now().n_queued == 0 && !scenario_library_thread());
}

static rlim_t own_bytes(void)
{
    char text[64] = "";
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file && fgets(text, sizeof(text), file) && fclose(file) == 0);
    return strtoul(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Its parent's ids may not become other things in it. */
static void a_child_without_memory_has_no_ids(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;
    struct rlimit limit, tight;

    if (SCENARIO_UNDER_TSAN || SCENARIO_UNDER_ASAN) {
        return; /* they need memory themselves */
    }
    start(socket, &server, &parent);
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    tight = limit;
    tight.rlim_cur = own_bytes() + (1 << 20);
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        be_without_memory();
        _exit(0);
    }
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    check_exit(child);
    CHECK(target_ring_state(parent->memory)->head == 0);
}

/* A child for which no handler ran shares its parent's memory, and must keep its hands off it. */
static void a_raw_child_keeps_off(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;

    start(socket, &server, &parent);
    stax_span span = stax_span_begin_named(lane, name, stax_no_origin());
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        CHECK(stax_recording_active()); /* the parent's gate, still */
        CHECK(stax_origin_capture(lane).tid == 0);
        CHECK(stax_span_begin(lane, "name", stax_no_origin()).start_ns == 0);
        stax_span_report_named(lane, name, 99, 100, stax_no_origin());
        stax_span_end(&span);
        _exit(0);
    }
    check_exit(child);
    CHECK(target_ring_state(parent->memory)->head == 0);
    CHECK(stats_now().n_dropped_no_server == 0);
}

static void a_raw_child_starts_over_with_a_lane(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;

    if (SCENARIO_UNDER_TSAN) {
        return; /* it takes the parent's threads for the child's */
    }
    start(socket, &server, &parent);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        CHECK(stax_lane_new("another").id == lane.id + 1);
        report_as_child(5);
        _exit(0);
    }
    check_child_span(record(server, child), child, 5);
    check_exit(child);
    CHECK(target_ring_state(parent->memory)->n_lanes == 1);
    CHECK(stax_recording_active());
}

static void exec_ends_the_connection(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;

    start(socket, &server, &parent);
    pid_t child = fork();
    if (child == 0) {
        report_as_child(3);
        execl("/bin/sleep", "sleep", "30", (char *)NULL);
        _exit(1);
    }
    struct test_peer *peer = record(server, child);
    check_child_span(peer, child, 3);
    CHECK_SOON(test_server_find(server, child, 0) == NULL);
    CHECK(kill(child, 0) == 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static bool is_over;

static void *work(void *argument)
{
    char text[32];

    for (unsigned i = 0; !__atomic_load_n(&is_over, __ATOMIC_RELAXED); i++) {
        snprintf(text, sizeof(text), "%c %u", *(const char *)argument, i % 10000);
        stax_span span = stax_span_begin(lane, text, stax_origin_capture(lane));
        stax_span_end(&span);
    }
    return NULL;
}

static void threads_work_meanwhile(const char *socket)
{
    struct test_server *server;
    struct test_peer *parent;
    pthread_t threads[4];

    start(socket, &server, &parent);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, &"abcd"[i]) == 0);
    }
    for (int i = 0; i < 30; i++) {
        char text[32];
        snprintf(text, sizeof(text), "child %d", i);
        pid_t child = fork();
        if (child == 0) {
            CHECK(stax_name(text).id > 1 && stax_name(text).id == stax_name(text).id);
            CHECK(stax_lane_new(text).id == lane.id + 1);
            CHECK(stax_name("name").id == name.id);
            stax_span_report(lane, text, 1, 2, stax_no_origin());
            _exit(0);
        }
        check_exit(child);
        test_peer_drain(parent);
    }
    __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    test_peer_drain(parent);
    CHECK(stats_now().n_sent == stats_now().n_queued);
    CHECK(target_ring_state(parent->memory)->n_lanes == 1);
}

static void names_alone_need_no_thread(const char *socket)
{
    (void)socket;
    name = stax_name("name");
    CHECK(stats_now().state == STAX_TARGET_IDLE);
    pid_t child = fork();
    if (child == 0) {
        CHECK(stats_now().state == STAX_TARGET_IDLE);
        CHECK(stax_name("name").id == name.id && stax_name("other").id == name.id + 1);
        _exit(0);
    }
    check_exit(child);
    CHECK(stax_name("more").id == name.id + 1);
}

#define N_FORKS 200

/* Children that tell a lane; alarm() ends one that hangs, and so the test. */
static void *fork_again_and_again(void *unused)
{
    (void)unused;
    for (int i = 0; i < N_FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(stax_lane_new("of a child").id == 0);
        }
        check_exit(child);
    }
    return NULL;
}

/* The very first call of the library, while another thread is in the middle of a fork(). */
static void the_first_call_meets_a_fork(const char *socket)
{
    pthread_t thread;

    (void)socket;
    CHECK(pthread_create(&thread, NULL, fork_again_and_again, NULL) == 0);
    usleep(3000);
    CHECK(stax_lane_new("lane").id != 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;

static void lock_it(void)
{
    pthread_mutex_lock(&of_the_program);
}

static void unlock_it(void)
{
    pthread_mutex_unlock(&of_the_program);
}

static void *name_behind_the_lock(void *may_end)
{
    char text[32];

    for (int i = 0; !__atomic_load_n((bool *)may_end, __ATOMIC_ACQUIRE); i++) {
        snprintf(text, sizeof(text), "name %d", i);
        lock_it();
        stax_name(text);
        unlock_it();
    }
    return NULL;
}

/* A program locks something of its own around fork(), and calls the library behind that lock. */
static void a_program_has_fork_handlers(const char *socket)
{
    static bool may_end;
    pthread_t thread;

    (void)socket;
    alarm(60);
    CHECK(pthread_atfork(lock_it, unlock_it, unlock_it) == 0);
    CHECK(pthread_create(&thread, NULL, name_behind_the_lock, &may_end) == 0);
    fork_again_and_again(NULL);
    __atomic_store_n(&may_end, true, __ATOMIC_RELEASE);
    CHECK(pthread_join(thread, NULL) == 0);
}

#define CASE(scenario)                                                                             \
    static void test_##scenario(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(scenario_run(scenario), 0);                                               \
    }

CASE(a_child_connects_by_itself)
CASE(a_child_s_child_too)
CASE(a_child_has_one_thread_until_it_reports)
CASE(a_child_without_memory_has_no_ids)
CASE(a_raw_child_keeps_off)
CASE(a_raw_child_starts_over_with_a_lane)
CASE(exec_ends_the_connection)
CASE(threads_work_meanwhile)
CASE(names_alone_need_no_thread)
CASE(the_first_call_meets_a_fork)
CASE(a_program_has_fork_handlers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child_connects_by_itself),
        cmocka_unit_test(test_a_child_s_child_too),
        cmocka_unit_test(test_a_child_has_one_thread_until_it_reports),
        cmocka_unit_test(test_a_child_without_memory_has_no_ids),
        cmocka_unit_test(test_a_raw_child_keeps_off),
        cmocka_unit_test(test_a_raw_child_starts_over_with_a_lane),
        cmocka_unit_test(test_exec_ends_the_connection),
        cmocka_unit_test(test_threads_work_meanwhile),
        cmocka_unit_test(test_names_alone_need_no_thread),
        cmocka_unit_test(test_the_first_call_meets_a_fork),
        cmocka_unit_test(test_a_program_has_fork_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
