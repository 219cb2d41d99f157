/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "server/doorbell.h"

#define N_ITEMS 200000

static struct doorbell bell;
static atomic_int n_made;

static void *make(void *userdata)
{
    (void)userdata;
    for (int i = 0; i < N_ITEMS; i++) {
        atomic_fetch_add_explicit(&n_made, 1, memory_order_relaxed);
        doorbell_ring(&bell);
    }
    return NULL;
}

/* Nothing left by a ringing thread is ever slept through; a lost wakeup would hang here. */
static void test_no_wakeup_is_lost(void **state)
{
    (void)state;
    pthread_t makers[2];
    assert_int_equal(doorbell_init(&bell), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&makers[i], NULL, make, NULL), 0);
    }
    int n_taken = 0;
    while (n_taken < 2 * N_ITEMS) {
        int n_found = atomic_exchange(&n_made, 0);
        if (n_found == 0) {
            doorbell_prepare(&bell);
            n_found = atomic_exchange(&n_made, 0);
            if (n_found > 0) {
                doorbell_cancel(&bell);
            } else {
                doorbell_wait(&bell);
            }
        }
        n_taken += n_found;
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(makers[i], NULL);
    }
    assert_int_equal(n_taken, 2 * N_ITEMS);
    doorbell_release(&bell);
}

static void test_rings_before_a_wait_count_once(void **state)
{
    (void)state;
    assert_int_equal(doorbell_init(&bell), 0);
    doorbell_ring(&bell); /* nobody sleeps: kept for nobody */
    doorbell_prepare(&bell);
    doorbell_ring(&bell);
    doorbell_ring(&bell);
    doorbell_wait(&bell); /* returns */
    assert_int_equal(uv_sem_trywait(&bell.wakeups), UV_EAGAIN);
    doorbell_prepare(&bell);
    doorbell_ring(&bell);
    doorbell_cancel(&bell); /* takes the ring with it */
    assert_int_equal(uv_sem_trywait(&bell.wakeups), UV_EAGAIN);
    doorbell_release(&bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wakeup_is_lost),
        cmocka_unit_test(test_rings_before_a_wait_count_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
