/* SPDX-License-Identifier: MIT */
#include "decode/perf_events.h"

#include <string.h>

#include "decode/perf_abi.h"

/* Below it nothing is ever mapped (vm.mmap_min_addr); a frame-pointer chain that leads there has
 * gone astray. */
#define LOWEST_USER_IP UINT64_C(4096)
#define LOWEST_KERNEL_IP (UINT64_C(1) << 63)

static bool is_foreign(struct perf_translator *translator, int64_t pid)
{
    if (!translator->is_wide || pid == translator->pid) {
        return false;
    }
    translator->n_foreign++;
    return true;
}

static void set_running(struct perf_translator *translator, uint32_t cpu, int64_t tid)
{
    if (cpu < translator->n_running_tids) {
        translator->running_tids[cpu] = (int32_t)tid;
    }
}

static int64_t running_tid(const struct perf_translator *translator, uint32_t cpu)
{
    return cpu < translator->n_running_tids ? translator->running_tids[cpu] : 0;
}

static bool is_user_code(uint64_t ip)
{
    return ip >= LOWEST_USER_IP && ip < LOWEST_KERNEL_IP;
}

static struct event event_of(enum event_kind kind, const struct perf_record *record)
{
    return (struct event){
        .kind = kind,
        .cpu = (uint16_t)record->cpu,
        .time_ns = record->time_ns,
        .pid = record->pid,
        .tid = record->tid,
    };
}

/*
 * Splits the kernel's callchain into its kernel and its user part. The user
 * part is followed by frame pointers; in code that has none the register holds
 * anything, so the chain is cut at the first value that cannot be code.
 */
static bool take_chain(const struct perf_record *record, struct event_batch *batch,
                       struct event *sample)
{
    size_t n_wanted = record->sample.n_ips;
    if (n_wanted > LIMIT_STACK_IPS) {
        n_wanted = LIMIT_STACK_IPS;
        sample->stack.is_truncated = true;
    }
    uint64_t *ips = event_batch_add_ips(batch, n_wanted);
    if (!ips) {
        return false;
    }
    uint32_t n_ips = 0, n_kernel_ips = 0;
    bool is_user = false;
    for (size_t i = 0; i < record->sample.n_ips && n_ips < n_wanted; i++) {
        uint64_t ip = perf_record_ip(record, i);
        if (ip >= PERF_ABI_CONTEXT_MAX) {
            is_user = ip == PERF_ABI_CONTEXT_USER;
            continue;
        }
        bool is_code = is_user ? is_user_code(ip) : ip >= LOWEST_KERNEL_IP;
        if (!is_code) {
            sample->stack.is_truncated = true;
            if (is_user) {
                break;
            }
            continue;
        }
        ips[n_ips++] = ip;
        n_kernel_ips += is_user ? 0 : 1;
    }
    sample->stack.ips = ips;
    sample->stack.n_ips = n_ips;
    sample->stack.n_kernel_ips = n_kernel_ips;
    return true;
}

/* Stacks that were walked inside the kernel come as they are. */
static bool take_walk(const struct perf_record *record, struct event_batch *batch,
                      struct event *sample)
{
    size_t n_ips = record->sample.n_ips, n_kernel_ips = record->sample.walk.n_kernel_ips;
    if (n_ips > LIMIT_STACK_IPS) {
        n_ips = LIMIT_STACK_IPS;
        sample->stack.is_truncated = true;
    }
    uint64_t *ips = event_batch_add_ips(batch, n_ips);
    if (!ips) {
        return false;
    }
    for (size_t i = 0; i < n_ips; i++) {
        ips[i] = perf_record_ip(record, i);
        bool is_code = i < n_kernel_ips ? ips[i] >= LOWEST_KERNEL_IP : is_user_code(ips[i]);
        if (record->sample.walk.is_by_frame_pointers && !is_code) {
            sample->stack.is_truncated = true;
            n_ips = i;
        }
    }
    sample->stack.ips = ips;
    sample->stack.n_ips = (uint32_t)n_ips;
    sample->stack.n_kernel_ips = (uint32_t)(n_kernel_ips < n_ips ? n_kernel_ips : n_ips);
    sample->stack.source =
        record->sample.walk.is_by_frame_pointers ? EVENT_STACK_FRAME_POINTERS : EVENT_STACK_WALKED;
    sample->stack.end = (uint8_t)record->sample.walk.end;
    sample->stack.code_generation = record->sample.walk.generation;
    return true;
}

