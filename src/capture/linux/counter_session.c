/* SPDX-License-Identifier: MIT */
#include "capture/linux/counter_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "capture/linux/perf_session_internal.h"
#include "capture/linux/target_state.h"
#include "decode/perf_abi.h"
#include "sources/perf_open.h"

#define PASSES_MAX 1000

/* Values of counter_session.threads. */
enum { THREAD_GONE, THREAD_OWN };

struct counter_event {
    const char *name;
    uint32_t type;
    uint64_t event;
};

#define CACHE_EVENT(cache, operation, result)                                                      \
    (PERF_COUNT_HW_CACHE_##cache | PERF_COUNT_HW_CACHE_OP_##operation << 8 |                       \
     PERF_COUNT_HW_CACHE_RESULT_##result << 16)

static const struct counter_event hardware[LIMIT_COUNTERS] = {
    [COUNTER_CYCLES] = {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [COUNTER_INSTRUCTIONS] = {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [COUNTER_L1D_MISSES] = {"L1d-misses", PERF_TYPE_HW_CACHE, CACHE_EVENT(L1D, READ, MISS)},
    [COUNTER_BRANCH_MISSES] = {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
};

/*
 * What the kernel counts itself stands in for the processor's counters where
 * a test says so: everything behind the choice of events is the same, also on
 * a machine without a PMU.
 */
static const struct counter_event software[LIMIT_COUNTERS] = {
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
};

/* The same with one of the processor's among them: without a PMU it is missing. */
static const struct counter_event software_gap[LIMIT_COUNTERS] = {
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
};

static const struct {
    const char *setting;
    const struct counter_event *events;
} test_settings[] = {
    {"software", software},
    {"software-each", software}, /* as on a kernel that cannot let threads inherit groups */
    {"software-gap", software_gap},
};

static const char *test_setting(void)
{
    const char *setting = getenv("STAX_TEST_COUNTERS");
    return setting ? setting : "";
}

static const struct counter_event *choose_events(void)
{
    for (size_t i = 0; i < sizeof(test_settings) / sizeof(test_settings[0]); i++) {
        if (strcmp(test_settings[i].setting, test_setting()) == 0) {
            return test_settings[i].events;
        }
    }
    return hardware;
}

static bool is_absent(int negative_errno)
{
    return negative_errno == -ENOENT || negative_errno == -ENODEV || negative_errno == -EOPNOTSUPP;
}

static void explain(int negative_errno, const char *name, const struct host *host, char *ret_reason,
                    size_t reason_bytes, char *ret_fix, size_t fix_bytes)
{
    bool is_refused = negative_errno == -EACCES || negative_errno == -EPERM;
    ret_fix[0] = '\0';
    if (is_absent(negative_errno)) {
        (void)snprintf(ret_reason, reason_bytes, "no hardware PMU: %s: %s", name,
                       strerror(-negative_errno));
    } else if (is_refused) {
        (void)snprintf(ret_reason, reason_bytes, "perf_event_paranoid=%d: %s: %s",
                       host->perf_event_paranoid, name, strerror(-negative_errno));
        (void)snprintf(ret_fix, fix_bytes, "sudo sysctl kernel.perf_event_paranoid=2");
    } else {
        (void)snprintf(ret_reason, reason_bytes, "%s: %s", name, strerror(-negative_errno));
    }
}

/* Any of them, on this thread. Some kernels know no perf_event_paranoid above 2: what the
 * administrator asked for counts, and staxd opens no counters. */
static int try_events(const struct host *host, const struct counter_event *events)
{
    const struct perf_attr_config config = {.exclude_kernel = !host_allows_kernel(host)};
    int first_error = 0;
    if (!host_allows_user(host)) {
        return -EACCES;
    }
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        struct perf_event_attr attr;
        perf_attr_counter(&config, events[slot].type, events[slot].event, &attr);
        int fd = perf_open_any_cpu(&attr, 0);
        if (fd >= 0) {
            fd_close(fd);
            return 0;
        }
        first_error = first_error ? first_error : fd;
    }
    return first_error;
}

void counter_session_probe(const struct host *host, struct capability *ret_capability)
{
    const struct counter_event *events = choose_events();
    int r = try_events(host, events);
    *ret_capability = (struct capability){.is_available = r == 0};
    if (r != 0) {
        explain(r, events[0].name, host, ret_capability->reason, sizeof(ret_capability->reason),
                ret_capability->fix, sizeof(ret_capability->fix));
    }
}

static struct perf_attr_config group_config(const struct capture *capture)
{
    struct perf_attr_config config = capture->attrs;
    config.exclude_kernel = !host_allows_kernel(&capture->host);
    config.inherit_threads = capture->counting.is_inherited;
    config.inherit_children = capture->config.follow_children;
    return config;
}

/* What a launched target does before its own exec is none of its doing. */
static bool awaits_exec(const struct capture *capture, int64_t tid)
{
    return capture->config.is_launched && capture->awaits_exec && tid == capture->config.pid;
}

static int open_leader(struct capture *capture, int64_t tid, int cpu)
{
    struct perf_event_attr attr;
    const struct perf_attr_config config = group_config(capture);
    perf_attr_counter_leader(&config, &attr);
    attr.enable_on_exec = awaits_exec(capture, tid);
    return perf_open(&attr, (pid_t)tid, cpu);
}

/* The first group settles which counters there are; a later one that lacks any of them is none. */
static int open_counters(struct capture *capture, int64_t tid, int cpu, int leader_fd,
                         struct perf_source_set *set)
{
    struct counter_session *session = &capture->counting;
    const struct counter_event *events = choose_events();
    const struct perf_attr_config config = group_config(capture);
    bool is_first = session->n_slots == 0;
    for (uint8_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        struct counter *counter = &session->set.counters[slot];
        if (!is_first && !counter->is_available) {
            continue;
        }
        struct perf_event_attr attr;
        perf_attr_counter(&config, events[slot].type, events[slot].event, &attr);
        int r = perf_open_in_group(&attr, (pid_t)tid, cpu, leader_fd);
        if (r >= 0) {
            r = perf_source_set_adopt(set, r, (pid_t)tid);
        } else if (is_first && r != -ESRCH && r != -EMFILE) {
            (void)snprintf(counter->reason, sizeof(counter->reason), "%s", strerror(-r));
            if (slot == 0) {
                explain(r, events[slot].name, &capture->host, session->set.reason,
                        sizeof(session->set.reason), session->set.fix, sizeof(session->set.fix));
            }
            continue;
        }
        if (r != 0) {
            return r;
        }
        if (is_first) {
            counter->is_available = true;
            session->slots[session->n_slots++] = slot;
        }
    }
    return session->n_slots > 0 ? 0 : -ENOENT;
}

static void drop_from(struct perf_source_set *set, size_t n_kept)
{
    while (set->n_items > n_kept) {
        fd_close(set->items[--set->n_items].fd);
    }
}

/* A group of a thread on one CPU, all of it or nothing. */
static int open_group(struct capture *capture, int64_t tid, size_t cpu_index)
{
    struct perf_sources *sources = &capture->sources;
    struct counter_session *session = &capture->counting;
    struct perf_source_set *set = &sources->counters;
    int cpu = (int)sources->cpus[cpu_index];
    size_t n_before = set->n_items;
    bool is_first = session->n_slots == 0;
    _cleanup_(fd_closep) int leader_fd = open_leader(capture, tid, cpu);
    if (leader_fd == -EINVAL && session->is_inherited) {
        /* Linux before 6.13. */
        session->is_inherited = false;
        leader_fd = open_leader(capture, tid, cpu);
    }
    if (leader_fd < 0) {
        return leader_fd;
    }
    int r = open_counters(capture, tid, cpu, leader_fd, set);
    bool waits = !session->is_started || awaits_exec(capture, tid);
    if (r == 0 && !waits && ioctl(leader_fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
        r = -errno;
    }
    if (r == 0) {
        const struct perf_source_tag tag = {.format = PERF_FORMAT_COUNTERS, .tid = (pid_t)tid};
        r = perf_sources_adopt(sources, set, cpu_index, &tag, TAKE_FD(leader_fd));
    }
    if (r != 0) {
        drop_from(set, n_before);
        session->n_slots = is_first && r != -ENOENT ? 0 : session->n_slots;
    }
    return r;
}

struct opening {
    struct capture *capture;
    size_t n_new;
};

/* For the groups of one more thread. A quarter of the descriptors stays for all else: whoever asks
 * needs them. */
static bool has_room(const struct perf_sources *sources)
{
    struct rlimit limit = {.rlim_cur = 0};
    size_t n_wanted = sources->n_cpus * (LIMIT_COUNTERS + 1);
    size_t n_open = sources->lasting.n_items + sources->samples.n_items + sources->n_held_fds +
                    sources->counters.n_items;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return sources->counters.n_items + n_wanted <= COUNTER_EVENTS_MAX &&
           n_open + n_wanted <= limit.rlim_cur / 4 * 3;
}

static int open_thread(void *userdata, int64_t tid)
{
    struct opening *opening = userdata;
    struct capture *capture = opening->capture;
    struct perf_sources *sources = &capture->sources;
    struct counter_session *session = &capture->counting;
    if (hash_table_find(&session->threads, (uint64_t)tid) == THREAD_OWN) {
        return 0;
    }
    if (!has_room(sources)) {
        return -EMFILE;
    }
    size_t n_before = sources->counters.n_items;
    for (size_t i = 0; i < sources->n_cpus; i++) {
        int r = sources->ring_fds[i] < 0 ? 0 : open_group(capture, tid, i);
        if (r == -ENODEV && session->n_slots > 0) {
            continue; /* the CPU went offline */
        }
        if (r != 0) {
            drop_from(&sources->counters, n_before);
            /* It ended meanwhile, or became a program that is none of ours. */
            bool is_gone = r == -ESRCH && tid != capture->config.pid;
            return is_gone ? 0 : r;
        }
    }
    opening->n_new++;
    return hash_table_set(&session->threads, (uint64_t)tid, THREAD_OWN);
}

static int open_threads(struct capture *capture)
{
    struct opening opening = {.capture = capture};
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        opening.n_new = 0;
        int r = target_state_each_thread(capture->config.pid, open_thread, &opening);
        if (r != 0 || opening.n_new == 0) {
            return r;
        }
    }
    return 0;
}

/* Threads that have groups are counted all the same. */
static void note_shortfall(struct capture *capture, int negative_errno)
{
    char note[400];
    capture->counting.is_full = true;
    (void)snprintf(note, sizeof(note), "counters: some threads are not counted: %s%s",
                   strerror(-negative_errno),
                   negative_errno == -EMFILE ? " (ulimit -n of stax-server bounds it)" : "");
    perf_session_note(capture, note);
}

static void note_absence(struct capture *capture)
{
    const struct counter_set *set = &capture->counting.set;
    char note[400];
    (void)snprintf(note, sizeof(note), "counters: not available on this host (%s)", set->reason);
    perf_session_note(capture, note);
}

void counter_session_open(struct capture *capture)
{
    struct counter_session *session = &capture->counting;
    const struct counter_event *events = choose_events();
    struct counter_set *set = &session->set;
    hash_table_init(&session->threads);
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        (void)snprintf(set->counters[slot].name, sizeof(set->counters[slot].name), "%s",
                       events[slot].name);
    }
    set->is_wanted = capture->config.with_counters;
    if (!set->is_wanted) {
        return;
    }
    set->is_user_only = !host_allows_kernel(&capture->host);
    session->is_inherited = strcmp(test_setting(), "software-each") != 0;
    int r = host_allows_user(&capture->host) ? open_threads(capture) : -EACCES;
    set->is_available = session->n_slots > 0 && capture->sources.counters.n_items > 0;
    if (!set->is_available) {
        if (set->reason[0] == '\0') {
            explain(r != 0 ? r : -ESRCH, events[0].name, &capture->host, set->reason,
                    sizeof(set->reason), set->fix, sizeof(set->fix));
        }
        log_debug("no counters: %s", set->reason);
        note_absence(capture);
        return;
    }
    set->reason[0] = set->fix[0] = '\0';
    if (r != 0) {
        note_shortfall(capture, r);
    }
}

int counter_session_start(struct capture *capture)
{
    capture->counting.is_started = true;
    return capture->config.is_launched ? 0 : perf_source_set_enable(&capture->sources.counters);
}

void counter_session_release(struct capture *capture)
{
    hash_table_release(&capture->counting.threads);
}

/* Descriptors of threads that have ended. */
static void close_gone(struct capture *capture)
{
    struct counter_session *session = &capture->counting;
    struct perf_source_set *set = &capture->sources.counters;
    size_t n_kept = 0;
    for (size_t i = 0; i < set->n_items; i++) {
        if (hash_table_find(&session->threads, (uint64_t)set->items[i].tag.tid) == THREAD_GONE) {
            fd_close(set->items[i].fd);
        } else {
            set->items[n_kept++] = set->items[i];
        }
    }
    set->n_items = n_kept;
}

void counter_session_tend(struct capture *capture, uint64_t now_ns)
{
    struct counter_session *session = &capture->counting;
    if (!session->set.is_available || session->is_inherited || session->is_full ||
        now_ns - session->looked_at_ns < COUNTER_LOOK_EVERY_NS) {
        return;
    }
    session->looked_at_ns = now_ns;
    close_gone(capture);
    int r = open_threads(capture);
    if (r != 0 && r != -ENOENT && r != -ESRCH) {
        note_shortfall(capture, r);
    }
}

bool counter_session_is_surplus(struct counter_session *session, const struct perf_source_tag *tag,
                                const struct perf_record *record)
{
    bool is_surplus = record->tid != tag->tid &&
                      hash_table_find(&session->threads, (uint64_t)record->tid) == THREAD_OWN;
    session->n_surplus += is_surplus;
    return is_surplus;
}

void counter_session_note(struct counter_session *session, const struct perf_record *record)
{
    uint64_t tid = (uint64_t)record->task.tid;
    if (record->type == PERF_ABI_RECORD_EXIT &&
        hash_table_find(&session->threads, tid) == THREAD_OWN) {
        (void)hash_table_set(&session->threads, tid, THREAD_GONE);
    }
}
