/* SPDX-License-Identifier: MIT */
#include "decode/perf_record_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void a_sample_has_its_place_and_its_callers(void **state)
{
    (void)state;
    const uint64_t ips[] = {PERF_ABI_CONTEXT_KERNEL, 0xffffffff81000010, PERF_ABI_CONTEXT_USER,
                            0x401000, 0x402000};
    struct raw raw = stack_sample(5, ips, 5);
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.type, PERF_ABI_RECORD_SAMPLE);
    assert_int_equal(record.identifier, STACK_IDENTIFIER);
    assert_int_equal(record.format, PERF_FORMAT_STACK);
    assert_int_equal(record.pid, 10);
    assert_int_equal(record.tid, 11);
    assert_int_equal(record.time_ns, 999);
    assert_int_equal(record.cpu, 5);
    assert_int_equal(record.sample.period_ns, 1111111);
    assert_int_equal(record.sample.n_ips, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(perf_record_ip(&record, i), ips[i]);
    }
}

static void ips_may_lie_at_any_address(void **state)
{
    (void)state;
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, 0x401000};
    struct raw raw = stack_sample(2, ips, 2);
    uint8_t shifted[sizeof(raw.data) + 1];
    memcpy(shifted + 1, raw.data, raw.n_bytes);
    struct perf_record record;
    assert_int_equal(perf_record_parse(shifted + 1, raw.n_bytes, &formats, &record), 0);
    assert_int_equal(perf_record_ip(&record, 1), 0x401000);
}

static void a_callchain_that_lies_is_refused(void **state)
{
    (void)state;
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, 0x401000};
    const uint64_t lies[] = {
        3,         4, 1000, UINT32_MAX, UINT64_C(1) << 61, (UINT64_C(1) << 61) + 2, UINT64_MAX / 8,
        UINT64_MAX};
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        struct raw raw = stack_sample(lies[i], ips, 2);
        struct perf_record record;
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
    /* Fewer than there are is no lie that could hurt; none at all is a stack without frames. */
    for (uint64_t n_claimed = 0; n_claimed <= 2; n_claimed++) {
        struct raw raw = stack_sample(n_claimed, ips, 2);
        struct perf_record record;
        assert_int_equal(parse(&raw, &record), 0);
        assert_int_equal(record.sample.n_ips, n_claimed);
    }
}

static void a_switch_may_bring_a_stack(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = sched_stack_sample(WALK_PAYLOAD_MAGIC);
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.format, PERF_FORMAT_SCHED);
    assert_int_equal(record.sched.prev_serial, 3);
    assert_int_equal(record.sample.n_ips, 3);
    assert_int_equal(record.sample.walk.n_kernel_ips, 1);
    assert_int_equal(record.sample.walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(record.sample.walk.generation, 9);
    assert_int_equal(perf_record_ip(&record, 2), 0x402000);
    raw = sched_stack_sample(WALK_PAYLOAD_MAGIC + 1);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
}

static void a_switch_of_our_program_is_read(void **state)
{
    (void)state;
    struct raw raw = sched_sample(76);
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.format, PERF_FORMAT_SCHED);
    assert_int_equal(record.cpu, 5);
    assert_int_equal(record.sched.flags, SCHED_FLAG_PREV | SCHED_FLAG_NEXT);
    assert_int_equal(record.sched.prev_tid, 21);
    assert_int_equal(record.sched.next_tid, 22);
    assert_int_equal(record.sched.prev_state, 1);
    assert_int_equal(record.sched.time_ns, 777000);
    assert_int_equal(record.sched.prev_cpu_time_ns, 5000);
    assert_int_equal(record.sched.next_wake_ns, 776000);
    assert_int_equal(record.sched.prev_argument, 0xabcdef);
    assert_int_equal(record.sched.prev_syscall, 202);
    assert_int_equal(record.sched.prev_serial, 3);
    assert_int_equal(record.sched.waker_tid, 33);
    assert_int_equal(record.sched.waker_serial, 4);
    assert_int_equal(record.sched.prev_pid, 20);
    assert_int_equal(record.sched.next_pid, 23);

    for (uint32_t raw_bytes = 0; raw_bytes < sizeof(struct sched_payload); raw_bytes++) {
        raw = sched_sample(raw_bytes);
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
    raw = sched_sample(77);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
    raw = sched_sample(UINT32_MAX);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
}

