/* SPDX-License-Identifier: MIT */
/* Files made here; what perf itself writes is read in tests/e2e/test_import.py. */
#include "interchange/import_test.h"
#include "interchange/perf_data_test.h"

#include <errno.h>
#ifdef STAX_HAS_ZSTD
#include <zstd.h>
#endif

#include "interchange/perf_data_file.h"
#include "interchange/perf_data_survey.h"

static struct maker records, file;

static const struct made_event clock_event = {
    .type = 1,
    .period = 4000,
    .sample_type = MAKER_FORMAT,
    .flags = MAKER_FREQUENCY | MAKER_ID_ALL,
    .id = 7,
    .name = "cpu-clock",
};
static const struct made_event cycles_event = {
    .type = 0,
    .period = 1000,
    .sample_type = MAKER_FORMAT,
    .flags = MAKER_FREQUENCY | MAKER_ID_ALL,
    .id = 9,
    .name = "cycles",
};
static const uint64_t chain[] = {PERF_ABI_CONTEXT_KERNEL, 0xffffffff81000010, PERF_ABI_CONTEXT_USER,
                                 0x400010, 0x400020};

/* A name and a mapping from before the first event, and four samples in two rounds whose rings were
 * emptied one after the other. */
static void make_records(uint64_t id)
{
    struct made_moment moment = {.pid = 100, .tid = 100, .id = id};
    records.n_bytes = 0;
    put_name(&records, &moment, "prog");
    put_mapping(&records, &moment, 0x400000, "/usr/bin/prog");
    put_mapping(&records, &(struct made_moment){.pid = 55, .tid = 55, .id = id}, 0x400000,
                "/usr/bin/bystander");
    const uint64_t times_ns[] = {2000000, 1000000, 4000000, 3000000};
    for (size_t i = 0; i < 4; i++) {
        moment.time_ns = times_ns[i];
        moment.tid = 100 + (int32_t)(i % 2);
        put_sample(&records, &moment, 250000 + i, chain, 5);
        if (i % 2 == 1) {
            put_round(&records);
        }
    }
}

static struct import_facts read_facts(const char *path)
{
    struct import *import;
    assert_int_equal(import_open(path, &import, NULL), 0);
    struct import_facts facts = *import_get_facts(import);
    import_free(import);
    return facts;
}

static void expect_the_four(const struct seen *seen)
{
    assert_int_equal(seen->n_samples, 4);
    assert_int_equal(seen->periods_ns, 1000000 + 6);
    assert_int_equal(seen->first_ns, 1000000);
    assert_int_equal(seen->latest_ns, 4000000);
    assert_int_equal(seen->n_kernel_ips, 4);
    assert_int_equal(seen->n_ips, 12);
    assert_string_equal(seen->names, "prog;");
    assert_string_equal(seen->paths, "/usr/bin/prog;"); /* who has no sample is not there */
}

static void test_file_and_stream(void **state)
{
    (void)state;
    struct seen seen;
    make_records(7);
    make_file(&file, &clock_event, 1, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    assert_int_equal(import_detect(path), IMPORT_PERF_DATA);
    struct import_facts facts = read_facts(path);
    assert_int_equal(facts.n_samples, 4);
    assert_int_equal(facts.frequency_hz, 4000);
    assert_int_equal(facts.pid, 100);
    assert_false(facts.has_switches);
    assert_string_equal(facts.host, "buildhost");
    assert_string_equal(facts.command, "perf record ./prog");
    see_file(path, &seen);
    expect_the_four(&seen);
    assert_true(has_note(&seen, "the kernel's functions have no names"));
    unlink(path);

    make_stream(&file, &clock_event, 1, &records);
    char stream_path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, stream_path);
    see_file(stream_path, &seen);
    expect_the_four(&seen);
    assert_string_equal(read_facts(stream_path).host, "buildhost");
    unlink(stream_path);
}

