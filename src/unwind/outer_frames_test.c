/* SPDX-License-Identifier: MIT */
#include "unwind/outer_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TID 7
#define N_PLACES 10

/* A stack whose frames are 16 bytes: place i has ip 0x1000 + i and sp 0x8000 + 16 * i. */
static void fill(struct unwind_place *places, size_t n_places, uint64_t first)
{
    for (size_t i = 0; i < n_places; i++) {
        places[i] =
            (struct unwind_place){.ip = 0x1000 + first + i, .sp = 0x8000 + 16 * (first + i)};
    }
}

struct fixture {
    struct outer_frames *frames;
    struct unwind_place places[2 * N_PLACES];
    struct outer_frames_match match;
};

static void begin(struct fixture *fixture)
{
    assert_int_equal(outer_frames_new(&fixture->frames), 0);
    fill(fixture->places, N_PLACES, 0);
    assert_int_equal(outer_frames_remember(fixture->frames, TID, 1234, fixture->places, N_PLACES),
                     0);
    memset(fixture->places, 0, sizeof(fixture->places));
}

static bool find(struct fixture *fixture, int64_t tid, size_t n_places)
{
    return outer_frames_find(fixture->frames, tid, fixture->places, n_places, &fixture->match);
}

static void four_equal_places_are_found(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    /* Two new inner frames, then places 2 … 5 of the old stack. */
    fixture.places[0] = (struct unwind_place){.ip = 0x5000, .sp = 0x8000};
    fixture.places[1] = (struct unwind_place){.ip = 0x5001, .sp = 0x8010};
    fill(fixture.places + 2, 4, 2);
    assert_false(find(&fixture, TID, 5));
    assert_false(find(&fixture, TID + 1, 6));
    assert_true(find(&fixture, TID, 6));
    assert_int_equal(fixture.match.time_ns, 1234);
    assert_int_equal(fixture.match.n_places, N_PLACES - 5);
    for (size_t i = 0; i < fixture.match.n_places; i++) {
        assert_int_equal(fixture.match.places[i].ip, 0x1000 + 5 + i);
        assert_int_equal(fixture.match.places[i].sp, 0x8000 + 16 * (5 + i));
    }
    outer_frames_free(fixture.frames);
}

static void fewer_are_not(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, 3, 2);
    assert_false(find(&fixture, TID, 3));
    fill(fixture.places, 4, 2);
    fixture.places[1].ip++; /* another call on the way */
    assert_false(find(&fixture, TID, 4));
    fill(fixture.places, 4, 2);
    fixture.places[1].sp += 8;
    assert_false(find(&fixture, TID, 4));
    fill(fixture.places, 4, 2);
    for (size_t i = 0; i < 4; i++) {
        fixture.places[i].sp = 0; /* the chain tells no stack pointers */
    }
    assert_false(find(&fixture, TID, 4));
    outer_frames_free(fixture.frames);
}

static void threads_and_programs_have_frames_of_their_own(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, 4, 2);
    assert_false(find(&fixture, TID + 1, 4));
    assert_false(find(&fixture, TID, 0));
    outer_frames_forget_thread(fixture.frames, TID + 1);
    assert_true(find(&fixture, TID, 4));
    outer_frames_forget_thread(fixture.frames, TID);
    assert_false(find(&fixture, TID, 4));
    fill(fixture.places, N_PLACES, 0);
    assert_int_equal(outer_frames_remember(fixture.frames, TID, 1, fixture.places, N_PLACES), 0);
    assert_true(find(&fixture, TID, N_PLACES - 1));
    outer_frames_forget(fixture.frames);
    assert_false(find(&fixture, TID, N_PLACES - 1));
    outer_frames_free(fixture.frames);
}

static enum outer_frames_verdict compare(struct fixture *fixture, size_t n_places, size_t from)
{
    return outer_frames_compare(fixture->frames, TID, 5000, fixture->places, n_places, from);
}

/* What was read at one time for several samples says nothing of the time before the first. */
static void what_was_seen_later_was_not_before(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture); /* seen at 1234 */
    fill(fixture.places, N_PLACES, 0);
    const struct {
        uint64_t sample_ns;
        enum outer_frames_verdict verdict;
    } before[] = {{1233, OUTER_FRAMES_LATER}, {1234, OUTER_FRAMES_SAME}, {1300, OUTER_FRAMES_SAME}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outer_frames_compare(fixture.frames, TID, before[i].sample_ns,
                                              fixture.places, N_PLACES, 3),
                         before[i].verdict);
    }
    /* Two samples, 1300 and 1400, are looked at together at 2000. */
    assert_int_equal(
        outer_frames_confirm(fixture.frames, TID, 1300, 2000, fixture.places, N_PLACES), 0);
    assert_int_equal(
        outer_frames_confirm(fixture.frames, TID, 1400, 2001, fixture.places, N_PLACES), 0);
    assert_int_equal(outer_frames_compare(fixture.frames, TID, 1500, fixture.places, N_PLACES, 3),
                     OUTER_FRAMES_SAME);
    /* The next two at 3000: before them it was seen at 2001. */
    assert_int_equal(
        outer_frames_confirm(fixture.frames, TID, 2500, 3000, fixture.places, N_PLACES), 0);
    assert_int_equal(outer_frames_compare(fixture.frames, TID, 2600, fixture.places, N_PLACES, 3),
                     OUTER_FRAMES_SAME);
    assert_int_equal(outer_frames_compare(fixture.frames, TID, 1900, fixture.places, N_PLACES, 3),
                     OUTER_FRAMES_LATER);
    outer_frames_free(fixture.frames);
}

