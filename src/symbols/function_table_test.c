/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbols/function_table.h"

#define LIMIT UINT64_C(0x100000)

static struct function_table *new_table(void)
{
    struct function_table *table = NULL;
    assert_int_equal(function_table_new("libx.so", FRAME_KIND_USER, &table), 0);
    return table;
}

static void add_until(struct function_table *table, const char *name, uint64_t start,
                      uint64_t n_bytes, uint64_t end_limit, enum function_rank rank)
{
    struct function_entry entry = {
        .start_address = start, .n_bytes = n_bytes, .end_limit = end_limit, .rank = rank};
    assert_int_equal(function_table_add_names(table, name, strlen(name), &entry.name), 0);
    assert_int_equal(function_table_add(table, &entry), 0);
}

static void add(struct function_table *table, const char *name, uint64_t start, uint64_t n_bytes,
                enum function_rank rank)
{
    add_until(table, name, start, n_bytes, LIMIT, rank);
}

static void assert_name(struct function_table *table, uint64_t address, const char *name)
{
    const struct symbol *symbol = function_table_find(table, address);
    if (!name) {
        assert_null(symbol);
        return;
    }
    assert_non_null(symbol);
    assert_string_equal(symbol->name, name);
}

static void test_an_empty_table(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    assert_int_equal(function_table_sort(table), 0);
    assert_int_equal(function_table_count(table), 0);
    assert_name(table, 0, NULL);
    assert_name(table, UINT64_MAX, NULL);
    assert_null(function_table_free(NULL));
}

static void test_sizes_are_respected(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "second", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "first", 0x1000, 0x20, FUNCTION_RANK_LOCAL);
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, 0xfff, NULL);
    assert_name(table, 0x1000, "first");
    assert_name(table, 0x101f, "first");
    assert_name(table, 0x1020, NULL);
    assert_name(table, 0x200f, "second");
    assert_name(table, 0x2010, NULL);
    const struct symbol *symbol = function_table_find(table, 0x1005);
    assert_ptr_equal(symbol, function_table_find(table, 0x1006));
    assert_int_equal(symbol->start_address, 0x1000);
    assert_int_equal(symbol->size_bytes, 0x20);
    assert_string_equal(symbol->image, "libx.so");
    assert_int_equal(symbol->kind, FRAME_KIND_USER);
}

static void test_unknown_sizes_reach_to_the_next_or_the_sections_end(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add_until(table, "last_of_section", 0x1100, 0, 0x1200, FUNCTION_RANK_GLOBAL);
    add_until(table, "before", 0x1000, 0, 0x1200, FUNCTION_RANK_GLOBAL);
    add_until(table, "other_section", 0x5000, 0, 0x6000, FUNCTION_RANK_GLOBAL);
    add_until(table, "too_large", 0x8000, UINT64_MAX, 0x8100, FUNCTION_RANK_GLOBAL);
    add_until(table, "outside", 0x9000, 4, 0x9000, FUNCTION_RANK_GLOBAL);
    assert_int_equal(function_table_sort(table), 0);
    assert_int_equal(function_table_count(table), 4);
    assert_name(table, 0x10ff, "before");
    assert_name(table, 0x1100, "last_of_section");
    assert_name(table, 0x11ff, "last_of_section");
    assert_name(table, 0x1200, NULL);
    assert_name(table, 0x5fff, "other_section");
    assert_name(table, 0x6000, NULL);
    assert_name(table, 0x80ff, "too_large");
    assert_name(table, 0x8100, NULL);
    assert_name(table, 0x9000, NULL);
}

static void test_the_best_alias_is_kept(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "a_local", 0x1000, 0x10, FUNCTION_RANK_LOCAL);
    add(table, "z_the_global", 0x1000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "weak", 0x1000, 0x10, FUNCTION_RANK_WEAK);

    add(table, "__read", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "read", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "read_nocancel", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);

    add(table, "x_longer", 0x3000, 0x10, FUNCTION_RANK_WEAK);
    add(table, "_ZN1a1bEv", 0x3000, 0x10, FUNCTION_RANK_WEAK);
    add(table, "__x", 0x3000, 0x10, FUNCTION_RANK_WEAK);

    /* An empty function shares its address with the one that follows it. */
    add(table, "nop", 0x4000, 0, FUNCTION_RANK_GLOBAL);
    add(table, "real_function", 0x4000, 0x10, FUNCTION_RANK_GLOBAL);

    /* A label is worse than any function, but may know no size of it. */
    add(table, "asm_entry", 0x5000, 0, FUNCTION_RANK_GLOBAL);
    add(table, "l", 0x5000, 0x20, FUNCTION_RANK_LABEL);

    add(table, "b", 0x6000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "a", 0x6000, 0x10, FUNCTION_RANK_GLOBAL);
    assert_int_equal(function_table_sort(table), 0);
    assert_int_equal(function_table_count(table), 6);
    assert_name(table, 0x1008, "z_the_global");
    assert_name(table, 0x2008, "read");
    assert_name(table, 0x3008, "x_longer");
    assert_name(table, 0x4008, "real_function");
    assert_name(table, 0x5008, "asm_entry");
    assert_name(table, 0x5020, NULL);
    assert_name(table, 0x6000, "a");
}