#ifdef STAX_HAS_ZSTD
/* One stream over many records, cut wherever it comes. */
static void pack(struct maker *packed)
{
    static uint8_t bytes[65536];
    ZSTD_CStream *stream = ZSTD_createCStream();
    packed->n_bytes = 0;
    assert_false(ZSTD_isError(ZSTD_initCStream(stream, 1)));
    for (size_t at = 0; at < records.n_bytes; at += 150) {
        size_t left = records.n_bytes - at;
        ZSTD_inBuffer input = {.src = records.bytes + at, .size = left < 150 ? left : 150};
        ZSTD_outBuffer output = {.dst = bytes, .size = sizeof(bytes)};
        assert_false(ZSTD_isError(ZSTD_compressStream(stream, &output, &input)));
        assert_int_equal(ZSTD_flushStream(stream, &output), 0);
        size_t record = begin_record(packed, 81, 0);
        put_bytes(packed, bytes, output.pos);
        end_record(packed, record);
    }
    ZSTD_freeCStream(stream);
}

static void test_compressed(void **state)
{
    (void)state;
    static struct maker packed;
    struct seen seen;
    make_records(7);
    pack(&packed);
    make_file(&file, &clock_event, 1, &packed);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    expect_the_four(&seen);
    unlink(path);

    packed.bytes[packed.n_bytes / 2] ^= 0x55; /* damage costs what follows */
    make_file(&file, &clock_event, 1, &packed);
    char damaged_path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, damaged_path);
    see_file(damaged_path, &seen);
    assert_true(seen.n_samples < 4);
    unlink(damaged_path);
}

/* One record of the file, in which there are `n_fillers` that say nothing, and a sample at the end.
 */
static void pack_fillers(struct maker *packed, size_t n_fillers)
{
    static uint8_t filler[65528], bytes[60000];
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 7, .time_ns = 1000000};
    ZSTD_CStream *stream = ZSTD_createCStream();
    ZSTD_outBuffer output = {.dst = bytes, .size = sizeof(bytes)};
    const uint16_t size_bytes = sizeof(filler);
    filler[0] = 63;
    memcpy(filler + 6, &size_bytes, sizeof(size_bytes));
    packed->n_bytes = records.n_bytes = 0;
    put_sample(&records, &moment, 250000, chain, 5);
    assert_false(ZSTD_isError(ZSTD_initCStream(stream, 1)));
    for (size_t i = 0; i <= n_fillers; i++) {
        ZSTD_inBuffer input = {.src = filler, .size = sizeof(filler)};
        if (i == n_fillers) {
            input = (ZSTD_inBuffer){.src = records.bytes, .size = records.n_bytes};
        }
        while (input.pos < input.size) {
            assert_false(ZSTD_isError(ZSTD_compressStream(stream, &output, &input)));
        }
    }
    assert_int_equal(ZSTD_flushStream(stream, &output), 0);
    size_t record = begin_record(packed, 81, 0);
    put_bytes(packed, bytes, output.pos);
    end_record(packed, record);
    ZSTD_freeCStream(stream);
}

/* The decompressor has more than there is room for when it has read everything. */
static void test_much_in_one_record(void **state)
{
    (void)state;
    static struct maker packed;
    struct seen seen;
    for (size_t n_fillers = 6; n_fillers < 40; n_fillers++) {
        char path[] = "/tmp/stax-import-XXXXXX";
        pack_fillers(&packed, n_fillers);
        make_file(&file, &clock_event, 1, &packed);
        write_made(&file, file.n_bytes, path);
        see_file(path, &seen);
        assert_int_equal(seen.n_samples, 1);
        assert_false(has_note(&seen, "cannot be decompressed"));
        unlink(path);
    }
}

