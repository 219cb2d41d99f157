/* SPDX-License-Identifier: MIT */
#include "archive/column.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define HEADER_BYTES 32

struct row {
    uint64_t time_ns;
    uint32_t stack;
    uint32_t thread;
    uint64_t argument;
    uint16_t cpu;
    uint8_t flags;
};

static const struct column row_columns[] = {
    COLUMN(struct row, time_ns, 1, COLUMN_DELTA), COLUMN(struct row, stack, 2, COLUMN_PLAIN),
    COLUMN(struct row, thread, 3, COLUMN_PLAIN),  COLUMN(struct row, argument, 4, COLUMN_DELTA),
    COLUMN(struct row, cpu, 5, COLUMN_PLAIN),     COLUMN(struct row, flags, 6, COLUMN_DELTA),
};

static const struct column_table row_table = {
    .kind = 7,
    .version = 1,
    .n_columns = sizeof(row_columns) / sizeof(row_columns[0]),
    .columns = row_columns,
    .row_bytes = sizeof(struct row),
};

static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Padding is 0, so that rows can be compared as bytes. */
static struct row *make_rows(size_t n_rows)
{
    struct row *rows = test_calloc(n_rows + 1, sizeof(*rows));
    uint64_t time_ns = 12345678901234;
    for (size_t i = 0; i < n_rows; i++) {
        time_ns += 900000 + random_number() % 100000;
        rows[i].time_ns = time_ns;
        rows[i].stack = (uint32_t)(random_number() % 3000 * (random_number() % 2));
        rows[i].thread = 4;
        rows[i].argument = random_number() >> (random_number() % 64);
        rows[i].cpu = (uint16_t)(random_number() % 3);
        rows[i].flags = (uint8_t)random_number();
    }
    return rows;
}

static struct row frame_rows[COLUMN_FRAME_ROWS];

/* All rows that are read, in one piece. */
static struct row *read_rows(struct column_reader *reader, const struct column_table *table,
                             size_t max_rows)
{
    struct row *all = test_calloc(max_rows + 1, sizeof(*all));
    struct row *some = frame_rows;
    size_t n_rows;
    size_t n_all = 0;
    int r;
    while ((r = column_reader_next(reader, table, some, &n_rows)) > 0) {
        assert_true(n_rows > 0 && n_rows <= max_rows - n_all);
        memcpy(all + n_all, some, n_rows * sizeof(*some));
        n_all += n_rows;
    }
    assert_int_equal(r, 0);
    assert_int_equal(reader->n_rows, n_all);
    return all;
}

static void rows_come_back(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 255, 256, 4000, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        size_t n_rows = counts[i];
        struct row *rows = make_rows(n_rows);
        _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
        assert_int_equal(column_append(&buffer, &row_table, rows, n_rows), 0);
        struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
        struct row *read = read_rows(&reader, &row_table, n_rows);
        assert_int_equal(reader.n_rows, n_rows);
        assert_int_equal(reader.damage, COLUMN_WHOLE);
        assert_int_equal(reader.n_rows_skipped, 0);
        assert_int_equal(reader.n_bytes_skipped, 0);
        assert_memory_equal(read, rows, n_rows * sizeof(*rows));
        test_free(read);
        test_free(rows);
    }
}

static void no_rows_are_no_bytes(void **state)
{
    (void)state;
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    assert_int_equal(column_append(&buffer, &row_table, NULL, 0), 0);
    assert_int_equal(buffer.n_bytes, 0);
    struct column_reader reader = column_reader_begin(NULL, 0);
    size_t n_rows;
    struct row row;
    assert_int_equal(column_reader_next(&reader, &row_table, &row, &n_rows), 0);
    assert_int_equal(reader.damage, COLUMN_WHOLE);
}

static void extreme_values_come_back(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, UINT64_MAX, 1, UINT64_MAX / 2, UINT64_MAX / 2 + 1, 0, UINT64_MAX, UINT64_MAX, 255, 256,
    };
    enum { N_ROWS = sizeof(values) / sizeof(values[0]) };
    struct row rows[N_ROWS] = {0};
    for (size_t first = 0; first < N_ROWS; first++) {
        for (size_t i = 0; i < N_ROWS; i++) {
            uint64_t value = values[(first + i) % N_ROWS];
            rows[i].time_ns = value;
            rows[i].argument = ~value;
            rows[i].stack = (uint32_t)value;
            rows[i].thread = (uint32_t)(value >> 3);
            rows[i].cpu = (uint16_t)value;
            rows[i].flags = (uint8_t)value;
        }
        _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
        assert_int_equal(column_append(&buffer, &row_table, rows, N_ROWS), 0);
        struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
        struct row *read = read_rows(&reader, &row_table, N_ROWS);
        assert_memory_equal(read, rows, sizeof(rows));
        test_free(read);
    }
}

