/* SPDX-License-Identifier: MIT */
#include "server/ring_triggers.h"

#include <errno.h>
#include <string.h>

#include "aggregate/chunked.h"
#include "query/wait_test.h"

#define MS TEST_MS
#define SECOND_TID (TEST_PID + 1)

struct fixture {
    struct scene scene;
    struct ring_triggers *triggers;
    struct ring_hit hit;
    uint64_t n_skipped;
};

static uint64_t lock_ips[2], sleep_ips[2];

static void begin(struct fixture *fixture, const char *on, uint64_t longer_than_ns)
{
    const struct ring_trigger trigger = {.on = on, .longer_than_ns = longer_than_ns};
    *fixture = (struct fixture){.n_skipped = 0};
    scene_begin(&fixture->scene, true, false);
    assert_int_equal(ring_triggers_new(&trigger, 1, &fixture->triggers, &fixture->scene.error), 0);
    lock_ips[0] = place_in(__lll_lock_wait, 1);
    sleep_ips[0] = place_in(__GI___clock_nanosleep, 1);
    lock_ips[1] = sleep_ips[1] = place_in(run_worker, 2);
    tell_start(&fixture->scene, MS, TEST_PID, "main");
    tell_start(&fixture->scene, MS, SECOND_TID, "second");
}

static void end(struct fixture *fixture)
{
    ring_triggers_free(fixture->triggers);
    scene_end(&fixture->scene);
}

/* How many waits were met. */
static size_t look(struct fixture *fixture, uint64_t now_ns, uint64_t known_until_ns, bool is_last)
{
    scene_freeze(&fixture->scene, now_ns);
    assert_int_equal(ring_triggers_look(fixture->triggers, &fixture->scene.context, known_until_ns,
                                        is_last, &fixture->hit, &fixture->n_skipped),
                     0);
    return fixture->hit.n_waits;
}

static void a_wait_is_met_once(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "lock", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 110 * MS, TEST_PID, lock_ips, N_IPS(lock_ips));
    assert_int_equal(look(&fixture, 120 * MS, 0, false), 0); /* no longer than that */
    tell_wait(&fixture.scene, 200 * MS, 350 * MS, TEST_PID, lock_ips, N_IPS(lock_ips));
    assert_int_equal(look(&fixture, 351 * MS, 0, false), 1);
    assert_int_equal(fixture.hit.start_ns, 200 * MS);
    assert_int_equal(fixture.hit.length_ns, 150 * MS);
    assert_int_equal(fixture.hit.reason, WAIT_REASON_LOCK);
    assert_int_equal(fixture.hit.tid, TEST_PID);
    assert_string_equal(fixture.hit.name, "main");
    assert_false(fixture.hit.is_open);
    /* It stays among those that may still move for a while, and is stored then. */
    assert_int_equal(look(&fixture, 352 * MS, 0, false), 0);
    tell_out(fixture.scene.aggregate, 360 * MS, TEST_PID, true);
    tell_in(fixture.scene.aggregate, 361 * MS, TEST_PID);
    assert_int_equal(look(&fixture, 900 * MS, 0, false), 0);
    assert_int_equal(look(&fixture, 2000 * MS, 0, true), 0);
    end(&fixture);
}

static void only_the_reason_that_is_asked_for_counts(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "lock", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 500 * MS, TEST_PID, sleep_ips, N_IPS(sleep_ips));
    assert_int_equal(look(&fixture, 501 * MS, 0, true), 0);
    end(&fixture);
    /* Sleep is none of those that off-cpu means. */
    begin(&fixture, "off-cpu", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 500 * MS, TEST_PID, sleep_ips, N_IPS(sleep_ips));
    assert_int_equal(look(&fixture, 501 * MS, 0, false), 0);
    tell_wait(&fixture.scene, 600 * MS, 800 * MS, SECOND_TID, lock_ips, N_IPS(lock_ips));
    assert_int_equal(look(&fixture, 801 * MS, 0, false), 1);
    assert_int_equal(fixture.hit.tid, SECOND_TID);
    end(&fixture);
    begin(&fixture, "sleep", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 500 * MS, TEST_PID, sleep_ips, N_IPS(sleep_ips));
    assert_int_equal(look(&fixture, 501 * MS, 0, false), 1);
    end(&fixture);
}