static void test_too_much_in_one_record(void **state)
{
    (void)state;
    static struct maker packed;
    struct import *import = NULL;
    struct error error = {0};
    char path[] = "/tmp/stax-import-XXXXXX";
    pack_fillers(&packed, 2000); /* 125 MiB in some KiB, and a sample behind them */
    make_file(&file, &clock_event, 1, &packed);
    write_made(&file, file.n_bytes, path);
    assert_true(import_open(path, &import, &error) < 0 || import_get_facts(import)->n_samples == 0);
    import_free(import);
    unlink(path);
}
#endif

/* Fields of a tracepoint that stand elsewhere are not taken for threads. */
static void test_switch_of_another_layout(void **state)
{
    (void)state;
    struct {
        uint8_t common[8];
        char prev_comm[16];
        int32_t prev_tid, prev_priority;
        uint64_t prev_state;
        char next_comm[16];
        int32_t next_tid, next_priority;
    } raw = {.prev_comm = "prog", .prev_tid = 5, .next_comm = "other", .next_tid = 7};
    struct perf_extras extras = {.raw = (const uint8_t *)&raw, .raw_bytes = sizeof(raw)};
    struct perf_data_switch told;
    assert_true(perf_data_read_switch(&extras, &told));
    assert_int_equal(told.prev_tid, 5);
    assert_int_equal(told.next_tid, 7);
    raw.prev_comm[1] = 7;
    assert_false(perf_data_read_switch(&extras, &told));
    raw.prev_comm[1] = 'r';
    memset(raw.next_comm, 'x', sizeof(raw.next_comm)); /* no name is so long */
    assert_false(perf_data_read_switch(&extras, &told));
}

/* An event tells of 4.29 s at most: the rest is that of the next samples. */
static void test_long_periods(void **state)
{
    (void)state;
    struct seen seen;
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 7};
    char path[] = "/tmp/stax-import-XXXXXX";
    records.n_bytes = 0;
    put_name(&records, &moment, "prog");
    for (uint64_t i = 1; i <= 4; i++) {
        moment.time_ns = i * 1000000;
        put_sample(&records, &moment, i == 1 ? 9000000000 : 250000, chain, 5);
    }
    make_file(&file, &clock_event, 1, &records);
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 4);
    assert_int_equal(seen.periods_ns, 9000750000);
    unlink(path);
}

/* Of several events one is what samples are; counts are scaled to the rate of samples. */
static void test_several_events(void **state)
{
    (void)state;
    struct seen seen;
    const struct made_event faults = {.type = 1,
                                      .config = 2,
                                      .period = 1,
                                      .sample_type = MAKER_FORMAT,
                                      .flags = MAKER_ID_ALL,
                                      .id = 8,
                                      .name = "page-faults"};
    const struct made_event events[] = {faults, cycles_event};
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 8, .time_ns = 1000};
    records.n_bytes = 0;
    put_sample(&records, &moment, 1, chain, 5);
    moment.id = 9;
    for (uint64_t i = 0; i < 10; i++) {
        moment.time_ns = 2000 + i;
        put_sample(&records, &moment, i < 5 ? 1000 : 3000, chain, 5);
    }
    moment.id = 77; /* nobody knows it */
    put_sample(&records, &moment, 1, chain, 5);
    make_file(&file, events, 2, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 10);
    assert_int_equal(seen.periods_ns, 10000000); /* ten at 1000 Hz */
    assert_true(has_note(&seen, "1 samples of page-faults are left out"));
    assert_true(has_note(&seen, "times are estimates: samples count cycles"));
    assert_true(has_note(&seen, "1 records are of events that the file does not describe"));
    unlink(path);
}

static void put_sched_switch(struct maker *maker, const struct made_moment *moment, int32_t prev,
                             int32_t next, uint64_t prev_state)
{
    static const char nul[24] = "";
    size_t at = begin_sample(maker, moment, 1, chain, 5);
    put_u32(maker, 64 + 4);
    put_bytes(maker, nul, 24);
    put_u32(maker, (uint32_t)prev);
    put_u32(maker, 120);
    put_u64(maker, prev_state);
    put_bytes(maker, nul, 16);
    put_u32(maker, (uint32_t)next);
    put_u32(maker, 120);
    put_u32(maker, 0);
    end_record(maker, at);
}

