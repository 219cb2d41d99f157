/* SPDX-License-Identifier: MIT */
/* Rings of a real watch of this test; what comes out of them are events. */
#include "capture/linux/sched_rings.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "capture/linux/watch_test.h"

struct fixture {
    struct watch_fixture *watch;
    struct sched_rings rings;
    struct perf_translator translator;
    struct event_batch *batch;
};

static void begin(struct fixture *fixture, uint32_t ring_bytes,
                  const struct event_batch_limits *limits)
{
    *fixture = (struct fixture){
        .watch = watch_begin(&(struct sched_watch_config){.ring_bytes = ring_bytes}),
        .translator = {.pid = getpid(), .is_wide = true},
    };
    uint32_t n_cpus = fixture->watch->config.n_cpus;
    int *ring_fds = calloc(n_cpus, sizeof(*ring_fds));
    assert_non_null(ring_fds);
    for (uint32_t cpu = 0; cpu < n_cpus; cpu++) {
        ring_fds[cpu] = sched_watch_ring(fixture->watch->watch, cpu);
    }
    const struct sched_rings_fds fds = {
        .ring_fds = ring_fds,
        .n_rings = n_cpus,
        .ring_bytes = fixture->watch->config.ring_bytes,
        .lost_fd = sched_watch_lost(fixture->watch->watch),
    };
    assert_int_equal(sched_rings_open(&fds, &fixture->rings), 0);
    assert_int_equal(fixture->rings.n_rings, n_cpus);
    free(ring_fds);
    assert_int_equal(event_batch_new(limits, &fixture->batch), 0);
}

static void end(struct fixture *fixture)
{
    sched_rings_release(&fixture->rings);
    event_batch_free(fixture->batch);
    watch_end(fixture->watch);
}

static void *sleep_often(void *userdata)
{
    const struct timespec duration = {.tv_nsec = 20000};
    *(uint32_t *)userdata = own_tid();
    for (int i = 0; i < 300; i++) {
        nanosleep(&duration, NULL);
    }
    return NULL;
}

static uint32_t sleep_in_a_thread(void)
{
    pthread_t thread;
    uint32_t tid = 0;
    assert_int_equal(pthread_create(&thread, NULL, sleep_often, &tid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return tid;
}

static size_t count_of(const struct event_batch *batch, enum event_kind kind, int64_t tid)
{
    size_t n = 0;
    for (size_t i = 0; i < event_batch_count(batch); i++) {
        const struct event *event = event_batch_get(batch, i);
        n += event->kind == kind && event->tid == tid;
    }
    return n;
}

static void records_become_events(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 0, &(struct event_batch_limits){.n_events = 20000, .n_ips = 400000});
    watch_attach(fixture.watch);
    uint32_t tid = sleep_in_a_thread();
    sched_watch_detach(fixture.watch->watch);
    size_t n_outs = 0, n_ins = 0;
    for (uint32_t cpu = 0; cpu < fixture.rings.n_rings; cpu++) {
        event_batch_clear(fixture.batch);
        assert_int_equal(sched_rings_read(&fixture.rings, cpu, &fixture.translator, fixture.batch,
                                          UINT64_MAX - 7),
                         UINT64_MAX - 7);
        n_outs += count_of(fixture.batch, EVENT_SWITCH_OUT, tid);
        n_ins += count_of(fixture.batch, EVENT_SWITCH_IN, tid);
        for (size_t i = 0; i < event_batch_count(fixture.batch); i++) {
            const struct event *event = event_batch_get(fixture.batch, i);
            assert_int_equal(event->pid, getpid());
            assert_int_equal(event->cpu, cpu);
            assert_true(i == 0 || event_batch_get(fixture.batch, i - 1)->time_ns <= event->time_ns);
        }
    }
    printf("%zu outs, %zu ins of 300 naps; %lu records, %lu bytes\n", n_outs, n_ins,
           fixture.rings.n_records, fixture.rings.n_bytes);
    assert_true(n_outs >= 280 && n_ins >= 280);
    assert_int_equal(fixture.rings.n_undecodable, 0);
    assert_true(fixture.rings.n_bytes >= fixture.rings.n_records * sizeof(struct sched_payload));
    assert_int_equal(sched_rings_take_lost(&fixture.rings), 0);
    end(&fixture);
}

/* More than a batch takes comes in portions, and the time says how far it was read. */
static void a_full_batch_says_up_to_when(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 0, &(struct event_batch_limits){.n_events = 64, .n_ips = 2 * LIMIT_STACK_IPS});
    watch_attach(fixture.watch);
    uint32_t tid = sleep_in_a_thread();
    sched_watch_detach(fixture.watch->watch);
    size_t n_outs = 0, n_portions = 0;
    for (uint32_t cpu = 0; cpu < fixture.rings.n_rings; cpu++) {
        uint64_t until_ns, last_ns = 0;
        do {
            event_batch_clear(fixture.batch);
            until_ns = sched_rings_read(&fixture.rings, cpu, &fixture.translator, fixture.batch,
                                        UINT64_MAX);
            size_t n_events = event_batch_count(fixture.batch);
            n_outs += count_of(fixture.batch, EVENT_SWITCH_OUT, tid);
            assert_true(n_events == 0 || event_batch_get(fixture.batch, 0)->time_ns >= last_ns);
            if (until_ns != UINT64_MAX) {
                assert_int_equal(until_ns, event_batch_get(fixture.batch, n_events - 1)->time_ns);
                /* Still full: nothing more is read, and that is said. */
                assert_int_equal(sched_rings_read(&fixture.rings, cpu, &fixture.translator,
                                                  fixture.batch, UINT64_MAX),
                                 until_ns);
                assert_int_equal(event_batch_count(fixture.batch), n_events);
            }
            last_ns = until_ns;
            n_portions++;
        } while (until_ns != UINT64_MAX);
    }
    printf("%zu outs in %zu portions\n", n_outs, n_portions);
    assert_true(n_outs >= 280);
    assert_true(n_portions > 5);
    end(&fixture);
}

