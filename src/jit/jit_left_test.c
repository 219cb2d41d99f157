/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "jit/jit_left.h"
#include "jit/jit_test.h"

/* A process that is gone, and the map that it left. */
struct scene {
    int64_t pid;
    char path[64];
    struct jit_code *code;
};

static int64_t gone(void)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return child;
}

static struct scene make(int64_t pid)
{
    struct scene scene = {.pid = pid};
    snprintf(scene.path, sizeof(scene.path), "/tmp/perf-%lld.map", (long long)scene.pid);
    FILE *map = fopen(scene.path, "we");
    assert_non_null(map);
    fprintf(map, "1000 100 made\n2000 100 more\n");
    fclose(map);
    assert_int_equal(jit_code_new(&scene.code), 0);
    return scene;
}

static void end(struct scene *scene)
{
    jit_code_free(scene->code);
    unlink(scene->path);
}

static void map(struct jit_left *left, int64_t pid, const char *path)
{
    const struct event_image image = {.change = EVENT_IMAGE_MAPPED, .path = path};
    const struct event event = {.kind = EVENT_IMAGE, .pid = pid, .image = &image};
    jit_left_on_image(left, &event);
}

static const char *name_of(const struct scene *scene, uint64_t ended_at_unix_ns, const char *path)
{
    _cleanup_(jit_left_freep) struct jit_left *left = NULL;
    assert_int_equal(jit_left_new(scene->code, ended_at_unix_ns, &left), 0);
    map(left, scene->pid, path);
    map(left, scene->pid, path);
    return test_name_at(scene->code, scene->pid, 0x2010, 5);
}

static void test_of_the_dead(void **state)
{
    (void)state;
    struct scene scene = make(gone());
    assert_string_equal(name_of(&scene, clock_now_unix_ns(), "/usr/lib/libc.so.6"), "");
    assert_string_equal(name_of(&scene, clock_now_unix_ns(), "[vdso]"), "");
    assert_string_equal(name_of(&scene, clock_now_unix_ns(), "//anon"), "more");
    end(&scene);
}

static void test_written_long_after(void **state)
{
    (void)state;
    struct scene scene = make(gone());
    uint64_t hour_ago_ns = clock_now_unix_ns() - 3600 * NS_PER_S;
    assert_string_equal(name_of(&scene, hour_ago_ns, "//anon"), "");
    end(&scene);
}

static void test_of_the_living(void **state)
{
    (void)state;
    struct scene scene = make(getpid());
    /* Whoever was recorded before we began had our pid, and was another. */
    assert_string_equal(name_of(&scene, clock_now_unix_ns() - 86400 * NS_PER_S, "//anon"), "");
    assert_string_equal(name_of(&scene, clock_now_unix_ns(), "//anon"), "more");
    end(&scene);
}

static void test_a_link_is_not_followed(void **state)
{
    (void)state;
    struct scene scene = make(gone());
    char aside[80];
    snprintf(aside, sizeof(aside), "%s.aside", scene.path);
    assert_int_equal(rename(scene.path, aside), 0);
    assert_int_equal(symlink(aside, scene.path), 0);
    assert_string_equal(name_of(&scene, clock_now_unix_ns(), "//anon"), "");
    unlink(aside);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_the_dead),
        cmocka_unit_test(test_written_long_after),
        cmocka_unit_test(test_of_the_living),
        cmocka_unit_test(test_a_link_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