static void what_is_the_same_in_all_rows_costs_nothing(void **state)
{
    (void)state;
    struct row *rows = test_calloc(COLUMN_FRAME_ROWS, sizeof(*rows));
    for (size_t i = 0; i < COLUMN_FRAME_ROWS; i++) {
        rows[i] = (struct row){.time_ns = UINT64_MAX, .stack = 77, .cpu = 3, .flags = 255};
    }
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    assert_int_equal(column_append(&buffer, &row_table, rows, COLUMN_FRAME_ROWS), 0);
    assert_int_equal(buffer.n_bytes, HEADER_BYTES + 12 * row_table.n_columns);
    struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
    struct row *read = read_rows(&reader, &row_table, COLUMN_FRAME_ROWS);
    assert_int_equal(reader.n_rows, COLUMN_FRAME_ROWS);
    for (size_t i = 0; i < COLUMN_FRAME_ROWS; i++) {
        assert_int_equal(read[i].time_ns, UINT64_MAX);
        assert_int_equal(read[i].stack, 77);
        assert_int_equal(read[i].flags, 255);
    }
    test_free(read);
    test_free(rows);
}

/* A later stax has one column more, and one that is gone. */
static void columns_can_be_added_and_left_out(void **state)
{
    (void)state;
    static const struct column later_columns[] = {
        COLUMN(struct row, argument, 90, COLUMN_PLAIN),
        COLUMN(struct row, time_ns, 1, COLUMN_DELTA),
        COLUMN(struct row, flags, 6, COLUMN_PLAIN),
    };
    struct column_table later = row_table;
    later.columns = later_columns;
    later.n_columns = 3;
    struct row *rows = make_rows(1000);
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    assert_int_equal(column_append(&buffer, &later, rows, 1000), 0);
    struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
    struct row *read = read_rows(&reader, &row_table, 1000);
    assert_int_equal(reader.n_rows, 1000);
    assert_int_equal(reader.damage, COLUMN_WHOLE);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(read[i].time_ns, rows[i].time_ns);
        assert_int_equal(read[i].flags, rows[i].flags);
        assert_int_equal(read[i].argument, 0);
        assert_int_equal(read[i].stack, 0);
    }
    test_free(read);
    test_free(rows);
}

static void other_kinds_and_versions_are_skipped_and_counted(void **state)
{
    (void)state;
    struct column_table other_kind = row_table;
    struct column_table other_version = row_table;
    other_kind.kind = 8;
    other_version.version = 2;
    struct row *rows = make_rows(300);
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    assert_int_equal(column_append(&buffer, &other_kind, rows, 20), 0);
    assert_int_equal(column_append(&buffer, &row_table, rows, 100), 0);
    assert_int_equal(column_append(&buffer, &other_version, rows, 300), 0);
    assert_int_equal(column_append(&buffer, &row_table, rows + 100, 200), 0);
    struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
    struct row *read = read_rows(&reader, &row_table, 300);
    assert_int_equal(reader.n_rows, 300);
    assert_int_equal(reader.n_rows_skipped, 320);
    assert_int_equal(reader.damage, COLUMN_WHOLE);
    assert_memory_equal(read, rows, 300 * sizeof(*rows));
    test_free(read);
    test_free(rows);
}

#define N_FRAMES 4
#define FRAME_ROWS 20

/* N_FRAMES frames of FRAME_ROWS rows, and where each ends. */
static struct row *make_frames(struct column_buffer *buffer, size_t *ends)
{
    struct row *rows = make_rows((size_t)N_FRAMES * FRAME_ROWS);
    for (size_t i = 0; i < N_FRAMES; i++) {
        assert_int_equal(column_append(buffer, &row_table, rows + i * FRAME_ROWS, FRAME_ROWS), 0);
        ends[i] = buffer->n_bytes;
    }
    return rows;
}

