/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "capture/linux/host.h"
#include "capture/linux/perf_session_internal.h"

/*
 * Real recordings with the kernel's own counters in place of the processor's:
 * a child touches pages, each of which is a page fault that is counted for the
 * thread that did it.
 */
#define THREADS 3
#define READINGS_MAX 100000u
#define PAGE_BYTES 4096u
#define PAGES 256u

struct target {
    pid_t pid;
    int pidfd;
};

/* The last reading of each thread and group. */
struct last {
    uint64_t group;
    int64_t tid;
    struct event_counters reading;
};

struct received {
    size_t n_readings, n_last, n_decreased, n_without_stack, n_foreign;
    uint64_t slots;
    pid_t pid;
    struct last last[256];
};

/* The last thread of them is born when the recording has begun. */
#define LATE (THREADS - 1)

struct shared {
    _Atomic bool may_touch;
    _Atomic bool is_resting[THREADS]; /* it has seen that it may not, and touches nothing */
    _Atomic uint64_t n_touched[THREADS];
    _Atomic int64_t tids[THREADS];
    _Atomic bool may_be_born;
};

struct job {
    struct shared *shared;
    size_t number;
};

/* Faults once for each page, and that alone: a sanitizer's shadow of it would be more pages. */
__attribute__((no_sanitize("thread", "address"))) static void touch(volatile uint8_t *memory)
{
    for (size_t i = 0; i < PAGES; i++) {
        memory[i * PAGE_BYTES] = 1;
    }
}

static void *work(void *userdata)
{
    struct job *job = userdata;
    size_t n_bytes = (size_t)PAGES * PAGE_BYTES;
    uint8_t *memory =
        mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        _exit(1);
    }
    (void)madvise(memory, n_bytes, MADV_NOHUGEPAGE);
    job->shared->tids[job->number] = syscall(SYS_gettid);
    for (;;) {
        job->shared->is_resting[job->number] = !job->shared->may_touch;
        if (job->shared->is_resting[job->number]) {
            usleep(1000);
            continue;
        }
        touch(memory);
        (void)madvise(memory, n_bytes, MADV_DONTNEED); /* as if it were new */
        job->shared->n_touched[job->number] += PAGES;
        usleep(50 * (unsigned)job->number);
    }
    return NULL;
}

static struct target launch(struct shared *shared)
{
    struct target target = {.pid = fork()};
    assert_true(target.pid >= 0);
    if (target.pid == 0) {
        static struct job jobs[THREADS];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        for (size_t i = 0; i < THREADS; i++) {
            pthread_t thread;
            jobs[i] = (struct job){.shared = shared, .number = i};
            while (i == LATE && !shared->may_be_born) {
                usleep(1000);
            }
            (void)pthread_create(&thread, NULL, work, &jobs[i]);
        }
        pause();
        _exit(0);
    }
    target.pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
    assert_true(target.pidfd >= 0);
    return target;
}

static void end(struct target *target)
{
    kill(target->pid, SIGKILL);
    waitpid(target->pid, NULL, 0);
    close(target->pidfd);
}

static void take(struct received *received, const struct event *event)
{
    const struct event_counters *reading = event->counters;
    struct last *last = NULL;
    received->n_readings++;
    received->n_without_stack += event->stack.n_ips == 0;
    received->n_foreign += event->pid != received->pid;
    received->slots |= reading->slots;
    for (size_t i = 0; i < received->n_last && !last; i++) {
        bool is_it =
            received->last[i].group == reading->group && received->last[i].tid == event->tid;
        last = is_it ? &received->last[i] : NULL;
    }
    if (!last) {
        assert_true(received->n_last < sizeof(received->last) / sizeof(received->last[0]));
        last = &received->last[received->n_last++];
        *last = (struct last){.group = reading->group, .tid = event->tid};
    }
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        received->n_decreased += reading->values[slot] < last->reading.values[slot];
    }
    received->n_decreased += reading->running_ns < last->reading.running_ns;
    last->reading = *reading;
}

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    for (size_t i = 0; i < n_events; i++) {
        if (events[i].kind == EVENT_COUNTERS) {
            take(userdata, &events[i]);
        }
    }
    return 0;
}

