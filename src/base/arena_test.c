/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const unsigned char *previous_end = NULL;
    for (size_t n_bytes = 0; n_bytes < 5000; n_bytes += 37) {
        unsigned char *memory = arena_alloc(&arena, n_bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_true(memory >= previous_end || memory + n_bytes <= previous_end);
        for (size_t i = 0; i < n_bytes; i++) {
            assert_int_equal(memory[i], 0);
        }
        memset(memory, 0xa5, n_bytes);
        previous_end = memory + n_bytes;
    }
}

static void earlier_memory_stays_as_it_was(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    uint32_t *numbers[10000];
    for (uint32_t i = 0; i < 10000; i++) {
        numbers[i] = arena_alloc(&arena, sizeof(uint32_t) * (1 + i % 7));
        *numbers[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(*numbers[i], i);
    }
}

static void the_maximum_holds(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 64);
    assert_non_null(arena_alloc(&arena, 16));
    assert_non_null(arena_alloc(&arena, 33)); /* rounded to 48 */
    assert_int_equal(arena.used_bytes, 64);
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, 0));
    assert_int_equal(arena.used_bytes, 64);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 16));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_alloc_array(&arena, SIZE_MAX, SIZE_MAX));
    assert_non_null(arena_alloc_array(&arena, 0, SIZE_MAX));
    assert_non_null(arena_alloc_array(&arena, 100, 12));
}

static void a_block_larger_than_the_usual_fits(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    unsigned char *large = arena_alloc(&arena, (size_t)5 << 20);
    assert_non_null(large);
    large[((size_t)5 << 20) - 1] = 1;
    assert_non_null(arena_alloc(&arena, 100));
}

static void strings_are_copied(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    char original[] = "libc.so.6";
    char *copy = arena_strdup(&arena, original);
    original[0] = 'X';
    assert_string_equal(copy, "libc.so.6");
    assert_null(arena_strdup(&arena, NULL));
    assert_null(arena_strndup(&arena, NULL, 3));
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, "ab", 3), "ab");
    assert_string_equal(arena_strndup(&arena, "ab", 0), "");
    assert_string_equal(arena_printf(&arena, "%s+0x%x", "main", 16), "main+0x10");
    char *wide = arena_printf(&arena, "%10000d", 7);
    assert_int_equal(strlen(wide), 10000);
    assert_int_equal(wide[9999], '7');
}

static void a_string_past_the_maximum_is_null(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 32);
    assert_null(arena_printf(&arena, "%100d", 7));
    assert_null(arena_strdup(&arena, "0123456789012345678901234567890123456789"));
    assert_non_null(arena_strdup(&arena, "short"));
}

static void release_makes_it_usable_again(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 32);
    assert_non_null(arena_alloc(&arena, 32));
    arena_release(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 32));
    arena_release(&arena);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(earlier_memory_stays_as_it_was),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(a_block_larger_than_the_usual_fits),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(a_string_past_the_maximum_is_null),
        cmocka_unit_test(release_makes_it_usable_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