static void a_stack_that_was_walked_in_the_kernel_is_read(void **state)
{
    (void)state;
    struct raw raw = walk_sample(WALK_END_PENDING, 3, 16);
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.format, PERF_FORMAT_WALK);
    assert_int_equal(record.sample.n_ips, 5);
    assert_int_equal(record.sample.walk.n_kernel_ips, 2);
    assert_int_equal(record.sample.period_ns, 1111111);
    assert_int_equal(perf_record_ip(&record, 1), 0xffffffff81000020);
    assert_int_equal(perf_record_ip(&record, 4), 0x401002);
    assert_int_equal(record.sample.walk.end, EVENT_STACK_END_UNKNOWN);
    assert_true(record.sample.walk.is_caller);
    assert_int_equal(record.sample.walk.generation, 7);
    assert_false(record.sample.walk.is_by_frame_pointers);
    assert_true(record.sample.user.is_known);
    assert_int_equal(record.sample.user.ip, 0x401234);
    assert_int_equal(record.sample.user.sp, 0x7ffe1000);
    assert_int_equal(record.sample.user.fp, 0x7ffe1040);
    assert_int_equal(record.sample.user.stack_bytes, 16);
    assert_int_equal(record.sample.user.stack[0], 0x88);

    raw = walk_sample(WALK_END_COMPLETE, 3, 0);
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.sample.walk.end, EVENT_STACK_END_COMPLETE);
    assert_false(record.sample.user.is_known);

    /* 32-bit code: whatever it says, no table has led there. */
    raw = walk_sample(WALK_END_PENDING, 3, 16);
    uint8_t *magic = memmem(raw.data, raw.n_bytes, &(uint32_t){WALK_PAYLOAD_MAGIC}, 4);
    assert_non_null(magic);
    magic[5] = WALK_FLAG_FRAME_POINTERS;
    assert_int_equal(parse(&raw, &record), 0);
    assert_true(record.sample.walk.is_by_frame_pointers);
    assert_int_equal(record.sample.walk.end, EVENT_STACK_END_UNKNOWN);
    assert_false(record.sample.user.is_known);

    const uint16_t too_many[] = {100, 0x1fff, 0x2000, UINT16_MAX};
    for (size_t i = 0; i < sizeof(too_many) / sizeof(*too_many); i++) {
        raw = walk_sample(WALK_END_COMPLETE, too_many[i], 0);
        assert_int_equal(parse(&raw, &record), -EBADMSG);
        raw = walk_sample(WALK_END_PENDING, 3, too_many[i]);
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
}

/* The caller of a function without a frame is in the copy, and not among the callers. */
static void a_recorded_sample_with_its_stack(void **state)
{
    (void)state;
    struct perf_record record;
    assert_int_equal(perf_record_parse(recorded_copy, sizeof(recorded_copy), &formats, &record), 0);
    assert_int_equal(record.pid, 22423);
    assert_int_equal(record.sample.period_ns, 5000000);
    assert_int_equal(record.sample.n_ips, 5);
    assert_int_equal(perf_record_ip(&record, 0), PERF_ABI_CONTEXT_USER);
    assert_int_equal(perf_record_ip(&record, 1), 0x40165c);
    assert_int_equal(perf_record_ip(&record, 2), 0x401bb4);
    const struct perf_user_state *user = &record.sample.user;
    assert_true(user->is_known);
    assert_false(user->is_after_syscall);
    assert_int_equal(user->ip, 0x40165c);
    assert_int_equal(user->sp, UINT64_C(0x7ffc2d7c0cb8));
    assert_int_equal(user->fp, UINT64_C(0x7ffc2d7c0d70));
    assert_int_equal(user->stack_bytes, 32);
    uint64_t return_ip;
    memcpy(&return_ip, user->stack, sizeof(return_ip));
    assert_int_equal(return_ip, 0x4017a9);
}