static uint64_t faults_of(const struct received *received, int64_t tid)
{
    uint64_t n_faults = 0;
    for (size_t i = 0; i < received->n_last; i++) {
        n_faults += received->last[i].tid == tid ? received->last[i].reading.values[0] : 0;
    }
    return n_faults;
}

static void drain_for(struct capture *capture, uint64_t span_ns)
{
    for (uint64_t began_ns = clock_now_ns(); clock_now_ns() < began_ns + span_ns;) {
        enum capture_state state;
        assert_int_equal(capture_linux_ops.drain(capture, 20, &state), 0);
    }
}

static void drain_until_all_rest(struct capture *capture, const struct shared *shared)
{
    for (size_t i = 0; i < THREADS; i++) {
        while (!shared->is_resting[i]) {
            drain_for(capture, NS_PER_S / 100);
        }
    }
}

/* A thread that inherits has its counters at birth; any other has them when it was looked for. */
static void drain_until_late_thread_is_counted(struct capture *capture, const struct shared *shared)
{
    struct counter_session *session = &capture->counting;
    while (session->set.is_available && !session->is_inherited &&
           hash_table_find(&session->threads, (uint64_t)shared->tids[LATE]) == HASH_TABLE_NONE) {
        drain_for(capture, NS_PER_S / 100);
    }
}

/*
 * Records for a while; how far each thread's faults are from what it did, in
 * percent, at most. The threads rest where counting begins and where it ends:
 * how long anything takes then decides nothing.
 */
static double record(const char *setting, bool follows_children, struct received *received,
                     struct counter_set *ret_set)
{
    const struct capture_ops *ops = &capture_linux_ops;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    setenv("STAX_TEST_COUNTERS", setting, 1);
    struct target target = launch(shared);
    struct error error = {0};
    struct capture *capture;
    const struct capture_config config = {
        .pid = target.pid,
        .pidfd = target.pidfd,
        .frequency_hz = 2000,
        .follow_children = follows_children,
        .with_counters = true,
    };
    *received = (struct received){.pid = target.pid};
    const struct event_sink sink = {.userdata = received, .on_events = on_events};
    usleep(50000);
    assert_int_equal(ops->open(&config, sink, &capture, &error), 0);
    assert_int_equal(ops->start(capture), 0);
    shared->may_be_born = true;
    drain_until_all_rest(capture, shared);
    drain_until_late_thread_is_counted(capture, shared);
    shared->may_touch = true;
    drain_for(capture, 2 * NS_PER_S);
    shared->may_touch = false;
    drain_until_all_rest(capture, shared);
    assert_int_equal(ops->stop(capture), 0);
    ops->counters(capture, ret_set);
    ops->free(capture);
    end(&target);
    double worst_pct = 0;
    for (size_t i = 0; i < THREADS && ret_set->is_available; i++) {
        double faults = (double)faults_of(received, shared->tids[i]);
        double touched = (double)shared->n_touched[i];
        double off_pct = 100.0 * (faults - touched) / touched;
        print_message("          thread %zu: %.0f faults, %.0f pages, %+.2f %%\n", i, faults,
                      touched, off_pct);
        double magnitude_pct = off_pct < 0 ? -off_pct : off_pct;
        worst_pct = magnitude_pct > worst_pct ? magnitude_pct : worst_pct;
    }
    munmap(shared, sizeof(*shared));
    return worst_pct;
}

static void assert_counted(const struct received *received, const struct counter_set *set)
{
    assert_true(set->is_wanted && set->is_available);
    assert_string_equal(set->counters[0].name, "page-faults");
    assert_true(received->n_readings > 300 && received->n_readings < READINGS_MAX);
    assert_int_equal(received->n_decreased, 0);
    assert_int_equal(received->n_foreign, 0);
    assert_int_equal(received->slots, 0xf);
    assert_true(received->n_without_stack * 100 <= received->n_readings);
}

static void faults_of_each_thread_are_its_own(void **state)
{
    (void)state;
    struct received received;
    struct counter_set set;
    assert_true(record("software", false, &received, &set) < 1);
    assert_counted(&received, &set);
}

