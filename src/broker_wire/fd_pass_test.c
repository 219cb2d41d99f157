/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "broker_wire/fd_pass.h"

static int ends[2];

static int open_ends(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_ends(void **state)
{
    (void)state;
    fd_close(ends[0]);
    fd_close(ends[1]);
    return 0;
}

static size_t count_fds(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 100; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void a_message_and_a_descriptor(void **state)
{
    (void)state;
    char data[16];
    int fd;
    assert_int_equal(fd_pass_send(ends[0], "plain", 5, -1, false), 0);
    assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, false), 5);
    assert_memory_equal(data, "plain", 5);
    assert_int_equal(fd, -1);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fd_pass_send(ends[0], "x", 1, pipe_fds[1], false), 0);
    assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, false), 1);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fd, "y", 1), 1);
    assert_int_equal(read(pipe_fds[0], data, 1), 1);
    fd_close(fd);
    fd_close(pipe_fds[0]);
    fd_close(pipe_fds[1]);
}

static void nothing_is_waited_for(void **state)
{
    (void)state;
    char data[16];
    int fd, r = 0;
    assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, false), -EAGAIN);
    for (int i = 0; i < 100000 && r == 0; i++) {
        r = fd_pass_send(ends[0], "full", 4, -1, false);
    }
    assert_int_equal(r, -EAGAIN);
}

static void what_is_too_much_is_not_kept(void **state)
{
    (void)state;
    char data[16];
    int fd, many[4] = {0, 0, 0, 0};
    size_t n_before = count_fds();
    assert_int_equal(fd_pass_send(ends[0], "seventeen letters", 17, 0, false), 0);
    assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, false), -EMSGSIZE);
    for (size_t n = 2; n <= 4; n++) {
        char control[CMSG_SPACE(sizeof(many))];
        struct iovec part = {.iov_base = data, .iov_len = 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        memset(control, 0, sizeof(control));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(header), many, n * sizeof(int));
        assert_int_equal(sendmsg(ends[0], &message, 0), 1);
        assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, false), -EMSGSIZE);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(count_fds(), n_before);
}

static void the_peer_goes(void **state)
{
    (void)state;
    char data[16];
    int fd;
    ends[0] = fd_close(ends[0]);
    assert_int_equal(fd_pass_receive(ends[1], data, sizeof(data), &fd, true), 0);
    assert_int_equal(fd_pass_send(ends[1], "x", 1, -1, true), -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_and_a_descriptor, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(nothing_is_waited_for, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(what_is_too_much_is_not_kept, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(the_peer_goes, open_ends, close_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