static void a_sample_with_registers_and_stack(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, COPY_IP, 40);
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.sample.n_ips, 2);
    assert_int_equal(record.sample.period_ns, 1111111);
    const struct perf_user_state *user = &record.sample.user;
    assert_true(user->is_known);
    assert_false(user->is_after_syscall);
    assert_int_equal(user->ip, COPY_IP);
    assert_int_equal(user->sp, COPY_SP);
    assert_int_equal(user->fp, COPY_FP);
    assert_int_equal(user->lr, 0);
    assert_int_equal(user->stack_bytes, 40); /* not the 64 that there is room for */
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(user->stack[i], i + 1);
    }

    raw = copy_sample(COPY_AARCH64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, 64);
    assert_int_equal(parse(&raw, &record), 0);
    assert_true(user->is_known);
    assert_int_equal(user->ip, COPY_IP);
    assert_int_equal(user->sp, COPY_SP);
    assert_int_equal(user->fp, COPY_FP);
    assert_int_equal(user->lr, COPY_LR);
    assert_int_equal(user->stack_bytes, 64);
}

static void a_stack_that_could_not_be_read(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, 0);
    assert_int_equal(parse(&raw, &record), 0);
    assert_true(record.sample.user.is_known);
    assert_int_equal(record.sample.user.stack_bytes, 0);
    assert_null(record.sample.user.stack);
}

static void a_system_call_is_told_from_an_interruption(void **state)
{
    (void)state;
    struct perf_record record;
    const struct {
        uint64_t identifier;
        uint16_t cpumode;
        uint64_t cx;
        bool is_after_syscall;
    } cases[] = {
        {COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_KERNEL, COPY_IP, true},
        {COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_KERNEL, COPY_IP + 1, false}, /* a fault */
        {COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, COPY_IP, false},
        {COPY_AARCH64_IDENTIFIER, PERF_ABI_MISC_KERNEL, 0, true},
        {COPY_AARCH64_IDENTIFIER, PERF_ABI_MISC_USER, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct raw raw = copy_sample(cases[i].identifier, cases[i].cpumode, 2, cases[i].cx, 8);
        assert_int_equal(parse(&raw, &record), 0);
        assert_int_equal(record.sample.user.is_after_syscall, cases[i].is_after_syscall);
    }
}

static void no_registers_no_copy(void **state)
{
    (void)state;
    struct perf_record record;
    /* A kernel thread or an ending one; a 32-bit program, whose stack nobody walks. */
    for (uint64_t abi = 0; abi < 2; abi++) {
        struct raw raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_KERNEL, abi, 0, 8);
        assert_int_equal(parse(&raw, &record), 0);
        assert_int_equal(record.sample.n_ips, 2);
        assert_false(record.sample.user.is_known);
        assert_null(record.sample.user.stack);
    }
}

static void a_copy_that_lies_is_refused(void **state)
{
    (void)state;
    struct perf_record record;
    /* More counts than there is. */
    struct raw raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, 65);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
    raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, UINT64_MAX);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
    /* The area is larger than the record. */
    raw = copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, 8);
    size_t area_at = raw.n_bytes - 8 - COPY_AREA_BYTES - 8;
    const uint64_t areas[] = {COPY_AREA_BYTES + 9, 1u << 16, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof(areas) / sizeof(*areas); i++) {
        memcpy(raw.data + area_at, &areas[i], sizeof(areas[i]));
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
}

static void a_sample_of_nobody_is_refused(void **state)
{
    (void)state;
    struct raw raw = sample_head(12345);
    put_u64(&raw, 1);
    put_u64(&raw, 0);
    raw_end(&raw);
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), -EBADMSG);
}

