/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>
#include <string.h>

#include "query/thread_range.h"

/*
 * The reference remembers every phase of every thread as it is told, and adds
 * up what overlaps; what it knows of a run it knows from the events alone.
 */
#define MAX_PHASES 60000
#define MAX_LIVES 400

enum reference_phase { WAITS, WANTS, RUNS };

struct reference {
    struct {
        uint64_t start_ns, end_ns;
        unsigned int life;
        enum reference_phase phase;
        bool is_out, is_preempted; /* it ended with a switch-out */
    } phases[MAX_PHASES];
    size_t n_phases;
    struct {
        int64_t tid;
        uint64_t start_ns, since_ns, end_ns;
        enum reference_phase phase;
        bool is_known, is_over; /* known: what it does is, not only that it is there */
    } lives[MAX_LIVES];
    unsigned int n_lives;
};

static struct reference reference;

static void close_phase(unsigned int life, enum reference_phase phase, uint64_t now_ns, bool is_out,
                        bool is_preempted)
{
    assert_true(reference.n_phases < MAX_PHASES);
    size_t at = reference.n_phases++;
    reference.phases[at].start_ns = reference.lives[life].since_ns;
    reference.phases[at].end_ns = now_ns;
    reference.phases[at].life = life;
    reference.phases[at].phase = phase;
    reference.phases[at].is_out = is_out;
    reference.phases[at].is_preempted = is_preempted;
    reference.lives[life].since_ns = now_ns;
    reference.lives[life].is_known = true;
}

static unsigned int add_life(int64_t tid, uint64_t now_ns, bool is_born)
{
    assert_true(reference.n_lives < MAX_LIVES);
    unsigned int life = reference.n_lives++;
    memset(&reference.lives[life], 0, sizeof(reference.lives[life]));
    reference.lives[life].tid = tid;
    reference.lives[life].start_ns = reference.lives[life].since_ns = now_ns;
    reference.lives[life].phase = is_born ? WANTS : WAITS;
    reference.lives[life].is_known = is_born;
    return life;
}

/* A wait ends; as often as not somebody tells that the thread was woken before, if not always at a
 * moment that makes sense. */
static void wake(struct aggregate *aggregate, struct random_life *chance, unsigned int life,
                 uint64_t now_ns)
{
    uint64_t since_ns = reference.lives[life].since_ns;
    uint64_t told_ns = 0;
    if (random_life_below(chance, 2) == 0) {
        told_ns = now_ns - random_life_below(chance, now_ns - since_ns + 1);
        told_ns += random_life_below(chance, 20) == 0 ? 5 * TEST_MS : 0;
        told_ns -= random_life_below(chance, 20) == 0 ? 5 * TEST_MS : 0;
        uint64_t wake_ns = told_ns < since_ns ? since_ns : told_ns;
        close_phase(life, WAITS, wake_ns < now_ns ? wake_ns : now_ns, false, false);
        reference.lives[life].phase = WANTS;
    }
    close_phase(life, reference.lives[life].phase, now_ns, false, false);
    tell_woken(aggregate, now_ns, reference.lives[life].tid, told_ns, EVENT_NO_WAKER);
}

/* One thing happens to one life, to the reference and to the aggregate alike. */
static void step(struct aggregate *aggregate, struct random_life *chance, uint64_t now_ns)
{
    unsigned int life = (unsigned int)random_life_below(chance, reference.n_lives);
    int64_t tid = reference.lives[life].tid;
    uint64_t choice = random_life_below(chance, 100);
    if (choice == 0 && reference.n_lives < MAX_LIVES) {
        int64_t new_tid = TEST_PID + reference.n_lives;
        add_life(new_tid, now_ns, true);
        tell_thread(aggregate, now_ns, new_tid, EVENT_THREAD_BORN, NULL);
        return;
    }
    if (reference.lives[life].is_over) {
        return;
    }
    bool runs = reference.lives[life].phase == RUNS;
    /* A thread that ran when it was attached to is met by a sample soon; so do not wait for long.
     */
    bool is_new = !reference.lives[life].is_known &&
                  now_ns - reference.lives[life].start_ns < STORED_SLICE_MAX_NS;
    if (choice == 1) {
        close_phase(life, reference.lives[life].phase, now_ns, false, false);
        reference.lives[life].is_over = true;
        reference.lives[life].end_ns = now_ns;
        tell_thread(aggregate, now_ns, tid, EVENT_THREAD_GONE, NULL);
    } else if (runs || (is_new && choice < 50)) {
        bool is_preempted = random_life_below(chance, 2);
        close_phase(life, RUNS, now_ns, true, is_preempted);
        reference.lives[life].phase = is_preempted ? WANTS : WAITS;
        tell_out(aggregate, now_ns, tid, is_preempted);
    } else {
        if (reference.lives[life].phase == WAITS) {
            wake(aggregate, chance, life, now_ns);
        } else {
            close_phase(life, reference.lives[life].phase, now_ns, false, false);
            tell_in(aggregate, now_ns, tid);
        }
        reference.lives[life].phase = RUNS;
    }
}

/* What is open goes on to the end. */
static void finish_reference(uint64_t end_ns)
{
    for (unsigned int life = 0; life < reference.n_lives; life++) {
        if (!reference.lives[life].is_over) {
            close_phase(life, reference.lives[life].phase, end_ns, false, false);
        }
    }
}

