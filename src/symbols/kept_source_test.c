/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "images/elf_file.h"
#include "symbols/kept_symbols.h"
#include "symbols/symbolizer.h"

/* The same file twice, under two names, and another one. */
static void images_of_one_file_share_a_table(void **state)
{
    (void)state;
    struct symbolizer *symbolizer;
    assert_int_equal(symbolizer_new(&symbolizer), 0);
    const struct image own = {.kind = IMAGE_KIND_FILE, .path = "/proc/self/exe", .name = "exe"};
    const struct image none = {.kind = IMAGE_KIND_FILE, .path = "/nonexistent/x", .name = "x"};
    struct symbol_source *sources[] = {
        symbolizer_announce(symbolizer, &own),
        symbolizer_announce(symbolizer, &own),
        symbolizer_announce(symbolizer, &none),
    };
    struct elf_layout layout = {.n_segments = 7};
    assert_null(symbol_source_table(sources[0])); /* nothing is loaded */
    symbol_source_layout(sources[0], &layout);
    assert_int_equal(layout.n_segments, 0);
    for (size_t i = 0; i < 3; i++) {
        symbol_source_want(sources[i]);
    }
    assert_true(symbolizer_wait_idle(symbolizer, 60000));
    assert_non_null(symbol_source_table(sources[0]));
    assert_ptr_equal(symbol_source_table(sources[0]), symbol_source_table(sources[1]));
    assert_null(symbol_source_table(sources[2]));
    assert_null(symbol_source_kept(sources[0]));
    symbol_source_layout(sources[0], &layout);
    assert_true(layout.n_segments > 0);
    assert_true(layout.n_executable > 0);
    assert_null(symbol_source_free_kept(NULL));
    assert_null(symbol_source_free_kept(sources[0])); /* the symbolizer's */
    assert_non_null(symbol_source_table(sources[0]));
    symbolizer_free(symbolizer);
}

static void kept_ones_share_what_was_kept(void **state)
{
    (void)state;
    struct symbolizer *symbolizer;
    struct kept_symbols *kept;
    assert_int_equal(symbolizer_new(&symbolizer), 0);
    assert_int_equal(kept_symbols_new(&kept), 0);
    const struct elf_layout told = {.n_segments = 1, .segments = {{.n_bytes = 9}}};
    kept_symbols_set_layout(kept, &told);
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/a", .name = "a"};
    struct symbol_source *one =
        symbolizer_announce_kept(symbolizer, &image, kept_symbols_ref(kept));
    struct symbol_source *two = symbolizer_announce_kept(symbolizer, &image, kept);
    assert_ptr_equal(symbol_source_table(one), symbol_source_table(two));
    struct elf_layout layout;
    symbol_source_layout(two, &layout);
    assert_int_equal(layout.n_segments, 1);
    assert_int_equal(layout.segments[0].n_bytes, 9);
    symbol_source_free_kept(one);
    symbol_source_free_kept(two); /* with the last reference */
    symbolizer_free(symbolizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_of_one_file_share_a_table),
        cmocka_unit_test(kept_ones_share_what_was_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
