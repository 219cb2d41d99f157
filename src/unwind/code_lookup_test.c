/* SPDX-License-Identifier: MIT */
#include "unwind/code_lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define PID 77
#define AT 0x10000u

struct fixture {
    struct cfi_store *store;
    struct code_lookup *lookup;
    bool has_tables;
    uint64_t now_ns;
};

static bool has_generated_tables(void *userdata)
{
    return ((struct fixture *)userdata)->has_tables;
}

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.now_ns = NS_PER_S};
    assert_int_equal(cfi_store_new(&fixture->store), 0);
    const struct unwinder_config config = {
        .store = fixture->store,
        .userdata = fixture,
        .has_generated_tables = has_generated_tables,
    };
    assert_int_equal(code_lookup_new(&config, &fixture->lookup), 0);
}

static void end(struct fixture *fixture)
{
    code_lookup_free(fixture->lookup);
    cfi_store_free(fixture->store);
}

static void map(struct fixture *fixture, const char *path, uint64_t start_ip, uint64_t n_bytes)
{
    const struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = start_ip,
        .end_ip = start_ip + n_bytes,
        .path = path,
        .inode = strcmp(path, "//anon") == 0 ? 0 : 1 + strlen(path),
    };
    const struct event event = {.kind = EVENT_IMAGE, .pid = PID, .image = &image};
    assert_int_equal(code_lookup_apply(fixture->lookup, &event), 0);
}

/* Generation of the map that is told now; 0: none is. */
static uint64_t export(struct fixture *fixture, struct code_map *ret_map)
{
    return code_lookup_export(fixture->lookup, PID, fixture->now_ns, ret_map) ? ret_map->generation
                                                                              : 0;
}

static size_t n_current(struct fixture *fixture, uint64_t generation, bool *ret_is_whole)
{
    const uint64_t ips[] = {0x50000, AT + 0x100, AT + 0x1000, 0x60000};
    return code_lookup_n_current(fixture->lookup, generation, ips, 4, ret_is_whole);
}

static void what_is_new_is_told_soon_then_every_20_ms(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    begin(&fixture);
    map(&fixture, "/none/a", AT, 0x1000);
    uint64_t first = export(&fixture, &told);
    assert_true(first > 0);
    assert_int_equal(told.n_ranges, 1);
    assert_int_equal(told.ranges[0].state, CODE_PENDING);
    map(&fixture, "/none/a", AT, 0x1000); /* told again: nothing has changed */
    fixture.now_ns += NS_PER_S;
    assert_int_equal(export(&fixture, &told), 0);
    map(&fixture, "/none/b", 0x90000, 0x1000);
    uint64_t second = export(&fixture, &told);
    assert_true(second > first);
    assert_int_equal(told.n_ranges, 2);
    map(&fixture, "/none/c", 0xa0000, 0x1000);
    assert_int_equal(export(&fixture, &told), 0);
    for (uint64_t i = 0; i < 30; i++) {
        fixture.now_ns += 2 * NS_PER_MS;
        map(&fixture, "/none/d", 0x100000 + i * 0x10000, 0x1000);
        second = export(&fixture, &told);
        assert_true(second > 0);
    }
    map(&fixture, "/none/e", 0xb0000, 0x1000);
    fixture.now_ns += 19 * NS_PER_MS;
    assert_int_equal(export(&fixture, &told), 0);
    fixture.now_ns += NS_PER_MS;
    assert_true(export(&fixture, &told) > second);
    assert_int_equal(told.n_ranges, 34);
    end(&fixture);
}

