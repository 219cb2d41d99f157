/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "capture/explain.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/broker_client.h"
#include "capture/linux/kernel_walk.h"
#include "capture/linux/perf_session_internal.h"
#include "capture/linux/ready_programs.h"
#include "capture/linux/target_memory.h"
#include "capture/linux/target_state.h"

/* Ring per CPU: what a privileged recording asks for, and what the default mlock allowance holds.
 */
#define RING_PRIVILEGED_BYTES (4u << 20)
#define RING_ORDINARY_BYTES (512u << 10)

#define OUT_OF_STEP_PART 229u

void perf_session_explain(const struct capture *capture, int negative_errno, bool is_ring_trouble,
                          struct error *reterr_error)
{
    const struct explain_facts facts = {
        .pid = capture->config.pid,
        .event_paranoid = capture->host.perf_event_paranoid,
        .mlock_kb = capture->host.mlock_kb,
        .is_privileged = capture->host.is_privileged,
    };
    explain_refusal(negative_errno, is_ring_trouble ? EXPLAIN_MAP_RING : EXPLAIN_OPEN_EVENT, &facts,
                    reterr_error);
}

void perf_session_note(struct capture *capture, const char *note)
{
    for (size_t i = 0; i < capture->n_notes; i++) {
        if (strcmp(capture->notes[i], note) == 0) {
            return;
        }
    }
    if (capture->n_notes < PERF_SESSION_NOTES_MAX) {
        (void)snprintf(capture->notes[capture->n_notes++], sizeof(capture->notes[0]), "%s", note);
    }
}

/* Forgets a wide attempt that did not work out, so that the task way starts clean. */
static int reopen_sources(struct capture *capture, size_t ring_bytes)
{
    wide_session_release(capture);
    perf_sources_release(&capture->sources);
    return perf_sources_init(&capture->sources, capture->broker, ring_bytes);
}

/* The most that one sample may carry here, and what the first ones do. */
static void choose_stack_bytes(struct capture *capture, size_t ring_bytes)
{
    const struct capture_config *config = &capture->config;
    uint32_t most_bytes = stack_size_most(ring_bytes, config->frequency_hz);
    capture->is_adaptive = !config->no_unwind && config->stack_bytes == 0;
    stack_size_init(&capture->stack_size, most_bytes, clock_now_ns());
    if (capture->is_adaptive) {
        capture->attrs.stack_bytes = capture->stack_size.now_bytes;
    } else if (!config->no_unwind) {
        capture->attrs.stack_bytes = stack_size_fixed(config->stack_bytes);
    }
}

/* Children are followed by per-thread events; where they wait can be told all the same. */
static void watch_for_task(struct capture *capture)
{
    if (capture->broker || capture->config.no_off_cpu || !capture->host.is_privileged ||
        !capture->host.can_load_bpf || bpf_programs_check_namespace() != 0 ||
        watch_session_open(capture) != 0) {
        return;
    }
    if (watch_session_start(capture) != 0) {
        watch_session_release(capture);
    }
}

/* Per-thread events; where descriptors do not suffice for samples of their own, without. */
static int open_task(struct capture *capture, size_t ring_bytes, struct error *reterr_error)
{
    watch_for_task(capture);
    int r = task_session_open(capture, reterr_error);
    if (r != -EMFILE || !capture->is_adaptive) {
        return r;
    }
    capture->is_adaptive = false;
    *reterr_error = (struct error){0};
    r = reopen_sources(capture, ring_bytes);
    if (r != 0) {
        error_set_errno(reterr_error, r, "counting the CPUs");
        return r;
    }
    watch_for_task(capture);
    return task_session_open(capture, reterr_error);
}

/*
 * A little longer than asked for. At 900 Hz nine samples would take as long as
 * ten ticks of work that is driven by milliseconds, and meet it at the same
 * nine moments for ever.
 */
static uint64_t sampling_period_ns(uint32_t frequency_hz)
{
    uint64_t period_ns = NS_PER_S / frequency_hz;
    return period_ns + period_ns / OUT_OF_STEP_PART;
}

