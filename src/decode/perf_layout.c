/* SPDX-License-Identifier: MIT */
#include "decode/perf_layout.h"

#include <errno.h>

#include "base/bytes.h"
#include "decode/perf_abi.h"

#define HEADER_BYTES 8u
#define WORD_BYTES 8u

/* Bits of perf_event_attr, counted from its first flag. */
#define FLAG_EXCLUDE_KERNEL (UINT64_C(1) << 5)
#define FLAG_FREQ (UINT64_C(1) << 10)
#define FLAG_SAMPLE_ID_ALL (UINT64_C(1) << 18)
#define FLAG_CONTEXT_SWITCH (UINT64_C(1) << 26)

#define BRANCH_HW_INDEX (UINT64_C(1) << 17)
#define BRANCH_COUNTERS (UINT64_C(1) << 19)
#define BRANCH_ENTRY_BYTES 24u

#define READ_ENABLED 1u
#define READ_RUNNING 2u
#define READ_ID 4u
#define READ_GROUP 8u
#define READ_LOST 16u

/* Numbers of registers in perf's masks. */
#define X86_BP 6u
#define X86_CX 2u
#define X86_SP 7u
#define X86_IP 8u
#define ARM_FP 29u
#define ARM_LR 30u
#define ARM_SP 31u
#define ARM_PC 32u

int perf_layout_of(const void *attr, size_t n_bytes, enum perf_machine machine,
                   struct perf_layout *ret_layout)
{
    struct bytes at = bytes_of(attr, n_bytes);
    struct perf_layout layout = {.machine = machine};
    layout.type = bytes_take_u32(&at);
    uint32_t size_bytes = bytes_take_u32(&at);
    if (n_bytes < PERF_LAYOUT_MIN_ATTR_BYTES ||
        (size_bytes != 0 && size_bytes < PERF_LAYOUT_MIN_ATTR_BYTES)) {
        return -EBADMSG;
    }
    if (size_bytes > n_bytes || size_bytes == 0) {
        size_bytes = (uint32_t)n_bytes;
    }
    at.end = (const uint8_t *)attr + size_bytes;
    layout.config = bytes_take_u64(&at);
    layout.period = bytes_take_u64(&at);
    layout.sample_type = bytes_take_u64(&at);
    layout.read_format = bytes_take_u64(&at);
    uint64_t flags = bytes_take_u64(&at);
    bytes_skip(&at, 4 + 4 + 8 + 8); /* wakeup, bp_type, two configs: the end of version 0 */
    layout.branch_type = bytes_take_u64(&at); /* 0 where the attributes are older than it */
    layout.user_registers = bytes_take_u64(&at);
    layout.is_frequency = (flags & FLAG_FREQ) != 0;
    layout.has_switches = (flags & FLAG_CONTEXT_SWITCH) != 0;
    layout.excludes_kernel = (flags & FLAG_EXCLUDE_KERNEL) != 0;
    layout.has_trailer = (flags & FLAG_SAMPLE_ID_ALL) != 0;
    *ret_layout = layout;
    return 0;
}

static bool has(const struct perf_layout *layout, uint64_t bit)
{
    return (layout->sample_type & bit) != 0;
}

/* How many of the fields that `bits` name are there. */
static size_t count(const struct perf_layout *layout, uint64_t bits)
{
    return (size_t)__builtin_popcountll(layout->sample_type & bits);
}

#define BEFORE_TIME (PERF_ABI_SAMPLE_IDENTIFIER | PERF_ABI_SAMPLE_IP | PERF_ABI_SAMPLE_TID)
#define BEFORE_ID (BEFORE_TIME | PERF_ABI_SAMPLE_TIME | PERF_ABI_SAMPLE_ADDR)
#define IN_TRAILER                                                                                 \
    (PERF_ABI_SAMPLE_TID | PERF_ABI_SAMPLE_TIME | PERF_ABI_SAMPLE_ID | PERF_ABI_SAMPLE_STREAM_ID | \
     PERF_ABI_SAMPLE_CPU | PERF_ABI_SAMPLE_IDENTIFIER)

