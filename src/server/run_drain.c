/* SPDX-License-Identifier: MIT */
#include "server/run_drain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "interchange/import.h"
#include "server/run_internal.h"
#include "server/run_unwind.h"
#include "server/target_ingest.h"
#include "symbols/kallsyms.h"

#define DRAIN_TIMEOUT_MS 20

static void set_phase(struct run *run, enum run_phase phase)
{
    atomic_store_explicit(&run->phase, (int)phase, memory_order_release);
}

static void add_note(struct run *run, const char *text)
{
    if (run->n_notes < RUN_MAX_NOTES) {
        snprintf(run->notes[run->n_notes++], RUN_NOTE_BYTES, "%.*s", RUN_NOTE_BYTES - 1, text);
    }
}

/* The kernel refuses more than this, and lowers it itself when sampling takes too long. */
static uint32_t max_frequency_hz(void)
{
    _cleanup_(freep) char *text = NULL;
    if (fd_read_file("/proc/sys/kernel/perf_event_max_sample_rate", 64, &text, NULL) < 0) {
        return LIMIT_FREQUENCY_HZ;
    }
    unsigned long most = strtoul(text, NULL, 10);
    return most == 0 || most > LIMIT_FREQUENCY_HZ ? LIMIT_FREQUENCY_HZ : (uint32_t)most;
}

static void choose_frequency(struct run *run)
{
    uint32_t most = max_frequency_hz();
    run->frequency_hz = run->request.frequency_hz;
    if (run->frequency_hz > most && !run->import) {
        char note[RUN_NOTE_BYTES];
        snprintf(note, sizeof(note),
                 "sampling at %u Hz instead of %u: kernel.perf_event_max_sample_rate is %u "
                 "(sudo sysctl kernel.perf_event_max_sample_rate=%u)",
                 most, run->frequency_hz, most, run->frequency_hz);
        add_note(run, note);
        run->frequency_hz = most;
    }
}

/* What the backend has to say about itself, now or at the end. Under the lock. */
static void ask_capture(struct run *run)
{
    char notes[RUN_MAX_NOTES][RUN_NOTE_BYTES];
    size_t n_notes = run->ops->notes(run->capture, notes, RUN_MAX_NOTES);
    for (size_t i = 0; i < n_notes && i < RUN_MAX_NOTES; i++) {
        bool is_known = false;
        for (size_t k = 0; k < run->n_notes; k++) {
            is_known = is_known || strcmp(run->notes[k], notes[i]) == 0;
        }
        if (!is_known) {
            add_note(run, notes[i]);
        }
    }
    run->ops->stats(run->capture, &run->stats);
}

static int on_captured(void *userdata, const struct event *events, size_t n_events)
{
    struct run *run = userdata;
    struct event_sink sink = run_ingest_sink(run->ingest);
    if (run->spans) {
        target_ingest_note(run->spans, events, n_events);
    }
    return sink.on_events(sink.userdata, events, n_events);
}

static int open_capture(struct run *run, struct capture **ret_capture)
{
    const struct start_request *request = &run->request;
    if (!request->replay) {
        int r = target_process_open(request->pid, &run->target, &run->error);
        if (r < 0) {
            return r;
        }
    }
    choose_frequency(run);
    const struct capture_config config = {
        .pid = request->pid,
        .pidfd = run->target.pidfd,
        .is_launched = request->launched,
        .follow_children = request->follow_children,
        .no_kernel = request->no_kernel,
        .no_off_cpu = request->no_off_cpu,
        .with_counters = request->counters,
        .no_unwind = request->no_dwarf_unwind,
        .stack_bytes = request->stack_bytes,
        .frequency_hz = run->frequency_hz,
        .daemon_socket = request->daemon_socket,
        .script = request->replay,
    };
    const struct event_sink sink = {.userdata = run, .on_events = on_captured};
    int r = run->ops->open(&config, sink, ret_capture, &run->error);
    if (r < 0 && !error_is_set(&run->error)) {
        error_set_errno(&run->error, r, "opening the capture");
    }
    return r;
}

