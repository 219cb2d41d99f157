/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int open_unnamed_file(const void *data, size_t n_bytes)
{
    char path[] = "/tmp/stax-fd-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fd_write_all(fd, data, n_bytes), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void close_keeps_errno_and_gives_minus_one(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    errno = EBUSY;
    assert_int_equal(fd_close(fd), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(fd_close(-1), -1);
    assert_int_equal(fd_close(-5), -1);
}

static void leaving_the_scope_closes(void **state)
{
    (void)state;
    int copy;
    {
        _cleanup_(fd_closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        copy = fd;
        assert_true(fcntl(copy, F_GETFD) >= 0);
    }
    assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 8190, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        _cleanup_(freep) char *written = malloc(sizes[i] + 1);
        for (size_t b = 0; b < sizes[i]; b++) {
            written[b] = (char)(b * 7);
        }
        _cleanup_(fd_closep) int fd = open_unnamed_file(written, sizes[i]);
        _cleanup_(freep) char *data = NULL;
        size_t n_bytes = 99;
        assert_int_equal(fd_read_all(fd, sizes[i], &data, &n_bytes), 0);
        assert_int_equal(n_bytes, sizes[i]);
        assert_memory_equal(data, written, n_bytes);
        assert_int_equal(data[n_bytes], '\0');
    }
}

static void one_byte_too_many_is_refused(void **state)
{
    (void)state;
    static const char letters[9000];
    const size_t maxima[] = {0, 1, 4094, 4095, 4096, 8999};
    for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        _cleanup_(fd_closep) int fd = open_unnamed_file(letters, maxima[i] + 1);
        char *data = NULL;
        size_t n_bytes = 99;
        assert_int_equal(fd_read_all(fd, maxima[i], &data, &n_bytes), -EFBIG);
        assert_null(data);
        assert_int_equal(n_bytes, 99);
    }
}

static void files_of_procfs_are_read_whole(void **state)
{
    (void)state;
    _cleanup_(freep) char *data = NULL;
    size_t n_bytes = 0;
    assert_int_equal(fd_read_file("/proc/self/maps", (size_t)1 << 20, &data, &n_bytes), 0);
    assert_int_equal(strlen(data), n_bytes);
    assert_non_null(strstr(data, "[stack]"));
    _cleanup_(freep) char *again = NULL;
    assert_int_equal(fd_read_file("/proc/self/comm", 64, &again, NULL), 0);
    assert_non_null(strchr(again, '\n'));
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    char *data = NULL;
    assert_int_equal(fd_read_file("/proc/self/no-such-file", 10, &data, NULL), -ENOENT);
    assert_int_equal(fd_read_file("/proc/self", 10, &data, NULL), -EISDIR);
    assert_int_equal(fd_read_all(-1, 10, &data, NULL), -EBADF);
    assert_null(data);
}

/* More than a pipe holds, so that write() returns short and the reader is slow. */
static void a_slow_reader_gets_everything(void **state)
{
    (void)state;
    enum { TOTAL_BYTES = 1 << 20 };
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[1]);
        _cleanup_(freep) char *data = NULL;
        size_t n_bytes = 0;
        usleep(20000);
        int r = fd_read_all(ends[0], TOTAL_BYTES, &data, &n_bytes);
        _exit(r == 0 && n_bytes == TOTAL_BYTES && data[TOTAL_BYTES - 1] == 'z' ? 0 : 1);
    }
    close(ends[0]);
    _cleanup_(freep) char *data = malloc(TOTAL_BYTES);
    memset(data, 'z', TOTAL_BYTES);
    assert_int_equal(fd_write_all(ends[1], data, TOTAL_BYTES), 0);
    close(ends[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void flags_are_set_and_cleared(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, 0), 0);
    assert_int_equal(fd_set_cloexec(ends[0], true), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fd_set_cloexec(ends[0], false), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(fd_set_nonblocking(ends[0], true), 0);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fd_set_nonblocking(ends[0], false), 0);
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fd_set_nonblocking(ends[1], true), 0);
    static char much[1 << 20];
    assert_int_equal(fd_write_all(ends[1], much, sizeof(much)), -EAGAIN);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(fd_set_cloexec(-1, true), -EBADF);
    assert_int_equal(fd_set_nonblocking(-1, true), -EBADF);
}

static void only_regular_files_are_opened(void **state)
{
    (void)state;
    int fd = fd_open_regular("/proc/self/status");
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    fd_close(fd);
    assert_int_equal(fd_open_regular("/dev/null"), -EINVAL);
    assert_int_equal(fd_open_regular("/"), -EINVAL);
    assert_int_equal(fd_open_regular("/nowhere/at/all"), -ENOENT);
    char path[] = "/tmp/stax-fd-test-XXXXXX";
    fd_close(mkostemp(path, O_CLOEXEC));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fd_open_regular(path), -EINVAL);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_keeps_errno_and_gives_minus_one),
        cmocka_unit_test(leaving_the_scope_closes),
        cmocka_unit_test(only_regular_files_are_opened),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(one_byte_too_many_is_refused),
        cmocka_unit_test(files_of_procfs_are_read_whole),
        cmocka_unit_test(what_cannot_be_read_says_why),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(flags_are_set_and_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
