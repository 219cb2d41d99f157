/* SPDX-License-Identifier: MIT */
#include "symbols/kept_symbols.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint32_t add(struct kept_symbols *kept, const char *name, uint64_t start, uint64_t n_bytes,
                    bool is_inlined)
{
    const struct symbol symbol = {
        .name = name,
        .image = "prog",
        .start_address = start,
        .size_bytes = n_bytes,
    };
    uint32_t function;
    assert_int_equal(kept_symbols_add_function(kept, &symbol, is_inlined, &function), 0);
    return function;
}

static const char *name_at(const struct kept_symbols *kept, uint64_t offset)
{
    uint64_t image_addr;
    const struct symbol *symbol = kept_symbols_find(kept, offset, &image_addr);
    return symbol ? symbol->name : "";
}

static int set_up(void **state)
{
    struct kept_symbols *kept;
    assert_int_equal(kept_symbols_new(&kept), 0);
    *state = kept;
    return 0;
}

static int tear_down(void **state)
{
    assert_null(kept_symbols_unref(*state));
    return 0;
}

static void the_innermost_function_holds_an_address(void **state)
{
    struct kept_symbols *kept = *state;
    uint32_t outer = add(kept, "outer", 0x1000, 0x100, false);
    add(kept, "after", 0x1100, 0x10, false);
    add(kept, "inner", 0x1040, 0x10, false);
    add(kept, "within_inner", 0x1044, 4, false);
    add(kept, "inlined", 0x1050, 8, true);
    add(kept, "endless", 0x2000, 0, false);
    add(kept, "wrapped", UINT64_MAX - 4, 16, false);
    uint64_t image_addr;
    assert_null(kept_symbols_find(kept, 0x1000, &image_addr)); /* not finished */
    assert_false(kept_symbols_is_finished(kept));
    assert_int_equal(kept_symbols_finish(kept), 0);
    assert_true(kept_symbols_is_finished(kept));
    assert_string_equal(name_at(kept, 0x0fff), "");
    assert_string_equal(name_at(kept, 0x1000), "outer");
    assert_string_equal(name_at(kept, 0x1040), "inner");
    assert_string_equal(name_at(kept, 0x1045), "within_inner");
    assert_string_equal(name_at(kept, 0x1048), "inner");
    assert_string_equal(name_at(kept, 0x1050), "outer");
    assert_string_equal(name_at(kept, 0x10ff), "outer");
    assert_string_equal(name_at(kept, 0x1100), "after");
    assert_string_equal(name_at(kept, 0x1110), "");
    assert_string_equal(name_at(kept, 0x2000), "");
    assert_string_equal(name_at(kept, UINT64_MAX - 1), "");
    assert_ptr_equal(kept_symbols_find(kept, 0x1001, &image_addr),
                     kept_symbols_function(kept, outer));
    assert_int_equal(image_addr, 0x1001);
    assert_string_equal(kept_symbols_function(kept, outer)->image, "prog");
    assert_null(kept_symbols_function(kept, 99));
}

/* Its range is nobody else's. */
static void a_function_whose_name_is_lost(void **state)
{
    struct kept_symbols *kept = *state;
    add(kept, "outer", 0x1000, 0x100, false);
    const struct symbol lost = {.image = "prog", .start_address = 0x1040, .size_bytes = 0x10};
    uint32_t number;
    assert_int_equal(kept_symbols_add_function(kept, &lost, false, &number), 0);
    assert_int_equal(number, 1);
    add(kept, "after", 0x1100, 0x10, false);
    assert_int_equal(kept_symbols_finish(kept), 0);
    uint64_t image_addr;
    assert_string_equal(name_at(kept, 0x1000), "outer");
    assert_null(kept_symbols_find(kept, 0x1048, &image_addr));
    assert_null(kept_symbols_function(kept, number));
    assert_string_equal(name_at(kept, 0x1100), "after");
}

static void places_stand_before_ranges(void **state)
{
    struct kept_symbols *kept = *state;
    uint32_t other = add(kept, "other", 0x5000, 4, false);
    add(kept, "outer", 0x1000, 0x100, false);
    assert_int_equal(kept_symbols_add_place(kept, 0x1010, other), 0);
    assert_int_equal(kept_symbols_add_place(kept, 0x1004, KEPT_NONE), 0);
    assert_int_equal(kept_symbols_add_place(kept, 0x1004, 2), -EINVAL);
    assert_int_equal(kept_symbols_finish(kept), 0);
    assert_string_equal(name_at(kept, 0x1003), "outer");
    assert_string_equal(name_at(kept, 0x1004), "");
    assert_string_equal(name_at(kept, 0x1005), "outer");
    assert_string_equal(name_at(kept, 0x1010), "other");
    /* More can come while nobody asks. */
    assert_int_equal(kept_symbols_add_place(kept, 0x1005, other), 0);
    add(kept, "before", 0x10, 0x10, false);
    assert_int_equal(kept_symbols_finish(kept), 0);
    assert_string_equal(name_at(kept, 0x1005), "other");
    assert_string_equal(name_at(kept, 0x1f), "before");
    assert_string_equal(name_at(kept, 0x10ff), "outer");
}

