/* SPDX-License-Identifier: MIT */
/*
 * A frame's bytes, little-endian:
 *
 *    0  u32  magic "Stxc"
 *    4  u32  CRC-32 of bytes 8 to 31
 *    8  u32  CRC-32 of what follows the header
 *   12  u32  bytes that follow the header
 *   16  u32  rows
 *   20  u16  record kind, 22 u16 its version, 24 u16 columns, 26 and 28 0
 *
 * and for each column
 *
 *    0  u16  id
 *    2  u8   how: 0 values less base, 1 differences as zigzag, 2 differences
 *    3  u8   planes
 *    4  u64  base: what is taken off all values; with differences, the first value
 *   12  u32  bytes of each plane, then the planes
 *
 * A plane holds one byte of every row's number, the lowest first: what changes
 * little lies apart from what is noise. Planes of no bytes are 0, those of as
 * many bytes as rows are as they are, others are compressed. So nothing that a
 * frame claims makes a plane larger than its rows.
 */
#include "archive/column.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"

#define MAGIC UINT32_C(0x63787453)
#define HEADER_BYTES 32u
#define COLUMN_HEADER_BYTES 12u
#define MAX_PLANES 8u

/* design/0015 has the figures. */
#define LEVEL 3

enum stored_as { AS_VALUES, AS_ZIGZAG, AS_DIFFERENCES };

/* Bytes that grow -------------------------------------------------------------- */

void column_buffer_release(struct column_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct column_buffer){0};
}

static int reserve(struct column_buffer *buffer, size_t more_bytes)
{
    if (more_bytes <= buffer->capacity_bytes - buffer->n_bytes) {
        return 0;
    }
    if (more_bytes > SIZE_MAX / 2 - buffer->n_bytes) {
        return -ENOMEM;
    }
    size_t wanted_bytes = buffer->n_bytes + more_bytes;
    if (wanted_bytes < buffer->capacity_bytes + buffer->capacity_bytes / 2) {
        wanted_bytes = buffer->capacity_bytes + buffer->capacity_bytes / 2;
    }
    uint8_t *grown = realloc(buffer->bytes, wanted_bytes);
    if (!grown) {
        return -ENOMEM;
    }
    buffer->bytes = grown;
    buffer->capacity_bytes = wanted_bytes;
    return 0;
}

/* Puts a little-endian number of up to eight bytes at `at`. */
static void put(uint8_t *at, uint64_t value, size_t n_bytes)
{
    memcpy(at, &value, n_bytes);
}

/* Fields of rows ---------------------------------------------------------------- */

/* With a constant `n_bytes`, so that the copy is one instruction. */
static inline __attribute__((always_inline)) void
gather_of(const uint8_t *at, size_t row_bytes, size_t n_rows, size_t n_bytes, uint64_t *values)
{
    for (size_t i = 0; i < n_rows; i++, at += row_bytes) {
        uint64_t value = 0;
        memcpy(&value, at, n_bytes);
        values[i] = value;
    }
}

static void gather(const uint8_t *at, size_t row_bytes, size_t n_rows, size_t n_bytes,
                   uint64_t *values)
{
    switch (n_bytes) {
    case 1:
        gather_of(at, row_bytes, n_rows, 1, values);
        break;
    case 2:
        gather_of(at, row_bytes, n_rows, 2, values);
        break;
    case 4:
        gather_of(at, row_bytes, n_rows, 4, values);
        break;
    default:
        gather_of(at, row_bytes, n_rows, 8, values);
        break;
    }
}

static inline __attribute__((always_inline)) void
scatter_of(const uint64_t *values, size_t row_bytes, size_t n_rows, size_t n_bytes, uint8_t *at)
{
    for (size_t i = 0; i < n_rows; i++, at += row_bytes) {
        memcpy(at, &values[i], n_bytes);
    }
}

static void scatter(const uint64_t *values, size_t row_bytes, size_t n_rows, size_t n_bytes,
                    uint8_t *at)
{
    switch (n_bytes) {
    case 1:
        scatter_of(values, row_bytes, n_rows, 1, at);
        break;
    case 2:
        scatter_of(values, row_bytes, n_rows, 2, at);
        break;
    case 4:
        scatter_of(values, row_bytes, n_rows, 4, at);
        break;
    default:
        scatter_of(values, row_bytes, n_rows, 8, at);
        break;
    }
}

/* Writing ----------------------------------------------------------------------- */

struct writing {
    ZSTD_CCtx *zstd;
    uint64_t *values; /* COLUMN_FRAME_ROWS */
    uint8_t *plane;   /* COLUMN_FRAME_ROWS */
};

static void writing_release(struct writing *writing)
{
    ZSTD_freeCCtx(writing->zstd);
    free(writing->values);
    free(writing->plane);
}
DEFINE_RELEASEP(writing);

