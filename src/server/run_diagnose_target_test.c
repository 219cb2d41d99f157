/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "model/lane.h"
#include "server/run_diagnose_target.h"

struct scene {
    struct lane_totals lanes[2];
    struct snapshot snapshot;
    struct target_ingest_stats ingest;
    struct target_producer_stats producers;
    struct arena arena;
    struct diagnose_counter counters[RUN_DIAGNOSE_TARGET_COUNTERS];
    struct diagnose_lost lost[RUN_DIAGNOSE_TARGET_LOST];
    char *hints[RUN_DIAGNOSE_TARGET_HINTS];
    struct diagnose_result result;
};

static void begin(struct scene *scene)
{
    *scene = (struct scene){0};
    arena_init(&scene->arena, 0);
    scene->snapshot.lanes = scene->lanes;
}

/* Two lanes with ten spans, all of them linked. */
static void begin_well(struct scene *scene)
{
    begin(scene);
    scene->lanes[0] = (struct lane_totals){.n_spans = 7, .states = {[ORIGIN_LINKED] = 7}};
    scene->lanes[1] = (struct lane_totals){.n_spans = 3, .states = {[ORIGIN_LINKED] = 3}};
    scene->snapshot.n_lanes = 2;
    scene->snapshot.n_span_names = 4;
    scene->snapshot.n_spans = 10;
    scene->snapshot.origin_bound_ns = 5000000;
    scene->snapshot.linked_distance =
        (struct distance_figures){.n = 10, .min_ns = 100, .max_ns = 900, .sum_ns = 4000};
    scene->ingest = (struct target_ingest_stats){.n_sources = 1, .n_batches = 2, .n_spans = 10};
}

static void ask(struct scene *scene)
{
    scene->result = (struct diagnose_result){
        .counters = scene->counters, .lost = scene->lost, .hints = scene->hints};
    const struct run_diagnose_target target = {.snapshot = &scene->snapshot,
                                               .ingest = &scene->ingest,
                                               .producers = &scene->producers,
                                               .arena = &scene->arena};
    assert_int_equal(run_diagnose_target(&target, &scene->result), 0);
    assert_true(scene->result.n_counters <= RUN_DIAGNOSE_TARGET_COUNTERS);
    assert_true(scene->result.n_lost <= RUN_DIAGNOSE_TARGET_LOST);
    assert_true(scene->result.n_hints <= RUN_DIAGNOSE_TARGET_HINTS);
}

static uint64_t counter(const struct scene *scene, const char *name)
{
    for (size_t i = 0; i < scene->result.n_counters; i++) {
        assert_string_equal(scene->result.counters[i].room, "target");
        if (strcmp(scene->result.counters[i].name, name) == 0) {
            return scene->result.counters[i].value;
        }
    }
    fail_msg("there is no counter %s", name);
    return 0;
}

/* The trouble has one sentence, and it is the only one. */
static void assert_one_hint(struct scene *scene, const char *part)
{
    ask(scene);
    assert_int_equal(scene->result.n_hints, 1);
    if (!strstr(scene->result.hints[0], part)) {
        fail_msg("\"%s\" does not say \"%s\"", scene->result.hints[0], part);
    }
}

static void a_run_without_spans_is_not_spoken_of(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    ask(&scene);
    assert_int_equal(scene.result.n_counters, 0);
    assert_int_equal(scene.result.n_lost, 0);
    assert_int_equal(scene.result.n_hints, 0);
    arena_release(&scene.arena);
}

static void what_is_well_has_figures_and_no_hint(void **state)
{
    (void)state;
    struct scene scene;
    begin_well(&scene);
    ask(&scene);
    assert_int_equal(scene.result.n_hints, 0);
    assert_int_equal(counter(&scene, "programs"), 1);
    assert_int_equal(counter(&scene, "batches_received"), 2);
    assert_int_equal(counter(&scene, "lanes"), 2);
    assert_int_equal(counter(&scene, "spans"), 10);
    assert_int_equal(counter(&scene, "origins_linked"), 10);
    assert_int_equal(counter(&scene, "origins_missing"), 0);
    assert_int_equal(counter(&scene, "linked_distance_min"), 100);
    assert_int_equal(counter(&scene, "linked_distance_avg"), 400);
    assert_int_equal(counter(&scene, "linked_distance_max"), 900);
    assert_int_equal(counter(&scene, "too_far_distance_avg"), 0);
    arena_release(&scene.arena);
}

static void every_broken_origin_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        enum origin_state state;
        const char *part;
    } cases[] = {
        {ORIGIN_MISSING, "have no origin"},
        {ORIGIN_NO_THREAD, "a thread that this run does not know"},
        {ORIGIN_NO_SAMPLE, "never sampled nor seen to sleep"},
        {ORIGIN_NO_USER_STACK, "only kernel frames"},
        {ORIGIN_TOO_FAR, "(they are 8.0 ms off, 5.0 ms are allowed)"},
        {ORIGIN_SYNTHETIC_TID, "name a lane as their origin"},
        {ORIGIN_WRONG_PID, "a process that is not recorded"},
        {ORIGIN_OUTSIDE_RUN, "before the recording began"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct scene scene;
        begin_well(&scene);
        scene.lanes[0].states[ORIGIN_LINKED] = 5;
        scene.lanes[0].states[cases[i].state] = 2;
        scene.snapshot.too_far_distance = (struct distance_figures){.n = 2, .sum_ns = 16000000};
        assert_one_hint(&scene, cases[i].part);
        assert_memory_equal(scene.result.hints[0], "2 of 10 spans ", 14);
        arena_release(&scene.arena);
    }
}

