/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "jit/jit_code.h"
#include "jit/jit_test.h"

static struct jit_code *make(void)
{
    struct jit_code *code;
    assert_int_equal(jit_code_new(&code), 0);
    return code;
}

static void load(struct jit_code *code, int64_t pid, uint64_t start_ip, uint64_t n_bytes,
                 uint64_t from_ns, const char *name)
{
    const struct jit_load wanted = test_load(pid, start_ip, n_bytes, from_ns, name);
    assert_int_equal(jit_code_load(code, &wanted), 0);
}

static void test_by_address_and_process(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    load(code, 1, 0x1000, 0x100, 10, "one");
    load(code, 2, 0x1000, 0x100, 10, "two");
    assert_string_equal(test_name_at(code, 1, 0x1000, 20), ""); /* not published */
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 1, 0x1000, 20), "one");
    assert_string_equal(test_name_at(code, 1, 0x10ff, 20), "one");
    assert_string_equal(test_name_at(code, 1, 0x1100, 20), "");
    assert_string_equal(test_name_at(code, 1, 0xfff, 20), "");
    assert_string_equal(test_name_at(code, 2, 0x1050, 20), "two");
    assert_string_equal(test_name_at(code, 3, 0x1050, 20), "");
}

/* Memory that is used again: who asks about the past gets the past. */
static void test_reuse_by_time(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    load(code, 1, 0x1000, 0x100, 100, "old");
    assert_int_equal(jit_code_publish(code), 0);
    assert_int_equal(*jit_code_reuse_count(code), 0);
    load(code, 1, 0x1080, 0x100, 200, "new");
    assert_int_equal(jit_code_publish(code), 0);
    assert_int_equal(*jit_code_reuse_count(code), 1);
    assert_string_equal(test_name_at(code, 1, 0x1090, 150), "old");
    assert_string_equal(test_name_at(code, 1, 0x1090, 199), "old");
    assert_string_equal(test_name_at(code, 1, 0x1090, 200), "new");
    /* A record can come a little late: before all of them the first one is meant. */
    assert_string_equal(test_name_at(code, 1, 0x1090, 50), "old");
    /* A frame that was seen for a while: the one that stood there for most of it. */
    struct jit_place place;
    assert_true(jit_code_find(code, 1, 0x1090, 120, 210, &place));
    assert_string_equal(place.symbol->name, "old");
    assert_true(jit_code_find(code, 1, 0x1090, 190, 290, &place));
    assert_string_equal(place.symbol->name, "new");
    assert_int_equal(place.start_ip, 0x1080);
    /* At the same time the one that was told later. */
    load(code, 1, 0x1080, 0x100, 200, "newest");
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 1, 0x1090, 200), "newest");
}

/* What is told out of order is found in order. */
static void test_late_records(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    load(code, 1, 0x1000, 0x10, 300, "third");
    assert_int_equal(jit_code_publish(code), 0);
    load(code, 1, 0x1000, 0x10, 100, "first");
    load(code, 1, 0x1000, 0x10, 200, "second");
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 1, 0x1000, 100), "first");
    assert_string_equal(test_name_at(code, 1, 0x1000, 250), "second");
    assert_string_equal(test_name_at(code, 1, 0x1000, 300), "third");
}

static void test_move(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    struct jit_load wanted = test_load(1, 0x1000, 0x100, 100, "wanders");
    wanted.producer = 5;
    wanted.index = 77;
    assert_int_equal(jit_code_load(code, &wanted), 0);
    assert_int_equal(jit_code_publish(code), 0);
    assert_int_equal(jit_code_move(code, 5, 77, 0x5000, 200), 0);
    assert_int_equal(jit_code_move(code, 5, 78, 0x5000, 200), -ENOENT);
    assert_int_equal(jit_code_move(code, 6, 77, 0x5000, 200), -ENOENT);
    assert_int_equal(jit_code_move(code, 5, 77, UINT64_MAX - 2, 200), -EINVAL);
    /* And on, before the first move was published. */
    assert_int_equal(jit_code_move(code, 5, 77, 0x9000, 300), 0);
    load(code, 1, 0x1000, 0x100, 250, "squatter");
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 1, 0x1010, 150), "wanders");
    assert_string_equal(test_name_at(code, 1, 0x5010, 250), "wanders");
    assert_string_equal(test_name_at(code, 1, 0x9010, 350), "wanders");
    assert_string_equal(test_name_at(code, 1, 0x1010, 350), "squatter");
    struct jit_place place;
    assert_true(jit_code_find(code, 1, 0x5010, 250, 250, &place));
    assert_int_equal(place.to_ns, 300);
    struct jit_code_stats stats;
    jit_code_get_stats(code, &stats);
    assert_int_equal(stats.n_moves, 2);
    assert_int_equal(stats.n_functions, 2);
}

