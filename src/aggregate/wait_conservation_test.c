/* SPDX-License-Identifier: MIT */
/*
 * Runs by chance, with all that goes wrong on real machines: switch-ins told
 * late or not at all, switch-outs that were lost, looks that come too late,
 * threads that are born and die. Whatever happens, the waits, their sums and
 * the threads' totals are one account, to the nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregate_test.h"

#define MAX_THREADS 60

struct actor {
    bool is_born, is_gone, runs, was_preempted;
    uint64_t since_ns;    /* what it does now began */
    uint64_t cpu_time_ns; /* as the kernel accounts it */
    uint32_t serial;
    uint64_t place;
};

struct scene {
    struct aggregate *aggregate;
    struct random_life chance;
    struct actor actors[MAX_THREADS];
    size_t n_actors;
    uint64_t now_ns;
};

static uint64_t below(struct scene *scene, uint64_t bound)
{
    return random_life_below(&scene->chance, bound);
}

static bool happens(struct scene *scene, unsigned int pct)
{
    return below(scene, 100) < pct;
}

static struct event event_of(const struct scene *scene, const struct actor *actor,
                             enum event_kind kind)
{
    return (struct event){.kind = kind,
                          .time_ns = scene->now_ns,
                          .pid = TEST_PID,
                          .tid = TEST_PID + (actor - scene->actors)};
}

static struct event_stack stack_at(uint64_t place, uint64_t *ret_ips)
{
    ret_ips[0] = UINT64_C(0xffffffff81000000) + 16 * (place % 3);
    ret_ips[1] = 0x10000 + 64 * (place % 10);
    ret_ips[2] = 0x11001 + 64 * (place % 4);
    return (struct event_stack){.ips = ret_ips, .n_ips = 3, .n_kernel_ips = 1};
}

static void leave(struct scene *scene, struct actor *actor)
{
    uint64_t ips[3];
    struct event out = event_of(scene, actor, EVENT_SWITCH_OUT);
    bool is_lost = happens(scene, 4);
    out.is_preempted = happens(scene, 25);
    /* The kernel has accounted a few microseconds more than was seen, now and then far less. */
    uint64_t ran_ns = scene->now_ns - actor->since_ns;
    actor->cpu_time_ns += happens(scene, 95) ? ran_ns + below(scene, 8000) : ran_ns / 2;
    out.switch_out.cpu_time_ns = actor->cpu_time_ns;
    out.switch_out.object = (struct event_wait_object){
        .syscall = happens(scene, 50) ? 202 : EVENT_NO_SYSCALL, .argument = below(scene, 5)};
    if (!out.is_preempted && happens(scene, 70)) {
        uint64_t place = below(scene, 5);
        if (place != actor->place) {
            actor->place = place;
            actor->serial++;
            out.stack = stack_at(place, ips);
        }
        out.switch_out.stack_serial = actor->serial;
    }
    actor->runs = false;
    actor->was_preempted = out.is_preempted;
    actor->since_ns = scene->now_ns;
    if (!is_lost) {
        tell(scene->aggregate, out);
    }
}

static void enter(struct scene *scene, struct actor *actor)
{
    uint64_t ips[3];
    struct event in = event_of(scene, actor, EVENT_SWITCH_IN);
    in.switch_in.waker_tid = EVENT_WAKER_UNKNOWN;
    if (happens(scene, 80)) {
        in.switch_in.wake_ns = scene->now_ns - below(scene, scene->now_ns - actor->since_ns + 1);
        in.switch_in.wake_ns += below(scene, 30) == 0 ? below(scene, TEST_MS) : 0;
        in.switch_in.waker_tid = TEST_PID + (int64_t)below(scene, MAX_THREADS + 10) - 3;
        in.switch_in.waker_serial = (uint32_t)below(scene, 4);
    }
    if (happens(scene, 20)) {
        in.stack = stack_at(below(scene, 3), ips);
        in.stack.n_ips = 1;
    }
    actor->runs = true;
    actor->since_ns = scene->now_ns;
    if (!happens(scene, 4)) {
        tell(scene->aggregate, in);
    }
}

static void be_seen(struct scene *scene, struct actor *actor)
{
    static const char *const sites[] = {"do_poll", "futex_wait_queue", "pipe_read", NULL};
    uint64_t ips[3];
    struct event seen = event_of(scene, actor, EVENT_WAIT_SEEN);
    seen.wait_seen.site = sites[below(scene, 4)];
    seen.wait_seen.object.syscall = happens(scene, 50) ? 7 : EVENT_NO_SYSCALL;
    if (happens(scene, 50)) {
        seen.stack = stack_at(below(scene, 5), ips);
    }
    tell(scene->aggregate, seen);
}

