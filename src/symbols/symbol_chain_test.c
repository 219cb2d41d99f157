/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/image_table.h"
#include "images/proc_maps.h"
#include "symbols/kept_symbols.h"
#include "symbols/line_excerpt.h"
#include "symbols/source_lines.h"
#include "symbols/symbolizer.h"

#define TIMEOUT_MS 60000

struct fixture {
    struct symbolizer *symbolizer;
    struct image_table *images;
    struct symbol_source *source; /* of this program */
};

/* Nothing known of either, or the compiler would make a clone of outermost(). */
static volatile int argument = 5, result;
static uintptr_t taken_ip; /* behind the call in innermost() */
static uint64_t map_start, map_end, map_offset;
static int line_innermost, line_middle, line_outermost;

__attribute__((noinline)) static int take_ip(int x)
{
    taken_ip = (uintptr_t)__builtin_return_address(0);
    return x + 1;
}

static inline __attribute__((always_inline)) int innermost(int x)
{
    line_innermost = __LINE__ + 1;
    return take_ip(x) * 3;
}

static inline __attribute__((always_inline)) int middle(int x)
{
    line_middle = __LINE__ + 1;
    return innermost(x) + 1;
}

__attribute__((noinline)) static int outermost(int x)
{
    line_outermost = __LINE__ + 1;
    int y = middle(x) + 2;
    return y * x;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(symbolizer_new(&fixture->symbolizer), 0);
    assert_int_equal(image_table_new(&fixture->images), 0);
    result = outermost(argument);
    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 20, &maps, &n_bytes), 0);
    char *at = maps;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        if (taken_ip < line.image.start_ip || taken_ip >= line.image.end_ip) {
            continue;
        }
        image_id id;
        bool is_new;
        assert_int_equal(image_table_intern(fixture->images, getpid(), &line.image, &id, &is_new),
                         0);
        fixture->source =
            symbolizer_announce(fixture->symbolizer, image_table_get(fixture->images, id));
        map_start = line.image.start_ip;
        map_end = line.image.end_ip;
        map_offset = line.image.file_offset;
    }
    assert_non_null(fixture->source);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    symbolizer_free(fixture->symbolizer);
    image_table_free(fixture->images);
    free(fixture);
    return 0;
}

static uint64_t offset_of(uintptr_t ip)
{
    assert_in_range(ip, map_start, map_end - 1);
    return ip - map_start + map_offset;
}

