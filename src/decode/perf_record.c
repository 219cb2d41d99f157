/* SPDX-License-Identifier: MIT */
#include "decode/perf_record.h"

#include <errno.h>

#include "base/bytes.h"
#include "decode/perf_abi.h"
#include "decode/walk_payload.h"

#define HEADER_BYTES 8u
/* sample_id_all with our base format: pid, tid, time, cpu, reserved, identifier. */
#define TRAILER_BYTES 32u

static void take_trailer(struct bytes *trailer, struct perf_record *record)
{
    record->pid = (int32_t)bytes_take_u32(trailer);
    record->tid = (int32_t)bytes_take_u32(trailer);
    record->time_ns = bytes_take_u64(trailer);
    record->cpu = bytes_take_u32(trailer);
    bytes_skip(trailer, 4);
    record->identifier = bytes_take_u64(trailer);
}

static void take_chain(struct bytes *body, struct perf_record *record)
{
    uint64_t n_ips = bytes_take_u64(body);
    if (n_ips > bytes_left(body) / sizeof(uint64_t)) {
        body->failed = true;
        return;
    }
    record->sample.n_ips = (size_t)n_ips;
    record->sample.ips = bytes_take(body, (size_t)n_ips * sizeof(uint64_t));
}

static void take_stack(struct bytes *body, struct perf_record *record)
{
    record->sample.period_ns = bytes_take_u64(body);
    take_chain(body, record);
}

/* The leader's own value, which is its clock, is of no use; there is always one. */
static void take_counters(struct bytes *body, struct perf_record *record)
{
    uint64_t n_values = bytes_take_u64(body);
    record->sample.counters.enabled_ns = bytes_take_u64(body);
    record->sample.counters.running_ns = bytes_take_u64(body);
    if (n_values == 0 || n_values - 1 > LIMIT_COUNTERS) {
        body->failed = true;
        return;
    }
    bytes_skip(body, sizeof(uint64_t));
    record->sample.counters.n_values = (size_t)n_values - 1;
    record->sample.counters.values =
        bytes_take(body, record->sample.counters.n_values * sizeof(uint64_t));
}

bool perf_record_is_kernel_mode(const struct perf_record *record)
{
    return (record->misc & PERF_ABI_MISC_CPUMODE_MASK) == PERF_ABI_MISC_KERNEL;
}

/* cx, bp, sp, ip: in the order of the kernel's numbers. */
static void take_registers_x86_64(struct bytes *body, const struct perf_record *record,
                                  struct perf_user_state *user)
{
    uint64_t cx = bytes_take_u64(body);
    user->fp = bytes_take_u64(body);
    user->sp = bytes_take_u64(body);
    user->ip = bytes_take_u64(body);
    user->is_after_syscall = perf_record_is_kernel_mode(record) && cx == user->ip;
}

static void take_registers_aarch64(struct bytes *body, const struct perf_record *record,
                                   struct perf_user_state *user)
{
    user->fp = bytes_take_u64(body);
    user->lr = bytes_take_u64(body);
    user->sp = bytes_take_u64(body);
    user->ip = bytes_take_u64(body);
    user->is_after_syscall = perf_record_is_kernel_mode(record);
}

void perf_record_take_stack(struct bytes *body, struct perf_user_state *user)
{
    uint64_t area_bytes = bytes_take_u64(body);
    if (area_bytes == 0) {
        return;
    }
    if (area_bytes > bytes_left(body)) {
        body->failed = true;
        return;
    }
    const uint8_t *stack = bytes_take(body, (size_t)area_bytes);
    uint64_t filled_bytes = bytes_take_u64(body);
    if (filled_bytes > area_bytes) {
        body->failed = true;
        return;
    }
    user->stack = filled_bytes > 0 ? stack : NULL;
    user->stack_bytes = (size_t)filled_bytes;
}