/* Takes the least value off all: what is the same in all rows has no planes. */
static uint64_t less_least(uint64_t *values, size_t n_rows, uint64_t *ret_bits)
{
    uint64_t least = values[0];
    uint64_t bits = 0;
    for (size_t i = 1; i < n_rows; i++) {
        least = values[i] < least ? values[i] : least;
    }
    for (size_t i = 0; i < n_rows; i++) {
        values[i] -= least;
        bits |= values[i];
    }
    *ret_bits = bits;
    return least;
}

/* Differences as they are where all go up, else with the sign in the lowest bit. */
static enum stored_as differ(uint64_t *values, size_t n_rows, uint64_t *ret_first,
                             uint64_t *ret_bits)
{
    uint64_t bits = 0;
    uint64_t before = values[0];
    *ret_first = before;
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t value = values[i];
        values[i] = value - before;
        bits |= values[i];
        before = value;
    }
    *ret_bits = bits;
    if ((bits >> 63) == 0) {
        return AS_DIFFERENCES;
    }
    bits = 0;
    for (size_t i = 0; i < n_rows; i++) {
        values[i] = (values[i] << 1) ^ (0 - (values[i] >> 63));
        bits |= values[i];
    }
    *ret_bits = bits;
    return AS_ZIGZAG;
}

static size_t put_plane(struct writing *writing, size_t n_rows, unsigned int shift, uint8_t *at)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n_rows; i++) {
        writing->plane[i] = (uint8_t)(writing->values[i] >> shift);
        any |= writing->plane[i];
    }
    if (!any) {
        return 0;
    }
    /* What does not become shorter fails for want of room. */
    size_t n_bytes =
        ZSTD_compressCCtx(writing->zstd, at, n_rows - 1, writing->plane, n_rows, LEVEL);
    if (ZSTD_isError(n_bytes)) {
        memcpy(at, writing->plane, n_rows);
        n_bytes = n_rows;
    }
    return n_bytes;
}

/* The end of what was written. */
static uint8_t *put_column(struct writing *writing, const struct column *column, size_t n_rows,
                           uint8_t *at)
{
    uint64_t base;
    uint64_t bits;
    enum stored_as how = AS_VALUES;
    if (column->coding == COLUMN_DELTA) {
        how = differ(writing->values, n_rows, &base, &bits);
    } else {
        base = less_least(writing->values, n_rows, &bits);
    }
    unsigned int n_planes = bits == 0 ? 0 : (71u - (unsigned int)__builtin_clzll(bits)) / 8;
    put(at, column->id, 2);
    put(at + 2, how, 1);
    put(at + 3, n_planes, 1);
    put(at + 4, base, 8);
    uint8_t *sizes = at + COLUMN_HEADER_BYTES;
    at = sizes + (size_t)4 * n_planes;
    for (unsigned int i = 0; i < n_planes; i++) {
        size_t n_bytes = put_plane(writing, n_rows, 8 * i, at);
        put(sizes + (size_t)4 * i, n_bytes, 4);
        at += n_bytes;
    }
    return at;
}

static uint32_t checksum(const uint8_t *bytes, size_t n_bytes)
{
    return (uint32_t)crc32_z(0, bytes, n_bytes);
}

static int append_frame(struct column_buffer *buffer, const struct column_table *table,
                        struct writing *writing, const uint8_t *rows, size_t n_rows)
{
    int r = reserve(buffer, HEADER_BYTES + table->n_columns *
                                               (COLUMN_HEADER_BYTES + MAX_PLANES * (4 + n_rows)));
    if (r < 0) {
        return r;
    }
    uint8_t *header = buffer->bytes + buffer->n_bytes;
    uint8_t *body = header + HEADER_BYTES;
    uint8_t *at = body;
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct column *column = &table->columns[i];
        gather(rows + column->offset, table->row_bytes, n_rows, column->n_bytes, writing->values);
        at = put_column(writing, column, n_rows, at);
    }
    size_t n_bytes = (size_t)(at - body);
    memset(header, 0, HEADER_BYTES);
    put(header, MAGIC, 4);
    put(header + 8, checksum(body, n_bytes), 4);
    put(header + 12, n_bytes, 4);
    put(header + 16, n_rows, 4);
    put(header + 20, table->kind, 2);
    put(header + 22, table->version, 2);
    put(header + 24, table->n_columns, 2);
    put(header + 4, checksum(header + 8, HEADER_BYTES - 8), 4);
    buffer->n_bytes += HEADER_BYTES + n_bytes;
    return 0;
}

