/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/aggregate_test.h"

static size_t n_held(const struct aggregate *aggregate)
{
    size_t n = 0;
    for (const struct held_snapshot *held = aggregate->snapshots; held; held = held->next) {
        n++;
    }
    return n;
}

static void a_snapshot_does_not_change(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    struct random_life life = {.state = 3, .n_threads = 5, .sample_pct = 40, .has_switches = true};
    random_life_play(&life, aggregate, 5000);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, life.now_ns);
    struct snapshot copy = *snapshot;
    struct thread_totals threads[5];
    assert_int_equal(snapshot->n_threads, 5);
    memcpy(threads, snapshot->threads, sizeof(threads));
    uint64_t counts = 0, counts_after = 0;
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        counts += snapshot->pair_counts[i] * (i + 1);
    }
    life.n_threads = 20;
    random_life_play(&life, aggregate, 50000);
    aggregate_end(aggregate, life.now_ns + 100);
    assert_memory_equal(snapshot, &copy, sizeof(copy));
    assert_memory_equal(snapshot->threads, threads, sizeof(threads));
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        counts_after += snapshot->pair_counts[i] * (i + 1);
    }
    assert_int_equal(counts_after, counts);
    snapshot_unref(snapshot);
}

static void the_last_reference_lets_it_go(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    struct snapshot *first = aggregate_snapshot(aggregate, 1);
    assert_int_equal(first->n_threads, 0);
    assert_int_equal(first->n_samples, 0);
    assert_int_equal(first->n_stacks, 1);
    assert_int_equal(first->n_images, IMAGE_ID_FIRST);
    struct snapshot *again = snapshot_ref(first);
    assert_ptr_equal(again, first);
    struct snapshot *second = aggregate_snapshot(aggregate, 1);
    assert_ptr_not_equal(second, first);
    assert_int_equal(n_held(aggregate), 2);
    assert_null(snapshot_unref(first));
    aggregate_sweep(aggregate);
    assert_int_equal(n_held(aggregate), 2); /* `again` is still out */
    snapshot_unref(again);
    assert_int_equal(n_held(aggregate), 2); /* whoever lets go frees nothing … */
    aggregate_sweep(aggregate);
    assert_int_equal(n_held(aggregate), 1); /* … the aggregator does */
    {
        __attribute__((cleanup(snapshot_unrefp))) struct snapshot *scoped = second;
        assert_non_null(scoped);
    }
    aggregate_sweep(aggregate);
    assert_int_equal(n_held(aggregate), 0);
    assert_null(snapshot_unref(NULL));
}

/* ---- readers on other threads, as queries are ---- */

#define N_READERS 3

struct desk {
    pthread_mutex_t lock; /* of `newest` alone */
    struct snapshot *newest;
    atomic_bool is_over;
    atomic_uint_fast64_t n_read, n_wrong;
};

static struct snapshot *take_newest(struct desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    struct snapshot *snapshot = desk->newest ? snapshot_ref(desk->newest) : NULL;
    pthread_mutex_unlock(&desk->lock);
    return snapshot;
}

static uint64_t depth_of(const struct snapshot *snapshot, stack_id stack)
{
    uint64_t depth = 0;
    while (stack != STACK_ID_EMPTY) {
        struct stack_node node = snapshot_stack(snapshot, stack);
        struct frame frame = snapshot_frame(snapshot, node.frame);
        if (node.parent >= stack || node.frame >= snapshot->n_frames ||
            frame.image >= snapshot->n_images || !snapshot_image(snapshot, frame.image)->name) {
            return UINT64_MAX;
        }
        stack = node.parent;
        depth++;
    }
    return depth;
}

static uint64_t wait_depth_of(const struct snapshot *snapshot, stack_id stack)
{
    uint64_t depth = depth_of(snapshot, stack);
    if (stack != STACK_ID_EMPTY) {
        struct frame frame = snapshot_frame(snapshot, snapshot_stack(snapshot, stack).frame);
        bool has_no_name = frame.image == IMAGE_ID_NAMED &&
                           strlen(snapshot_named_place(snapshot, frame.offset)) < 7;
        return has_no_name ? UINT64_MAX : depth;
    }
    return depth;
}

static bool is_waker_known(const struct snapshot *snapshot, waker_id waker)
{
    if (waker < WAKER_ID_OUTSIDER) {
        return waker < snapshot->n_threads;
    }
    if (waker >= WAKER_ID_NONE) {
        return true;
    }
    return (waker & ~WAKER_ID_OUTSIDER) < snapshot->n_outsiders &&
           strlen(snapshot_outsider(snapshot, waker).name) == 7 &&
           snapshot_outsider(snapshot, waker).tid >= TEST_PID;
}