static void test_exec_and_fork(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    load(code, 1, 0x1000, 0x100, 100, "of the parent");
    jit_code_fork(code, 2, 1, 200);
    load(code, 1, 0x1000, 0x100, 300, "of the parent later");
    jit_code_exec(code, 1, 400);
    load(code, 1, 0x1000, 0x10, 500, "after exec");
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 2, 0x1010, 350), "of the parent");
    assert_string_equal(test_name_at(code, 1, 0x1010, 350), "of the parent later");
    assert_string_equal(test_name_at(code, 1, 0x1005, 600), "after exec");
    jit_code_exec(code, 2, 400);
    assert_string_equal(test_name_at(code, 2, 0x1010, 350), "of the parent");
    assert_string_equal(test_name_at(code, 2, 0x1010, 450), "");
    jit_code_fork(code, 3, 3, 1);
    jit_code_exec(code, 99, 1);
}

/* A child of a child has the code as well; a pid that is used again does not. */
static void test_generations(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    assert_false(jit_code_knows(code, 1));
    load(code, 1, 0x1000, 0x100, 100, "of the first");
    jit_code_fork(code, 2, 1, 200);
    jit_code_fork(code, 3, 2, 300);
    assert_true(jit_code_knows(code, 3));
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 3, 0x1010, 350), "of the first");
    load(code, 9, 0x1000, 0x100, 100, "of another");
    assert_int_equal(jit_code_publish(code), 0);
    jit_code_fork(code, 3, 9, 1000);
    assert_string_equal(test_name_at(code, 3, 0x1010, 1100), "of another");
    struct jit_place place;
    assert_true(jit_code_find(code, 3, 0x1010, 1100, 1100, &place));
    assert_int_equal(place.pid, 3);
}

/* What is told late of a process that runs another program by now concerns that one. */
static void test_told_after_exec(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    load(code, 1, 0x1000, 0x100, 100, "before");
    jit_code_exec(code, 1, 400);
    load(code, 1, 0x2000, 0x100, 0, "in the next map"); /* "it has always been there" */
    struct jit_load exact = test_load(1, 0x3000, 0x100, 300, "buffered");
    exact.is_time_exact = true;
    assert_int_equal(jit_code_load(code, &exact), 0);
    assert_int_equal(jit_code_publish(code), 0);
    assert_string_equal(test_name_at(code, 1, 0x2010, 500), "in the next map");
    assert_string_equal(test_name_at(code, 1, 0x3010, 350), "buffered");
    assert_string_equal(test_name_at(code, 1, 0x3010, 500), "");
    assert_string_equal(test_name_at(code, 1, 0x1010, 500), "");
}

/* Each move ends the range before it: that takes no search of all that came with it. */
static void test_many_moves_at_once(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    const uint64_t n = 100000;
    struct jit_load wanted = test_load(1, 0, 0x10, 100, "f");
    uint64_t start_ns = clock_now_ns();
    wanted.producer = 1;
    wanted.is_time_exact = true;
    for (uint64_t i = 0; i < n; i++) {
        wanted.start_ip = 0x100000; /* all in one place */
        wanted.index = i;
        assert_int_equal(jit_code_load(code, &wanted), 0);
    }
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(jit_code_move(code, 1, i, 0x10000000 + 0x10 * i, 200), 0);
        if (i == n / 2) {
            assert_int_equal(jit_code_publish(code), 0);
        }
    }
    assert_int_equal(jit_code_publish(code), 0);
    assert_true(clock_now_ns() - start_ns < 60 * NS_PER_S);
    assert_string_equal(test_name_at(code, 1, 0x100008, 200 + 2 * NS_PER_S), "");
    assert_string_equal(test_name_at(code, 1, 0x10000000 + 0x10 * (n - 1), 300), "f");
    struct jit_code_stats stats;
    jit_code_get_stats(code, &stats);
    assert_int_equal(stats.n_moves, n);
    assert_int_equal(stats.n_dropped, 1); /* there are addresses with more than is looked at */
}

/* One row of a table, whose description claims as much code as the function has. */
static void test_tables_have_a_limit(void **state)
{
    (void)state;
    static const uint8_t eh_frame[] = {
        0x14, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
        /* FDE: 64 MiB from 64 MiB + 32 bytes before. */
        0x18, 0, 0, 0, 0x1c, 0, 0, 0, 0xe0, 0xff, 0xff, 0xfb, 0, 0, 0, 4, 0, 0x41, 0x0e, 16, 0x86,
        2, 0x02, 13, 0x0c, 7, 8, 0, 0, 0, 0, 0};
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    struct jit_code_stats stats;
    struct jit_load wanted = test_load(1, 0x10000000, 64u << 20, 100, "f");
    wanted.fd = test_file();
    wanted.elf_machine = EM_X86_64;
    const uint64_t n_fit = JIT_CODE_MAX_BYTES >> 20; /* each table has an index of 1 MiB */
    for (uint64_t i = 0; i < n_fit + 20; i++) {
        wanted.eh_frame = bytes_of(eh_frame, sizeof(eh_frame));
        assert_int_equal(jit_code_load(code, &wanted), 0);
    }
    jit_code_get_stats(code, &stats);
    assert_in_range(stats.n_tables, n_fit - 20, n_fit);
    assert_int_equal(stats.n_functions, n_fit + 20); /* with their names, without tables */
    assert_int_equal(stats.n_dropped, n_fit + 20 - stats.n_tables);
    close(wanted.fd);
}