size_t perf_layout_sample_id_at(const struct perf_layout *layout)
{
    if (has(layout, PERF_ABI_SAMPLE_IDENTIFIER)) {
        return HEADER_BYTES;
    }
    return has(layout, PERF_ABI_SAMPLE_ID) ? HEADER_BYTES + WORD_BYTES * count(layout, BEFORE_ID)
                                           : 0;
}

size_t perf_layout_trailer_id_at(const struct perf_layout *layout)
{
    if (!layout->has_trailer) {
        return 0;
    }
    if (has(layout, PERF_ABI_SAMPLE_IDENTIFIER)) {
        return WORD_BYTES;
    }
    return has(layout, PERF_ABI_SAMPLE_ID)
               ? WORD_BYTES * (1 + count(layout, PERF_ABI_SAMPLE_STREAM_ID | PERF_ABI_SAMPLE_CPU))
               : 0;
}

static size_t trailer_bytes(const struct perf_layout *layout)
{
    return layout->has_trailer ? WORD_BYTES * count(layout, IN_TRAILER) : 0;
}

uint64_t perf_layout_time(const struct perf_layout *layout, const void *data, size_t n_bytes)
{
    if (!has(layout, PERF_ABI_SAMPLE_TIME) || n_bytes < HEADER_BYTES) {
        return 0;
    }
    struct bytes at = bytes_of(data, n_bytes);
    if (bytes_take_u32(&at) == PERF_ABI_RECORD_SAMPLE) {
        bytes_skip(&at, 4 + WORD_BYTES * count(layout, BEFORE_TIME));
        return bytes_take_u64(&at);
    }
    size_t back_bytes = trailer_bytes(layout);
    if (back_bytes == 0 || n_bytes < HEADER_BYTES + back_bytes) {
        return 0;
    }
    at = bytes_of((const uint8_t *)data + n_bytes - back_bytes, back_bytes);
    bytes_skip(&at, WORD_BYTES * count(layout, PERF_ABI_SAMPLE_TID));
    return bytes_take_u64(&at);
}

static void take_ids(struct bytes *body, struct perf_record *record)
{
    record->pid = (int32_t)bytes_take_u32(body);
    record->tid = (int32_t)bytes_take_u32(body);
}

static void take_trailer(const struct perf_layout *layout, struct bytes *trailer,
                         struct perf_record *record, struct perf_extras *extras)
{
    if (has(layout, PERF_ABI_SAMPLE_TID)) {
        take_ids(trailer, record);
    }
    if (has(layout, PERF_ABI_SAMPLE_TIME)) {
        record->time_ns = bytes_take_u64(trailer);
        extras->has_time = true;
    }
    bytes_skip(trailer, WORD_BYTES * count(layout, PERF_ABI_SAMPLE_ID | PERF_ABI_SAMPLE_STREAM_ID));
    if (has(layout, PERF_ABI_SAMPLE_CPU)) {
        record->cpu = bytes_take_u32(trailer);
        bytes_skip(trailer, 4);
    }
}

static void skip_values(struct bytes *body, uint64_t n_values, size_t value_bytes)
{
    if (n_values > bytes_left(body) / value_bytes) {
        body->failed = true;
        return;
    }
    bytes_skip(body, (size_t)n_values * value_bytes);
}

static void skip_reading(const struct perf_layout *layout, struct bytes *body)
{
    uint64_t format = layout->read_format;
    size_t n_head = (size_t)__builtin_popcountll(format & (READ_ENABLED | READ_RUNNING));
    size_t n_each = 1 + (size_t)__builtin_popcountll(format & (READ_ID | READ_LOST));
    uint64_t n_values = (format & READ_GROUP) ? bytes_take_u64(body) : 1;
    bytes_skip(body, n_head * WORD_BYTES);
    skip_values(body, n_values, n_each * WORD_BYTES);
}

