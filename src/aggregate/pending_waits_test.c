/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "aggregate/pending_waits.h"

#define MS UINT64_C(1000000)

struct fixture {
    struct thread_table *threads;
    struct pending_waits pending;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.pending = (struct pending_waits){0};
    *state = &fixture;
    return thread_table_new((struct slice_sink){0}, &fixture.threads);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    pending_waits_release(&fixture->pending);
    fixture->threads = thread_table_free(fixture->threads);
    return 0;
}

/* A wait of a thread of its own; returns whose. */
static thread_id add(struct fixture *fixture, int64_t tid, uint64_t end_ns)
{
    thread_id id;
    struct thread *thread = thread_table_get(fixture->threads, 1, tid, 0, &id);
    assert_non_null(thread);
    thread->ended = (struct ended_wait){.is_there = true, .wait = {.thread = id}};
    thread->ended.wait.end_ns = end_ns;
    assert_int_equal(pending_waits_add(&fixture->pending, fixture->threads, &thread->ended), 0);
    return id;
}

static void move(struct fixture *fixture, thread_id id, uint64_t end_ns)
{
    struct ended_wait *ended = &thread_table_at(fixture->threads, id)->ended;
    ended->wait.end_ns = end_ns;
    pending_waits_move(&fixture->pending, fixture->threads, ended);
}

static void settle(struct fixture *fixture, thread_id id)
{
    pending_waits_settle(&fixture->pending, &thread_table_at(fixture->threads, id)->ended);
}

static thread_id take(struct fixture *fixture, uint64_t now_ns, bool is_forced)
{
    struct pending_wait wait = {.wait = {.thread = THREAD_ID_NONE}};
    bool has_one = pending_waits_take(&fixture->pending, now_ns, is_forced, &wait);
    assert_int_equal(has_one, wait.wait.thread != THREAD_ID_NONE);
    return wait.wait.thread;
}

static void they_stay_for_a_while(void **state)
{
    struct fixture *fixture = *state;
    thread_id one = add(fixture, 1, 1000 * MS), two = add(fixture, 2, 1001 * MS);
    assert_int_equal(pending_waits_count(&fixture->pending), 2);
    settle(fixture, two); /* behind one that is not */
    assert_int_equal(take(fixture, 1050 * MS, false), THREAD_ID_NONE);
    assert_int_equal(take(fixture, 1000 * MS + PENDING_WAITS_LONGEST_NS - 1, false),
                     THREAD_ID_NONE);
    assert_int_equal(take(fixture, 1000 * MS + PENDING_WAITS_LONGEST_NS, false), one);
    assert_int_equal(take(fixture, 1000 * MS + PENDING_WAITS_LONGEST_NS, false), two);
    assert_int_equal(take(fixture, UINT64_MAX, true), THREAD_ID_NONE);
    thread_id three = add(fixture, 3, 2000 * MS);
    settle(fixture, three);
    assert_int_equal(take(fixture, 2000 * MS + PENDING_WAITS_SETTLED_NS - 1, false),
                     THREAD_ID_NONE);
    assert_int_equal(take(fixture, 1000 * MS, false), THREAD_ID_NONE); /* time may step back */
    assert_int_equal(take(fixture, 2000 * MS + PENDING_WAITS_SETTLED_NS, false), three);
}

static void moved_ones_change_places(void **state)
{
    struct fixture *fixture = *state;
    thread_id ids[5];
    for (int64_t i = 0; i < 5; i++) {
        ids[i] = add(fixture, 1 + i, 1000 + 10 * (uint64_t)i);
    }
    move(fixture, ids[3], 1005); /* 0 3 1 2 4 */
    move(fixture, ids[0], 1035); /* 3 1 2 0 4 */
    settle(fixture, ids[1]);
    move(fixture, ids[4], 1001); /* 4 3 1 2 0 */
    move(fixture, ids[2], 1036); /* 4 3 1 0 2 */
    settle(fixture, ids[0]);
    const size_t wanted[] = {4, 3, 1, 0, 2};
    for (size_t i = 0; i < 5; i++) {
        const struct pending_wait *wait = pending_waits_at(&fixture->pending, i);
        assert_int_equal(wait->wait.thread, ids[wanted[i]]);
        assert_int_equal(wait->is_settled, wanted[i] < 2);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(take(fixture, 0, true), ids[wanted[i]]);
    }
}

/* Many threads, whose waits end, move and settle in any order: what comes out is in order. */
static void what_comes_out_is_in_order(void **state)
{
    struct fixture *fixture = *state;
    uint64_t now_ns = 1000 * MS, last_ns = 0, n_in = 0, n_out = 0, n_moved = 0, chance = 7;
    bool is_open[200] = {false};
    for (int step = 0; step < 200000; step++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        now_ns += (chance >> 30) % 10000;
        size_t i = (chance >> 40) % 200;
        if (!is_open[i]) {
            add(fixture, 1 + (int64_t)i, now_ns);
            is_open[i] = true;
            n_in++;
        } else {
            thread_id id;
            struct thread *thread = thread_table_get(fixture->threads, 1, 1 + (int64_t)i, 0, &id);
            uint64_t end_ns = thread->ended.wait.end_ns - (chance >> 20) % (3 * MS);
            if (thread->ended.is_there) {
                if (end_ns + PENDING_WAITS_SETTLED_NS > now_ns) {
                    move(fixture, id, end_ns);
                    n_moved++;
                }
                settle(fixture, id);
            }
            is_open[i] = false;
        }
        struct pending_wait wait;
        while (pending_waits_take(&fixture->pending, now_ns, false, &wait)) {
            uint64_t stayed_ns =
                wait.is_settled ? PENDING_WAITS_SETTLED_NS : PENDING_WAITS_LONGEST_NS;
            assert_true(now_ns - wait.wait.end_ns >= stayed_ns);
            if (!wait.is_settled) {
                thread_table_at(fixture->threads, wait.wait.thread)->ended.is_there = false;
            }
            assert_true(wait.wait.end_ns >= last_ns);
            last_ns = wait.wait.end_ns;
            n_out++;
        }
    }
    assert_true(n_out > 50000 && n_moved > 10000);
    assert_int_equal(n_in - n_out, pending_waits_count(&fixture->pending));
}

static void a_full_queue_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct ended_wait one_more = {.wait = {.thread = 0}};
    for (uint64_t i = 0; i < PENDING_WAITS_MAX; i++) {
        settle(fixture, add(fixture, 1, i));
    }
    assert_int_equal(pending_waits_add(&fixture->pending, fixture->threads, &one_more), -ENOSPC);
    assert_int_equal(pending_waits_count(&fixture->pending), PENDING_WAITS_MAX);
    assert_int_equal(pending_waits_memory_bytes(&fixture->pending),
                     PENDING_WAITS_MAX * sizeof(struct pending_wait));
    assert_int_equal(take(fixture, 0, true), 0);
    add(fixture, 1, PENDING_WAITS_MAX);
    assert_int_equal(pending_waits_at(&fixture->pending, 0)->wait.end_ns, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_stay_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moved_ones_change_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_out_is_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_says_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