static int open_events(struct capture *capture, struct error *reterr_error)
{
    size_t ring_bytes = capture->host.is_privileged ? RING_PRIVILEGED_BYTES : RING_ORDINARY_BYTES;
    int r = perf_sources_init(&capture->sources, capture->broker, ring_bytes);
    if (r != 0) {
        error_set_errno(reterr_error, r, "counting the CPUs");
        return r;
    }
    capture->attrs = (struct perf_attr_config){
        .period_ns = sampling_period_ns(capture->config.frequency_hz),
        .no_kernel_frames = capture->config.no_kernel,
        .wakeup_bytes = (uint32_t)(ring_bytes / 4),
    };
    choose_stack_bytes(capture, ring_bytes);
    if (wide_session_is_possible(&capture->host, &capture->config)) {
        r = wide_session_open(capture);
        if (r == 0) {
            capture->is_wide = true;
            return 0;
        }
        log_debug("per-CPU events with filters are not to be had (%s), trying per-thread ones",
                  strerror(-r));
        wide_session_release(capture);
        choose_stack_bytes(capture, ring_bytes);
        r = reopen_sources(capture, ring_bytes);
        if (r != 0) {
            error_set_errno(reterr_error, r, "counting the CPUs");
            return r;
        }
    }
    r = broker_session_open(capture, reterr_error);
    if (r != 0) {
        return r;
    }
    capture->sources.broker = capture->broker;
    return open_task(capture, ring_bytes, reterr_error);
}

static struct capture *session_free(struct capture *capture)
{
    if (capture) {
        wide_session_release(capture);
        counter_session_release(capture);
        sample_swap_release(&capture->swap);
        child_processes_release(&capture->children);
        perf_sources_release(&capture->sources);
        broker_session_close(capture);
        wait_look_free(capture->look);
        event_merge_free(capture->merge);
        free(capture->poll_fds);
        free(capture->running_tids);
        free(capture);
    }
    return NULL;
}

static void session_freep(struct capture **capture)
{
    *capture = session_free(*capture);
}

static ssize_t session_read_memory(struct capture *capture, int64_t pid, uint64_t address,
                                   void *buffer, size_t n_bytes)
{
    if (pid == capture->config.pid) {
        return target_memory_read(pid, capture->config.pidfd, address, buffer, n_bytes);
    }
    /* Without one it could be the memory of anybody who has got the number since. */
    _cleanup_(fd_closep) int pidfd = child_processes_open(&capture->children, pid);
    return pidfd < 0 ? pidfd : target_memory_read(pid, pidfd, address, buffer, n_bytes);
}

static ssize_t read_memory_of(void *userdata, int64_t pid, uint64_t address, void *buffer,
                              size_t n_bytes)
{
    return session_read_memory(userdata, pid, address, buffer, n_bytes);
}

static int open_look(struct capture *capture)
{
    const struct wait_look_config config = {
        .first_only = capture->sched_rings.n_rings > 0,
        .userdata = capture,
        .read_memory = read_memory_of,
    };
    return wait_look_new(&config, &capture->look);
}