/* Both a tracepoint and records of their own tell of switches: each counts once. */
static void test_switches(void **state)
{
    (void)state;
    struct seen seen;
    struct made_event sched = {.type = 2,
                               .config = 300,
                               .period = 1,
                               .sample_type = MAKER_FORMAT | PERF_ABI_SAMPLE_RAW,
                               .flags = MAKER_ID_ALL,
                               .id = 11,
                               .name = "sched:sched_switch"};
    struct made_event timer = clock_event;
    timer.flags |= MAKER_SWITCHES;
    const struct made_event events[] = {timer, sched};
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 7};
    records.n_bytes = 0;
    put_name(&records, &moment, "prog");
    moment.tid = 101;
    put_name(&records, &moment, "worker");
    moment.time_ns = 1000;
    put_sample(&records, &moment, 250000, chain, 5);
    moment.id = 11;
    moment.time_ns = 2000;
    put_sched_switch(&records, &moment, 101, 100, 1);
    moment.id = 7;
    moment.time_ns = 2001;
    put_switch(&records, &moment, true); /* 101 again */
    moment.tid = 100;
    moment.time_ns = 2002;
    put_switch(&records, &moment, false); /* 100 again */
    moment.time_ns = 3000;
    put_switch(&records, &moment, true);
    moment.time_ns = 4000;
    put_switch(&records, &moment, false);
    make_file(&file, events, 2, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    assert_true(read_facts(path).has_switches);
    see_file(path, &seen);
    assert_int_equal(seen.n_out, 2);
    assert_int_equal(seen.n_in, 2);
    assert_int_equal(seen.out_ips, 3); /* the tracepoint's stack */
    assert_int_equal(seen.n_samples, 1);
    unlink(path);
}

static void test_copies(void **state)
{
    (void)state;
    struct seen seen;
    const struct made_event event = {.type = 1,
                                     .period = 4000,
                                     .sample_type = MAKER_FORMAT | PERF_ABI_SAMPLE_REGS_USER |
                                                    PERF_ABI_SAMPLE_STACK_USER,
                                     .flags = MAKER_FREQUENCY | MAKER_ID_ALL,
                                     .registers = 0xff0fff,
                                     .id = 7,
                                     .name = "cpu-clock"};
    const struct made_moment moment = {.pid = 100, .tid = 100, .id = 7, .time_ns = 1000};
    records.n_bytes = 0;
    size_t at = begin_sample(&records, &moment, 250000, chain, 2);
    put_u64(&records, PERF_ABI_REGS_64);
    for (uint64_t i = 0; i < 20; i++) {
        put_u64(&records, 0x1000 * i);
    }
    put_u64(&records, 32);
    for (int i = 0; i < 4; i++) {
        put_u64(&records, 0x400020);
    }
    put_u64(&records, 24);
    end_record(&records, at);
    make_file(&file, &event, 1, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 1);
    assert_int_equal(seen.n_copies, 1);
    unlink(path);
}

/* Idle processors are nobody's time. */
static void test_idle(void **state)
{
    (void)state;
    struct seen seen;
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 7, .time_ns = 1000};
    records.n_bytes = 0;
    put_sample(&records, &moment, 250000, chain, 5);
    moment.pid = moment.tid = 0;
    put_sample(&records, &moment, 250000, chain, 2);
    make_file(&file, &clock_event, 1, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 1);
    assert_true(has_note(&seen, "1 samples of idle processors"));
    unlink(path);
}

