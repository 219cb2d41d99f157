/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "decode/perf_abi.h"
#include "decode/perf_events.h"

#define PID 1000
#define FOREIGN_PID 2000
#define KERNEL_IP UINT64_C(0xffffffff81000010)
#define USER_IP UINT64_C(0x401000)

struct fixture {
    struct perf_translator translator;
    struct event_batch *batch;
    int32_t running_tids[4];
};

static void begin(struct fixture *fixture, bool is_wide)
{
    const struct event_batch_limits limits = {0};
    *fixture = (struct fixture){0};
    assert_int_equal(event_batch_new(&limits, &fixture->batch), 0);
    fixture->translator = (struct perf_translator){
        .pid = PID,
        .is_wide = is_wide,
        .running_tids = fixture->running_tids,
        .n_running_tids = 4,
    };
}

static void end(struct fixture *fixture)
{
    fixture->batch = event_batch_free(fixture->batch);
}

static int translate(struct fixture *fixture, const struct perf_record *record)
{
    size_t before = event_batch_count(fixture->batch);
    int n_added = perf_events_translate(&fixture->translator, record, fixture->batch);
    assert_int_equal(event_batch_count(fixture->batch) - before, n_added);
    return n_added;
}

/* The n-th event from the end; 0 is the last. */
static const struct event *last(const struct fixture *fixture, size_t n)
{
    size_t count = event_batch_count(fixture->batch);
    assert_true(n < count);
    return event_batch_get(fixture->batch, count - 1 - n);
}

static struct perf_record record_of(uint32_t type, int32_t pid, int32_t tid, uint64_t time_ns)
{
    struct perf_record record;
    memset(&record, 0, sizeof(record));
    record.type = type;
    record.pid = pid;
    record.tid = tid;
    record.time_ns = time_ns;
    record.cpu = 2;
    return record;
}

static struct perf_record sample_of(int32_t pid, int32_t tid, const uint64_t *ips, size_t n_ips)
{
    struct perf_record record = record_of(PERF_ABI_RECORD_SAMPLE, pid, tid, 100);
    record.format = PERF_FORMAT_STACK;
    record.sample.ips = (const uint8_t *)ips;
    record.sample.n_ips = n_ips;
    record.sample.period_ns = 1111111;
    return record;
}

static struct perf_record sched_of(uint32_t flags, uint32_t prev_tid, uint32_t next_tid,
                                   uint32_t prev_state)
{
    struct perf_record record = record_of(PERF_ABI_RECORD_SAMPLE, FOREIGN_PID, FOREIGN_PID, 100);
    record.format = PERF_FORMAT_SCHED;
    record.sched = (struct sched_payload){
        .flags = flags,
        .prev_tid = prev_tid,
        .next_tid = next_tid,
        .prev_state = prev_state,
        .prev_cpu_time_ns = 5555,
    };
    return record;
}

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void a_chain_is_split_into_kernel_and_user(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    const uint64_t both[] = {PERF_ABI_CONTEXT_KERNEL,
                             KERNEL_IP,
                             KERNEL_IP + 8,
                             PERF_ABI_CONTEXT_USER,
                             USER_IP,
                             USER_IP + 8,
                             USER_IP + 16};
    struct perf_record record = sample_of(PID, PID + 1, both, COUNT(both));
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *event = last(&fixture, 0);
    assert_int_equal(event->kind, EVENT_SAMPLE);
    assert_int_equal(event->pid, PID);
    assert_int_equal(event->tid, PID + 1);
    assert_int_equal(event->time_ns, 100);
    assert_int_equal(event->cpu, 2);
    assert_int_equal(event->sample.period_ns, 1111111);
    assert_false(event->stack.is_truncated);
    assert_int_equal(event->stack.n_ips, 5);
    assert_int_equal(event->stack.n_kernel_ips, 2);
    const uint64_t wanted[] = {KERNEL_IP, KERNEL_IP + 8, USER_IP, USER_IP + 8, USER_IP + 16};
    assert_memory_equal(event->stack.ips, wanted, sizeof(wanted));

    const uint64_t user_only[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    record = sample_of(PID, PID, user_only, COUNT(user_only));
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->stack.n_ips, 1);
    assert_int_equal(last(&fixture, 0)->stack.n_kernel_ips, 0);

    const uint64_t kernel_only[] = {PERF_ABI_CONTEXT_KERNEL, KERNEL_IP};
    record = sample_of(PID, PID, kernel_only, COUNT(kernel_only));
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->stack.n_ips, 1);
    assert_int_equal(last(&fixture, 0)->stack.n_kernel_ips, 1);

    record = sample_of(PID, PID, NULL, 0);
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->stack.n_ips, 0);
    assert_false(last(&fixture, 0)->stack.is_truncated);
    assert_int_equal(fixture.translator.n_truncated_stacks, 0);
    end(&fixture);
}

