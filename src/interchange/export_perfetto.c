/* SPDX-License-Identifier: MIT */
/*
 * A Perfetto trace: samples as perf_sample packets, what ran on which CPU as
 * sched_switch events, waits as slices on the track of their thread, spans as
 * slices on tracks of their lanes. The
 * timebase of the samples counts ns of CPU time, as their weights have them.
 *
 * Source: the trace packet reference (protos/perfetto/trace)
 */
#include <errno.h>
#include <stdlib.h>

#include "interchange/export_format.h"
#include "interchange/export_perfetto_code.h"
#include "interchange/export_perfetto_lanes.h"
#include "interchange/export_slices.h"
#include "interchange/perfetto_fields.h"
#include "interchange/protobuf_write.h"

#define NAME_IID_CATEGORY 1u
#define EVENTS_PER_BUNDLE 512u
#define PRIORITY 120    /* what the kernel calls nice 0; nobody told us */
#define STATE_RUNNING 0 /* it could go on */
#define STATE_INTERRUPTIBLE 1
#define IDLE_COMM "swapper"

struct work {
    struct export_job *job;
    struct perfetto_code code;
    struct text packet, inner, event, field;
    uint64_t *cpu_ns; /* by CPU: so much the samples so far stand for */
    size_t n_cpus;
    bool has_begun;
    /* Events of one CPU that go out together. */
    uint32_t bundle_cpu, n_bundled;
};

/* ---- packets ---- */

/* The packet goes out, as one of the only sequence that there is. */
static void put_packet(struct work *work)
{
    uint64_t flags = work->has_begun ? SEQUENCE_NEEDS_STATE : SEQUENCE_STATE_CLEARED;
    protobuf_uint(&work->packet, PACKET_SEQUENCE_ID, 1);
    protobuf_uint(&work->packet, PACKET_SEQUENCE_FLAGS, flags);
    work->has_begun = true;
    protobuf_put(&work->job->sink, TRACE_PACKET, &work->packet);
}

static void put_clock(struct work *work)
{
    const struct run_info *run = work->job->source->run;
    uint64_t start_ns = work->job->context->snapshot->start_ns;
    const struct {
        uint64_t id, time_ns;
    } clocks[] = {
        {CLOCK_ID_BOOTTIME, start_ns}, /* that of the packets */
        {CLOCK_ID_MONOTONIC, start_ns},
        {CLOCK_ID_REALTIME, run ? run->started_at_unix_ns : 0},
    };
    for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
        if (clocks[i].time_ns > 0) {
            text_clear(&work->field);
            protobuf_uint(&work->field, CLOCK_ID, clocks[i].id);
            protobuf_uint(&work->field, CLOCK_TIMESTAMP, clocks[i].time_ns);
            protobuf_message(&work->inner, CLOCK_SNAPSHOT_CLOCKS, &work->field);
        }
    }
    protobuf_uint(&work->packet, PACKET_TIMESTAMP, start_ns);
    protobuf_message(&work->packet, PACKET_CLOCK_SNAPSHOT, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
}

/* What all later packets mean. */
static void put_defaults(struct work *work)
{
    const struct run_info *run = work->job->source->run;
    text_clear(&work->event);
    protobuf_uint(&work->event, TIMEBASE_FREQUENCY, run ? run->frequency_hz : 0);
    protobuf_uint(&work->event, TIMEBASE_COUNTER, COUNTER_SW_CPU_CLOCK);
    protobuf_string(&work->event, TIMEBASE_NAME, "cpu-clock");
    text_clear(&work->field);
    protobuf_message(&work->field, PERF_DEFAULTS_TIMEBASE, &work->event);
    protobuf_message(&work->inner, DEFAULTS_PERF_SAMPLE, &work->field);
    protobuf_message(&work->packet, PACKET_DEFAULTS, &work->inner);
    text_clear(&work->inner);
    text_clear(&work->event);
    put_packet(work);
}

/* ---- names ---- */

static uint64_t thread_uuid(thread_id thread)
{
    return hash_u64(((uint64_t)thread + 1) << 32) | 1;
}

static void put_process(struct work *work, const struct export_thread *thread)
{
    struct text *inner = &work->inner;
    text_clear(&work->field);
    protobuf_uint(&work->field, PROCESS_PID, (uint64_t)thread->pid);
    protobuf_string(&work->field, PROCESS_NAME, export_process_name(work->job, thread));
    protobuf_uint(inner, TRACK_UUID, perfetto_process_uuid(thread->pid));
    protobuf_message(inner, TRACK_PROCESS, &work->field);
    protobuf_message(&work->packet, PACKET_TRACK_DESCRIPTOR, inner);
    text_clear(inner);
    put_packet(work);
}