static void a_mapping_with_build_id(void **state)
{
    (void)state;
    struct perf_record record;
    for (uint8_t n_bytes = 0; n_bytes <= 20; n_bytes++) {
        struct raw raw = mmap2_with_build_id(n_bytes);
        assert_int_equal(parse(&raw, &record), 0);
        assert_trailer(&record);
        assert_int_equal(record.mmap.pid, 30);
        assert_int_equal(record.mmap.tid, 31);
        assert_true(record.mmap.is_executable);
        const struct event_image *image = &record.mmap.image;
        assert_int_equal(image->change, EVENT_IMAGE_MAPPED);
        assert_int_equal(image->start_ip, 0x7f0000001000);
        assert_int_equal(image->end_ip, 0x7f0000003000);
        assert_int_equal(image->file_offset, 0x1000);
        assert_string_equal(image->path, "/usr/lib/libc.so.6");
        assert_int_equal(image->inode, 0);
        assert_int_equal(image->build_id_bytes, n_bytes);
        for (uint8_t i = 0; i < 20; i++) {
            assert_int_equal(image->build_id[i], i < n_bytes ? 0xa0 + i : 0);
        }
    }
    for (int n_bytes = 21; n_bytes <= 255; n_bytes++) {
        struct raw raw = mmap2_with_build_id((uint8_t)n_bytes);
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
}

static void a_mapping_with_inode(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = mmap2_with_inode(5);
    assert_int_equal(parse(&raw, &record), 0);
    assert_trailer(&record);
    assert_true(record.mmap.is_executable);
    assert_int_equal(record.mmap.image.device_major, 8);
    assert_int_equal(record.mmap.image.device_minor, 1);
    assert_int_equal(record.mmap.image.inode, 987654);
    assert_int_equal(record.mmap.image.build_id_bytes, 0);
    assert_string_equal(record.mmap.image.path, "//anon");
    raw = mmap2_with_inode(3);
    assert_int_equal(parse(&raw, &record), 0);
    assert_false(record.mmap.is_executable);
}

static void a_mapping_of_the_old_kind(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = mmap_at(0x400000, 0x1000);
    assert_int_equal(parse(&raw, &record), 0);
    assert_true(record.mmap.is_executable);
    assert_int_equal(record.mmap.image.end_ip, 0x401000);
    assert_int_equal(record.mmap.image.file_offset, 0x3000);
    assert_string_equal(record.mmap.image.path, "/bin/true");

    raw = mmap_at(UINT64_MAX - 10, 11);
    assert_int_equal(parse(&raw, &record), -EBADMSG);
    raw = mmap_at(UINT64_MAX - 10, 10);
    assert_int_equal(parse(&raw, &record), 0);
}

static void a_path_without_end_is_refused(void **state)
{
    (void)state;
    struct raw raw = raw_begin(PERF_ABI_RECORD_COMM, 0);
    put_u32(&raw, 40);
    put_u32(&raw, 41);
    put(&raw, "notended", 8);
    raw_end_with_trailer(&raw); /* the trailer's zeros must not end it */
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), -EBADMSG);
}

static void names_births_and_deaths(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = comm(0);
    assert_int_equal(parse(&raw, &record), 0);
    assert_trailer(&record);
    assert_int_equal(record.comm.pid, 40);
    assert_int_equal(record.comm.tid, 41);
    assert_string_equal(record.comm.name, "postgres");
    assert_false(record.comm.is_exec);
    assert_false(perf_record_is_fork(&record));
    raw = comm(PERF_ABI_MISC_COMM_EXEC);
    assert_int_equal(parse(&raw, &record), 0);
    assert_true(record.comm.is_exec);

    const uint32_t types[] = {PERF_ABI_RECORD_FORK, PERF_ABI_RECORD_EXIT};
    for (size_t i = 0; i < 2; i++) {
        raw = task(types[i]);
        assert_int_equal(parse(&raw, &record), 0);
        assert_trailer(&record);
        assert_int_equal(record.task.pid, 50);
        assert_int_equal(record.task.parent_pid, 51);
        assert_int_equal(record.task.tid, 52);
        assert_int_equal(record.task.parent_tid, 53);
        assert_int_equal(perf_record_is_fork(&record), types[i] == PERF_ABI_RECORD_FORK);
    }
}

