/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_packed.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#ifdef STAX_HAS_ZSTD
#include <zstd.h>
#endif

#include "base/bytes.h"
#include "base/cleanup.h"

#define STEP_BYTES (256u * 1024)
#define GNU_HEADER_BYTES 12u /* "ZLIB" and the size, most significant byte first */
/* zlib turns one byte into 1032 at most; Zstandard four (a run) into 128 KiB. */
#define ZLIB_MAX_INFLATION 1040u
#define ZSTD_MAX_INFLATION (64u * 1024)
#define KIND_ZLIB 1u
#define KIND_ZSTD 2u

int dwarf_packed_read_at(int fd, uint64_t file_offset, void *target, size_t n_bytes)
{
    uint8_t *at = target;
    while (n_bytes > 0) {
        ssize_t n = pread(fd, at, n_bytes, (off_t)file_offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -EIO;
        }
        at += n;
        file_offset += (uint64_t)n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

/* Header ------------------------------------------------------------------------------------- */

static enum dwarf_packing packing_of(uint32_t kind)
{
    if (kind == KIND_ZLIB) {
        return DWARF_PACKING_ZLIB;
    }
#ifdef STAX_HAS_ZSTD
    if (kind == KIND_ZSTD) {
        return DWARF_PACKING_ZSTD;
    }
#endif
    return DWARF_PACKING_UNKNOWN;
}

static void read_header(struct bytes *bytes, enum dwarf_packed_header header,
                        struct dwarf_packed *packed)
{
    switch (header) {
    case DWARF_PACKED_HEADER_64:
        packed->packing = packing_of(bytes_take_u32(bytes));
        bytes_skip(bytes, 4);
        packed->n_bytes = bytes_take_u64(bytes);
        return;
    case DWARF_PACKED_HEADER_32:
        packed->packing = packing_of(bytes_take_u32(bytes));
        packed->n_bytes = bytes_take_u32(bytes);
        return;
    case DWARF_PACKED_HEADER_GNU: {
        uint8_t mark[4];
        bytes_take_into(bytes, mark, sizeof(mark));
        packed->packing = memcmp(mark, "ZLIB", 4) == 0 ? DWARF_PACKING_ZLIB : DWARF_PACKING_UNKNOWN;
        packed->n_bytes = __builtin_bswap64(bytes_take_u64(bytes));
        return;
    }
    }
}

void dwarf_packed_describe(int fd, uint64_t file_offset, uint64_t n_file_bytes,
                           enum dwarf_packed_header header, struct dwarf_packed *ret_packed)
{
    static const size_t header_bytes[] = {
        [DWARF_PACKED_HEADER_64] = sizeof(Elf64_Chdr),
        [DWARF_PACKED_HEADER_32] = sizeof(Elf32_Chdr),
        [DWARF_PACKED_HEADER_GNU] = GNU_HEADER_BYTES,
    };
    uint8_t data[sizeof(Elf64_Chdr)] = {0};
    *ret_packed = (struct dwarf_packed){.packing = DWARF_PACKING_UNKNOWN};
    if (n_file_bytes < header_bytes[header] ||
        dwarf_packed_read_at(fd, file_offset, data, header_bytes[header]) < 0) {
        return;
    }
    struct bytes bytes = bytes_of(data, header_bytes[header]);
    read_header(&bytes, header, ret_packed);
    ret_packed->file_offset = file_offset + header_bytes[header];
    ret_packed->n_file_bytes = n_file_bytes - header_bytes[header];
    uint64_t max_inflation =
        ret_packed->packing == DWARF_PACKING_ZSTD ? ZSTD_MAX_INFLATION : ZLIB_MAX_INFLATION;
    if (ret_packed->n_bytes / max_inflation > ret_packed->n_file_bytes) {
        ret_packed->n_bytes = 0;
    }
}

/* Unpacking ---------------------------------------------------------------------------------- */

/* What is stored, a step at a time. */
struct source {
    int fd;
    uint64_t file_offset, n_left_bytes;
    bool (*is_cancelled)(const void *userdata);
    const void *userdata;
    uint8_t *step;
};

/* The next step, never empty. */
static int read_step(struct source *source, size_t *ret_n_bytes)
{
    size_t n_bytes = source->n_left_bytes < STEP_BYTES ? (size_t)source->n_left_bytes : STEP_BYTES;
    if (source->is_cancelled(source->userdata)) {
        return -ECANCELED;
    }
    if (n_bytes == 0 ||
        dwarf_packed_read_at(source->fd, source->file_offset, source->step, n_bytes) < 0) {
        return -EIO;
    }
    source->file_offset += n_bytes;
    source->n_left_bytes -= n_bytes;
    *ret_n_bytes = n_bytes;
    return 0;
}

/* As much output as there is room for and input gives. 1 when target is full. */
static int inflate_step(struct source *source, z_stream *stream, const uint8_t *target,
                        uint64_t n_bytes)
{
    if (stream->avail_in == 0) {
        size_t n_read;
        int r = read_step(source, &n_read);
        if (r < 0) {
            return r;
        }
        stream->next_in = source->step;
        stream->avail_in = (uInt)n_read;
    }
    uint64_t room = n_bytes - (uint64_t)(stream->next_out - target);
    stream->avail_out = room < STEP_BYTES * 4 ? (uInt)room : STEP_BYTES * 4;
    int r = inflate(stream, Z_NO_FLUSH);
    bool is_full = (uint64_t)(stream->next_out - target) == n_bytes;
    if (r == Z_STREAM_END || is_full) {
        return is_full ? 1 : -EIO;
    }
    return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EIO;
}

static int unpack_zlib(struct source *source, uint8_t *target, uint64_t n_bytes)
{
    z_stream stream = {.next_out = target};
    if (inflateInit(&stream) != Z_OK) {
        return -ENOMEM;
    }
    int r = 0;
    while (r == 0) {
        r = source->is_cancelled(source->userdata) ? -ECANCELED
                                                   : inflate_step(source, &stream, target, n_bytes);
    }
    inflateEnd(&stream);
    return r < 0 ? r : 0;
}

#ifdef STAX_HAS_ZSTD
static int unpack_zstd(struct source *source, uint8_t *target, uint64_t n_bytes)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream) {
        return -ENOMEM;
    }
    ZSTD_inBuffer input = {.src = source->step};
    ZSTD_outBuffer output = {0};
    output.dst = target;
    int r = 0;
    while (r == 0 && output.pos < n_bytes) {
        uint64_t room = n_bytes - output.pos;
        output.size = output.pos + (room < STEP_BYTES * 4 ? (size_t)room : STEP_BYTES * 4);
        size_t before = output.pos;
        size_t from = input.pos;
        if (ZSTD_isError(ZSTD_decompressStream(stream, &output, &input))) {
            r = -EIO;
        } else if (source->is_cancelled(source->userdata)) {
            r = -ECANCELED;
        } else if (output.pos == before && input.pos == from) { /* it wants more */
            input.pos = 0;
            r = read_step(source, &input.size);
        }
    }
    ZSTD_freeDStream(stream);
    return r;
}
#endif

int dwarf_packed_unpack(int fd, const struct dwarf_packed *packed,
                        bool (*is_cancelled)(const void *userdata), const void *userdata,
                        uint8_t *target)
{
    _cleanup_(freep) uint8_t *step = malloc(STEP_BYTES);
    if (!step) {
        return -ENOMEM;
    }
    struct source source = {
        .fd = fd,
        .file_offset = packed->file_offset,
        .n_left_bytes = packed->n_file_bytes,
        .is_cancelled = is_cancelled,
        .userdata = userdata,
        .step = step,
    };
    switch (packed->packing) {
    case DWARF_PACKING_ZLIB:
        return unpack_zlib(&source, target, packed->n_bytes);
#ifdef STAX_HAS_ZSTD
    case DWARF_PACKING_ZSTD:
        return unpack_zstd(&source, target, packed->n_bytes);
#endif
    default:
        return -ENOTSUP;
    }
}
