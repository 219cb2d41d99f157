/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/object_names.h"

static struct object_names *names;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return object_names_new(&names);
}

static int tear_down(void **state)
{
    (void)state;
    names = object_names_free(names);
    arena_release(&arena);
    return 0;
}

static const char *find(int fd)
{
    return object_names_find(names, &arena, getpid(), fd, true);
}

static void files_and_pipes_are_what_proc_says(void **state)
{
    (void)state;
    int pipes[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int ready = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(pipe(pipes), 0);
    assert_string_equal(find(file), "/dev/null");
    assert_string_equal(find(ready), "anon_inode:[eventpoll]");
    assert_int_equal(strncmp(find(pipes[0]), "pipe:[", 6), 0);
    assert_null(find(12345));
    close(file);
    assert_int_equal(dup2(pipes[0], file), file); /* the number stands for something else now */
    assert_int_equal(strncmp(find(file), "pipe:[", 6), 0);
    close(file);
    close(ready);
    close(pipes[0]);
    close(pipes[1]);
}

static void what_was_found_is_kept(void **state)
{
    (void)state;
    int file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_null(object_names_find(names, &arena, getpid(), file, false));
    assert_string_equal(find(file), "/dev/zero");
    assert_string_equal(object_names_find(names, &arena, getpid(), file, false), "/dev/zero");
    close(file);
    assert_string_equal(find(file), "/dev/zero");
}

static volatile uint64_t variable[2];

static void variables_are_named(void **state)
{
    (void)state;
    uint64_t address = (uint64_t)(uintptr_t)&variable[1];
    assert_null(object_names_find_address(names, &arena, getpid(), address, false));
    const char *name = object_names_find_address(names, &arena, getpid(), address, true);
    assert_string_equal(name, "variable+0x8 (test_server_object_names)");
    name = object_names_find_address(names, &arena, getpid(), address, false);
    assert_string_equal(name, "variable+0x8 (test_server_object_names)");
    assert_null(object_names_find_address(names, &arena, getpid(), 1, true));
    assert_null(object_names_find_address(names, &arena, getpid(), 1, true)); /* as it was kept */
}

static void sockets_have_their_peers(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n_bytes = sizeof(at);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&at, &n_bytes), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    char expected[64];
    snprintf(expected, sizeof(expected), "tcp 127.0.0.1:%u", ntohs(at.sin_port));
    assert_string_equal(find(client), expected);
    snprintf(expected, sizeof(expected), "tcp 127.0.0.1:%u (listening)", ntohs(at.sin_port));
    assert_string_equal(find(server), expected);
    close(client);
    close(server);

    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "\0object names"};
    socklen_t n_path = offsetof(struct sockaddr_un, sun_path) + sizeof("\0object names") - 1;
    server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&path, n_path), 0);
    assert_string_equal(find(server), "unix @object names");
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(strncmp(find(pair[0]), "unix socket:[", 13), 0);
    close(server);
    close(pair[0]);
    close(pair[1]);
}

static const char tcp6[] =
    "  sl  local_address                         remote_address                        st\n"
    "   0: 00000000000000000000000001000000:14EB 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000   101        0 555 1 0000000000000000 100 0\n"
    "   1: 00000000000000000000000001000000:14EB 00000000000000000000000001000000:D431 01 "
    "00000000:00000000 00:00000000 00000000   101        0 556 1 0000000000000000 100 0\n"
    "   2: 00000000:14EB 0100:D431 01 0 0 0 0 0 557\n"
    "   3: cut\n";

static void tables_are_read_as_the_kernel_writes_them(void **state)
{
    (void)state;
    assert_string_equal(object_names_find_inet(tcp6, 555, &arena), "[::1]:5355 (listening)");
    assert_string_equal(object_names_find_inet(tcp6, 556, &arena), "[::1]:54321");
    assert_null(object_names_find_inet(tcp6, 557, &arena)); /* no address */
    assert_null(object_names_find_inet(tcp6, 558, &arena));
    assert_null(object_names_find_inet("", 558, &arena));
    static const char sockets[] = "Num RefCount Protocol Flags Type St Inode Path\n"
                                  "0: 00000002 00000000 00010000 0001 01 77 /run/a b.sock\n"
                                  "0: 00000002 00000000 00010000 0001 01 78\n";
    assert_string_equal(object_names_find_unix(sockets, 77, &arena), "/run/a b.sock");
    assert_string_equal(object_names_find_unix(sockets, 78, &arena), "");
    assert_null(object_names_find_unix(sockets, 79, &arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_and_pipes_are_what_proc_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_found_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(variables_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sockets_have_their_peers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tables_are_read_as_the_kernel_writes_them, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
