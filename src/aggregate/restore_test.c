/* SPDX-License-Identifier: MIT */
/* That a whole run comes out as it went in is tested where runs are written (archive); here is
 * what happens to things that no run has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/restore.h"

#define S UINT64_C(1000000000)

static struct restore *begin(void)
{
    const struct aggregate_config config = {0};
    const struct restore_run run = {
        .sequence = 9, .start_ns = 10 * S, .now_ns = 60 * S, .first_sample = 4096 * 3, .lost = {5}};
    struct restore *restore = NULL;
    assert_int_equal(restore_begin(&config, &run, &restore), 0);
    return restore;
}

/* One image, two frames, a stack of both, two threads. */
static struct restore *begin_with_tables(void)
{
    struct restore *restore = begin();
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/bin/one", .inode = 4};
    const struct thread_totals totals = {.pid = 7,
                                         .tid = 7,
                                         .name = "one",
                                         .start_ns = 10 * S,
                                         .phase_since_ns = 10 * S,
                                         .waited_since_ns = 10 * S};
    assert_int_equal(restore_add_image(restore, &image), 0);
    for (uint64_t i = 0; i < 2; i++) {
        const struct frame frame = {.image = IMAGE_ID_FIRST, .offset = 16 * i};
        assert_int_equal(restore_add_frame(restore, frame), 0);
        const struct stack_node node = {.parent = (stack_id)i, .frame = (frame_id)i};
        assert_int_equal(restore_add_stack(restore, node), 0);
        assert_int_equal(restore_add_thread(restore, &totals), 0);
    }
    assert_int_equal(restore_n_mended(restore), 0);
    return restore;
}

/* The snapshot of what it has become. */
static struct snapshot *end(struct restore *restore, struct aggregate **ret_aggregate)
{
    *ret_aggregate = restore_end(restore);
    restore_free(restore);
    struct snapshot *snapshot = aggregate_snapshot(*ret_aggregate, 0);
    assert_non_null(snapshot);
    return snapshot;
}

