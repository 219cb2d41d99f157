/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/connection.h"

#define MAX_LINE 1000

/* A handler that remembers, and a client that is the other end of a socket pair. */
static uv_loop_t loop;
static struct connection *connection;
static int client;
static int taken_fd; /* by the last line that begins with "fd" */
static int n_lines, n_oversized, n_drained, n_closed;
static char lines[8][MAX_LINE];
static bool keeps_jobs; /* lines begin jobs that the test ends */

static const struct connection_limits limits = {
    .max_line_bytes = MAX_LINE,
    .max_jobs = 3,
    .max_queued_bytes = 100000,
    .stall_ns = 1000000000,
};

static void on_line(void *userdata, struct connection *from, const char *line, size_t n_bytes)
{
    (void)userdata;
    snprintf(lines[n_lines++ % 8], MAX_LINE, "%.*s", (int)n_bytes, line);
    if (keeps_jobs) {
        connection_job_begin(from);
    }
    if (n_bytes >= 2 && memcmp(line, "fd", 2) == 0) {
        taken_fd = connection_take_fd(from);
    }
}

static void on_oversized(void *userdata, struct connection *from)
{
    struct text text;
    (void)userdata;
    n_oversized++;
    text_init(&text, 100);
    text_append(&text, "too long\n");
    connection_send(from, &text);
    text_release(&text);
}

static void on_drained(void *userdata, struct connection *from)
{
    (void)userdata;
    (void)from;
    n_drained++;
}

static void on_closed(void *userdata, struct connection *from)
{
    (void)userdata;
    (void)from;
    n_closed++;
}

static const struct connection_handler handler = {
    .on_line = on_line,
    .on_oversized = on_oversized,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static int set_up(void **state)
{
    int pair[2];
    (void)state;
    n_lines = n_oversized = n_drained = n_closed = 0;
    keeps_jobs = false;
    taken_fd = -1;
    if (uv_loop_init(&loop) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        connection_new(&loop, &limits, &handler, &connection) != 0 ||
        connection_adopt(connection, pair[0]) != 0) {
        return -1;
    }
    client = pair[1];
    fd_set_nonblocking(client, true);
    return connection_start(connection);
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(client);
    connection_close(connection);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n_closed, 1);
    connection_unref(connection);
    return uv_loop_close(&loop);
}