static bool are_waits_consistent(const struct snapshot *snapshot)
{
    uint64_t n_waits = 0, n_wakeups = 0, last_ns = 0;
    bool is_right = true;
    for (uint64_t i = snapshot->first_wait; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        is_right &= wait->end_ns >= last_ns && wait->end_ns <= snapshot->now_ns;
        is_right &= wait_depth_of(snapshot, wait->stack) <= 13;
        is_right &= wait_depth_of(snapshot, wait->waker_stack) <= 12;
        is_right &= is_waker_known(snapshot, wait->waker);
        is_right &= wait->object < snapshot->n_wait_objects &&
                    snapshot_wait_object(snapshot, wait->object).argument < 1000;
        last_ns = wait->end_ns;
    }
    for (size_t i = 0; i < snapshot->n_wait_sums; i++) {
        n_waits += snapshot->wait_sums[i].n_waits;
        is_right &= snapshot->wait_sums[i].stack < snapshot->n_stacks;
    }
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        n_wakeups += snapshot->wake_sums[i].n_wakeups;
        is_right &= is_waker_known(snapshot, snapshot->wake_sums[i].waker);
    }
    return is_right && n_waits == snapshot->n_waits && n_wakeups >= n_waits;
}

/* Follows all that a snapshot leads to; returns whether it is one consistent moment. */
static bool is_consistent(const struct snapshot *snapshot)
{
    uint64_t n_samples = 0, last_ns = 0;
    bool is_right = true;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        uint64_t end_ns = totals->end_ns ? totals->end_ns : snapshot->now_ns;
        is_right &=
            totals->cpu_ns + totals->blocked_ns + totals->runnable_ns == end_ns - totals->start_ns;
        is_right &= strlen(totals->name) < LIMIT_NAME_BYTES;
        n_samples += totals->n_samples;
    }
    is_right &= n_samples == snapshot->n_samples;
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        struct sample_pair pair = snapshot_pair(snapshot, i);
        is_right &= pair.thread < snapshot->n_threads && pair.stack < snapshot->n_stacks;
        is_right &= depth_of(snapshot, pair.stack) <= 12;
        n_samples -= snapshot->pair_counts[i];
    }
    is_right &= n_samples == 0;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        is_right &= sample->time_ns >= last_ns && sample->thread < snapshot->n_threads &&
                    sample->stack < snapshot->n_stacks;
        last_ns = sample->time_ns;
    }
    last_ns = 0;
    for (uint64_t i = snapshot->first_slice; i < snapshot->n_slices; i++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, i);
        is_right &= slice->end_ns >= last_ns && slice->end_ns <= snapshot->now_ns &&
                    slice->thread < snapshot->n_threads;
        last_ns = slice->end_ns;
    }
    return is_right && are_waits_consistent(snapshot);
}

static void *read_until_over(void *userdata)
{
    struct desk *desk = userdata;
    while (!atomic_load(&desk->is_over)) {
        struct snapshot *snapshot = take_newest(desk);
        if (snapshot) {
            atomic_fetch_add(&desk->n_wrong, !is_consistent(snapshot));
            atomic_fetch_add(&desk->n_read, 1);
            snapshot_unref(snapshot);
        }
    }
    return NULL;
}

/* Applies and hands out a snapshot after each batch; names and images come as well. */
static void write_rounds(struct aggregate *aggregate, struct desk *desk)
{
    struct random_life life = {
        .state = 11, .n_threads = 8, .sample_pct = 50, .has_switches = true, .has_wakers = true};
    for (unsigned int round = 0; round < 150 || atomic_load(&desk->n_read) < 50; round++) {
        random_life_play(&life, aggregate, 2000);
        char name[32];
        (void)snprintf(name, sizeof(name), "/lib/%u.so", round);
        tell_mapped(aggregate, life.now_ns, 0x18000, 0x19000, round * UINT64_C(0x1000), name);
        tell_thread(aggregate, life.now_ns, TEST_PID + round % 8, EVENT_THREAD_NAMED, name);
        struct snapshot *snapshot = aggregate_snapshot(aggregate, life.now_ns);
        pthread_mutex_lock(&desk->lock);
        struct snapshot *before = desk->newest;
        desk->newest = snapshot;
        pthread_mutex_unlock(&desk->lock);
        snapshot_unref(before);
    }
}

static void readers_see_one_moment_while_the_writer_goes_on(void **state)
{
    (void)state;
    const struct aggregate_config config = {.max_memory_bytes = 3u << 20};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    struct desk desk = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t readers[N_READERS];
    for (int i = 0; i < N_READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_until_over, &desk), 0);
    }
    write_rounds(aggregate, &desk);
    atomic_store(&desk.is_over, true);
    for (int i = 0; i < N_READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_int_equal(atomic_load(&desk.n_wrong), 0);
    assert_true(atomic_load(&desk.n_read) >= 50);
    /* It folded meanwhile. */
    assert_true(desk.newest->first_sample > 0 && desk.newest->first_wait > 0);
    assert_int_equal(desk.newest->n_outsiders, 8);
    assert_true(desk.newest->n_wait_objects > 900);
    assert_true(is_consistent(desk.newest));
    snapshot_unref(desk.newest);
    aggregate_sweep(aggregate);
    assert_int_equal(n_held(aggregate), 0);
    assert_null(aggregate->dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_does_not_change),
        cmocka_unit_test(the_last_reference_lets_it_go),
        cmocka_unit_test(readers_see_one_moment_while_the_writer_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
