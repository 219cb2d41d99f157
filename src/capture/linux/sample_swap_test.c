/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/linux/sample_swap.h"
#include "decode/perf_abi.h"

#define SINCE_NS (UINT64_C(5) * NS_PER_S)

static struct perf_record sample(int32_t tid, uint64_t time_ns)
{
    struct perf_record record;
    memset(&record, 0, sizeof(record));
    record.type = PERF_ABI_RECORD_SAMPLE;
    record.tid = tid;
    record.time_ns = time_ns;
    return record;
}

static struct perf_record task_record(uint32_t type, int32_t pid, int32_t parent_pid, int32_t tid,
                                      uint64_t time_ns)
{
    struct perf_record record = sample(0, time_ns);
    record.type = type;
    record.task.pid = pid;
    record.task.parent_pid = parent_pid;
    record.task.tid = tid;
    return record;
}

static bool is_surplus(struct sample_swap *swap, uint8_t generation, pid_t owner_tid, int32_t tid,
                       uint64_t time_ns)
{
    const struct perf_source_tag tag = {.generation = generation, .tid = owner_tid};
    const struct perf_record record = sample(tid, time_ns);
    return sample_swap_is_surplus(swap, &tag, &record);
}

static void begin(struct sample_swap *swap)
{
    assert_int_equal(sample_swap_init(swap), 0);
    swap->generation = 3;
    swap->since_ns = SINCE_NS;
    sample_swap_begin(swap, false, SINCE_NS);
}

static void one_instant_parts_the_generations(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    assert_false(is_surplus(&swap, 2, 0, 10, SINCE_NS - 1));
    assert_true(is_surplus(&swap, 2, 0, 10, SINCE_NS));
    assert_true(is_surplus(&swap, 3, 0, 10, SINCE_NS - 1));
    assert_false(is_surplus(&swap, 3, 0, 10, SINCE_NS));
    sample_swap_release(&swap);
}

static void a_thread_is_sampled_by_its_own_events_or_by_inherited_ones(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    assert_int_equal(hash_table_set(&swap.threads, 10, SAMPLE_SWAP_OWN), 0);
    assert_int_equal(hash_table_set(&swap.threads, 11, SAMPLE_SWAP_OWN), 0);
    assert_false(is_surplus(&swap, 3, 10, 10, SINCE_NS + 1));
    assert_false(is_surplus(&swap, 3, 11, 11, SINCE_NS + 1));
    /* 12 inherited from 10, and nothing else. */
    assert_false(is_surplus(&swap, 3, 10, 12, SINCE_NS + 2));
    assert_int_equal(swap.n_redundant_tids, 0);
    /* 11 turns out to have inherited, too: its own are for nothing. */
    assert_false(is_surplus(&swap, 3, 10, 11, SINCE_NS + 3));
    assert_int_equal(swap.n_redundant_tids, 1);
    assert_int_equal(swap.redundant_tids[0], 11);
    assert_true(is_surplus(&swap, 3, 11, 11, SINCE_NS + 4));
    assert_false(is_surplus(&swap, 3, 10, 11, SINCE_NS + 5));
    assert_int_equal(swap.n_redundant_tids, 1);
    /* A thread in its last steps has no number. */
    assert_false(is_surplus(&swap, 3, 11, -1, SINCE_NS + 6));
    sample_swap_release(&swap);
}

static void where_there_is_no_room_the_inherited_ones_do_not_count(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    for (int32_t tid = 100; tid < 100 + (int32_t)SAMPLE_SWAP_REDUNDANT + 1; tid++) {
        assert_int_equal(hash_table_set(&swap.threads, (uint64_t)tid, SAMPLE_SWAP_OWN), 0);
        bool is_past_the_bound = tid == 100 + (int32_t)SAMPLE_SWAP_REDUNDANT;
        assert_int_equal(is_surplus(&swap, 3, 10, tid, SINCE_NS + 1), is_past_the_bound);
        assert_int_equal(is_surplus(&swap, 3, tid, tid, SINCE_NS + 2), !is_past_the_bound);
    }
    sample_swap_release(&swap);
}

static void births_and_deaths(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    /* Right after the swap a newborn thread may have been in the making before it. */
    struct perf_record birth = task_record(PERF_ABI_RECORD_FORK, 1, 1, 20, SINCE_NS + 1);
    sample_swap_note(&swap, &birth, false);
    assert_int_equal(hash_table_find(&swap.threads, 20), HASH_TABLE_NONE);
    birth = task_record(PERF_ABI_RECORD_FORK, 1, 1, 21, SINCE_NS + NS_PER_S);
    sample_swap_note(&swap, &birth, false);
    assert_int_equal(hash_table_find(&swap.threads, 21), SAMPLE_SWAP_INHERITED);
    /* A number that is used again stands for another thread, which has inherited. */
    assert_int_equal(hash_table_set(&swap.threads, 30, SAMPLE_SWAP_OWN), 0);
    struct perf_record death = task_record(PERF_ABI_RECORD_EXIT, 1, 1, 30, SINCE_NS + NS_PER_S);
    sample_swap_note(&swap, &death, false);
    assert_false(is_surplus(&swap, 3, 10, 30, SINCE_NS + 2 * NS_PER_S));
    assert_int_equal(swap.n_redundant_tids, 0);
    sample_swap_release(&swap);
}

