/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- known shares ---- */

static void weights_are_exact_shares(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t hot = 0x1000, cold = 0x2000;
    tell_in(scene.aggregate, 0, 1);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(scene.aggregate, 1 + i, 1, i % 4 == 0 ? &cold : &hot, 1);
    }
    tell_out(scene.aggregate, 1000, 1, false);
    scene_freeze(&scene, 2000);
    struct attribution attribution;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 1000);
    assert_int_equal(attribution.totals.active_ns, 1000);
    assert_int_equal(attribution.totals.off_cpu_ns, 1000);
    assert_int_equal(attribution.totals.samples, 100);
    stack_id hot_stack = snapshot_sample(scene.snapshot, 1)->stack;
    stack_id cold_stack = snapshot_sample(scene.snapshot, 0)->stack;
    assert_int_equal(attribution.stack_ns[hot_stack], 750);
    assert_int_equal(attribution.stack_ns[cold_stack], 250);
    assert_int_equal(attribution.stack_samples[hot_stack], 75);
    assert_int_equal(attribution.unsampled_ns, 0);
    struct run_stamp stamp = attribution_stamp(&scene.context);
    assert_int_equal(stamp.id, 7);
    assert_int_equal(stamp.duration_ns, 2000);
    assert_int_equal(stamp.sequence, scene.snapshot->sequence);
    scene_end(&scene);
}

/* Where nobody tells of switches, each sample stands for what it says: files of other tools weigh
 * them. */
static void samples_have_their_own_weights(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, true);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t ips[] = {0x1000, 0x2000};
    const uint32_t periods_ns[] = {7, 1000, 70, 50000};
    for (uint64_t i = 0; i < 4; i++) {
        tell(scene.aggregate, (struct event){.kind = EVENT_SAMPLE,
                                             .time_ns = 1 + i,
                                             .pid = TEST_PID,
                                             .tid = i == 3 ? 2 : 1,
                                             .stack = {.ips = &ips[i % 2], .n_ips = 1},
                                             .sample = {.period_ns = periods_ns[i]}});
    }
    scene_freeze(&scene, 4);
    struct attribution attribution;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 51077);
    assert_int_equal(attribution.totals.samples, 4); /* that of the last instant, too */
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, 0)->stack], 77);
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, 1)->stack], 51000);
    scene_end(&scene);
}

/* Threads that were sampled seldom share their time and their samples; others keep theirs. */
static void few_samples_are_pooled(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t busy_ip = 0x1000, rare_ip = 0x2000, other_ip = 0x3000;
    tell_in(scene.aggregate, 0, 1);
    for (uint64_t i = 0; i < ATTRIBUTION_OWN_SAMPLES; i++) {
        tell_sample(scene.aggregate, 1, 1, &busy_ip, 1);
    }
    tell_out(scene.aggregate, 1000, 1, false);
    for (int64_t tid = 2; tid <= 11; tid++) { /* each runs 30, two of them are met */
        tell_in(scene.aggregate, 1000, tid);
        if (tid <= 3) {
            tell_sample(scene.aggregate, 1000, tid, tid == 2 ? &rare_ip : &other_ip, 1);
        }
        tell_out(scene.aggregate, 1030, tid, false);
    }
    scene_freeze(&scene, 2000);
    struct attribution attribution;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 1300);
    assert_int_equal(attribution.unsampled_ns, 0);
    const uint64_t n = scene.snapshot->n_samples;
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, 0)->stack], 1000);
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, n - 2)->stack], 150);
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, n - 1)->stack], 150);
    scene_end(&scene);
}

/* A thread that was sampled often in a short life stands for all those that were not. */
static void many_samples_in_a_moment_are_pooled(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t first_ip = 0x1000, second_ip = 0x2000;
    for (int64_t tid = 1; tid <= 100; tid++) { /* all run 30, one of them is met */
        tell_in(scene.aggregate, 0, tid);
        for (uint64_t i = 0; tid == 50 && i < 4 * (uint64_t)ATTRIBUTION_OWN_SAMPLES; i++) {
            tell_sample(scene.aggregate, 1, tid, i % 4 ? &first_ip : &second_ip, 1);
        }
        tell_out(scene.aggregate, 30, tid, false);
    }
    scene_freeze(&scene, 2000);
    struct attribution attribution;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 3000);
    assert_int_equal(attribution.unsampled_ns, 0);
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, 0)->stack], 750);
    assert_int_equal(attribution.stack_ns[snapshot_sample(scene.snapshot, 1)->stack], 2250);
    scene_end(&scene);
}

