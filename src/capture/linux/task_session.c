/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/clock.h"
#include "capture/linux/perf_session_internal.h"
#include "capture/linux/target_state.h"

/*
 * Attaching without a gap: threads are listed and opened until a listing brings
 * none that is new. A thread that a covered one gave birth to inherited its
 * events; the FORK record that says so is in a ring before the thread can be
 * seen in /proc for long, and such threads are not opened again.
 */
#define PASSES_MAX 1000
#define FORK_RECORD_DELAY_NS (200 * 1000)

/* Attached to more threads than this, the newborn of the others keep the nominal period. */
#define TENDED_EVENTS_MAX 256u

#define CPU_TIME_EVERY_NS (200 * NS_PER_MS)
#define READ_TOGETHER_NS (20 * NS_PER_US)
#define READ_ATTEMPTS 5

struct opening {
    struct capture *capture;
    struct hash_table covered; /* tid → 1 */
    size_t n_new;
    bool is_ring_trouble;
};

/*
 * Between two threads that inherited the same events the kernel swaps event
 * contexts instead of events. The events that we opened, which we must reach
 * to set what newborn threads inherit, would wander to some other thread and
 * die with it. One event that is not inherited forbids the swap.
 */
static int anchor(struct capture *capture, int64_t tid)
{
    struct perf_event_attr attr;
    perf_attr_anchor(&attr);
    int fd = perf_sources_open_event(&capture->sources, &attr, (pid_t)tid, -1);
    return fd < 0 ? fd : perf_sources_hold(&capture->sources, fd);
}

/* One event of the kind on a thread for each CPU. */
static int open_on_cpus(struct opening *opening, int64_t tid, struct perf_source_set *set,
                        struct perf_source_request *request)
{
    struct perf_sources *sources = &opening->capture->sources;
    request->pid = (pid_t)tid;
    for (size_t i = 0; i < sources->n_cpus; i++) {
        request->cpu_index = i;
        int r = perf_sources_add(sources, set, request, NULL, &opening->is_ring_trouble);
        if (r != 0 && r != -ENODEV) { /* ENODEV: the CPU went offline */
            return r;
        }
    }
    return 0;
}

/* Samples, switches, births and images by the same events: the least work at a context switch. */
static int open_together(struct opening *opening, int64_t tid)
{
    const struct perf_attr_config *attrs = &opening->capture->attrs;
    struct perf_event_attr attr;
    struct perf_source_request request = {
        .attr = &attr,
        .format = perf_attr_samples_format(attrs),
    };
    perf_attr_samples(attrs, true, &attr);
    attr.disabled = 0;
    return open_on_cpus(opening, tid, &opening->capture->sources.samples, &request);
}

/* Samples by events of their own, which can be replaced. */
static int open_apart(struct opening *opening, int64_t tid)
{
    struct capture *capture = opening->capture;
    struct perf_event_attr attr;
    struct perf_source_request request = {.attr = &attr, .format = PERF_FORMAT_NONE};
    perf_attr_side_band(&capture->attrs, &attr);
    attr.disabled = 0;
    int r = open_on_cpus(opening, tid, &capture->sources.lasting, &request);
    if (r != 0) {
        return r;
    }
    perf_attr_samples(&capture->attrs, false, &attr);
    attr.disabled = 0;
    request.format = perf_attr_samples_format(&capture->attrs);
    r = open_on_cpus(opening, tid, &capture->sources.samples, &request);
    return r != 0 ? r : hash_table_set(&capture->swap.threads, (uint64_t)tid, SAMPLE_SWAP_OWN);
}

static int open_thread(void *userdata, int64_t tid)
{
    struct opening *opening = userdata;
    struct capture *capture = opening->capture;
    if (hash_table_find(&opening->covered, (uint64_t)tid) != HASH_TABLE_NONE) {
        return 0;
    }
    int r = anchor(capture, tid);
    if (r != 0) {
        return r == -ESRCH && tid != capture->config.pid ? 0 : r;
    }
    r = capture->is_adaptive ? open_apart(opening, tid) : open_together(opening, tid);
    if (r == -ESRCH && tid != capture->config.pid) {
        return 0; /* the thread ended between listing and opening */
    }
    if (r != 0) {
        return r;
    }
    opening->n_new++;
    return hash_table_set(&opening->covered, (uint64_t)tid, 1);
}

