/* SPDX-License-Identifier: MIT */
#include "interchange/export_shares.h"

#include <errno.h>

#include "interchange/export_test.h"

struct sums {
    uint64_t weight_ns, n, n_rests, last_ns;
    bool is_ordered;
};

static int add(void *userdata, const struct export_moment *moment)
{
    struct sums *sums = userdata;
    sums->weight_ns += moment->weight_ns;
    sums->n += moment->n;
    sums->n_rests += moment->is_rest;
    sums->is_ordered = sums->is_ordered && (moment->is_rest || moment->time_ns >= sums->last_ns);
    sums->last_ns = moment->is_rest ? sums->last_ns : moment->time_ns;
    assert_true(moment->end_ns >= moment->time_ns);
    return 0;
}

static struct sums visit(struct export_shares *shares, bool is_wait)
{
    struct sums sums = {.is_ordered = true};
    assert_int_equal(is_wait ? export_shares_visit_waits(shares, add, &sums)
                             : export_shares_visit_samples(shares, add, &sums),
                     0);
    return sums;
}

/* Rows and moments sum to what `stax top` and `stax off-cpu` say of the view. */
static void check(struct scene *scene)
{
    struct attribution attribution;
    struct export_shares shares;
    uint64_t cpu_ns = 0, off_cpu_ns = 0, n_samples = 0, unsampled_ns = 0;
    export_attribution(scene, &attribution);
    assert_int_equal(export_shares_init(&scene->context, &shares, &scene->error), 0);
    for (size_t i = 0; i < shares.n_threads; i++) {
        const struct export_thread *thread = &shares.threads[i];
        const struct thread_share *share = &attribution.threads[thread->thread];
        assert_true(thread->name[0] != '\0');
        assert_true(share->is_in_view);
        if (share->has_own_share) {
            assert_int_equal(thread->cpu_ns, share->cpu_ns);
        }
        assert_int_equal(thread->off_cpu_ns, share->blocked_ns);
        cpu_ns += thread->cpu_ns;
        off_cpu_ns += thread->off_cpu_ns;
        n_samples += thread->n_samples;
        for (size_t j = 0; j < thread->n_rows; j++) {
            const struct export_row *row = &shares.rows[thread->first_row + j];
            assert_int_equal(row->thread, thread->thread);
            unsampled_ns += row->kind == EXPORT_ROW_UNSAMPLED ? row->time_ns : 0;
        }
    }
    assert_int_equal(cpu_ns, attribution.totals.cpu_ns);
    assert_int_equal(off_cpu_ns, attribution.totals.off_cpu_ns);
    assert_int_equal(n_samples, attribution.totals.samples);
    struct sums ran = visit(&shares, false), waited = visit(&shares, true);
    assert_int_equal(ran.weight_ns, cpu_ns);
    assert_int_equal(ran.n, n_samples);
    assert_true(ran.is_ordered);
    assert_int_equal(waited.weight_ns, off_cpu_ns);
    assert_int_equal(unsampled_ns, attribution.unsampled_ns);
    /* A visit leaves nothing behind. */
    assert_int_equal(visit(&shares, false).weight_ns, cpu_ns);
    export_shares_release(&shares);
}

static void sums_are_those_of_the_view(void **state)
{
    (void)state;
    struct scene scene;
    int64_t tids[] = {TEST_PID + 1, TEST_PID + 3};
    char focus[] = "life";
    char *patterns[] = {focus};
    export_scene_random(&scene, 30000);
    check(&scene);
    scene_ask_anew(&scene);
    scene.view =
        (struct view){.has_from = true, .from_ns = 3000000000, .has_to = true, .to_ns = 9000000000};
    check(&scene);
    scene_ask_anew(&scene);
    scene.view = (struct view){.n_tids = 2, .tids = tids};
    check(&scene);
    scene_ask_anew(&scene);
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    check(&scene);
    scene_ask_anew(&scene);
    scene.view = (struct view){
        .n_exclude = 1, .exclude = patterns, .has_from = true, .from_ns = -2000000000};
    check(&scene);
    scene_end(&scene);
}

static int keep_longest(void *userdata, const struct export_moment *moment)
{
    uint64_t *longest_ns = userdata;
    *longest_ns = moment->weight_ns > *longest_ns ? moment->weight_ns : *longest_ns;
    return 0;
}

/* Files of other tools weigh their samples, and know of no switches. */
static void samples_without_switches_have_their_own_weights(void **state)
{
    (void)state;
    struct scene scene;
    struct export_shares shares;
    uint64_t longest_ns = 0;
    const uint64_t ip = 0x1000;
    scene_begin(&scene, false, true);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    for (uint32_t i = 1; i <= 100; i++) {
        tell(scene.aggregate, (struct event){.kind = EVENT_SAMPLE,
                                             .time_ns = i,
                                             .pid = TEST_PID,
                                             .tid = TEST_PID,
                                             .stack = {.ips = &ip, .n_ips = 1},
                                             .sample = {.period_ns = i}});
    }
    scene_freeze(&scene, 101);
    check(&scene);
    scene_ask_anew(&scene);
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
    assert_int_equal(export_shares_visit_samples(&shares, keep_longest, &longest_ns), 0);
    assert_int_equal(longest_ns, 100);
    export_shares_release(&shares);
    scene_end(&scene);
}