static void the_main_reason_comes_first(void **state)
{
    (void)state;
    struct scene scene;
    begin_well(&scene);
    scene.lanes[0].states[ORIGIN_WRONG_PID] = 3;
    scene.lanes[1].states[ORIGIN_MISSING] = 1;
    scene.lanes[1].states[ORIGIN_TOO_FAR] = 2;
    scene.lanes[0].states[ORIGIN_PENDING] = 9; /* no trouble yet */
    ask(&scene);
    assert_int_equal(scene.result.n_hints, 3);
    assert_non_null(strstr(scene.result.hints[0], "3 of 10 spans were queued by a process"));
    assert_non_null(strstr(scene.result.hints[1], "2 of 10"));
    assert_non_null(strstr(scene.result.hints[2], "1 of 10 spans have no origin"));
    arena_release(&scene.arena);
}

static void every_loss_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        enum event_spans_lost_cause cause;
        const char *counter, *part;
        bool is_loss; /* else it is refused */
    } cases[] = {
        {EVENT_SPANS_LOST_TARGET_QUEUE, "dropped_target_queue", "ring of their program full", true},
        {EVENT_SPANS_LOST_BAD_DURATION, "dropped_bad_duration", "end before they begin", false},
        {EVENT_SPANS_LOST_OUTSIDE_RUN, "dropped_outside_run", "lie in the future", false},
        {EVENT_SPANS_LOST_MALFORMED, "dropped_malformed", "made no sense", false},
        {EVENT_SPANS_LOST_QUEUE_FULL, "dropped_queue_full", "too little CPU time", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct scene scene;
        begin_well(&scene);
        scene.snapshot.spans_lost[cases[i].cause] = 12;
        assert_one_hint(&scene, cases[i].part);
        assert_memory_equal(scene.result.hints[0], "12 spans ", 9);
        assert_int_equal(counter(&scene, cases[i].counter), 12);
        assert_int_equal(run_diagnose_spans_lost(&scene.snapshot), cases[i].is_loss ? 12 : 0);
        uint64_t n_lost = 0;
        for (size_t k = 0; k < scene.result.n_lost; k++) {
            n_lost += scene.result.lost[k].count;
        }
        assert_int_equal(n_lost, cases[i].is_loss ? 12 : 0);
        arena_release(&scene.arena);
    }
}

static void spans_that_end_after_the_run_are_not_missed(void **state)
{
    (void)state;
    struct scene scene;
    begin_well(&scene);
    scene.snapshot.spans_lost[EVENT_SPANS_LOST_NO_SERVER] = 3;
    ask(&scene);
    assert_int_equal(scene.result.n_hints, 0);
    assert_int_equal(counter(&scene, "dropped_no_server"), 3);
    assert_int_equal(run_diagnose_spans_lost(&scene.snapshot), 0);
    arena_release(&scene.arena);
}

static void silence_and_floods_are_told(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    scene.ingest.n_sources = 2;
    assert_one_hint(&scene, "2 programs with libstax-target are connected, but no span has come");
    arena_release(&scene.arena);

    begin_well(&scene);
    scene.snapshot.n_span_names = LIMIT_SPAN_NAMES;
    assert_one_hint(&scene, "more names of spans than are kept");
    scene.snapshot.n_span_names = 4;
    scene.ingest.n_names_refused = 1;
    assert_one_hint(&scene, "more names of spans than are kept");
    scene.ingest.n_names_refused = 0;
    scene.ingest.n_lanes_refused = 1;
    assert_one_hint(&scene, "more lanes than are kept");
    scene.ingest.n_lanes_refused = 0;
    scene.ingest.n_details_refused = 5;
    assert_one_hint(&scene, "5 counters and attachments");
    scene.ingest.n_details_refused = 0;
    scene.snapshot.start_ns = 1000000000;
    scene.snapshot.spans_folded_until_ns = 2500000000;
    assert_one_hint(&scene, "first 1.5 s are gone");
    arena_release(&scene.arena);
}

static void programs_and_refusals_are_told(void **state)
{
    (void)state;
    struct scene scene;
    begin_well(&scene);
    scene.producers = (struct target_producer_stats){.n_now = 2, .n_ever = 5};
    scene.ingest.n_details[TARGET_RING_COUNTER] = 9;
    ask(&scene);
    assert_int_equal(scene.result.n_hints, 0);
    assert_int_equal(counter(&scene, "programs_connected"), 2);
    assert_int_equal(counter(&scene, "programs_ever"), 5);
    assert_int_equal(counter(&scene, "details_counters"), 9);
    arena_release(&scene.arena);

    begin(&scene);
    scene.ingest.n_children = 2;
    assert_one_hint(&scene, "2 programs that report spans are children of the target");
    assert_int_equal(counter(&scene, "programs_not_recorded"), 2);
    arena_release(&scene.arena);

    /* Also where nothing else is to be told. */
    static const struct {
        enum target_refusal why;
        const char *hint;
    } rows[] = {
        {TARGET_REFUSED_VERSION, "a version that this stax-server does not speak"},
        {TARGET_REFUSED_MEMORY, "its memory was refused"},
        {TARGET_REFUSED_LIMIT, "were connected already"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&scene);
        scene.producers.n_refused[rows[i].why] = 1;
        ask(&scene);
        assert_one_hint(&scene, rows[i].hint);
        arena_release(&scene.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_spans_is_not_spoken_of),
        cmocka_unit_test(what_is_well_has_figures_and_no_hint),
        cmocka_unit_test(every_broken_origin_has_its_sentence),
        cmocka_unit_test(the_main_reason_comes_first),
        cmocka_unit_test(every_loss_has_its_sentence),
        cmocka_unit_test(spans_that_end_after_the_run_are_not_missed),
        cmocka_unit_test(silence_and_floods_are_told),
        cmocka_unit_test(programs_and_refusals_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
