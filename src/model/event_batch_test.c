/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/event_batch.h"

static struct event_batch *new_batch(struct event_batch_limits limits)
{
    struct event_batch *batch;
    assert_int_equal(event_batch_new(&limits, &batch), 0);
    assert_int_equal(event_batch_count(batch), 0);
    return batch;
}

static struct event lost_at(uint64_t time_ns, uint64_t count)
{
    return (struct event){
        .kind = EVENT_LOST,
        .time_ns = time_ns,
        .lost = {.cause = EVENT_LOST_RING_FULL, .count = count},
    };
}

static void events_come_out_in_the_order_of_their_times(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){.n_events = 1000});
    uint64_t seed = 7;
    for (uint64_t i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        /* Nearly in order, as rings are; equal times are frequent. */
        struct event event = lost_at(i / 3 + (seed >> 33) % 8, i);
        assert_true(event_batch_add(batch, &event));
    }
    assert_int_equal(event_batch_count(batch), 1000);
    bool is_seen[1000] = {false};
    for (size_t i = 0; i < 1000; i++) {
        const struct event *event = event_batch_get(batch, i);
        assert_false(is_seen[event->lost.count]);
        is_seen[event->lost.count] = true;
        if (i > 0) {
            const struct event *before = event_batch_get(batch, i - 1);
            assert_true(before->time_ns <= event->time_ns);
            /* Of equal times the first added stays first. */
            assert_true(before->time_ns < event->time_ns || before->lost.count < event->lost.count);
        }
    }
}

static void the_parts_of_an_event_are_copied_with_it(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){0});
    uint64_t *ips = malloc(3 * sizeof(*ips));
    char *name = strdup("worker");
    char *path = strdup("/usr/lib/libz.so");
    struct event_image *image = calloc(1, sizeof(*image));
    assert_true(ips && name && path && image);
    ips[0] = 0x1000;
    ips[1] = 0x2000;
    ips[2] = 0x3000;
    image->change = EVENT_IMAGE_MAPPED;
    image->start_ip = 0x400000;
    image->end_ip = 0x500000;
    image->path = path;
    image->build_id_bytes = 2;
    image->build_id[1] = 0xab;

    struct event sample = {
        .kind = EVENT_SAMPLE,
        .time_ns = 10,
        .tid = 5,
        .stack = {.ips = ips, .n_ips = 3, .n_kernel_ips = 1},
        .sample = {.period_ns = 77},
    };
    struct event named = {
        .kind = EVENT_THREAD,
        .time_ns = 11,
        .thread = {.change = EVENT_THREAD_NAMED, .name = name},
    };
    struct event mapped = {.kind = EVENT_IMAGE, .time_ns = 12, .image = image};
    assert_true(event_batch_add_deep(batch, &sample));
    assert_true(event_batch_add_deep(batch, &named));
    assert_true(event_batch_add_deep(batch, &mapped));
    memset(ips, 0xff, 3 * sizeof(*ips));
    memset(name, 'x', 6);
    memset(path, 'x', 16);
    memset(image, 0xff, sizeof(*image));
    free(ips);
    free(name);
    free(path);
    free(image);

    const struct event *event = event_batch_get(batch, 0);
    assert_int_equal(event->stack.n_ips, 3);
    assert_int_equal(event->stack.n_kernel_ips, 1);
    assert_int_equal(event->sample.period_ns, 77);
    assert_int_equal(event->stack.ips[0], 0x1000);
    assert_int_equal(event->stack.ips[2], 0x3000);
    assert_string_equal(event_batch_get(batch, 1)->thread.name, "worker");
    const struct event_image *copy = event_batch_get(batch, 2)->image;
    assert_string_equal(copy->path, "/usr/lib/libz.so");
    assert_int_equal(copy->end_ip, 0x500000);
    assert_int_equal(copy->build_id_bytes, 2);
    assert_int_equal(copy->build_id[1], 0xab);
}

