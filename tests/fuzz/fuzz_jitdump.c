/* SPDX-License-Identifier: MIT */

/*
 * fuzz_jitdump - a dump's bytes through the parser, record after record
 *
 * Everything that a record leads to is read, and must lie within the input.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/jitdump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint32_t sum_of(struct bytes bytes)
{
    uint32_t sum = 0;
    while (bytes_left(&bytes) > 0) {
        sum += bytes_take_u8(&bytes);
    }
    return sum;
}

static volatile uint32_t all_read;

static void check_record(const struct jitdump_record *record)
{
    uint32_t sum = 0; /* every byte that is offered is read */
    switch (record->kind) {
    case JITDUMP_CODE_LOAD:
        require(strlen(record->load.name) < record->n_bytes);
        require(record->load.code_addr + record->load.n_code_bytes >= record->load.code_addr);
        require(bytes_left(&record->load.code) == 0 ||
                bytes_left(&record->load.code) == record->load.n_code_bytes);
        sum += sum_of(record->load.code);
        break;
    case JITDUMP_DEBUG_INFO: {
        struct bytes entries = record->debug_info.entries;
        struct jitdump_line line;
        while (jitdump_next_line(&entries, &line)) {
            sum += line.file ? (uint32_t)strlen(line.file) : line.line;
        }
        break;
    }
    case JITDUMP_UNWINDING_INFO:
        sum += sum_of(record->unwinding.eh_frame);
        break;
    case JITDUMP_CODE_MOVE:
    case JITDUMP_CLOSE:
    case JITDUMP_OTHER:
        break;
    }
    all_read += sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jitdump_header header = {.header_bytes = 0};
    int r = jitdump_parse_header(data, size, &header);
    require(r == 0 || r == 1 || r == -EBADMSG || r == -ENOTSUP);
    require(r != 1 || (header.header_bytes >= JITDUMP_HEADER_BYTES && header.header_bytes <= size));
    for (size_t at = r == 1 ? header.header_bytes : 0; at < size;) {
        struct jitdump_record record;
        r = jitdump_parse_record(data + at, size - at, &record);
        require(r == 0 || r == 1 || r == -EBADMSG);
        if (r != 1) {
            break;
        }
        require(record.n_bytes >= JITDUMP_PREFIX_BYTES && record.n_bytes <= size - at);
        check_record(&record);
        at += record.n_bytes;
    }
    return 0;
}