static void put_threads(struct work *work)
{
    const struct export_shares *shares = &work->job->shares;
    struct text *inner = &work->inner;
    for (size_t i = 0; i < shares->n_threads; i++) {
        const struct export_thread *thread = &shares->threads[i];
        if (i == 0 || thread->pid != thread[-1].pid) {
            put_process(work, thread);
        }
        text_clear(&work->field);
        protobuf_uint(&work->field, THREAD_PID, (uint64_t)thread->pid);
        protobuf_uint(&work->field, THREAD_TID, (uint64_t)thread->tid);
        protobuf_string(&work->field, THREAD_NAME, thread->name);
        protobuf_uint(inner, TRACK_UUID, thread_uuid(thread->thread));
        protobuf_uint(inner, TRACK_PARENT_UUID, perfetto_process_uuid(thread->pid));
        protobuf_message(inner, TRACK_THREAD, &work->field);
        protobuf_message(&work->packet, PACKET_TRACK_DESCRIPTOR, inner);
        text_clear(inner);
        put_packet(work);
    }
}

/* The names of all reasons for a wait, once. */
static void put_reasons(struct work *work)
{
    struct text *inner = &work->inner;
    text_clear(&work->field);
    protobuf_uint(&work->field, NAME_IID, NAME_IID_CATEGORY);
    protobuf_string(&work->field, NAME_TEXT, "off-cpu");
    protobuf_message(inner, INTERNED_EVENT_CATEGORIES, &work->field);
    for (size_t i = 0; i < WAIT_REASON_N; i++) {
        text_clear(&work->field);
        protobuf_uint(&work->field, NAME_IID, i + 1);
        protobuf_string(&work->field, NAME_TEXT, wait_reason_name((enum wait_reason)i));
        protobuf_message(inner, INTERNED_EVENT_NAMES, &work->field);
    }
    protobuf_message(&work->packet, PACKET_INTERNED_DATA, inner);
    text_clear(inner);
    put_packet(work);
}

/* ---- samples ---- */

static uint64_t mode_of(const struct export_job *job, const struct export_row *row)
{
    if (row->stack == STACK_ID_EMPTY) {
        return CPU_MODE_UNKNOWN;
    }
    const struct snapshot *snapshot = job->context->snapshot;
    frame_id frame = snapshot_stack(snapshot, row->stack).frame;
    image_id image = snapshot_frame(snapshot, frame).image;
    return snapshot_image(snapshot, image)->kind == IMAGE_KIND_KERNEL ? CPU_MODE_KERNEL
                                                                      : CPU_MODE_USER;
}