static void time_that_no_sample_met_is_told_apart(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t ip = 0x1000;
    tell_in(scene.aggregate, 0, 1);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(scene.aggregate, 1, 1, &ip, 1);
    }
    tell_out(scene.aggregate, 1000, 1, false);
    tell_in(scene.aggregate, 1000, 2);
    tell_out(scene.aggregate, 1300, 2, true);
    scene_freeze(&scene, 2000);
    struct attribution attribution;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 1300);
    assert_int_equal(attribution.unsampled_ns, 300);
    assert_int_equal(attribution.totals.runq_ns, 700);

    char pattern[] = "prog+0x0", *patterns[] = {pattern};
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 300);
    assert_int_equal(attribution.unsampled_ns, 300);
    assert_int_equal(attribution.threads[0].cpu_ns, 0);
    assert_int_equal(attribution.threads[1].cpu_ns, 300);
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.cpu_ns, 1000);
    assert_int_equal(attribution.unsampled_ns, 0);
    scene_end(&scene);
}

/* ---- a timer that comes too late for the ends of slices ---- */

#define MISSED_NS 20000u
#define PERIOD_NS TEST_MS /* as tell_sample() says */

struct bursts {
    uint64_t now_ns, due_ns, state;
    uint64_t short_ns, long_ns; /* the truth */
    struct scene *scene;
};

/* One stretch of CPU time in one function, then a wait. */
static void burst(struct bursts *bursts, uint64_t ip, uint64_t length_ns)
{
    struct aggregate *aggregate = bursts->scene->aggregate;
    uint64_t end_ns = bursts->now_ns + length_ns;
    tell_in(aggregate, bursts->now_ns, 1);
    for (; bursts->due_ns < end_ns; bursts->due_ns += PERIOD_NS) {
        if (bursts->due_ns >= bursts->now_ns && bursts->due_ns + MISSED_NS < end_ns) {
            tell_sample(aggregate, bursts->due_ns, 1, &ip, 1);
        }
    }
    tell_out(aggregate, end_ns, 1, false);
    bursts->state = bursts->state * 6364136223846793005u + 1442695040888963407u;
    bursts->now_ns = end_ns + 100000 + (bursts->state >> 40) % 300000;
}

static void play_bursts(struct bursts *bursts)
{
    const uint64_t short_ip = 0x1000, long_ip = 0x2000;
    for (unsigned int i = 0; i < 80000; i++) {
        bool is_short = i % 16 != 0; /* 15 of 200 us, one of 3 ms: half and half */
        uint64_t length_ns = is_short ? 200000 : 3000000;
        burst(bursts, is_short ? short_ip : long_ip, length_ns);
        *(is_short ? &bursts->short_ns : &bursts->long_ns) += length_ns;
    }
}

/* By whole-run counters or by a range that holds all of it. */
static double short_pct(struct scene *scene, bool by_range)
{
    struct attribution attribution;
    scene_ask_anew(scene);
    scene->view.has_from = by_range;
    assert_int_equal(attribution_compute(&scene->context, &attribution, &scene->error), 0);
    uint64_t sum_ns = 0, short_ns = 0;
    for (stack_id id = 0; id < scene->snapshot->n_stacks; id++) {
        bool is_short =
            id != STACK_ID_EMPTY &&
            snapshot_frame(scene->snapshot, snapshot_stack(scene->snapshot, id).frame).offset <
                0x1000;
        sum_ns += attribution.stack_ns[id];
        short_ns += is_short ? attribution.stack_ns[id] : 0;
    }
    assert_int_equal(sum_ns, attribution.totals.cpu_ns);
    assert_int_equal(attribution.totals.samples, scene->snapshot->n_samples);
    return 100 * (double)short_ns / (double)sum_ns;
}

