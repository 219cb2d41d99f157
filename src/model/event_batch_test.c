/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/event_batch.h"

static struct event_batch *new_batch(struct event_batch_limits limits)
{
    struct event_batch *batch = NULL;
    assert_int_equal(event_batch_new(&limits, &batch), 0);
    assert_non_null(batch);
    assert_int_equal(event_batch_count(batch), 0);
    return batch;
}

static struct event sample_at(uint64_t time_ns, const uint64_t *ips, uint32_t n_ips)
{
    return (struct event){
        .kind = EVENT_SAMPLE, .time_ns = time_ns, .sample = {.ips = ips, .n_ips = n_ips}};
}

static void a_deep_copy_outlives_the_original(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){0});
    uint64_t ips[3] = {30, 20, 10};
    char path[] = "/usr/lib/libc.so.6";
    char name[] = "worker";
    struct event_image image = {.start_ip = 0x1000, .end_ip = 0x2000, .path = path, .inode = 7};
    struct event sample = sample_at(1, ips, 3);
    struct event mapped = {.kind = EVENT_IMAGE, .time_ns = 2, .image = &image};
    struct event named = {.kind = EVENT_THREAD,
                          .time_ns = 3,
                          .tid = 42,
                          .thread = {.change = EVENT_THREAD_NAMED, .name = name}};
    assert_true(event_batch_add_deep(batch, &sample));
    assert_true(event_batch_add_deep(batch, &mapped));
    assert_true(event_batch_add_deep(batch, &named));
    memset(ips, 0, sizeof(ips));
    memset(path, 'x', sizeof(path) - 1);
    memset(name, 'x', sizeof(name) - 1);
    memset(&image, 0, sizeof(image));

    assert_int_equal(event_batch_count(batch), 3);
    const struct event *event = event_batch_get(batch, 0);
    assert_int_equal(event->sample.n_ips, 3);
    assert_int_equal(event->sample.ips[0], 30);
    assert_int_equal(event->sample.ips[2], 10);
    event = event_batch_get(batch, 1);
    assert_string_equal(event->image->path, "/usr/lib/libc.so.6");
    assert_int_equal(event->image->end_ip, 0x2000);
    assert_int_equal(event->image->inode, 7);
    event = event_batch_get(batch, 2);
    assert_string_equal(event->thread.name, "worker");
    assert_int_equal(event->tid, 42);
}

static void events_without_parts_are_copied_too(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){0});
    struct event sample = sample_at(1, NULL, 0);
    struct event_image image = {.change = EVENT_IMAGE_EXEC};
    struct event exec = {.kind = EVENT_IMAGE, .time_ns = 2, .image = &image};
    struct event gone = {
        .kind = EVENT_THREAD, .time_ns = 3, .thread = {.change = EVENT_THREAD_GONE}};
    assert_true(event_batch_add_deep(batch, &sample));
    assert_true(event_batch_add_deep(batch, &exec));
    assert_true(event_batch_add_deep(batch, &gone));
    assert_int_equal(event_batch_get(batch, 0)->sample.n_ips, 0);
    assert_int_equal(event_batch_get(batch, 1)->image->change, EVENT_IMAGE_EXEC);
    assert_null(event_batch_get(batch, 1)->image->path);
    assert_null(event_batch_get(batch, 2)->thread.name);
}

static void events_come_out_in_order_of_time(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){0});
    const uint64_t times_ns[] = {5, 9, 7, 1, 9, 5};
    for (uint16_t i = 0; i < 6; i++) {
        struct event event = {.kind = EVENT_WAKEUP, .time_ns = times_ns[i], .cpu = i};
        assert_true(event_batch_add(batch, &event));
    }
    const uint16_t expected[] = {3, 0, 5, 2, 1, 4}; /* equal times as they came */
    for (uint16_t i = 0; i < 6; i++) {
        assert_int_equal(event_batch_get(batch, i)->cpu, expected[i]);
    }
}

static void each_limit_holds(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch = new_batch(
        (struct event_batch_limits){.n_events = 4, .n_ips = 5, .n_images = 1, .text_bytes = 8});
    assert_false(event_batch_has_room(batch)); /* not for the deepest stack */
    uint64_t ips[4] = {1, 2, 3, 4};
    struct event sample = sample_at(1, ips, 4);
    assert_true(event_batch_add_deep(batch, &sample));
    assert_false(event_batch_add_deep(batch, &sample));
    assert_non_null(event_batch_add_ips(batch, 1));
    assert_null(event_batch_add_ips(batch, 1));
    assert_null(event_batch_add_ips(batch, SIZE_MAX));

    assert_string_equal(event_batch_add_text(batch, "1234"), "1234");
    assert_null(event_batch_add_text(batch, "123"));
    assert_string_equal(event_batch_add_text(batch, "12"), "12");
    assert_null(event_batch_add_text(batch, ""));

    struct event_image image = {.inode = 1};
    assert_non_null(event_batch_add_image(batch, &image));
    assert_null(event_batch_add_image(batch, &image));

    struct event lost = {.kind = EVENT_LOST, .time_ns = 2};
    assert_true(event_batch_add(batch, &lost));
    assert_true(event_batch_add(batch, &lost));
    assert_true(event_batch_add(batch, &lost));
    assert_false(event_batch_add(batch, &lost));
    assert_int_equal(event_batch_count(batch), 4);
}

static void clear_makes_room_again(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){.n_events = 16,
                                              .n_ips = LIMIT_STACK_IPS,
                                              .n_images = 4,
                                              .text_bytes = 2 * (size_t)LIMIT_PATH_BYTES});
    for (int round = 0; round < 3; round++) {
        assert_true(event_batch_has_room(batch));
        static uint64_t ips[LIMIT_STACK_IPS];
        struct event sample = sample_at(1, ips, LIMIT_STACK_IPS);
        assert_true(event_batch_add_deep(batch, &sample));
        assert_false(event_batch_has_room(batch));
        event_batch_clear(batch);
        assert_int_equal(event_batch_count(batch), 0);
    }
}

/* has_room() promises what a record may need at most. */
static void room_is_enough_for_the_largest_record(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch = new_batch((struct event_batch_limits){
        .n_events = 64, .n_ips = 4096, .n_images = 64, .text_bytes = 5 * (size_t)LIMIT_PATH_BYTES});
    static char path[2 * LIMIT_PATH_BYTES];
    memset(path, 'p', sizeof(path) - 1);
    struct event_image image = {.path = path};
    struct event mapped = {.kind = EVENT_IMAGE, .image = &image};
    size_t n_added = 0;
    while (event_batch_has_room(batch)) {
        assert_true(event_batch_add_deep(batch, &mapped));
        n_added++;
    }
    assert_in_range(n_added, 3, 5);
    assert_int_equal(strlen(event_batch_get(batch, 0)->image->path), LIMIT_PATH_BYTES - 1);
}

static void free_accepts_null(void **state)
{
    (void)state;
    assert_null(event_batch_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deep_copy_outlives_the_original),
        cmocka_unit_test(events_without_parts_are_copied_too),
        cmocka_unit_test(events_come_out_in_order_of_time),
        cmocka_unit_test(each_limit_holds),
        cmocka_unit_test(clear_makes_room_again),
        cmocka_unit_test(room_is_enough_for_the_largest_record),
        cmocka_unit_test(free_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
