/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "jit/jit_index.h"

#define N_RANGES 3000

struct found {
    uint64_t sum, n;
};

static bool count(void *userdata, struct jit_range *range)
{
    struct found *found = userdata;
    found->sum += range->order;
    found->n++;
    return true;
}

static bool stop_at_once(void *userdata, struct jit_range *range)
{
    (void)range;
    ((struct found *)userdata)->n++;
    return false;
}

/* Against a search of all ranges, with additions in pieces. */
static void test_it_finds_what_a_plain_search_finds(void **state)
{
    (void)state;
    static struct jit_range all[N_RANGES];
    _cleanup_(jit_index_releasep) struct jit_index index;
    uint64_t seed = 1;
    jit_index_init(&index);
    for (size_t i = 0; i < N_RANGES; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t start = seed >> 48;
        uint64_t n_bytes = 1 + (seed >> 20) % (i % 100 == 0 ? 20000 : 200);
        all[i] = (struct jit_range){.start_ip = start, .end_ip = start + n_bytes, .order = i + 1};
    }
    size_t n_added = 0;
    for (size_t n_piece = 1; n_added < N_RANGES; n_piece = n_piece * 2 + 1) {
        size_t n = n_piece < N_RANGES - n_added ? n_piece : N_RANGES - n_added;
        struct jit_index extended;
        assert_int_equal(jit_index_extend(&index, all + n_added, n, &extended), 0);
        jit_index_replace(&index, &extended);
        n_added += n;
    }
    assert_int_equal(index.large.n_ranges + index.recent.n_ranges, N_RANGES);
    assert_true(index.large.n_ranges > 0);
    for (uint64_t ip = 0; ip < 70000; ip += 97) {
        struct found found = {0}, expected = {0};
        uint64_t end = ip + ip % 300 + 1;
        assert_true(jit_index_overlaps(&index, ip, end, N_RANGES, count, &found));
        for (size_t i = 0; i < N_RANGES; i++) {
            if (all[i].start_ip < end && all[i].end_ip > ip) {
                (void)count(&expected, &all[i]);
            }
        }
        assert_int_equal(found.n, expected.n);
        assert_int_equal(found.sum, expected.sum);
    }
    struct found found = {0};
    assert_true(jit_index_overlaps(&index, 0, UINT64_MAX, 1, stop_at_once, &found));
    assert_int_equal(found.n, 1);
    for (size_t i = 0; i < N_RANGES; i += 7) {
        struct jit_range *range = jit_index_at(&index, all[i].start_ip, all[i].order);
        assert_non_null(range);
        assert_int_equal(range->order, all[i].order);
    }
    assert_null(jit_index_at(&index, all[0].start_ip, N_RANGES + 1));
}

static void add(struct jit_index *index, const struct jit_range *added, size_t n_added)
{
    struct jit_index extended;
    assert_int_equal(jit_index_extend(index, added, n_added, &extended), 0);
    jit_index_replace(index, &extended);
}

/* A program that tells the same line a hundred thousand times has told it once. */
static void test_what_is_told_twice_is_kept_once(void **state)
{
    (void)state;
    _cleanup_(jit_index_releasep) struct jit_index index;
    struct jit_range *same = calloc(N_RANGES, sizeof(*same));
    struct found found = {0};
    jit_index_init(&index);
    for (size_t i = 0; i < N_RANGES; i++) {
        same[i] = (struct jit_range){
            .start_ip = 0x1000, .end_ip = 0x2000, .to_ns = UINT64_MAX, .order = i + 1};
    }
    add(&index, same, N_RANGES);
    assert_true(jit_index_overlaps(&index, 0x1800, 0x1801, 10, count, &found));
    assert_int_equal(found.n, 1);
    assert_int_equal(found.sum, N_RANGES); /* the last one */
    /* Also what comes later, and across both arrays; but neither at another time nor by name. */
    for (size_t i = 0; i < N_RANGES; i++) {
        same[i].order += N_RANGES;
    }
    add(&index, same, N_RANGES);
    found = (struct found){0};
    assert_true(jit_index_overlaps(&index, 0x1800, 0x1801, 10, count, &found));
    assert_int_equal(found.n, 1);
    same[0].from_ns = 5;
    same[1].is_named = true;
    add(&index, same, 2);
    found = (struct found){0};
    assert_true(jit_index_overlaps(&index, 0x1800, 0x1801, 10, count, &found));
    assert_int_equal(found.n, 3);
    free(same);
}

struct last {
    uint64_t order;
};

static bool keep_first(void *userdata, struct jit_range *range)
{
    struct last *last = userdata;
    last->order = last->order ? last->order : range->order;
    return true;
}

/* More than may be visited: the newest are, and the answer says that there was more. */
static void test_visits_are_bounded(void **state)
{
    (void)state;
    _cleanup_(jit_index_releasep) struct jit_index index;
    struct jit_range *ranges = calloc(N_RANGES, sizeof(*ranges));
    struct found found = {0};
    struct last last = {0};
    jit_index_init(&index);
    for (size_t i = 0; i < N_RANGES; i++) {
        ranges[i] =
            (struct jit_range){.start_ip = 0x1000, .end_ip = 0x2000, .from_ns = i, .order = i + 1};
    }
    add(&index, ranges, N_RANGES);
    assert_false(jit_index_overlaps(&index, 0x1800, 0x1801, 32, count, &found));
    assert_int_equal(found.n, 32);
    assert_true(jit_index_overlaps(&index, 0x1800, 0x1801, N_RANGES, keep_first, &last));
    assert_int_equal(last.order, N_RANGES);
    free(ranges);
}

static void test_nothing_is_in_an_empty_one(void **state)
{
    (void)state;
    _cleanup_(jit_index_releasep) struct jit_index index;
    struct found found = {0};
    jit_index_init(&index);
    assert_true(jit_index_overlaps(&index, 0, UINT64_MAX, 1, count, &found));
    assert_int_equal(found.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_finds_what_a_plain_search_finds),
        cmocka_unit_test(test_nothing_is_in_an_empty_one),
        cmocka_unit_test(test_what_is_told_twice_is_kept_once),
        cmocka_unit_test(test_visits_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