static bool take_frames(const struct perf_record *record, struct event_batch *batch,
                        struct event *sample)
{
    return record->format == PERF_FORMAT_WALK ? take_walk(record, batch, sample)
                                              : take_chain(record, batch, sample);
}

/* The registers and the stack from which the walk can go on; false when there is no room. */
static bool take_copy(struct perf_translator *translator, const struct perf_record *record,
                      struct event_batch *batch, struct event *sample)
{
    const struct perf_user_state *user = &record->sample.user;
    if (!user->is_known) {
        return true;
    }
    size_t n_bytes =
        user->stack_bytes < LIMIT_STACK_COPY_BYTES ? user->stack_bytes : LIMIT_STACK_COPY_BYTES;
    const struct event_stack_copy copy = {
        .ip = user->ip,
        .sp = user->sp,
        .fp = user->fp,
        .lr = user->lr,
        .is_innermost = !record->sample.walk.is_caller,
        .is_after_syscall = user->is_after_syscall,
    };
    uint8_t *bytes;
    sample->stack.copy = event_batch_add_stack(batch, &copy, n_bytes, &bytes);
    if (!sample->stack.copy) {
        return false;
    }
    if (n_bytes > 0) {
        memcpy(bytes, user->stack, n_bytes);
    }
    if (sample->kind == EVENT_SAMPLE) {
        translator->n_copies++;
        translator->copied_bytes += n_bytes;
    }
    return true;
}

/* The stack that came with a record of the scheduler's programs. */
static bool take_told_stack(struct perf_translator *translator, const struct perf_record *record,
                            struct event_batch *batch, struct event *event)
{
    return take_walk(record, batch, event) && take_copy(translator, record, batch, event);
}

static int64_t waker_of(const struct sched_payload *sched)
{
    return sched->flags & SCHED_FLAG_WAKER_KNOWN ? (int64_t)sched->waker_tid : EVENT_WAKER_UNKNOWN;
}

static int64_t pid_of(const struct perf_translator *translator, uint32_t told_pid)
{
    return told_pid ? (int64_t)told_pid : translator->pid;
}

static int translate_wakeup(struct perf_translator *translator, const struct perf_record *record,
                            struct event_batch *batch)
{
    const struct sched_payload *sched = &record->sched;
    struct event wakeup = event_of(EVENT_WAKEUP, record);
    wakeup.time_ns = sched->time_ns ? sched->time_ns : record->time_ns;
    wakeup.pid = pid_of(translator, sched->next_pid);
    wakeup.tid = sched->next_tid;
    wakeup.wakeup.waker_tid = waker_of(sched);
    wakeup.wakeup.waker_serial = sched->waker_serial;
    wakeup.wakeup.ends_no_wait = (sched->flags & SCHED_FLAG_AWAKE) != 0;
    if ((sched->flags & SCHED_FLAG_WAKER_STACK) &&
        !take_told_stack(translator, record, batch, &wakeup)) {
        return 0;
    }
    return event_batch_add(batch, &wakeup);
}

static int translate_out(struct perf_translator *translator, const struct perf_record *record,
                         uint64_t time_ns, struct event_batch *batch)
{
    const struct sched_payload *sched = &record->sched;
    struct event out = event_of(EVENT_SWITCH_OUT, record);
    out.time_ns = time_ns;
    out.pid = pid_of(translator, sched->prev_pid);
    out.tid = sched->prev_tid;
    out.is_preempted = sched->prev_state == 0;
    out.switch_out.cpu_time_ns = sched->prev_cpu_time_ns;
    out.switch_out.stack_serial = sched->prev_serial;
    out.switch_out.object = (struct event_wait_object){
        .syscall = sched->prev_syscall,
        .argument = sched->prev_argument,
    };
    if ((sched->flags & SCHED_FLAG_PREV_STACK) &&
        !take_told_stack(translator, record, batch, &out)) {
        return 0;
    }
    return event_batch_add(batch, &out);
}