static void offsets_become_addresses(void **state)
{
    struct kept_symbols *kept = *state;
    const struct elf_layout layout = {
        .n_segments = 1,
        .n_executable = 1,
        .segments = {{.file_offset = 0x400, .n_bytes = 0x200, .image_addr = 0x401400}},
    };
    kept_symbols_set_layout(kept, &layout);
    add(kept, "main", 0x401410, 0x20, false);
    add(kept, "at_offset", 0x410, 0x20, false);
    assert_int_equal(kept_symbols_finish(kept), 0);
    uint64_t image_addr;
    assert_string_equal(kept_symbols_find(kept, 0x412, &image_addr)->name, "main");
    assert_int_equal(image_addr, 0x401412);
    assert_null(kept_symbols_find(kept, 0x1600, &image_addr)); /* no segment loads it */
    assert_int_equal(image_addr, 0x1600);
}

/* main() calls middle(), which calls leaf(): both inlined from 0x1010 on. */
static void add_lines(struct kept_symbols *kept)
{
    uint32_t main_c, leaf_h, middle, leaf;
    assert_int_equal(kept_symbols_add_file(kept, "/src/main.c", &main_c), 0);
    assert_int_equal(kept_symbols_add_file(kept, "/src/leaf.h", &leaf_h), 0);
    uint32_t again;
    assert_int_equal(kept_symbols_add_file(kept, "/src/main.c", &again), 0);
    assert_int_equal(again, main_c);
    const struct kept_call calls[] = {
        {.parent = KEPT_NONE,
         .function = add(kept, "middle", 0, 0, true),
         .call_file = main_c,
         .call_line = 7},
        {.parent = 0,
         .function = add(kept, "leaf", 0, 0, true),
         .call_file = main_c,
         .call_line = 3},
    };
    assert_int_equal(kept_symbols_add_call(kept, &calls[1], &leaf), -EINVAL); /* no parent yet */
    assert_int_equal(kept_symbols_add_call(kept, &calls[0], &middle), 0);
    assert_int_equal(kept_symbols_add_call(kept, &calls[1], &leaf), 0);
    const struct kept_line lines[] = {
        {.start_addr = 0x1040, .file = KEPT_NONE, .call = KEPT_NONE},
        {.start_addr = 0x1010, .file = leaf_h, .line = 20, .call = leaf},
        {.start_addr = 0x1010, .file = KEPT_NONE, .call = KEPT_NONE},
        {.start_addr = 0x1000, .file = main_c, .line = 5, .call = KEPT_NONE},
        {.start_addr = 0x1020, .file = main_c, .line = 8, .call = KEPT_NONE},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(kept_symbols_add_line(kept, &lines[i]), 0);
    }
    const struct kept_line wrong_file = {.file = 9, .call = KEPT_NONE};
    const struct kept_line wrong_call = {.file = KEPT_NONE, .call = 9};
    assert_int_equal(kept_symbols_add_line(kept, &wrong_file), -EINVAL);
    assert_int_equal(kept_symbols_add_line(kept, &wrong_call), -EINVAL);
}

static void assert_entry(const struct symbol_chain_entry *entry, const char *name, bool is_inlined,
                         const char *file, uint32_t line)
{
    assert_string_equal(entry->symbol->name, name);
    assert_int_equal(entry->is_inlined, is_inlined);
    assert_int_equal(entry->line, line);
    if (file) {
        assert_string_equal(entry->file, file);
    } else {
        assert_null(entry->file);
    }
}