static void take_copy(struct bytes *body, struct perf_record *record)
{
    struct perf_user_state user = {0};
    uint64_t abi = bytes_take_u64(body);
    if (abi != 0) {
        if (record->format == PERF_FORMAT_COPY_AARCH64) {
            take_registers_aarch64(body, record, &user);
        } else {
            take_registers_x86_64(body, record, &user);
        }
    }
    perf_record_take_stack(body, &user);
    if (abi == PERF_ABI_REGS_64 && !bytes_has_failed(body)) {
        user.is_known = true;
        record->sample.user = user;
    }
}

static enum event_stack_end walk_end_of(uint8_t end)
{
    switch ((enum walk_end)end) {
    case WALK_END_COMPLETE:
        return EVENT_STACK_END_COMPLETE;
    case WALK_END_LIMIT:
        return EVENT_STACK_END_LIMIT;
    case WALK_END_NO_CODE:
        return EVENT_STACK_END_NO_CODE;
    case WALK_END_NO_TABLE:
        return EVENT_STACK_END_NO_TABLE;
    case WALK_END_UNSUPPORTED:
        return EVENT_STACK_END_UNSUPPORTED;
    case WALK_END_MEMORY:
        return EVENT_STACK_END_MEMORY;
    case WALK_END_PENDING:
        break;
    }
    return EVENT_STACK_END_UNKNOWN;
}

#define SCHED_FLAGS_STACK (SCHED_FLAG_PREV_STACK | SCHED_FLAG_NEXT_STACK | SCHED_FLAG_WAKER_STACK)

/* What follows the magic number of a struct walk_payload. */
static void take_walk(struct bytes *body, struct perf_record *record)
{
    struct perf_user_state user = {0};
    uint8_t end = bytes_take_u8(body), flags = bytes_take_u8(body);
    size_t n_kernel_ips = bytes_take_u16(body);
    size_t n_user_ips = bytes_take_u16(body);
    user.stack_bytes = bytes_take_u16(body);
    record->sample.walk.generation = bytes_take_u32(body);
    record->sample.period_ns = bytes_take_u32(body);
    record->sample.walk.tid = bytes_take_u32(body);
    if (n_user_ips > bytes_left(body) / sizeof(uint64_t) ||
        n_kernel_ips + n_user_ips > bytes_left(body) / sizeof(uint64_t)) {
        body->failed = true;
        return;
    }
    record->sample.n_ips = n_kernel_ips + n_user_ips;
    record->sample.ips = bytes_take(body, record->sample.n_ips * sizeof(uint64_t));
    if (end != WALK_END_COMPLETE) {
        user.ip = bytes_take_u64(body);
        user.sp = bytes_take_u64(body);
        user.fp = bytes_take_u64(body);
    }
    if (user.stack_bytes > bytes_left(body)) {
        body->failed = true;
        return;
    }
    user.stack = user.stack_bytes > 0 ? bytes_take(body, user.stack_bytes) : NULL;
    user.is_after_syscall = (flags & WALK_FLAG_AFTER_SYSCALL) != 0;
    bool is_by_frame_pointers = (flags & WALK_FLAG_FRAME_POINTERS) != 0;
    user.is_known = end != WALK_END_COMPLETE && !is_by_frame_pointers;
    record->sample.user = user;
    record->sample.walk.n_kernel_ips = n_kernel_ips;
    record->sample.walk.end = is_by_frame_pointers ? EVENT_STACK_END_UNKNOWN : walk_end_of(end);
    record->sample.walk.is_by_frame_pointers = is_by_frame_pointers;
    record->sample.walk.is_caller = (flags & WALK_FLAG_IS_CALLER) != 0;
}

static void take_sched(struct bytes *raw, uint32_t flags, struct perf_record *record)
{
    struct sched_payload *sched = &record->sched;
    sched->flags = flags;
    sched->prev_tid = bytes_take_u32(raw);
    sched->next_tid = bytes_take_u32(raw);
    sched->prev_state = bytes_take_u32(raw);
    sched->time_ns = bytes_take_u64(raw);
    sched->prev_cpu_time_ns = bytes_take_u64(raw);
    sched->next_wake_ns = bytes_take_u64(raw);
    sched->prev_argument = bytes_take_u64(raw);
    sched->prev_syscall = bytes_take_u32(raw);
    sched->prev_serial = bytes_take_u32(raw);
    sched->waker_tid = bytes_take_u32(raw);
    sched->waker_serial = bytes_take_u32(raw);
    sched->prev_pid = bytes_take_u32(raw);
    sched->next_pid = bytes_take_u32(raw);
    if (flags & SCHED_FLAGS_STACK) {
        raw->failed = raw->failed || bytes_take_u32(raw) != WALK_PAYLOAD_MAGIC;
        take_walk(raw, record);
    }
}