static int translate_in(struct perf_translator *translator, const struct perf_record *record,
                        uint64_t time_ns, struct event_batch *batch)
{
    const struct sched_payload *sched = &record->sched;
    struct event in = event_of(EVENT_SWITCH_IN, record);
    in.time_ns = time_ns;
    in.pid = pid_of(translator, sched->next_pid);
    in.tid = sched->next_tid;
    in.switch_in.wake_ns = sched->next_wake_ns;
    in.switch_in.waker_tid = waker_of(sched);
    in.switch_in.waker_serial = sched->waker_serial;
    if ((sched->flags & SCHED_FLAG_NEXT_STACK) &&
        !take_told_stack(translator, record, batch, &in)) {
        return 0;
    }
    return event_batch_add(batch, &in);
}

static int translate_sched(struct perf_translator *translator, const struct perf_record *record,
                           struct event_batch *batch)
{
    const struct sched_payload *sched = &record->sched;
    uint64_t time_ns = sched->time_ns ? sched->time_ns : record->time_ns;
    int n_added = 0;
    if (sched->flags & SCHED_FLAG_WAKEUP) {
        return translate_wakeup(translator, record, batch);
    }
    if (sched->flags & SCHED_FLAG_PREV) {
        n_added += translate_out(translator, record, time_ns, batch);
    }
    set_running(translator, record->cpu, sched->next_tid);
    if (sched->flags & SCHED_FLAG_NEXT) {
        n_added += translate_in(translator, record, time_ns, batch);
    }
    return n_added;
}

/* The group counts for the thread that it reads; a thread in its last steps has lost its number. */
static int translate_counters(struct perf_translator *translator, const struct perf_record *record,
                              struct event_batch *batch)
{
    if (record->pid >= 0 && is_foreign(translator, record->pid)) {
        return 0;
    }
    if (record->tid <= 0) {
        translator->n_foreign++;
        return 0;
    }
    struct event event = event_of(EVENT_COUNTERS, record);
    struct event_counters counters = {
        .group = record->identifier,
        .enabled_ns = record->sample.counters.enabled_ns,
        .running_ns = record->sample.counters.running_ns,
    };
    for (size_t i = 0; i < record->sample.counters.n_values && i < translator->n_counters; i++) {
        uint8_t slot = translator->counter_slots[i];
        counters.values[slot] = perf_record_counter(record, i);
        counters.slots |= UINT64_C(1) << slot;
    }
    event.counters = event_batch_add_counters(batch, &counters);
    if (!event.counters || !take_chain(record, batch, &event)) {
        return 0;
    }
    translator->n_counter_readings++;
    return event_batch_add(batch, &event);
}

static int translate_sample(struct perf_translator *translator, const struct perf_record *record,
                            struct event_batch *batch)
{
    if (record->format == PERF_FORMAT_SCHED) {
        return translate_sched(translator, record, batch);
    }
    if (record->format == PERF_FORMAT_COUNTERS) {
        return translate_counters(translator, record, batch);
    }
    /* A thread that has lost its numbers is none of the foreign ones: the kernel filters by task.
     */
    if (record->pid >= 0 && is_foreign(translator, record->pid)) {
        return 0;
    }
    struct event sample = event_of(EVENT_SAMPLE, record);
    sample.sample.period_ns =
        record->sample.period_ns > UINT32_MAX ? 0 : (uint32_t)record->sample.period_ns;
    if (sample.tid <= 0 && record->sample.walk.tid != 0) {
        sample.pid = translator->pid;
        sample.tid = record->sample.walk.tid;
    }
    if (sample.tid <= 0) {
        sample.pid = translator->is_wide || sample.pid <= 0 ? translator->pid : sample.pid;
        sample.tid = running_tid(translator, record->cpu);
    }
    if (sample.tid <= 0) {
        translator->n_foreign++;
        return 0;
    }
    if (!take_frames(record, batch, &sample) || !take_copy(translator, record, batch, &sample)) {
        return 0;
    }
    translator->n_samples++;
    translator->n_truncated_stacks += sample.stack.is_truncated;
    return event_batch_add(batch, &sample);
}

static int translate_mmap(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch)
{
    if (is_foreign(translator, record->mmap.pid)) {
        return 0;
    }
    if (!record->mmap.is_executable) {
        return 0;
    }
    struct event event = event_of(EVENT_IMAGE, record);
    event.pid = record->mmap.pid;
    event.tid = record->mmap.tid;
    event.image = event_batch_add_image(batch, &record->mmap.image);
    return event.image && event_batch_add(batch, &event);
}