/* Reads the FORK records that are in the rings by now, without consuming anything. */
static int note_inherited(struct opening *opening)
{
    const struct timespec delay = {.tv_nsec = FORK_RECORD_DELAY_NS};
    (void)nanosleep(&delay, NULL);
    struct perf_sources *sources = &opening->capture->sources;
    const struct perf_formats formats = perf_sources_formats(sources);
    for (size_t i = 0; i < sources->n_cpus; i++) {
        if (sources->ring_fds[i] < 0) {
            continue;
        }
        const void *data;
        size_t n_bytes;
        bool is_corrupt;
        struct perf_record record;
        perf_ring_begin(&sources->rings[i]);
        while ((data = perf_ring_next(&sources->rings[i], &n_bytes, &is_corrupt))) {
            if (perf_record_parse(data, n_bytes, &formats, &record) == 0 &&
                perf_record_is_fork(&record)) {
                int r = hash_table_set(&opening->covered, (uint64_t)record.task.tid, 1);
                if (r != 0) {
                    return r;
                }
            }
        }
    }
    return 0;
}

static int open_all(struct opening *opening)
{
    struct capture *capture = opening->capture;
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        opening->n_new = 0;
        int r = target_state_each_thread(capture->config.pid, open_thread, opening);
        if (r != 0) {
            return r;
        }
        if (opening->n_new == 0) {
            return 0;
        }
        r = note_inherited(opening);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* Of the threads that there are now, those that are not in `threads`. */
struct missed {
    struct opening opening;
    struct perf_source_set *set;
    struct hash_table *threads;
    uint8_t generation;
    bool is_enabled;
    size_t n_new;
};

static bool is_known(const struct hash_table *threads, int64_t tid)
{
    uint32_t state = hash_table_find(threads, (uint64_t)tid);
    return state == SAMPLE_SWAP_OWN || state == SAMPLE_SWAP_INHERITED;
}

/* As anchor(), for as long as the events of the set are there. */
static int anchor_in_set(const struct perf_sources *sources, struct perf_source_set *set,
                         int64_t tid)
{
    struct perf_event_attr attr;
    perf_attr_anchor(&attr);
    int fd = perf_sources_open_event(sources, &attr, (pid_t)tid, -1);
    return fd < 0 ? fd : perf_source_set_adopt(set, fd, (pid_t)tid);
}

static int open_missed_thread(void *userdata, int64_t tid)
{
    struct missed *missed = userdata;
    const struct perf_attr_config *attrs = &missed->opening.capture->attrs;
    if (is_known(missed->threads, tid)) {
        return 0;
    }
    struct perf_event_attr attr;
    struct perf_source_request request = {
        .attr = &attr,
        .format = perf_attr_samples_format(attrs),
        .generation = missed->generation,
    };
    perf_attr_samples(attrs, false, &attr);
    attr.disabled = !missed->is_enabled;
    int r = anchor_in_set(&missed->opening.capture->sources, missed->set, tid);
    if (r == 0) {
        r = open_on_cpus(&missed->opening, tid, missed->set, &request);
    }
    if (r == -ESRCH || r == -EACCES || r == -EPERM) {
        return 0; /* it has ended, or become a program that is none of ours */
    }
    if (r != 0) {
        return r;
    }
    missed->n_new++;
    return hash_table_set(missed->threads, (uint64_t)tid, SAMPLE_SWAP_OWN);
}

static int open_missed_process(struct missed *missed, int64_t pid)
{
    int r = target_state_each_thread(pid, open_missed_thread, missed);
    return r == -ENOENT || r == -ESRCH ? 0 : r;
}

static int open_missed(struct missed *missed)
{
    const struct capture *capture = missed->opening.capture;
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        missed->n_new = 0;
        int r = open_missed_process(missed, capture->config.pid);
        for (size_t i = 0; r == 0 && i < capture->swap.n_children; i++) {
            r = open_missed_process(missed, capture->swap.children[i].pid);
        }
        if (r != 0 || missed->n_new == 0) {
            return r;
        }
    }
    return 0;
}

int task_session_open_samples(struct capture *capture, uint8_t generation,
                              struct perf_source_set *set)
{
    struct missed missed = {
        .opening = {.capture = capture},
        .set = set,
        .threads = &capture->swap.next_threads,
        .generation = generation,
    };
    return open_missed(&missed);
}

int task_session_open_missed(struct capture *capture)
{
    struct missed missed = {
        .opening = {.capture = capture},
        .set = &capture->sources.samples,
        .threads = &capture->swap.threads,
        .generation = capture->swap.generation,
        .is_enabled = true,
    };
    return open_missed(&missed);
}