static void take_raw(struct bytes *body, struct perf_record *record)
{
    uint32_t raw_bytes = bytes_take_u32(body);
    const uint8_t *data = bytes_take(body, raw_bytes);
    if (!data) {
        return; /* body has failed */
    }
    struct bytes raw = bytes_of(data, raw_bytes);
    uint32_t first = bytes_take_u32(&raw);
    if (first == WALK_PAYLOAD_MAGIC) {
        record->format = PERF_FORMAT_WALK;
        take_walk(&raw, record);
    } else {
        take_sched(&raw, first, record);
    }
    body->failed = body->failed || bytes_has_failed(&raw);
}

static int parse_sample(struct bytes *body, const struct perf_formats *formats,
                        struct perf_record *record)
{
    record->identifier = bytes_take_u64(body);
    record->pid = (int32_t)bytes_take_u32(body);
    record->tid = (int32_t)bytes_take_u32(body);
    record->time_ns = bytes_take_u64(body);
    record->cpu = bytes_take_u32(body);
    bytes_skip(body, 4);
    record->format = formats->of(formats->userdata, record->identifier);
    switch (record->format) {
    case PERF_FORMAT_STACK:
        take_stack(body, record);
        return 0;
    case PERF_FORMAT_COPY_X86_64:
    case PERF_FORMAT_COPY_AARCH64:
        take_stack(body, record);
        take_copy(body, record);
        return 0;
    case PERF_FORMAT_COUNTERS:
        take_counters(body, record);
        take_chain(body, record);
        return 0;
    case PERF_FORMAT_SCHED:
        take_raw(body, record);
        return 0;
    case PERF_FORMAT_WALK: /* no event is opened as one */
    case PERF_FORMAT_NONE:
        break;
    }
    return -EBADMSG;
}

static void take_build_id(struct bytes *body, struct event_image *image)
{
    uint8_t size_bytes = bytes_take_u8(body);
    bytes_skip(body, 3);
    uint8_t id[LIMIT_BUILD_ID_BYTES];
    bytes_take_into(body, id, sizeof(id));
    if (size_bytes > sizeof(id)) {
        body->failed = true;
        return;
    }
    image->build_id_bytes = size_bytes;
    memcpy(image->build_id, id, size_bytes);
}

static void take_mmap(struct bytes *body, struct perf_record *record, bool is_mmap2)
{
    struct event_image *image = &record->mmap.image;
    record->mmap.pid = (int32_t)bytes_take_u32(body);
    record->mmap.tid = (int32_t)bytes_take_u32(body);
    image->change = EVENT_IMAGE_MAPPED;
    image->start_ip = bytes_take_u64(body);
    uint64_t length_bytes = bytes_take_u64(body);
    image->file_offset = bytes_take_u64(body);
    if (__builtin_add_overflow(image->start_ip, length_bytes, &image->end_ip)) {
        body->failed = true;
        return;
    }
    record->mmap.is_executable = true;
    if (is_mmap2) {
        if (record->misc & PERF_ABI_MISC_MMAP_BUILD_ID) {
            take_build_id(body, image);
        } else {
            image->device_major = bytes_take_u32(body);
            image->device_minor = bytes_take_u32(body);
            image->inode = bytes_take_u64(body);
            bytes_skip(body, 8); /* inode generation */
        }
        record->mmap.is_executable = (bytes_take_u32(body) & PERF_ABI_PROT_EXEC) != 0;
        bytes_skip(body, 4); /* flags */
    }
    image->path = bytes_take_string(body);
}