static void losses_and_switches(void **state)
{
    (void)state;
    struct perf_record record;
    struct raw raw = lost(1234567890123);
    assert_int_equal(parse(&raw, &record), 0);
    assert_trailer(&record);
    assert_int_equal(record.lost.count, 1234567890123);
    raw = lost_samples(42);
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.lost.count, 42);
    raw = throttle(PERF_ABI_RECORD_THROTTLE);
    assert_int_equal(parse(&raw, &record), 0);
    assert_int_equal(record.type, PERF_ABI_RECORD_THROTTLE);
    raw = throttle(PERF_ABI_RECORD_UNTHROTTLE);
    assert_int_equal(parse(&raw, &record), 0);
    assert_trailer(&record);

    const struct {
        uint16_t misc;
        bool is_out, is_preempted;
    } cases[] = {
        {0, false, false},
        {PERF_ABI_MISC_SWITCH_OUT, true, false},
        {PERF_ABI_MISC_SWITCH_OUT | PERF_ABI_MISC_SWITCH_OUT_PREEMPT, true, true},
    };
    for (size_t i = 0; i < 3; i++) {
        raw = context_switch(cases[i].misc);
        assert_int_equal(parse(&raw, &record), 0);
        assert_trailer(&record);
        assert_int_equal(record.context_switch.is_out, cases[i].is_out);
        assert_int_equal(record.context_switch.is_preempted, cases[i].is_preempted);
    }
}

static void types_that_we_do_not_read_are_told_apart(void **state)
{
    (void)state;
    const uint32_t types[] = {0, 8, 11, 12, 15, 16, 17, 18, 19, 20, 21, 64, UINT32_MAX};
    struct perf_record record;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct raw raw = raw_begin(types[i], 0);
        put_u64(&raw, 1);
        raw_end_with_trailer(&raw);
        assert_int_equal(parse(&raw, &record), 1);
    }
}

/*
 * Tries a record cut at every length: once with the size that it has now, once
 * with the size that it had. Each is given a block of exactly that many bytes.
 */
static void try_cut(const struct raw *whole, size_t n_bytes, bool claims_whole)
{
    uint8_t *data = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(data);
    memcpy(data, whole->data, n_bytes);
    uint16_t size_bytes = (uint16_t)(claims_whole ? whole->n_bytes : n_bytes);
    if (n_bytes >= 8) {
        memcpy(data + 6, &size_bytes, sizeof(size_bytes));
    }
    struct perf_record record;
    memset(&record, 0x5a, sizeof(record));
    struct perf_record untouched = record;
    int r = perf_record_parse(data, n_bytes, &formats, &record);
    if (r == 0) {
        assert_false(claims_whole);
        if (record.type == PERF_ABI_RECORD_SAMPLE && record.format == PERF_FORMAT_STACK) {
            uint64_t sum = 0;
            for (size_t i = 0; i < record.sample.n_ips; i++) {
                sum += perf_record_ip(&record, i);
            }
            assert_true(sum > 0 || record.sample.n_ips == 0);
            assert_true(record.sample.n_ips <= n_bytes / 8);
        } else if (record.type == PERF_ABI_RECORD_COMM) {
            assert_true(strlen(record.comm.name) < n_bytes);
        } else if (record.type == PERF_ABI_RECORD_MMAP || record.type == PERF_ABI_RECORD_MMAP2) {
            assert_true(strlen(record.mmap.image.path) < n_bytes);
            assert_true(record.mmap.image.build_id_bytes <= LIMIT_BUILD_ID_BYTES);
        }
    } else {
        assert_int_equal(r, -EBADMSG);
        assert_memory_equal(&record, &untouched, sizeof(record));
    }
    free(data);
}

