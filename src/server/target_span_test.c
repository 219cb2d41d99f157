/* SPDX-License-Identifier: MIT */
/* A run and programs that do what they like: on threads of their own, anything anywhere, without
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "model/lane.h"
#include "server/target_ingest.h"
#include "server/target_test.h"

#define PID 100
#define START_NS UINT64_C(10000000000)

static struct run_ingest *ingest;
static struct target_ingest *target;
static atomic_bool is_over;

/* What the run was told. */
static uint32_t n_lanes, n_names;
static uint64_t n_spans, n_lost;

static int set_up(void **state)
{
    (void)state;
    const struct run_ingest_config queue = {.n_slabs = 64};
    assert_int_equal(run_ingest_new(&queue, &ingest), 0);
    const struct target_ingest_config config = {.pid = PID, .ingest = ingest};
    assert_int_equal(target_ingest_new(&config, &target), 0);
    const struct event first = {.kind = EVENT_THREAD, .pid = PID};
    target_ingest_note(target, &first, 1);
    atomic_store(&is_over, false);
    n_lanes = n_names = 0;
    n_spans = n_lost = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    target = target_ingest_free(target);
    ingest = run_ingest_free(ingest);
    return 0;
}

static void check(const struct event *event)
{
    switch (event->kind) {
    case EVENT_LANE:
        assert_int_equal(event->lane.lane, n_lanes++);
        assert_true(strlen(event->lane.name) < LIMIT_SPAN_NAME_BYTES);
        break;
    case EVENT_SPAN_NAME:
        assert_int_equal(event->span_name.name, ++n_names);
        assert_true(event->span_name.parent < n_names);
        assert_true(strlen(event->span_name.text) < LIMIT_SPAN_NAME_BYTES);
        break;
    case EVENT_SPAN:
        n_spans++;
        assert_true(event->span->lane < n_lanes);
        assert_true(event->span->name > 0 && event->span->name <= n_names);
        assert_true(event->span->end_ns >= event->span->start_ns);
        break;
    case EVENT_SPANS_LOST:
        n_lost += event->spans_lost.count;
        break;
    default:
        fail();
    }
}

static void drain(void)
{
    struct run_slab *slab;
    while ((slab = run_ingest_next(ingest))) {
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            check(event_batch_get(slab->batch, i));
        }
        run_ingest_return(ingest, slab);
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 24;
}

