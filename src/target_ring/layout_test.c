/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "target_ring/layout.h"

/* The offsets of members are checked while compiling; here is where the parts begin. */
static void the_parts_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(TARGET_RING_LANES_OFFSET, 8192);
    assert_int_equal(TARGET_RING_NAMES_OFFSET, 8192 + 1024 * 16);
    assert_int_equal(TARGET_RING_TEXT_OFFSET, TARGET_RING_NAMES_OFFSET + 65536 * 16);
    assert_int_equal(TARGET_RING_SLOTS_OFFSET, TARGET_RING_TEXT_OFFSET + (2 << 20));
    assert_int_equal(TARGET_RING_BYTES, TARGET_RING_SLOTS_OFFSET + 131072 * 64);
    assert_int_equal(TARGET_RING_SLOTS & (TARGET_RING_SLOTS - 1), 0);
}

static void the_magic_is_readable(void **state)
{
    (void)state;
    uint64_t magic = TARGET_RING_MAGIC;
    assert_memory_equal(&magic, "STAXTR1", 8);
}

/* The reader looks at both while the other side writes. */
static void words_that_both_sides_use_are_on_lines_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct target_ring_control, tail) / 64, 1);
    assert_int_equal(offsetof(struct target_ring_state, n_dropped_full) % 64, 0);
    assert_int_equal(offsetof(struct target_ring_state, head) % 64, 0);
    assert_int_equal(sizeof(struct target_ring_slot), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_follow_each_other),
        cmocka_unit_test(the_magic_is_readable),
        cmocka_unit_test(words_that_both_sides_use_are_on_lines_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
