/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "jit/jit_map.h"
#include "jit/jit_test.h"

struct scene {
    struct jit_code *code;
    struct jit_map *map;
    int fd; /* the writer's */
};

static struct scene make(void)
{
    struct scene scene = {.fd = test_file()};
    assert_int_equal(jit_code_new(&scene.code), 0);
    assert_int_equal(jit_map_open(scene.code, 42, dup(scene.fd), &scene.map), 0);
    return scene;
}

static void end(struct scene *scene)
{
    jit_map_free(scene->map);
    jit_code_free(scene->code);
    close(scene->fd);
}

static void append(const struct scene *scene, const char *text)
{
    assert_int_equal(write(scene->fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int64_t look(const struct scene *scene)
{
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    budget.until_ns = UINT64_MAX;
    int64_t n_lines = jit_map_read(scene->map, false, &budget);
    assert_int_equal(jit_code_publish(scene->code), 0);
    return n_lines;
}

static void test_it_grows(void **state)
{
    (void)state;
    struct scene scene = make();
    assert_int_equal(look(&scene), 0);
    append(&scene, "1000 10 one\n2000 10 tw");
    assert_int_equal(look(&scene), 1);
    assert_int_equal(look(&scene), 0);
    append(&scene, "o\n3000 10 three");
    assert_int_equal(look(&scene), 1);
    assert_string_equal(test_name_at(scene.code, 42, 0x2005, 1), "two");
    assert_string_equal(test_name_at(scene.code, 42, 0x3005, 1), "");
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    assert_int_equal(jit_map_read(scene.map, true, &budget), 1); /* its program has ended */
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x3005, clock_now_ns()), "three");
    assert_int_equal(jit_map_pid(scene.map), 42);
    end(&scene);
}

/* What was there at the first look has always been there; the rest since it was written. */
static void test_times(void **state)
{
    (void)state;
    struct scene scene = make();
    append(&scene, "1000 10 old\n");
    assert_int_equal(look(&scene), 1);
    uint64_t before_ns = clock_now_ns();
    append(&scene, "1000 10 new\n");
    usleep(20000);
    assert_int_equal(look(&scene), 1);
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, 1), "old");
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, before_ns - 10 * NS_PER_MS), "old");
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, clock_now_ns()), "new");
    end(&scene);
}

/* Java writes all of it anew when it is asked to. */
static void test_written_anew(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jit_code_stats stats;
    append(&scene, "1000 10 stays\n2000 10 goes\n");
    assert_int_equal(look(&scene), 2);
    assert_int_equal(ftruncate(scene.fd, 0), 0);
    assert_int_equal(lseek(scene.fd, 0, SEEK_SET), 0);
    append(&scene, "1000 10 stays\n2000 10 comes\n3000 10 comes too\n");
    assert_int_equal(look(&scene), 3);
    jit_code_get_stats(scene.code, &stats);
    assert_int_equal(stats.n_functions, 4); /* what stays was not added again */
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, clock_now_ns()), "stays");
    assert_string_equal(test_name_at(scene.code, 42, 0x2000, 1), "goes");
    assert_string_equal(test_name_at(scene.code, 42, 0x2000, clock_now_ns()), "comes");
    /* And shorter. */
    assert_int_equal(ftruncate(scene.fd, 0), 0);
    assert_int_equal(lseek(scene.fd, 0, SEEK_SET), 0);
    append(&scene, "5000 10 alone\n");
    assert_int_equal(look(&scene), 1);
    end(&scene);
}

static void test_many_lines(void **state)
{
    (void)state;
    struct scene scene = make();
    FILE *file = fdopen(dup(scene.fd), "w");
    for (int i = 0; i < 60000; i++) {
        fprintf(file, "%x 40 function number %d\n", 0x10000 + 64 * i, i);
    }
    fclose(file);
    assert_int_equal(look(&scene), 60000);
    assert_string_equal(test_name_at(scene.code, 42, 0x10000 + 64 * 54321, 1),
                        "function number 54321");
    end(&scene);
}

/* `truncate -s 8E` costs a program nothing, and us not much more. */
static void test_a_map_without_an_end(void **state)
{
    (void)state;
    struct scene scene = make();
    append(&scene, "1000 10 one\n");
    assert_int_equal(look(&scene), 1);
    assert_int_equal(ftruncate(scene.fd, (off_t)1 << 40), 0);
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    assert_int_equal(jit_map_read(scene.map, false, &budget), 0);
    assert_true(budget.was_exceeded);
    /* One that is stopped reads one window. */
    atomic_bool is_stopping = true;
    budget = jit_budget_begin(&is_stopping, clock_now_ns());
    assert_int_equal(jit_map_read(scene.map, false, &budget), 0);
    assert_true(budget.was_exceeded);
    assert_int_equal(budget.n_bytes_left, JIT_BUDGET_BYTES - JIT_WINDOW_BYTES);
    /* In the end it is given up. */
    int64_t r = 0;
    for (uint64_t n = 0; r == 0 && n <= JIT_FILE_MAX_BYTES / JIT_WINDOW_BYTES; n++) {
        budget = jit_budget_begin(NULL, clock_now_ns());
        r = jit_map_read(scene.map, false, &budget);
    }
    assert_int_equal(r, -EFBIG);
    budget = jit_budget_begin(NULL, clock_now_ns());
    assert_int_equal(jit_map_read(scene.map, false, &budget), 0);
    assert_false(budget.was_exceeded);
    end(&scene);
}

/* The trigger of a search that took minutes: the same line again and again. */
static void test_the_same_line_many_times(void **state)
{
    (void)state;
    struct scene scene = make();
    FILE *file = fdopen(dup(scene.fd), "w");
    for (int i = 0; i < 100000; i++) {
        fputs("10000 40 same\n", file);
    }
    fclose(file);
    assert_int_equal(look(&scene), 100000);
    assert_string_equal(test_name_at(scene.code, 42, 0x10001, 1), "same");
    struct jit_code_stats stats;
    jit_code_get_stats(scene.code, &stats);
    assert_int_equal(stats.n_dropped, 0); /* they are one, of which nothing is left out */
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_grows),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_written_anew),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_a_map_without_an_end),
        cmocka_unit_test(test_the_same_line_many_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