/* Cut off anywhere it is an error, or what is there with a note. */
static void test_cut_off(void **state)
{
    (void)state;
    make_records(7);
    make_file(&file, &clock_event, 1, &records);
    size_t n_opened = 0;
    for (size_t n_bytes = 0; n_bytes < file.n_bytes; n_bytes += 7) {
        struct import *import = NULL;
        struct error error = {0};
        char path[] = "/tmp/stax-import-XXXXXX";
        write_made(&file, n_bytes, path);
        if (import_open(path, &import, &error) == 0) {
            struct seen seen;
            see_file(path, &seen);
            assert_true(seen.n_samples <= 4);
            assert_true(has_note(&seen, "did not finish this file"));
            n_opened++;
        } else {
            assert_string_equal(error.code, "archive_invalid");
        }
        import_free(import);
        unlink(path);
    }
    assert_true(n_opened > 10);
}

/* A time that damage has moved centuries away is none. */
static void test_times_far_away(void **state)
{
    (void)state;
    struct seen seen;
    struct made_moment moment = {.pid = 100, .tid = 100, .id = 7, .time_ns = UINT64_MAX - 5};
    make_records(7);
    put_sample(&records, &moment, 250000, chain, 5);
    make_file(&file, &clock_event, 1, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 4);
    assert_int_equal(seen.latest_ns, 4000000);
    assert_true(has_note(&seen, "1 records make no sense"));
    unlink(path);
}

static void test_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct import *import = NULL;
    make_records(7);
    make_file(&file, &clock_event, 1, &records);
    memcpy(file.bytes, "2ELIFREP", 8);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    assert_int_equal(import_open(path, &import, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "byte order"));
    unlink(path);
    assert_int_equal(import_open("/nonexistent/file", &import, &error), -ENOENT);
    assert_string_equal(error.code, "archive_read");
    assert_int_equal(import_open("/tmp", &import, &error), -EINVAL);
    assert_string_equal(error.code, "archive_invalid");
    assert_null(import);
}

static void test_survey(void **state)
{
    (void)state;
    struct perf_data_file *opened = NULL;
    struct perf_data_survey survey;
    struct made_moment moment = {.pid = 200, .tid = 200, .id = 7, .time_ns = 500};
    make_records(7);
    size_t at =
        begin_record(&records, PERF_ABI_RECORD_FORK, 0); /* 300 is of 200, which never ran */
    put_u32(&records, 300);
    put_u32(&records, 200);
    put_u32(&records, 300);
    put_u32(&records, 200);
    put_u64(&records, 500);
    put_trailer(&records, &moment);
    end_record(&records, at);
    moment = (struct made_moment){.pid = 300, .tid = 301, .id = 7, .time_ns = 600};
    put_sample(&records, &moment, 1, chain, 5);
    make_file(&file, &clock_event, 1, &records);
    char path[] = "/tmp/stax-import-XXXXXX";
    write_made(&file, file.n_bytes, path);
    assert_int_equal(perf_data_file_open(path, &opened, NULL), 0);
    assert_int_equal(perf_data_survey_make(opened, &survey), 0);
    assert_true(perf_data_survey_wants(&survey, 100));
    assert_true(perf_data_survey_wants(&survey, 300));
    assert_true(perf_data_survey_wants(&survey, 200)); /* whose mappings 300 began with */
    assert_false(perf_data_survey_wants(&survey, 55));
    assert_int_equal(perf_data_survey_pid_of(&survey, 301), 300);
    assert_int_equal(perf_data_survey_pid_of(&survey, 999), 0);
    assert_int_equal(survey.main_pid, 100);
    assert_int_equal(survey.first_ns, 600);
    assert_int_equal(survey.n_samples, 5);
    assert_true(survey.is_time);
    perf_data_survey_release(&survey);
    assert_null(perf_data_file_free(opened));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_and_stream),
#ifdef STAX_HAS_ZSTD
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_much_in_one_record),
        cmocka_unit_test(test_too_much_in_one_record),
#endif
        cmocka_unit_test(test_several_events),
        cmocka_unit_test(test_long_periods),
        cmocka_unit_test(test_switch_of_another_layout),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_times_far_away),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_survey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