static void a_user_chain_ends_where_it_goes_astray(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    const uint64_t strays[] = {0, 1, 4095, UINT64_C(1) << 63, KERNEL_IP, UINT64_MAX - 5000};
    for (size_t i = 0; i < COUNT(strays); i++) {
        const uint64_t ips[] = {PERF_ABI_CONTEXT_KERNEL,
                                KERNEL_IP,
                                PERF_ABI_CONTEXT_USER,
                                USER_IP,
                                strays[i],
                                USER_IP + 8};
        struct perf_record record = sample_of(PID, PID, ips, COUNT(ips));
        assert_int_equal(translate(&fixture, &record), 1);
        const struct event *event = last(&fixture, 0);
        assert_int_equal(event->stack.n_ips, 2);
        assert_int_equal(event->stack.n_kernel_ips, 1);
        assert_int_equal(event->stack.ips[1], USER_IP);
        assert_true(event->stack.is_truncated);
        assert_int_equal(fixture.translator.n_truncated_stacks, i + 1);
    }
    /* The lowest address that can be mapped is code like any other. */
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, 4096, (UINT64_C(1) << 63) - 1};
    struct perf_record record = sample_of(PID, PID, ips, COUNT(ips));
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->stack.n_ips, 2);
    assert_false(last(&fixture, 0)->stack.is_truncated);
    end(&fixture);
}

static void what_is_no_kernel_address_is_left_out(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    const uint64_t ips[] = {USER_IP, PERF_ABI_CONTEXT_KERNEL, KERNEL_IP, 0x1234, KERNEL_IP + 8};
    struct perf_record record = sample_of(PID, PID, ips, COUNT(ips));
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *event = last(&fixture, 0);
    assert_int_equal(event->stack.n_ips, 2);
    assert_int_equal(event->stack.n_kernel_ips, 2);
    assert_int_equal(event->stack.ips[1], KERNEL_IP + 8);
    assert_true(event->stack.is_truncated);
    end(&fixture);
}

static void a_stack_that_is_too_deep_is_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    static uint64_t ips[3 * LIMIT_STACK_IPS];
    ips[0] = PERF_ABI_CONTEXT_USER;
    for (size_t i = 1; i < COUNT(ips); i++) {
        ips[i] = USER_IP + i;
    }
    struct perf_record record = sample_of(PID, PID, ips, COUNT(ips));
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *event = last(&fixture, 0);
    assert_int_equal(event->stack.n_ips, LIMIT_STACK_IPS);
    assert_int_equal(event->stack.ips[LIMIT_STACK_IPS - 1], USER_IP + LIMIT_STACK_IPS);
    assert_true(event->stack.is_truncated);
    end(&fixture);
}

static struct perf_record copy_of(const uint64_t *ips, size_t n_ips, const uint8_t *stack,
                                  size_t stack_bytes)
{
    struct perf_record record = sample_of(PID, PID + 1, ips, n_ips);
    record.format = PERF_FORMAT_COPY_X86_64;
    record.sample.user = (struct perf_user_state){
        .is_known = true,
        .ip = USER_IP,
        .sp = 0x7ffe0000,
        .fp = 0x7ffe0040,
        .stack = stack,
        .stack_bytes = stack_bytes,
    };
    return record;
}