static int begin(struct run *run)
{
    struct capture *capture = NULL;
    int r = open_capture(run, &capture);
    if (r < 0) {
        return r;
    }
    if (run->import) {
        run->started_at_unix_ns = import_get_facts(run->import)->started_at_unix_ns;
    } else {
        run->started_at_unix_ns = clock_now_unix_ns();
        run->start_ns = clock_now_ns();
        aggregate_begin(run->aggregate, run->start_ns);
    }
    r = run->ops->start(capture);
    if (r < 0) {
        run->ops->free(capture);
        if (r == -ESRCH) {
            error_set(&run->error, "target_gone", "process %lld ended before the recording began",
                      (long long)run->request.pid);
        } else {
            error_set_errno(&run->error, r, "starting the capture");
        }
        return r;
    }
    if (run->spans) {
        target_ingest_begin(run->spans, run->start_ns);
    }
    pthread_mutex_lock(&run->lock);
    run->capture = capture;
    snprintf(run->backend, sizeof(run->backend), "%s", run->ops->describe(capture));
    ask_capture(run);
    pthread_mutex_unlock(&run->lock);
    if (run->ops->counters) {
        run->ops->counters(capture, &run->counters);
    }
    run_unwind_set_capture(run, capture);
    int names_fd = run->ops->take_kernel_names ? run->ops->take_kernel_names(capture) : -1;
    if (names_fd >= 0) {
        kallsyms_lend(names_fd);
    }
    return 0;
}

/* How long drain() may wait, given the time limit; 0 when it is over. */
static int timeout_ms(const struct run *run, uint64_t now_ns)
{
    if (run->request.time_limit_ns == 0) {
        return DRAIN_TIMEOUT_MS;
    }
    uint64_t passed_ns = now_ns - run->start_ns;
    if (passed_ns >= run->request.time_limit_ns) {
        return 0;
    }
    uint64_t left_ms = (run->request.time_limit_ns - passed_ns) / NS_PER_MS + 1;
    return left_ms < DRAIN_TIMEOUT_MS ? (int)left_ms : DRAIN_TIMEOUT_MS;
}

/* Returns how long drain() may wait, other things aside. */
static int take_spans(struct run *run)
{
    int wait_ms = run->spans ? target_ingest_poll(run->spans, clock_now_ns()) : -1;
    return wait_ms >= 0 ? wait_ms : DRAIN_TIMEOUT_MS;
}

static void drain_until_end(struct run *run)
{
    enum capture_state state = CAPTURE_RUNNING;
    int spans_wait_ms = 0; /* the first round may not wait: a program may be there already */
    while (atomic_load_explicit(&run->end, memory_order_acquire) == RUN_END_NONE) {
        uint64_t now_ns = clock_now_ns();
        int wait_ms = timeout_ms(run, now_ns);
        if (wait_ms == 0) {
            run_stop(run, RUN_END_TIME_LIMIT);
            return;
        }
        wait_ms = spans_wait_ms < wait_ms ? spans_wait_ms : wait_ms;
        int r = run->ops->drain(run->capture, wait_ms, &state);
        if (r < 0) {
            pthread_mutex_lock(&run->lock);
            error_set_errno(&run->end_error, r, "draining the capture");
            pthread_mutex_unlock(&run->lock);
            run_stop(run, RUN_END_FAILED);
            return;
        }
        if (state == CAPTURE_TARGET_GONE) {
            run_stop(run, RUN_END_TARGET_EXITED);
            return;
        }
        /* Whatever had happened before this round began has been delivered by it. */
        if (!run->ops->is_recorded) {
            run_ingest_progress(run->ingest, now_ns);
        }
        spans_wait_ms = take_spans(run);
    }
}

static void end_spans(struct run *run)
{
    if (run->spans) {
        target_ingest_end(run->spans, clock_now_ns());
    }
}

static void prepare_next(const struct run *run)
{
    if (run->ops->prepare) {
        run->ops->prepare();
    }
}

/* Everything that a run does when it ends, whatever ended it. */
static void finish(struct run *run)
{
    /* A target that is gone ends its run with its last event; a stop ends it now. */
    bool has_ended_itself = atomic_load(&run->end) == RUN_END_TARGET_EXITED;
    uint64_t end_ns = has_ended_itself ? 0 : clock_now_ns();
    set_phase(run, RUN_PHASE_STOPPING);
    if (run->spans) {
        target_ingest_close(run->spans);
    }
    int r = run->ops->stop(run->capture);
    if (r < 0) {
        log_warn("run %u: stopping the capture: %s", run->id, strerror(-r));
    }
    run_unwind_set_capture(run, NULL);
    pthread_mutex_lock(&run->lock);
    ask_capture(run);
    run->capture = run->ops->free(run->capture);
    pthread_mutex_unlock(&run->lock);
    prepare_next(run);
    target_process_release(&run->target);
    end_spans(run);
    run_ingest_end(run->ingest, end_ns);
}

void *run_drain_main(void *userdata)
{
    struct run *run = userdata;
    run_raise_priority();
    int r = begin(run);
    if (r < 0) {
        target_process_release(&run->target);
        end_spans(run);
        prepare_next(run);
        set_phase(run, RUN_PHASE_FAILED);
        run_ingest_end(run->ingest, 0);
        return NULL;
    }
    set_phase(run, RUN_PHASE_RECORDING);
    run->on_change(run->userdata);
    drain_until_end(run);
    finish(run);
    return NULL;
}
