/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "disasm/source_files.h"

static char folder[] = "/tmp/stax-source-XXXXXX";
static char path[256];

static void write_file(const char *name, const char *text)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c): our own folder */
}

static void test_lines(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    write_file("a.c", "one\n\ttwo\r\n\nfour");
    assert_string_equal(source_files_line(&files, path, 1), "one");
    assert_string_equal(source_files_line(&files, path, 2), "\ttwo");
    assert_string_equal(source_files_line(&files, path, 3), "");
    assert_string_equal(source_files_line(&files, path, 4), "four");
    assert_null(source_files_line(&files, path, 0));
    assert_null(source_files_line(&files, path, 5));
    assert_null(source_files_line(&files, NULL, 1));
    int64_t modified_s;
    assert_string_equal(source_files_found(&files, path, &modified_s), path);
    assert_true(modified_s > 1000000000);
    assert_int_equal(files.n_files, 1);
}

static void test_empty_missing_and_what_is_no_file(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    write_file("empty.c", "");
    assert_null(source_files_line(&files, path, 1));
    assert_null(source_files_line(&files, "/nowhere/a.c", 1));
    assert_null(source_files_line(&files, "relative.c", 1));
    assert_null(source_files_line(&files, "/dev/zero", 1));
    char fifo[300];
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_null(source_files_line(&files, fifo, 1)); /* and does not wait for a writer */
    assert_null(source_files_found(&files, fifo, NULL));
}

static void test_maps(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    write_file("m.c", "mapped\n");
    struct source_map maps[2];
    char text[400];
    snprintf(text, sizeof(text), "/build=%s", folder);
    assert_true(source_map_parse(&arena, "/elsewhere=/nowhere", &maps[0]));
    assert_true(source_map_parse(&arena, text, &maps[1]));
    assert_string_equal(maps[1].from, "/build");
    assert_string_equal(maps[1].to, folder);
    assert_false(source_map_parse(&arena, "no equals", &maps[0]));
    assert_false(source_map_parse(&arena, "=x", &maps[0]));
    files.n_maps = 2;
    files.maps = maps;
    assert_string_equal(source_files_line(&files, "/build/m.c", 1), "mapped");
    assert_null(source_files_line(&files, "/builder/m.c", 1)); /* another name */
    /* What a compiler with -fdebug-prefix-map leaves relative can be mapped too. */
    snprintf(text, sizeof(text), ".=%s", folder);
    assert_true(source_map_parse(&arena, text, &maps[0]));
    assert_string_equal(source_files_line(&files, "./m.c", 1), "mapped");
}

static void test_the_library_of_rust(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    files.rust_library = folder;
    write_file("num.rs", "fn add()\n");
    const char *hash = "/rustc/90c541806f23a127002de5b4038be731ba1458ca";
    char name[300];
    snprintf(name, sizeof(name), "%s/num.rs", hash);
    assert_string_equal(source_files_line(&files, name, 1), "fn add()");
    snprintf(name, sizeof(name), "%s/../num.rs", hash);
    assert_null(source_files_line(&files, name, 1));
    assert_null(source_files_line(&files, "/rustc/short", 1));
}

static void test_in_the_file_system_of_the_target(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    files.target_pid = getpid();
    write_file("t.c", "target\n");
    assert_string_equal(source_files_line(&files, path, 1), "target");
}

/* A container's source is not that of the host which happens to have the same path. */
static void test_a_target_with_another_root(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    write_file("same.c", "of the host\n");
    char inside[600];
    snprintf(inside, sizeof(inside), "mkdir -p %s/root%s", folder, folder);
    assert_int_equal(system(inside), 0); /* NOLINT(cert-env33-c): our own folder */
    snprintf(inside, sizeof(inside), "root%s/same.c", folder);
    write_file(inside, "of the target\n");
    snprintf(path, sizeof(path), "%s/same.c", folder);
    char root[300];
    snprintf(root, sizeof(root), "%s/root", folder);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool has_moved = (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0) && chroot(root) == 0;
        (void)!write(ready[1], has_moved ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    char answer = 'n';
    assert_int_equal(read(ready[0], &answer, 1), 1);
    close(ready[0]);
    close(ready[1]);
    files.target_pid = pid;
    const char *line = source_files_line(&files, path, 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (answer == 'n') {
        print_message("no other root may be taken here\n");
        skip();
    }
    assert_string_equal(line, "of the target");
}

static bool was_opened(int watch_fd)
{
    char events[512];
    return read(watch_fd, events, sizeof(events)) > 0;
}

/* What lies at a path of somebody else's choice is looked at before it is opened. */
static void test_nothing_else_is_even_opened(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    char fifo[300];
    snprintf(fifo, sizeof(fifo), "%s/watched", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    write_file("regular.c", "text\n");
    _cleanup_(fd_closep) int watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch_fd, fifo, IN_OPEN) >= 0);
    assert_null(source_files_line(&files, fifo, 1));
    assert_false(was_opened(watch_fd));
    assert_true(inotify_add_watch(watch_fd, path, IN_OPEN) >= 0);
    assert_string_equal(source_files_line(&files, path, 1), "text");
    assert_true(was_opened(watch_fd));
}

static void test_bounds(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    char wide[2 * SOURCE_LINE_MAX_BYTES + 2];
    memset(wide, 'x', sizeof(wide));
    wide[sizeof(wide) - 2] = '\n';
    wide[sizeof(wide) - 1] = '\0';
    write_file("wide.c", wide);
    assert_int_equal(strlen(source_files_line(&files, path, 1)), SOURCE_LINE_MAX_BYTES);
    for (unsigned int i = 0; i < SOURCE_FILES_MAX + 10; i++) {
        char name[64];
        snprintf(name, sizeof(name), "/nowhere/%u.c", i);
        assert_null(source_files_line(&files, name, 1));
    }
    assert_int_equal(files.n_files, SOURCE_FILES_MAX);
    snprintf(path, sizeof(path), "%s/huge.c", folder);
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, SOURCE_FILES_MAX_BYTES + 1), 0);
    struct source_files others;
    source_files_init(&others, &arena);
    assert_null(source_files_line(&others, path, 1));
    source_files_release(&others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_empty_missing_and_what_is_no_file),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_the_library_of_rust),
        cmocka_unit_test(test_in_the_file_system_of_the_target),
        cmocka_unit_test(test_a_target_with_another_root),
        cmocka_unit_test(test_nothing_else_is_even_opened),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