static void a_copy_lies_in_the_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP, USER_IP + 8};
    uint8_t stack[72];
    for (size_t i = 0; i < sizeof(stack); i++) {
        stack[i] = (uint8_t)(i + 1);
    }
    struct perf_record record = copy_of(ips, COUNT(ips), stack, sizeof(stack));
    assert_int_equal(translate(&fixture, &record), 1);
    memset(stack, 0xee, sizeof(stack)); /* the ring is written over */
    const struct event *event = last(&fixture, 0);
    assert_int_equal(event->stack.n_ips, 2);
    assert_int_equal(event->stack.source, EVENT_STACK_FRAME_POINTERS);
    assert_int_equal(event->stack.end, EVENT_STACK_END_UNKNOWN);
    const struct event_stack_copy *copy = event->stack.copy;
    assert_non_null(copy);
    assert_int_equal(copy->ip, USER_IP);
    assert_int_equal(copy->sp, 0x7ffe0000);
    assert_int_equal(copy->fp, 0x7ffe0040);
    assert_int_equal(copy->lr, 0);
    assert_true(copy->is_innermost);
    assert_false(copy->is_after_syscall);
    assert_int_equal(copy->n_bytes, 72);
    for (size_t i = 0; i < 72; i++) {
        assert_int_equal(copy->bytes[i], i + 1);
    }
    assert_int_equal(fixture.translator.n_samples, 1);
    assert_int_equal(fixture.translator.n_copies, 1);
    assert_int_equal(fixture.translator.copied_bytes, 72);
    end(&fixture);
}

static void a_copy_may_have_registers_only_or_be_missing(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    struct perf_record record = copy_of(ips, COUNT(ips), NULL, 0);
    record.sample.user.is_after_syscall = true;
    record.sample.user.lr = 77;
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event_stack_copy *copy = last(&fixture, 0)->stack.copy;
    assert_non_null(copy);
    assert_int_equal(copy->n_bytes, 0);
    assert_int_equal(copy->lr, 77);
    assert_true(copy->is_after_syscall);

    record.sample.user = (struct perf_user_state){.is_known = false};
    assert_int_equal(translate(&fixture, &record), 1);
    assert_null(last(&fixture, 0)->stack.copy);
    record = sample_of(PID, PID + 1, ips, COUNT(ips));
    assert_int_equal(translate(&fixture, &record), 1);
    assert_null(last(&fixture, 0)->stack.copy);
    assert_int_equal(fixture.translator.n_samples, 3);
    assert_int_equal(fixture.translator.n_copies, 1);
    assert_int_equal(fixture.translator.copied_bytes, 0);
    end(&fixture);
}

/* While the batch says that it has room, the largest copy fits. */
static void the_largest_copies_fill_a_batch_and_no_more(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    static uint8_t stack[LIMIT_STACK_COPY_BYTES];
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    size_t n_added = 0;
    while (event_batch_has_room(fixture.batch)) {
        stack[0] = (uint8_t)n_added;
        struct perf_record record = copy_of(ips, COUNT(ips), stack, sizeof(stack));
        assert_int_equal(translate(&fixture, &record), 1);
        n_added++;
    }
    assert_true(n_added >= 8);
    for (size_t i = 0; i < n_added; i++) {
        assert_int_equal(event_batch_get(fixture.batch, i)->stack.copy->bytes[0], (uint8_t)i);
    }
    end(&fixture);
}

