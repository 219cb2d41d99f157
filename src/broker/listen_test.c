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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "broker/listen.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/listen-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/staxd.sock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static int connect_to(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : fd;
}

static void a_caller_is_who_it_is(void **state)
{
    (void)state;
    struct caller caller;
    struct stat status;
    int listen_fd = listen_open(path, (gid_t)-1);
    assert_true(listen_fd >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
    assert_int_equal(listen_accept(listen_fd, &caller), -EAGAIN);
    int client_fd = connect_to();
    assert_true(client_fd >= 0);
    int fd = listen_accept(listen_fd, &caller);
    assert_true(fd >= 0);
    assert_int_equal(caller.uid, geteuid());
    assert_int_equal(caller.gid, getegid());
    assert_int_equal(caller.pid, getpid());
    assert_true(geteuid() == 0 || !caller.may_observe_all);
    fd_close(fd);
    fd_close(client_fd);
    fd_close(listen_fd);
}

static void one_listens(void **state)
{
    (void)state;
    struct stat status;
    int listen_fd = listen_open(path, getegid());
    assert_true(listen_fd >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(listen_open(path, (gid_t)-1), -EADDRINUSE);
    fd_close(listen_fd);
    /* What it left behind is taken over. */
    listen_fd = listen_open(path, (gid_t)-1);
    assert_true(listen_fd >= 0);
    fd_close(listen_fd);
}

static void what_is_none_of_ours_stays(void **state)
{
    (void)state;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    fd_close(fd);
    assert_int_equal(listen_open(path, (gid_t)-1), -EEXIST);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(listen_open(path, (gid_t)-1), -EEXIST);
}

static void a_folder_for_everybody_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(listen_open(path, (gid_t)-1), -EPERM);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(listen_open(path, (gid_t)-1), -EPERM);
    assert_int_equal(listen_open("relative.sock", (gid_t)-1), -EINVAL);
    assert_int_equal(listen_open("/tmp/no-such-folder-here/s", (gid_t)-1), -ENOENT);
    char long_path[200];
    memset(long_path, 'x', sizeof(long_path));
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(listen_open(long_path, (gid_t)-1), -ENAMETOOLONG);
}

static void what_a_service_manager_hands_over(void **state)
{
    (void)state;
    char pid[16];
    (void)unsetenv("LISTEN_PID");
    assert_int_equal(listen_adopt(), -ENOENT);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(listen_adopt(), -ENOENT); /* it was for another */
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "2", 1), 0);
    assert_int_equal(listen_adopt(), -EINVAL);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    int kept_fd = dup(3);
    int stream_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(dup2(stream_fd, 3), 3);
    assert_int_equal(listen_adopt(), -EINVAL);
    int listen_fd = listen_open(path, (gid_t)-1);
    assert_int_equal(dup2(listen_fd, 3), 3);
    assert_int_equal(listen_adopt(), 3);
    assert_int_equal(fcntl(3, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    if (kept_fd >= 0) {
        (void)dup2(kept_fd, 3);
        fd_close(kept_fd);
    }
    (void)unsetenv("LISTEN_PID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_caller_is_who_it_is, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(one_listens, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_none_of_ours_stays, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_for_everybody_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_a_service_manager_hands_over, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