static void events_of_single_threads_have_them_too(void **state)
{
    (void)state;
    struct received received;
    struct counter_set set;
    assert_true(record("software", true, &received, &set) < 1);
    assert_counted(&received, &set);
}

/* As with Linux before 6.13. */
static void threads_that_cannot_inherit_are_found(void **state)
{
    (void)state;
    struct received received;
    struct counter_set set;
    assert_true(record("software-each", false, &received, &set) < 1);
    assert_counted(&received, &set);
}

static void a_host_without_counters_says_so(void **state)
{
    (void)state;
    struct received received;
    struct counter_set set;
    struct capability_set abilities = {.backend = ""};
    setenv("STAX_TEST_COUNTERS", "", 1);
    capture_linux_ops.probe(&abilities);
    const struct capability *counters = &abilities.items[CAPABILITY_COUNTERS];
    if (counters->is_available) {
        print_message("          skipped: this host has counters\n");
        skip();
    }
    assert_true(strlen(counters->reason) > 0);
    (void)record("", false, &received, &set);
    assert_true(set.is_wanted);
    assert_false(set.is_available);
    assert_string_equal(set.reason, counters->reason);
    assert_int_equal(received.n_readings, 0);
    setenv("STAX_TEST_COUNTERS", "software", 1);
    capture_linux_ops.probe(&abilities);
    assert_true(counters->is_available);
}

static void a_counter_that_is_missing_leaves_the_others(void **state)
{
    (void)state;
    struct received received;
    struct counter_set set;
    assert_true(record("software-gap", false, &received, &set) < 1);
    assert_true(set.is_available);
    assert_int_equal(received.n_decreased, 0);
    bool has_pmu = set.counters[1].is_available;
    assert_int_equal(received.slots, has_pmu ? 0xf : 0xd);
    assert_true(has_pmu || strlen(set.counters[1].reason) > 0);
    assert_int_equal(strlen(set.reason), 0);
    for (size_t i = 0; i < received.n_last && !has_pmu; i++) {
        const struct event_counters *reading = &received.last[i].reading;
        assert_int_equal(reading->values[1], 0);
        /* The clock is in its place, behind the gap. */
        assert_true(reading->values[3] * 10 > reading->running_ns * 9);
    }
}

static void nothing_is_counted_unless_it_is_wanted(void **state)
{
    (void)state;
    struct received received = {0};
    struct target target;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    setenv("STAX_TEST_COUNTERS", "software", 1);
    shared->may_touch = true;
    target = launch(shared);
    received.pid = target.pid;
    const struct capture_config config = {
        .pid = target.pid, .pidfd = target.pidfd, .frequency_hz = 900};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    struct capture *capture;
    struct counter_set set;
    struct error error = {0};
    enum capture_state capture_state;
    assert_int_equal(capture_linux_ops.open(&config, sink, &capture, &error), 0);
    assert_int_equal(capture_linux_ops.start(capture), 0);
    usleep(100000);
    assert_int_equal(capture_linux_ops.drain(capture, 20, &capture_state), 0);
    assert_int_equal(capture_linux_ops.stop(capture), 0);
    capture_linux_ops.counters(capture, &set);
    capture_linux_ops.free(capture);
    end(&target);
    munmap(shared, sizeof(*shared));
    assert_false(set.is_wanted);
    assert_false(set.is_available);
    assert_int_equal(received.n_readings, 0);
}

static int may_record(void **state)
{
    (void)state;
    struct host host;
    host_read(&host);
    if (!host_allows_user(&host)) {
        print_message("          skipped: perf_event_paranoid forbids it\n");
        exit(77);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_each_thread_are_its_own),
        cmocka_unit_test(events_of_single_threads_have_them_too),
        cmocka_unit_test(threads_that_cannot_inherit_are_found),
        cmocka_unit_test(a_host_without_counters_says_so),
        cmocka_unit_test(a_counter_that_is_missing_leaves_the_others),
        cmocka_unit_test(nothing_is_counted_unless_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, may_record, NULL);
}
