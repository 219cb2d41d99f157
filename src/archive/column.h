/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * column - rows of structs as compressed columns, and back
 *
 * A member of an archive is a sequence of frames: up to COLUMN_FRAME_ROWS rows
 * of one kind of record each, column by column, so that what is alike lies side
 * by side. A frame stands for itself: what was appended last can be cut off,
 * and only its rows are gone.
 *
 * Shape:   frame = header (magic, record kind, kind's version, rows, columns,
 *          bytes, checksums), then per column: id, how it is stored, base, byte
 *          planes. DELTA: differences to the row before; PLAIN: the values less
 *          the least of them. Plane k holds byte k of each row's number and is
 *          zstd data by itself. Little-endian; column.c has the layout.
 *          A column that a reader does not know is skipped; one that the frame
 *          lacks is 0 in all rows: fields can be added without a new version.
 * Owner:   the writer's bytes are the caller's `struct column_buffer`; readers
 *          borrow the member.
 * Threads: values.
 * Limits:  COLUMN_FRAME_ROWS rows and COLUMN_MAX_COLUMNS columns in a frame;
 *          nothing is allocated for more than a frame may decode to.
 * Source:  docs/design/0015-archive.md
 * Tests:   column_test.c, tests/fuzz/fuzz_column.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define COLUMN_FRAME_ROWS 65536u
#define COLUMN_MAX_COLUMNS 32u

enum column_coding { COLUMN_PLAIN, COLUMN_DELTA };

/* One unsigned field of the row's struct: 1, 2, 4 or 8 bytes. Ids are kept for ever. */
struct column {
    uint16_t id; /* from 1 */
    uint16_t offset;
    uint8_t n_bytes;
    uint8_t coding;
};

/* COLUMN(struct stored_sample, time_ns, 1, COLUMN_DELTA) */
#define COLUMN(type, member, number, how)                                                          \
    {                                                                                              \
        .id = (number), .offset = offsetof(type, member), .n_bytes = sizeof(((type *)0)->member),  \
        .coding = (how)                                                                            \
    }

/* A kind of record. Another version is another meaning of the same columns: its frames are skipped
 * by readers that do not know it. */
struct column_table {
    uint16_t kind;
    uint16_t version;
    uint16_t n_columns;
    const struct column *columns;
    size_t row_bytes;
};

/* Bytes that grow. */
struct column_buffer {
    uint8_t *bytes;
    size_t n_bytes, capacity_bytes;
};

void column_buffer_release(struct column_buffer *buffer);
DEFINE_RELEASEP(column_buffer);

/*
 * Appends `n_rows` rows as one frame or several. 0 or -ENOMEM: then the buffer
 * is as it was.
 */
int column_append(struct column_buffer *buffer, const struct column_table *table, const void *rows,
                  size_t n_rows);

/* What is wrong with a member, from some frame on. */
enum column_damage {
    COLUMN_WHOLE,
    COLUMN_CUT,     /* it ends within a frame */
    COLUMN_CORRUPT, /* a checksum or a header is wrong, data does not decode */
};

struct column_reader {
    const uint8_t *bytes;
    size_t n_bytes, at;
    enum column_damage damage;
    uint64_t n_rows;          /* handed out so far */
    uint64_t n_rows_skipped;  /* of frames of another version or kind, or corrupt ones */
    uint64_t n_bytes_skipped; /* of damaged frames, to the end of the member where it is cut */
};

struct column_reader column_reader_begin(const void *bytes, size_t n_bytes);

/*
 * The rows of the next frame of this kind and version; others are skipped. A
 * frame whose checksum is wrong is skipped and noted in `damage`; where the
 * next frame begins is known as long as headers are right.
 *
 *   rows   room for COLUMN_FRAME_ROWS rows; set to 0 first
 *
 * Returns 1; 0 at the end; or -ENOMEM.
 */
int column_reader_next(struct column_reader *reader, const struct column_table *table, void *rows,
                       size_t *ret_n_rows);