static void what_is_replaced_is_told_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    bool is_whole;
    begin(&fixture);
    map(&fixture, "/none/a", AT, 0x1000);
    uint64_t first = export(&fixture, &told);
    assert_int_equal(n_current(&fixture, first, &is_whole), 4);
    assert_true(is_whole);
    map(&fixture, "/none/other", AT + 0x800, 0x2000);
    /* Of the walk that was done before: up to the return address AT + 0x1000, in the new one. */
    assert_int_equal(n_current(&fixture, first, &is_whole), 3);
    assert_false(is_whole);
    uint64_t second = export(&fixture, &told);
    assert_true(second > first);
    assert_int_equal(told.n_ranges, 2);
    assert_int_equal(n_current(&fixture, second, &is_whole), 4);
    assert_true(is_whole);
    /* In the part that is left of the old one nothing has changed. */
    map(&fixture, "/none/a_third", AT + 0x100, 0x100);
    assert_int_equal(n_current(&fixture, second, &is_whole), 4);
    assert_true(is_whole);
    map(&fixture, "/none/a_fourth", AT, 0x100);
    assert_int_equal(n_current(&fixture, second, &is_whole), 2);
    assert_int_equal(n_current(&fixture, first, &is_whole), 2);
    assert_false(is_whole);
    end(&fixture);
}

static void after_an_exec_nothing_is_what_it_was(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    bool is_whole;
    begin(&fixture);
    map(&fixture, "/none/a", AT, 0x1000);
    uint64_t first = export(&fixture, &told);
    const struct event_image image = {.change = EVENT_IMAGE_EXEC};
    const struct event event = {.kind = EVENT_IMAGE, .pid = PID, .image = &image};
    assert_int_equal(code_lookup_apply(fixture.lookup, &event), 0);
    assert_int_equal(n_current(&fixture, first, &is_whole), 1);
    assert_false(is_whole);
    uint64_t second = export(&fixture, &told);
    assert_true(second > first);
    assert_int_equal(told.n_ranges, 0);
    (void)n_current(&fixture, second, &is_whole);
    assert_true(is_whole);
    end(&fixture);
}

static void more_changes_than_are_kept_make_all_doubtful(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    bool is_whole;
    begin(&fixture);
    map(&fixture, "/none/a", 0x1000000, 0x1000);
    uint64_t first = export(&fixture, &told);
    for (int i = 0; i < 300; i++) {
        map(&fixture, i % 2 ? "/none/a" : "/none/other", 0x1000000, 0x1000);
        (void)export(&fixture, &told);
    }
    assert_int_equal(n_current(&fixture, first, &is_whole), 1);
    assert_false(is_whole);
    assert_int_equal(n_current(&fixture, told.generation, &is_whole), 4);
    assert_true(is_whole);
    end(&fixture);
}

/* V8 asks for the protection of its code space again and again, and lets it grow. */
static void code_that_grows_is_the_same_code(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    bool is_whole;
    begin(&fixture);
    map(&fixture, "//anon", AT, 0x1000);
    uint64_t first = export(&fixture, &told);
    assert_int_equal(told.ranges[0].state, CODE_WITHOUT_TABLE);
    map(&fixture, "//anon", AT, 0x4000);
    assert_int_equal(n_current(&fixture, first, &is_whole), 4);
    assert_true(is_whole);
    assert_int_equal(export(&fixture, &told), 0);
    fixture.now_ns += NS_PER_S;
    assert_true(export(&fixture, &told) > first);
    assert_int_equal(told.ranges[0].end_ip, AT + 0x4000);
    end(&fixture);
}

static void code_with_tables_of_its_own_is_walked_outside(void **state)
{
    (void)state;
    struct fixture fixture;
    struct code_map told;
    begin(&fixture);
    map(&fixture, "//anon", AT, 0x1000);
    uint64_t first = export(&fixture, &told);
    fixture.has_tables = true;
    fixture.now_ns += NS_PER_S;
    assert_true(export(&fixture, &told) > first);
    assert_int_equal(told.ranges[0].state, CODE_PENDING);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_new_is_told_soon_then_every_20_ms),
        cmocka_unit_test(what_is_replaced_is_told_at_once),
        cmocka_unit_test(after_an_exec_nothing_is_what_it_was),
        cmocka_unit_test(more_changes_than_are_kept_make_all_doubtful),
        cmocka_unit_test(code_that_grows_is_the_same_code),
        cmocka_unit_test(code_with_tables_of_its_own_is_walked_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
