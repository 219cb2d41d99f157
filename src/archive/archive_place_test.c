/* SPDX-License-Identifier: MIT */
/*
 * Whatever happens to a writer, the name has what stood there before, or the new
 * archive, or nothing; and the next writer leaves nothing else behind.
 */
#include "archive/archive_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/archive_directory.h"
#include "archive/archive_file.h"
#include "base/clock.h"
#include "base/fd.h"

#define PATH_BYTES 300

static char folder[PATH_BYTES];

static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/place-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return archive_directory_remove(AT_FDCWD, folder);
}

struct path {
    char text[PATH_BYTES * 2];
};

static struct path path_of(const char *name)
{
    struct path path;
    (void)snprintf(path.text, sizeof(path.text), "%s/%s", folder, name);
    return path;
}

/* Deaths at chosen calls --------------------------------------------------------- */

/* The calls that change what is seen below the folder, and those that sync. */
static unsigned int n_calls, fatal_call;

static void count_call(void)
{
    n_calls++;
    if (n_calls == fatal_call) {
        (void)raise(SIGKILL);
    }
}

static int failing_errno; /* of renameat2() */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    count_call();
    return __real_fsync(fd);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    count_call();
    return __real_renameat(from_fd, from, to_fd, to);
}

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
    count_call();
    if (failing_errno != 0) {
        errno = failing_errno;
        return -1;
    }
    return __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags)
{
    count_call();
    return __real_unlinkat(fd, name, flags);
}

int __real_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
    count_call();
    return __real_mkdirat(fd, name, mode);
}

/* Archives of a generation: all its members hold the same number. -------------------- */

#define N_MEMBERS 6

static int write_generation(const char *path, uint8_t generation, struct error *error)
{
    static uint8_t bytes[200000];
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    int r = archive_writer_new(path, &writer, error);
    for (size_t i = 0; r == 0 && i < N_MEMBERS; i++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "records/%zu", i);
        memset(bytes, generation, sizeof(bytes));
        r = archive_writer_add(writer, name, bytes, i == 2 ? sizeof(bytes) : 3000, error);
    }
    return r ? r : archive_writer_finish(writer, "{}", error);
}

/* The generation of a whole archive; -1 where there is none. Anything else fails. */
static int generation_of(const char *path)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    struct error error = {.code = ""};
    struct stat status;
    if (lstat(path, &status) < 0) {
        assert_int_equal(errno, ENOENT);
        return -1;
    }
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    assert_null(archive_reader_damage(reader));
    assert_int_equal(archive_reader_count(reader), N_MEMBERS);
    int generation = -1;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        struct archive_bytes bytes;
        assert_int_equal(archive_reader_read(reader, archive_reader_member(reader, i).name, &bytes),
                         0);
        assert_int_equal(bytes.state, ARCHIVE_WHOLE);
        const uint8_t *values = bytes.bytes;
        assert_true(generation < 0 || values[0] == generation);
        generation = values[0];
        free(bytes.bytes);
    }
    return generation;
}

/* Of all entries of the folder that are not `name`. */
static size_t count_others(const char *name)
{
    DIR *listing = opendir(folder);
    size_t n_others = 0;
    const struct dirent *entry;
    assert_non_null(listing);
    while ((entry = readdir(listing))) {
        n_others += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                    strcmp(entry->d_name, name) != 0;
    }
    closedir(listing);
    return n_others;
}

static const char *const targets[] = {"run.stax", "run"};

static void clear(const char *name)
{
    struct path path = path_of(name);
    (void)archive_directory_remove(AT_FDCWD, path.text);
}