/* Every second write is where it hurts: words of the state, tables, the slots that come next. */
static void *scribble(void *userdata)
{
    struct program *program = userdata;
    uint64_t *words = program->memory, seed = 4711;
    const uint64_t n_words = TARGET_RING_BYTES / sizeof(uint64_t);
    const uint64_t slots = TARGET_RING_SLOTS_OFFSET / sizeof(uint64_t);
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        uint64_t tail =
            __atomic_load_n(&target_ring_control(program->memory)->tail, __ATOMIC_RELAXED);
        uint64_t at = (tail + next_random(&seed) % 16) % TARGET_RING_SLOTS;
        uint64_t value = next_random(&seed) % 70000;
        __atomic_store_n(&words[slots + at * 8 + 1 + next_random(&seed) % 7], value,
                         __ATOMIC_RELAXED);
        __atomic_store_n(&words[slots + at * 8 + 1], TARGET_RING_SPAN | value << 32,
                         __ATOMIC_RELAXED);
        __atomic_store_n(&words[slots + at * 8], tail + 1 + next_random(&seed) % 16,
                         __ATOMIC_RELEASE);
        __atomic_store_n(&words[next_random(&seed) % n_words], next_random(&seed),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&words[(2 * TARGET_RING_PAGE) / 8 + next_random(&seed) % 140000],
                         UINT64_C(1) << 32 | (next_random(&seed) & 3), __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Nothing comes out that makes no sense, and another program's spans all come. */
static void test_a_program_that_scribbles(void **state)
{
    (void)state;
    enum { ROUNDS = 300, EACH = 20 };
    struct program hostile, well;
    pthread_t thread;
    assert_true(program_begin(&hostile, PID));
    assert_true(program_begin(&well, PID));
    target_ingest_begin(target, START_NS);
    target_ingest_offer(target, hostile.producer);
    target_ingest_offer(target, well.producer);
    uint32_t lane = program_lane(&well, "well", LANE_KIND_IO);
    uint32_t name = program_name(&well, 0, "done");
    assert_int_equal(pthread_create(&thread, NULL, scribble, &hostile), 0);
    uint64_t now_ns = START_NS;
    for (int i = 0; i < ROUNDS; i++, now_ns += 5 * NS_PER_MS) {
        for (int k = 0; k < EACH; k++) {
            assert_true(program_span(&well, lane, name, now_ns, now_ns + 1));
        }
        (void)target_ingest_poll(target, now_ns);
        drain();
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    target_ingest_end(target, now_ns);
    run_ingest_end(ingest, now_ns);
    drain();
    assert_true(n_spans >= (uint64_t)ROUNDS * EACH);
    assert_false(program_is_recorded(&well));
    program_end(&hostile);
    program_end(&well);
}

enum { PROGRAMS = 40, SPANS_EACH = 200 };
static struct program programs[PROGRAMS];
static atomic_uint_fast64_t n_reported;

/* The main loop: programs come, report and go, while the run is on. */
static void *come_and_go(void *userdata)
{
    (void)userdata;
    for (int i = 0; i < PROGRAMS; i++) {
        struct program *program = &programs[i];
        bool is_made = program_begin(program, i % 4 == 3 ? PID + 1 : PID);
        target_ingest_offer(target, program->producer);
        uint32_t lane = is_made ? program_lane(program, "lane", LANE_KIND_IO) : 0;
        uint32_t name = is_made ? program_name(program, 0, "name") : 0;
        for (int k = 0; k < SPANS_EACH && program_is_recorded(program); k++) {
            if (program_span(program, lane, name, START_NS, START_NS + 1)) {
                atomic_fetch_add(&n_reported, 1);
            }
        }
        program_leave(program);
        struct target_ingest_stats stats;
        target_ingest_stats(target, &stats);
    }
    atomic_store(&is_over, true);
    return NULL;
}

static void test_programs_come_and_go(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&n_reported, 0);
    target_ingest_begin(target, START_NS);
    assert_int_equal(pthread_create(&thread, NULL, come_and_go, NULL), 0);
    while (!atomic_load(&is_over)) {
        (void)target_ingest_poll(target, START_NS);
        drain();
    }
    pthread_join(thread, NULL);
    target_ingest_end(target, START_NS);
    run_ingest_end(ingest, START_NS);
    drain();
    assert_int_equal(n_spans + n_lost, atomic_load(&n_reported));
    assert_int_equal(atomic_load(&n_reported), PROGRAMS * 3 / 4 * SPANS_EACH);
    assert_int_equal(n_lanes, 1);
    struct target_ingest_stats stats;
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_sources, PROGRAMS * 3 / 4);
    for (int i = 0; i < PROGRAMS; i++) {
        munmap(programs[i].memory, TARGET_RING_BYTES);
        close(programs[i].fd);
        free(programs[i].tables);
    }
}

static void poll(void)
{
    (void)target_ingest_poll(target, START_NS);
    drain();
}

/* A child of the target that is not followed: counted once, however often it connects. */
static void test_children_that_are_not_recorded(void **state)
{
    (void)state;
    struct program child, stranger;
    struct target_ingest_stats stats;
    int blocking[2];
    assert_int_equal(pipe(blocking), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(blocking[1]);
        (void)!read(blocking[0], &byte, 1);
        _exit(0);
    }
    target_ingest_free(target);
    const struct target_ingest_config config = {.pid = getpid(), .ingest = ingest};
    assert_int_equal(target_ingest_new(&config, &target), 0);
    assert_true(program_begin(&child, pid));
    assert_true(program_begin(&stranger, getppid()));
    target_ingest_offer(target, child.producer);
    target_ingest_begin(target, START_NS);
    target_ingest_offer(target, child.producer);
    target_ingest_offer(target, stranger.producer);
    assert_false(program_is_recorded(&child));
    target_ingest_end(target, START_NS);
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_children, 1);
    assert_int_equal(stats.n_sources, 0);
    program_end(&child);
    program_end(&stranger);
    close(blocking[0]);
    close(blocking[1]);
    waitpid(pid, NULL, 0);
}

static struct target_ring_name *names_of(const struct program *program)
{
    uint8_t *memory = program->memory;
    return memory ? (void *)(memory + TARGET_RING_NAMES_OFFSET) : NULL;
}