static void chains_have_lines_and_calls(void **state)
{
    struct kept_symbols *kept = *state;
    uint32_t number = add(kept, "main", 0x1000, 0x40, false);
    add_lines(kept);
    assert_int_equal(kept_symbols_finish(kept), 0);
    const struct symbol *outermost = kept_symbols_function(kept, number);
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    assert_int_equal(kept_symbols_chain(kept, 0x1018, outermost, chain, SYMBOL_CHAIN_MAX), 3);
    assert_entry(&chain[0], "leaf", true, "/src/leaf.h", 20);
    assert_entry(&chain[1], "middle", true, "/src/main.c", 3);
    assert_entry(&chain[2], "main", false, "/src/main.c", 7);
    assert_int_equal(kept_symbols_chain(kept, 0x1018, outermost, chain, 2), 2);
    assert_entry(&chain[1], "main", false, NULL, 0); /* cut */
    assert_int_equal(kept_symbols_chain(kept, 0x1018, outermost, chain, 0), 0);
    assert_int_equal(kept_symbols_chain(kept, 0x1020, outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_entry(&chain[0], "main", false, "/src/main.c", 8);
    assert_int_equal(kept_symbols_chain(kept, 0x1040, outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_entry(&chain[0], "main", false, NULL, 0);
    assert_int_equal(kept_symbols_chain(kept, 0xfff, outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_entry(&chain[0], "main", false, NULL, 0);
}

static void lines_of_a_range(void **state)
{
    struct kept_symbols *kept = *state;
    add(kept, "main", 0x1000, 0x40, false);
    add_lines(kept);
    assert_int_equal(kept_symbols_finish(kept), 0);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct source_lines lines;
    assert_int_equal(kept_symbols_lines(kept, 0x1008, 0x1100, &arena, &lines), 0);
    assert_int_equal(lines.state, SOURCE_LINES_LOADED);
    assert_int_equal(lines.n_rows, 4);
    assert_int_equal(lines.rows[0].start_addr, 0x1008);
    assert_int_equal(lines.rows[0].line, 5);
    assert_string_equal(lines.rows[1].file, "/src/leaf.h");
    assert_null(lines.rows[3].file);
    assert_int_equal(kept_symbols_lines(kept, 0x1040, 0x1100, &arena, &lines), 0);
    assert_int_equal(lines.state, SOURCE_LINES_NONE);
    assert_int_equal(kept_symbols_lines(kept, 0x10, 0x20, &arena, &lines), 0);
    assert_int_equal(lines.state, SOURCE_LINES_NONE);
    assert_int_equal(kept_symbols_lines(kept, 0x1008, 0x1008, &arena, &lines), 0);
    assert_int_equal(lines.n_rows, 0);
}

/* An image of another program that lies under the path of this one. */
static void a_source_asks_nothing_else(void **state)
{
    struct kept_symbols *kept = *state;
    uint32_t number = add(kept, "main", 0x1000, 0x40, false);
    add_lines(kept);
    struct symbolizer *symbolizer;
    assert_int_equal(symbolizer_new(&symbolizer), 0);
    const struct image image = {
        .kind = IMAGE_KIND_FILE, .path = "/proc/self/exe", .name = "exe", .pid = 1};
    struct symbol_source *source =
        symbolizer_announce_kept(symbolizer, &image, kept_symbols_ref(kept));
    assert_non_null(source);
    symbol_source_want(source);
    struct symbol_source_info info;
    symbol_source_describe(source, &info);
    assert_int_equal(info.state, SYMBOL_STATE_LOADING);
    assert_false(symbol_source_is_settled(source));
    assert_null(symbol_source_find(source, 0x1000, NULL));
    const struct symbol_source_info told = {
        .state = SYMBOL_STATE_LOADED, .origin = ".symtab", .failure = "old", .n_functions = 77};
    assert_int_equal(kept_symbols_describe_as(kept, &told), 0);
    assert_int_equal(kept_symbols_finish(kept), 0);
    assert_true(symbolizer_wait_idle(symbolizer, 0)); /* nothing was queued */
    assert_true(symbol_source_is_settled(source));
    assert_true(symbol_source_chain_is_settled(source, 0x1018));
    assert_ptr_equal(symbol_source_find(source, 0x1018, NULL), kept_symbols_function(kept, number));
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    assert_int_equal(symbol_source_find_chain(source, 0x1018, chain, SYMBOL_CHAIN_MAX), 3);
    assert_int_equal(symbol_source_find_chain(source, 0x1040, chain, SYMBOL_CHAIN_MAX), 0);
    assert_int_equal(symbol_source_chain_at(source, 0x1018, chain[2].symbol, chain, 8), 3);
    symbol_source_describe(source, &info);
    assert_string_equal(info.origin, ".symtab");
    assert_string_equal(info.failure, "old");
    assert_int_equal(info.n_functions, 77);
    assert_ptr_equal(symbol_source_kept(source), kept);
    assert_ptr_equal(symbol_source_table(source), kept);
    symbol_source_retire(source);
    assert_null(symbol_source_free_kept(source));
    symbolizer_free(symbolizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_innermost_function_holds_an_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_function_whose_name_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_stand_before_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offsets_become_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chains_have_lines_and_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_a_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_asks_nothing_else, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
