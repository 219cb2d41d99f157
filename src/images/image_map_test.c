/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "images/image_map.h"

#define PID 100

static struct image_map *new_map(void)
{
    struct image_map *map = NULL;
    assert_int_equal(image_map_new(&map), 0);
    return map;
}

static void add(struct image_map *map, uint64_t start_ip, uint64_t end_ip, uint64_t file_offset,
                image_id image)
{
    assert_int_equal(image_map_add(map, PID, start_ip, end_ip, file_offset, image, false), 0);
}

static void assert_place(struct image_map *map, int64_t pid, uint64_t ip, image_id image,
                         uint64_t offset)
{
    struct image_place place = image_map_find(map, pid, ip);
    assert_int_equal(place.image, image);
    assert_int_equal(place.offset, offset);
}

static void test_edges_of_a_range(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    assert_place(map, PID, 0x1000, IMAGE_ID_UNKNOWN, 0x1000);
    assert_int_equal(image_map_generation(map, PID), 0);
    add(map, 0x1000, 0x2000, 0x5000, 7);
    assert_place(map, PID, 0xfff, IMAGE_ID_UNKNOWN, 0xfff);
    assert_place(map, PID, 0x1000, 7, 0x5000);
    assert_place(map, PID, 0x1fff, 7, 0x5fff);
    assert_place(map, PID, 0x2000, IMAGE_ID_UNKNOWN, 0x2000);
    assert_place(map, PID + 1, 0x1000, IMAGE_ID_UNKNOWN, 0x1000);
    assert_int_equal(image_map_add(map, PID, 0x2000, 0x2000, 0, 7, false), -EINVAL);
    assert_int_equal(image_map_remove(map, PID, 0x2000, 0x1000), -EINVAL);
}

static void test_anonymous_code_keeps_its_address(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    assert_int_equal(image_map_add(map, PID, 0x8000, 0x9000, 0x123, 9, true), 0);
    assert_place(map, PID, 0x8765, 9, 0x8765);
}

static void test_overlaps_are_cut(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    /* In the middle: both ends stay, with the right offsets. */
    add(map, 0x1000, 0x9000, 0, 2);
    add(map, 0x3000, 0x4000, 0x100000, 3);
    assert_place(map, PID, 0x2fff, 2, 0x1fff);
    assert_place(map, PID, 0x3000, 3, 0x100000);
    assert_place(map, PID, 0x4000, 2, 0x3000);
    /* Over the seam of three. */
    add(map, 0x2800, 0x4800, 0, 4);
    assert_place(map, PID, 0x27ff, 2, 0x17ff);
    assert_place(map, PID, 0x2800, 4, 0);
    assert_place(map, PID, 0x47ff, 4, 0x1fff);
    assert_place(map, PID, 0x4800, 2, 0x3800);
    /* Over everything. */
    add(map, 0, 0x10000, 0x40, 5);
    assert_place(map, PID, 0x8fff, 5, 0x903f);
    assert_place(map, PID, 0xffff, 5, 0x1003f);
}

static void test_remove(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    add(map, 0x1000, 0x5000, 0, 2);
    assert_int_equal(image_map_remove(map, PID, 0x2000, 0x3000), 0);
    assert_place(map, PID, 0x1fff, 2, 0xfff);
    assert_place(map, PID, 0x2000, IMAGE_ID_UNKNOWN, 0x2000);
    assert_place(map, PID, 0x3000, 2, 0x2000);
    assert_int_equal(image_map_remove(map, PID, 0, 0x100000), 0);
    assert_place(map, PID, 0x1000, IMAGE_ID_UNKNOWN, 0x1000);
    assert_int_equal(image_map_remove(map, PID + 1, 0, 1), 0);
}

static void test_dlclose_and_another_dlopen_at_the_same_place(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    add(map, 0x1000, 0x2000, 0, 2);
    assert_place(map, PID, 0x1800, 2, 0x800);
    uint64_t before = image_map_generation(map, PID);
    add(map, 0x1000, 0x2000, 0, 3);
    assert_true(image_map_generation(map, PID) > before);
    assert_place(map, PID, 0x1800, 3, 0x800);
}

static void test_generation_grows_only_when_answers_change(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    add(map, 0x1000, 0x4000, 0x1000, 2);
    uint64_t generation = image_map_generation(map, PID);
    /* The same file at the same place again, wholly or in part. */
    add(map, 0x1000, 0x4000, 0x1000, 2);
    add(map, 0x2000, 0x3000, 0x2000, 2);
    assert_int_equal(image_map_remove(map, PID, 0x5000, 0x6000), 0);
    (void)image_map_find(map, PID, 0x1234);
    assert_int_equal(image_map_generation(map, PID), generation);
    add(map, 0x2000, 0x3000, 0x7000, 2);
    assert_true(image_map_generation(map, PID) > generation);
    generation = image_map_generation(map, PID);
    assert_int_equal(image_map_remove(map, PID, 0x1000, 0x1001), 0);
    assert_true(image_map_generation(map, PID) > generation);
    generation = image_map_generation(map, PID);
    image_map_exec(map, PID);
    assert_true(image_map_generation(map, PID) > generation);
}

