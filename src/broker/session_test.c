/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "broker/session.h"
#include "broker_wire/fd_pass.h"

static struct broker broker;
static int client_fd;

static int begin(void **state)
{
    (void)state;
    const struct caller caller = {.uid = 1000, .gid = 1000, .pid = 4711};
    int ends[2];
    broker = (struct broker){.listen_fd = -1};
    broker.users[0] = (struct user){.uid = 1000, .seen_ns = 1, .n_tokens = 100};
    for (size_t i = 0; i < SESSION_N; i++) {
        broker.sessions[i].fd = -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -1;
    }
    client_fd = ends[1];
    session_begin(&broker.sessions[0], ends[0], &caller, &broker.users[0], 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    session_close(&broker.sessions[0]);
    fd_close(client_fd);
    return broker.users[0].n_sessions == 0 && broker.sessions[0].fd == -1 ? 0 : -1;
}

/* Sends a message and has it served; false: the connection would be closed. */
static bool serve(uint32_t verb, uint32_t word, int fd, struct broker_reply *ret_reply)
{
    const struct broker_short_request request = {.verb = verb, .word = word};
    int got_fd;
    assert_int_equal(fd_pass_send(client_fd, &request, sizeof(request), fd, false), 0);
    bool goes_on = session_serve(&broker, &broker.sessions[0]);
    assert_int_equal(fd_pass_receive(client_fd, ret_reply, sizeof(*ret_reply), &got_fd, false),
                     sizeof(*ret_reply));
    assert_int_equal(got_fd, -1);
    return goes_on;
}

static void hello_and_status(void **state)
{
    (void)state;
    struct broker_reply reply;
    assert_true(serve(BROKER_HELLO, BROKER_VERSION, -1, &reply));
    assert_int_equal(reply.status, 0);
    assert_int_equal(reply.version, BROKER_VERSION);
    assert_int_equal(reply.abilities, BROKER_CAN_KERNEL_STACKS | BROKER_CAN_SWITCHES);
    broker.no_kernel_stacks = true;
    assert_true(serve(BROKER_STATUS, 0, -1, &reply));
    assert_int_equal(reply.abilities, BROKER_CAN_SWITCHES);
    assert_int_equal(reply.n_events, 0);
    assert_int_equal(broker.users[0].n_tokens, 98);
}

static void a_wrong_message_ends_it(void **state)
{
    (void)state;
    struct broker_reply reply;
    assert_false(serve(BROKER_HELLO, BROKER_VERSION + 1, -1, &reply));
    assert_int_equal(reply.status, BROKER_REFUSED_VERSION);
    assert_false(serve(BROKER_STATUS, 0, -1, &reply));
    assert_int_equal(reply.status, BROKER_REFUSED_PHASE);
    assert_false(serve(77, 0, -1, &reply));
    assert_int_equal(reply.status, BROKER_REFUSED_VERB);
}

static void what_is_no_process_ends_it(void **state)
{
    (void)state;
    struct broker_reply reply;
    assert_true(serve(BROKER_HELLO, BROKER_VERSION, -1, &reply));
    assert_false(serve(BROKER_OPEN_SESSION, 0, STDIN_FILENO, &reply));
    assert_int_equal(reply.status, BROKER_REFUSED_NO_PIDFD);
    assert_int_equal(broker.sessions[0].phase, BROKER_PHASE_GREETED);
}

static void nothing_to_read_is_no_end(void **state)
{
    (void)state;
    assert_true(session_serve(&broker, &broker.sessions[0]));
    client_fd = fd_close(client_fd);
    assert_false(session_serve(&broker, &broker.sessions[0]));
}

static void a_slow_reader_ends_it(void **state)
{
    (void)state;
    const struct broker_short_request request = {.verb = BROKER_STATUS};
    struct broker_reply reply;
    bool goes_on = true;
    assert_true(serve(BROKER_HELLO, BROKER_VERSION, -1, &reply));
    for (int i = 0; i < 100000 && goes_on; i++) {
        assert_int_equal(fd_pass_send(client_fd, &request, sizeof(request), -1, false), 0);
        goes_on = session_serve(&broker, &broker.sessions[0]);
    }
    assert_false(goes_on);
}

static void tokens_come_with_time(void **state)
{
    (void)state;
    const uint64_t now_ns = clock_now_ns();
    struct user user = {.seen_ns = now_ns + NS_PER_S / 2 - NS_PER_S};
    assert_true(user_has_token(&user)); /* of half a second */
    assert_in_range(user.n_tokens, USER_REQUESTS_PER_S / 2, USER_BURST - 1);
    user = (struct user){.seen_ns = now_ns - 1000 * NS_PER_S};
    assert_true(user_has_token(&user));
    assert_int_equal(user.n_tokens, USER_BURST);
    user = (struct user){.seen_ns = clock_now_ns()};
    assert_false(user_has_token(&user));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hello_and_status, begin, end),
        cmocka_unit_test_setup_teardown(a_wrong_message_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_process_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(nothing_to_read_is_no_end, begin, end),
        cmocka_unit_test_setup_teardown(a_slow_reader_ends_it, begin, end),
        cmocka_unit_test(tokens_come_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