/* Lets the loop do all that is due, and a little more. */
static void turn(void)
{
    for (int i = 0; i < 20; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static void say(const char *bytes)
{
    assert_int_equal(write(client, bytes, strlen(bytes)), strlen(bytes));
    turn();
}

static void answer(size_t n_bytes)
{
    struct text text;
    text_init(&text, n_bytes + 1);
    for (size_t i = 0; i < n_bytes; i++) {
        text_append_char(&text, 'a');
    }
    connection_send(connection, &text);
    text_release(&text);
}

static size_t take_all(void)
{
    char chunk[65536];
    size_t n_bytes = 0;
    ssize_t n;
    do {
        n = read(client, chunk, sizeof(chunk));
        n_bytes += n > 0 ? (size_t)n : 0;
        turn();
    } while (n > 0);
    return n_bytes;
}

static void test_lines_in_any_pieces(void **state)
{
    (void)state;
    say("one\ntw");
    assert_int_equal(n_lines, 1);
    assert_string_equal(lines[0], "one");
    say("o\n\nthree\n");
    assert_int_equal(n_lines, 3);
    assert_string_equal(lines[1], "two");
    assert_string_equal(lines[2], "three");
}

static void test_no_more_than_max_jobs(void **state)
{
    (void)state;
    keeps_jobs = true;
    say("1\n2\n3\n4\n5\n");
    assert_int_equal(n_lines, 3);
    say("6\n");
    assert_int_equal(n_lines, 3);
    connection_job_end(connection);
    turn();
    assert_int_equal(n_lines, 4);
    assert_string_equal(lines[3], "4");
    for (int i = 0; i < 3; i++) {
        connection_job_end(connection);
    }
    turn();
    assert_int_equal(n_lines, 6);
    connection_job_end(connection);
    connection_job_end(connection);
}

static void test_slow_reader_is_not_read_from(void **state)
{
    (void)state;
    answer(2 * limits.max_queued_bytes + 1000000);
    say("one\n");
    assert_int_equal(n_lines, 0);
    assert_true(connection_queued_bytes(connection) > limits.max_queued_bytes);
    assert_int_equal(n_drained, 0);
    assert_int_equal(take_all(), 2 * limits.max_queued_bytes + 1000000);
    turn();
    assert_int_equal(n_drained, 1);
    assert_int_equal(n_lines, 1);
}

static void test_stalled_reader_is_dropped(void **state)
{
    (void)state;
    uint64_t now_ns = uv_hrtime();
    char some[100000];
    size_t n_before = 0;
    answer(5000000);
    connection_check(connection, now_ns);
    /* Progress, however slow, keeps it. */
    n_before = connection_queued_bytes(connection);
    while (connection_queued_bytes(connection) == n_before) {
        assert_true(read(client, some, sizeof(some)) > 0);
        turn();
    }
    connection_check(connection, now_ns + limits.stall_ns * 2);
    assert_true(connection_is_open(connection));
    connection_check(connection, now_ns + limits.stall_ns * 3 - 10);
    assert_true(connection_is_open(connection));
    connection_check(connection, now_ns + limits.stall_ns * 3 + 10);
    assert_false(connection_is_open(connection));
    turn();
    assert_int_equal(n_closed, 1);
    answer(100); /* harmless */
}

static void test_oversized_line(void **state)
{
    (void)state;
    char line[3 * MAX_LINE];
    char reply[32] = "";
    memset(line, 'x', sizeof(line));
    assert_int_equal(write(client, line, sizeof(line)), sizeof(line));
    turn();
    assert_int_equal(n_lines, 0);
    assert_int_equal(n_oversized, 1);
    assert_false(connection_is_open(connection));
    assert_int_equal(read(client, reply, sizeof(reply)), 9);
    assert_string_equal(reply, "too long\n");
}

static void test_half_a_line_and_gone(void **state)
{
    (void)state;
    assert_int_equal(write(client, "{\"half", 6), 6);
    turn();
    assert_int_equal(n_lines, 0);
    client = fd_close(client);
    turn();
    assert_int_equal(n_lines, 1); /* the last document may lack its newline */
    assert_string_equal(lines[0], "{\"half");
    assert_false(connection_is_open(connection));
}

/* `echo … | socat` closes its side at once, and wants the answer all the same. */
static void test_half_closed_client_is_answered(void **state)
{
    (void)state;
    char reply[16] = "";
    keeps_jobs = true;
    say("one\ntwo\n");
    connection_hold_begin(connection);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    turn();
    connection_check(connection, uv_hrtime());
    assert_true(connection_is_open(connection));
    connection_job_end(connection);
    answer(5);
    connection_job_end(connection);
    turn();
    assert_true(connection_is_open(connection)); /* the hold */
    connection_hold_end(connection);
    turn();
    assert_false(connection_is_open(connection));
    assert_int_equal(read(client, reply, sizeof(reply)), 5);
}

static void test_vanished_client_is_noticed(void **state)
{
    (void)state;
    connection_hold_begin(connection);
    client = fd_close(client);
    turn();
    assert_true(connection_is_open(connection)); /* it could be half-closed */
    connection_check(connection, uv_hrtime());
    assert_false(connection_is_open(connection));
    connection_hold_end(connection);
}

static void test_finish_sends_what_is_owed(void **state)
{
    (void)state;
    answer(3000000);
    connection_finish(connection);
    turn();
    assert_true(connection_is_open(connection));
    say("ignored\n");
    assert_int_equal(take_all(), 3000000);
    turn();
    assert_false(connection_is_open(connection));
    assert_int_equal(n_lines, 0);
}

/* Sends the bytes with so many descriptors of `pipe_end` beside the first of them. */
static void say_with_fds(const char *bytes, int pipe_end, size_t n_fds)
{
    enum { MAX_FDS = 64 };
    int fds[MAX_FDS];
    char space[CMSG_SPACE(sizeof(fds))] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = strlen(bytes)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space,
                             .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    for (size_t i = 0; i < n_fds; i++) {
        fds[i] = pipe_end;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
    assert_int_equal(sendmsg(client, &message, 0), (ssize_t)part.iov_len);
    turn();
}

/* Whether a descriptor of the write end is open anywhere but in `pair`, which is closed. */
static bool is_held(int pair[2])
{
    char byte;
    fd_set_nonblocking(pair[0], true);
    pair[1] = fd_close(pair[1]);
    ssize_t n = read(pair[0], &byte, 1);
    pair[0] = fd_close(pair[0]);
    return n != 0;
}

static void test_a_descriptor_comes_along(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    say_with_fds("fd", pair[1], 1); /* the line is not whole yet */
    assert_int_equal(taken_fd, -1);
    say(" please\n");
    assert_true(taken_fd >= 0);
    assert_true(fcntl(taken_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(taken_fd, "x", 1), 1);
    taken_fd = fd_close(taken_fd);
    say("fd\n");
    assert_int_equal(taken_fd, -1);
    char byte;
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_false(is_held(pair));
}

/* What is no pipe comes along as well. */
static void test_a_memfd_comes_along(void **state)
{
    (void)state;
    int memory = memfd_create("test", MFD_CLOEXEC);
    assert_true(memory >= 0);
    assert_int_equal(ftruncate(memory, 12345), 0);
    say_with_fds("one\nfd\n", memory, 1);
    fd_close(memory);
    assert_int_equal(n_lines, 2);
    assert_true(taken_fd >= 0);
    assert_int_equal(lseek(taken_fd, 0, SEEK_END), 12345);
    taken_fd = fd_close(taken_fd);
}

static void test_unwanted_descriptors_are_closed(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    say_with_fds("one\n", pair[1], 1);
    assert_int_equal(n_lines, 1);
    assert_false(is_held(pair));
    assert_int_equal(pipe(pair), 0);
    for (int i = 0; i < 20; i++) {
        say_with_fds("two\n", pair[1], 60);
    }
    say_with_fds("fd\n", pair[1], 60);
    assert_int_equal(n_lines, 22);
    taken_fd = fd_close(taken_fd);
    assert_false(is_held(pair));
    /* In the middle of a line one is kept, and goes with the connection. */
    assert_int_equal(pipe(pair), 0);
    say_with_fds("half", pair[1], 60);
    client = fd_close(client);
    turn();
    assert_false(connection_is_open(connection));
    turn();
    assert_false(is_held(pair));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines_in_any_pieces),
        TEST(test_no_more_than_max_jobs),
        TEST(test_slow_reader_is_not_read_from),
        TEST(test_stalled_reader_is_dropped),
        TEST(test_oversized_line),
        TEST(test_half_a_line_and_gone),
        TEST(test_half_closed_client_is_answered),
        TEST(test_vanished_client_is_noticed),
        TEST(test_finish_sends_what_is_owed),
        TEST(test_a_descriptor_comes_along),
        TEST(test_a_memfd_comes_along),
        TEST(test_unwanted_descriptors_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
