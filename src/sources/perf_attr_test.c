/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "decode/perf_abi.h"
#include "sources/perf_attr.h"

/* What the decoder relies on, whatever the event is for. */
static void assert_decodable(const struct perf_event_attr *attr)
{
    assert_int_equal(attr->size, sizeof(*attr));
    assert_int_equal(attr->type, PERF_TYPE_SOFTWARE);
    assert_int_equal(attr->sample_type & PERF_ABI_FORMAT_BASE, PERF_ABI_FORMAT_BASE);
    assert_true(attr->sample_id_all);
    assert_true(attr->use_clockid);
    assert_int_equal(attr->clockid, CLOCK_MONOTONIC);
    assert_true(attr->disabled);
    assert_true(attr->exclude_hv);
    assert_false(attr->freq);
    assert_int_equal(attr->read_format, 0);
}

static const struct perf_attr_config plain = {.period_ns = 1111111, .wakeup_bytes = 4096};

static void samples_come_by_the_cpu_clock_with_their_callers(void **state)
{
    (void)state;
    struct perf_event_attr attr;
    memset(&attr, 0xff, sizeof(attr));
    perf_attr_samples(&plain, false, &attr);
    assert_decodable(&attr);
    assert_int_equal(attr.config, PERF_COUNT_SW_CPU_CLOCK);
    assert_int_equal(attr.sample_period, 1111111);
    assert_int_equal(attr.sample_type, PERF_ABI_FORMAT_STACK);
    assert_true(attr.watermark);
    assert_int_equal(attr.wakeup_watermark, 4096);
    assert_false(attr.exclude_kernel);
    assert_false(attr.exclude_user);
    assert_false(attr.exclude_callchain_kernel);
    assert_false(attr.exclude_callchain_user);
    assert_false(attr.inherit);
    assert_false(attr.mmap || attr.mmap2 || attr.comm || attr.task || attr.context_switch);
}

static void the_side_band_is_complete(void **state)
{
    (void)state;
    struct perf_attr_config config = plain;
    config.with_switches = true;
    struct perf_event_attr with, alone;
    perf_attr_samples(&config, true, &with);
    perf_attr_side_band(&config, &alone);
    assert_decodable(&with);
    assert_decodable(&alone);
    const struct perf_event_attr *both[] = {&with, &alone};
    for (size_t i = 0; i < 2; i++) {
        assert_true(both[i]->mmap && both[i]->mmap2 && both[i]->comm && both[i]->comm_exec &&
                    both[i]->task);
    }
    assert_true(with.context_switch);
    assert_int_equal(alone.config, PERF_COUNT_SW_DUMMY);
    assert_true(alone.context_switch);

    config.with_switches = false;
    perf_attr_samples(&config, true, &with);
    assert_false(with.context_switch);
    perf_attr_side_band(&config, &alone);
    assert_false(alone.context_switch); /* per CPU, those of everybody would be a flood */
}

static void stacks_are_copied_where_they_are_wanted(void **state)
{
    (void)state;
    struct perf_attr_config config = plain;
    struct perf_event_attr attr;
    assert_int_equal(perf_attr_samples_format(&config), PERF_FORMAT_STACK);
    perf_attr_samples(&config, false, &attr);
    assert_int_equal(attr.sample_regs_user, 0);
    assert_int_equal(attr.sample_stack_user, 0);

    config.stack_bytes = 4096;
    enum perf_format format = perf_attr_samples_format(&config);
    assert_true(format == PERF_FORMAT_COPY_X86_64 || format == PERF_FORMAT_COPY_AARCH64);
    for (int with_side_band = 0; with_side_band < 2; with_side_band++) {
        perf_attr_samples(&config, with_side_band, &attr);
        assert_decodable(&attr);
        assert_int_equal(attr.sample_type, PERF_ABI_FORMAT_COPY);
        assert_int_equal(attr.sample_stack_user, 4096);
        assert_int_equal(attr.sample_regs_user, format == PERF_FORMAT_COPY_AARCH64
                                                    ? PERF_ABI_REGS_AARCH64
                                                    : PERF_ABI_REGS_X86_64);
        assert_int_equal(__builtin_popcountll(attr.sample_regs_user), 4);
        assert_false(attr.exclude_callchain_user); /* the kernel's chain comes along */
    }
}

