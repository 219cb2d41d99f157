/* SPDX-License-Identifier: MIT */
#include "decode/perf_record_test.h"

#include <errno.h>

#include "decode/perf_events.h"

#define COUNTERS_IDENTIFIER 500u
#define PID 10

/*
 * Two readings of one group, one after the other, as Linux 6.18 wrote them on
 * x86-64: page faults, minor ones, context switches and the task's clock of a
 * thread of a static program that touches fresh memory.
 */
static const uint8_t recorded[2][144] = {
    {
        0x09, 0x00, 0x00, 0x00, 0x02, 0x00, 0x90, 0x00, 0x04, 0x60, 0x1d, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x4f, 0x16, 0x00, 0x00, 0x51, 0x16, 0x00, 0x00, 0x86, 0xcd, 0x7a, 0x82, 0xe1, 0x22,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x99, 0x69, 0x7a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x99, 0x69, 0x7a, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x8f, 0x79, 0x7a, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc4, 0x0d, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0xc4, 0x0d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15, 0x6b, 0x7a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xbe, 0x16, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15, 0x17, 0x40, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x2c, 0x83, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
    },
    {
        0x09, 0x00, 0x00, 0x00, 0x02, 0x00, 0x90, 0x00, 0x04, 0x60, 0x1d, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x4f, 0x16, 0x00, 0x00, 0x51, 0x16, 0x00, 0x00, 0x5f, 0xfe, 0x89, 0x82, 0xe1, 0x22,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x43, 0x94, 0x89, 0x00, 0x00, 0x00, 0x00, 0x00, 0x43, 0x94, 0x89, 0x00,
        0x00, 0x00, 0x00, 0x00, 0xf3, 0xac, 0x89, 0x00, 0x00, 0x00, 0x00, 0x00, 0x73, 0x0f, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x73, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xca, 0x95, 0x89, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xd8, 0x16, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15, 0x17, 0x40, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x2c, 0x83, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
    },
};

static enum perf_format counters_format(const void *userdata, uint64_t identifier)
{
    (void)userdata;
    (void)identifier;
    return PERF_FORMAT_COUNTERS;
}

static const struct perf_formats all_counters = {.of = counters_format};

/* A reading that claims n_claimed values (its leader's among them) and brings n_values. */
static struct raw reading(uint64_t n_claimed, size_t n_values, uint64_t n_claimed_ips)
{
    struct raw raw = sample_head(COUNTERS_IDENTIFIER);
    put_u64(&raw, n_claimed);
    put_u64(&raw, 5000); /* enabled */
    put_u64(&raw, 2500); /* running */
    for (size_t i = 0; i < n_values; i++) {
        put_u64(&raw, 100 + i);
    }
    put_u64(&raw, n_claimed_ips);
    put_u64(&raw, PERF_ABI_CONTEXT_USER);
    put_u64(&raw, COPY_IP);
    raw_end(&raw);
    return raw;
}

static int parse_reading(const struct raw *raw, struct perf_record *ret_record)
{
    return perf_record_parse(raw->data, raw->n_bytes, &all_counters, ret_record);
}

static void what_a_kernel_wrote_is_read(void **state)
{
    (void)state;
    static const uint64_t values[2][4] = {{3524, 3524, 2, 8022805}, {3955, 3955, 2, 9016778}};
    static const uint64_t enabled_ns[2] = {8022425, 9016387};
    static const uint64_t ips[2] = {0x4016be, 0x4016d8};
    for (size_t i = 0; i < 2; i++) {
        struct perf_record record;
        assert_int_equal(
            perf_record_parse(recorded[i], sizeof(recorded[i]), &all_counters, &record), 0);
        assert_int_equal(record.pid, 5711);
        assert_int_equal(record.tid, 5713);
        assert_int_equal(record.sample.counters.enabled_ns, enabled_ns[i]);
        assert_int_equal(record.sample.counters.running_ns, enabled_ns[i]);
        assert_int_equal(record.sample.counters.n_values, 4);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(perf_record_counter(&record, k), values[i][k]);
        }
        assert_int_equal(record.sample.n_ips, 4);
        assert_int_equal(perf_record_ip(&record, 0), PERF_ABI_CONTEXT_USER);
        assert_int_equal(perf_record_ip(&record, 1), ips[i]);
    }
}