static void samples_of_dying_threads_belong_to_who_runs_there(void **state)
{
    (void)state;
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        struct fixture fixture;
        begin(&fixture, is_wide);
        fixture.running_tids[2] = PID + 7;
        struct perf_record record = sample_of(-1, -1, ips, COUNT(ips));
        assert_int_equal(translate(&fixture, &record), 1);
        assert_int_equal(last(&fixture, 0)->pid, PID);
        assert_int_equal(last(&fixture, 0)->tid, PID + 7);
        record = sample_of(PID, -1, ips, COUNT(ips));
        assert_int_equal(translate(&fixture, &record), 1);
        assert_int_equal(last(&fixture, 0)->pid, PID);
        assert_int_equal(last(&fixture, 0)->tid, PID + 7);

        /* Where none of the target's threads runs, nobody can have it. */
        record.cpu = 1;
        assert_int_equal(translate(&fixture, &record), 0);
        record.cpu = 4; /* a CPU that there was not when the recording began */
        assert_int_equal(translate(&fixture, &record), 0);
        assert_int_equal(fixture.translator.n_foreign, 2);
        end(&fixture);
    }
}

static void switches_tell_who_runs_there(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    struct perf_record in = record_of(PERF_ABI_RECORD_SWITCH, PID, PID + 3, 10);
    assert_int_equal(translate(&fixture, &in), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_SWITCH_IN);
    assert_int_equal(last(&fixture, 0)->tid, PID + 3);
    assert_int_equal(fixture.running_tids[2], PID + 3);

    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    struct perf_record sample = sample_of(PID, -1, ips, COUNT(ips));
    assert_int_equal(translate(&fixture, &sample), 1);
    assert_int_equal(last(&fixture, 0)->tid, PID + 3);

    /* The last switch of a thread does not know whose it is. */
    struct perf_record out = record_of(PERF_ABI_RECORD_SWITCH, -1, -1, 200);
    out.context_switch.is_out = true;
    assert_int_equal(translate(&fixture, &out), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_SWITCH_OUT);
    assert_int_equal(last(&fixture, 0)->pid, PID);
    assert_int_equal(last(&fixture, 0)->tid, PID + 3);
    assert_false(last(&fixture, 0)->is_preempted);
    assert_int_equal(last(&fixture, 0)->switch_out.object.syscall, EVENT_NO_SYSCALL);
    assert_int_equal(fixture.running_tids[2], 0);
    assert_int_equal(translate(&fixture, &out), 0);

    out = record_of(PERF_ABI_RECORD_SWITCH, PID, PID + 3, 300);
    out.context_switch.is_out = out.context_switch.is_preempted = true;
    assert_int_equal(translate(&fixture, &out), 1);
    assert_true(last(&fixture, 0)->is_preempted);
    end(&fixture);
}

static void it_works_without_a_table_of_who_runs(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    fixture.translator.running_tids = NULL;
    fixture.translator.n_running_tids = 0;
    struct perf_record in = record_of(PERF_ABI_RECORD_SWITCH, PID, PID, 10);
    assert_int_equal(translate(&fixture, &in), 1);
    in.tid = -1;
    assert_int_equal(translate(&fixture, &in), 0);
    end(&fixture);
}

static void one_switch_record_of_ours_can_be_two_events(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    struct perf_record record = sched_of(SCHED_FLAG_PREV | SCHED_FLAG_NEXT, PID + 1, PID + 2, 1);
    assert_int_equal(translate(&fixture, &record), 2);
    const struct event *out = last(&fixture, 1), *in = last(&fixture, 0);
    assert_int_equal(out->kind, EVENT_SWITCH_OUT);
    assert_int_equal(out->pid, PID);
    assert_int_equal(out->tid, PID + 1);
    assert_false(out->is_preempted);
    assert_int_equal(out->switch_out.cpu_time_ns, 5555);
    assert_int_equal(in->kind, EVENT_SWITCH_IN);
    assert_int_equal(in->pid, PID);
    assert_int_equal(in->tid, PID + 2);
    assert_int_equal(in->cpu, 2);
    assert_int_equal(fixture.running_tids[2], PID + 2);

    record = sched_of(SCHED_FLAG_PREV, PID + 2, 0, 0);
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_SWITCH_OUT);
    assert_true(last(&fixture, 0)->is_preempted);
    assert_int_equal(fixture.running_tids[2], 0);

    record = sched_of(SCHED_FLAG_NEXT, 0, PID + 1, 0);
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_SWITCH_IN);
    assert_int_equal(fixture.running_tids[2], PID + 1);

    record = sched_of(0, 0, 0, 0);
    assert_int_equal(translate(&fixture, &record), 0);
    assert_int_equal(fixture.translator.n_foreign, 0);
    end(&fixture);
}

