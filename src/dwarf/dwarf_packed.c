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
/* zlib turns one byte into 1032 at most. Zstandard could do more, but no debug information does. */
#define MAX_INFLATION 1040u
/* So much is allocated at once, as most sections need not more; the rest when it comes. */
#define LIKELY_INFLATION 8u
#define FIRST_BYTES (UINT64_C(4) << 20)
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
    if (ret_packed->n_bytes / MAX_INFLATION > ret_packed->n_file_bytes) {
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

/* What has come of what is promised. */
struct target {
    struct dwarf_budget *budget;
    uint8_t *data;
    uint64_t n_bytes, n_done, capacity_bytes;
};

/* Room for a step of output, never none. */
static int make_room(struct target *target, uint64_t first_bytes, size_t *ret_n_bytes)
{
    if (target->n_done == target->capacity_bytes) {
        uint64_t wanted_bytes = target->n_done == 0 ? first_bytes : target->n_done * 2;
        wanted_bytes = wanted_bytes < target->n_bytes ? wanted_bytes : target->n_bytes;
        int r = dwarf_budget_resize(target->budget, target->capacity_bytes, wanted_bytes,
                                    &target->data);
        if (r < 0) {
            return r;
        }
        target->capacity_bytes = wanted_bytes;
    }
    uint64_t room = target->capacity_bytes - target->n_done;
    *ret_n_bytes = room < STEP_BYTES * 4 ? (size_t)room : STEP_BYTES * 4;
    return 0;
}

/* As much output as there is room for and input gives. */
static int inflate_step(struct source *source, z_stream *stream, struct target *target,
                        size_t room_bytes)
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
    stream->next_out = target->data + target->n_done;
    stream->avail_out = (uInt)room_bytes;
    int r = inflate(stream, Z_NO_FLUSH);
    target->n_done += room_bytes - stream->avail_out;
    if (target->n_done == target->n_bytes) {
        return 0;
    }
    return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EIO;
}

static int unpack_zlib(struct source *source, struct target *target, uint64_t first_bytes)
{
    z_stream stream = {0};
    if (inflateInit(&stream) != Z_OK) {
        return -ENOMEM;
    }
    int r = 0;
    while (r == 0 && target->n_done < target->n_bytes) {
        size_t room_bytes;
        r = source->is_cancelled(source->userdata) ? -ECANCELED
                                                   : make_room(target, first_bytes, &room_bytes);
        if (r == 0) {
            r = inflate_step(source, &stream, target, room_bytes);
        }
    }
    inflateEnd(&stream);
    return r;
}

#ifdef STAX_HAS_ZSTD
static int decompress_step(struct source *source, ZSTD_DStream *stream, ZSTD_inBuffer *input,
                           struct target *target, size_t room_bytes)
{
    ZSTD_outBuffer output = {.dst = target->data + target->n_done, .size = room_bytes};
    size_t from = input->pos;
    if (ZSTD_isError(ZSTD_decompressStream(stream, &output, input))) {
        return -EIO;
    }
    target->n_done += output.pos;
    if (output.pos == 0 && input->pos == from) { /* it wants more */
        input->pos = 0;
        return read_step(source, &input->size);
    }
    return 0;
}

static int unpack_zstd(struct source *source, struct target *target, uint64_t first_bytes)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream) {
        return -ENOMEM;
    }
    ZSTD_inBuffer input = {.src = source->step};
    int r = 0;
    while (r == 0 && target->n_done < target->n_bytes) {
        size_t room_bytes;
        r = source->is_cancelled(source->userdata) ? -ECANCELED
                                                   : make_room(target, first_bytes, &room_bytes);
        if (r == 0) {
            r = decompress_step(source, stream, &input, target, room_bytes);
        }
    }
    ZSTD_freeDStream(stream);
    return r;
}
#endif

static int unpack(struct source *source, enum dwarf_packing packing, struct target *target)
{
    uint64_t likely_bytes = source->n_left_bytes < UINT64_MAX / LIKELY_INFLATION
                                ? source->n_left_bytes * LIKELY_INFLATION
                                : UINT64_MAX;
    uint64_t first_bytes = likely_bytes > FIRST_BYTES ? likely_bytes : FIRST_BYTES;
    switch (packing) {
    case DWARF_PACKING_ZLIB:
        return unpack_zlib(source, target, first_bytes);
#ifdef STAX_HAS_ZSTD
    case DWARF_PACKING_ZSTD:
        return unpack_zstd(source, target, first_bytes);
#endif
    default:
        return -ENOTSUP;
    }
}

int dwarf_packed_unpack(int fd, const struct dwarf_packed *packed,
                        bool (*is_cancelled)(const void *userdata), const void *userdata,
                        struct dwarf_budget *budget, uint8_t **ret_data)
{
    /* What is promised is of no use in parts: what will not fit is not begun. */
    if (!dwarf_budget_has_room(budget, packed->n_bytes)) {
        return -EFBIG;
    }
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
    struct target target = {.budget = budget, .n_bytes = packed->n_bytes};
    int r = unpack(&source, packed->packing, &target);
    if (r < 0) {
        dwarf_budget_free(budget, target.data, target.capacity_bytes);
        return r;
    }
    *ret_data = target.data;
    return 0;
}
