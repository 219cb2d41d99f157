/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/frame_table.h"

static frame_id intern(struct frame_table *table, image_id image, uint64_t offset)
{
    frame_id id = UINT32_MAX;
    const struct frame frame = {.image = image, .offset = offset};
    assert_int_equal(frame_table_intern(table, frame, &id), 0);
    return id;
}

static void the_same_place_is_the_same_frame(void **state)
{
    (void)state;
    _cleanup_(frame_table_freep) struct frame_table *table = NULL;
    assert_int_equal(frame_table_new(&table), 0);
    assert_int_equal(frame_table_count(table), 0);
    frame_id one = intern(table, 2, 0x1000);
    frame_id other_image = intern(table, 3, 0x1000);
    frame_id other_offset = intern(table, 2, 0x1001);
    assert_int_not_equal(one, other_image);
    assert_int_not_equal(one, other_offset);
    assert_int_not_equal(other_image, other_offset);
    assert_int_equal(intern(table, 2, 0x1000), one);
    assert_int_equal(intern(table, 3, 0x1000), other_image);
    assert_int_equal(frame_table_count(table), 3);
    assert_int_equal(frame_table_get(table, one).image, 2);
    assert_int_equal(frame_table_get(table, one).offset, 0x1000);
}

/* Ids are dense and in the order of first sight, far beyond one chunk. */
static void many_frames(void **state)
{
    (void)state;
    _cleanup_(frame_table_freep) struct frame_table *table = NULL;
    assert_int_equal(frame_table_new(&table), 0);
    const uint32_t n_frames = 50000;
    for (uint32_t i = 0; i < n_frames; i++) {
        assert_int_equal(intern(table, i % 7, (uint64_t)(i / 7) * 16), i);
    }
    size_t memory_bytes = frame_table_memory_bytes(table);
    for (uint32_t i = 0; i < n_frames; i++) {
        assert_int_equal(intern(table, i % 7, (uint64_t)(i / 7) * 16), i);
        assert_int_equal(frame_table_get(table, i).image, i % 7);
        assert_int_equal(frame_table_get(table, i).offset, (uint64_t)(i / 7) * 16);
    }
    assert_int_equal(frame_table_count(table), n_frames);
    assert_int_equal(frame_table_memory_bytes(table), memory_bytes);
    assert_true(memory_bytes >= n_frames * sizeof(struct frame));
}

static void extreme_places(void **state)
{
    (void)state;
    _cleanup_(frame_table_freep) struct frame_table *table = NULL;
    assert_int_equal(frame_table_new(&table), 0);
    frame_id zero = intern(table, 0, 0);
    frame_id highest = intern(table, UINT32_MAX, UINT64_MAX);
    assert_int_not_equal(zero, highest);
    assert_int_equal(frame_table_get(table, highest).image, UINT32_MAX);
    assert_int_equal(frame_table_get(table, highest).offset, UINT64_MAX);
    assert_null(frame_table_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_place_is_the_same_frame),
        cmocka_unit_test(many_frames),
        cmocka_unit_test(extreme_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