static void short_slices_get_what_the_timer_missed(void **state)
{
    (void)state;
    for (int samples_kernel = 0; samples_kernel < 2; samples_kernel++) {
        struct scene scene;
        scene_begin(&scene, false, false);
        tell_mapped(scene.aggregate, 0, 0x1000, 0x9000, 0, "/bin/prog");
        struct bursts bursts = {.now_ns = 10, .scene = &scene, .state = 5};
        const uint64_t kernel_ip = UINT64_C(0xffffffff81000010);
        tell_in(scene.aggregate, 4, 2);
        tell(scene.aggregate,
             (struct event){
                 .kind = EVENT_SAMPLE,
                 .time_ns = 5,
                 .pid = TEST_PID,
                 .tid = 2,
                 .stack = {.ips = &kernel_ip, .n_ips = 1, .n_kernel_ips = (uint32_t)samples_kernel},
             });
        tell_out(scene.aggregate, 6, 2, false);
        play_bursts(&bursts);
        aggregate_end(scene.aggregate, bursts.now_ns);
        scene_freeze(&scene, bursts.now_ns);
        const double true_pct =
            100 * (double)bursts.short_ns / (double)(bursts.short_ns + bursts.long_ns);
        for (int by_range = 0; by_range < 2; by_range++) {
            double missed_pct = true_pct - short_pct(&scene, by_range);
            if (samples_kernel) {
                assert_true(missed_pct > -0.6 && missed_pct < 0.6);
            } else {
                assert_true(missed_pct > 2 && missed_pct < 3.5); /* not told where it went */
            }
        }
        scene_end(&scene);
    }
}

/* ---- any run, any view ---- */

/* The sums that must agree to the nanosecond. */
static void assert_exact(const struct scene *scene, const struct attribution *attribution)
{
    uint64_t stacks_ns = 0, stacks_samples = 0;
    for (stack_id id = 0; id < scene->snapshot->n_stacks; id++) {
        stacks_ns += attribution->stack_ns[id];
        stacks_samples += attribution->stack_samples[id];
        assert_true(attribution->stack_ns[id] == 0 || attribution->stack_samples[id] > 0);
    }
    assert_int_equal(stacks_ns + attribution->unsampled_ns, attribution->totals.cpu_ns);
    assert_int_equal(stacks_samples, attribution->totals.samples);
    assert_int_equal(attribution->totals.active_ns, attribution->totals.cpu_ns);

    struct totals sum = {0};
    uint64_t kept_ns = 0;
    for (size_t i = 0; i < scene->snapshot->n_threads; i++) {
        const struct thread_share *share = &attribution->threads[i];
        sum.cpu_ns += share->cpu_ns;
        sum.off_cpu_ns += share->blocked_ns;
        sum.runq_ns += share->runnable_ns;
        sum.samples += share->kept_samples;
        kept_ns += share->kept_ns;
        assert_true(share->kept_samples <= share->n_samples);
        assert_true(share->is_in_view || (share->cpu_ns == 0 && share->n_samples == 0));
        if (!attribution->is_filtered && share->has_own_share) {
            assert_int_equal(share->kept_ns, share->cpu_ns);
            assert_int_equal(share->kept_samples, share->n_samples);
        }
    }
    assert_int_equal(sum.cpu_ns, attribution->totals.cpu_ns);
    assert_int_equal(sum.off_cpu_ns, attribution->totals.off_cpu_ns);
    assert_int_equal(sum.runq_ns, attribution->totals.runq_ns);
    assert_int_equal(sum.samples, attribution->totals.samples);
    assert_int_equal(kept_ns, stacks_ns);
}

