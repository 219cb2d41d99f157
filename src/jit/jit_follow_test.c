/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "decode/jitdump_test.h"
#include "jit/jit_follow.h"
#include "jit/jit_test.h"

struct scene {
    struct jit_code *code;
    struct jit_follow *follow;
    pid_t pid; /* of a process that lives until we end it */
    char map[64], dump[64];
};

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

static struct scene make(void)
{
    struct scene scene = {.pid = start_process()};
    assert_int_equal(jit_code_new(&scene.code), 0);
    assert_int_equal(jit_follow_new(scene.code, NULL, &scene.follow), 0);
    snprintf(scene.map, sizeof(scene.map), "/tmp/perf-%d.map", (int)scene.pid);
    snprintf(scene.dump, sizeof(scene.dump), "/tmp/jit-%d.dump", (int)scene.pid);
    return scene;
}

static void end(struct scene *scene)
{
    jit_follow_free(scene->follow);
    jit_code_free(scene->code);
    unlink(scene->map);
    unlink(scene->dump);
}

static void write_file(const char *path, int flags, const void *data, size_t n_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n_bytes), (ssize_t)n_bytes);
    close(fd);
}

static uint64_t look(const struct scene *scene)
{
    bool is_all;
    uint64_t n_added = jit_follow_read(scene->follow, &is_all);
    assert_true(is_all);
    assert_int_equal(jit_code_publish(scene->code), 0);
    return n_added;
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (folder && readdir(folder)) {
        n++;
    }
    if (folder) {
        closedir(folder);
    }
    return n;
}

/* Late events of a process that has ended: what it left is read once, and nothing stays open. */
static void test_events_after_the_end(void **state)
{
    (void)state;
    struct scene scene = make();
    size_t n_before = count_descriptors();
    write_file(scene.map, O_TRUNC, "1000 10 one\n", 12);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    assert_true(count_descriptors() > n_before);
    write_file(scene.map, O_APPEND, "2000 10 two\n", 12);
    end_process(scene.pid);
    assert_int_equal(look(&scene), 1);
    assert_int_equal(count_descriptors(), n_before);
    for (int i = 0; i < 5; i++) {
        jit_follow_process(scene.follow, scene.pid, clock_now_ns());
        assert_int_equal(look(&scene), 0);
    }
    assert_int_equal(count_descriptors(), n_before);
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x2001, clock_now_ns()), "two");
    end(&scene);
}

/* Every process that ends makes room for another. */
static void test_more_processes_than_places(void **state)
{
    (void)state;
    struct scene scene = make();
    for (unsigned int i = 0; i < 3 * JIT_FOLLOW_MAX_PROCESSES; i++) {
        jit_follow_process(scene.follow, 5000000 + i, clock_now_ns()); /* no pid is that high */
        (void)look(&scene);
    }
    assert_string_equal(jit_follow_trouble(scene.follow), "");
    write_file(scene.map, O_TRUNC, "1000 10 one\n", 12);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    end_process(scene.pid);
    end(&scene);
}

static void write_dump(const struct scene *scene, uint64_t made_ns, const char *name)
{
    struct jitdump_text text = {0};
    dump_header(&text, 7, 0);
    dump_load(&text, made_ns, 0x1000, 1, name, "code");
    write_file(scene->dump, O_TRUNC, text.bytes, text.n_bytes);
}

/* A run that was stopped does not follow its target for as long as that lives. */
static void test_a_run_that_ended(void **state)
{
    (void)state;
    struct scene scene = make();
    write_dump(&scene, clock_now_ns(), "in the run");
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    uint64_t end_ns = clock_now_ns();
    assert_false(jit_follow_is_done(scene.follow, end_ns + JIT_FOLLOW_LONGEST_NS));
    jit_follow_end(scene.follow, end_ns);
    assert_false(jit_follow_is_done(scene.follow, end_ns + NS_PER_S));
    assert_true(jit_follow_is_done(scene.follow, end_ns + JIT_FOLLOW_QUIET_NS + 2 * NS_PER_S));
    struct jitdump_text text = {0};
    dump_load(&text, end_ns + 1, 0x5000, 2, "after it", "code");
    write_file(scene.dump, O_APPEND, text.bytes, text.n_bytes);
    (void)look(&scene);
    assert_true(jit_follow_is_done(scene.follow, end_ns + NS_PER_S));
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1000, end_ns), "in the run");
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x5000, end_ns), "");
    end_process(scene.pid);
    end(&scene);
}

