/* SPDX-License-Identifier: MIT */
/*
 * One round of a recording: every ring is read into its batch, and what is old
 * enough is delivered in the order of time.
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "capture/linux/perf_session_internal.h"
#include "decode/perf_abi.h"

/*
 * A record is in its ring within microseconds of its time stamp (both are
 * taken with interrupts off or in one), unless a hypervisor takes the CPU in
 * between; so events this old have no older ones still to come.
 */
#define SETTLE_NS (4 * NS_PER_MS)

/* The exec of a launched target: from here on it is the target and not stax that runs. */
static bool is_own_exec(const struct capture *capture, const struct event *event)
{
    return event->kind == EVENT_IMAGE && event->image->change == EVENT_IMAGE_EXEC &&
           event->pid == capture->config.pid;
}

static int pass_on(struct capture *capture, const struct event *events, size_t n_events)
{
    return n_events ? capture->sink.on_events(capture->sink.userdata, events, n_events) : 0;
}

/* What the merge delivers; drops everything before the exec of a launched target. */
static int on_merged(void *userdata, const struct event *events, size_t n_events)
{
    struct capture *capture = userdata;
    size_t first = 0;
    if (capture->awaits_exec) {
        while (first < n_events && !is_own_exec(capture, &events[first])) {
            first++;
        }
        if (first == n_events) {
            return 0;
        }
        capture->awaits_exec = false;
        struct event opening[2] = {
            {.kind = EVENT_THREAD, .thread = {.change = EVENT_THREAD_PRESENT}},
            {.kind = EVENT_SWITCH_IN, .cpu = events[first].cpu},
        };
        for (size_t i = 0; i < 2; i++) {
            opening[i].time_ns = events[first].time_ns;
            opening[i].pid = opening[i].tid = capture->config.pid;
        }
        int r = pass_on(capture, opening, capture->config.no_off_cpu ? 1 : 2);
        if (r != 0) {
            return r;
        }
    }
    for (size_t i = first; capture->look && i < n_events; i++) {
        wait_look_note(capture->look, &events[i]);
    }
    return pass_on(capture, events + first, n_events - first);
}

static void note_child(struct capture *capture, const struct perf_record *record)
{
    if (record->type == PERF_ABI_RECORD_FORK && record->task.pid != record->task.parent_pid) {
        (void)child_processes_note(&capture->children, record->task.pid, record->time_ns);
    } else if (record->type == PERF_ABI_RECORD_EXIT && record->task.pid == record->task.tid) {
        child_processes_forget(&capture->children, record->task.pid);
    }
}

/* A sample, or a reading of counters, that another one stands for. */
static bool is_surplus(struct capture *capture, const struct perf_record *record)
{
    struct perf_source_tag tag;
    if (!perf_sources_find(&capture->sources, record->identifier, &tag) ||
        tag.format == PERF_FORMAT_SCHED) {
        return false;
    }
    if (tag.format == PERF_FORMAT_COUNTERS) {
        return counter_session_is_surplus(&capture->counting, &tag, record);
    }
    if (sample_swap_is_surplus(&capture->swap, &tag, record)) {
        return true;
    }
    if (!capture->is_wide) {
        sample_swap_note_period(&capture->swap, &tag, record, capture->attrs.period_ns);
    }
    return false;
}

/* One record of a ring; false where it says nothing about the target. */
static bool take_record(struct capture *capture, const void *data, size_t n_bytes,
                        struct event_batch *batch)
{
    const struct perf_formats formats = perf_sources_formats(&capture->sources);
    struct perf_record record;
    int r = perf_record_parse(data, n_bytes, &formats, &record);
    if (r < 0) {
        capture->counters.undecodable++;
    }
    if (r != 0) {
        return false;
    }
    if (record.type == PERF_ABI_RECORD_LOST) {
        capture->counters.lost += record.lost.count;
    } else if (record.type == PERF_ABI_RECORD_THROTTLE) {
        capture->counters.throttles++;
    } else if (record.type == PERF_ABI_RECORD_SAMPLE) {
        if (is_surplus(capture, &record)) {
            return false;
        }
    } else if (!capture->is_wide) {
        sample_swap_note(&capture->swap, &record, capture->config.follow_children);
        if (capture->config.follow_children) {
            note_child(capture, &record);
        }
    }
    if (record.type == PERF_ABI_RECORD_EXIT) {
        counter_session_note(&capture->counting, &record);
    }
    uint64_t n_samples = capture->translator.n_samples;
    int n_events = perf_events_translate(&capture->translator, &record, batch);
    if (capture->translator.n_samples != n_samples) {
        capture->counters.sample_bytes += n_bytes;
    }
    return n_events > 0;
}