/* Frames of one size have equal stack pointers, whoever called. */
static void a_rest_is_the_same_or_it_is_not(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, N_PLACES, 0);
    fixture.places[0].ip = 0x7777; /* inside of what is compared */
    assert_int_equal(compare(&fixture, N_PLACES, 3), OUTER_FRAMES_SAME);
    assert_int_equal(compare(&fixture, N_PLACES, N_PLACES - 1), OUTER_FRAMES_SAME);
    fixture.places[7].ip++;
    assert_int_equal(compare(&fixture, N_PLACES, 3), OUTER_FRAMES_OTHER);
    assert_int_equal(compare(&fixture, N_PLACES, 8), OUTER_FRAMES_SAME);
    fixture.places[7].ip--;
    fixture.places[7].sp += 8;
    assert_int_equal(compare(&fixture, N_PLACES, 3), OUTER_FRAMES_OTHER);
    fixture.places[7].sp -= 8;
    assert_int_equal(compare(&fixture, N_PLACES - 1, 3), OUTER_FRAMES_OTHER);
    fixture.places[3].sp += 8;
    assert_int_equal(compare(&fixture, N_PLACES, 3), OUTER_FRAMES_NEW);
    fixture.places[3].sp = 0;
    assert_int_equal(compare(&fixture, N_PLACES, 3), OUTER_FRAMES_NEW);
    outer_frames_free(fixture.frames);
}

static void what_starts_a_thread_is_found_by_its_ip(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    assert_true(
        outer_frames_find_start(fixture.frames, TID, 0x1000 + N_PLACES - 3, &fixture.match));
    assert_int_equal(fixture.match.n_places, 3);
    assert_int_equal(fixture.match.places[1].ip, 0x1000 + N_PLACES - 2);
    assert_int_equal(fixture.match.places[2].ip, 0x1000 + N_PLACES - 1);
    assert_false(
        outer_frames_find_start(fixture.frames, TID, 0x1000 + N_PLACES - 4, &fixture.match));
    assert_false(outer_frames_find_start(fixture.frames, TID, 0x1000 + N_PLACES - 1,
                                         &fixture.match)); /* has no caller */
    assert_false(
        outer_frames_find_start(fixture.frames, TID + 1, 0x1000 + N_PLACES - 3, &fixture.match));
    /* The thread's own function has called itself: which of its frames it is, nobody knows. */
    fill(fixture.places, N_PLACES, 0);
    fixture.places[2].ip = fixture.places[N_PLACES - 3].ip;
    assert_int_equal(outer_frames_remember(fixture.frames, TID, 1, fixture.places, N_PLACES), 0);
    assert_false(
        outer_frames_find_start(fixture.frames, TID, 0x1000 + N_PLACES - 3, &fixture.match));
    assert_true(
        outer_frames_find_start(fixture.frames, TID, 0x1000 + N_PLACES - 2, &fixture.match));
    outer_frames_free(fixture.frames);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    size_t n_places = OUTER_FRAMES_MAX_BYTES / sizeof(struct unwind_place) / 4;
    struct unwind_place *places = calloc(n_places, sizeof(*places));
    assert_non_null(places);
    fill(places, n_places, 0);
    for (int64_t tid = 100; tid < 110; tid++) {
        assert_int_equal(outer_frames_remember(fixture.frames, tid, 1, places, n_places), 0);
        assert_true(outer_frames_find(fixture.frames, tid, places, n_places - 1, &fixture.match));
    }
    /* The first had to go. */
    assert_false(outer_frames_find(fixture.frames, 100, places, n_places - 1, &fixture.match));
    free(places);
    outer_frames_free(fixture.frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_equal_places_are_found),
        cmocka_unit_test(fewer_are_not),
        cmocka_unit_test(threads_and_programs_have_frames_of_their_own),
        cmocka_unit_test(a_rest_is_the_same_or_it_is_not),
        cmocka_unit_test(what_was_seen_later_was_not_before),
        cmocka_unit_test(what_starts_a_thread_is_found_by_its_ip),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
