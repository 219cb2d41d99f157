/* SPDX-License-Identifier: MIT */

/*
 * fuzz_column - a member's bytes as frames of columns, and bytes as rows to and fro
 *
 * What comes out of frames lies within what was asked for; what goes in as rows
 * comes out as it was. The first byte chooses: 'r' for rows, 'v' for frames whose
 * checksums are put right first, so that trying gets behind them.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "archive/column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct row {
    uint64_t first, second;
    uint32_t third, fourth;
    uint16_t fifth, sixth;
    uint8_t seventh, eighth, unused[2];
};

static const struct column columns[] = {
    COLUMN(struct row, first, 1, COLUMN_DELTA),   COLUMN(struct row, second, 2, COLUMN_PLAIN),
    COLUMN(struct row, third, 3, COLUMN_DELTA),   COLUMN(struct row, fourth, 4, COLUMN_PLAIN),
    COLUMN(struct row, fifth, 5, COLUMN_DELTA),   COLUMN(struct row, sixth, 6, COLUMN_PLAIN),
    COLUMN(struct row, seventh, 7, COLUMN_DELTA), COLUMN(struct row, eighth, 8, COLUMN_PLAIN),
};

static const struct column_table table = {
    .kind = 1,
    .version = 1,
    .n_columns = sizeof(columns) / sizeof(columns[0]),
    .columns = columns,
    .row_bytes = sizeof(struct row),
};

static struct row rows[COLUMN_FRAME_ROWS + 1];

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void read_frames(const uint8_t *data, size_t size)
{
    struct column_reader reader = column_reader_begin(data, size);
    uint64_t n_all = 0;
    size_t n_rows = 0;
    int r;
    memset(&rows[COLUMN_FRAME_ROWS], 0xa5, sizeof(rows[0]));
    while ((r = column_reader_next(&reader, &table, rows, &n_rows)) > 0) {
        require(n_rows > 0 && n_rows <= COLUMN_FRAME_ROWS);
        n_all += n_rows;
        require(rows[n_rows - 1].unused[0] == 0);
    }
    require(r == 0 || r == -ENOMEM);
    require(reader.n_rows == n_all);
    require(reader.n_bytes_skipped <= size);
    require((reader.damage == COLUMN_WHOLE) == (reader.n_bytes_skipped == 0));
    require(rows[COLUMN_FRAME_ROWS].unused[0] == 0xa5);
}

/* Rows that repeat the bytes given; padding is 0. */
static void go_round(const uint8_t *data, size_t size)
{
    struct column_buffer buffer = {.bytes = NULL};
    size_t n_rows = size / 4;
    n_rows = n_rows < 3000 ? n_rows : 3000;
    struct row *given = calloc(n_rows + 1, sizeof(*given));
    require(given != NULL);
    for (size_t i = 0; i < n_rows; i++) {
        size_t n_bytes = size - i < sizeof(*given) ? size - i : sizeof(*given);
        memcpy(&given[i], data + i, n_bytes);
        memset(given[i].unused, 0, sizeof(given[i].unused));
    }
    size_t n_first = n_rows / 3;
    require(column_append(&buffer, &table, given, n_first) == 0);
    require(column_append(&buffer, &table, given + n_first, n_rows - n_first) == 0);
    struct column_reader reader = column_reader_begin(buffer.bytes, buffer.n_bytes);
    size_t at = 0;
    size_t n_read = 0;
    while (column_reader_next(&reader, &table, rows, &n_read) > 0) {
        require(at + n_read <= n_rows);
        require(memcmp(rows, given + at, n_read * sizeof(*given)) == 0);
        at += n_read;
    }
    require(at == n_rows && reader.damage == COLUMN_WHOLE);
    column_buffer_release(&buffer);
    free(given);
}

static void put(uint8_t *at, uint64_t value, size_t n_bytes)
{
    memcpy(at, &value, n_bytes);
}

#define HEADER_BYTES 32

static void read_vouched_frames(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    require(copy != NULL);
    memcpy(copy, data, size);
    for (size_t at = 0; size - at >= HEADER_BYTES;) {
        uint8_t *header = copy + at;
        uint32_t n_body;
        memcpy(&n_body, header + 12, sizeof(n_body));
        n_body = n_body < size - at - HEADER_BYTES ? n_body : (uint32_t)(size - at - HEADER_BYTES);
        put(header, 0x63787453, 4);
        put(header + 8, crc32_z(0, header + HEADER_BYTES, n_body), 4);
        put(header + 12, n_body, 4);
        put(header + 20, 0x10001, 4); /* kind and version */
        put(header + 4, crc32_z(0, header + 8, HEADER_BYTES - 8), 4);
        at += HEADER_BYTES + n_body;
    }
    read_frames(copy, size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'r') {
        go_round(data + 1, size - 1);
    } else if (size > 0 && data[0] == 'v') {
        read_vouched_frames(data + 1, size - 1);
    } else {
        read_frames(data, size);
    }
    return 0;
}