/* Returns the time up to which this ring was read completely. */
static uint64_t read_ring(struct capture *capture, size_t index, uint64_t read_at_ns)
{
    struct perf_ring *ring = &capture->sources.rings[index];
    struct event_batch *batch = event_merge_batch(capture->merge, index);
    uint64_t n_records = 0, complete_until_ns = read_at_ns;
    const void *data;
    size_t n_bytes;
    bool is_corrupt = false;
    perf_ring_begin(ring);
    uint64_t first_tail = ring->tail;
    while (event_batch_has_room(batch) && (data = perf_ring_next(ring, &n_bytes, &is_corrupt))) {
        n_records++;
        (void)take_record(capture, data, n_bytes, batch);
    }
    if (ring->tail != ring->head && event_batch_count(batch) > 0) {
        complete_until_ns = event_batch_get(batch, event_batch_count(batch) - 1)->time_ns;
    }
    capture->counters.undecodable += is_corrupt;
    capture->counters.records_read += n_records;
    capture->counters.bytes_read += ring->tail - first_tail;
    if (ring->fill_max_bytes > capture->counters.fill_max_bytes) {
        capture->counters.fill_max_bytes = ring->fill_max_bytes;
    }
    perf_ring_end(ring);
    return complete_until_ns;
}

static uint64_t read_sched_ring(struct capture *capture, uint32_t cpu, uint64_t read_at_ns)
{
    struct sched_rings *rings = &capture->sched_rings;
    struct event_batch *batch = event_merge_batch(capture->merge, capture->sources.n_cpus + cpu);
    uint64_t n_records = rings->n_records, n_bytes = rings->n_bytes,
             n_undecodable = rings->n_undecodable;
    uint64_t complete_until_ns =
        sched_rings_read(rings, cpu, &capture->translator, batch, read_at_ns);
    capture->counters.records_read += rings->n_records - n_records;
    capture->counters.bytes_read += rings->n_bytes - n_bytes;
    capture->counters.undecodable += rings->n_undecodable - n_undecodable;
    if (rings->rings[cpu].fill_max_bytes > capture->counters.fill_max_bytes) {
        capture->counters.fill_max_bytes = rings->rings[cpu].fill_max_bytes;
    }
    return complete_until_ns;
}

static void tell_lost_switches(struct capture *capture, uint64_t now_ns)
{
    uint64_t n_lost = sched_rings_take_lost(&capture->sched_rings);
    if (n_lost == 0) {
        return;
    }
    const struct event event = {
        .kind = EVENT_LOST,
        .time_ns = now_ns - SETTLE_NS,
        .lost = {.cause = EVENT_LOST_RING_FULL, .count = n_lost},
    };
    capture->counters.lost += n_lost;
    (void)event_batch_add(event_merge_batch(capture->merge, capture->sources.n_cpus), &event);
}

/* One pass over all rings. *ret_is_partial: some ring held more than a batch takes. */
static int pass(struct capture *capture, bool is_final, bool *ret_is_partial)
{
    const struct event_sink merged = {.userdata = capture, .on_events = on_merged};
    uint64_t now_ns = clock_now_ns();
    uint64_t until_ns = now_ns;
    for (size_t i = 0; i < capture->sources.n_cpus; i++) {
        if (capture->sources.ring_fds[i] >= 0) {
            uint64_t complete_until_ns = read_ring(capture, i, now_ns);
            until_ns = complete_until_ns < until_ns ? complete_until_ns : until_ns;
        }
    }
    for (uint32_t cpu = 0; cpu < capture->sched_rings.n_rings; cpu++) {
        uint64_t complete_until_ns = read_sched_ring(capture, cpu, now_ns);
        until_ns = complete_until_ns < until_ns ? complete_until_ns : until_ns;
    }
    tell_lost_switches(capture, now_ns);
    *ret_is_partial = until_ns < now_ns;
    if (is_final && !*ret_is_partial) {
        until_ns = UINT64_MAX;
    } else if (!*ret_is_partial) {
        until_ns -= SETTLE_NS;
    }
    return event_merge_deliver(capture->merge, until_ns, &merged);
}

int perf_session_round(struct capture *capture, bool is_final)
{
    uint64_t began_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
    int first_error = 0;
    bool is_partial = true;
    while (is_partial) {
        int r = pass(capture, is_final, &is_partial);
        first_error = first_error ? first_error : r;
    }
    capture->counters.rounds++;
    capture->counters.foreign = capture->translator.n_foreign;
    capture->counters.truncated = capture->translator.n_truncated_stacks;
    capture->counters.samples = capture->translator.n_samples;
    capture->counters.copies = capture->translator.n_copies;
    capture->counters.copied_bytes = capture->translator.copied_bytes;
    capture->counters.delivered = event_merge_delivered(capture->merge);
    capture->counters.late = event_merge_late(capture->merge);
    capture->counters.cpu_ns += clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    return first_error;
}