static void test_functions_inside_functions(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "outer", 0x1000, 0x1000, FUNCTION_RANK_GLOBAL);
    add(table, "inner", 0x1200, 0x100, FUNCTION_RANK_LOCAL);
    add(table, "innermost", 0x1210, 0x10, FUNCTION_RANK_LOCAL);
    add(table, ".loop", 0x1800, 0, FUNCTION_RANK_LABEL);
    add(table, "end", 0x1900, 0, FUNCTION_RANK_BOUNDARY);
    add(table, "lonely_label", 0x3000, 0, FUNCTION_RANK_LABEL);
    add(table, "data", 0x3010, 0, FUNCTION_RANK_BOUNDARY);
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, 0x11ff, "outer");
    assert_name(table, 0x1200, "inner");
    assert_name(table, 0x1215, "innermost");
    assert_name(table, 0x1220, "inner");
    assert_name(table, 0x1300, "outer");
    assert_name(table, 0x1850, "outer");
    assert_name(table, 0x1950, "outer");
    assert_name(table, 0x2000, NULL);
    assert_name(table, 0x300f, "lonely_label");
    assert_name(table, 0x3010, NULL);
}

/* Each of 100 000 functions in the one before it: finding stays cheap and gives up. */
static void test_nesting_is_bounded(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    uint32_t name;
    assert_int_equal(function_table_add_names(table, "f", 1, &name), 0);
    const uint64_t n = 100000;
    for (uint64_t i = 0; i < n; i++) {
        struct function_entry entry = {
            .start_address = 1 + i,
            .n_bytes = 4 * n - 2 * i,
            .end_limit = UINT64_MAX,
            .name = name,
            .rank = FUNCTION_RANK_GLOBAL,
        };
        assert_int_equal(function_table_add(table, &entry), 0);
    }
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, n, "f");
    assert_name(table, 4 * n - 10, NULL);
}

static void test_names_for_people(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "_ZN5space4funcEi", 0x1000, 1, FUNCTION_RANK_GLOBAL);
    add(table, "memcpy@@GLIBC_2.14", 0x2000, 1, FUNCTION_RANK_GLOBAL);
    add(table, "malloc", 0x3000, 1, FUNCTION_RANK_PLT);
    add(table, "_Z1gv", 0x4000, 1, FUNCTION_RANK_PLT);
    add(table, "@odd", 0x5000, 1, FUNCTION_RANK_GLOBAL);
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, 0x1000, "space::func(int)");
    assert_name(table, 0x2000, "memcpy");
    assert_name(table, 0x3000, "malloc@plt");
    assert_name(table, 0x4000, "g()@plt");
    assert_name(table, 0x5000, "@odd");
}

static void test_very_long_and_foreign_names(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    size_t n_bytes = 3 * FUNCTION_TABLE_MAX_NAME_BYTES;
    char *name = malloc(n_bytes + 1);
    memset(name, 'x', n_bytes);
    name[n_bytes] = '\0';
    add(table, name, 0x1000, 1, FUNCTION_RANK_GLOBAL);
    free(name);
    struct function_entry outside = {
        .start_address = 0x2000,
        .n_bytes = 1,
        .end_limit = LIMIT,
        .name = UINT32_MAX,
        .rank = FUNCTION_RANK_GLOBAL,
    };
    assert_int_equal(function_table_add(table, &outside), 0);
    outside.name = 0; /* the empty name */
    assert_int_equal(function_table_add(table, &outside), 0);
    assert_int_equal(function_table_sort(table), 0);
    assert_int_equal(function_table_count(table), 1);
    const struct symbol *symbol = function_table_find(table, 0x1000);
    assert_int_equal(strlen(symbol->name), FUNCTION_TABLE_MAX_NAME_BYTES);
}

