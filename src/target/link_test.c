/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <stax/target.h>

#include "target/process.h"
#include "target/scenario.h"
#include "target/test_server.h"

static stax_stats stats_now(void)
{
    stax_stats stats = {.size = sizeof(stats)};

    stax_target_stats(&stats);
    return stats;
}

static bool is_state(enum stax_target_state state)
{
    return stats_now().state == state;
}

static struct test_peer *record(struct test_server *server)
{
    struct test_peer *peer = test_server_find(server, getpid(), SCENARIO_WAIT_MS);

    CHECK(peer);
    CHECK_SOON(is_state(STAX_TARGET_CONNECTED));
    test_peer_set_active(peer, true);
    return peer;
}

static void check_span(struct test_peer *peer, stax_lane lane, const char *name)
{
    struct target_ring_slot slot;
    char text[64];

    stax_span_report(lane, name, 1, 2, stax_no_origin());
    CHECK(test_peer_take(peer, &slot, 1) == 1);
    CHECK(slot.span.lane == lane.id);
    test_peer_name(peer, slot.name, text, sizeof(text));
    CHECK(strcmp(text, name) == 0);
}

static void a_server_that_comes_is_found(const char *socket)
{
    stax_lane lane = stax_lane_new("lane");
    CHECK(is_state(STAX_TARGET_NO_SERVER) && !stax_recording_active());
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    check_span(record(server), lane, "span");
}

static void a_folder_that_comes_is_found(const char *socket)
{
    char folder[80], path[90];
    snprintf(folder, sizeof(folder), "%s.d", socket);
    snprintf(path, sizeof(path), "%s/s", folder);
    setenv("STAX_SERVER_SOCKET", path, 1);
    stax_lane lane = stax_lane_new("lane");
    CHECK(is_state(STAX_TARGET_NO_SERVER));
    CHECK(mkdir(folder, 0700) == 0);
    struct test_server *server = test_server_start(path, TEST_SERVER_ACCEPTS);
    check_span(record(server), lane, "span");
    unlink(path);
    rmdir(folder);
}

static void a_server_dies_and_another_comes(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    for (int i = 0; i < 5; i++) {
        check_span(record(server), lane, "span");
        stax_span open_span = stax_span_begin(lane, "span", stax_no_origin());
        CHECK(open_span.start_ns);
        test_server_stop(server);
        CHECK_SOON(!stax_recording_active());
        CHECK_SOON(is_state(STAX_TARGET_NO_SERVER));
        stax_span_end(&open_span);
        CHECK(stats_now().n_dropped_no_server == (uint64_t)i + 1);
        server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    }
    check_span(record(server), lane, "span");
    CHECK(stats_now().n_queued == 6 && stats_now().n_sent == 6);
}

static void a_refusal_is_told(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_REFUSES);
    stax_lane lane = stax_lane_new("lane");
    CHECK_SOON(is_state(STAX_TARGET_REFUSED));
    CHECK(!stax_recording_active());
    test_server_stop(server);
    server = test_server_start(socket, TEST_SERVER_KNOWS_NO_SUCH_METHOD);
    CHECK_SOON(test_server_n_hellos(server) > 0);
    CHECK_SOON(is_state(STAX_TARGET_REFUSED));
    test_server_stop(server);
    server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    check_span(record(server), lane, "span");
}

static void one_that_hangs_up_is_asked_again(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_HANGS_UP);
    stax_lane_new("lane");
    CHECK_SOON(test_server_n_hellos(server) >= 2);
    CHECK(!stax_recording_active());
}

static void another_user_s_server_is_told_nothing(const char *socket)
{
    char folder[64];
    int ready[2];
    char byte;

    if (geteuid() != 0) {
        return;
    }
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(socket, '/') - socket), socket);
    CHECK(chmod(folder, 0777) == 0 && pipe(ready) == 0);
    pid_t other = fork();
    if (other == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
        CHECK(write(ready[1], "", 1) == 1);
        close(ready[1]);
        /* Until the other side has looked. */
        CHECK(test_server_find(server, getppid(), 300) == NULL);
        CHECK(test_server_n_hellos(server) == 0);
        _exit(0);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    stax_lane_new("lane");
    CHECK_SOON(is_state(STAX_TARGET_REFUSED));
    int status;
    CHECK(waitpid(other, &status, 0) == other && status == 0);
    CHECK(!stax_recording_active());
}

