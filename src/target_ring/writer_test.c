/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "target_ring/writer.h"

static void *memory;
static int memory_fd;

static int make(void **state)
{
    (void)state;
    return target_ring_memory_new(&memory, &memory_fd);
}

static int end(void **state)
{
    (void)state;
    munmap(memory, TARGET_RING_BYTES);
    close(memory_fd);
    return 0;
}

static void a_full_ring_takes_no_more(void **state)
{
    (void)state;
    uint64_t position = 0;
    for (uint32_t i = 0; i < TARGET_RING_SLOTS; i++) {
        assert_true(target_ring_reserve(memory, 1, &position));
        assert_int_equal(position, i);
    }
    assert_false(target_ring_reserve(memory, 1, &position));
    target_ring_control(memory)->tail = 3;
    assert_false(target_ring_reserve(memory, 4, &position));
    assert_true(target_ring_reserve(memory, 3, &position));
    assert_int_equal(position, TARGET_RING_SLOTS);
    assert_ptr_equal(target_ring_slot_at(memory, position), target_ring_slots(memory));
    assert_false(target_ring_reserve(memory, 1, &position));
}

/* The server's word is not to be relied on: a span is dropped, and nothing else happens. */
static void a_tail_that_lies_drops(void **state)
{
    (void)state;
    uint64_t position = 0;
    static const uint64_t lies[] = {3, TARGET_RING_SLOTS, UINT64_MAX / 2};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        target_ring_control(memory)->tail = lies[i];
        assert_false(target_ring_reserve(memory, 2, &position));
    }
}

static void a_slot_counts_once_it_is_published(void **state)
{
    (void)state;
    uint64_t position = 0;
    assert_true(target_ring_reserve(memory, 16, &position));
    assert_int_equal(target_ring_state(memory)->head, 16);
    struct target_ring_slot *slot = target_ring_slot_at(memory, position + 15);
    assert_int_equal(slot->commit, 0);
    target_ring_publish(slot, position + 15);
    assert_int_equal(slot->commit, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_ring_takes_no_more, make, end),
        cmocka_unit_test_setup_teardown(a_tail_that_lies_drops, make, end),
        cmocka_unit_test_setup_teardown(a_slot_counts_once_it_is_published, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