int column_append(struct column_buffer *buffer, const struct column_table *table, const void *rows,
                  size_t n_rows)
{
    assert(table->n_columns <= COLUMN_MAX_COLUMNS);
    if (n_rows == 0) {
        return 0;
    }
    size_t most_rows = n_rows < COLUMN_FRAME_ROWS ? n_rows : COLUMN_FRAME_ROWS;
    _cleanup_(writing_releasep) struct writing writing = {
        .zstd = ZSTD_createCCtx(),
        .values = malloc(most_rows * sizeof(*writing.values)),
        .plane = malloc(most_rows),
    };
    if (!writing.zstd || !writing.values || !writing.plane) {
        return -ENOMEM;
    }
    size_t n_bytes_before = buffer->n_bytes;
    for (size_t at = 0; at < n_rows; at += most_rows) {
        size_t n_left = n_rows - at;
        int r = append_frame(buffer, table, &writing, (const uint8_t *)rows + at * table->row_bytes,
                             n_left < most_rows ? n_left : most_rows);
        if (r < 0) {
            buffer->n_bytes = n_bytes_before;
            return r;
        }
    }
    return 0;
}

/* Reading ----------------------------------------------------------------------- */

struct frame_header {
    uint32_t body_checksum, n_body_bytes, n_rows;
    uint16_t kind, version, n_columns;
};

struct reading {
    ZSTD_DCtx *zstd;
    uint64_t *values; /* n_rows */
    uint8_t *plane;   /* n_rows */
    size_t n_rows;
};

static void reading_release(struct reading *reading)
{
    ZSTD_freeDCtx(reading->zstd);
    free(reading->values);
    free(reading->plane);
}
DEFINE_RELEASEP(reading);

struct column_reader column_reader_begin(const void *bytes, size_t n_bytes)
{
    return (struct column_reader){.bytes = bytes, .n_bytes = n_bytes};
}

/* False where no frame begins. `at` has HEADER_BYTES bytes. */
static bool parse_header(const uint8_t *at, struct frame_header *ret_header)
{
    struct bytes bytes = bytes_of(at, HEADER_BYTES);
    uint32_t magic = bytes_take_u32(&bytes);
    uint32_t header_checksum = bytes_take_u32(&bytes);
    ret_header->body_checksum = bytes_take_u32(&bytes);
    ret_header->n_body_bytes = bytes_take_u32(&bytes);
    ret_header->n_rows = bytes_take_u32(&bytes);
    ret_header->kind = bytes_take_u16(&bytes);
    ret_header->version = bytes_take_u16(&bytes);
    ret_header->n_columns = bytes_take_u16(&bytes);
    return magic == MAGIC && header_checksum == checksum(at + 8, HEADER_BYTES - 8);
}

static void note_damage(struct column_reader *reader, enum column_damage damage)
{
    if (reader->damage < damage) {
        reader->damage = damage;
    }
}

/*
 * Where the next frame begins, if what stands at `at` is none: frames behind a
 * header that was damaged are found by their own.
 */
static size_t find_frame(const struct column_reader *reader, size_t at)
{
    const uint32_t magic = MAGIC;
    while (reader->n_bytes - at >= HEADER_BYTES) {
        const uint8_t *found =
            memmem(reader->bytes + at, reader->n_bytes - at, &magic, sizeof(magic));
        if (!found) {
            break;
        }
        struct frame_header header;
        at = (size_t)(found - reader->bytes);
        if (reader->n_bytes - at >= HEADER_BYTES && parse_header(found, &header)) {
            return at;
        }
        at++;
    }
    return reader->n_bytes;
}

static const struct column *find_column(const struct column_table *table, uint16_t id)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        if (table->columns[i].id == id) {
            return &table->columns[i];
        }
    }
    return NULL;
}

static bool take_plane(struct reading *reading, const uint8_t *bytes, size_t n_bytes,
                       unsigned int shift)
{
    const uint8_t *plane = bytes;
    if (n_bytes != reading->n_rows) {
        size_t n_raw =
            ZSTD_decompressDCtx(reading->zstd, reading->plane, reading->n_rows, bytes, n_bytes);
        if (ZSTD_isError(n_raw) || n_raw != reading->n_rows) {
            return false;
        }
        plane = reading->plane;
    }
    for (size_t i = 0; i < reading->n_rows; i++) {
        reading->values[i] |= (uint64_t)plane[i] << shift;
    }
    return true;
}

/* Numbers as stored to the values that they stand for. */
static void undo(uint64_t *values, size_t n_rows, enum stored_as how, uint64_t base)
{
    if (how == AS_VALUES) {
        for (size_t i = 0; i < n_rows; i++) {
            values[i] += base;
        }
        return;
    }
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t stored = values[i];
        base += how == AS_ZIGZAG ? (stored >> 1) ^ (0 - (stored & 1)) : stored;
        values[i] = base;
    }
}