static void skip_branches(const struct perf_layout *layout, struct bytes *body)
{
    uint64_t n_branches = bytes_take_u64(body);
    if (layout->branch_type & BRANCH_HW_INDEX) {
        bytes_skip(body, WORD_BYTES);
    }
    skip_values(body, n_branches, BRANCH_ENTRY_BYTES);
    if (layout->branch_type & BRANCH_COUNTERS) {
        skip_values(body, n_branches, WORD_BYTES);
    }
}

static void take_chain(struct bytes *body, struct perf_record *record)
{
    uint64_t n_ips = bytes_take_u64(body);
    if (n_ips > bytes_left(body) / WORD_BYTES) {
        body->failed = true;
        return;
    }
    record->sample.n_ips = (size_t)n_ips;
    record->sample.ips = bytes_take(body, (size_t)n_ips * WORD_BYTES);
}

static void take_raw(struct bytes *body, struct perf_extras *extras)
{
    extras->raw_bytes = bytes_take_u32(body);
    extras->raw = bytes_take(body, extras->raw_bytes);
}

/* The value of one register among those that were written, which are in the order of their numbers;
 * 0 where it is not among them. */
static uint64_t register_of(const struct perf_layout *layout, const uint8_t *values,
                            unsigned int number)
{
    uint64_t bit = UINT64_C(1) << number;
    if (!(layout->user_registers & bit)) {
        return 0;
    }
    size_t nth = (size_t)__builtin_popcountll(layout->user_registers & (bit - 1));
    uint64_t value;
    memcpy(&value, values + nth * WORD_BYTES, sizeof(value));
    return value;
}

static bool has_registers(const struct perf_layout *layout, uint64_t wanted)
{
    return (layout->user_registers & wanted) == wanted;
}

static void take_registers(const struct perf_layout *layout, struct bytes *body,
                           struct perf_record *record, struct perf_user_state *user)
{
    uint64_t abi = bytes_take_u64(body);
    if (abi == 0) {
        return;
    }
    size_t n_registers = (size_t)__builtin_popcountll(layout->user_registers);
    const uint8_t *values = bytes_take(body, n_registers * WORD_BYTES);
    if (!values || abi != PERF_ABI_REGS_64) {
        return;
    }
    if (layout->machine == PERF_MACHINE_X86_64 &&
        has_registers(layout, 1u << X86_BP | 1u << X86_SP | 1u << X86_IP)) {
        user->fp = register_of(layout, values, X86_BP);
        user->sp = register_of(layout, values, X86_SP);
        user->ip = register_of(layout, values, X86_IP);
        user->is_after_syscall =
            perf_record_is_kernel_mode(record) && register_of(layout, values, X86_CX) == user->ip;
        user->is_known = true;
    } else if (layout->machine == PERF_MACHINE_AARCH64 &&
               has_registers(layout, PERF_ABI_REGS_AARCH64)) {
        user->fp = register_of(layout, values, ARM_FP);
        user->lr = register_of(layout, values, ARM_LR);
        user->sp = register_of(layout, values, ARM_SP);
        user->ip = register_of(layout, values, ARM_PC);
        user->is_after_syscall = perf_record_is_kernel_mode(record);
        user->is_known = true;
    }
}

static void take_user_state(const struct perf_layout *layout, struct bytes *body,
                            struct perf_record *record)
{
    struct perf_user_state user = {0};
    if (has(layout, PERF_ABI_SAMPLE_REGS_USER)) {
        take_registers(layout, body, record, &user);
    }
    if (has(layout, PERF_ABI_SAMPLE_STACK_USER)) {
        perf_record_take_stack(body, &user);
        if (user.is_known && !bytes_has_failed(body)) {
            record->sample.user = user;
        }
    }
}

/* A sample without a chain, or with an empty one, was at least somewhere. */
static void use_address(uint64_t ip, struct perf_record *record, struct perf_extras *extras)
{
    if (record->sample.n_ips > 0 || record->sample.user.is_known) {
        return;
    }
    extras->chain[0] =
        perf_record_is_kernel_mode(record) ? PERF_ABI_CONTEXT_KERNEL : PERF_ABI_CONTEXT_USER;
    extras->chain[1] = ip;
    record->sample.ips = (const uint8_t *)extras->chain;
    record->sample.n_ips = 2;
}