static void a_target_that_does_not_run_yet_needs_no_second_look(void **state)
{
    (void)state;
    struct sample_swap swap;
    assert_int_equal(sample_swap_init(&swap), 0);
    sample_swap_begin(&swap, true, SINCE_NS);
    assert_int_equal(swap.recheck_at_ns, 0);
    sample_swap_release(&swap);
}

static void children_are_kept_up_to_a_bound(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    struct perf_record birth = task_record(PERF_ABI_RECORD_FORK, 50, 1, 50, SINCE_NS);
    sample_swap_note(&swap, &birth, false);
    assert_int_equal(swap.n_children, 0);
    sample_swap_note(&swap, &birth, true);
    assert_int_equal(swap.n_children, 1);
    assert_int_equal(swap.children[0].pid, 50);
    birth = task_record(PERF_ABI_RECORD_FORK, 1, 1, 51, SINCE_NS);
    sample_swap_note(&swap, &birth, true);
    assert_int_equal(swap.n_children, 1);
    /* The dead make room. */
    birth = task_record(PERF_ABI_RECORD_FORK, 1 << 30, 1, 1 << 30, SINCE_NS);
    for (unsigned i = 0; i < SAMPLE_SWAP_PROCESSES + 10; i++) {
        sample_swap_note(&swap, &birth, true);
    }
    assert_true(swap.n_children < SAMPLE_SWAP_PROCESSES);
    assert_int_equal(swap.n_failures, 0);
    /* So do those whose number a later process has got. */
    birth.task.pid = getpid();
    for (unsigned i = 0; i < SAMPLE_SWAP_PROCESSES + 10; i++) {
        sample_swap_note(&swap, &birth, true);
    }
    assert_true(swap.n_children < SAMPLE_SWAP_PROCESSES);
    assert_int_equal(swap.n_failures, 0);
    birth.time_ns = clock_now_ns();
    for (unsigned i = 0; i < 2 * SAMPLE_SWAP_PROCESSES; i++) {
        sample_swap_note(&swap, &birth, true);
    }
    assert_int_equal(swap.n_children, SAMPLE_SWAP_PROCESSES);
    assert_true(swap.n_failures > 0);
    sample_swap_release(&swap);
}

static bool wants_renewal_after(struct sample_swap *swap, pid_t owner_tid, int32_t tid,
                                unsigned n_samples, uint64_t period_ns)
{
    const struct perf_source_tag tag = {.generation = 3, .tid = owner_tid};
    struct perf_record record = sample(tid, SINCE_NS + 1);
    record.sample.period_ns = period_ns;
    for (unsigned i = 0; i < n_samples; i++) {
        sample_swap_note_period(swap, &tag, &record, NS_PER_MS);
    }
    return swap->wants_renewal;
}

/* Threads of 2 ms may have any period; one that goes on gets the nominal one. */
static void an_odd_period_does_not_stay_with_a_long_life(void **state)
{
    (void)state;
    struct sample_swap swap;
    begin(&swap);
    for (int32_t tid = 1000; tid < 20000; tid++) {
        assert_false(wants_renewal_after(&swap, 10, tid, 80, 25 * NS_PER_US));
    }
    assert_true(swap.odd_samples.n_used <= 4096);
    assert_false(wants_renewal_after(&swap, 10, 11, 100000, NS_PER_MS));
    /* What it was given later on, as events of its own, is drawn again and again. */
    assert_false(wants_renewal_after(&swap, 10, 10, 100000, 25 * NS_PER_US));
    assert_false(wants_renewal_after(&swap, 10, 12, 9999, 25 * NS_PER_US));
    assert_true(wants_renewal_after(&swap, 10, 12, 1, 25 * NS_PER_US));
    swap.wants_renewal = false;
    assert_true(wants_renewal_after(&swap, 10, 13, 32, 8 * NS_PER_MS));
    sample_swap_release(&swap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_instant_parts_the_generations),
        cmocka_unit_test(a_thread_is_sampled_by_its_own_events_or_by_inherited_ones),
        cmocka_unit_test(where_there_is_no_room_the_inherited_ones_do_not_count),
        cmocka_unit_test(births_and_deaths),
        cmocka_unit_test(a_target_that_does_not_run_yet_needs_no_second_look),
        cmocka_unit_test(children_are_kept_up_to_a_bound),
        cmocka_unit_test(an_odd_period_does_not_stay_with_a_long_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