static void a_cut_member_gives_what_came_before(void **state)
{
    (void)state;
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    size_t ends[N_FRAMES];
    struct row *rows = make_frames(&buffer, ends);
    for (size_t n_bytes = 0; n_bytes < buffer.n_bytes; n_bytes++) {
        size_t n_whole = 0;
        while (ends[n_whole] <= n_bytes) {
            n_whole++;
        }
        size_t whole_bytes = n_whole > 0 ? ends[n_whole - 1] : 0;
        uint8_t *cut = test_malloc(n_bytes + 1); /* of its own size, for the sanitizer */
        memcpy(cut, buffer.bytes, n_bytes);
        struct column_reader reader = column_reader_begin(cut, n_bytes);
        struct row *read = read_rows(&reader, &row_table, (size_t)N_FRAMES * FRAME_ROWS);
        assert_int_equal(reader.n_rows, n_whole * FRAME_ROWS);
        assert_int_equal(reader.damage, n_bytes == whole_bytes ? COLUMN_WHOLE : COLUMN_CUT);
        assert_int_equal(reader.n_bytes_skipped, n_bytes - whole_bytes);
        assert_memory_equal(read, rows, n_whole * FRAME_ROWS * sizeof(*rows));
        test_free(read);
        test_free(cut);
    }
    test_free(rows);
}

/* Each row that comes out of damaged bytes is one that went in, and the loss is told. */
static void a_flipped_bit_costs_its_frame(void **state)
{
    (void)state;
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    size_t ends[N_FRAMES];
    struct row *rows = make_frames(&buffer, ends);
    for (size_t bit = 0; bit < buffer.n_bytes * 8; bit++) {
        buffer.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        size_t hurt = 0;
        while (ends[hurt] <= bit / 8) {
            hurt++;
        }
        struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
        struct row *read = read_rows(&reader, &row_table, (size_t)N_FRAMES * FRAME_ROWS);
        assert_int_equal(reader.n_rows, (N_FRAMES - 1) * FRAME_ROWS);
        assert_true(reader.damage != COLUMN_WHOLE);
        assert_int_equal(reader.n_bytes_skipped, ends[hurt] - (hurt > 0 ? ends[hurt - 1] : 0));
        assert_memory_equal(read, rows, hurt * FRAME_ROWS * sizeof(*rows));
        assert_memory_equal(read + hurt * FRAME_ROWS, rows + (hurt + 1) * FRAME_ROWS,
                            (N_FRAMES - 1 - hurt) * FRAME_ROWS * sizeof(*rows));
        test_free(read);
        buffer.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    test_free(rows);
}

static void put(uint8_t *at, uint64_t value, size_t n_bytes)
{
    memcpy(at, &value, n_bytes);
}

/* Puts right checksums onto the frame at the buffer's begin: what a liar would do. */
static void vouch(uint8_t *frame, size_t n_bytes)
{
    put(frame + 8, crc32_z(0, frame + HEADER_BYTES, n_bytes - HEADER_BYTES), 4);
    put(frame + 4, crc32_z(0, frame + 8, HEADER_BYTES - 8), 4);
}

static enum column_damage damage_of(const uint8_t *bytes, size_t n_bytes)
{
    struct column_reader reader = column_reader_begin(bytes, n_bytes);
    size_t n_rows;
    assert_int_equal(column_reader_next(&reader, &row_table, frame_rows, &n_rows), 0);
    return reader.damage;
}

static void lies_with_right_checksums_are_corrupt(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
        size_t n_bytes;
    } lies[] = {
        {16, COLUMN_FRAME_ROWS + 1, 4},  {16, UINT32_MAX, 4},
        {16, FRAME_ROWS + 1, 4},         {16, FRAME_ROWS - 1, 4},
        {24, COLUMN_MAX_COLUMNS + 1, 2}, {24, 30, 2},
        {HEADER_BYTES + 2, 3, 1},        {HEADER_BYTES + 3, 9, 1},
        {HEADER_BYTES + 3, 255, 1},      {HEADER_BYTES + 12, UINT32_MAX, 4},
        {HEADER_BYTES + 12, 1, 4},       {HEADER_BYTES + 12, 4096, 4},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
        struct row *rows = make_rows(FRAME_ROWS);
        assert_int_equal(column_append(&buffer, &row_table, rows, FRAME_ROWS), 0);
        put(buffer.bytes + lies[i].at, lies[i].value, lies[i].n_bytes);
        vouch(buffer.bytes, buffer.n_bytes);
        assert_int_equal(damage_of(buffer.bytes, buffer.n_bytes), COLUMN_CORRUPT);
        test_free(rows);
    }
}