static void what_was_folded_comes_first(void **state)
{
    (void)state;
    struct scene scene;
    struct export_shares shares;
    export_scene_random(&scene, 30000);
    /* As if the first samples and waits were gone: sums of the run still know them. */
    scene.snapshot->first_sample = scene.snapshot->n_samples / 2;
    scene.snapshot->first_wait = scene.snapshot->n_waits / 2;
    check(&scene);
    scene_ask_anew(&scene);
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
    assert_true(visit(&shares, false).n_rests > 0);
    assert_true(visit(&shares, true).n_rests > 0);
    export_shares_release(&shares);
    scene.snapshot->first_sample = 0;
    scene.snapshot->first_wait = 0;
    scene_end(&scene);
}

static void rows_say_who_where_and_why(void **state)
{
    (void)state;
    struct scene scene;
    struct export_shares shares;
    export_scene_small(&scene);
    check(&scene);
    scene_ask_anew(&scene);
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
    assert_int_equal(shares.n_threads, 2);
    assert_string_equal(shares.threads[0].name, "main");
    assert_int_equal(shares.threads[0].cpu_ns, 160 * TEST_MS);
    assert_int_equal(shares.threads[0].off_cpu_ns, 40 * TEST_MS);
    assert_int_equal(shares.threads[0].n_rows, 3);
    const struct export_row *rows = &shares.rows[shares.threads[0].first_row];
    assert_int_equal(rows[0].time_ns, 100 * TEST_MS);
    assert_int_equal(rows[1].n, 60);
    assert_int_equal(rows[2].kind, EXPORT_ROW_WAIT);
    assert_int_equal(rows[2].reason, WAIT_REASON_READY);
    assert_int_equal(shares.threads[1].off_cpu_ns, 100 * TEST_MS);
    export_shares_release(&shares);
    scene_end(&scene);
}

static void an_empty_view_has_no_rows(void **state)
{
    (void)state;
    struct scene scene;
    struct export_shares shares;
    int64_t nobody = 4711;
    export_scene_small(&scene);
    scene.view = (struct view){.n_tids = 1, .tids = &nobody};
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), -EINVAL);
    assert_string_equal(scene.error.code, "not_found");
    scene_end(&scene);
    scene_begin(&scene, false, false);
    scene_freeze(&scene, TEST_MS);
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
    assert_int_equal(shares.n_rows, 0);
    assert_int_equal(visit(&shares, false).weight_ns, 0);
    export_shares_release(&shares);
    scene_end(&scene);
}

static void tell_of(const struct scene *scene, struct event event, int64_t pid, int64_t tid)
{
    event.pid = pid;
    event.tid = tid;
    tell(scene->aggregate, event);
}

/* A child has the name that its first thread has, and not that of the run. */
static void a_process_has_the_name_of_its_first_thread(void **state)
{
    (void)state;
    struct scene scene;
    struct export_shares shares;
    const int64_t child = TEST_PID + 50;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000 * TEST_MS, TEST_PID, "main");
    for (int64_t tid = child; tid < child + 2; tid++) {
        const char *name = tid == child ? "compiler" : "helper";
        struct event born = {.kind = EVENT_THREAD, .time_ns = 1000 * TEST_MS};
        born.thread.change = EVENT_THREAD_BORN;
        tell_of(&scene, born, child, tid);
        born.thread.change = EVENT_THREAD_NAMED;
        born.thread.name = name;
        tell_of(&scene, born, child, tid);
        const struct event in = {.kind = EVENT_SWITCH_IN, .time_ns = 1000 * TEST_MS};
        tell_of(&scene, in, child, tid);
    }
    tell_out(scene.aggregate, 1010 * TEST_MS, TEST_PID, false);
    for (int64_t tid = child; tid < child + 2; tid++) {
        const struct event out = {.kind = EVENT_SWITCH_OUT,
                                  .time_ns = 1010 * TEST_MS,
                                  .switch_out = {.object = {.syscall = EVENT_NO_SYSCALL}}};
        tell_of(&scene, out, child, tid);
    }
    scene_freeze(&scene, 1020 * TEST_MS);
    assert_int_equal(export_shares_init(&scene.context, &shares, &scene.error), 0);
    assert_int_equal(shares.n_threads, 3);
    assert_false(shares.has_one_process);
    for (size_t i = 0; i < shares.n_threads; i++) {
        const struct export_thread *thread = &shares.threads[i];
        assert_string_equal(thread->process, thread->pid == child ? "compiler" : "main");
    }
    export_shares_release(&shares);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_view),
        cmocka_unit_test(samples_without_switches_have_their_own_weights),
        cmocka_unit_test(what_was_folded_comes_first),
        cmocka_unit_test(rows_say_who_where_and_why),
        cmocka_unit_test(an_empty_view_has_no_rows),
        cmocka_unit_test(a_process_has_the_name_of_its_first_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