static int session_open(const struct capture_config *config, struct event_sink sink,
                        struct capture **ret_capture, struct error *reterr_error)
{
    _cleanup_(session_freep) struct capture *capture = calloc(1, sizeof(*capture));
    if (!capture) {
        error_set_errno(reterr_error, -ENOMEM, "starting to record");
        return -ENOMEM;
    }
    capture->config = *config;
    capture->config.script = NULL;
    capture->sink = sink;
    capture->awaits_exec = config->is_launched;
    capture->sample_filter_fd = capture->outputs_fd = capture->kernel_names_fd = -1;
    capture->sched_program_fd = capture->sched_link_fd = -1;
    child_processes_init(&capture->children);
    host_read(&capture->host);
    /* Task events record from the moment they are opened, so the first instant is before that. */
    capture->first_ns = clock_now_ns();
    capture->wish_bytes = STACK_SIZE_NO_WISH;
    int r = sample_swap_init(&capture->swap);
    if (r != 0) {
        error_set_errno(reterr_error, r, "starting to record");
        return r;
    }
    r = open_events(capture, reterr_error);
    if (r != 0) {
        return r;
    }
    counter_session_open(capture);
    capture->counters.n_events_open = capture->sources.lasting.n_items +
                                      capture->sources.samples.n_items +
                                      capture->sources.counters.n_items;
    capture->counters.stack_bytes_now = capture->attrs.stack_bytes;
    size_t n_cpu_numbers = (size_t)capture->sources.cpus[capture->sources.n_cpus - 1] + 1;
    capture->running_tids = calloc(n_cpu_numbers, sizeof(*capture->running_tids));
    capture->translator = (struct perf_translator){
        .pid = config->pid,
        .is_wide = capture->is_wide,
        .follow_children = config->follow_children,
        .running_tids = capture->running_tids,
        .n_counters = capture->counting.n_slots,
        .n_running_tids = capture->running_tids ? n_cpu_numbers : 0,
    };
    memcpy(capture->translator.counter_slots, capture->counting.slots,
           sizeof(capture->translator.counter_slots));
    r = event_merge_new(capture->sources.n_cpus + capture->sched_rings.n_rings, &capture->merge);
    if (r == 0) {
        capture->poll_fds = calloc(capture->sources.n_cpus + capture->sched_rings.n_rings + 1,
                                   sizeof(*capture->poll_fds));
        r = capture->poll_fds ? 0 : -ENOMEM;
    }
    if (r == 0 && !config->no_off_cpu) {
        r = open_look(capture);
    }
    if (r != 0) {
        error_set_errno(reterr_error, r, "starting to record");
        return r;
    }
    (void)snprintf(capture->description, sizeof(capture->description), "%s, %s",
                   capture->walk      ? "per-CPU events filtered in the kernel, stacks walked there"
                   : capture->is_wide ? "per-CPU events filtered in the kernel"
                   : capture->broker  ? "per-thread events, opened by staxd"
                                      : "per-thread events",
                   capture->excludes_kernel || config->no_kernel ? "user frames only"
                                                                 : "user and kernel frames");
    *ret_capture = TAKE_PTR(capture);
    return 0;
}

/* It may be blocked since before anybody looked. */
static int note_present(void *userdata, int64_t tid)
{
    struct capture *capture = userdata;
    wait_look_note_present(capture->look, capture->config.pid, tid, capture->first_ns);
    return 0;
}

static int session_start(struct capture *capture)
{
    int r = 0;
    if (capture->is_wide) {
        capture->first_ns = clock_now_ns();
        r = wide_session_start(capture);
        if (r == 0) {
            r = perf_source_set_enable(&capture->sources.lasting);
        }
        if (r == 0) {
            r = perf_source_set_enable(&capture->sources.samples);
        }
    }
    if (r == 0) {
        r = counter_session_start(capture);
    }
    sample_swap_begin(&capture->swap, capture->is_wide || capture->config.is_launched,
                      clock_now_ns());
    if (r == 0 && !capture->config.is_launched) {
        r = target_state_emit(capture->config.pid, capture->first_ns, &capture->sink);
        if (r == 0 && capture->look) {
            (void)target_state_each_thread(capture->config.pid, note_present, capture);
        }
    }
    return r;
}

static int session_drain(struct capture *capture, int timeout_ms, enum capture_state *ret_state)
{
    nfds_t n_fds = 0;
    if (capture->config.pidfd >= 0 && !capture->target_is_gone) {
        capture->poll_fds[n_fds++] = (struct pollfd){.fd = capture->config.pidfd, .events = POLLIN};
    }
    nfds_t n_first_ring = n_fds;
    for (size_t i = 0; i < capture->sources.n_cpus; i++) {
        if (capture->sources.ring_fds[i] >= 0) {
            capture->poll_fds[n_fds++] =
                (struct pollfd){.fd = capture->sources.ring_fds[i], .events = POLLIN};
        }
    }
    for (uint32_t cpu = 0; cpu < capture->sched_rings.n_rings; cpu++) {
        capture->poll_fds[n_fds++] =
            (struct pollfd){.fd = capture->sched_rings.fds[cpu], .events = POLLIN};
    }
    int wait_ms = capture->is_wide ? timeout_ms : task_session_timeout_ms(capture, timeout_ms);
    int n_ready = poll(capture->poll_fds, n_fds, wait_ms);
    if (n_ready < 0 && errno != EINTR) {
        return -errno;
    }
    if (n_ready > 0 && n_first_ring == 1 && capture->poll_fds[0].revents) {
        capture->target_is_gone = true;
    }
    if (!capture->is_wide) {
        task_session_tend(capture);
    }
    *ret_state = capture->target_is_gone ? CAPTURE_TARGET_GONE : CAPTURE_RUNNING;
    int r = perf_session_round(capture, false);
    if (!capture->target_is_gone && capture->look) {
        wait_look_round(capture->look, clock_now_ns(), event_merge_batch(capture->merge, 0));
    }
    if (!capture->target_is_gone) {
        sample_swap_tend(capture);
        counter_session_tend(capture, clock_now_ns());
    }
    return r;
}