static size_t find_settled(struct fixture *fixture, uint64_t offset,
                           struct symbol_chain_entry *ret_chain)
{
    symbol_source_want(fixture->source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    for (int i = 0; i < 3; i++) { /* its file, its unit */
        (void)symbol_source_find_chain(fixture->source, offset, ret_chain, SYMBOL_CHAIN_MAX);
        assert_true(symbolizer_wait_chains(fixture->symbolizer, TIMEOUT_MS));
    }
    assert_true(symbol_source_chain_is_settled(fixture->source, offset));
    return symbol_source_find_chain(fixture->source, offset, ret_chain, SYMBOL_CHAIN_MAX);
}

static void assert_place(const struct symbol_chain_entry *entry, const char *name, int line)
{
    assert_string_equal(entry->symbol->name, name);
    assert_int_equal(entry->line, line);
    assert_non_null(strstr(entry->file, "symbol_chain_test.c"));
    assert_int_equal(entry->file[0], '/');
}

static void test_a_chain(void **state)
{
    struct fixture *fixture = *state;
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    uint64_t offset = offset_of(taken_ip - 1);
    assert_int_equal(symbol_source_find_chain(fixture->source, offset, chain, SYMBOL_CHAIN_MAX),
                     0); /* nobody has asked for its symbols */
    assert_false(symbol_source_chain_is_settled(fixture->source, offset));

    size_t n = find_settled(fixture, offset, chain);
    assert_int_equal(n, 3);
    assert_place(&chain[0], "innermost", line_innermost);
    assert_place(&chain[1], "middle", line_middle);
    assert_place(&chain[2], "outermost", line_outermost);
    assert_true(chain[0].is_inlined);
    assert_true(chain[1].is_inlined);
    assert_false(chain[2].is_inlined);
    assert_ptr_equal(chain[2].symbol, symbol_source_find(fixture->source, offset, NULL));

    struct symbol_chain_entry again[SYMBOL_CHAIN_MAX];
    assert_int_equal(symbol_source_find_chain(fixture->source, offset, again, 2), 2);
    assert_ptr_equal(again[0].symbol, chain[0].symbol);
    assert_ptr_equal(again[1].symbol, chain[2].symbol); /* cut at the outer end of the inlining */
}

/* The first answer comes before any of the file has been read. */
static void test_the_first_answer_is_the_function(void **state)
{
    struct fixture *fixture = *state;
    symbol_source_want(fixture->source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    uint64_t offset = offset_of(taken_ip - 1);
    assert_false(symbol_source_chain_is_settled(fixture->source, offset));
    assert_int_equal(symbol_source_find_chain(fixture->source, offset, chain, SYMBOL_CHAIN_MAX), 1);
    assert_string_equal(chain[0].symbol->name, "outermost");
    assert_null(chain[0].file);
}

static void test_lines_of_a_function(void **state)
{
    struct fixture *fixture = *state;
    uint64_t image_addr;
    symbol_source_want(fixture->source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    const struct symbol *symbol =
        symbol_source_find(fixture->source, offset_of(taken_ip - 1), &image_addr);
    assert_non_null(symbol);
    uint64_t end_addr = symbol->start_address + symbol->size_bytes;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct source_lines lines;
    assert_int_equal(
        symbol_source_lines(fixture->source, symbol->start_address, end_addr, 0, &arena, &lines),
        0);
    /* Who does not wait may still be lucky. */
    assert_true(lines.state == SOURCE_LINES_LOADING || lines.state == SOURCE_LINES_LOADED);
    assert_int_equal(symbol_source_lines(fixture->source, symbol->start_address, end_addr,
                                         TIMEOUT_MS, &arena, &lines),
                     0);
    assert_int_equal(lines.state, SOURCE_LINES_LOADED);
    assert_true(lines.n_rows >= 2);
    assert_int_equal(lines.rows[0].start_addr, symbol->start_address);
    bool has_innermost = false;
    for (size_t i = 0; i < lines.n_rows; i++) {
        assert_true(i == 0 || lines.rows[i - 1].start_addr < lines.rows[i].start_addr);
        assert_true(lines.rows[i].start_addr < end_addr);
        has_innermost = has_innermost || (int)lines.rows[i].line == line_innermost;
    }
    assert_true(has_innermost);
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    assert_int_equal(
        symbol_source_chain_at(fixture->source, image_addr, symbol, chain, SYMBOL_CHAIN_MAX), 3);
    assert_ptr_equal(chain[2].symbol, symbol);
    assert_int_equal(symbol_source_lines(fixture->source, 1, 2, TIMEOUT_MS, &arena, &lines), 0);
    assert_int_equal(lines.state, SOURCE_LINES_NONE);
}

/* A file's number, or none. */
static uint32_t keep_file(struct kept_symbols *kept, const char *path)
{
    uint32_t file = KEPT_NONE;
    if (path) {
        assert_int_equal(kept_symbols_add_file(kept, path, &file), 0);
    }
    return file;
}

static void keep(struct kept_symbols *kept, const struct line_excerpt *excerpt)
{
    for (size_t i = 0; i < excerpt->n_calls; i++) {
        const struct excerpt_call *made = &excerpt->calls[i];
        struct kept_call call = {
            .parent = made->parent,
            .function = KEPT_NONE,
            .call_file = keep_file(kept, made->call_file),
            .call_line = made->call_line,
        };
        assert_true(made->parent == LINE_EXCERPT_NONE || made->parent < i);
        if (made->function) {
            assert_int_equal(kept_symbols_add_function(kept, made->function, true, &call.function),
                             0);
        }
        uint32_t number;
        assert_int_equal(kept_symbols_add_call(kept, &call, &number), 0);
        assert_int_equal(number, i);
    }
    for (size_t i = 0; i < excerpt->n_lines; i++) {
        const struct excerpt_line *row = &excerpt->lines[i];
        const struct kept_line line = {
            .start_addr = row->start_addr,
            .file = keep_file(kept, row->file),
            .line = row->line,
            .call = row->call,
        };
        assert_int_equal(kept_symbols_add_line(kept, &line), 0);
    }
    assert_int_equal(kept_symbols_finish(kept), 0);
}

/* From an excerpt, every address of the function has the chain that it has from the file. */
static void test_an_excerpt_tells_all(void **state)
{
    struct fixture *fixture = *state;
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX], again[SYMBOL_CHAIN_MAX];
    uint64_t image_addr;
    (void)find_settled(fixture, offset_of(taken_ip - 1), chain);
    const struct symbol *symbol =
        symbol_source_find(fixture->source, offset_of(taken_ip - 1), &image_addr);
    uint64_t end_addr = symbol->start_address + symbol->size_bytes;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct line_excerpt excerpt;
    assert_int_equal(symbol_source_excerpt(fixture->source, symbol->start_address, end_addr,
                                           TIMEOUT_MS, &arena, &excerpt),
                     0);
    assert_true(excerpt.n_lines >= 2);
    assert_int_equal(excerpt.n_calls, 2);
    assert_int_equal(excerpt.lines[0].start_addr, symbol->start_address);
    _cleanup_(kept_symbols_unrefp) struct kept_symbols *kept = NULL;
    assert_int_equal(kept_symbols_new(&kept), 0);
    keep(kept, &excerpt);
    size_t n_inlined = 0;
    for (uint64_t address = symbol->start_address; address < end_addr; address++) {
        size_t n =
            symbol_source_chain_at(fixture->source, address, symbol, chain, SYMBOL_CHAIN_MAX);
        assert_int_equal(kept_symbols_chain(kept, address, symbol, again, SYMBOL_CHAIN_MAX), n);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(again[i].symbol->name, chain[i].symbol->name);
            assert_int_equal(again[i].is_inlined, chain[i].is_inlined);
            assert_int_equal(again[i].line, chain[i].line);
            assert_string_equal(again[i].file ? again[i].file : "",
                                chain[i].file ? chain[i].file : "");
        }
        n_inlined += n > 1;
    }
    assert_true(n_inlined > 0);
    assert_int_equal(symbol_source_excerpt(fixture->source, 1, 2, 0, &arena, &excerpt), 0);
    assert_int_equal(excerpt.n_lines, 0);
    assert_int_equal(symbol_source_excerpt(fixture->source, 2, 2, 0, &arena, &excerpt), 0);
    assert_int_equal(excerpt.n_lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_excerpt_tells_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_answer_is_the_function, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_of_a_function, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