/* Reads one column into `reading`'s values, or steps over it where nobody wants it. */
static bool take_column(struct bytes *bytes, const struct column_table *table,
                        struct reading *reading, uint8_t *rows)
{
    const struct column *column = find_column(table, bytes_take_u16(bytes));
    uint8_t how = bytes_take_u8(bytes);
    uint8_t n_planes = bytes_take_u8(bytes);
    uint64_t base = bytes_take_u64(bytes);
    if (bytes_has_failed(bytes) || n_planes > MAX_PLANES || (column && how > AS_DIFFERENCES)) {
        return false;
    }
    uint32_t sizes[MAX_PLANES];
    for (unsigned int i = 0; i < n_planes; i++) {
        sizes[i] = bytes_take_u32(bytes);
    }
    if (column) {
        memset(reading->values, 0, reading->n_rows * sizeof(*reading->values));
    }
    for (unsigned int i = 0; i < n_planes; i++) {
        const uint8_t *plane = bytes_take(bytes, sizes[i]);
        if (!plane || (column && sizes[i] > 0 && !take_plane(reading, plane, sizes[i], 8 * i))) {
            return false;
        }
    }
    if (column) {
        undo(reading->values, reading->n_rows, (enum stored_as)how, base);
        scatter(reading->values, table->row_bytes, reading->n_rows, column->n_bytes,
                rows + column->offset);
    }
    return true;
}

/* 1, 0 where the frame is damaged, or -ENOMEM. */
static int read_frame(const struct frame_header *header, const uint8_t *body,
                      const struct column_table *table, uint8_t *rows)
{
    if (header->n_rows > COLUMN_FRAME_ROWS || header->n_columns > COLUMN_MAX_COLUMNS ||
        checksum(body, header->n_body_bytes) != header->body_checksum) {
        return 0;
    }
    if (header->n_rows == 0) {
        return 1;
    }
    _cleanup_(reading_releasep) struct reading reading = {
        .zstd = ZSTD_createDCtx(),
        .values = malloc(header->n_rows * sizeof(*reading.values)),
        .plane = malloc(header->n_rows),
        .n_rows = header->n_rows,
    };
    if (!reading.zstd || !reading.values || !reading.plane) {
        return -ENOMEM;
    }
    memset(rows, 0, header->n_rows * table->row_bytes);
    struct bytes bytes = bytes_of(body, header->n_body_bytes);
    for (unsigned int i = 0; i < header->n_columns; i++) {
        if (!take_column(&bytes, table, &reading, rows)) {
            return 0;
        }
    }
    return 1;
}

/*
 * Steps to the next frame that is there as a whole: 1, its body, and `at`
 * behind it; or 0 at the end.
 */
static int next_frame(struct column_reader *reader, struct frame_header *ret_header,
                      const uint8_t **ret_body)
{
    while (reader->at < reader->n_bytes) {
        size_t n_left = reader->n_bytes - reader->at;
        if (n_left >= HEADER_BYTES && parse_header(reader->bytes + reader->at, ret_header)) {
            if (ret_header->n_body_bytes > n_left - HEADER_BYTES) {
                note_damage(reader, COLUMN_CUT);
                reader->n_rows_skipped += ret_header->n_rows;
                reader->n_bytes_skipped += n_left;
                reader->at = reader->n_bytes;
                return 0;
            }
            *ret_body = reader->bytes + reader->at + HEADER_BYTES;
            reader->at += HEADER_BYTES + ret_header->n_body_bytes;
            return 1;
        }
        size_t found = n_left < HEADER_BYTES ? reader->n_bytes : find_frame(reader, reader->at + 1);
        note_damage(reader, n_left < HEADER_BYTES ? COLUMN_CUT : COLUMN_CORRUPT);
        reader->n_bytes_skipped += found - reader->at;
        reader->at = found;
    }
    return 0;
}

int column_reader_next(struct column_reader *reader, const struct column_table *table, void *rows,
                       size_t *ret_n_rows)
{
    struct frame_header header;
    const uint8_t *body;
    while (next_frame(reader, &header, &body) > 0) {
        if (header.kind != table->kind || header.version != table->version) {
            reader->n_rows_skipped += header.n_rows;
            continue;
        }
        int r = read_frame(&header, body, table, rows);
        if (r < 0) {
            return r;
        }
        if (r > 0 && header.n_rows > 0) {
            reader->n_rows += header.n_rows;
            *ret_n_rows = header.n_rows;
            return 1;
        }
        if (r == 0) {
            note_damage(reader, COLUMN_CORRUPT);
            reader->n_rows_skipped += header.n_rows;
            reader->n_bytes_skipped += HEADER_BYTES + header.n_body_bytes;
        }
    }
    return 0;
}