static void take_task(struct bytes *body, struct perf_record *record)
{
    record->task.pid = (int32_t)bytes_take_u32(body);
    record->task.parent_pid = (int32_t)bytes_take_u32(body);
    record->task.tid = (int32_t)bytes_take_u32(body);
    record->task.parent_tid = (int32_t)bytes_take_u32(body);
}

/* Every record but samples. Returns 1 for types that we do not read. */
int perf_record_parse_body(struct bytes *body, struct perf_record *record)
{
    switch (record->type) {
    case PERF_ABI_RECORD_MMAP:
    case PERF_ABI_RECORD_MMAP2:
        take_mmap(body, record, record->type == PERF_ABI_RECORD_MMAP2);
        return 0;
    case PERF_ABI_RECORD_COMM:
        record->comm.pid = (int32_t)bytes_take_u32(body);
        record->comm.tid = (int32_t)bytes_take_u32(body);
        record->comm.name = bytes_take_string(body);
        record->comm.is_exec = (record->misc & PERF_ABI_MISC_COMM_EXEC) != 0;
        return 0;
    case PERF_ABI_RECORD_FORK:
    case PERF_ABI_RECORD_EXIT:
        take_task(body, record);
        return 0;
    case PERF_ABI_RECORD_LOST:
        bytes_skip(body, 8); /* identifier of the event that lost them */
        record->lost.count = bytes_take_u64(body);
        return 0;
    case PERF_ABI_RECORD_LOST_SAMPLES:
        record->lost.count = bytes_take_u64(body);
        return 0;
    case PERF_ABI_RECORD_SWITCH:
        record->context_switch.is_out = (record->misc & PERF_ABI_MISC_SWITCH_OUT) != 0;
        record->context_switch.is_preempted =
            (record->misc & PERF_ABI_MISC_SWITCH_OUT_PREEMPT) != 0;
        return 0;
    case PERF_ABI_RECORD_THROTTLE:
    case PERF_ABI_RECORD_UNTHROTTLE:
        return 0;
    default:
        return 1;
    }
}

int perf_record_parse(const void *data, size_t n_bytes, const struct perf_formats *formats,
                      struct perf_record *ret_record)
{
    struct perf_record record;
    memset(&record, 0, sizeof(record));
    struct bytes body = bytes_of(data, n_bytes);
    record.type = bytes_take_u32(&body);
    record.misc = bytes_take_u16(&body);
    size_t size_bytes = bytes_take_u16(&body);
    if (bytes_has_failed(&body) || size_bytes < HEADER_BYTES || size_bytes > n_bytes) {
        return -EBADMSG;
    }
    body = bytes_of((const uint8_t *)data + HEADER_BYTES, size_bytes - HEADER_BYTES);

    int r;
    if (record.type == PERF_ABI_RECORD_SAMPLE) {
        r = parse_sample(&body, formats, &record);
    } else {
        if (bytes_left(&body) < TRAILER_BYTES) {
            return -EBADMSG;
        }
        body.end -= TRAILER_BYTES;
        struct bytes trailer = bytes_of(body.end, TRAILER_BYTES);
        r = perf_record_parse_body(&body, &record);
        take_trailer(&trailer, &record);
    }
    if (r != 0) {
        return r;
    }
    if (bytes_has_failed(&body)) {
        return -EBADMSG;
    }
    *ret_record = record;
    return 0;
}

bool perf_record_is_fork(const struct perf_record *record)
{
    return record->type == PERF_ABI_RECORD_FORK;
}

int perf_record_parse_sched(const void *data, size_t n_bytes, uint32_t cpu,
                            struct perf_record *ret_record)
{
    struct bytes raw = bytes_of(data, n_bytes);
    struct perf_record record = {
        .type = PERF_ABI_RECORD_SAMPLE,
        .format = PERF_FORMAT_SCHED,
        .cpu = cpu,
    };
    take_sched(&raw, bytes_take_u32(&raw), &record);
    record.time_ns = record.sched.time_ns;
    if (bytes_has_failed(&raw)) {
        return -EBADMSG;
    }
    *ret_record = record;
    return 0;
}