static void no_cut_reads_past_the_end(void **state)
{
    (void)state;
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, 0x401000, 0x402000};
    const struct raw records[] = {
        stack_sample(3, ips, 3),
        copy_sample(COPY_X86_64_IDENTIFIER, PERF_ABI_MISC_USER, 2, 0, 64),
        copy_sample(COPY_AARCH64_IDENTIFIER, PERF_ABI_MISC_KERNEL, 2, 0, 24),
        sched_sample(76),
        sched_stack_sample(WALK_PAYLOAD_MAGIC),
        walk_sample(WALK_END_PENDING, 3, 16),
        mmap2_with_build_id(20),
        mmap2_with_inode(5),
        mmap_at(0x400000, 0x1000),
        comm(PERF_ABI_MISC_COMM_EXEC),
        task(PERF_ABI_RECORD_FORK),
        task(PERF_ABI_RECORD_EXIT),
        lost(3),
        lost_samples(3),
        throttle(PERF_ABI_RECORD_THROTTLE),
        context_switch(PERF_ABI_MISC_SWITCH_OUT),
    };
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        struct perf_record record;
        assert_int_equal(parse(&records[i], &record), 0);
        for (size_t n_bytes = 0; n_bytes < records[i].n_bytes; n_bytes++) {
            try_cut(&records[i], n_bytes, false);
            try_cut(&records[i], n_bytes, true);
        }
    }
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct raw raw = context_switch(0);
    struct perf_record record;
    for (uint16_t size_bytes = 0; size_bytes < (uint16_t)raw.n_bytes; size_bytes++) {
        memcpy(raw.data + 6, &size_bytes, sizeof(size_bytes));
        assert_int_equal(parse(&raw, &record), -EBADMSG);
    }
    uint16_t size_bytes = (uint16_t)(raw.n_bytes + 1);
    memcpy(raw.data + 6, &size_bytes, sizeof(size_bytes));
    assert_int_equal(parse(&raw, &record), -EBADMSG);
}

/* What lies behind the record in the ring is not its business. */
static void bytes_behind_the_record_are_ignored(void **state)
{
    (void)state;
    struct raw raw = comm(0);
    size_t n_bytes = raw.n_bytes;
    put(&raw, "next record's bytes", 19);
    struct perf_record record;
    assert_int_equal(parse(&raw, &record), 0);
    assert_trailer(&record);
    assert_true(n_bytes < raw.n_bytes);
}

static void any_bytes_give_an_answer(void **state)
{
    (void)state;
    uint64_t seed = 42;
    unsigned int n_accepted = 0;
    for (int round = 0; round < 200000; round++) {
        uint64_t words[20];
        for (size_t i = 0; i < 20; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            words[i] = (seed >> 60) < 8 ? (seed >> 56) & 7 : seed >> 11;
        }
        uint32_t type = (uint32_t)(seed >> 40) % 18;
        uint16_t size_bytes = (uint16_t)((seed >> 20) % (sizeof(words) + 1));
        memcpy(words, &type, sizeof(type));
        memcpy((uint8_t *)words + 6, &size_bytes, sizeof(size_bytes));
        words[1] = round % 2 ? STACK_IDENTIFIER : SCHED_IDENTIFIER;
        struct perf_record record;
        int r = perf_record_parse(words, sizeof(words), &formats, &record);
        assert_true(r == 0 || r == 1 || r == -EBADMSG);
        n_accepted += r == 0;
    }
    assert_true(n_accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_has_its_place_and_its_callers),
        cmocka_unit_test(ips_may_lie_at_any_address),
        cmocka_unit_test(a_callchain_that_lies_is_refused),
        cmocka_unit_test(a_switch_of_our_program_is_read),
        cmocka_unit_test(a_switch_may_bring_a_stack),
        cmocka_unit_test(a_stack_that_was_walked_in_the_kernel_is_read),
        cmocka_unit_test(a_recorded_sample_with_its_stack),
        cmocka_unit_test(a_sample_with_registers_and_stack),
        cmocka_unit_test(a_stack_that_could_not_be_read),
        cmocka_unit_test(a_system_call_is_told_from_an_interruption),
        cmocka_unit_test(no_registers_no_copy),
        cmocka_unit_test(a_copy_that_lies_is_refused),
        cmocka_unit_test(a_sample_of_nobody_is_refused),
        cmocka_unit_test(a_mapping_with_build_id),
        cmocka_unit_test(a_mapping_with_inode),
        cmocka_unit_test(a_mapping_of_the_old_kind),
        cmocka_unit_test(a_path_without_end_is_refused),
        cmocka_unit_test(names_births_and_deaths),
        cmocka_unit_test(losses_and_switches),
        cmocka_unit_test(types_that_we_do_not_read_are_told_apart),
        cmocka_unit_test(no_cut_reads_past_the_end),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(bytes_behind_the_record_are_ignored),
        cmocka_unit_test(any_bytes_give_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