static void test_exec_and_fork(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    add(map, 0x1000, 0x2000, 0, 2);
    assert_int_equal(image_map_fork(map, PID + 1, PID), 0);
    assert_place(map, PID + 1, 0x1001, 2, 1);
    image_map_exec(map, PID);
    assert_place(map, PID, 0x1001, IMAGE_ID_UNKNOWN, 0x1001);
    assert_place(map, PID + 1, 0x1001, 2, 1);
    add(map, 0x1000, 0x2000, 0, 3);
    assert_place(map, PID, 0x1001, 3, 1);
    assert_place(map, PID + 1, 0x1001, 2, 1);

    /* A reused pid starts with what its new parent has. */
    uint64_t generation = image_map_generation(map, PID + 1);
    assert_int_equal(image_map_fork(map, PID + 1, PID), 0);
    assert_place(map, PID + 1, 0x1001, 3, 1);
    assert_true(image_map_generation(map, PID + 1) > generation);
    assert_int_equal(image_map_fork(map, PID + 1, 9999), 0);
    assert_place(map, PID + 1, 0x1001, IMAGE_ID_UNKNOWN, 0x1001);
    assert_int_equal(image_map_fork(map, PID, PID), 0);
    assert_place(map, PID, 0x1001, 3, 1);
    image_map_exec(map, 12345);
}

static void test_code_that_grows_in_place_stays_one_range(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    /* More pieces than a process may have ranges. */
    for (uint64_t i = 0; i < 200000; i++) {
        assert_int_equal(image_map_add(map, PID, i << 12, (i + 1) << 12, 0, 9, true), 0);
    }
    assert_place(map, PID, UINT64_C(199999) << 12, 9, UINT64_C(199999) << 12);
}

static void test_ranges_of_a_process_are_bounded(void **state)
{
    (void)state;
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    int r = 0;
    uint64_t i = 0;
    for (; r == 0 && i < 300000; i++) {
        r = image_map_add(map, PID, i << 13, (i << 13) + 0x1000, 0, 9, false);
    }
    assert_int_equal(r, -ENOSPC);
    assert_true(i > 65536);
    assert_place(map, PID, 0x2001, 9, 1);
}

/* Against one array entry per page, with random changes. */
static void test_random_changes_against_a_plain_model(void **state)
{
    (void)state;
    enum { N_PAGES = 64 };
    struct image_place model[N_PAGES];
    for (size_t i = 0; i < N_PAGES; i++) {
        model[i] = (struct image_place){.image = IMAGE_ID_UNKNOWN, .offset = i << 12};
    }
    _cleanup_(image_map_freep) struct image_map *map = new_map();
    srand(7);
    for (int round = 0; round < 5000; round++) {
        uint64_t start = (uint64_t)rand() % N_PAGES;
        uint64_t end = start + 1 + (uint64_t)rand() % (N_PAGES - start);
        image_id image = IMAGE_ID_FIRST + (uint32_t)rand() % 3;
        bool removes = rand() % 4 == 0;
        bool keeps_ip = rand() % 4 == 0;
        uint64_t file_offset = (uint64_t)(rand() % 4) << 12;
        if (removes) {
            assert_int_equal(image_map_remove(map, PID, start << 12, end << 12), 0);
        } else {
            assert_int_equal(
                image_map_add(map, PID, start << 12, end << 12, file_offset, image, keeps_ip), 0);
        }
        for (uint64_t page = start; page < end; page++) {
            model[page].image = removes ? IMAGE_ID_UNKNOWN : image;
            model[page].offset =
                removes || keeps_ip ? page << 12 : file_offset + ((page - start) << 12);
        }
        for (uint64_t page = 0; page < N_PAGES; page++) {
            assert_place(map, PID, (page << 12) + 5, model[page].image, model[page].offset + 5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_of_a_range),
        cmocka_unit_test(test_anonymous_code_keeps_its_address),
        cmocka_unit_test(test_overlaps_are_cut),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_dlclose_and_another_dlopen_at_the_same_place),
        cmocka_unit_test(test_generation_grows_only_when_answers_change),
        cmocka_unit_test(test_exec_and_fork),
        cmocka_unit_test(test_code_that_grows_in_place_stays_one_range),
        cmocka_unit_test(test_ranges_of_a_process_are_bounded),
        cmocka_unit_test(test_random_changes_against_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