int task_session_open(struct capture *capture, struct error *reterr_error)
{
    struct opening opening = {.capture = capture};
    hash_table_init(&opening.covered);
    capture->attrs.inherit_threads = true;
    capture->attrs.inherit_children = capture->config.follow_children;
    capture->attrs.exclude_kernel = capture->excludes_kernel;
    /* Where programs tell of every switch, its records would tell it twice. */
    capture->attrs.with_switches = !capture->config.no_off_cpu && capture->sched_rings.n_rings == 0;
    birth_period_init(&capture->birth_period, capture->attrs.period_ns, capture->first_ns,
                      (uint32_t)clock_now_ns());
    int r = open_all(&opening);
    if (r != 0) {
        perf_session_explain(capture, r, opening.is_ring_trouble, reterr_error);
    }
    hash_table_release(&opening.covered);
    return r;
}

/* Reads a CPU clock and the time it was read at; fails where something came in between every time.
 */
static bool read_together(clockid_t clock, uint64_t *ret_total_ns, uint64_t *ret_now_ns)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        struct timespec total;
        uint64_t before_ns = clock_now_ns();
        if (clock_gettime(clock, &total) != 0) {
            return false;
        }
        uint64_t after_ns = clock_now_ns();
        if (after_ns - before_ns < READ_TOGETHER_NS) {
            *ret_total_ns = (uint64_t)total.tv_sec * NS_PER_S + (uint64_t)total.tv_nsec;
            *ret_now_ns = before_ns + (after_ns - before_ns) / 2;
            return true;
        }
    }
    return false;
}

/*
 * The kernel's own account of the process: per-thread totals are not to be had
 * in event order, this one is, and it settles how late switch records are.
 */
static void tell_cpu_time(struct capture *capture)
{
    clockid_t clock;
    uint64_t total_ns, now_ns = clock_now_ns();
    if (now_ns - capture->cpu_time_told_at_ns < CPU_TIME_EVERY_NS || capture->config.no_off_cpu ||
        capture->config.follow_children || capture->sched_rings.n_rings > 0 ||
        clock_getcpuclockid((pid_t)capture->config.pid, &clock) != 0 ||
        !read_together(clock, &total_ns, &now_ns)) {
        return;
    }
    capture->cpu_time_told_at_ns = now_ns;
    const struct event event = {
        .kind = EVENT_THREAD,
        .time_ns = now_ns,
        .pid = capture->config.pid,
        .tid = capture->config.pid,
        .thread = {.change = EVENT_THREAD_CPU_TIME, .cpu_time_ns = total_ns},
    };
    (void)event_batch_add(event_merge_batch(capture->merge, 0), &event);
}

/* What newborn threads inherit: only the events that were opened here can be set. */
static void set_birth_periods(struct capture *capture)
{
    struct perf_source_set *set = &capture->sources.samples;
    size_t n_items = set->n_items < TENDED_EVENTS_MAX ? set->n_items : TENDED_EVENTS_MAX;
    uint64_t least_ns =
        stack_size_least_period(capture->sources.ring_bytes, capture->attrs.stack_bytes);
    for (size_t i = 0; i < n_items; i++) {
        struct perf_source *source = &set->items[i];
        uint64_t now_ns = source->period_ns ? source->period_ns : capture->attrs.period_ns;
        uint64_t next_ns = birth_period_draw(&capture->birth_period, least_ns);
        if (source->tag.format != PERF_FORMAT_NONE && next_ns != now_ns &&
            ioctl(source->fd, PERF_EVENT_IOC_PERIOD, &next_ns) == 0) {
            source->period_ns = next_ns;
        }
    }
}

void task_session_tend(struct capture *capture)
{
    tell_cpu_time(capture);
    uint64_t n_births = capture->translator.n_births - capture->n_births_seen;
    capture->n_births_seen = capture->translator.n_births;
    if (birth_period_is_due(&capture->birth_period, n_births, clock_now_ns())) {
        set_birth_periods(capture);
    }
}

int task_session_timeout_ms(const struct capture *capture, int timeout_ms)
{
    uint64_t left_ns = birth_period_left(&capture->birth_period, clock_now_ns());
    uint64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    return left_ns != UINT64_MAX && left_ms < (uint64_t)timeout_ms ? (int)left_ms : timeout_ms;
}