static void counters_are_read_with_the_samples_of_their_leader(void **state)
{
    (void)state;
    struct perf_attr_config config = plain;
    struct perf_event_attr leader, counter;
    config.inherit_threads = true;
    perf_attr_counter_leader(&config, &leader);
    perf_attr_counter(&config, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, &counter);
    assert_int_equal(leader.config, PERF_COUNT_SW_CPU_CLOCK);
    assert_int_equal(leader.sample_type, PERF_ABI_FORMAT_COUNTERS);
    assert_int_equal(leader.sample_period, config.period_ns);
    assert_int_equal(leader.read_format, PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
                                             PERF_FORMAT_TOTAL_TIME_RUNNING);
    assert_true(leader.disabled);
    assert_false(leader.mmap || leader.comm || leader.task || leader.context_switch);
    assert_int_equal(counter.type, PERF_TYPE_HARDWARE);
    assert_int_equal(counter.config, PERF_COUNT_HW_INSTRUCTIONS);
    assert_int_equal(counter.sample_period, 0);
    assert_false(counter.disabled);
    assert_true(leader.inherit && leader.inherit_thread);
    assert_true(counter.inherit && counter.inherit_thread);
    assert_int_equal(counter.clockid, leader.clockid); /* one clock in a group */
    assert_false(leader.exclude_kernel || counter.exclude_kernel);
    config.exclude_kernel = config.no_kernel_frames = true;
    perf_attr_counter_leader(&config, &leader);
    perf_attr_counter(&config, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, &counter);
    assert_true(leader.exclude_kernel && counter.exclude_kernel);
    assert_true(leader.exclude_callchain_kernel);
}

static void who_inherits(void **state)
{
    (void)state;
    struct perf_attr_config config = plain;
    struct perf_event_attr attr;
    config.inherit_threads = true;
    perf_attr_samples(&config, true, &attr);
    assert_true(attr.inherit);
    assert_true(attr.inherit_thread); /* threads, and no process */
    config.inherit_children = true;
    perf_attr_samples(&config, true, &attr);
    assert_true(attr.inherit);
    assert_false(attr.inherit_thread);
    config.inherit_threads = config.inherit_children = false;
    perf_attr_samples(&config, true, &attr);
    assert_false(attr.inherit);
    assert_false(attr.inherit_thread);
}

static void how_much_of_the_kernel_is_seen(void **state)
{
    (void)state;
    struct perf_attr_config config = plain;
    struct perf_event_attr attr;
    config.exclude_kernel = true;
    perf_attr_samples(&config, true, &attr);
    assert_true(attr.exclude_kernel);
    perf_attr_side_band(&config, &attr);
    assert_true(attr.exclude_kernel);
    config.exclude_kernel = false;
    config.no_kernel_frames = true; /* its time counts, its frames are not wanted */
    perf_attr_samples(&config, true, &attr);
    assert_false(attr.exclude_kernel);
    assert_true(attr.exclude_callchain_kernel);
}

static void switches_come_one_by_one(void **state)
{
    (void)state;
    struct perf_event_attr attr;
    perf_attr_sched(&plain, &attr);
    assert_decodable(&attr);
    assert_int_equal(attr.config, PERF_COUNT_SW_BPF_OUTPUT);
    assert_int_equal(attr.sample_period, 1);
    assert_int_equal(attr.sample_type, PERF_ABI_FORMAT_SCHED);
    assert_false(attr.mmap || attr.comm || attr.task || attr.context_switch);
}

