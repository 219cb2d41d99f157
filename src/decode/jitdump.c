/* SPDX-License-Identifier: MIT */
#include "decode/jitdump.h"

#include <errno.h>
#include <string.h>

#define MAGIC 0x4a695444u /* "JiTD" in the byte order of its writer */
#define MAGIC_OTHER_ORDER 0x4454694au
#define VERSION_MAX 2u
#define MAX_HEADER_BYTES 4096u
#define SAME_FILE "\xff"

int jitdump_parse_header(const void *data, size_t n_bytes, struct jitdump_header *ret_header)
{
    struct bytes bytes = bytes_of(data, n_bytes);
    if (n_bytes >= 4) {
        struct bytes first = bytes;
        uint32_t magic = bytes_take_u32(&first);
        if (magic != MAGIC) {
            return magic == MAGIC_OTHER_ORDER ? -ENOTSUP : -EBADMSG;
        }
    }
    if (n_bytes < JITDUMP_HEADER_BYTES) {
        return 0;
    }
    bytes_skip(&bytes, 4);
    struct jitdump_header header = {0};
    header.version = bytes_take_u32(&bytes);
    header.header_bytes = bytes_take_u32(&bytes);
    header.elf_machine = bytes_take_u32(&bytes);
    bytes_skip(&bytes, 4);
    header.pid = bytes_take_u32(&bytes);
    header.time_ns = bytes_take_u64(&bytes);
    header.flags = bytes_take_u64(&bytes);
    if (header.version == 0 || header.version > VERSION_MAX) {
        return -ENOTSUP;
    }
    if (header.header_bytes < JITDUMP_HEADER_BYTES || header.header_bytes > MAX_HEADER_BYTES) {
        return -EBADMSG;
    }
    *ret_header = header;
    return n_bytes < header.header_bytes ? 0 : 1;
}

static int parse_load(struct bytes *bytes, struct jitdump_record *record)
{
    record->load.pid = bytes_take_u32(bytes);
    record->load.tid = bytes_take_u32(bytes);
    uint64_t vma = bytes_take_u64(bytes);
    uint64_t code_addr = bytes_take_u64(bytes);
    uint64_t n_code_bytes = bytes_take_u64(bytes);
    record->load.index = bytes_take_u64(bytes);
    record->load.name = bytes_take_string(bytes);
    /* Both addresses are the same in every producer known; the first is the older field. */
    record->load.code_addr = code_addr ? code_addr : vma;
    record->load.n_code_bytes = n_code_bytes;
    if (bytes_has_failed(bytes) || record->load.code_addr + n_code_bytes < n_code_bytes) {
        return -EBADMSG;
    }
    bool has_code = bytes_left(bytes) >= n_code_bytes;
    record->load.code = bytes_of(bytes->at, has_code ? (size_t)n_code_bytes : 0);
    return 1;
}

static int parse_move(struct bytes *bytes, struct jitdump_record *record)
{
    record->move.pid = bytes_take_u32(bytes);
    record->move.tid = bytes_take_u32(bytes);
    bytes_skip(bytes, 8); /* vma, the same as the new address */
    record->move.old_code_addr = bytes_take_u64(bytes);
    record->move.new_code_addr = bytes_take_u64(bytes);
    record->move.n_code_bytes = bytes_take_u64(bytes);
    record->move.index = bytes_take_u64(bytes);
    uint64_t end_addr = record->move.new_code_addr + record->move.n_code_bytes;
    return bytes_has_failed(bytes) || end_addr < record->move.new_code_addr ? -EBADMSG : 1;
}

static int parse_debug_info(struct bytes *bytes, struct jitdump_record *record)
{
    record->debug_info.code_addr = bytes_take_u64(bytes);
    record->debug_info.n_entries = bytes_take_u64(bytes);
    record->debug_info.entries = *bytes;
    return bytes_has_failed(bytes) ? -EBADMSG : 1;
}

static int parse_unwinding(struct bytes *bytes, struct jitdump_record *record)
{
    uint64_t n_data_bytes = bytes_take_u64(bytes);
    uint64_t n_search_bytes = bytes_take_u64(bytes);
    record->unwinding.mapped_bytes = bytes_take_u64(bytes);
    if (bytes_has_failed(bytes) || n_search_bytes > n_data_bytes ||
        n_data_bytes > bytes_left(bytes)) {
        return -EBADMSG;
    }
    record->unwinding.eh_frame = bytes_of(bytes->at, (size_t)(n_data_bytes - n_search_bytes));
    return 1;
}

int jitdump_parse_record(const void *data, size_t n_bytes, struct jitdump_record *ret_record)
{
    *ret_record = (struct jitdump_record){0};
    if (n_bytes < JITDUMP_PREFIX_BYTES) {
        return 0;
    }
    struct bytes bytes = bytes_of(data, n_bytes);
    uint32_t kind = bytes_take_u32(&bytes);
    uint32_t n_record_bytes = bytes_take_u32(&bytes);
    ret_record->time_ns = bytes_take_u64(&bytes);
    if (n_record_bytes < JITDUMP_PREFIX_BYTES || n_record_bytes > JITDUMP_MAX_RECORD_BYTES) {
        return -EBADMSG;
    }
    ret_record->n_bytes = n_record_bytes;
    ret_record->kind = kind < JITDUMP_OTHER ? (enum jitdump_kind)kind : JITDUMP_OTHER;
    if (n_bytes < n_record_bytes) {
        return 0;
    }
    bytes = bytes_of(bytes.at, n_record_bytes - JITDUMP_PREFIX_BYTES);
    int r = 1;
    switch (ret_record->kind) {
    case JITDUMP_CODE_LOAD:
        r = parse_load(&bytes, ret_record);
        break;
    case JITDUMP_CODE_MOVE:
        r = parse_move(&bytes, ret_record);
        break;
    case JITDUMP_DEBUG_INFO:
        r = parse_debug_info(&bytes, ret_record);
        break;
    case JITDUMP_UNWINDING_INFO:
        r = parse_unwinding(&bytes, ret_record);
        break;
    case JITDUMP_CLOSE:
    case JITDUMP_OTHER:
        break;
    }
    if (r < 0) {
        /* Its length is as good as any: what follows it may make sense. */
        ret_record->kind = JITDUMP_OTHER;
    }
    return 1;
}

int jitdump_next_line(struct bytes *inout_entries, struct jitdump_line *ret_line)
{
    if (bytes_left(inout_entries) == 0) {
        return 0;
    }
    ret_line->code_addr = bytes_take_u64(inout_entries);
    ret_line->line = bytes_take_u32(inout_entries);
    ret_line->discriminator = bytes_take_u32(inout_entries);
    ret_line->file = bytes_take_string(inout_entries);
    if (bytes_has_failed(inout_entries)) {
        return 0;
    }
    if (ret_line->file[0] == SAME_FILE[0] && ret_line->file[1] == '\0') {
        ret_line->file = NULL;
    }
    return 1;
}
