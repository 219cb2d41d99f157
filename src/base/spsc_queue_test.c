/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/spsc_queue.h"

static void first_in_is_first_out(void **state)
{
    (void)state;
    _cleanup_(spsc_queue_freep) struct spsc_queue *queue = NULL;
    assert_int_equal(spsc_queue_new(4, &queue), 0);
    int items[4];
    assert_null(spsc_queue_pop(queue));
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) {
            assert_true(spsc_queue_push(queue, &items[i]));
        }
        for (int i = 0; i < 3; i++) {
            assert_ptr_equal(spsc_queue_pop(queue), &items[i]);
        }
        assert_null(spsc_queue_pop(queue));
    }
}

static void capacity_is_rounded_up_and_holds(void **state)
{
    (void)state;
    const size_t wanted[] = {0, 1, 2, 3, 5, 64, 100};
    const size_t got[] = {1, 1, 2, 4, 8, 64, 128};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        _cleanup_(spsc_queue_freep) struct spsc_queue *queue = NULL;
        assert_int_equal(spsc_queue_new(wanted[i], &queue), 0);
        int item;
        for (size_t n = 0; n < got[i]; n++) {
            assert_true(spsc_queue_push(queue, &item));
        }
        assert_false(spsc_queue_push(queue, &item));
        assert_ptr_equal(spsc_queue_pop(queue), &item);
        assert_true(spsc_queue_push(queue, &item));
        assert_false(spsc_queue_push(queue, &item));
    }
}

static void absurd_capacities_are_refused(void **state)
{
    (void)state;
    struct spsc_queue *queue = NULL;
    assert_true(spsc_queue_new(SIZE_MAX, &queue) < 0);
    assert_null(queue);
    assert_null(spsc_queue_free(NULL));
}

#define N_ITEMS 300000u

struct parcel {
    uint32_t number;
    uint32_t complement;
};

static void *produce(void *userdata)
{
    struct spsc_queue *queue = userdata;
    for (uint32_t i = 0; i < N_ITEMS; i++) {
        struct parcel *parcel = malloc(sizeof(*parcel));
        if (!parcel) {
            abort();
        }
        *parcel = (struct parcel){.number = i, .complement = ~i};
        while (!spsc_queue_push(queue, parcel)) {
            sched_yield();
        }
    }
    return NULL;
}

/* What the producer wrote into an item must be visible to whoever pops it, in order, once. */
static void two_threads_pass_everything_on(void **state)
{
    (void)state;
    _cleanup_(spsc_queue_freep) struct spsc_queue *queue = NULL;
    assert_int_equal(spsc_queue_new(16, &queue), 0);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, queue), 0);
    for (uint32_t i = 0; i < N_ITEMS; i++) {
        struct parcel *parcel;
        while (!(parcel = spsc_queue_pop(queue))) {
            sched_yield();
        }
        assert_int_equal(parcel->number, i);
        assert_int_equal(parcel->complement, ~i);
        free(parcel);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_null(spsc_queue_pop(queue));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_is_first_out),
        cmocka_unit_test(capacity_is_rounded_up_and_holds),
        cmocka_unit_test(absurd_capacities_are_refused),
        cmocka_unit_test(two_threads_pass_everything_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
