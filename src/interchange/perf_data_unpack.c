/* SPDX-License-Identifier: MIT */
#include "interchange/perf_data_unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef STAX_HAS_ZSTD
#include <zstd.h>
#endif

#define MAX_PLAIN_RATIO 1000u
#define PLAIN_SLACK_BYTES (UINT64_C(64) << 20)

void perf_data_unpack_put(struct perf_data_unpack *unpack, const void *packed, size_t n_bytes)
{
    memcpy(unpack->packed, packed, n_bytes);
    unpack->packed_at = 0;
    unpack->packed_bytes = n_bytes;
    unpack->all_packed_bytes += n_bytes;
}

void perf_data_unpack_give_up(struct perf_data_unpack *unpack)
{
    unpack->is_bad = true;
    unpack->plain_at = unpack->plain_bytes;
    unpack->packed_at = unpack->packed_bytes;
    unpack->is_full = false;
}

#ifdef STAX_HAS_ZSTD
static int restart_stream(struct perf_data_unpack *unpack)
{
    return unpack->stream && ZSTD_isError(ZSTD_initDStream(unpack->stream)) ? -ENOMEM : 0;
}

int perf_data_unpack_more(struct perf_data_unpack *unpack)
{
    if (!unpack->plain) {
        unpack->plain = malloc(PERF_DATA_PLAIN_BYTES);
        unpack->stream = unpack->stream ? unpack->stream : ZSTD_createDStream();
        if (!unpack->plain || !unpack->stream || restart_stream(unpack) < 0) {
            return -ENOMEM;
        }
    }
    size_t n_left = unpack->plain_bytes - unpack->plain_at;
    memmove(unpack->plain, unpack->plain + unpack->plain_at, n_left);
    ZSTD_inBuffer input = {
        .src = unpack->packed, .size = unpack->packed_bytes, .pos = unpack->packed_at};
    ZSTD_outBuffer output = {.dst = unpack->plain, .size = PERF_DATA_PLAIN_BYTES, .pos = n_left};
    size_t r = ZSTD_decompressStream(unpack->stream, &output, &input);
    bool has_moved = input.pos > unpack->packed_at || output.pos > n_left;
    unpack->packed_at = input.pos;
    unpack->plain_at = 0;
    unpack->plain_bytes = output.pos;
    unpack->is_full = output.pos == output.size;
    unpack->all_plain_bytes += output.pos - n_left;
    uint64_t max_bytes = PLAIN_SLACK_BYTES + MAX_PLAIN_RATIO * unpack->all_packed_bytes;
    bool is_bad = ZSTD_isError(r) || unpack->all_plain_bytes > max_bytes;
    if (is_bad || !has_moved) {
        unpack->is_bad |= is_bad || unpack->packed_at < unpack->packed_bytes;
        unpack->packed_at = unpack->packed_bytes;
        unpack->is_full = false;
    }
    return 0;
}

void perf_data_unpack_release(struct perf_data_unpack *unpack)
{
    ZSTD_freeDStream(unpack->stream);
    free(unpack->plain);
}
#else
static int restart_stream(struct perf_data_unpack *unpack)
{
    (void)unpack;
    return 0;
}

int perf_data_unpack_more(struct perf_data_unpack *unpack)
{
    perf_data_unpack_give_up(unpack);
    return 0;
}

void perf_data_unpack_release(struct perf_data_unpack *unpack)
{
    free(unpack->plain);
}
#endif

int perf_data_unpack_rewind(struct perf_data_unpack *unpack)
{
    unpack->plain_at = unpack->plain_bytes = 0;
    unpack->packed_at = unpack->packed_bytes = 0;
    unpack->all_packed_bytes = unpack->all_plain_bytes = 0;
    unpack->is_full = unpack->is_bad = false;
    return restart_stream(unpack);
}