static void what_finds_no_room_is_counted_once(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, (uint32_t)sysconf(_SC_PAGESIZE), &(struct event_batch_limits){0});
    watch_attach(fixture.watch);
    (void)sleep_in_a_thread();
    sched_watch_detach(fixture.watch->watch);
    uint64_t n_lost = watch_lost(fixture.watch);
    assert_true(n_lost > 100);
    assert_int_equal(sched_rings_take_lost(&fixture.rings), n_lost);
    assert_int_equal(sched_rings_take_lost(&fixture.rings), 0);
    end(&fixture);
}

/* A child's byte wakes us: it is told by name, and before anybody asks who it was. */
static void who_is_not_of_the_target_is_named(void **state)
{
    (void)state;
    struct fixture fixture;
    int fds[2];
    char bytes[8];
    begin(&fixture, 0, &(struct event_batch_limits){0});
    assert_int_equal(pipe(fds), 0);
    watch_attach(fixture.watch);
    pid_t child = fork();
    if (child == 0) {
        const struct timespec duration = {.tv_nsec = 5000000};
        prctl(PR_SET_NAME, "an outsider");
        for (size_t i = 0; i < sizeof(bytes); i++) {
            nanosleep(&duration, NULL);
            (void)!write(fds[1], "", 1);
        }
        nanosleep(&(const struct timespec){.tv_sec = 10}, NULL);
        _exit(0);
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(read(fds[0], bytes, 1), 1);
    }
    sched_watch_detach(fixture.watch->watch);
    size_t n_by_child = 0, n_names = 0;
    for (uint32_t cpu = 0; cpu < fixture.rings.n_rings; cpu++) {
        event_batch_clear(fixture.batch);
        (void)sched_rings_read(&fixture.rings, cpu, &fixture.translator, fixture.batch, UINT64_MAX);
        for (size_t i = 0; i < event_batch_count(fixture.batch); i++) {
            const struct event *event = event_batch_get(fixture.batch, i);
            n_by_child += event->kind == EVENT_SWITCH_IN && event->switch_in.waker_tid == child;
            if (event->kind == EVENT_WAKEUP && event->wakeup.waker_tid == child) {
                assert_string_equal(event->wakeup.waker_name, "an outsider");
                assert_int_equal(event->tid, own_tid());
                n_names++;
            }
        }
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(fds[0]);
    close(fds[1]);
    printf("woken %zu times by another process, named %zu times\n", n_by_child, n_names);
    assert_true(n_by_child >= sizeof(bytes) - 2);
    assert_int_equal(n_names, 1);
    end(&fixture);
}

static void what_is_no_ring_is_refused(void **state)
{
    (void)state;
    struct sched_rings rings = {0};
    const int ring_fds[] = {-1};
    const struct sched_rings_fds fds = {
        .ring_fds = ring_fds, .n_rings = 1, .ring_bytes = 4096, .lost_fd = -1};
    assert_int_equal(sched_rings_open(&fds, &rings), -EBADF);
    sched_rings_release(&rings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_become_events),
        cmocka_unit_test(a_full_batch_says_up_to_when),
        cmocka_unit_test(what_finds_no_room_is_counted_once),
        cmocka_unit_test(who_is_not_of_the_target_is_named),
        cmocka_unit_test(what_is_no_ring_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