static void parts_may_be_missing(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){0});
    const struct event_image exec = {.change = EVENT_IMAGE_EXEC};
    struct event events[] = {
        {.kind = EVENT_SAMPLE},
        {.kind = EVENT_THREAD, .thread = {.change = EVENT_THREAD_BORN}},
        {.kind = EVENT_IMAGE, .image = &exec},
        {.kind = EVENT_SWITCH_OUT, .is_preempted = true, .switch_out = {.cpu_time_ns = 9}},
    };
    for (size_t i = 0; i < 4; i++) {
        assert_true(event_batch_add_deep(batch, &events[i]));
    }
    assert_int_equal(event_batch_get(batch, 0)->stack.n_ips, 0);
    assert_null(event_batch_get(batch, 1)->thread.name);
    assert_int_equal(event_batch_get(batch, 2)->image->change, EVENT_IMAGE_EXEC);
    assert_null(event_batch_get(batch, 2)->image->path);
    assert_ptr_not_equal(event_batch_get(batch, 2)->image, &exec);
    assert_true(event_batch_get(batch, 3)->is_preempted);
    assert_int_equal(event_batch_get(batch, 3)->switch_out.cpu_time_ns, 9);
}

static void every_bound_holds(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch = new_batch(
        (struct event_batch_limits){.n_events = 2, .n_ips = 10, .n_images = 1, .text_bytes = 16});
    assert_false(event_batch_has_room(batch));

    assert_non_null(event_batch_add_ips(batch, 7));
    assert_null(event_batch_add_ips(batch, 4));
    assert_null(event_batch_add_ips(batch, SIZE_MAX));
    assert_non_null(event_batch_add_ips(batch, 3));
    assert_null(event_batch_add_ips(batch, 1));
    assert_non_null(event_batch_add_ips(batch, 0));

    assert_string_equal(event_batch_add_text(batch, "0123456789"), "0123456789"); /* 11 bytes */
    assert_null(event_batch_add_text(batch, "01234"));
    assert_string_equal(event_batch_add_text(batch, "0123"), "0123"); /* and 5 */
    assert_null(event_batch_add_text(batch, ""));

    const struct event_image with_path = {.change = EVENT_IMAGE_MAPPED, .path = "/x"};
    const struct event_image without_path = {.change = EVENT_IMAGE_UNMAPPED};
    assert_null(event_batch_add_image(batch, &with_path));        /* no text left … */
    assert_non_null(event_batch_add_image(batch, &without_path)); /* … and its place was not lost */
    assert_null(event_batch_add_image(batch, &without_path));

    struct event event = lost_at(1, 1);
    const uint64_t ip = 0x1000;
    struct event sample = {.kind = EVENT_SAMPLE, .stack = {.ips = &ip, .n_ips = 1}};
    assert_true(event_batch_add(batch, &event));
    assert_false(event_batch_add_deep(batch, &sample)); /* its ips have no room */
    assert_int_equal(event_batch_count(batch), 1);
    assert_true(event_batch_add(batch, &event));
    assert_false(event_batch_add(batch, &event));
    assert_int_equal(event_batch_count(batch), 2);

    event_batch_clear(batch);
    assert_int_equal(event_batch_count(batch), 0);
    assert_non_null(event_batch_add_ips(batch, 10));
    assert_string_equal(event_batch_add_text(batch, "012345678901234"), "012345678901234");
    assert_non_null(event_batch_add_image(batch, &without_path));
    assert_true(event_batch_add(batch, &event));
}

static void room_means_room_for_the_largest_record(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch = new_batch((struct event_batch_limits){
        .n_events = 100, .n_ips = 100000, .n_images = 100, .text_bytes = 100000});
    char *path = malloc(2 * LIMIT_PATH_BYTES);
    assert_non_null(path);
    memset(path, 'p', 2 * LIMIT_PATH_BYTES - 1);
    path[2 * LIMIT_PATH_BYTES - 1] = '\0';
    const struct event_image image = {.change = EVENT_IMAGE_MAPPED, .path = path};
    size_t n_records = 0;
    for (; event_batch_has_room(batch); n_records++) {
        struct event event = {.kind = EVENT_IMAGE, .time_ns = n_records};
        event.image = event_batch_add_image(batch, &image);
        assert_non_null(event.image);
        /* A path that is too long is cut, with its NUL within the limit. */
        assert_int_equal(strlen(event.image->path), LIMIT_PATH_BYTES - 1);
        assert_true(event_batch_add(batch, &event));
        assert_non_null(event_batch_add_ips(batch, LIMIT_STACK_IPS));
    }
    assert_true(n_records > 10);
    free(path);

    /* Whatever runs out first ends it. */
    event_batch_clear(batch);
    assert_true(event_batch_has_room(batch));
    assert_non_null(event_batch_add_ips(batch, 100000 - LIMIT_STACK_IPS + 1));
    assert_false(event_batch_has_room(batch));
    event_batch_clear(batch);
    for (size_t i = 0; i < 97; i++) {
        assert_true(event_batch_has_room(batch));
        struct event event = lost_at(i, 1);
        assert_true(event_batch_add(batch, &event));
    }
    assert_false(event_batch_has_room(batch));
}