static void values_are_bounded(void **state)
{
    (void)state;
    struct perf_record record;
    for (uint64_t n = 1; n <= LIMIT_COUNTERS + 1; n++) {
        struct raw raw = reading(n, (size_t)n, 2);
        assert_int_equal(parse_reading(&raw, &record), 0);
        assert_int_equal(record.sample.counters.n_values, n - 1);
        assert_int_equal(record.sample.n_ips, 2);
    }
    /* No leader; more than are ever asked for; more than there is room for. */
    static const uint64_t claims[] = {0, LIMIT_COUNTERS + 2, UINT64_MAX, UINT64_MAX / 8 + 2};
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct raw raw = reading(claims[i], LIMIT_COUNTERS + 2, 2);
        assert_int_equal(parse_reading(&raw, &record), -EBADMSG);
    }
    struct raw lying = reading(2, 2, 3);
    assert_int_equal(parse_reading(&lying, &record), -EBADMSG);
    struct raw cut = reading(3, 3, 2);
    for (size_t n = 8; n < cut.n_bytes; n++) {
        uint16_t n_bytes = (uint16_t)n;
        memcpy(cut.data + 6, &n_bytes, sizeof(n_bytes));
        assert_int_equal(parse_reading(&cut, &record), -EBADMSG);
    }
}

struct fixture {
    struct perf_translator translator;
    struct event_batch *batch;
};

static void begin(struct fixture *fixture, bool is_wide)
{
    const struct event_batch_limits limits = {0};
    assert_int_equal(event_batch_new(&limits, &fixture->batch), 0);
    /* The second of the counters is not there. */
    fixture->translator = (struct perf_translator){
        .pid = PID,
        .is_wide = is_wide,
        .counter_slots = {0, 2, 3},
        .n_counters = 3,
    };
}

static int translate(struct fixture *fixture, const struct perf_record *record)
{
    return perf_events_translate(&fixture->translator, record, fixture->batch);
}

static void a_reading_becomes_an_event_with_its_values_in_their_slots(void **state)
{
    (void)state;
    struct fixture fixture;
    struct perf_record record;
    begin(&fixture, true);
    struct raw raw = reading(4, 4, 2);
    assert_int_equal(parse_reading(&raw, &record), 0);
    assert_int_equal(translate(&fixture, &record), 1);
    const struct event *event = event_batch_get(fixture.batch, 0);
    assert_int_equal(event->kind, EVENT_COUNTERS);
    assert_int_equal(event->pid, PID);
    assert_int_equal(event->tid, 11);
    assert_int_equal(event->time_ns, 999);
    assert_int_equal(event->counters->group, COUNTERS_IDENTIFIER);
    assert_int_equal(event->counters->enabled_ns, 5000);
    assert_int_equal(event->counters->running_ns, 2500);
    assert_int_equal(event->counters->slots, 0xd);
    assert_int_equal(event->counters->values[0], 101);
    assert_int_equal(event->counters->values[1], 0);
    assert_int_equal(event->counters->values[2], 102);
    assert_int_equal(event->counters->values[3], 103);
    assert_int_equal(event->stack.n_ips, 1);
    assert_int_equal(event->stack.ips[0], COPY_IP);
    assert_int_equal(fixture.translator.n_samples, 0); /* it is no sample */
    assert_int_equal(fixture.translator.n_counter_readings, 1);
    event_batch_free(fixture.batch);
}

static void values_without_a_slot_and_other_threads_are_left_out(void **state)
{
    (void)state;
    struct fixture fixture;
    struct perf_record record;
    begin(&fixture, true);
    struct raw raw = reading(5, 5, 2);
    assert_int_equal(parse_reading(&raw, &record), 0);
    assert_int_equal(translate(&fixture, &record), 1);
    assert_int_equal(event_batch_get(fixture.batch, 0)->counters->slots, 0xd);
    record.tid = -1; /* in its last steps */
    assert_int_equal(translate(&fixture, &record), 0);
    record.tid = 11;
    record.pid = PID + 1; /* somebody else's */
    assert_int_equal(translate(&fixture, &record), 0);
    assert_int_equal(fixture.translator.n_foreign, 2);
    event_batch_free(fixture.batch);
    /* Events of single threads follow children, too. */
    begin(&fixture, false);
    assert_int_equal(translate(&fixture, &record), 1);
    event_batch_free(fixture.batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_kernel_wrote_is_read),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(a_reading_becomes_an_event_with_its_values_in_their_slots),
        cmocka_unit_test(values_without_a_slot_and_other_threads_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