/* False where it was done before it came to that call. */
static bool die_at(const char *name, unsigned int call, int renameat2_errno)
{
    struct path path = path_of(name);
    struct error error = {.code = ""};
    assert_int_equal(write_generation(path.text, 1, &error), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        n_calls = 0;
        fatal_call = call;
        failing_errno = renameat2_errno;
        _exit(write_generation(path.text, 2, &error) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    assert_true(was_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    int generation = generation_of(path.text);
    assert_true(generation == 1 || generation == 2 || (generation == -1 && renameat2_errno != 0));
    assert_true(was_killed || generation == 2);
    if (generation == -1) { /* what stood there is aside, and goes back */
        _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
        assert_int_equal(archive_writer_new(path.text, &writer, &error), 0);
        assert_int_equal(generation_of(path.text), 1);
    }

    assert_int_equal(write_generation(path.text, 3, &error), 0);
    assert_int_equal(generation_of(path.text), 3);
    assert_int_equal(count_others(name), 0);
    return was_killed;
}

static void a_death_at_any_call_leaves_one_archive_or_none(void **state)
{
    (void)state;
    static const int renameat2_errnos[] = {0, EINVAL};
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            unsigned int call = 1;
            while (die_at(targets[i], call, renameat2_errnos[j])) {
                call++;
            }
            assert_true(call > (i == 0 ? 3 : 20));
        }
        clear(targets[i]);
    }
}

#define N_DEATHS 60

static void a_death_at_any_time_leaves_one_archive_or_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct path path = path_of(targets[i]);
        struct error error = {.code = ""};
        int n_killed_late = 0;
        uint64_t began_ns = clock_now_ns();
        assert_int_equal(write_generation(path.text, 0, &error), 0);
        uint64_t took_ns = clock_now_ns() - began_ns;
        for (unsigned int round = 0; round < N_DEATHS; round++) {
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                for (uint8_t generation = 1;; generation = (uint8_t)(generation % 100 + 1)) {
                    (void)write_generation(path.text, generation, &error);
                }
            }
            uint64_t pause_ns = took_ns * 4 / N_DEATHS * round; /* the process has to begin, too */
            const struct timespec pause = {.tv_sec = (time_t)(pause_ns / NS_PER_S),
                                           .tv_nsec = (long)(pause_ns % NS_PER_S)};
            (void)nanosleep(&pause, NULL);
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            int generation = generation_of(path.text);
            assert_true(generation >= 0);
            n_killed_late += generation > 0;
        }
        print_message("%s: %d of %d killed after their first archive\n", targets[i], n_killed_late,
                      N_DEATHS);
        assert_int_equal(write_generation(path.text, 7, &error), 0);
        assert_int_equal(generation_of(path.text), 7);
        assert_int_equal(count_others(targets[i]), 0);
        clear(targets[i]);
    }
}

static void writers_at_work_are_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct path path = path_of(targets[i]);
        _cleanup_(archive_writer_freep) struct archive_writer *slow = NULL;
        struct error error = {.code = ""};
        assert_int_equal(archive_writer_new(path.text, &slow, &error), 0);
        assert_int_equal(write_generation(path.text, 1, &error), 0);
        assert_int_equal(count_others(targets[i]), 1);
        assert_int_equal(archive_writer_add(slow, "a", "x", 1, &error), 0);
        assert_int_equal(archive_writer_finish(slow, "{}", &error), 0);
        assert_int_equal(count_others(targets[i]), 0);
        clear(targets[i]);
    }
}

#define N_ROUNDS 60

/* Each replaces what the other has just put there. */
static void two_writers_to_one_name_do_each_other_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct path path = path_of(targets[i]);
        struct error error = {.code = ""};
        pid_t pids[2];
        assert_int_equal(write_generation(path.text, 1, &error), 0);
        for (uint8_t k = 0; k < 2; k++) {
            pids[k] = fork();
            assert_true(pids[k] >= 0);
            if (pids[k] == 0) {
                int r = 0;
                for (unsigned int round = 0; r == 0 && round < N_ROUNDS; round++) {
                    r = write_generation(path.text, (uint8_t)(10 * k + round % 10 + 1), &error);
                }
                (void)fprintf(stderr, "%s", error.message);
                _exit(r == 0 ? 0 : 1);
            }
        }
        for (size_t k = 0; k < 2; k++) {
            int status;
            assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        assert_true(generation_of(path.text) > 0);
        assert_int_equal(count_others(targets[i]), 0);
        clear(targets[i]);
    }
}

/* Names of others that look alike. */
static void only_own_leftovers_are_removed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_leftover;
    } files[] = {
        {".run.stax.0123456789abcdef.stax-part", true},
        {".run.stax.0123456789abcdeF.stax-part", false},
        {".run.stax.0123456789abcde.stax-part", false},
        {".run.stax.0123456789abcdef.stax-part2", false},
        {".other.stax.0123456789abcdef.stax-part", false},
        {"run.stax.0123456789abcdef.stax-part", false},
    };
    struct path path = path_of("run.stax");
    struct error error = {.code = ""};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int fd = open(path_of(files[i].name).text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)fd_close(fd);
    }
    assert_int_equal(write_generation(path.text, 1, &error), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int r = access(path_of(files[i].name).text, F_OK);
        assert_int_equal(r, files[i].is_leftover ? -1 : 0);
        clear(files[i].name);
    }
    clear("run.stax");
}