/* Our own copy of the numbers is the kernel's. */
static void our_numbers_are_the_kernels(void **state)
{
    (void)state;
    assert_int_equal(PERF_ABI_SAMPLE_TID, PERF_SAMPLE_TID);
    assert_int_equal(PERF_ABI_SAMPLE_TIME, PERF_SAMPLE_TIME);
    assert_int_equal(PERF_ABI_SAMPLE_READ, PERF_SAMPLE_READ);
    assert_int_equal(PERF_ABI_READ_ENABLED, PERF_FORMAT_TOTAL_TIME_ENABLED);
    assert_int_equal(PERF_ABI_READ_RUNNING, PERF_FORMAT_TOTAL_TIME_RUNNING);
    assert_int_equal(PERF_ABI_READ_GROUP, PERF_FORMAT_GROUP);
    assert_int_equal(PERF_ABI_SAMPLE_CALLCHAIN, PERF_SAMPLE_CALLCHAIN);
    assert_int_equal(PERF_ABI_SAMPLE_CPU, PERF_SAMPLE_CPU);
    assert_int_equal(PERF_ABI_SAMPLE_PERIOD, PERF_SAMPLE_PERIOD);
    assert_int_equal(PERF_ABI_SAMPLE_RAW, PERF_SAMPLE_RAW);
    assert_int_equal(PERF_ABI_SAMPLE_REGS_USER, PERF_SAMPLE_REGS_USER);
    assert_int_equal(PERF_ABI_SAMPLE_STACK_USER, PERF_SAMPLE_STACK_USER);
    assert_int_equal(PERF_ABI_REGS_64, PERF_SAMPLE_REGS_ABI_64);
    assert_int_equal(PERF_ABI_MISC_CPUMODE_MASK, PERF_RECORD_MISC_CPUMODE_MASK);
    assert_int_equal(PERF_ABI_MISC_KERNEL, PERF_RECORD_MISC_KERNEL);
    assert_int_equal(PERF_ABI_MISC_USER, PERF_RECORD_MISC_USER);
    assert_int_equal(PERF_ABI_SAMPLE_IDENTIFIER, PERF_SAMPLE_IDENTIFIER);
    assert_int_equal(PERF_ABI_RECORD_MMAP, PERF_RECORD_MMAP);
    assert_int_equal(PERF_ABI_RECORD_LOST, PERF_RECORD_LOST);
    assert_int_equal(PERF_ABI_RECORD_COMM, PERF_RECORD_COMM);
    assert_int_equal(PERF_ABI_RECORD_EXIT, PERF_RECORD_EXIT);
    assert_int_equal(PERF_ABI_RECORD_THROTTLE, PERF_RECORD_THROTTLE);
    assert_int_equal(PERF_ABI_RECORD_UNTHROTTLE, PERF_RECORD_UNTHROTTLE);
    assert_int_equal(PERF_ABI_RECORD_FORK, PERF_RECORD_FORK);
    assert_int_equal(PERF_ABI_RECORD_SAMPLE, PERF_RECORD_SAMPLE);
    assert_int_equal(PERF_ABI_RECORD_MMAP2, PERF_RECORD_MMAP2);
    assert_int_equal(PERF_ABI_RECORD_LOST_SAMPLES, PERF_RECORD_LOST_SAMPLES);
    assert_int_equal(PERF_ABI_RECORD_SWITCH, PERF_RECORD_SWITCH);
    assert_int_equal(PERF_ABI_MISC_MMAP_BUILD_ID, PERF_RECORD_MISC_MMAP_BUILD_ID);
    assert_int_equal(PERF_ABI_MISC_COMM_EXEC, PERF_RECORD_MISC_COMM_EXEC);
    assert_int_equal(PERF_ABI_MISC_SWITCH_OUT, PERF_RECORD_MISC_SWITCH_OUT);
    assert_int_equal(PERF_ABI_MISC_SWITCH_OUT_PREEMPT, PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
    assert_int_equal(PERF_ABI_CONTEXT_MAX, (uint64_t)PERF_CONTEXT_MAX);
    assert_int_equal(PERF_ABI_CONTEXT_KERNEL, (uint64_t)PERF_CONTEXT_KERNEL);
    assert_int_equal(PERF_ABI_CONTEXT_USER, (uint64_t)PERF_CONTEXT_USER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_by_the_cpu_clock_with_their_callers),
        cmocka_unit_test(the_side_band_is_complete),
        cmocka_unit_test(stacks_are_copied_where_they_are_wanted),
        cmocka_unit_test(counters_are_read_with_the_samples_of_their_leader),
        cmocka_unit_test(who_inherits),
        cmocka_unit_test(how_much_of_the_kernel_is_seen),
        cmocka_unit_test(switches_come_one_by_one),
        cmocka_unit_test(our_numbers_are_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