static void wake_another(struct scene *scene, struct actor *actor)
{
    uint64_t ips[3];
    struct event wakeup = event_of(scene, actor, EVENT_WAKEUP);
    wakeup.wakeup.waker_tid = TEST_PID + (int64_t)below(scene, MAX_THREADS + 10) - 3;
    wakeup.wakeup.waker_serial = (uint32_t)below(scene, 4);
    wakeup.wakeup.waker_name = happens(scene, 50) ? "outsider" : NULL;
    wakeup.wakeup.ends_no_wait = happens(scene, 30);
    if (happens(scene, 60)) {
        wakeup.stack = stack_at(below(scene, 5), ips);
    }
    tell(scene->aggregate, wakeup);
}

static void step(struct scene *scene)
{
    scene->now_ns += 1 + below(scene, 100000);
    scene->now_ns += below(scene, 500) == 0 ? below(scene, 6000 * TEST_MS) : 0;
    uint64_t choice = below(scene, 1000);
    struct actor *actor = &scene->actors[below(scene, scene->n_actors)];
    if (choice < 3 && scene->n_actors < MAX_THREADS) {
        actor = &scene->actors[scene->n_actors++];
        *actor = (struct actor){.is_born = true, .since_ns = scene->now_ns, .was_preempted = true};
        struct event born = event_of(scene, actor, EVENT_THREAD);
        born.thread.change = EVENT_THREAD_BORN;
        tell(scene->aggregate, born);
    } else if (actor->is_gone) {
        return;
    } else if (choice < 5) {
        actor->is_gone = true;
        struct event gone = event_of(scene, actor, EVENT_THREAD);
        gone.thread.change = EVENT_THREAD_GONE;
        tell(scene->aggregate, gone);
    } else if (choice < 100) {
        be_seen(scene, actor);
    } else if (choice < 200) {
        wake_another(scene, actor);
    } else if (choice < 300 && actor->runs) {
        uint64_t ips[3];
        struct event sample = event_of(scene, actor, EVENT_SAMPLE);
        sample.stack = stack_at(below(scene, 5), ips);
        tell(scene->aggregate, sample);
    } else if (actor->runs) {
        leave(scene, actor);
    } else {
        enter(scene, actor);
    }
}

/* ---- the account ---- */

static bool is_waiting(const struct thread_totals *totals)
{
    return totals->phase == THREAD_PHASE_BLOCKED || totals->phase == THREAD_PHASE_UNKNOWN;
}

static void assert_threads_add_up(const struct snapshot *snapshot)
{
    static uint64_t blocked_ns[2 * MAX_THREADS], last_end_ns[2 * MAX_THREADS];
    memset(blocked_ns, 0, sizeof(blocked_ns));
    memset(last_end_ns, 0, sizeof(last_end_ns));
    assert_true(snapshot->n_threads <= 2 * MAX_THREADS);
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        assert_true(wait->start_ns <= wait->wake_ns && wait->wake_ns <= wait->end_ns);
        assert_true(wait->start_ns >= last_end_ns[wait->thread]); /* one at a time */
        assert_true(wait->stack < snapshot->n_stacks);
        assert_true(wait->waker_stack < snapshot->n_stacks);
        assert_true(wait->object < snapshot->n_wait_objects);
        last_end_ns[wait->thread] = wait->end_ns;
        blocked_ns[wait->thread] += wait->wake_ns - wait->start_ns;
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        uint64_t end_ns = totals->end_ns ? totals->end_ns : snapshot->now_ns;
        uint64_t open_ns = is_waiting(totals) ? snapshot->now_ns - totals->phase_since_ns : 0;
        assert_int_equal(totals->cpu_ns + totals->runnable_ns + totals->blocked_ns,
                         end_ns - totals->start_ns);
        assert_int_equal(blocked_ns[i] + open_ns, totals->blocked_ns);
        assert_true(is_waiting(totals) || totals->wait_stack == STACK_ID_EMPTY);
    }
}