#define N_SHARED 2000

static void *find_all(void *userdata)
{
    const struct symbol **found = calloc(N_SHARED, sizeof(*found));
    for (uint64_t i = 0; found && i < N_SHARED; i++) {
        found[i] = function_table_find(userdata, 0x1000 + i * 16 + i % 16);
    }
    return found;
}

static void test_threads_get_the_same_symbols(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    for (uint64_t i = 0; i < N_SHARED; i++) {
        add(table, "_ZN1a1bEv", 0x1000 + i * 16, 16, FUNCTION_RANK_GLOBAL);
    }
    assert_int_equal(function_table_sort(table), 0);
    pthread_t threads[4];
    const struct symbol **found[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, find_all, table), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        found[i] = result;
        assert_non_null(found[i]);
        assert_memory_equal(found[i], found[0], N_SHARED * sizeof(*found[i]));
    }
    assert_string_equal(found[0][N_SHARED - 1]->name, "a::b()");
    for (int i = 0; i < 4; i++) {
        free(found[i]);
    }
}

/* A table that came later knows more; what was given out stays the same pointer. */
static void test_a_table_in_front_of_another(void **state)
{
    (void)state;
    struct function_table *older = new_table();
    add(older, "shared", 0x1000, 0x10, FUNCTION_RANK_GLOBAL);
    add(older, "unsized", 0x2000, 0, FUNCTION_RANK_GLOBAL);
    add(older, "stub", 0x5000, 0x10, FUNCTION_RANK_PLT);
    assert_int_equal(function_table_sort(older), 0);
    const struct symbol *shared = function_table_find(older, 0x1008);
    assert_non_null(shared);
    assert_ptr_equal(function_table_find_sized(older, 0x1008), shared);
    assert_name(older, 0x2100, "unsized");
    assert_null(function_table_find_sized(older, 0x2100));

    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "shared_alias", 0x1000, 0x10, FUNCTION_RANK_GLOBAL);
    add(table, "hidden", 0x1010, 0x10, FUNCTION_RANK_LOCAL);
    add(table, "sized_now", 0x2000, 0x20, FUNCTION_RANK_GLOBAL);
    function_table_put_behind(table, older);
    assert_int_equal(function_table_sort(table), 0);
    assert_ptr_equal(function_table_find(table, 0x1008), shared);
    assert_name(table, 0x1010, "hidden");
    assert_name(table, 0x2010, "sized_now");
    assert_name(table, 0x2100, NULL);
    assert_name(table, 0x5000, "stub@plt");
}

/* Code that names leave is one function per extent, called by the image and where it starts. */
static void test_nameless_functions(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    static const struct cfi_extent extents[] = {
        {0x1000, 0x20}, {0x1020, 0x10}, {0x1040, 0x10}, {0x2000, 0x100}, {0x3000, 0x40},
        {0x3010, 0x10}, {0x4000, 0x40}, {0x5000, 0x10}, {0x9000, 0x10},
    };
    add(table, "exported", 0x1000, 0x20, FUNCTION_RANK_GLOBAL);
    add(table, "unsized", 0x2000, 0, FUNCTION_RANK_GLOBAL);
    add(table, "entry", 0x2080, 0, FUNCTION_RANK_LABEL);
    add(table, "split", 0x3000, 0x40, FUNCTION_RANK_LOCAL);
    add(table, "stub", 0x4010, 0x10, FUNCTION_RANK_PLT);
    add(table, "start_of_file", 0x4800, 0, FUNCTION_RANK_GLOBAL);
    assert_int_equal(
        function_table_sort_within(table, extents, sizeof(extents) / sizeof(extents[0])), 0);
    assert_int_equal(function_table_count(table), 6);
    assert_name(table, 0x101f, "exported");
    assert_name(table, 0x1020, "libx.so+0x1020");
    assert_name(table, 0x102f, "libx.so+0x1020");
    assert_name(table, 0x1030, NULL); /* padding */
    assert_name(table, 0x104f, "libx.so+0x1040");
    assert_name(table, 0x1050, NULL);
    assert_name(table, 0x207f, "unsized");
    assert_name(table, 0x20ff, "entry");
    assert_name(table, 0x3010, "split");
    assert_name(table, 0x3050, NULL);
    assert_name(table, 0x4000, "libx.so+0x4000"); /* the head of a table of stubs */
    assert_name(table, 0x4010, "stub@plt");
    assert_name(table, 0x4020, "libx.so+0x4000");
    assert_name(table, 0x4900, "start_of_file");
    assert_name(table, 0x5000, "libx.so+0x5000");
    assert_name(table, 0x5010, NULL);
    assert_name(table, 0x900f, "libx.so+0x9000");
    const struct symbol *nameless = function_table_find(table, 0x1024);
    assert_true(nameless->is_nameless);
    assert_int_equal(nameless->start_address, 0x1020);
    assert_int_equal(nameless->size_bytes, 0x10);
    assert_ptr_equal(nameless, function_table_find(table, 0x1028));
    assert_false(function_table_find(table, 0x1000)->is_nameless);
    /* Names may still come: nothing is promised to be nameless. */
    assert_null(function_table_find_sized(table, 0x1024));
    assert_null(function_table_find_sized(table, 0x4000));
    assert_non_null(function_table_find_sized(table, 0x1000));
}