/* Daemons close all that they do not know; then the numbers are other files'. */
static void its_descriptors_are_closed_and_used_again(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    stax_lane lane = stax_lane_new("lane");
    struct test_peer *peer = record(server);
    int pipe_fds[2];
    char text[8];

    check_span(peer, lane, "span");
    /* Just about to wait, it would find the other file at once, and look for a server anew. */
    CHECK_SOON(scenario_library_thread() == 'S');
    CHECK(pipe(pipe_fds) == 0 && write(pipe_fds[1], "mine", 4) == 4);
    unsigned n_closed = 0;
    for (int fd = 64; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            CHECK(dup2(pipe_fds[0], fd) == fd);
            n_closed++;
        }
    }
    CHECK(n_closed >= 2);
    check_span(peer, lane, "span");
    test_server_stop(server);
    CHECK_SOON(!stax_recording_active());
    server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    peer = record(server);
    check_span(peer, lane, "span");
    CHECK(stats_now().n_queued == 3);
    CHECK(read(pipe_fds[0], text, sizeof(text)) == 4 && memcmp(text, "mine", 4) == 0);
}

/* Then nobody can take spans from it, and nothing is made again and again for it. */
static void memory_that_cannot_be_shared_stays(const char *socket)
{
    struct rlimit none = {0, 0};

    signal(SIGXFSZ, SIG_DFL);
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    stax_lane lane = stax_lane_new("lane");
    CHECK(lane.id == 1);
    target_ring_state(target_process.memory)->unused = 7;
    usleep(200000);
    CHECK(target_ring_state(target_process.memory)->unused == 7);
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    CHECK(test_server_find(server, getpid(), 500) == NULL);
    CHECK(test_server_n_hellos(server) == 0 && is_state(STAX_TARGET_NO_SERVER));
    CHECK(stax_lane_new("lane").id == 1 && stax_name("lane").id == 2);
}

static bool has_inotify(void)
{
    for (int fd = 64; fd < 256; fd++) {
        char path[40], text[32];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n_bytes = readlink(path, text, sizeof(text) - 1);
        text[n_bytes > 0 ? n_bytes : 0] = '\0';
        if (strstr(text, "inotify")) {
            return true;
        }
    }
    return false;
}

/* Its end would be waited for. */
static void only_who_waits_for_long_has_a_watch(const char *socket)
{
    uint64_t start_ns = stax_now_ns();
    stax_lane lane = stax_lane_new("lane");
    bool is_early = !has_inotify();
    CHECK(is_early || stax_now_ns() - start_ns > UINT64_C(1000000000));
    CHECK_SOON(has_inotify());
    pid_t child = fork();
    if (child == 0) {
        CHECK(!has_inotify());
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    check_span(record(server), lane, "span");
    CHECK_SOON(!has_inotify());
}

static void a_path_that_is_too_long_is_none(const char *socket)
{
    char path[300];
    (void)socket;
    memset(path, 'x', sizeof(path));
    path[299] = '\0';
    setenv("STAX_SERVER_SOCKET", path, 1);
    CHECK(stax_lane_new("lane").id == 1);
    CHECK(is_state(STAX_TARGET_NO_SERVER));
}

#define CASE(scenario)                                                                             \
    static void test_##scenario(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(scenario_run(scenario), 0);                                               \
    }

CASE(a_server_that_comes_is_found)
CASE(a_folder_that_comes_is_found)
CASE(a_server_dies_and_another_comes)
CASE(a_refusal_is_told)
CASE(one_that_hangs_up_is_asked_again)
CASE(another_user_s_server_is_told_nothing)
CASE(its_descriptors_are_closed_and_used_again)
CASE(memory_that_cannot_be_shared_stays)
CASE(only_who_waits_for_long_has_a_watch)
CASE(a_path_that_is_too_long_is_none)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_that_comes_is_found),
        cmocka_unit_test(test_a_folder_that_comes_is_found),
        cmocka_unit_test(test_a_server_dies_and_another_comes),
        cmocka_unit_test(test_a_refusal_is_told),
        cmocka_unit_test(test_one_that_hangs_up_is_asked_again),
        cmocka_unit_test(test_another_user_s_server_is_told_nothing),
        cmocka_unit_test(test_its_descriptors_are_closed_and_used_again),
        cmocka_unit_test(test_memory_that_cannot_be_shared_stays),
        cmocka_unit_test(test_only_who_waits_for_long_has_a_watch),
        cmocka_unit_test(test_a_path_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