static void waits_and_wakeups_are_told_with_their_stacks(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    const uint64_t ips[] = {UINT64_C(0xffffffff81000000), 0x401000, 0x402000};
    struct perf_record record =
        sched_of(SCHED_FLAG_PREV | SCHED_FLAG_NEXT | SCHED_FLAG_PREV_STACK, PID + 1, PID + 2, 1);
    record.sample.ips = (const uint8_t *)ips;
    record.sample.n_ips = 3;
    record.sample.walk.n_kernel_ips = 1;
    record.sample.walk.end = EVENT_STACK_END_COMPLETE;
    record.sched.time_ns = 90;
    record.sched.prev_serial = 7;
    record.sched.prev_syscall = 202;
    record.sched.prev_argument = 0x7000;
    record.sched.next_wake_ns = 80;
    assert_int_equal(translate(&fixture, &record), 2);
    const struct event *out = last(&fixture, 1), *in = last(&fixture, 0);
    assert_int_equal(out->time_ns, 90); /* of the switch, not of the record */
    assert_int_equal(out->stack.n_ips, 3);
    assert_int_equal(out->stack.n_kernel_ips, 1);
    assert_int_equal(out->stack.source, EVENT_STACK_WALKED);
    assert_int_equal(out->switch_out.stack_serial, 7);
    assert_int_equal(out->switch_out.object.syscall, 202);
    assert_int_equal(out->switch_out.object.argument, 0x7000);
    assert_int_equal(in->stack.n_ips, 0);
    assert_int_equal(in->switch_in.wake_ns, 80);
    assert_true(in->switch_in.waker_tid == EVENT_WAKER_UNKNOWN);

    record.sched.flags = SCHED_FLAG_WAKEUP | SCHED_FLAG_WAKER_KNOWN | SCHED_FLAG_WAKER_STACK;
    record.sched.waker_tid = PID + 3;
    record.sched.waker_serial = 2;
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *wakeup = last(&fixture, 0);
    assert_int_equal(wakeup->kind, EVENT_WAKEUP);
    assert_int_equal(wakeup->tid, PID + 2);
    assert_int_equal(wakeup->wakeup.waker_tid, PID + 3);
    assert_int_equal(wakeup->wakeup.waker_serial, 2);
    assert_int_equal(event_stack_tid(wakeup), PID + 3);
    assert_int_equal(wakeup->stack.n_ips, 3);
    assert_false(wakeup->wakeup.ends_no_wait);

    record.sched.flags = SCHED_FLAG_WAKEUP | SCHED_FLAG_WAKER_KNOWN | SCHED_FLAG_AWAKE;
    record.sched.waker_tid = 0; /* an interrupt */
    assert_int_equal(translate(&fixture, &record), 1);
    assert_true(last(&fixture, 0)->wakeup.waker_tid == EVENT_NO_WAKER);
    assert_true(last(&fixture, 0)->wakeup.ends_no_wait);
    assert_int_equal(last(&fixture, 0)->stack.n_ips, 0);
    end(&fixture);
}

