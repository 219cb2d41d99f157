/* SPDX-License-Identifier: MIT */
#include "sources/kernel_btf.h"

#include <errno.h>
#include <linux/btf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"
#define BTF_MAX_BYTES (64u << 20)

struct strings {
    const char *data;
    size_t n_bytes;
};

static bool is_named(const struct strings *strings, uint32_t offset, const char *name)
{
    size_t wanted_bytes = strlen(name) + 1;
    return offset < strings->n_bytes && strings->n_bytes - offset >= wanted_bytes &&
           memcmp(strings->data + offset, name, wanted_bytes) == 0;
}

/* Bytes that follow a type's three words, by kind. */
static size_t detail_bytes(uint32_t kind, uint32_t n_members)
{
    switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
        return 4;
    case BTF_KIND_ARRAY:
        return 12;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
        return (size_t)12 * n_members;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
        return (size_t)8 * n_members;
    default:
        return 0;
    }
}

/* The byte offset of a member, where the struct has it. */
static bool find_member(struct bytes members, uint32_t n_members, bool has_bitfields,
                        const struct strings *strings, const char *name, uint32_t *ret_offset)
{
    for (uint32_t i = 0; i < n_members && !bytes_has_failed(&members); i++) {
        uint32_t name_offset = bytes_take_u32(&members);
        bytes_skip(&members, 4);
        uint32_t offset_bits = bytes_take_u32(&members);
        if (is_named(strings, name_offset, name)) {
            *ret_offset = (has_bitfields ? BTF_MEMBER_BIT_OFFSET(offset_bits) : offset_bits) / 8;
            return true;
        }
    }
    return false;
}

int kernel_btf_parse(const void *data, size_t n_bytes, struct kernel_btf *ret_btf)
{
    struct bytes header = bytes_of(data, n_bytes);
    uint16_t magic = bytes_take_u16(&header);
    bytes_skip(&header, 2);
    uint32_t header_bytes = bytes_take_u32(&header);
    uint32_t types_offset = bytes_take_u32(&header);
    uint32_t types_bytes = bytes_take_u32(&header);
    uint32_t strings_offset = bytes_take_u32(&header);
    uint32_t strings_bytes = bytes_take_u32(&header);
    if (bytes_has_failed(&header) || magic != BTF_MAGIC || header_bytes > n_bytes) {
        return -EBADMSG;
    }
    struct bytes body = bytes_of((const uint8_t *)data + header_bytes, n_bytes - header_bytes);
    struct bytes types = body;
    bytes_skip(&types, types_offset);
    const uint8_t *types_start = bytes_take(&types, types_bytes);
    bytes_skip(&body, strings_offset);
    const uint8_t *strings_start = bytes_take(&body, strings_bytes);
    if (!types_start || !strings_start) {
        return -EBADMSG;
    }
    types = bytes_of(types_start, types_bytes);
    const struct strings strings = {(const char *)strings_start, strings_bytes};

    struct kernel_btf btf = {0};
    bool has_task = false, has_entity = false;
    uint32_t entity_offset = 0, runtime_offset = 0;
    for (uint32_t id = 1; bytes_left(&types) > 0; id++) {
        uint32_t name_offset = bytes_take_u32(&types);
        uint32_t info = bytes_take_u32(&types);
        bytes_skip(&types, 4);
        uint32_t kind = BTF_INFO_KIND(info), n_members = BTF_INFO_VLEN(info);
        bool has_bitfields = BTF_INFO_KFLAG(info);
        struct bytes members = types;
        bytes_skip(&types, detail_bytes(kind, n_members));
        if (bytes_has_failed(&types)) {
            return -EBADMSG;
        }
        if (kind == BTF_KIND_STRUCT && !has_task &&
            is_named(&strings, name_offset, "task_struct")) {
            has_task =
                find_member(members, n_members, has_bitfields, &strings, "pid",
                            &btf.task_pid_offset) &&
                find_member(members, n_members, has_bitfields, &strings, "tgid",
                            &btf.task_tgid_offset) &&
                find_member(members, n_members, has_bitfields, &strings, "se", &entity_offset);
        } else if (kind == BTF_KIND_STRUCT && !has_entity &&
                   is_named(&strings, name_offset, "sched_entity")) {
            has_entity = find_member(members, n_members, has_bitfields, &strings,
                                     "sum_exec_runtime", &runtime_offset);
        } else if (kind == BTF_KIND_TYPEDEF &&
                   is_named(&strings, name_offset, "btf_trace_sched_switch")) {
            btf.sched_switch_type = id;
        }
    }
    if (!has_task || !has_entity || btf.sched_switch_type == 0) {
        return -ENOENT;
    }
    btf.task_cpu_time_offset = entity_offset + runtime_offset;
    *ret_btf = btf;
    return 0;
}

static struct kernel_btf loaded;
static int loaded_result;

static void load_once(void)
{
    _cleanup_(freep) char *data = NULL;
    size_t n_bytes = 0;
    loaded_result = fd_read_file(BTF_PATH, BTF_MAX_BYTES, &data, &n_bytes);
    if (loaded_result == 0) {
        loaded_result = kernel_btf_parse(data, n_bytes, &loaded);
    }
}

int kernel_btf_load(struct kernel_btf *ret_btf)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    if (loaded_result == 0) {
        *ret_btf = loaded;
    }
    return loaded_result;
}