/* Names that are inside of one another as often as there are names, the outermost of which is not
 * set: one look, however many spans. */
static void test_endless_names(void **state)
{
    (void)state;
    struct program program;
    assert_true(program_begin(&program, PID));
    target_ingest_offer(target, program.producer);
    target_ingest_begin(target, START_NS);
    uint32_t lane = program_lane(&program, "nvtx", LANE_KIND_GENERIC);
    struct target_ring_name *names = names_of(&program);
    if (!names) {
        fail();
        return;
    }
    enum { FIRST = 100, SPANS = 100000, EACH = 50000 };
    for (uint32_t id = FIRST; id < TARGET_RING_NAMES; id++) {
        names[id] = (struct target_ring_name){.is_set = 1, .parent = id - 1};
    }
    for (int i = 0; i < SPANS; i++) {
        uint32_t name = TARGET_RING_NAMES - 1 - (uint32_t)i % 60000;
        assert_true(program_span(&program, lane, name, START_NS, START_NS));
        if (i % EACH == EACH - 1) {
            poll();
        }
    }
    assert_int_equal(n_spans, 0);
    assert_int_equal(n_lost, SPANS);
    /* Too late: a name is set before a span has it. */
    names[FIRST - 1] = (struct target_ring_name){.is_set = 1};
    assert_true(program_span(&program, lane, TARGET_RING_NAMES - 1, START_NS, START_NS));
    assert_true(program_span(&program, lane, FIRST - 1, START_NS, START_NS));
    poll();
    assert_int_equal(n_spans, 0);
    target_ingest_end(target, START_NS);
    program_end(&program);
}

/* A chain as long as the table that has an end: all that is too deep is one "(other)". */
static void test_deepest_names(void **state)
{
    (void)state;
    struct program program;
    assert_true(program_begin(&program, PID));
    target_ingest_offer(target, program.producer);
    target_ingest_begin(target, START_NS);
    uint32_t lane = program_lane(&program, "nvtx", LANE_KIND_GENERIC);
    struct target_ring_name *names = names_of(&program);
    if (!names) {
        fail();
        return;
    }
    for (uint32_t id = 100; id < TARGET_RING_NAMES; id++) {
        names[id] = (struct target_ring_name){.is_set = 1, .parent = id > 100 ? id - 1 : 0};
    }
    assert_true(program_span(&program, lane, TARGET_RING_NAMES - 1, START_NS, START_NS));
    assert_true(program_span(&program, lane, TARGET_RING_NAMES - 2, START_NS, START_NS));
    assert_true(program_span(&program, lane, 100, START_NS, START_NS));
    poll();
    assert_int_equal(n_spans, 3);
    assert_int_equal(n_lost, 0);
    assert_int_equal(n_names, LIMIT_SPAN_DEPTH + 1);
    target_ingest_end(target, START_NS);
    program_end(&program);
}

/* Rings that are full when the run ends: each is read to its end, whatever the others hold. */
static void test_many_full_rings(void **state)
{
    (void)state;
    enum { RINGS = 12 };
    static struct program rings[RINGS];
    target_ingest_begin(target, START_NS);
    for (size_t i = 0; i < RINGS; i++) {
        assert_true(program_begin(&rings[i], PID));
        target_ingest_offer(target, rings[i].producer);
        uint32_t lane = program_lane(&rings[i], "gpu", LANE_KIND_GPU);
        uint32_t name = program_name(&rings[i], 0, "kernel");
        while (program_span(&rings[i], lane, name, START_NS, START_NS + 1)) {
        }
    }
    target_ingest_end(target, START_NS);
    run_ingest_end(ingest, START_NS);
    drain();
    assert_int_equal(n_spans + n_lost, (uint64_t)RINGS * TARGET_RING_SLOTS);
    for (size_t i = 0; i < RINGS; i++) {
        assert_int_equal(target_ring_control(rings[i].memory)->n_taken, TARGET_RING_SLOTS);
        program_end(&rings[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_program_that_scribbles),
        TEST(test_programs_come_and_go),
        TEST(test_children_that_are_not_recorded),
        TEST(test_endless_names),
        TEST(test_deepest_names),
        TEST(test_many_full_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
