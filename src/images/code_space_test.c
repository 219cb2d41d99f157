/* SPDX-License-Identifier: MIT */
#include "images/code_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PID 7

static void apply(struct code_space *space, struct event_image mapping, const char **ret_new_path)
{
    const struct image *image;
    struct event event = {.kind = EVENT_IMAGE, .pid = PID, .tid = PID, .image = &mapping};
    assert_int_equal(code_space_apply(space, &event, &image), 0);
    *ret_new_path = image ? image->path : NULL;
}

static void test_images_come_and_go(void **state)
{
    (void)state;
    _cleanup_(code_space_freep) struct code_space *space = NULL;
    const char *new_path;
    assert_int_equal(code_space_new(&space), 0);
    struct event_image mapping = {.change = EVENT_IMAGE_MAPPED,
                                  .start_ip = 0x10000,
                                  .end_ip = 0x20000,
                                  .file_offset = 0x1000,
                                  .path = "/lib/libx.so",
                                  .inode = 5};
    apply(space, mapping, &new_path);
    assert_string_equal(new_path, "/lib/libx.so");
    struct image_place place = image_map_find(space->map, PID, 0x10010);
    assert_int_equal(place.offset, 0x1010);
    assert_string_equal(image_table_get(space->images, place.image)->path, "/lib/libx.so");
    apply(space, mapping, &new_path);
    assert_null(new_path);

    mapping.change = EVENT_IMAGE_UNMAPPED;
    mapping.start_ip = 0x18000;
    apply(space, mapping, &new_path);
    assert_int_equal(image_map_find(space->map, PID, 0x18000).image, IMAGE_ID_UNKNOWN);
    assert_int_not_equal(image_map_find(space->map, PID, 0x17fff).image, IMAGE_ID_UNKNOWN);

    struct event_image exec = {.change = EVENT_IMAGE_EXEC};
    apply(space, exec, &new_path);
    assert_int_equal(image_map_find(space->map, PID, 0x10010).image, IMAGE_ID_UNKNOWN);
}

static void test_anonymous_code_keeps_its_address(void **state)
{
    (void)state;
    _cleanup_(code_space_freep) struct code_space *space = NULL;
    const char *new_path;
    assert_int_equal(code_space_new(&space), 0);
    struct event_image mapping = {
        .change = EVENT_IMAGE_MAPPED, .start_ip = 0x30000, .end_ip = 0x40000, .path = "//anon"};
    apply(space, mapping, &new_path);
    assert_non_null(new_path);
    assert_int_equal(image_map_find(space->map, PID, 0x30123).offset, 0x30123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_come_and_go),
        cmocka_unit_test(test_anonymous_code_keeps_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