/* What stands in the way ------------------------------------------------------------ */

static void check_refused(const char *name, const char *message)
{
    struct path path = path_of(name);
    struct error error = {.code = ""};
    size_t n_before = count_others("");
    assert_true(write_generation(path.text, 1, &error) < 0);
    assert_string_equal(error.code, "archive_write");
    if (!strstr(error.message, message)) {
        fail_msg("\"%s\" is not in \"%s\"", message, error.message);
    }
    assert_int_equal(count_others(""), n_before);
}

static void put_file(const char *name)
{
    struct path path = path_of(name);
    _cleanup_(fd_closep) int fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, "precious", 8), 0);
}

static void check_precious(const char *name)
{
    _cleanup_(freep) char *text = NULL;
    struct path path = path_of(name);
    assert_int_equal(fd_read_file(path.text, 100, &text, NULL), 0);
    assert_string_equal(text, "precious");
}

static void what_is_not_an_archive_is_not_replaced(void **state)
{
    (void)state;
    put_file("file");
    assert_int_equal(mkdir(path_of("full").text, 0700), 0);
    put_file("full/notes");
    assert_int_equal(mkdir(path_of("full.stax").text, 0700), 0);
    assert_int_equal(symlink("file", path_of("link.stax").text), 0);
    assert_int_equal(symlink("full", path_of("link").text), 0);
    assert_int_equal(symlink("nowhere", path_of("dangling.stax").text), 0);
    assert_int_equal(mkfifo(path_of("fifo.stax").text, 0600), 0);
    check_refused("file", "is a file, and a name without .stax is for a directory");
    check_refused("file/a.stax", "is no directory");
    check_refused("full", "is a directory that is no archive");
    check_refused("full.stax", "is a directory, and a name in .stax is for a file");
    check_refused("link.stax", "is a symbolic link");
    check_refused("link", "is a symbolic link");
    check_refused("dangling.stax", "is a symbolic link");
    check_refused("fifo.stax", "is neither a file nor a directory");
    check_refused("nowhere/run.stax", "there is no directory");
    check_refused(".", "is no name for an archive");
    check_refused("full/..", "is no name for an archive");
    check_precious("file");
    check_precious("full/notes");
    /* A file is replaced, whatever it holds: that is what saving to its name says. */
    put_file("old.stax");
    struct error error = {.code = ""};
    assert_int_equal(write_generation(path_of("old.stax").text, 1, &error), 0);
    static const char *const names[] = {"file", "full",          "full.stax", "link.stax",
                                        "link", "dangling.stax", "fifo.stax", "old.stax"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        clear(names[i]);
    }
}

static void an_archive_with_something_else_in_it_is_not_replaced(void **state)
{
    (void)state;
    struct error error = {.code = ""};
    struct path path = path_of("run");
    assert_int_equal(mkdir(path.text, 0700), 0);
    assert_int_equal(write_generation(path.text, 1, &error), 0); /* it was empty */
    put_file("run/records/notes");
    check_refused("run", "there is something else in it: records/notes");
    check_precious("run/records/notes");
    assert_int_equal(unlink(path_of("run/records/notes").text), 0);
    assert_int_equal(unlink(path_of("run/records/1").text), 0); /* what is lost is no stranger */
    assert_int_equal(write_generation(path.text, 2, &error), 0);
    assert_int_equal(generation_of(path.text), 2);
    clear("run");
}

static void long_names_are_refused(void **state)
{
    (void)state;
    char name[PATH_BYTES] = {0};
    memset(name, 'a', 240);
    check_refused(name, "too long");
}

/* A single file may not lie as deep as a directory, and it is told so. */
static void deep_files_are_refused(void **state)
{
    (void)state;
    struct path path = path_of("deep");
    struct error error = {.code = ""};
    struct archive_reader *reader = NULL;
    char deep[1000], shallow[1000];
    (void)snprintf(deep, sizeof(deep), "%s", path.text);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mkdir(deep, 0700), 0);
        size_t length = strlen(deep);
        deep[length] = '/';
        memset(deep + length + 1, 'd', 200);
        deep[length + 201] = '\0';
    }
    assert_int_equal(write_generation(deep, 1, &error), 0);
    assert_int_equal(generation_of(deep), 1);
    size_t length = strlen(deep);
    (void)snprintf(deep + length, sizeof(deep) - length, ".stax");
    assert_true(write_generation(deep, 1, &error) < 0);
    assert_string_equal(error.code, "archive_write");
    assert_non_null(strstr(error.message, "too long"));
    assert_non_null(strstr(error.hint, "directory"));
    (void)snprintf(shallow, sizeof(shallow), "%s/shallow.stax", path.text);
    error = (struct error){.code = ""};
    assert_int_equal(write_generation(shallow, 1, &error), 0);
    assert_int_equal(rename(shallow, deep), 0);
    assert_true(archive_reader_open(deep, &reader, &error) < 0);
    assert_string_equal(error.code, "archive_read");
    assert_non_null(strstr(error.message, "too long"));
    clear("deep");
}