/* With a map that keeps growing it is not for ever either. */
static void test_a_run_that_ended_with_a_map(void **state)
{
    (void)state;
    struct scene scene = make();
    write_file(scene.map, O_TRUNC, "1000 10 one\n", 12);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    uint64_t end_ns = clock_now_ns() - 50 * NS_PER_S; /* some time ago */
    jit_follow_end(scene.follow, end_ns);
    write_file(scene.map, O_APPEND, "2000 10 two\n", 12);
    assert_int_equal(look(&scene), 1);
    assert_false(jit_follow_is_done(scene.follow, end_ns + JIT_FOLLOW_QUIET_NS + NS_PER_S));
    assert_true(jit_follow_is_done(scene.follow, end_ns + JIT_FOLLOW_LONGEST_NS + 1));
    end_process(scene.pid);
    (void)look(&scene);
    assert_true(jit_follow_is_done(scene.follow, end_ns + NS_PER_S));
    end(&scene);
}

static void test_files_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("not root: cannot give files away\n");
        skip();
    }
    struct scene scene = make();
    write_file(scene.map, O_TRUNC, "1000 10 planted\n", 16);
    assert_int_equal(chown(scene.map, 12345, 12345), 0);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 0);
    assert_non_null(strstr(jit_follow_trouble(scene.follow), "map in /tmp belongs to another"));
    end_process(scene.pid);
    end(&scene);
    scene = make();
    write_dump(&scene, clock_now_ns(), "planted");
    assert_int_equal(chown(scene.dump, 12345, 12345), 0);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 0);
    assert_non_null(strstr(jit_follow_trouble(scene.follow), "dump in /tmp belongs to another"));
    end_process(scene.pid);
    end(&scene);
}

/* The next program of a process does not take over the files of the one before. */
static void test_files_of_the_program_before(void **state)
{
    (void)state;
    struct scene scene = make();
    write_file(scene.map, O_TRUNC, "1000 10 one\n", 12);
    const struct timespec earlier[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    assert_int_equal(utimensat(AT_FDCWD, scene.map, earlier, 0), 0);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    usleep(50000);
    uint64_t exec_ns = clock_now_ns();
    jit_follow_exec(scene.follow, scene.pid, exec_ns);
    assert_int_equal(look(&scene), 0);
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1001, exec_ns - 1), "one");
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1001, clock_now_ns()), "");
    usleep(50000);
    unlink(scene.map);
    write_file(scene.map, O_EXCL, "1000 10 next\n", 13);
    usleep(110000); /* when it is looked for again */
    assert_int_equal(look(&scene), 1);
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1001, clock_now_ns()), "next");
    end_process(scene.pid);
    end(&scene);
}

/* A pid that is forked anew belongs to somebody else. */
static void test_a_pid_that_is_taken_again(void **state)
{
    (void)state;
    struct scene scene = make();
    write_file(scene.map, O_TRUNC, "1000 10 one\n", 12);
    jit_follow_process(scene.follow, scene.pid, clock_now_ns());
    assert_int_equal(look(&scene), 1);
    uint64_t fork_ns = clock_now_ns();
    jit_follow_fork(scene.follow, scene.pid, 5000000, fork_ns);
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1001, fork_ns - 1), "one");
    assert_string_equal(test_name_at(scene.code, scene.pid, 0x1001, fork_ns + 1), "");
    struct pollfd waits[JIT_FOLLOW_MAX_PROCESSES];
    assert_int_equal(jit_follow_waits(scene.follow, waits), 0);
    end_process(scene.pid);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_after_the_end),
        cmocka_unit_test(test_more_processes_than_places),
        cmocka_unit_test(test_a_run_that_ended),
        cmocka_unit_test(test_a_run_that_ended_with_a_map),
        cmocka_unit_test(test_files_of_another_user),
        cmocka_unit_test(test_files_of_the_program_before),
        cmocka_unit_test(test_a_pid_that_is_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
