/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/aggregate_test.h"
#include "aggregate/wait_cursor.h"

/* A snapshot of made-up waits; those from first_newest on are its newest ones. */
struct fixture {
    struct aggregate *aggregate;
    struct snapshot snapshot;
};

static void build(struct fixture *fixture, const struct stored_wait *waits, size_t n_waits,
                  size_t n_newest)
{
    const struct aggregate_config config = {0};
    assert_int_equal(aggregate_new(&config, &fixture->aggregate), 0);
    struct wait_log *log = &fixture->aggregate->wait_log;
    for (size_t i = 0; i < n_waits - n_newest; i++) {
        assert_int_equal(wait_log_store(log, &waits[i], WAIT_SUM_NONE), 0);
    }
    fixture->snapshot = (struct snapshot){
        .aggregate = fixture->aggregate,
        .n_waits = n_waits,
        .n_long_waits = log->long_waits.n_items,
        .n_newest_waits = n_newest,
        .newest_waits = waits + n_waits - n_newest,
    };
}

static void tear_down(struct fixture *fixture)
{
    fixture->aggregate = aggregate_free(fixture->aggregate);
}

static bool is_inside(const struct stored_wait *wait, uint64_t from_ns, uint64_t to_ns)
{
    bool has_length = wait->end_ns > wait->start_ns;
    return has_length ? wait->start_ns < to_ns && wait->end_ns > from_ns
                      : wait->start_ns >= from_ns && wait->start_ns < to_ns;
}

/* Every wait that is inside comes once, no other does; stack numbers tell them apart. Returns how
 * many of them there are. */
static size_t compare(const struct fixture *fixture, const struct stored_wait *waits,
                      size_t n_waits, uint64_t from_ns, uint64_t to_ns)
{
    size_t n_wanted = 0, n_found = 0;
    for (size_t i = fixture->snapshot.first_wait; i < n_waits; i++) {
        n_wanted += is_inside(&waits[i], from_ns, to_ns);
    }
    uint8_t *seen = calloc(n_waits, 1);
    assert_non_null(seen);
    struct wait_cursor cursor = wait_cursor_begin(&fixture->snapshot, from_ns, to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        assert_true(wait->stack < n_waits);
        assert_true(is_inside(&waits[wait->stack], from_ns, to_ns));
        assert_int_equal(seen[wait->stack]++, 0);
        n_found++;
    }
    free(seen);
    assert_int_equal(n_found, n_wanted);
    return n_found;
}

static void edges_are_those_of_a_range(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct stored_wait waits[] = {
        {.start_ns = 10, .end_ns = 20, .stack = 0},
        {.start_ns = 20, .end_ns = 20, .stack = 1},
        {.start_ns = 20, .end_ns = 30, .stack = 2},
        {.start_ns = 25, .end_ns = 31, .stack = 3},
        {.start_ns = 5, .end_ns = 40 + 5000 * TEST_MS, .stack = 4},
        {.start_ns = 29, .end_ns = 41 + 5000 * TEST_MS, .stack = 5},
    };
    build(&fixture, waits, 6, 1);
    assert_int_equal(compare(&fixture, waits, 6, 20, 30), 5);
    assert_int_equal(compare(&fixture, waits, 6, 20, 25), 3);
    assert_int_equal(compare(&fixture, waits, 6, 10, 20), 2);
    assert_int_equal(compare(&fixture, waits, 6, 0, 5), 0);
    assert_int_equal(compare(&fixture, waits, 6, 31, 4000 * TEST_MS), 2);
    assert_int_equal(compare(&fixture, waits, 6, 40 + 5000 * TEST_MS, UINT64_MAX), 1);
    assert_int_equal(compare(&fixture, waits, 6, 0, UINT64_MAX), 6);
    fixture.snapshot.first_wait = 3; /* the first ones have been folded away */
    assert_int_equal(compare(&fixture, waits, 6, 0, UINT64_MAX), 3);
    tear_down(&fixture);
    build(&fixture, waits, 0, 0);
    assert_int_equal(compare(&fixture, waits, 0, 0, UINT64_MAX), 0);
    tear_down(&fixture);
}

/* Waits of all lengths, some of them as much out of order as they may be. */
static void ranges_of_many_waits(void **state)
{
    (void)state;
    enum { N = 30000 };
    struct stored_wait *waits = calloc(N, sizeof(*waits));
    assert_non_null(waits);
    struct random_life chance = {.state = 11};
    uint64_t now_ns = 100000 * TEST_MS;
    size_t n_long = 0, n_found = 0;
    for (size_t i = 0; i < N; i++) {
        now_ns += random_life_below(&chance, 4 * TEST_MS);
        uint64_t late_ns = i < N - 100 && random_life_below(&chance, 30) == 0
                               ? random_life_below(&chance, STORED_SLICE_MAX_NS)
                               : 0;
        uint64_t longest_ns = random_life_below(&chance, 50) == 0 ? 60000 * TEST_MS : 3 * TEST_MS;
        waits[i].end_ns = now_ns - late_ns;
        waits[i].start_ns = waits[i].end_ns - random_life_below(&chance, longest_ns);
        waits[i].stack = (stack_id)i;
        n_long += longest_ns > 3 * TEST_MS;
    }
    struct fixture fixture;
    build(&fixture, waits, N, 100);
    assert_true(fixture.snapshot.n_long_waits > n_long / 2);
    for (int round = 0; round < 400; round++) {
        uint64_t from_ns = 90000 * TEST_MS + random_life_below(&chance, 70000 * TEST_MS);
        uint64_t longest_ns = round % 2 ? 30000 * TEST_MS : 20 * TEST_MS;
        uint64_t to_ns = from_ns + random_life_below(&chance, longest_ns);
        n_found += compare(&fixture, waits, N, from_ns, to_ns);
    }
    assert_true(n_found > 100000);
    fixture.snapshot.first_wait = 2 * CHUNKED_ITEMS;
    compare(&fixture, waits, N, 0, UINT64_MAX);
    compare(&fixture, waits, N, 110000 * TEST_MS, 111000 * TEST_MS);
    tear_down(&fixture);
    free(waits);
}

/* What it looks at is bound by the range, not by the run. */
static void far_waits_are_not_read(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct stored_wait *waits = calloc(N, sizeof(*waits));
    assert_non_null(waits);
    for (size_t i = 0; i < N; i++) {
        waits[i].end_ns = (i + 10) * TEST_MS;
        waits[i].start_ns = waits[i].end_ns - 2 * TEST_MS;
        waits[i].stack = (stack_id)i;
    }
    struct fixture fixture;
    build(&fixture, waits, N, 0);
    struct wait_cursor cursor =
        wait_cursor_begin(&fixture.snapshot, 1000 * TEST_MS, 1001 * TEST_MS);
    size_t n = 0;
    uint64_t first = cursor.next, last = first;
    while (wait_cursor_next(&cursor)) {
        last = cursor.is_far ? last : cursor.next;
        n++;
    }
    assert_int_equal(n, 2);
    assert_true(last - first < 3100); /* two seconds of them, and one before */
    assert_true(cursor.is_far);
    assert_int_equal(cursor.next, 0); /* no long ones */
    tear_down(&fixture);
    free(waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_those_of_a_range),
        cmocka_unit_test(ranges_of_many_waits),
        cmocka_unit_test(far_waits_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
