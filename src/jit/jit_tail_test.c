/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "decode/jitdump_test.h"
#include "jit/jit_tail.h"
#include "jit/jit_test.h"

#define WAIT_MS 5000

static void test_paths_of_dumps(void **state)
{
    (void)state;
    assert_true(jit_tail_is_dump("/tmp/jit-4711.dump"));
    assert_true(jit_tail_is_dump("/home/x/.debug/jit/java-jit-1/jit-1.dump (deleted)"));
    assert_true(jit_tail_is_dump("jit-1.dump"));
    assert_false(jit_tail_is_dump("/tmp/jit-.dump"));
    assert_false(jit_tail_is_dump("/tmp/jit-x.dump"));
    assert_false(jit_tail_is_dump("/tmp/jit-1.dumpling"));
    assert_false(jit_tail_is_dump("/usr/lib/libjit-1.so"));
}

/* A process that lives until we end it. */
static pid_t start_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void map(struct jit_tail *tail, pid_t pid, const char *path, const struct stat *status)
{
    const struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = 0x1000,
        .end_ip = 0x2000,
        .path = path,
        .inode = status ? status->st_ino : 0,
        .device_major = status ? major(status->st_dev) : 0,
        .device_minor = status ? minor(status->st_dev) : 0,
    };
    const struct event event = {.kind = EVENT_IMAGE, .pid = pid, .tid = pid, .image = &image};
    jit_tail_on_image(tail, &event);
}

static void write_file(const char *path, int flags, const void *data, size_t n_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n_bytes), (ssize_t)n_bytes);
    close(fd);
}

/* From the first mapping of made code to the last line after the end of the process. */
static void test_a_map_is_followed_to_its_end(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = NULL;
    _cleanup_(jit_tail_freep) struct jit_tail *tail = NULL;
    char path[64];
    pid_t pid = start_process();
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
    assert_int_equal(jit_code_new(&code), 0);
    assert_int_equal(jit_tail_new(code, &tail), 0);
    map(tail, pid, "/usr/lib/libc.so.6", NULL);
    assert_true(jit_tail_wait(tail, WAIT_MS)); /* nothing to follow: at once */
    map(tail, pid, "//anon", NULL);
    write_file(path, O_TRUNC, "1000 10 one\n", 12);
    for (int i = 0; i < 100 && !*test_name_at(code, pid, 0x1000, clock_now_ns()); i++) {
        usleep(20000);
        assert_true(jit_tail_wait(tail, WAIT_MS));
    }
    assert_string_equal(test_name_at(code, pid, 0x1000, clock_now_ns()), "one");
    jit_tail_end(tail); /* the run is stopped, the process goes on */
    assert_true(jit_tail_wait(tail, WAIT_MS));
    assert_false(jit_code_is_settled(code));
    write_file(path, O_APPEND, "2000 10 two", 11);
    end_process(pid);
    for (int i = 0; i < 100 && !jit_code_is_settled(code); i++) {
        usleep(20000);
    }
    assert_true(jit_code_is_settled(code));
    assert_string_equal(test_name_at(code, pid, 0x2000, clock_now_ns()), "two");
    assert_true(jit_tail_wait(tail, WAIT_MS));
    char trouble[200];
    jit_tail_describe(tail, trouble, sizeof(trouble));
    assert_string_equal(trouble, "");
    unlink(path);
}