/* What is excluded and what is focused are the two halves of one thing. */
static void assert_halves(struct scene *scene, struct random_life *life)
{
    struct attribution whole, without, with;
    char pattern[32], *patterns[] = {pattern};
    scene->view.n_exclude = scene->view.n_focus = 0;
    assert_int_equal(attribution_compute(&scene->context, &whole, &scene->error), 0);
    assert_exact(scene, &whole);
    (void)snprintf(pattern, sizeof(pattern), "LIFE+0x%u", (unsigned int)random_life_below(life, 8));
    scene->view.n_exclude = 1;
    scene->view.exclude = patterns;
    assert_int_equal(attribution_compute(&scene->context, &without, &scene->error), 0);
    assert_exact(scene, &without);
    scene->view.n_exclude = 0;
    scene->view.n_focus = 1;
    scene->view.focus = patterns;
    assert_int_equal(attribution_compute(&scene->context, &with, &scene->error), 0);
    assert_exact(scene, &with);
    assert_int_equal(with.totals.samples + without.totals.samples, whole.totals.samples);
    assert_int_equal(with.totals.cpu_ns + without.totals.cpu_ns, whole.totals.cpu_ns);
    assert_int_equal(whole.unsampled_ns, without.unsampled_ns);
    for (stack_id id = 0; id < scene->snapshot->n_stacks; id++) {
        assert_int_equal(with.stack_ns[id] + without.stack_ns[id], whole.stack_ns[id]);
        assert_true(with.stack_ns[id] == 0 || without.stack_ns[id] == 0);
    }
    /* Both at once leave nothing. */
    scene->view.n_exclude = 1;
    assert_int_equal(attribution_compute(&scene->context, &whole, &scene->error), 0);
    assert_exact(scene, &whole);
    assert_int_equal(whole.totals.samples, 0);
    assert_int_equal(whole.totals.cpu_ns, 0);
    scene->view.n_exclude = scene->view.n_focus = 0;
    scene->view.exclude = scene->view.focus = NULL;
}

static void choose_range(struct scene *scene, struct random_life *life)
{
    uint64_t length_ns = scene->snapshot->now_ns - scene->snapshot->start_ns;
    uint64_t from_ns = random_life_below(life, length_ns);
    uint64_t to_ns = from_ns + 1 + random_life_below(life, length_ns - from_ns);
    scene->view.has_from = random_life_below(life, 4) > 0;
    scene->view.has_to = random_life_below(life, 4) > 0;
    scene->view.from_ns = (int64_t)from_ns;
    scene->view.to_ns = (int64_t)to_ns;
}

static void try_views(struct scene *scene, struct random_life *life)
{
    int64_t tids[3];
    for (unsigned int i = 0; i < 12; i++) {
        scene_ask_anew(scene);
        if (i % 2) {
            choose_range(scene, life);
        }
        if (i % 3 == 0) {
            scene->view.tids = tids;
            scene->view.n_tids = 1 + (size_t)random_life_below(life, 3);
            for (size_t k = 0; k < 3; k++) {
                tids[k] = TEST_PID + (int64_t)random_life_below(life, life->n_threads);
            }
        }
        assert_halves(scene, life);
    }
    scene->view.tids = NULL;
    scene->view.n_tids = 0;
}

static void all_sums_are_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct scene scene;
        bool has_no_switches = seed % 5 == 0;
        scene_begin(&scene, false, has_no_switches);
        /* From threads that all have samples of their own to many that nobody met. */
        struct random_life life = {
            .state = seed,
            .n_threads = 2 + (unsigned int)(seed * 7) % 60,
            .sample_pct = (unsigned int)(seed * 13) % 80,
            .has_switches = !has_no_switches,
        };
        random_life_play(&life, scene.aggregate, 4000);
        if (seed % 2) {
            aggregate_end(scene.aggregate, life.now_ns + 1000);
        }
        scene_freeze(&scene, life.now_ns + 1000);
        scene.snapshot->n_kernel_samples = seed % 3; /* samples weigh differently or alike */
        try_views(&scene, &life);

        /* The whole run is what the threads' own sums say. */
        scene_ask_anew(&scene);
        struct attribution attribution;
        assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
        uint64_t cpu_ns = 0;
        for (size_t i = 0; i < scene.snapshot->n_threads; i++) {
            cpu_ns += scene.snapshot->threads[i].cpu_ns;
        }
        assert_int_equal(attribution.totals.cpu_ns, cpu_ns);
        assert_int_equal(attribution.totals.samples, life.n_samples);
        scene_end(&scene);
    }
}