static void take_head(const struct perf_layout *layout, struct bytes *body,
                      struct perf_record *record, struct perf_extras *extras)
{
    if (has(layout, PERF_ABI_SAMPLE_TID)) {
        take_ids(body, record);
    }
    if (has(layout, PERF_ABI_SAMPLE_TIME)) {
        record->time_ns = bytes_take_u64(body);
        extras->has_time = true;
    }
    bytes_skip(body, WORD_BYTES * count(layout, PERF_ABI_SAMPLE_ADDR | PERF_ABI_SAMPLE_ID |
                                                    PERF_ABI_SAMPLE_STREAM_ID));
    if (has(layout, PERF_ABI_SAMPLE_CPU)) {
        record->cpu = bytes_take_u32(body);
        bytes_skip(body, 4);
    }
    if (has(layout, PERF_ABI_SAMPLE_PERIOD)) {
        record->sample.period_ns = bytes_take_u64(body);
        extras->has_period = true;
    }
}

static void take_sample(const struct perf_layout *layout, struct bytes *body,
                        struct perf_record *record, struct perf_extras *extras)
{
    uint64_t ip = 0;
    if (has(layout, PERF_ABI_SAMPLE_IDENTIFIER)) {
        record->identifier = bytes_take_u64(body);
    }
    if (has(layout, PERF_ABI_SAMPLE_IP)) {
        ip = bytes_take_u64(body);
    }
    take_head(layout, body, record, extras);
    record->format = PERF_FORMAT_STACK;
    if (has(layout, PERF_ABI_SAMPLE_READ)) {
        skip_reading(layout, body);
    }
    if (has(layout, PERF_ABI_SAMPLE_CALLCHAIN)) {
        take_chain(body, record);
    }
    if (has(layout, PERF_ABI_SAMPLE_RAW)) {
        take_raw(body, extras);
    }
    if (has(layout, PERF_ABI_SAMPLE_BRANCH_STACK)) {
        skip_branches(layout, body);
    }
    take_user_state(layout, body, record);
    if (has(layout, PERF_ABI_SAMPLE_IP)) {
        use_address(ip, record, extras);
    }
}

int perf_layout_parse(const struct perf_layout *layout, const void *data, size_t n_bytes,
                      struct perf_record *ret_record, struct perf_extras *ret_extras)
{
    struct bytes body = bytes_of(data, n_bytes);
    memset(ret_record, 0, sizeof(*ret_record));
    memset(ret_extras, 0, sizeof(*ret_extras));
    ret_record->type = bytes_take_u32(&body);
    ret_record->misc = bytes_take_u16(&body);
    size_t size_bytes = bytes_take_u16(&body);
    if (bytes_has_failed(&body) || size_bytes < HEADER_BYTES || size_bytes > n_bytes) {
        return -EBADMSG;
    }
    body = bytes_of((const uint8_t *)data + HEADER_BYTES, size_bytes - HEADER_BYTES);
    int r = 0;
    if (ret_record->type == PERF_ABI_RECORD_SAMPLE) {
        take_sample(layout, &body, ret_record, ret_extras);
    } else {
        size_t back_bytes = trailer_bytes(layout);
        if (bytes_left(&body) < back_bytes) {
            return -EBADMSG;
        }
        body.end -= back_bytes;
        struct bytes trailer = bytes_of(body.end, back_bytes);
        take_trailer(layout, &trailer, ret_record, ret_extras);
        if (ret_record->type == PERF_ABI_RECORD_SWITCH_CPU_WIDE) {
            bytes_skip(&body, 8); /* the thread that comes, or that went */
            ret_record->type = PERF_ABI_RECORD_SWITCH;
        }
        r = perf_record_parse_body(&body, ret_record);
    }
    return bytes_has_failed(&body) ? -EBADMSG : r;
}