/* However often it was compiled, a function is one line of a table. */
static void test_equal_names_are_one_symbol(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    struct jit_place one, other;
    load(code, 1, 0x1000, 0x100, 100, "JS:*hot f.js:1:1");
    load(code, 2, 0x7000, 0x200, 100, "JS:*hot f.js:1:1");
    assert_int_equal(jit_code_publish(code), 0);
    assert_true(jit_code_find(code, 1, 0x1000, 200, 200, &one));
    assert_true(jit_code_find(code, 2, 0x7000, 200, 200, &other));
    assert_ptr_equal(one.symbol, other.symbol);
    assert_int_equal(other.start_ip, 0x7000);
    assert_string_equal(one.symbol->image, JIT_CODE_IMAGE);
    assert_int_equal(one.symbol->kind, FRAME_KIND_JIT);
}

static void test_what_is_told_again(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    struct jit_load wanted = test_load(1, 0x1000, 0x100, 100, "same");
    struct jit_code_stats stats;
    wanted.may_repeat = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jit_code_load(code, &wanted), 0);
        assert_int_equal(jit_code_publish(code), 0);
        wanted.from_ns += 100;
    }
    jit_code_get_stats(code, &stats);
    assert_int_equal(stats.n_functions, 1);
    wanted.n_bytes = 0;
    assert_int_equal(jit_code_load(code, &wanted), -EINVAL);
    wanted.n_bytes = 0x100;
    wanted.start_ip = UINT64_MAX - 5;
    assert_int_equal(jit_code_load(code, &wanted), -EINVAL);
    wanted.start_ip = 0;
    wanted.n_bytes = JIT_CODE_MAX_FUNCTION_BYTES + 1;
    assert_int_equal(jit_code_load(code, &wanted), -EINVAL);
}

/* Asked by many while it grows. */
static atomic_bool is_done;

static void *ask(void *userdata)
{
    struct jit_code *code = userdata;
    uint64_t n_found = 0;
    bool is_last;
    do { /* once at least, for who gets no CPU before it is done */
        struct jit_place place;
        is_last = atomic_load(&is_done);
        for (uint64_t i = 0; i < 100; i++) {
            n_found +=
                jit_code_find(code, 1, i * 0x100, 10, 10, &place) && place.symbol->name[0] == 'f';
        }
    } while (!is_last);
    return (void *)(uintptr_t)n_found;
}

static void test_readers_while_it_grows(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    pthread_t readers[2];
    atomic_store(&is_done, false);
    load(code, 1, 0, 0x100, 1, "first");
    assert_int_equal(jit_code_publish(code), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, ask, code), 0);
    }
    for (uint64_t i = 1; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%d", (int)(i % 500));
        load(code, 1, (i % 300) * 0x100, 0x100, i, name);
        if (i % 10 == 0) {
            assert_int_equal(jit_code_publish(code), 0);
        }
    }
    atomic_store(&is_done, true);
    for (size_t i = 0; i < 2; i++) {
        void *n_found;
        pthread_join(readers[i], &n_found);
        assert_true((uintptr_t)n_found > 0);
    }
    assert_false(jit_code_is_settled(code));
    jit_code_settle(code);
    assert_true(jit_code_is_settled(code));
}

static void test_files(void **state)
{
    (void)state;
    _cleanup_(jit_code_freep) struct jit_code *code = make();
    int fd = test_file();
    assert_int_equal(jit_code_keep_file(code, fd), fd);
    for (int i = 0; i < 63; i++) {
        assert_true(jit_code_keep_file(code, dup(fd)) >= 0);
    }
    int one_too_many = dup(fd);
    assert_int_equal(jit_code_keep_file(code, one_too_many), -1);
    assert_int_equal(fcntl(one_too_many, F_GETFD), -1); /* closed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_address_and_process),
        cmocka_unit_test(test_reuse_by_time),
        cmocka_unit_test(test_late_records),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_exec_and_fork),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_told_after_exec),
        cmocka_unit_test(test_many_moves_at_once),
        cmocka_unit_test(test_tables_have_a_limit),
        cmocka_unit_test(test_equal_names_are_one_symbol),
        cmocka_unit_test(test_what_is_told_again),
        cmocka_unit_test(test_readers_while_it_grows),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