static void the_run_is_what_it_was(void **state)
{
    (void)state;
    struct aggregate *aggregate;
    struct snapshot *snapshot = end(begin_with_tables(), &aggregate);
    assert_int_equal(snapshot->sequence, 9);
    assert_int_equal(snapshot->start_ns, 10 * S);
    assert_int_equal(snapshot->now_ns, 60 * S);
    assert_int_equal(snapshot->first_sample, 4096 * 3);
    assert_int_equal(snapshot->n_samples, 4096 * 3);
    assert_int_equal(snapshot->lost[0], 5);
    assert_int_equal(snapshot->n_images, IMAGE_ID_FIRST + 1);
    assert_string_equal(snapshot_image(snapshot, IMAGE_ID_FIRST)->name, "one");
    assert_int_equal(snapshot_image(snapshot, IMAGE_ID_FIRST)->id, IMAGE_ID_FIRST);
    assert_int_equal(snapshot->n_stacks, 3);
    assert_int_equal(snapshot_stack(snapshot, 2).parent, 1);
    assert_string_equal(snapshot->threads[1].name, "one");
    /* Nothing goes on in it. */
    struct snapshot *later = aggregate_snapshot(aggregate, 99 * S);
    assert_int_equal(later->now_ns, 60 * S);
    assert_int_equal(later->sequence, 9);
    snapshot_unref(later);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void a_run_that_ends_before_it_begins_is_none(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct restore *restore = NULL;
    struct restore_run run = {.start_ns = 5, .now_ns = 4};
    assert_int_equal(restore_begin(&config, &run, &restore), -EBADMSG);
    run = (struct restore_run){.start_ns = 5, .now_ns = 6, .folded_until_ns = 7};
    assert_int_equal(restore_begin(&config, &run, &restore), -EBADMSG);
    /* What is added to such times would wrap. */
    run = (struct restore_run){.start_ns = 0, .now_ns = UINT64_MAX};
    assert_int_equal(restore_begin(&config, &run, &restore), -EBADMSG);
    run.now_ns = UINT64_MAX - 3 * S;
    assert_int_equal(restore_begin(&config, &run, &restore), -EBADMSG);
    assert_null(restore);
}

static void ids_that_are_none_are_not_known(void **state)
{
    (void)state;
    struct restore *restore = begin_with_tables();
    struct aggregate *aggregate;
    assert_int_equal(restore_add_stack(restore, (struct stack_node){.parent = 3, .frame = 0}),
                     -EBADMSG);
    assert_int_equal(restore_add_stack(restore, (struct stack_node){.parent = 0, .frame = 2}),
                     -EBADMSG);
    assert_int_equal(restore_add_sample(restore, &(struct stored_sample){.thread = 2}), -EBADMSG);
    assert_int_equal(restore_add_slice(restore, &(struct stored_slice){.thread = 2}), -EBADMSG);
    assert_int_equal(restore_add_wait(restore, &(struct stored_wait){.thread = 2}), -EBADMSG);
    assert_int_equal(restore_add_reading(restore, &(struct stored_reading){.thread = 2}), -EBADMSG);
    assert_int_equal(restore_add_pair(restore, (struct sample_pair){.thread = 2}, 1), -EBADMSG);
    assert_int_equal(restore_add_class(restore, SLICE_CLASS_N, (struct restore_class){0}),
                     -EBADMSG);
    assert_int_equal(restore_add_wait_sums(restore, &(struct wait_sums){.thread = 2}), -EBADMSG);
    assert_int_equal(restore_add_wake_sums(restore, &(struct wake_sums){.wakee = 2}), -EBADMSG);
    assert_int_equal(restore_add_counter_sums(restore, &(struct counter_sums){.thread = 2}),
                     -EBADMSG);
    assert_int_equal(restore_n_mended(restore), 0);

    const struct frame lost = {.image = 9, .code_epoch = 4, .offset = 5};
    const struct frame nameless = {.image = IMAGE_ID_NAMED};
    assert_int_equal(restore_add_frame(restore, lost), 0);
    assert_int_equal(restore_add_frame(restore, nameless), 0);
    const struct stored_wait wait = {.start_ns = 11 * S,
                                     .wake_ns = 12 * S,
                                     .end_ns = 13 * S,
                                     .stack = 99,
                                     .waker = WAKER_ID_OUTSIDER | 1,
                                     .waker_stack = 98,
                                     .object = 97,
                                     .flags = 0xff};
    assert_int_equal(restore_add_wait(restore, &wait), 0);
    assert_int_equal(restore_n_mended(restore), 3 + 4);
    struct snapshot *snapshot = end(restore, &aggregate);
    assert_int_equal(snapshot_frame(snapshot, 2).image, IMAGE_ID_UNKNOWN);
    assert_int_equal(snapshot_frame(snapshot, 2).code_epoch, 0);
    assert_int_equal(snapshot_frame(snapshot, 2).offset, 5);
    assert_int_equal(snapshot_frame(snapshot, 3).image, IMAGE_ID_UNKNOWN);
    const struct stored_wait *kept = snapshot_wait(snapshot, 0);
    assert_int_equal(kept->stack, STACK_ID_EMPTY);
    assert_int_equal(kept->waker, WAKER_ID_UNKNOWN);
    assert_int_equal(kept->waker_stack, STACK_ID_EMPTY);
    assert_int_equal(kept->object, 0);
    assert_int_equal(kept->flags, WAIT_FLAG_APPROXIMATE | WAIT_FLAG_CUT);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void times_are_in_the_run_and_in_their_order(void **state)
{
    (void)state;
    struct restore *restore = begin_with_tables();
    struct aggregate *aggregate;
    const uint64_t times_ns[] = {20 * S, 15 * S, 5 * S, 99 * S};
    for (size_t i = 0; i < 4; i++) {
        const struct stored_sample sample = {.time_ns = times_ns[i]};
        const struct stored_reading reading = {.time_ns = times_ns[i]};
        assert_int_equal(restore_add_sample(restore, &sample), 0);
        assert_int_equal(restore_add_reading(restore, &reading), 0);
    }
    const struct stored_slice slices[] = {
        {.start_ns = 11 * S, .end_ns = 20 * S},
        {.start_ns = 12 * S, .end_ns = 19 * S}, /* within the one before */
        {.start_ns = 30 * S, .end_ns = 25 * S, .before = 9, .after = 7},
    };
    const struct stored_wait waits[] = {
        {.start_ns = 11 * S, .wake_ns = 14 * S, .end_ns = 20 * S},
        {.start_ns = 12 * S, .wake_ns = 13 * S, .end_ns = 14 * S}, /* within the one before */
        {.start_ns = 50 * S, .wake_ns = 40 * S, .end_ns = 30 * S},
        {.start_ns = 11 * S, .wake_ns = 11 * S, .end_ns = 12 * S, .thread = 1}, /* far too late */
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(restore_add_slice(restore, &slices[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(restore_add_wait(restore, &waits[i]), 0);
    }
    assert_true(restore_n_mended(restore) > 10);
    struct snapshot *snapshot = end(restore, &aggregate);
    uint64_t sample_ns = 0, end_ns = snapshot->start_ns, ends_ns[2] = {0}, last_ns = 0;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        assert_true(snapshot_sample(snapshot, i)->time_ns >= sample_ns);
        sample_ns = snapshot_sample(snapshot, i)->time_ns;
        assert_true(sample_ns >= 10 * S && sample_ns <= 60 * S);
    }
    for (uint64_t i = 0; i < snapshot->n_slices; i++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, i);
        assert_true(slice->start_ns <= slice->end_ns && slice->start_ns >= end_ns);
        assert_true(slice->before <= GAP_RUNNABLE && slice->after <= GAP_RUNNABLE);
        end_ns = slice->end_ns;
    }
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        assert_true(wait->start_ns <= wait->wake_ns && wait->wake_ns <= wait->end_ns);
        assert_true(wait->start_ns >= ends_ns[wait->thread] && wait->end_ns <= 60 * S);
        assert_true(wait->end_ns + STORED_SLICE_MAX_NS >= last_ns);
        ends_ns[wait->thread] = wait->end_ns;
        last_ns = wait->end_ns > last_ns ? wait->end_ns : last_ns;
    }
    assert_int_equal(snapshot->n_long_waits, 2);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void threads_are_put_right(void **state)
{
    (void)state;
    struct restore *restore = begin();
    struct aggregate *aggregate;
    const struct thread_totals totals = {
        .name = "a name that is far longer than what a thread of any system can have",
        .phase = (enum thread_phase)77,
        .start_ns = 30 * S,
        .end_ns = 20 * S,
        .phase_since_ns = 99 * S,
        .waited_since_ns = 98 * S,
        .wait_stack = 4,
        .wait_object = 5,
    };
    assert_int_equal(restore_add_thread(restore, &totals), 0);
    struct snapshot *snapshot = end(restore, &aggregate);
    const struct thread_totals *thread = &snapshot->threads[0];
    assert_int_equal(thread->phase, THREAD_PHASE_GONE);
    assert_true(thread->start_ns <= thread->end_ns);
    assert_true(thread->phase_since_ns <= snapshot->now_ns);
    assert_int_equal(thread->wait_stack, STACK_ID_EMPTY);
    assert_int_equal(thread->wait_object, 0);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* A tree that is deeper than any stack can be is cut into pieces. */
static void stacks_have_an_end(void **state)
{
    (void)state;
    struct restore *restore = begin_with_tables();
    struct aggregate *aggregate;
    for (stack_id i = 2; i < 40000; i++) {
        assert_int_equal(restore_add_stack(restore, (struct stack_node){.parent = i}), 0);
    }
    assert_int_equal(restore_n_mended(restore), 2);
    struct snapshot *snapshot = end(restore, &aggregate);
    uint32_t n_frames = 0;
    for (stack_id at = snapshot->n_stacks - 1; at != STACK_ID_EMPTY;) {
        at = snapshot_stack(snapshot, at).parent;
        n_frames++;
    }
    assert_true(n_frames < 3 * LIMIT_STACK_IPS);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void numbers_that_come_twice_end_a_table(void **state)
{
    (void)state;
    struct restore *restore = begin_with_tables();
    const struct wait_object object = {.pid = 7, .syscall = 1, .argument = 2};
    const struct wait_object none = {.pid = 7, .syscall = EVENT_NO_SYSCALL};
    assert_int_equal(restore_add_wait_object(restore, &object), 0);
    assert_int_equal(restore_add_wait_object(restore, &object), -EBADMSG);
    assert_int_equal(restore_add_wait_object(restore, &none), -EBADMSG);
    const struct outsider outsider = {.tid = 5, .name = "kworker"};
    assert_int_equal(restore_add_outsider(restore, outsider), 0);
    assert_int_equal(restore_add_outsider(restore, outsider), -EBADMSG);
    assert_int_equal(restore_add_named_place(restore, "do_poll"), 0);
    assert_int_equal(restore_add_named_place(restore, "do_poll"), -EBADMSG);
    assert_int_equal(restore_add_counter_time(restore, &(struct counter_time){0}), 0);
    assert_int_equal(restore_add_counter_time(restore, &(struct counter_time){0}), 0);
    assert_int_equal(restore_add_counter_time(restore, &(struct counter_time){0}), -EBADMSG);
    restore_free(restore);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_is_what_it_was),
        cmocka_unit_test(a_run_that_ends_before_it_begins_is_none),
        cmocka_unit_test(ids_that_are_none_are_not_known),
        cmocka_unit_test(times_are_in_the_run_and_in_their_order),
        cmocka_unit_test(threads_are_put_right),
        cmocka_unit_test(stacks_have_an_end),
        cmocka_unit_test(numbers_that_come_twice_end_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