static void counters_are_copied_with_their_event(void **state)
{
    (void)state;
    _cleanup_(event_batch_freep) struct event_batch *batch =
        new_batch((struct event_batch_limits){.n_events = 10, .n_ips = 20});
    const uint64_t ips[] = {0x1000, 0x2000};
    struct event_counters counters = {
        .group = 7, .enabled_ns = 20, .running_ns = 10, .slots = 9, .values = {1, 2, 3, 4}};
    const struct event event = {.kind = EVENT_COUNTERS,
                                .time_ns = 5,
                                .stack = {.ips = ips, .n_ips = 2},
                                .counters = &counters};
    assert_true(event_batch_add_deep(batch, &event));
    counters.values[3] = 99;
    const struct event *copy = event_batch_get(batch, 0);
    assert_int_equal(copy->counters->group, 7);
    assert_int_equal(copy->counters->values[3], 4);
    assert_int_equal(copy->stack.ips[1], 0x2000);
    assert_true(event_batch_add_deep(batch, &event));
    assert_false(event_batch_add_deep(batch, &event)); /* 3 × (2 + 8) words are too many */
    assert_int_equal(event_batch_count(batch), 2);
}

static void free_accepts_nothing(void **state)
{
    (void)state;
    assert_null(event_batch_free(NULL));
}

static void spans_are_copied_with_their_details(void **state)
{
    (void)state;
    const struct event_batch_limits small = {.n_events = 8, .n_ips = 200};
    struct event_batch *batch = NULL;
    assert_int_equal(event_batch_new(&small, &batch), 0);
    char text[] = "kernel";
    struct event_span_details details = {.n_counters = 1, .counters = {{.name = 3, .value = 1.5}}};
    struct event_span span = {.lane = 1, .name = 2, .start_ns = 3, .end_ns = 4};
    struct event lane = {.kind = EVENT_LANE, .lane = {.lane = 1, .name = text}};
    struct event name = {.kind = EVENT_SPAN_NAME, .span_name = {.name = 2, .text = text}};
    struct event event = {.kind = EVENT_SPAN, .span = &span};
    assert_true(event_batch_add_deep(batch, &lane));
    assert_true(event_batch_add_deep(batch, &name));
    assert_true(event_batch_add_deep(batch, &event));
    span.details = &details;
    assert_true(event_batch_add_deep(batch, &event));
    /* There is no room for another one with details, and none is added by halves. */
    assert_false(event_batch_add_deep(batch, &event));
    assert_int_equal(event_batch_count(batch), 4);
    span.name = 99;
    details.counters[0].name = 99;
    text[0] = 'x';
    assert_string_equal(event_batch_get(batch, 0)->lane.name, "kernel");
    assert_string_equal(event_batch_get(batch, 1)->span_name.text, "kernel");
    assert_int_equal(event_batch_get(batch, 2)->span->name, 2);
    assert_null(event_batch_get(batch, 2)->span->details);
    assert_int_equal(event_batch_get(batch, 3)->span->end_ns, 4);
    assert_int_equal(event_batch_get(batch, 3)->span->details->counters[0].name, 3);
    event_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_in_the_order_of_their_times),
        cmocka_unit_test(the_parts_of_an_event_are_copied_with_it),
        cmocka_unit_test(parts_may_be_missing),
        cmocka_unit_test(every_bound_holds),
        cmocka_unit_test(room_means_room_for_the_largest_record),
        cmocka_unit_test(counters_are_copied_with_their_event),
        cmocka_unit_test(spans_are_copied_with_their_details),
        cmocka_unit_test(free_accepts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
