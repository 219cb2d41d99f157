/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decode/perf_abi.h"
#include "decode/perf_layout.h"

struct made {
    size_t n_bytes;
    uint8_t bytes[1024];
};

static void put(struct made *made, uint64_t value, size_t n_bytes)
{
    memcpy(made->bytes + made->n_bytes, &value, n_bytes);
    made->n_bytes += n_bytes;
}

static void begin(struct made *made, uint32_t type, uint16_t misc)
{
    made->n_bytes = 0;
    put(made, type, 4);
    put(made, misc, 2);
    put(made, 0, 2);
}

static void end(struct made *made)
{
    uint16_t n_bytes = (uint16_t)made->n_bytes;
    memcpy(made->bytes + 6, &n_bytes, sizeof(n_bytes));
}

#define ALL                                                                                        \
    (PERF_ABI_SAMPLE_IP | PERF_ABI_SAMPLE_TID | PERF_ABI_SAMPLE_TIME | PERF_ABI_SAMPLE_ADDR |      \
     PERF_ABI_SAMPLE_ID | PERF_ABI_SAMPLE_STREAM_ID | PERF_ABI_SAMPLE_CPU |                        \
     PERF_ABI_SAMPLE_PERIOD | PERF_ABI_SAMPLE_READ | PERF_ABI_SAMPLE_CALLCHAIN |                   \
     PERF_ABI_SAMPLE_RAW | PERF_ABI_SAMPLE_BRANCH_STACK | PERF_ABI_SAMPLE_REGS_USER |              \
     PERF_ABI_SAMPLE_STACK_USER)

/* Everything that stands before the stack, as an event with all of it writes it. */
static void make_sample(struct made *made, uint64_t n_branches)
{
    begin(made, PERF_ABI_RECORD_SAMPLE, PERF_ABI_MISC_KERNEL);
    put(made, 0x401000, 8);
    put(made, 100, 4);
    put(made, 101, 4);
    put(made, 5000, 8);
    put(made, 0, 8);
    put(made, 77, 8); /* id */
    put(made, 78, 8); /* stream */
    put(made, 3, 4);
    put(made, 0, 4);
    put(made, 250000, 8);
    put(made, 2, 8); /* a group of two, each with its id */
    for (int i = 0; i < 2 + 4; i++) {
        put(made, 1, 8);
    }
    put(made, 2, 8);
    put(made, PERF_ABI_CONTEXT_USER, 8);
    put(made, 0x401000, 8);
    put(made, 4, 4);
    put(made, 0xabcd, 4);
    put(made, n_branches, 8);
    put(made, 9, 8); /* index */
    for (uint64_t i = 0; i < n_branches && i < 2; i++) {
        put(made, 1, 8);
        put(made, 2, 8);
        put(made, 3, 8);
    }
    put(made, PERF_ABI_REGS_64, 8);
    put(made, 0x401000, 8); /* cx */
    put(made, 0x7ff8, 8);   /* bp */
    put(made, 0x7ff0, 8);   /* sp */
    put(made, 0x401000, 8); /* ip */
    put(made, 16, 8);
    put(made, 0x1111, 8);
    put(made, 0x2222, 8);
    put(made, 8, 8);
    end(made);
}

static const struct perf_layout everything = {
    .sample_type = ALL,
    .read_format = 1 | 2 | 4 | 8,
    .branch_type = UINT64_C(1) << 17,
    .user_registers = PERF_ABI_REGS_X86_64,
    .machine = PERF_MACHINE_X86_64,
};

static void test_a_sample_with_everything(void **state)
{
    (void)state;
    struct made made;
    struct perf_record record;
    struct perf_extras extras;
    make_sample(&made, 2);
    assert_int_equal(perf_layout_parse(&everything, made.bytes, made.n_bytes, &record, &extras), 0);
    assert_int_equal(record.pid, 100);
    assert_int_equal(record.tid, 101);
    assert_int_equal(record.time_ns, 5000);
    assert_int_equal(record.cpu, 3);
    assert_int_equal(record.sample.period_ns, 250000);
    assert_true(extras.has_period && extras.has_time);
    assert_int_equal(record.sample.n_ips, 2);
    assert_int_equal(perf_record_ip(&record, 1), 0x401000);
    assert_int_equal(extras.raw_bytes, 4);
    assert_int_equal(extras.raw[0], 0xcd);
    assert_true(record.sample.user.is_known);
    assert_true(record.sample.user.is_after_syscall);
    assert_int_equal(record.sample.user.sp, 0x7ff0);
    assert_int_equal(record.sample.user.fp, 0x7ff8);
    assert_int_equal(record.sample.user.stack_bytes, 8);
    assert_int_equal(record.sample.user.stack[0], 0x11);
    assert_int_equal(perf_layout_time(&everything, made.bytes, made.n_bytes), 5000);
    assert_int_equal(perf_layout_sample_id_at(&everything), 8 + 4 * 8);
}