static void a_frame_longer_than_the_member_is_cut(void **state)
{
    (void)state;
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    struct row *rows = make_rows(FRAME_ROWS);
    assert_int_equal(column_append(&buffer, &row_table, rows, FRAME_ROWS), 0);
    put(buffer.bytes + 12, UINT32_MAX, 4);
    vouch(buffer.bytes, buffer.n_bytes);
    assert_int_equal(damage_of(buffer.bytes, buffer.n_bytes), COLUMN_CUT);
    test_free(rows);
}

static void bytes_of_anything_give_no_rows(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)random_number();
        }
        assert_int_equal(damage_of(bytes, sizeof(bytes)), COLUMN_CORRUPT);
    }
}

/* As struct stored_sample of the aggregate. */
struct sample {
    uint64_t time_ns;
    uint32_t stack, thread;
    uint16_t cpu;
    uint8_t slice_class, unused;
    uint32_t period_ns;
};

/* Threads in a few phases, each with its own favourite stacks; timers with a little jitter. */
static struct sample *make_samples(size_t n_samples)
{
    enum { N_CPUS = 4, N_THREADS = 12 };
    struct sample *samples = test_calloc(n_samples, sizeof(*samples));
    uint64_t next_ns[N_CPUS];
    uint32_t phase[N_THREADS] = {0};
    for (size_t i = 0; i < N_CPUS; i++) {
        next_ns[i] = 5000000000000 + random_number() % 1000000;
    }
    for (size_t i = 0; i < n_samples; i++) {
        size_t cpu = 0;
        for (size_t other = 1; other < N_CPUS; other++) {
            cpu = next_ns[other] < next_ns[cpu] ? other : cpu;
        }
        uint32_t thread = (uint32_t)(cpu * 3 + random_number() % 64 / 30);
        if (random_number() % 200 == 0) {
            phase[thread] = (uint32_t)(random_number() % 40);
        }
        uint64_t rank = random_number() % 256 * (random_number() % 256) / 256;
        samples[i] = (struct sample){
            .time_ns = next_ns[cpu],
            .stack = 1 + phase[thread] * 100 + (uint32_t)(rank * rank / 650),
            .thread = thread,
            .cpu = (uint16_t)cpu,
            .slice_class = (uint8_t)(random_number() % 10 < 8 ? 9 : random_number() % 9),
            .period_ns = 1003009,
        };
        next_ns[cpu] += 1003009 + random_number() % 4000;
    }
    return samples;
}

static void a_million_samples_take_six_bytes_each_at_most(void **state)
{
    (void)state;
    static const struct column columns[] = {
        COLUMN(struct sample, time_ns, 1, COLUMN_DELTA),
        COLUMN(struct sample, stack, 2, COLUMN_PLAIN),
        COLUMN(struct sample, thread, 3, COLUMN_PLAIN),
        COLUMN(struct sample, cpu, 4, COLUMN_PLAIN),
        COLUMN(struct sample, slice_class, 5, COLUMN_PLAIN),
        COLUMN(struct sample, period_ns, 6, COLUMN_PLAIN),
    };
    static const struct column_table table = {1, 1, 6, columns, sizeof(struct sample)};
    enum { N_SAMPLES = 1000000 };
    struct sample *samples = make_samples(N_SAMPLES);
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    assert_int_equal(column_append(&buffer, &table, samples, N_SAMPLES), 0);
    print_message("%.2f bytes per sample\n", (double)buffer.n_bytes / N_SAMPLES);
    assert_true(buffer.n_bytes <= (size_t)6 * N_SAMPLES);
    struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
    struct sample *some = test_malloc(COLUMN_FRAME_ROWS * sizeof(*some));
    size_t n_rows;
    size_t at = 0;
    while (column_reader_next(&reader, &table, some, &n_rows) > 0) {
        assert_memory_equal(some, samples + at, n_rows * sizeof(*some));
        at += n_rows;
    }
    assert_int_equal(at, N_SAMPLES);
    test_free(some);
    test_free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(no_rows_are_no_bytes),
        cmocka_unit_test(extreme_values_come_back),
        cmocka_unit_test(what_is_the_same_in_all_rows_costs_nothing),
        cmocka_unit_test(columns_can_be_added_and_left_out),
        cmocka_unit_test(other_kinds_and_versions_are_skipped_and_counted),
        cmocka_unit_test(a_cut_member_gives_what_came_before),
        cmocka_unit_test(a_flipped_bit_costs_its_frame),
        cmocka_unit_test(lies_with_right_checksums_are_corrupt),
        cmocka_unit_test(a_frame_longer_than_the_member_is_cut),
        cmocka_unit_test(bytes_of_anything_give_no_rows),
        cmocka_unit_test(a_million_samples_take_six_bytes_each_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