static void assert_sums_add_up(const struct snapshot *snapshot)
{
    struct wait_sums *waits = calloc(snapshot->n_wait_sums + 1, sizeof(*waits));
    struct wake_sums *wakes = calloc(snapshot->n_wake_sums + 1, sizeof(*wakes));
    assert_non_null(waits);
    assert_non_null(wakes);
    uint64_t n_told = 0;
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        uint64_t blocked_ns = wait->wake_ns - wait->start_ns;
        uint64_t runnable_ns = wait->end_ns - wait->wake_ns;
        size_t at = 0;
        while (snapshot->wait_sums[at].thread != wait->thread ||
               snapshot->wait_sums[at].stack != wait->stack) {
            assert_true(++at < snapshot->n_wait_sums);
        }
        waits[at].n_waits++;
        waits[at].blocked_ns += blocked_ns;
        waits[at].runnable_ns += runnable_ns;
        waits[at].flags |= wait->flags;
        if (blocked_ns > waits[at].max_blocked_ns) {
            waits[at].max_blocked_ns = blocked_ns;
        }
        for (at = 0; snapshot->wake_sums[at].waker != wait->waker ||
                     snapshot->wake_sums[at].wakee != wait->thread ||
                     snapshot->wake_sums[at].waker_stack != wait->waker_stack;) {
            assert_true(++at < snapshot->n_wake_sums);
        }
        wakes[at].n_wakeups++;
        wakes[at].blocked_ns += blocked_ns;
        wakes[at].runnable_ns += runnable_ns;
    }
    for (size_t i = 0; i < snapshot->n_wait_sums; i++) {
        assert_int_equal(waits[i].n_waits, snapshot->wait_sums[i].n_waits);
        assert_int_equal(waits[i].blocked_ns, snapshot->wait_sums[i].blocked_ns);
        assert_int_equal(waits[i].runnable_ns, snapshot->wait_sums[i].runnable_ns);
        assert_int_equal(waits[i].max_blocked_ns, snapshot->wait_sums[i].max_blocked_ns);
        assert_int_equal(waits[i].flags, snapshot->wait_sums[i].flags);
    }
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        const struct wake_sums *row = &snapshot->wake_sums[i];
        /* More where threads were woken that did not sleep. */
        assert_true(wakes[i].n_wakeups <= row->n_wakeups);
        assert_int_equal(wakes[i].blocked_ns, row->blocked_ns);
        assert_int_equal(wakes[i].runnable_ns, row->runnable_ns);
        n_told += row->n_wakeups;
    }
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        n_told -= snapshot_wait(snapshot, i)->waker == WAKER_ID_UNKNOWN;
    }
    assert_int_equal(n_told, snapshot->n_wakeups);
    free(waits);
    free(wakes);
}

/* Every wait that has ended is the gap before a slice, if the thread has not ended with it. */
static void assert_waits_meet_slices(const struct snapshot *snapshot)
{
    uint64_t n_gaps = 0, n_met = 0, n_late = 0, last_ns = 0;
    for (uint64_t i = 0; i < snapshot->n_slices; i++) {
        n_gaps += snapshot_slice(snapshot, i)->before == GAP_BLOCKED;
    }
    for (uint64_t i = 0; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        n_late += wait->end_ns < last_ns;
        last_ns = wait->end_ns > last_ns ? wait->end_ns : last_ns;
        assert_true(last_ns - wait->end_ns <= STORED_SLICE_MAX_NS);
        uint64_t low = 0, high = snapshot->n_slices;
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            if (snapshot_slice(snapshot, middle)->end_ns >= wait->end_ns) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        for (; low < snapshot->n_slices &&
               snapshot_slice(snapshot, low)->end_ns <= wait->end_ns + STORED_SLICE_MAX_NS;
             low++) {
            const struct stored_slice *slice = snapshot_slice(snapshot, low);
            if (slice->thread == wait->thread && slice->start_ns == wait->end_ns &&
                slice->before == GAP_BLOCKED) {
                n_met++;
                break;
            }
        }
    }
    assert_int_equal(n_met, n_gaps);
    assert_true(n_late * 50 <= snapshot->n_waits);
}

static void play_and_check(uint64_t seed, uint64_t *n_unknown, uint64_t *n_long)
{
    struct scene scene = {.chance = {.state = seed}, .n_actors = 8, .now_ns = 1000 * TEST_MS};
    const struct aggregate_config config = {0};
    assert_int_equal(aggregate_new(&config, &scene.aggregate), 0);
    tell_mapped(scene.aggregate, scene.now_ns, 0x10000, 0x20000, 0, "/bin/waits");
    for (size_t i = 0; i < scene.n_actors; i++) {
        scene.actors[i].since_ns = scene.now_ns;
        tell_thread(scene.aggregate, scene.now_ns, TEST_PID + (int64_t)i, EVENT_THREAD_PRESENT,
                    "waits");
    }
    for (int part = 0; part < 12; part++) {
        for (int i = 0; i < 300; i++) {
            step(&scene);
        }
        struct snapshot *live =
            aggregate_snapshot(scene.aggregate, scene.now_ns + below(&scene, 3) * TEST_MS);
        scene.now_ns = live->now_ns;
        assert_threads_add_up(live);
        assert_sums_add_up(live);
        snapshot_unref(live);
    }
    aggregate_end(scene.aggregate, scene.now_ns + below(&scene, 3000 * TEST_MS));
    struct snapshot *ended = aggregate_snapshot(scene.aggregate, 0);
    assert_int_equal(ended->n_newest_waits, 0);
    assert_true(ended->n_waits > 500);
    assert_true(ended->n_missed_switches > 10);
    *n_unknown += ended->n_wait_stacks_unknown;
    *n_long += ended->n_long_waits;
    assert_int_equal(ended->lost[EVENT_LOST_QUEUE_FULL], 0);
    assert_threads_add_up(ended);
    assert_sums_add_up(ended);
    assert_waits_meet_slices(ended);
    snapshot_unref(ended);
    scene.aggregate = aggregate_free(scene.aggregate);
}

static void the_account_is_one(void **state)
{
    (void)state;
    uint64_t n_unknown = 0, n_long = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        play_and_check(seed, &n_unknown, &n_long);
    }
    assert_true(n_unknown > 60);
    assert_true(n_long > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_account_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