static void test_a_mapped_dump(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = NULL;
    _cleanup_(jit_tail_freep) struct jit_tail *tail = NULL;
    char folder[] = "/tmp/stax-jit-XXXXXX", path[128];
    struct jitdump_text text = {0};
    struct stat status;
    pid_t pid = start_process();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/jit-%d.dump", folder, (int)pid);
    dump_header(&text, 7, 0);
    dump_load(&text, clock_now_ns(), 0x1000, 1, "of the dump", "0123456789");
    write_file(path, O_TRUNC, text.bytes, text.n_bytes);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(jit_code_new(&code), 0);
    assert_int_equal(jit_tail_new(code, &tail), 0);
    map(tail, pid, path, &status);
    map(tail, pid, path, &status); /* told again: read once */
    assert_true(jit_tail_wait(tail, WAIT_MS));
    assert_string_equal(test_name_at(code, pid, 0x1001, clock_now_ns()), "of the dump");
    struct jit_code_stats stats;
    jit_code_get_stats(code, &stats);
    assert_int_equal(stats.n_functions, 1);
    /* Its child begins with the same code, until it runs another program. */
    const struct event_image forked = {.change = EVENT_IMAGE_FORKED, .parent_pid = pid};
    const struct event_image exec = {.change = EVENT_IMAGE_EXEC};
    const struct event fork_event = {
        .kind = EVENT_IMAGE, .pid = 777777, .time_ns = clock_now_ns(), .image = &forked};
    struct event exec_event = {.kind = EVENT_IMAGE, .pid = pid, .image = &exec};
    jit_tail_on_image(tail, &fork_event);
    exec_event.time_ns = clock_now_ns();
    jit_tail_on_image(tail, &exec_event);
    assert_true(jit_tail_wait(tail, WAIT_MS));
    assert_string_equal(test_name_at(code, 777777, 0x1001, clock_now_ns()), "of the dump");
    struct jit_place place;
    uint64_t before_ns = exec_event.time_ns - 1;
    assert_true(jit_code_find(code, pid, 0x1001, before_ns, before_ns, &place));
    assert_int_equal(place.to_ns, exec_event.time_ns);
    assert_string_equal(test_name_at(code, pid, 0x1001, exec_event.time_ns), "");
    /* And the child of the child, of which nobody heard that it maps code. */
    const struct event_image again = {.change = EVENT_IMAGE_FORKED, .parent_pid = 777777};
    const struct event second_fork = {
        .kind = EVENT_IMAGE, .pid = 777778, .time_ns = clock_now_ns(), .image = &again};
    jit_tail_on_image(tail, &second_fork);
    assert_true(jit_tail_wait(tail, WAIT_MS));
    assert_string_equal(test_name_at(code, 777778, 0x1001, clock_now_ns()), "of the dump");
    end_process(pid);
    unlink(path);
    rmdir(folder);
}

static void test_a_dump_that_is_not_one(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = NULL;
    _cleanup_(jit_tail_freep) struct jit_tail *tail = NULL;
    char folder[] = "/tmp/stax-jit-XXXXXX", path[128], trouble[200];
    struct stat status;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/jit-%d.dump", folder, (int)getpid());
    write_file(path, O_TRUNC, "something else, and long enough for a header", 44);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(jit_code_new(&code), 0);
    assert_int_equal(jit_tail_new(code, &tail), 0);
    map(tail, getpid(), path, &status);
    assert_true(jit_tail_wait(tail, WAIT_MS));
    jit_tail_describe(tail, trouble, sizeof(trouble));
    assert_non_null(strstr(trouble, "makes no sense"));
    unlink(path);
    rmdir(folder);
}

/* Whoever frees a run does not wait for the end of a file that has none. */
static void test_freeing_does_not_wait_for_files(void **state)
{
    (void)state;
    struct jit_code *code = NULL;
    struct jit_tail *tail = NULL;
    char path[64];
    pid_t pid = start_process();
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
    write_file(path, O_TRUNC, "1000 10 one\n", 12);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    assert_int_equal(jit_code_new(&code), 0);
    assert_int_equal(jit_tail_new(code, &tail), 0);
    map(tail, pid, "//anon", NULL);
    assert_false(jit_tail_wait(tail, 50)); /* it has begun, and has not read all */
    uint64_t start_ns = clock_now_ns();
    tail = jit_tail_free(tail);
    assert_true(clock_now_ns() - start_ns < 60 * NS_PER_S);
    jit_code_free(code);
    end_process(pid);
    unlink(path);
}

/* What cannot be taken is said, and asked for again. */
static void test_too_many_notices(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = NULL;
    _cleanup_(jit_tail_freep) struct jit_tail *tail = NULL;
    char trouble[200] = "";
    assert_int_equal(jit_code_new(&code), 0);
    assert_int_equal(jit_tail_new(code, &tail), 0);
    for (int i = 0; i < 400000 && trouble[0] == '\0'; i++) {
        map(tail, 5000000 + i, "//anon", NULL); /* no pid is that high */
        jit_tail_describe(tail, trouble, sizeof(trouble));
    }
    assert_string_not_equal(trouble, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_of_dumps),
        cmocka_unit_test(test_a_map_is_followed_to_its_end),
        cmocka_unit_test(test_a_mapped_dump),
        cmocka_unit_test(test_a_dump_that_is_not_one),
        cmocka_unit_test(test_freeing_does_not_wait_for_files),
        cmocka_unit_test(test_too_many_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