static int session_stop(struct capture *capture)
{
    if (capture->has_stopped) {
        return 0;
    }
    capture->has_stopped = true;
    perf_source_set_disable(&capture->sources.counters);
    perf_source_set_disable(&capture->sources.samples);
    perf_source_set_disable(&capture->sources.lasting);
    wide_session_stop(capture);
    return perf_session_round(capture, true);
}

static void session_stats(const struct capture *capture, struct capture_stats *ret_stats)
{
    *ret_stats = (struct capture_stats){
        .records_read = capture->counters.records_read,
        .bytes_read = capture->counters.bytes_read,
        .records_foreign = capture->counters.foreign,
        .records_undecodable = capture->counters.undecodable,
        .records_lost = capture->counters.lost,
        .throttles = capture->counters.throttles,
        .events_delivered = capture->counters.delivered,
        .drain_rounds = capture->counters.rounds,
        .drain_cpu_ns = capture->counters.cpu_ns,
        .ring_bytes = capture->sources.ring_bytes,
        .ring_fill_max_bytes = capture->counters.fill_max_bytes,
        .n_rings = capture->sources.n_cpus,
        .n_events_open = capture->counters.n_events_open,
        .merge_late = capture->counters.late,
        .samples_truncated = capture->counters.truncated,
        .samples_read = capture->counters.samples,
        .sample_bytes_read = capture->counters.sample_bytes,
        .samples_with_copy = capture->counters.copies,
        .stack_bytes_copied = capture->counters.copied_bytes,
        .stack_bytes_now = capture->counters.stack_bytes_now,
    };
    watch_session_stats(capture, ret_stats);
}

static size_t session_notes(const struct capture *capture, char (*ret_notes)[400], size_t max_notes)
{
    size_t n_notes = capture->n_notes < max_notes ? capture->n_notes : max_notes;
    memcpy(ret_notes, capture->notes, n_notes * sizeof(*ret_notes));
    return n_notes;
}

static void session_counters(const struct capture *capture, struct counter_set *ret_counters)
{
    *ret_counters = capture->counting.set;
}

static const char *session_describe(const struct capture *capture)
{
    return capture->description;
}

static int session_take_kernel_names(struct capture *capture)
{
    return TAKE_FD(capture->kernel_names_fd);
}

static void session_want_stack_bytes(struct capture *capture, uint32_t n_bytes)
{
    capture->wish_bytes = n_bytes < LIMIT_STACK_COPY_BYTES ? n_bytes : LIMIT_STACK_COPY_BYTES;
}

static void session_set_code(struct capture *capture, const struct code_map *map)
{
    if (capture->walk) {
        kernel_walk_set_code(capture->walk, map);
    }
}

const struct capture_ops capture_linux_ops = {
    .name = "perf",
    .probe = perf_session_probe,
    .prepare = ready_programs_prepare,
    .unprepare = ready_programs_release,
    .open = session_open,
    .start = session_start,
    .drain = session_drain,
    .stop = session_stop,
    .stats = session_stats,
    .notes = session_notes,
    .counters = session_counters,
    .describe = session_describe,
    .free = session_free,
    .take_kernel_names = session_take_kernel_names,
    .want_stack_bytes = session_want_stack_bytes,
    .set_code = session_set_code,
    .read_memory = session_read_memory,
};