/* One record of each kind that comes from another process, its children included. */
static void wide_recordings_drop_foreign_processes(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    const uint64_t ips[] = {PERF_ABI_CONTEXT_USER, USER_IP};
    struct perf_record records[6] = {
        sample_of(FOREIGN_PID, FOREIGN_PID, ips, COUNT(ips)),
        record_of(PERF_ABI_RECORD_MMAP2, FOREIGN_PID, FOREIGN_PID, 1),
        record_of(PERF_ABI_RECORD_COMM, FOREIGN_PID, FOREIGN_PID, 1),
        record_of(PERF_ABI_RECORD_FORK, FOREIGN_PID, FOREIGN_PID, 1),
        record_of(PERF_ABI_RECORD_EXIT, FOREIGN_PID, FOREIGN_PID, 1),
        record_of(PERF_ABI_RECORD_SWITCH, FOREIGN_PID, FOREIGN_PID, 1),
    };
    records[1].mmap.pid = records[2].comm.pid = records[4].task.pid = FOREIGN_PID;
    records[1].mmap.is_executable = true;
    records[2].comm.name = "other";
    records[3].task.pid = FOREIGN_PID + 1;
    records[3].task.parent_pid = FOREIGN_PID;
    for (size_t i = 0; i < COUNT(records); i++) {
        assert_int_equal(translate(&fixture, &records[i]), 0);
        assert_int_equal(fixture.translator.n_foreign, i + 1);
    }
    end(&fixture);

    /* Per-thread events are the target's by construction, its children's too. */
    begin(&fixture, false);
    for (size_t i = 0; i < COUNT(records); i++) {
        int n_wanted = i == 3 ? 0 : 1; /* a child that is not followed */
        assert_int_equal(translate(&fixture, &records[i]), n_wanted);
    }
    assert_int_equal(fixture.translator.n_foreign, 0);
    end(&fixture);
}

static void only_code_is_an_image(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    struct perf_record record = record_of(PERF_ABI_RECORD_MMAP2, PID, PID, 5);
    record.mmap.pid = PID;
    record.mmap.tid = PID + 1;
    record.mmap.image = (struct event_image){
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = 0x1000,
        .end_ip = 0x2000,
        .path = "/lib/x.so",
        .build_id_bytes = 1,
        .build_id = {9},
    };
    assert_int_equal(translate(&fixture, &record), 0);
    record.mmap.is_executable = true;
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *event = last(&fixture, 0);
    assert_int_equal(event->kind, EVENT_IMAGE);
    assert_int_equal(event->pid, PID);
    assert_int_equal(event->tid, PID + 1);
    assert_int_equal(event->image->change, EVENT_IMAGE_MAPPED);
    assert_int_equal(event->image->end_ip, 0x2000);
    assert_string_equal(event->image->path, "/lib/x.so");
    assert_ptr_not_equal(event->image->path, record.mmap.image.path);
    assert_int_equal(event->image->build_id[0], 9);
    end(&fixture);
}

static void exec_is_a_new_image_and_a_new_name(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    struct perf_record record = record_of(PERF_ABI_RECORD_COMM, PID, PID, 5);
    record.comm.pid = PID;
    record.comm.tid = PID;
    record.comm.name = "python3";
    record.comm.is_exec = true;
    assert_int_equal(translate(&fixture, &record), 2);
    const struct event *exec = last(&fixture, 1), *named = last(&fixture, 0);
    assert_int_equal(exec->kind, EVENT_IMAGE);
    assert_int_equal(exec->image->change, EVENT_IMAGE_EXEC);
    assert_int_equal(exec->pid, PID);
    assert_int_equal(named->kind, EVENT_THREAD);
    assert_int_equal(named->thread.change, EVENT_THREAD_NAMED);
    assert_string_equal(named->thread.name, "python3");

    record.comm.is_exec = false;
    record.comm.tid = PID + 4;
    record.comm.name = "worker";
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->tid, PID + 4);
    assert_string_equal(last(&fixture, 0)->thread.name, "worker");
    end(&fixture);
}

static struct perf_record fork_of(int32_t pid, int32_t parent_pid, int32_t tid)
{
    struct perf_record record = record_of(PERF_ABI_RECORD_FORK, parent_pid, parent_pid, 5);
    record.task.pid = pid;
    record.task.parent_pid = parent_pid;
    record.task.tid = tid;
    record.task.parent_tid = parent_pid;
    return record;
}

