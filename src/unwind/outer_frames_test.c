/* SPDX-License-Identifier: MIT */
#include "unwind/outer_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
};

static void begin(struct fixture *fixture)
{
    assert_int_equal(outer_frames_new(&fixture->frames), 0);
    fill(fixture->places, N_PLACES, 0);
    assert_int_equal(outer_frames_remember(fixture->frames, TID, fixture->places, N_PLACES), 0);
    memset(fixture->places, 0, sizeof(fixture->places));
}

static size_t recall(struct fixture *fixture, int64_t tid, size_t n_places, bool by_sp)
{
    return outer_frames_recall(fixture->frames, tid, fixture->places, n_places,
                               sizeof(fixture->places) / sizeof(*fixture->places), by_sp);
}

static void four_equal_places_prove_the_rest(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    /* Two new inner frames, then places 2 … 5 of the old stack. */
    fixture.places[0] = (struct unwind_place){.ip = 0x5000, .sp = 0x8000};
    fixture.places[1] = (struct unwind_place){.ip = 0x5001, .sp = 0x8010};
    fill(fixture.places + 2, 4, 2);
    assert_false(outer_frames_know(fixture.frames, TID, fixture.places, 5));
    assert_false(outer_frames_know(fixture.frames, TID + 1, fixture.places, 6));
    assert_true(outer_frames_know(fixture.frames, TID, fixture.places, 6));
    assert_int_equal(recall(&fixture, TID, 6, true), N_PLACES);
    for (size_t i = 2; i < N_PLACES; i++) {
        assert_int_equal(fixture.places[i].ip, 0x1000 + i);
        assert_int_equal(fixture.places[i].sp, 0x8000 + 16 * i);
    }
    outer_frames_free(fixture.frames);
}

static void less_is_no_proof(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, 3, 2);
    assert_int_equal(recall(&fixture, TID, 3, true), 0);
    fill(fixture.places, 4, 2);
    fixture.places[1].ip++; /* another call on the way */
    assert_int_equal(recall(&fixture, TID, 4, true), 0);
    fill(fixture.places, 4, 2);
    fixture.places[1].sp += 8;
    assert_int_equal(recall(&fixture, TID, 4, true), 0);
    fill(fixture.places, 4, 2);
    for (size_t i = 0; i < 4; i++) {
        fixture.places[i].sp = 0; /* the chain tells no stack pointers */
    }
    assert_int_equal(recall(&fixture, TID, 4, true), 0);
    outer_frames_free(fixture.frames);
}

static void another_thread_or_program_has_other_frames(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, 4, 2);
    assert_int_equal(recall(&fixture, TID + 1, 4, true), 0);
    assert_int_equal(recall(&fixture, TID, 0, true), 0);
    outer_frames_forget(fixture.frames);
    assert_int_equal(recall(&fixture, TID, 4, true), 0);
    outer_frames_free(fixture.frames);
}

static void what_starts_threads_has_one_caller(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fixture.places[0].ip = 0x1000 + N_PLACES - 3;
    assert_int_equal(recall(&fixture, TID, 1, false), 3);
    assert_int_equal(fixture.places[1].ip, 0x1000 + N_PLACES - 2);
    assert_int_equal(fixture.places[2].ip, 0x1000 + N_PLACES - 1);
    fixture.places[0].ip = 0x1000 + N_PLACES - 4;
    assert_int_equal(recall(&fixture, TID, 1, false), 0);
    outer_frames_free(fixture.frames);
}

static void what_does_not_fit_is_not_appended(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fill(fixture.places, 4, 0);
    assert_int_equal(
        outer_frames_recall(fixture.frames, TID, fixture.places, 4, N_PLACES - 1, true), 0);
    assert_int_equal(outer_frames_recall(fixture.frames, TID, fixture.places, 4, N_PLACES, true),
                     N_PLACES);
    outer_frames_free(fixture.frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_equal_places_prove_the_rest),
        cmocka_unit_test(less_is_no_proof),
        cmocka_unit_test(another_thread_or_program_has_other_frames),
        cmocka_unit_test(what_starts_threads_has_one_caller),
        cmocka_unit_test(what_does_not_fit_is_not_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