static void test_counts_that_lie(void **state)
{
    (void)state;
    struct made made;
    struct perf_record record;
    struct perf_extras extras;
    make_sample(&made, UINT64_MAX / 8);
    assert_int_equal(perf_layout_parse(&everything, made.bytes, made.n_bytes, &record, &extras),
                     -EBADMSG);
    make_sample(&made, 2);
    for (size_t n_bytes = 0; n_bytes < made.n_bytes; n_bytes++) {
        assert_int_equal(perf_layout_parse(&everything, made.bytes, n_bytes, &record, &extras),
                         -EBADMSG);
    }
}

/* The registers of another machine, or too few of them: no copy that could be walked. */
static void test_foreign_registers(void **state)
{
    (void)state;
    struct made made;
    struct perf_record record;
    struct perf_extras extras;
    struct perf_layout layout = everything;
    make_sample(&made, 0);
    layout.machine = PERF_MACHINE_OTHER;
    assert_int_equal(perf_layout_parse(&layout, made.bytes, made.n_bytes, &record, &extras), 0);
    assert_false(record.sample.user.is_known);
    layout = everything;
    layout.user_registers = 1 | 2 | 8 | 16; /* as many, others */
    assert_int_equal(perf_layout_parse(&layout, made.bytes, made.n_bytes, &record, &extras), 0);
    assert_false(record.sample.user.is_known);
}

/* Without a chain a sample is at least at its address, in the mode that it says. */
static void test_an_address_is_a_chain(void **state)
{
    (void)state;
    struct made made;
    struct perf_record record;
    struct perf_extras extras;
    const struct perf_layout layout = {.sample_type = PERF_ABI_SAMPLE_IP | PERF_ABI_SAMPLE_TID};
    begin(&made, PERF_ABI_RECORD_SAMPLE, PERF_ABI_MISC_USER);
    put(&made, 0x401000, 8);
    put(&made, 100, 4);
    put(&made, 101, 4);
    end(&made);
    assert_int_equal(perf_layout_parse(&layout, made.bytes, made.n_bytes, &record, &extras), 0);
    assert_int_equal(record.sample.n_ips, 2);
    assert_true(perf_record_ip(&record, 0) == PERF_ABI_CONTEXT_USER);
    assert_int_equal(perf_record_ip(&record, 1), 0x401000);
    assert_false(extras.has_time || extras.has_period);
}

static void test_trailers(void **state)
{
    (void)state;
    struct made made;
    struct perf_record record;
    struct perf_extras extras;
    struct perf_layout layout = {.sample_type = PERF_ABI_SAMPLE_TID | PERF_ABI_SAMPLE_TIME |
                                                PERF_ABI_SAMPLE_ID | PERF_ABI_SAMPLE_CPU,
                                 .has_trailer = true};
    begin(&made, PERF_ABI_RECORD_SWITCH_CPU_WIDE, PERF_ABI_MISC_SWITCH_OUT);
    put(&made, 7, 4); /* who comes */
    put(&made, 8, 4);
    put(&made, 100, 4);
    put(&made, 101, 4);
    put(&made, 6000, 8);
    put(&made, 55, 8);
    put(&made, 2, 8);
    end(&made);
    assert_int_equal(perf_layout_parse(&layout, made.bytes, made.n_bytes, &record, &extras), 0);
    assert_int_equal(record.type, PERF_ABI_RECORD_SWITCH);
    assert_true(record.context_switch.is_out);
    assert_int_equal(record.tid, 101);
    assert_int_equal(record.cpu, 2);
    assert_int_equal(perf_layout_time(&layout, made.bytes, made.n_bytes), 6000);
    assert_int_equal(perf_layout_trailer_id_at(&layout), 16);
    layout.has_trailer = false;
    assert_int_equal(perf_layout_time(&layout, made.bytes, made.n_bytes), 0);
    assert_int_equal(perf_layout_trailer_id_at(&layout), 0);
    assert_int_equal(perf_layout_parse(&layout, made.bytes, 12, &record, &extras), -EBADMSG);
}

static void test_attributes(void **state)
{
    (void)state;
    struct made made = {0};
    struct perf_layout layout;
    put(&made, 1, 4);
    put(&made, 64, 4); /* the first version: no registers */
    put(&made, 0, 8);
    put(&made, 4000, 8);
    put(&made, PERF_ABI_SAMPLE_IP, 8);
    put(&made, 0, 8);
    put(&made, UINT64_C(1) << 10 | UINT64_C(1) << 18 | UINT64_C(1) << 26, 8);
    for (int i = 0; i < 10; i++) {
        put(&made, 0xffff, 8);
    }
    assert_int_equal(perf_layout_of(made.bytes, made.n_bytes, PERF_MACHINE_X86_64, &layout), 0);
    assert_true(layout.is_frequency && layout.has_trailer && layout.has_switches);
    assert_int_equal(layout.period, 4000);
    assert_int_equal(layout.user_registers, 0);
    assert_int_equal(perf_layout_of(made.bytes, 63, PERF_MACHINE_X86_64, &layout), -EBADMSG);
    made.bytes[4] = 8;
    assert_int_equal(perf_layout_of(made.bytes, made.n_bytes, PERF_MACHINE_X86_64, &layout),
                     -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sample_with_everything),
        cmocka_unit_test(test_counts_that_lie),
        cmocka_unit_test(test_foreign_registers),
        cmocka_unit_test(test_an_address_is_a_chain),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