static uint64_t overlap_ns(uint64_t start_ns, uint64_t end_ns, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t first_ns = start_ns > from_ns ? start_ns : from_ns;
    uint64_t last_ns = end_ns < to_ns ? end_ns : to_ns;
    return last_ns > first_ns ? last_ns - first_ns : 0;
}

static void compare(struct scene *scene, uint64_t from_ns, uint64_t to_ns)
{
    static struct thread_share wanted[MAX_LIVES], shares[MAX_LIVES];
    memset(wanted, 0, sizeof(wanted));
    memset(shares, 0, sizeof(shares));
    for (size_t i = 0; i < reference.n_phases; i++) {
        struct thread_share *share = &wanted[reference.phases[i].life];
        uint64_t length_ns =
            overlap_ns(reference.phases[i].start_ns, reference.phases[i].end_ns, from_ns, to_ns);
        bool ends_inside =
            reference.phases[i].end_ns > from_ns && reference.phases[i].end_ns <= to_ns;
        share->cpu_ns += reference.phases[i].phase == RUNS ? length_ns : 0;
        share->runnable_ns += reference.phases[i].phase == WANTS ? length_ns : 0;
        share->blocked_ns += reference.phases[i].phase == WAITS ? length_ns : 0;
        if (reference.phases[i].is_out && ends_inside) {
            share->n_involuntary += reference.phases[i].is_preempted;
            share->n_voluntary += !reference.phases[i].is_preempted;
        }
    }
    assert_int_equal(scene->snapshot->n_threads, reference.n_lives);
    for (size_t i = 0; i < reference.n_lives; i++) {
        shares[i].is_in_view = i % 5 != 4; /* some are not asked for */
    }
    assert_int_equal(thread_range_compute(&scene->context, from_ns, to_ns, shares), 0);
    for (size_t i = 0; i < reference.n_lives; i++) {
        const struct thread_share none = {0};
        const struct thread_share *want = shares[i].is_in_view ? &wanted[i] : &none;
        assert_int_equal(scene->snapshot->threads[i].tid, reference.lives[i].tid);
        assert_int_equal(shares[i].cpu_ns, want->cpu_ns);
        assert_int_equal(shares[i].runnable_ns, want->runnable_ns);
        assert_int_equal(shares[i].blocked_ns, want->blocked_ns);
        assert_int_equal(shares[i].n_voluntary, want->n_voluntary);
        assert_int_equal(shares[i].n_involuntary, want->n_involuntary);
    }
}

/* Ranges of all lengths, also such that begin or end exactly where something happened. */
static void compare_many(struct scene *scene, struct random_life *chance)
{
    uint64_t start_ns = scene->snapshot->start_ns, now_ns = scene->snapshot->now_ns;
    for (int i = 0; i < 150; i++) {
        uint64_t from_ns = start_ns + random_life_below(chance, now_ns - start_ns);
        uint64_t longest_ns = i % 2 ? now_ns - from_ns : 2 * TEST_MS;
        uint64_t to_ns = from_ns + 1 + random_life_below(chance, longest_ns);
        if (i % 3 == 0) {
            from_ns = reference.phases[random_life_below(chance, reference.n_phases)].end_ns;
            to_ns = reference.phases[random_life_below(chance, reference.n_phases)].end_ns;
        }
        if (from_ns < to_ns) {
            scene_ask_anew(scene);
            compare(scene, from_ns, to_ns < now_ns ? to_ns : now_ns);
        }
    }
    compare(scene, start_ns, now_ns);
}

static void play_and_compare(uint64_t seed, bool has_ended)
{
    struct scene scene;
    scene_begin(&scene, false, false);
    memset(&reference, 0, sizeof(reference));
    struct random_life chance = {.state = seed};
    uint64_t now_ns = 5000 * TEST_MS;
    for (int64_t i = 0; i < 6; i++) {
        add_life(TEST_PID + i, now_ns, false);
        tell_thread(scene.aggregate, now_ns, TEST_PID + i, EVENT_THREAD_PRESENT, "present");
    }
    for (int i = 0; i < 3000; i++) {
        now_ns += random_life_below(&chance, 300000);
        now_ns +=
            random_life_below(&chance, 100) == 0 ? random_life_below(&chance, 5000 * TEST_MS) : 0;
        step(scene.aggregate, &chance, now_ns);
    }
    uint64_t end_ns = now_ns + random_life_below(&chance, 3000 * TEST_MS);
    finish_reference(end_ns);
    if (has_ended) {
        aggregate_end(scene.aggregate, end_ns);
    }
    scene_freeze(&scene, end_ns);
    assert_int_equal(scene.snapshot->now_ns, end_ns);
    compare_many(&scene, &chance);
    scene_end(&scene);
}

static void ranges_of_runs_that_ended(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        play_and_compare(seed, true);
    }
}

static void ranges_of_live_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 120; seed++) {
        play_and_compare(seed, false);
    }
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    for (int64_t tid = 1; tid <= 100; tid++) {
        tell_in(scene.aggregate, 1, tid);
    }
    scene_freeze(&scene, 10);
    arena_release(&scene.arena);
    arena_init(&scene.arena, 16);
    static struct thread_share shares[100];
    assert_int_equal(thread_range_compute(&scene.context, 1, 10, shares), -ENOMEM);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_of_runs_that_ended),
        cmocka_unit_test(ranges_of_live_runs),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