/* A range cut in two holds together what it holds as one. */
static void ranges_add_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct scene scene;
        scene_begin(&scene, false, false);
        struct random_life life = {
            .state = seed, .n_threads = 6, .sample_pct = 30, .has_switches = true};
        random_life_play(&life, scene.aggregate, 3000);
        scene_freeze(&scene, life.now_ns);
        uint64_t length_ns = scene.snapshot->now_ns - scene.snapshot->start_ns;
        for (int i = 0; i < 20; i++) {
            struct attribution whole, parts[2];
            uint64_t cut_ns = 1 + random_life_below(&life, length_ns - 1);
            scene_ask_anew(&scene);
            assert_int_equal(attribution_compute(&scene.context, &whole, &scene.error), 0);
            scene.view.has_to = true;
            scene.view.to_ns = (int64_t)cut_ns;
            assert_int_equal(attribution_compute(&scene.context, &parts[0], &scene.error), 0);
            scene.view = (struct view){.has_from = true, .from_ns = (int64_t)cut_ns};
            assert_int_equal(attribution_compute(&scene.context, &parts[1], &scene.error), 0);
            assert_int_equal(parts[0].totals.cpu_ns + parts[1].totals.cpu_ns, whole.totals.cpu_ns);
            assert_int_equal(parts[0].totals.off_cpu_ns + parts[1].totals.off_cpu_ns,
                             whole.totals.off_cpu_ns);
            assert_int_equal(parts[0].totals.runq_ns + parts[1].totals.runq_ns,
                             whole.totals.runq_ns);
            /* The sample of the last instant is outside: [from, to). */
            assert_in_range(parts[0].totals.samples + parts[1].totals.samples,
                            whole.totals.samples - 1, whole.totals.samples);
        }
        scene_end(&scene);
    }
}

/* Who asks for no stacks is told the same of threads and totals. */
static void threads_are_the_same_without_stacks(void **state)
{
    (void)state;
    char pattern[] = "0x1", *patterns[] = {pattern};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct scene scene;
        struct random_life life = {
            .state = seed, .n_threads = 6, .sample_pct = 30, .has_switches = true};
        scene_begin(&scene, false, false);
        random_life_play(&life, scene.aggregate, 2000);
        scene_freeze(&scene, life.now_ns);
        const struct view views[] = {
            {0},
            {.has_to = true, .to_ns = 20000},
            {.n_focus = 1, .focus = patterns},
            {.has_from = true, .from_ns = 20000, .n_exclude = 1, .exclude = patterns},
        };
        for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++) {
            struct attribution whole, threads;
            scene_ask_anew(&scene);
            scene.view = views[i];
            assert_int_equal(attribution_compute(&scene.context, &whole, &scene.error), 0);
            assert_false(attribution_compute_threads(&scene.context, &threads, NULL));
            assert_memory_equal(&threads.totals, &whole.totals, sizeof(whole.totals));
            for (size_t thread = 0; thread < scene.snapshot->n_threads; thread++) {
                struct thread_share share = threads.threads[thread];
                share.kept_ns = whole.threads[thread].kept_ns; /* of stacks */
                assert_memory_equal(&share, &whole.threads[thread], sizeof(share));
            }
        }
        scene_end(&scene);
    }
}

/* ---- times and refusals ---- */