static void births_of_threads_and_processes(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    struct perf_record thread = fork_of(PID, PID, PID + 5);
    struct perf_record process = fork_of(PID + 9, PID, PID + 9);
    assert_int_equal(translate(&fixture, &thread), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_THREAD);
    assert_int_equal(last(&fixture, 0)->thread.change, EVENT_THREAD_BORN);
    assert_int_equal(last(&fixture, 0)->thread.creator_tid, PID);
    assert_int_equal(last(&fixture, 0)->pid, PID);
    assert_int_equal(last(&fixture, 0)->tid, PID + 5);
    assert_null(last(&fixture, 0)->thread.name);
    assert_int_equal(translate(&fixture, &process), 0);

    fixture.translator.follow_children = true;
    assert_int_equal(translate(&fixture, &thread), 1);
    assert_int_equal(translate(&fixture, &process), 2);
    const struct event *image = last(&fixture, 1), *born = last(&fixture, 0);
    assert_int_equal(image->kind, EVENT_IMAGE);
    assert_int_equal(image->image->change, EVENT_IMAGE_FORKED);
    assert_int_equal(image->image->parent_pid, PID);
    assert_int_equal(image->pid, PID + 9);
    assert_int_equal(born->kind, EVENT_THREAD);
    assert_int_equal(born->thread.change, EVENT_THREAD_BORN);
    assert_int_equal(born->pid, PID + 9);
    assert_int_equal(born->thread.creator_tid, PID);
    assert_int_equal(born->tid, PID + 9);
    end(&fixture);
}

static void deaths(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    struct perf_record record = record_of(PERF_ABI_RECORD_EXIT, PID, PID + 5, 6);
    record.task.pid = PID;
    record.task.tid = PID + 5;
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->thread.change, EVENT_THREAD_GONE);
    assert_int_equal(last(&fixture, 0)->tid, PID + 5);
    end(&fixture);
}

static void losses_are_told_by_cause(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    struct perf_record record = record_of(PERF_ABI_RECORD_LOST, FOREIGN_PID, FOREIGN_PID, 7);
    record.lost.count = 12;
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->kind, EVENT_LOST);
    assert_int_equal(last(&fixture, 0)->lost.cause, EVENT_LOST_RING_FULL);
    assert_int_equal(last(&fixture, 0)->lost.count, 12);
    record.type = PERF_ABI_RECORD_LOST_SAMPLES;
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->lost.count, 12);
    record = record_of(PERF_ABI_RECORD_THROTTLE, PID, PID, 7);
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(last(&fixture, 0)->lost.cause, EVENT_LOST_THROTTLED);
    assert_int_equal(last(&fixture, 0)->lost.count, 1);
    record = record_of(PERF_ABI_RECORD_UNTHROTTLE, PID, PID, 7);
    assert_int_equal(translate(&fixture, &record), 0);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_split_into_kernel_and_user),
        cmocka_unit_test(a_user_chain_ends_where_it_goes_astray),
        cmocka_unit_test(what_is_no_kernel_address_is_left_out),
        cmocka_unit_test(a_stack_that_is_too_deep_is_cut),
        cmocka_unit_test(a_copy_lies_in_the_batch),
        cmocka_unit_test(a_copy_may_have_registers_only_or_be_missing),
        cmocka_unit_test(the_largest_copies_fill_a_batch_and_no_more),
        cmocka_unit_test(samples_of_dying_threads_belong_to_who_runs_there),
        cmocka_unit_test(switches_tell_who_runs_there),
        cmocka_unit_test(it_works_without_a_table_of_who_runs),
        cmocka_unit_test(one_switch_record_of_ours_can_be_two_events),
        cmocka_unit_test(waits_and_wakeups_are_told_with_their_stacks),
        cmocka_unit_test(wide_recordings_drop_foreign_processes),
        cmocka_unit_test(only_code_is_an_image),
        cmocka_unit_test(exec_is_a_new_image_and_a_new_name),
        cmocka_unit_test(births_of_threads_and_processes),
        cmocka_unit_test(deaths),
        cmocka_unit_test(losses_are_told_by_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
