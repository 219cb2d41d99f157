/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <stax/target.h>

#include "target/socket_watch.h"

#define LONG_MS 20000

static char folder[32];
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/stax-watch-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/s", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    return 0;
}

static void touch(void)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static void arm(struct socket_watch *watch)
{
    socket_watch_init(watch, path);
    socket_watch_arm(watch);
    assert_true(watch->fd >= 64);
}

static void it_wakes_when_the_socket_comes(void **state)
{
    (void)state;
    struct socket_watch watch;
    arm(&watch);
    touch();
    uint64_t start_ns = stax_now_ns();
    socket_watch_wait(&watch, LONG_MS);
    assert_true(stax_now_ns() - start_ns < LONG_MS * UINT64_C(1000000));
    int fd = watch.fd;
    socket_watch_arm(&watch);
    assert_int_equal(watch.fd, fd);
    socket_watch_release(&watch);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* The program has closed ours, and watches the same folder by the same number. */
static void a_watch_of_the_program_is_left_alone(void **state)
{
    (void)state;
    struct socket_watch watch;
    char events[4096];
    arm(&watch);
    int fd = watch.fd;
    int theirs = inotify_init1(IN_NONBLOCK);
    assert_int_equal(inotify_add_watch(theirs, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB), 1);
    assert_int_equal(dup2(theirs, fd), fd);
    close(theirs);
    touch();
    socket_watch_wait(&watch, 1);
    socket_watch_arm(&watch);
    assert_true(watch.fd >= 0 && watch.fd != fd);
    assert_true(read(fd, events, sizeof(events)) > 0);
    socket_watch_release(&watch);

    watch.fd = fd;
    socket_watch_release(&watch);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

static void a_folder_that_goes_takes_it_along(void **state)
{
    (void)state;
    struct socket_watch watch;
    arm(&watch);
    int fd = watch.fd;
    assert_int_equal(rmdir(folder), 0);
    socket_watch_wait(&watch, 1);
    assert_int_equal(watch.fd, -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    socket_watch_arm(&watch);
    assert_int_equal(watch.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_wakes_when_the_socket_comes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_watch_of_the_program_is_left_alone, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_that_goes_takes_it_along, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