/* A debug file of a server, and one that was installed later. */
static void test_three_tables(void **state)
{
    (void)state;
    struct function_table *first = new_table();
    struct function_table *second = new_table();
    static const struct cfi_extent extents[] = {{0x1000, 0x20}, {0x3000, 0x20}, {0x4000, 0x10}};
    add(first, "exported", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);
    assert_int_equal(function_table_sort_within(first, extents, 3), 0);
    const struct symbol *exported = function_table_find(first, 0x2000);
    add(second, "exported", 0x2000, 0x10, FUNCTION_RANK_GLOBAL);
    add(second, "hidden", 0x1000, 0x20, FUNCTION_RANK_LOCAL);
    function_table_put_behind(second, first);
    assert_int_equal(function_table_sort(second), 0);
    const struct symbol *hidden = function_table_find(second, 0x1000);
    _cleanup_(function_table_freep) struct function_table *third = new_table();
    add(third, "hidden", 0x1000, 0x20, FUNCTION_RANK_LOCAL);
    add(third, "more", 0x3000, 0x20, FUNCTION_RANK_LOCAL);
    function_table_put_behind(third, second);
    assert_int_equal(function_table_sort(third), 0);
    assert_ptr_equal(function_table_find(third, 0x2008), exported);
    assert_ptr_equal(function_table_find(third, 0x1008), hidden);
    assert_name(third, 0x3000, "more");
    assert_name(third, 0x4008, "libx.so+0x4000");
}

static void test_names_come_before_nameless(void **state)
{
    (void)state;
    struct function_table *older = new_table();
    static const struct cfi_extent extents[] = {{0x1000, 0x20}, {0x1020, 0x10}};
    assert_int_equal(function_table_sort_within(older, extents, 2), 0);
    assert_int_equal(function_table_count(older), 0);
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "hidden", 0x1000, 0x20, FUNCTION_RANK_LOCAL);
    function_table_put_behind(table, older);
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, 0x1000, "hidden");
    assert_name(table, 0x1028, "libx.so+0x1020");
}

static void test_stubs_of_other_linkers(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table = new_table();
    add(table, "memcpy$plt", 0x1000, 0x10, FUNCTION_RANK_PLT);
    add(table, "_ZN1a1bEv$pltgot", 0x1010, 0x10, FUNCTION_RANK_PLT);
    add(table, "money$plt", 0x1020, 0x10, FUNCTION_RANK_LOCAL);
    assert_int_equal(function_table_sort(table), 0);
    assert_name(table, 0x1000, "memcpy@plt");
    assert_name(table, 0x1010, "a::b()@plt");
    assert_name(table, 0x1020, "money$plt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table),
        cmocka_unit_test(test_sizes_are_respected),
        cmocka_unit_test(test_unknown_sizes_reach_to_the_next_or_the_sections_end),
        cmocka_unit_test(test_the_best_alias_is_kept),
        cmocka_unit_test(test_functions_inside_functions),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_names_for_people),
        cmocka_unit_test(test_very_long_and_foreign_names),
        cmocka_unit_test(test_threads_get_the_same_symbols),
        cmocka_unit_test(test_a_table_in_front_of_another),
        cmocka_unit_test(test_nameless_functions),
        cmocka_unit_test(test_three_tables),
        cmocka_unit_test(test_names_come_before_nameless),
        cmocka_unit_test(test_stubs_of_other_linkers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