static void small_scene(struct scene *scene)
{
    scene_begin(scene, false, false);
    tell_mapped(scene->aggregate, 5000, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t ip = 0x1000;
    tell_in(scene->aggregate, 5000, 1);
    for (uint64_t i = 0; i < 10; i++) {
        tell_sample(scene->aggregate, 5000 + 100 * i, 1, &ip, 1);
    }
    scene_freeze(scene, 6000);
}

static void times_count_from_either_end(void **state)
{
    (void)state;
    const struct {
        struct view view;
        uint64_t from_ns, to_ns, n_samples;
    } cases[] = {
        {{0}, 0, 1000, 10},
        {{.has_from = true, .from_ns = 100}, 100, 1000, 9},
        {{.has_to = true, .to_ns = 100}, 0, 100, 1},
        {{.has_from = true, .has_to = true, .from_ns = 200, .to_ns = 500}, 200, 500, 3},
        {{.has_from = true, .from_ns = -300}, 700, 1000, 3},
        {{.has_to = true, .to_ns = -300}, 0, 700, 7},
        {{.has_from = true, .from_ns = -5000}, 0, 1000, 10},
        {{.has_from = true, .from_ns = INT64_MIN}, 0, 1000, 10},
        {{.has_to = true, .to_ns = INT64_MAX}, 0, 1000, 10},
    };
    struct scene scene;
    small_scene(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct attribution attribution;
        scene_ask_anew(&scene);
        scene.view = cases[i].view;
        assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
        assert_int_equal(attribution.echo.from_ns, cases[i].from_ns);
        assert_int_equal(attribution.echo.to_ns, cases[i].to_ns);
        assert_int_equal(attribution.from_ns, 5000 + cases[i].from_ns);
        assert_int_equal(attribution.totals.samples, cases[i].n_samples);
        assert_int_equal(attribution.totals.cpu_ns, cases[i].to_ns - cases[i].from_ns);
    }
    scene_end(&scene);
}

static void views_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static char broken[] = "/(/", *patterns[65];
    for (size_t i = 0; i < 65; i++) {
        patterns[i] = broken;
    }
    static int64_t stranger = 4711;
    const struct {
        struct view view;
        const char *code, *message_part;
    } cases[] = {
        {{.has_from = true, .from_ns = 1000}, "invalid_params", "range is empty"},
        {{.has_from = true, .has_to = true, .from_ns = 500, .to_ns = 500},
         "invalid_params",
         "range is empty"},
        {{.has_from = true, .has_to = true, .from_ns = 500, .to_ns = 400},
         "invalid_params",
         "range is empty"},
        {{.has_to = true, .to_ns = INT64_MIN}, "invalid_params", "range is empty"},
        {{.n_tids = 1, .tids = &stranger}, "not_found", "4711"},
        {{.n_focus = 1, .focus = patterns}, "invalid_params", "regular expression"},
        {{.n_exclude = 1, .exclude = patterns}, "invalid_params", "regular expression"},
        {{.n_exclude = 65, .exclude = patterns}, "invalid_params", "65 patterns"},
    };
    struct scene scene;
    small_scene(&scene);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct attribution attribution;
        scene_ask_anew(&scene);
        scene.view = cases[i].view;
        assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), -EINVAL);
        assert_string_equal(scene.error.code, cases[i].code);
        assert_non_null(strstr(scene.error.message, cases[i].message_part));
    }
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    small_scene(&scene);
    unsigned int n_refused = 0;
    char pattern[] = "prog", *patterns[] = {pattern};
    for (size_t max_bytes = 1; max_bytes < 16384; max_bytes += 97) {
        arena_release(&scene.arena);
        arena_init(&scene.arena, max_bytes);
        scene.view = (struct view){.has_from = true, .from_ns = 1, .n_focus = 1, .focus = patterns};
        struct attribution attribution;
        int r = attribution_compute(&scene.context, &attribution, &scene.error);
        assert_true(r == 0 || r == -ENOMEM);
        n_refused += r != 0;
    }
    assert_true(n_refused > 0);
    scene_end(&scene);
}

static void empty_answers_say_what_to_type(void **state)
{
    (void)state;
    struct scene scene;
    struct attribution attribution;
    small_scene(&scene);
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_null(attribution_hint(&scene.context, &attribution));

    char pattern[] = "no such thing", *patterns[] = {pattern};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "no stack matches"));

    scene.view = (struct view){.has_from = true, .from_ns = 950};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "in this range"));
    scene_end(&scene);

    /* From nothing at all, over waiting, to a run too short for a sample. */
    scene_begin(&scene, false, false);
    scene_freeze(&scene, 10);
    scene.context.state = RUN_STATE_RECORDING;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "stax wait"));
    scene.context.state = RUN_STATE_STOPPED;
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "holds no samples"));
    tell_thread(scene.aggregate, 10, 1, EVENT_THREAD_PRESENT, "one");
    scene_freeze(&scene, 20);
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "only waited"));
    tell_in(scene.aggregate, 20, 1);
    scene_freeze(&scene, 30);
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_non_null(strstr(attribution_hint(&scene.context, &attribution), "too short"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_exact_shares),
        cmocka_unit_test(samples_have_their_own_weights),
        cmocka_unit_test(few_samples_are_pooled),
        cmocka_unit_test(many_samples_in_a_moment_are_pooled),
        cmocka_unit_test(time_that_no_sample_met_is_told_apart),
        cmocka_unit_test(short_slices_get_what_the_timer_missed),
        cmocka_unit_test(all_sums_are_exact),
        cmocka_unit_test(ranges_add_up),
        cmocka_unit_test(threads_are_the_same_without_stacks),
        cmocka_unit_test(times_count_from_either_end),
        cmocka_unit_test(views_that_make_no_sense_are_refused),
        cmocka_unit_test(too_little_memory_is_told),
        cmocka_unit_test(empty_answers_say_what_to_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
