/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_test.h"
#include "compare/function_identity.h"

struct runs {
    struct aggregate *aggregates[2];
    struct snapshot *snapshots[2];
    struct arena arena;
    struct function_identities identities;
};

static const struct aggregate_config defaults = {0};

static void map(struct aggregate *aggregate, const char *path, uint8_t build)
{
    tell_image(aggregate, 1000, TEST_PID,
               (struct event_image){.change = EVENT_IMAGE_MAPPED,
                                    .start_ip = 0x1000,
                                    .end_ip = 0x9000,
                                    .path = path,
                                    .inode = 1,
                                    .build_id_bytes = build > 0,
                                    .build_id = {build}});
}

/* Two runs, one of each side. Builds are told by one byte, 0 is none. */
static void begin_with(struct runs *runs, const char *path, uint8_t build, const char *other_path,
                       uint8_t other_build)
{
    *runs = (struct runs){0};
    arena_init(&runs->arena, 0);
    function_identities_init(&runs->identities, &runs->arena);
    for (size_t i = 0; i < 2; i++) {
        enum identity_side side = i == 0 ? IDENTITY_SIDE_BASE : IDENTITY_SIDE_CANDIDATE;
        assert_int_equal(aggregate_new(&defaults, &runs->aggregates[i]), 0);
        map(runs->aggregates[i], "/lib/libc.so", 3);
        map(runs->aggregates[i], i == 0 ? path : other_path, i == 0 ? build : other_build);
        runs->snapshots[i] = aggregate_snapshot(runs->aggregates[i], 2000);
        assert_non_null(runs->snapshots[i]);
        assert_int_equal(function_identities_look(&runs->identities, side, runs->snapshots[i]), 0);
    }
    function_identities_match(&runs->identities);
}

static void begin(struct runs *runs, uint8_t build, uint8_t other_build)
{
    begin_with(runs, "/bin/prog", build, "/usr/bin/prog", other_build);
}

static void end(struct runs *runs)
{
    for (size_t i = 0; i < 2; i++) {
        snapshot_unref(runs->snapshots[i]);
        aggregate_free(runs->aggregates[i]);
    }
    function_identities_release(&runs->identities);
    arena_release(&runs->arena);
}

static uint32_t number_of(struct runs *runs, const struct symbol *symbol)
{
    uint32_t number;
    assert_int_equal(function_identities_number(&runs->identities, symbol, &number), 0);
    return number;
}

static void names_and_files_make_a_function(void **state)
{
    (void)state;
    struct runs runs;
    begin(&runs, 1, 2);
    const struct symbol parse = {
        .name = "parse", .image = "prog", .start_address = 0x1000, .size_bytes = 8};
    const struct symbol moved = {
        .name = "parse", .image = "prog", .start_address = 0x4000, .size_bytes = 80};
    const struct symbol other_file = {.name = "parse", .image = "libprog.so", .size_bytes = 8};
    const struct symbol other_name = {.name = "print", .image = "prog", .size_bytes = 8};
    uint32_t number = number_of(&runs, &parse);
    assert_int_equal(number_of(&runs, &moved), number);
    assert_int_not_equal(number_of(&runs, &other_file), number);
    assert_int_not_equal(number_of(&runs, &other_name), number);
    assert_int_equal(runs.identities.n_functions, 3);
    assert_string_equal(runs.identities.functions[number].name, "parse");
    end(&runs);
}

/* 300 functions: what is outgrown is copied. */
static void there_may_be_many(void **state)
{
    (void)state;
    struct runs runs;
    begin(&runs, 1, 1);
    for (unsigned int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 300; i++) {
            const struct symbol symbol = {
                .name = arena_printf(&runs.arena, "f%u", i), .image = "prog", .size_bytes = 1};
            assert_int_equal(number_of(&runs, &symbol), i);
        }
    }
    assert_string_equal(runs.identities.functions[299].name, "f299");
    end(&runs);
}

static const struct symbol here = {
    .name = "prog+0x40", .image = "prog", .is_nameless = true, .size_bytes = 16};
static const struct symbol there = {.name = "prog+0x80", .image = "prog"};

static void places_without_a_name_need_the_same_build(void **state)
{
    (void)state;
    struct runs runs;
    begin(&runs, 7, 7);
    assert_int_equal(number_of(&runs, &here), 0);
    assert_int_equal(number_of(&runs, &there), 1);
    assert_string_equal(runs.identities.functions[0].name, "prog+0x40");
    end(&runs);

    begin(&runs, 7, 8);
    assert_int_equal(number_of(&runs, &here), number_of(&runs, &there));
    assert_string_equal(runs.identities.functions[0].name, "(code without a name)");
    assert_string_equal(runs.identities.functions[0].image, "prog");
    end(&runs);

    begin(&runs, 0, 0); /* nobody knows */
    assert_int_equal(number_of(&runs, &here), number_of(&runs, &there));
    end(&runs);
}

static void a_file_may_have_two_names(void **state)
{
    (void)state;
    struct runs runs;
    const struct symbol before = {.name = "parse", .image = "prog.v1", .size_bytes = 8};
    const struct symbol after = {.name = "parse", .image = "prog.v2", .size_bytes = 8};
    const struct symbol of_libc = {.name = "parse", .image = "libc.so", .size_bytes = 8};
    const struct symbol nowhere = {.name = "prog.v1+0x40", .image = "prog.v1"};
    const struct symbol elsewhere = {.name = "prog.v2+0x80", .image = "prog.v2"};
    begin_with(&runs, "/bin/prog.v1", 1, "/bin/prog.v2", 2);
    assert_int_equal(number_of(&runs, &before), 0);
    assert_int_equal(number_of(&runs, &after), 0);
    assert_int_equal(number_of(&runs, &of_libc), 1);
    assert_int_equal(number_of(&runs, &nowhere), 2);
    assert_int_equal(number_of(&runs, &elsewhere), 2);
    assert_string_equal(runs.identities.functions[0].image, "prog.v1");
    end(&runs);

    /* Nothing is on one side only: they are two. */
    begin_with(&runs, "/bin/prog.v1", 1, "/bin/prog.v1", 1);
    uint32_t first = number_of(&runs, &before);
    assert_int_not_equal(number_of(&runs, &after), first);
    end(&runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_files_make_a_function),
        cmocka_unit_test(there_may_be_many),
        cmocka_unit_test(a_file_may_have_two_names),
        cmocka_unit_test(places_without_a_name_need_the_same_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
