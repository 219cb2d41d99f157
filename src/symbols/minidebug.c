/* SPDX-License-Identifier: MIT */
#include "symbols/minidebug.h"

#include <errno.h>
#include <lzma.h>

#include "base/cleanup.h"

#define FIRST_BYTES (64u * 1024)

static int errno_of(lzma_ret code)
{
    switch (code) {
    case LZMA_MEM_ERROR:
        return -ENOMEM;
    case LZMA_MEMLIMIT_ERROR:
        return -EFBIG;
    default:
        return -EBADMSG;
    }
}

/* Doubles the room for what comes out, up to the maximum. */
static int grow(char **data, size_t *capacity, size_t max_bytes)
{
    if (*capacity >= max_bytes) {
        return -EFBIG;
    }
    size_t wanted = *capacity == 0 ? FIRST_BYTES : *capacity * 2;
    wanted = wanted < max_bytes ? wanted : max_bytes;
    char *grown = realloc(*data, wanted);
    if (!grown) {
        return -ENOMEM;
    }
    *data = grown;
    *capacity = wanted;
    return 0;
}

static int unpack(lzma_stream *stream, size_t max_bytes, char **ret_data, size_t *ret_n_bytes)
{
    _cleanup_(freep) char *data = NULL;
    size_t capacity = 0;
    for (;;) {
        size_t n_bytes = (size_t)stream->total_out;
        if (n_bytes == capacity) {
            int r = grow(&data, &capacity, max_bytes);
            if (r < 0) {
                return r;
            }
        }
        stream->next_out = (uint8_t *)data + n_bytes;
        stream->avail_out = capacity - n_bytes;
        lzma_ret code = lzma_code(stream, LZMA_FINISH);
        if (code == LZMA_STREAM_END) {
            *ret_n_bytes = (size_t)stream->total_out;
            *ret_data = TAKE_PTR(data);
            return 0;
        }
        /* Room that ran out is no error; input that ran out is LZMA_BUF_ERROR. */
        if (code != LZMA_OK) {
            return errno_of(code);
        }
    }
}

int minidebug_unpack_bytes(struct bytes packed, size_t max_bytes, char **ret_data,
                           size_t *ret_n_bytes)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret code = lzma_stream_decoder(&stream, MINIDEBUG_MAX_DECODER_BYTES, 0);
    if (code != LZMA_OK) {
        return errno_of(code);
    }
    stream.next_in = packed.at;
    stream.avail_in = bytes_left(&packed);
    int r = unpack(&stream, max_bytes, ret_data, ret_n_bytes);
    lzma_end(&stream);
    return r;
}

int minidebug_unpack(struct elf_file *elf, char **ret_data, size_t *ret_n_bytes)
{
    struct elf_section section;
    struct bytes packed;
    if (!elf_file_section_named(elf, ".gnu_debugdata", &section) ||
        !elf_file_section_bytes(elf, section.index, &packed) || bytes_left(&packed) == 0) {
        return -ENOENT;
    }
    return minidebug_unpack_bytes(packed, MINIDEBUG_MAX_BYTES, ret_data, ret_n_bytes);
}