static void a_wait_that_does_not_end_is_met_after_a_while(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "lock", 100 * MS);
    tell_block(&fixture.scene, 10 * MS, TEST_PID, lock_ips, N_IPS(lock_ips), no_object());
    assert_int_equal(look(&fixture, 200 * MS, 0, false), 0);
    uint64_t later_ns = 10 * MS + 101 * MS + RING_PATIENCE_NS;
    assert_int_equal(look(&fixture, later_ns, 0, false), 1);
    assert_true(fixture.hit.is_open);
    assert_int_equal(fixture.hit.start_ns, 10 * MS);
    assert_int_equal(look(&fixture, later_ns + 500 * MS, 0, false), 0);
    tell_in(fixture.scene.aggregate, later_ns + 600 * MS, TEST_PID);
    assert_int_equal(look(&fixture, later_ns + 700 * MS, 0, false), 0);
    assert_int_equal(look(&fixture, later_ns + 900 * MS, 0, true), 0);
    end(&fixture);
    /* Where nobody will look again there is nothing to wait for. */
    begin(&fixture, "lock", 100 * MS);
    tell_block(&fixture.scene, 10 * MS, TEST_PID, lock_ips, N_IPS(lock_ips), no_object());
    assert_int_equal(look(&fixture, 200 * MS, 0, true), 1);
    end(&fixture);
}

static void several_are_told_by_the_longest(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "lock", 100 * MS);
    tell_block(&fixture.scene, 10 * MS, TEST_PID, lock_ips, N_IPS(lock_ips), no_object());
    tell_block(&fixture.scene, 20 * MS, SECOND_TID, lock_ips, N_IPS(lock_ips), no_object());
    tell_in(fixture.scene.aggregate, 150 * MS, TEST_PID);
    tell_in(fixture.scene.aggregate, 400 * MS, SECOND_TID);
    assert_int_equal(look(&fixture, 401 * MS, 0, false), 2);
    assert_int_equal(fixture.hit.first_start_ns, 10 * MS);
    assert_int_equal(fixture.hit.start_ns, 20 * MS);
    assert_int_equal(fixture.hit.length_ns, 380 * MS);
    end(&fixture);
}

static void what_an_earlier_freeze_has_is_counted_only(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "lock", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 150 * MS, TEST_PID, lock_ips, N_IPS(lock_ips));
    assert_int_equal(look(&fixture, 160 * MS, 11 * MS, false), 0);
    assert_int_equal(fixture.n_skipped, 1);
    tell_wait(&fixture.scene, 170 * MS, 350 * MS, TEST_PID, lock_ips, N_IPS(lock_ips));
    assert_int_equal(look(&fixture, 360 * MS, 160 * MS, false), 1);
    assert_int_equal(fixture.n_skipped, 0);
    end(&fixture);
}

static void waits_for_a_cpu_are_met_whole(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "runq", 50 * MS);
    /* Preempted; woken and not given a CPU; and for longer than a piece of history may be. */
    tell_out(fixture.scene.aggregate, 10 * MS, TEST_PID, true);
    tell_in(fixture.scene.aggregate, 70 * MS, TEST_PID);
    tell_out(fixture.scene.aggregate, 80 * MS, TEST_PID, true);
    tell_in(fixture.scene.aggregate, 100 * MS, TEST_PID);
    tell_out(fixture.scene.aggregate, 110 * MS, TEST_PID, false);
    assert_int_equal(look(&fixture, 120 * MS, 0, false), 1);
    assert_true(fixture.hit.is_for_cpu);
    assert_int_equal(fixture.hit.start_ns, 10 * MS);
    assert_int_equal(fixture.hit.length_ns, 60 * MS);

    tell_woken(fixture.scene.aggregate, 300 * MS, TEST_PID, 200 * MS, EVENT_NO_WAKER);
    assert_int_equal(look(&fixture, 301 * MS, 0, false), 1);
    assert_int_equal(fixture.hit.start_ns, 200 * MS);
    assert_int_equal(fixture.hit.length_ns, 100 * MS);

    tell_out(fixture.scene.aggregate, 400 * MS, TEST_PID, true);
    tell_out(fixture.scene.aggregate, 1900 * MS, SECOND_TID, false);
    tell_in(fixture.scene.aggregate, 4000 * MS, TEST_PID);
    tell_out(fixture.scene.aggregate, 4001 * MS, TEST_PID, false);
    assert_int_equal(look(&fixture, 4002 * MS, 0, false), 1);
    assert_int_equal(fixture.hit.start_ns, 400 * MS);
    assert_int_equal(fixture.hit.length_ns, 3600 * MS);
    assert_int_equal(look(&fixture, 6000 * MS, 0, true), 0);
    end(&fixture);
}