static int translate_comm(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch)
{
    if (is_foreign(translator, record->comm.pid)) {
        return 0;
    }
    int n_added = 0;
    struct event event = event_of(EVENT_IMAGE, record);
    event.pid = record->comm.pid;
    event.tid = record->comm.tid;
    if (record->comm.is_exec) {
        const struct event_image exec = {.change = EVENT_IMAGE_EXEC};
        event.image = event_batch_add_image(batch, &exec);
        n_added += event.image && event_batch_add(batch, &event);
    }
    event.kind = EVENT_THREAD;
    event.thread.change = EVENT_THREAD_NAMED;
    event.thread.name = event_batch_add_text(batch, record->comm.name);
    n_added += event_batch_add(batch, &event);
    return n_added;
}

static int translate_fork(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch)
{
    if (is_foreign(translator, record->task.parent_pid)) {
        return 0;
    }
    bool is_process = record->task.pid != record->task.parent_pid;
    if (is_process && !translator->follow_children) {
        return 0;
    }
    int n_added = 0;
    struct event event = event_of(EVENT_IMAGE, record);
    event.pid = record->task.pid;
    event.tid = record->task.tid;
    if (is_process) {
        const struct event_image fork = {.change = EVENT_IMAGE_FORKED,
                                         .parent_pid = record->task.parent_pid};
        event.image = event_batch_add_image(batch, &fork);
        n_added += event.image && event_batch_add(batch, &event);
    }
    event.kind = EVENT_THREAD;
    event.thread.change = EVENT_THREAD_BORN;
    translator->n_births++;
    event.thread.name = NULL;
    event.thread.creator_tid = record->task.parent_tid;
    n_added += event_batch_add(batch, &event);
    return n_added;
}

static int translate_exit(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch)
{
    if (is_foreign(translator, record->task.pid)) {
        return 0;
    }
    struct event event = event_of(EVENT_THREAD, record);
    event.pid = record->task.pid;
    event.tid = record->task.tid;
    event.thread.change = EVENT_THREAD_GONE;
    return event_batch_add(batch, &event);
}

static int translate_switch(struct perf_translator *translator, const struct perf_record *record,
                            struct event_batch *batch)
{
    if (is_foreign(translator, record->pid)) {
        return 0;
    }
    struct event event =
        event_of(record->context_switch.is_out ? EVENT_SWITCH_OUT : EVENT_SWITCH_IN, record);
    event.is_preempted = record->context_switch.is_preempted;
    if (record->context_switch.is_out) {
        event.switch_out.object.syscall = EVENT_NO_SYSCALL;
    }
    if (event.tid <= 0) {
        event.pid = event.pid <= 0 ? translator->pid : event.pid;
        event.tid = running_tid(translator, record->cpu);
    }
    if (event.tid <= 0) {
        return 0;
    }
    set_running(translator, record->cpu, record->context_switch.is_out ? 0 : event.tid);
    return event_batch_add(batch, &event);
}

static int translate_lost(const struct perf_record *record, struct event_batch *batch)
{
    struct event event = event_of(EVENT_LOST, record);
    bool is_throttle = record->type == PERF_ABI_RECORD_THROTTLE;
    event.lost.cause = is_throttle ? EVENT_LOST_THROTTLED : EVENT_LOST_RING_FULL;
    event.lost.count = is_throttle ? 1 : record->lost.count;
    return event_batch_add(batch, &event);
}

int perf_events_translate(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch)
{
    switch (record->type) {
    case PERF_ABI_RECORD_SAMPLE:
        return translate_sample(translator, record, batch);
    case PERF_ABI_RECORD_MMAP:
    case PERF_ABI_RECORD_MMAP2:
        return translate_mmap(translator, record, batch);
    case PERF_ABI_RECORD_COMM:
        return translate_comm(translator, record, batch);
    case PERF_ABI_RECORD_FORK:
        return translate_fork(translator, record, batch);
    case PERF_ABI_RECORD_EXIT:
        return translate_exit(translator, record, batch);
    case PERF_ABI_RECORD_SWITCH:
        return translate_switch(translator, record, batch);
    case PERF_ABI_RECORD_LOST:
    case PERF_ABI_RECORD_LOST_SAMPLES:
    case PERF_ABI_RECORD_THROTTLE:
        return translate_lost(record, batch);
    default:
        return 0;
    }
}
