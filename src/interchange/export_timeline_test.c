/* SPDX-License-Identifier: MIT */
#include "interchange/export_timeline.h"

#include "interchange/export_test.h"

static void moments_of_a_thread_are_in_order_and_sum_to_its_time(void **state)
{
    (void)state;
    for (int has_waits = 0; has_waits < 2; has_waits++) {
        struct scene scene;
        struct export_shares shares;
        struct export_timeline timeline;
        export_scene_random(&scene, 20000);
        assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
        assert_int_equal(export_timeline_build(&shares, has_waits, &timeline), 0);
        assert_int_equal(timeline.first[shares.n_threads], timeline.n_moments);
        for (size_t i = 0; i < shares.n_threads; i++) {
            uint64_t cpu_ns = 0, off_cpu_ns = 0, last_ns = 0;
            for (size_t j = timeline.first[i]; j < timeline.first[i + 1]; j++) {
                const struct timed_moment *moment = &timeline.moments[j];
                const struct export_row *row = &shares.rows[moment->row];
                assert_int_equal(row->thread, shares.threads[i].thread);
                assert_true(moment->time_ns >= last_ns);
                last_ns = moment->time_ns;
                bool is_wait = row->kind == EXPORT_ROW_WAIT;
                cpu_ns += is_wait ? 0 : moment->weight_ns;
                off_cpu_ns += is_wait ? moment->weight_ns : 0;
            }
            assert_int_equal(cpu_ns, shares.threads[i].cpu_ns);
            assert_int_equal(off_cpu_ns, has_waits ? shares.threads[i].off_cpu_ns : 0);
        }
        export_timeline_release(&timeline);
        export_shares_release(&shares);
        scene_end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_of_a_thread_are_in_order_and_sum_to_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
