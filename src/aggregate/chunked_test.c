/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aggregate/chunked.h"

struct item {
    uint64_t number;
    uint32_t flag;
};

static void items_never_move(void **state)
{
    (void)state;
    struct chunked array;
    assert_int_equal(chunked_init(&array, sizeof(struct item), 100000), 0);
    assert_int_equal(chunked_memory_bytes(&array), 0);
    static struct item *places[20000];
    for (uint64_t i = 0; i < 20000; i++) {
        places[i] = chunked_add(&array);
        assert_non_null(places[i]);
        assert_int_equal(places[i]->number, 0); /* zeroed */
        assert_int_equal(places[i]->flag, 0);
        places[i]->number = i;
    }
    assert_int_equal(array.n_items, 20000);
    for (uint64_t i = 0; i < 20000; i++) {
        struct item *item = chunked_get(&array, i);
        assert_ptr_equal(item, places[i]);
        assert_int_equal(item->number, i);
    }
    assert_int_equal(chunked_memory_bytes(&array), 5 * CHUNKED_ITEMS * sizeof(struct item));
    chunked_release(&array);
    assert_int_equal(array.n_items, 0);
}

static void it_is_full_at_its_limit(void **state)
{
    (void)state;
    const uint64_t limits[] = {1, CHUNKED_ITEMS - 1, CHUNKED_ITEMS, CHUNKED_ITEMS + 1};
    for (size_t i = 0; i < 4; i++) {
        struct chunked array;
        assert_int_equal(chunked_init(&array, sizeof(uint32_t), limits[i]), 0);
        for (uint64_t k = 0; k < limits[i]; k++) {
            assert_non_null(chunked_add(&array));
        }
        assert_null(chunked_add(&array));
        assert_null(chunked_add(&array));
        assert_int_equal(array.n_items, limits[i]);
        chunked_release(&array);
    }
}

static void the_oldest_chunk_can_be_dropped(void **state)
{
    (void)state;
    struct chunked array;
    assert_int_equal(chunked_init(&array, sizeof(uint64_t), 10 * CHUNKED_ITEMS), 0);
    assert_null(chunked_drop_oldest(&array));
    for (uint64_t i = 0; i < CHUNKED_ITEMS; i++) {
        *(uint64_t *)chunked_add(&array) = i;
    }
    assert_null(chunked_drop_oldest(&array)); /* the newest one stays */
    for (uint64_t i = CHUNKED_ITEMS; i < 3 * CHUNKED_ITEMS; i++) {
        *(uint64_t *)chunked_add(&array) = i;
    }
    const uint64_t *reader = chunked_get(&array, 5);
    void *first = chunked_drop_oldest(&array);
    assert_non_null(first);
    assert_int_equal(array.first_item, CHUNKED_ITEMS);
    /* A reader with an older count still finds it. */
    assert_ptr_equal(chunked_get(&array, 5), reader);
    assert_int_equal(*reader, 5);
    void *second = chunked_drop_oldest(&array);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_int_equal(array.first_item, 2 * CHUNKED_ITEMS);
    assert_null(chunked_drop_oldest(&array));
    assert_int_equal(array.n_items, 3 * CHUNKED_ITEMS);
    assert_int_equal(*(uint64_t *)chunked_get(&array, 2 * CHUNKED_ITEMS), 2 * CHUNKED_ITEMS);
    assert_int_equal(chunked_memory_bytes(&array), CHUNKED_ITEMS * sizeof(uint64_t));
    *(uint64_t *)chunked_add(&array) = 77;
    assert_int_equal(*(uint64_t *)chunked_get(&array, 3 * CHUNKED_ITEMS), 77);
    chunked_chunk_free(first, sizeof(uint64_t));
    chunked_chunk_free(second, sizeof(uint64_t));
    chunked_release(&array);
}

/* However many items come, as long as the oldest go. */
static void a_ring_goes_on_for_ever(void **state)
{
    (void)state;
    struct chunked array;
    assert_int_equal(chunked_init(&array, sizeof(uint64_t), 4 * CHUNKED_ITEMS), 0);
    for (uint64_t i = 0; i < 100 * CHUNKED_ITEMS; i++) {
        uint64_t *slot = chunked_add(&array);
        if (!slot) {
            assert_int_equal(i - array.first_item, 4 * CHUNKED_ITEMS);
            chunked_chunk_free(chunked_drop_oldest(&array), sizeof(uint64_t));
            slot = chunked_add(&array);
        }
        assert_non_null(slot);
        assert_int_equal(*slot, 0);
        *slot = i;
        for (uint64_t k = array.first_item; i % 5000 == 0 && k <= i; k++) {
            assert_int_equal(*(uint64_t *)chunked_get(&array, k), k);
        }
    }
    assert_int_equal(array.n_items, 100 * CHUNKED_ITEMS);
    assert_int_equal(chunked_memory_bytes(&array), 4 * CHUNKED_ITEMS * sizeof(uint64_t));
    chunked_release(&array);
}

/* One that begins in the middle of a chunk, far behind what fits. */
static void a_later_beginning(void **state)
{
    (void)state;
    const uint64_t first = (UINT64_C(1) << 40) + 77;
    struct chunked array;
    assert_int_equal(chunked_init(&array, sizeof(uint64_t), 2 * CHUNKED_ITEMS), 0);
    chunked_begin_at(&array, first);
    assert_int_equal(chunked_memory_bytes(&array) / sizeof(uint64_t), CHUNKED_ITEMS);
    uint64_t n_items = 0;
    for (uint64_t *slot = chunked_add(&array); slot; slot = chunked_add(&array)) {
        *slot = first + n_items++;
    }
    assert_int_equal(n_items, 2 * CHUNKED_ITEMS - 77);
    for (uint64_t i = 0; i < n_items; i++) {
        assert_int_equal(*(uint64_t *)chunked_get(&array, first + i), first + i);
    }
    chunked_release(&array);
    assert_int_equal(chunked_init(&array, sizeof(uint64_t), 2 * CHUNKED_ITEMS), 0);
    chunked_begin_at(&array, UINT64_MAX);
    assert_non_null(chunked_add(&array));
    assert_int_equal(array.n_items, array.first_item + 1);
    chunked_release(&array);
}

static void an_array_that_was_never_used(void **state)
{
    (void)state;
    struct chunked array = {0};
    chunked_release(&array);
    assert_int_equal(chunked_init(&array, 8, UINT64_C(1) << 32), 0);
    assert_int_equal(chunked_memory_bytes(&array), 0);
    chunked_release(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_never_move),
        cmocka_unit_test(it_is_full_at_its_limit),
        cmocka_unit_test(the_oldest_chunk_can_be_dropped),
        cmocka_unit_test(a_ring_goes_on_for_ever),
        cmocka_unit_test(a_later_beginning),
        cmocka_unit_test(an_array_that_was_never_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