static int put_sample(void *userdata, const struct export_moment *moment)
{
    struct work *work = userdata;
    struct export_job *job = work->job;
    const struct export_thread *thread = export_shares_thread(&job->shares, moment->row->thread);
    uint32_t cpu = moment->sample ? moment->sample->cpu : 0;
    uint64_t callstack = 0;
    int r =
        perfetto_code_callstack(&work->code, moment->row, moment->reason, &work->inner, &callstack);
    if (r != 0) {
        return r;
    }
    if (work->inner.length_bytes > 0) {
        protobuf_message(&work->packet, PACKET_INTERNED_DATA, &work->inner);
        text_clear(&work->inner);
    }
    work->cpu_ns[cpu] += moment->weight_ns;
    protobuf_uint_always(&work->inner, SAMPLE_CPU, cpu);
    protobuf_uint(&work->inner, SAMPLE_PID, (uint64_t)thread->pid);
    protobuf_uint(&work->inner, SAMPLE_TID, (uint64_t)thread->tid);
    protobuf_uint(&work->inner, SAMPLE_CALLSTACK_IID, callstack);
    protobuf_uint(&work->inner, SAMPLE_CPU_MODE, mode_of(job, moment->row));
    protobuf_uint_always(&work->inner, SAMPLE_TIMEBASE_COUNT, work->cpu_ns[cpu]);
    protobuf_uint(&work->packet, PACKET_TIMESTAMP, moment->time_ns);
    protobuf_message(&work->packet, PACKET_PERF_SAMPLE, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
    return 0;
}

/* ---- waits ---- */

static void put_wait_end(struct work *work, uint64_t time_ns, thread_id thread)
{
    protobuf_uint(&work->inner, EVENT_TYPE, EVENT_TYPE_SLICE_END);
    protobuf_uint(&work->inner, EVENT_TRACK_UUID, thread_uuid(thread));
    protobuf_uint(&work->packet, PACKET_TIMESTAMP, time_ns);
    protobuf_message(&work->packet, PACKET_TRACK_EVENT, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
}

static int put_wait(void *userdata, const struct export_moment *moment)
{
    struct work *work = userdata;
    uint64_t callstack = 0;
    if (moment->is_rest) {
        return 0; /* nobody knows when */
    }
    int r =
        perfetto_code_callstack(&work->code, moment->row, moment->reason, &work->inner, &callstack);
    if (r != 0) {
        return r;
    }
    if (work->inner.length_bytes > 0) {
        protobuf_message(&work->packet, PACKET_INTERNED_DATA, &work->inner);
        text_clear(&work->inner);
    }
    protobuf_uint(&work->inner, EVENT_TYPE, EVENT_TYPE_SLICE_BEGIN);
    protobuf_uint(&work->inner, EVENT_TRACK_UUID, thread_uuid(moment->row->thread));
    protobuf_uint(&work->inner, EVENT_CATEGORY_IIDS, NAME_IID_CATEGORY);
    protobuf_uint(&work->inner, EVENT_NAME_IID, (uint64_t)moment->reason + 1);
    if (moment->wait_site) {
        text_clear(&work->field);
        protobuf_string(&work->field, ANNOTATION_NAME, "function");
        protobuf_string(&work->field, ANNOTATION_STRING, moment->wait_site);
        protobuf_message(&work->inner, EVENT_ANNOTATIONS, &work->field);
    }
    protobuf_uint(&work->inner, EVENT_CALLSTACK_IID, callstack);
    protobuf_uint(&work->packet, PACKET_TIMESTAMP, moment->time_ns);
    protobuf_message(&work->packet, PACKET_TRACK_EVENT, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
    put_wait_end(work, moment->end_ns, moment->row->thread);
    return 0;
}

/* ---- what ran where ---- */

static void end_bundle(struct work *work)
{
    if (work->n_bundled == 0) {
        return;
    }
    protobuf_uint_always(&work->inner, BUNDLE_CPU, work->bundle_cpu);
    protobuf_message(&work->packet, PACKET_FTRACE_EVENTS, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
    work->n_bundled = 0;
}

/* From one thread to another; NULL: nobody that is known. */
static void add_switch(struct work *work, uint64_t time_ns, const struct export_thread *from,
                       const struct export_thread *to, int64_t state)
{
    struct text *body = &work->field, *event = &work->event;
    text_clear(body);
    text_clear(event);
    protobuf_string(body, SWITCH_PREV_COMM, from ? from->name : IDLE_COMM);
    protobuf_uint_always(body, SWITCH_PREV_PID, from ? (uint64_t)from->tid : 0);
    protobuf_uint(body, SWITCH_PREV_PRIO, PRIORITY);
    protobuf_uint_always(body, SWITCH_PREV_STATE, (uint64_t)state);
    protobuf_string(body, SWITCH_NEXT_COMM, to ? to->name : IDLE_COMM);
    protobuf_uint_always(body, SWITCH_NEXT_PID, to ? (uint64_t)to->tid : 0);
    protobuf_uint(body, SWITCH_NEXT_PRIO, PRIORITY);
    protobuf_uint(event, FTRACE_TIMESTAMP, time_ns);
    protobuf_uint(event, FTRACE_PID, from ? (uint64_t)from->tid : 0);
    protobuf_message(event, FTRACE_SCHED_SWITCH, body);
    protobuf_message(&work->inner, BUNDLE_EVENT, event);
    text_clear(event);
    work->n_bundled++;
}

static void put_slice(void *userdata, const struct export_slice *slice)
{
    struct work *work = userdata;
    if (work->n_bundled >= EVENTS_PER_BUNDLE || slice->cpu != work->bundle_cpu) {
        end_bundle(work);
        work->bundle_cpu = slice->cpu;
    }
    const struct export_thread *thread = export_shares_thread(&work->job->shares, slice->thread);
    add_switch(work, slice->from_ns, NULL, thread, STATE_RUNNING);
    add_switch(work, slice->to_ns, thread, NULL,
               slice->is_blocked ? STATE_INTERRUPTIBLE : STATE_RUNNING);
}

static int put_slices(struct work *work)
{
    int r = export_slices_visit(&work->job->shares, put_slice, work);
    end_bundle(work);
    return r;
}

static int count_cpus(struct work *work)
{
    const struct snapshot *snapshot = work->job->context->snapshot;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        uint16_t cpu = snapshot_sample(snapshot, i)->cpu;
        work->n_cpus = cpu >= work->n_cpus ? (size_t)cpu + 1 : work->n_cpus;
    }
    work->cpu_ns = calloc(work->n_cpus + 1, sizeof(*work->cpu_ns));
    return work->cpu_ns ? 0 : -ENOMEM;
}

static int write_trace(struct work *work)
{
    struct export_job *job = work->job;
    put_clock(work);
    put_defaults(work);
    put_threads(work);
    put_reasons(work);
    perfetto_code_names(&work->code, &work->inner);
    protobuf_message(&work->packet, PACKET_INTERNED_DATA, &work->inner);
    text_clear(&work->inner);
    put_packet(work);
    int r = put_slices(work);
    r = r ? r : export_shares_visit_samples(&job->shares, put_sample, work);
    r = r ? r : export_shares_visit_waits(&job->shares, put_wait, work);
    return r ? r : perfetto_lanes_write(job);
}

int export_perfetto_write(struct export_job *job)
{
    struct work work = {.job = job};
    struct text *const texts[] = {&work.packet, &work.inner, &work.event, &work.field};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        text_init(texts[i], PERFETTO_PACKET_MAX_BYTES);
    }
    int r = count_cpus(&work);
    r = r ? r : perfetto_code_init(job, &work.code);
    r = r ? r : write_trace(&work);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        text_release(texts[i]);
    }
    perfetto_code_release(&work.code);
    free(work.cpu_ns);
    return r;
}
