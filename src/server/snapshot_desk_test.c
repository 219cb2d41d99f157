/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "aggregate/aggregate.h"
#include "server/snapshot_desk.h"

#define N_ASKERS 4
#define N_QUESTIONS 200

static struct snapshot_desk desk;
static atomic_int n_rings, n_answered;

static void ring(void *userdata)
{
    (void)userdata;
    atomic_fetch_add(&n_rings, 1);
}

static void *ask_often(void *userdata)
{
    uint64_t last = 0;
    (void)userdata;
    for (int i = 0; i < N_QUESTIONS; i++) {
        struct snapshot *snapshot = snapshot_desk_ask(&desk, ring, NULL);
        if (snapshot && snapshot->now_ns >= last) {
            last = snapshot->now_ns;
            atomic_fetch_add(&n_answered, 1);
        }
        snapshot_unref(snapshot);
    }
    return NULL;
}

/* Every question is answered once, before and after the desk closes. */
static void test_all_are_answered(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    const struct aggregate_config config = {.max_memory_bytes = UINT64_C(1) << 30};
    pthread_t askers[N_ASKERS];
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    aggregate_begin(aggregate, 1000);
    snapshot_desk_init(&desk);
    for (int i = 0; i < N_ASKERS; i++) {
        assert_int_equal(pthread_create(&askers[i], NULL, ask_often, NULL), 0);
    }
    uint64_t now_ns = 1000;
    while (atomic_load(&n_answered) < N_ASKERS * N_QUESTIONS / 2) {
        if (snapshot_desk_has_askers(&desk)) {
            struct snapshot *snapshot = aggregate_snapshot(aggregate, ++now_ns);
            snapshot_desk_serve(&desk, snapshot);
            snapshot_unref(snapshot);
        }
    }
    snapshot_desk_close(&desk, aggregate_snapshot(aggregate, ++now_ns));
    for (int i = 0; i < N_ASKERS; i++) {
        pthread_join(askers[i], NULL);
    }
    assert_int_equal(atomic_load(&n_answered), N_ASKERS * N_QUESTIONS);
    assert_true(atomic_load(&n_rings) > 0);
    struct snapshot *last = snapshot_desk_ask(&desk, ring, NULL);
    assert_int_equal(last->now_ns, now_ns);
    snapshot_unref(last);
    snapshot_desk_release(&desk);
}

static void test_without_memory(void **state)
{
    (void)state;
    snapshot_desk_init(&desk);
    assert_false(snapshot_desk_has_askers(&desk));
    snapshot_desk_serve(&desk, NULL);
    snapshot_desk_close(&desk, NULL);
    assert_null(snapshot_desk_ask(&desk, ring, NULL));
    snapshot_desk_release(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_answered),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