/* Nobody but root may write where permissions forbid it. */
static void no_permission_is_told(void **state)
{
    (void)state;
    struct path path = path_of("closed");
    assert_int_equal(mkdir(path.text, 0500), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error error = {.code = ""};
        bool is_other =
            geteuid() != 0 || (chmod(folder, 0755) == 0 && chmod(path.text, 0555) == 0 &&
                               setresuid(65534, 65534, 65534) == 0);
        int r = is_other ? write_generation(path_of("closed/run.stax").text, 1, &error) : -EACCES;
        _exit(r == -EACCES && (!is_other || strstr(error.message, "no permission")) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    clear("closed");
}

/* No room ---------------------------------------------------------------------------- */

static void files_that_must_stay_small_are_told(void **state)
{
    (void)state;
    const struct rlimit limits[] = {{2000, 2000}, {20000, 20000}, {100000, 100000}};
    for (size_t i = 0; i < 2; i++) {
        struct path path = path_of(targets[i]);
        struct error error = {.code = ""};
        assert_int_equal(write_generation(path.text, 1, &error), 0);
        for (size_t j = 0; j < sizeof(limits) / sizeof(limits[0]); j++) {
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                (void)signal(SIGXFSZ, SIG_IGN);
                (void)setrlimit(RLIMIT_FSIZE, &limits[j]);
                int r = write_generation(path.text, 2, &error);
                _exit(r == -EFBIG && strstr(error.message, "larger than a file may be") ? 0 : 1);
            }
            int status;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            assert_int_equal(generation_of(path.text), 1);
            assert_int_equal(count_others(targets[i]), 0);
        }
        clear(targets[i]);
    }
}

/* A file system of a few pages, ever fewer of them free. */
static void a_full_disk_leaves_what_was_there(void **state)
{
    (void)state;
    struct path disk = path_of("disk");
    assert_int_equal(mkdir(disk.text, 0700), 0);
    if (mount("tmpfs", disk.text, "tmpfs", 0, "size=640k") < 0) {
        assert_true(errno == EPERM || errno == EACCES);
        clear("disk");
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        char name[40];
        struct error error = {.code = ""};
        (void)snprintf(name, sizeof(name), "disk/%s", targets[i]);
        struct path path = path_of(name);
        assert_int_equal(write_generation(path.text, 1, &error), 0);
        assert_int_equal(write_generation(path.text, 2, &error), 0);
        for (size_t n_pages = 160; n_pages > 0; n_pages--) {
            _cleanup_(fd_closep) int fd =
                open(path_of("disk/filler").text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            static uint8_t page[4096];
            assert_true(fd >= 0);
            for (size_t page_at = 0; page_at < n_pages; page_at++) {
                (void)!write(fd, page, sizeof(page));
            }
            int r = write_generation(path.text, 3, &error);
            assert_int_equal(unlink(path_of("disk/filler").text), 0);
            if (r == 0) {
                break;
            }
            assert_int_equal(r, -ENOSPC);
            assert_non_null(strstr(error.message, "no space is left"));
            assert_int_equal(generation_of(path.text), 2);
        }
        assert_int_equal(generation_of(path.text), 3);
        clear(name);
    }
    assert_int_equal(umount(disk.text), 0);
    clear("disk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_at_any_call_leaves_one_archive_or_none),
        cmocka_unit_test(a_death_at_any_time_leaves_one_archive_or_none),
        cmocka_unit_test(writers_at_work_are_left_alone),
        cmocka_unit_test(two_writers_to_one_name_do_each_other_no_harm),
        cmocka_unit_test(only_own_leftovers_are_removed),
        cmocka_unit_test(what_is_not_an_archive_is_not_replaced),
        cmocka_unit_test(an_archive_with_something_else_in_it_is_not_replaced),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(deep_files_are_refused),
        cmocka_unit_test(no_permission_is_told),
        cmocka_unit_test(files_that_must_stay_small_are_told),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