static void of_what_nothing_is_known_is_no_stall(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "off-cpu", 100 * MS);
    tell_wait(&fixture.scene, 10 * MS, 500 * MS, TEST_PID, NULL, 0);
    tell_block(&fixture.scene, 10 * MS, SECOND_TID, NULL, 0, no_object());
    assert_int_equal(look(&fixture, 501 * MS, 0, false), 0);
    assert_int_equal(look(&fixture, 2000 * MS, 0, true), 0);
    end(&fixture);
    /* Without a stack the system call tells the reason, as it does in every view. */
    begin(&fixture, "off-cpu", 100 * MS);
    tell_block(&fixture.scene, 10 * MS, TEST_PID, NULL, 0, object_of(SYS_clock_nanosleep, 0));
    tell_in(fixture.scene.aggregate, 500 * MS, TEST_PID);
    assert_int_equal(look(&fixture, 501 * MS, 0, false), 0);
    tell_block(&fixture.scene, 600 * MS, TEST_PID, NULL, 0, object_of(SYS_fsync, 3));
    tell_in(fixture.scene.aggregate, 900 * MS, TEST_PID);
    assert_int_equal(look(&fixture, 901 * MS, 0, false), 1);
    assert_int_equal(fixture.hit.reason, WAIT_REASON_IO_W);
    end(&fixture);
}

static void slices_that_were_dropped_unseen_make_no_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct aggregate_config config = {.ring_ns = 100 * MS};
    begin(&fixture, "runq", 50 * MS);
    aggregate_free(fixture.scene.aggregate);
    assert_int_equal(aggregate_new(&config, &fixture.scene.aggregate), 0);
    uint64_t time_ns = MS;
    for (unsigned int i = 0; i < 20 * CHUNKED_ITEMS; i++, time_ns += 2 * MS) {
        tell_in(fixture.scene.aggregate, time_ns, TEST_PID);
        tell_out(fixture.scene.aggregate, time_ns + MS, TEST_PID, true);
        if (i == 1) {
            assert_int_equal(look(&fixture, time_ns + MS, 0, false), 0);
        }
    }
    assert_int_equal(look(&fixture, time_ns, 0, false), 0);
    assert_true(fixture.scene.snapshot->first_slice > 2);
    end(&fixture);
}

static void the_reach_is_the_longest_wait_and_the_patience(void **state)
{
    (void)state;
    const struct ring_trigger triggers[] = {{.on = "lock", .longer_than_ns = 5 * MS},
                                            {.on = "off-cpu", .longer_than_ns = 3000 * MS},
                                            {.on = "runq", .longer_than_ns = 50 * MS}};
    assert_int_equal(ring_triggers_reach_ns(triggers, 0), 0);
    assert_int_equal(ring_triggers_reach_ns(triggers, 1), 5 * MS + RING_PATIENCE_NS);
    assert_int_equal(ring_triggers_reach_ns(triggers, 3), 3000 * MS + RING_PATIENCE_NS);
}

static void wrong_triggers_are_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct ring_triggers *triggers = NULL;
    struct ring_trigger many[RING_TRIGGERS_MAX + 1];
    for (size_t i = 0; i < RING_TRIGGERS_MAX + 1; i++) {
        many[i] = (struct ring_trigger){.on = "lock", .longer_than_ns = 1};
    }
    assert_int_equal(ring_triggers_new(many, RING_TRIGGERS_MAX + 1, &triggers, &error), -EINVAL);
    assert_string_equal(error.code, "invalid_params");
    many[0].on = "cpu";
    assert_int_equal(ring_triggers_new(many, 1, &triggers, &error), -EINVAL);
    assert_non_null(strstr(error.message, "'cpu'"));
    assert_null(triggers);
    many[0] = (struct ring_trigger){.on = "lock", .longer_than_ns = UINT64_MAX};
    assert_int_equal(ring_triggers_new(many, 1, &triggers, &error), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_is_met_once),
        cmocka_unit_test(only_the_reason_that_is_asked_for_counts),
        cmocka_unit_test(a_wait_that_does_not_end_is_met_after_a_while),
        cmocka_unit_test(several_are_told_by_the_longest),
        cmocka_unit_test(what_an_earlier_freeze_has_is_counted_only),
        cmocka_unit_test(waits_for_a_cpu_are_met_whole),
        cmocka_unit_test(of_what_nothing_is_known_is_no_stall),
        cmocka_unit_test(slices_that_were_dropped_unseen_make_no_wait),
        cmocka_unit_test(the_reach_is_the_longest_wait_and_the_patience),
        cmocka_unit_test(wrong_triggers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
