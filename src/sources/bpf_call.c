/* SPDX-License-Identifier: MIT */
#include "sources/bpf_call.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

#define VERIFIER_LOG_BYTES (1u << 20)
#define SHOWN_LOG_BYTES 800u

int bpf_call(enum bpf_cmd command, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, command, attr, sizeof(*attr));
    return r < 0 ? -errno : (int)r;
}

int bpf_make_map(const char *name, enum bpf_map_type type, uint32_t value_bytes, uint32_t count,
                 uint32_t flags)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = type;
    attr.key_size = sizeof(uint32_t);
    attr.value_size = value_bytes;
    attr.max_entries = count;
    attr.map_flags = flags;
    (void)snprintf(attr.map_name, sizeof(attr.map_name), "%s", name);
    return bpf_call(BPF_MAP_CREATE, &attr);
}

int bpf_update(int map_fd, uint32_t key, const void *value)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)map_fd;
    attr.key = (uint64_t)(uintptr_t)&key;
    attr.value = (uint64_t)(uintptr_t)value;
    return bpf_call(BPF_MAP_UPDATE_ELEM, &attr);
}

int bpf_find(int map_fd, uint32_t key, void *ret_value)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)map_fd;
    attr.key = (uint64_t)(uintptr_t)&key;
    attr.value = (uint64_t)(uintptr_t)ret_value;
    return bpf_call(BPF_MAP_LOOKUP_ELEM, &attr);
}

int bpf_attach_tracing(int program_fd)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.raw_tracepoint.prog_fd = (uint32_t)program_fd;
    return bpf_call(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

static void explain(union bpf_attr *attr, int error)
{
    _cleanup_(freep) char *text = calloc(1, VERIFIER_LOG_BYTES);
    if (!text) {
        return;
    }
    attr->log_buf = (uint64_t)(uintptr_t)text;
    attr->log_size = VERIFIER_LOG_BYTES;
    attr->log_level = 1;
    int fd = bpf_call(BPF_PROG_LOAD, attr);
    if (fd >= 0) {
        close(fd);
    }
    size_t n_bytes = strlen(text);
    log_debug("kernel refused a BPF program: %s: …%s", strerror(-error),
              text + (n_bytes > SHOWN_LOG_BYTES ? n_bytes - SHOWN_LOG_BYTES : 0));
}

/*
 * The least type information that the kernel takes for a program with
 * functions: one integer, one prototype without parameters, and each function
 * as a static one of that type.
 */
struct smallest_btf {
    struct btf_header header;
    struct btf_type integer;
    uint32_t integer_bits;
    struct btf_type prototype;
    struct btf_type functions[BPF_FUNCTIONS_MAX];
    char names[256];
};

enum { INTEGER_ID = 1, PROTOTYPE_ID = 2, FIRST_FUNCTION_ID = 3 };

static int load_types(const struct bpf_function *functions, size_t n_functions)
{
    struct smallest_btf btf = {
        .header = {.magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(btf.header)},
        .integer = {.name_off = 1, .info = BTF_KIND_INT << 24, .size = 8},
        .integer_bits = 64,
        .prototype = {.info = BTF_KIND_FUNC_PROTO << 24, .type = INTEGER_ID},
    };
    uint32_t name = (uint32_t)snprintf(btf.names + 1, sizeof(btf.names) - 1, "u64") + 2;
    for (size_t i = 0; i < n_functions; i++) {
        size_t n_left = sizeof(btf.names) - name;
        btf.functions[i] =
            (struct btf_type){.name_off = name, .info = BTF_KIND_FUNC << 24, .type = PROTOTYPE_ID};
        int n_bytes = snprintf(btf.names + name, n_left, "%s", functions[i].name);
        if (n_bytes < 0 || (size_t)n_bytes + 1 >= n_left) {
            return -E2BIG;
        }
        name += (uint32_t)n_bytes + 1;
    }
    btf.header.str_off = offsetof(struct smallest_btf, names) - sizeof(btf.header);
    btf.header.str_len = name;
    btf.header.type_len = (uint32_t)(offsetof(struct smallest_btf, functions) +
                                     n_functions * sizeof(*btf.functions) - sizeof(btf.header));
    /* Strings follow the types at once. */
    memmove((char *)&btf + sizeof(btf.header) + btf.header.type_len, btf.names, name);
    btf.header.str_off = btf.header.type_len;
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.btf = (uint64_t)(uintptr_t)&btf;
    attr.btf_size = (uint32_t)sizeof(btf.header) + btf.header.type_len + btf.header.str_len;
    return bpf_call(BPF_BTF_LOAD, &attr);
}

int bpf_load_program(const struct bpf_program *program)
{
    struct bpf_func_info infos[BPF_FUNCTIONS_MAX];
    _cleanup_(fd_closep) int types_fd = -1;
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = program->type;
    attr.expected_attach_type = program->attach_type;
    attr.attach_btf_id = program->attach_btf_id;
    /* Some of what is called is offered to GPL-compatible programs only; ours are MIT or GPL. */
    attr.license = (uint64_t)(uintptr_t) "Dual MIT/GPL";
    attr.insns = (uint64_t)(uintptr_t)program->insns;
    attr.insn_cnt = (uint32_t)program->n_insns;
    if (program->n_functions > BPF_FUNCTIONS_MAX) {
        return -E2BIG;
    }
    if (program->n_functions > 0) {
        types_fd = load_types(program->functions, program->n_functions);
        if (types_fd < 0) {
            return types_fd;
        }
        for (uint32_t i = 0; i < program->n_functions; i++) {
            infos[i] = (struct bpf_func_info){.insn_off = program->functions[i].insn,
                                              .type_id = FIRST_FUNCTION_ID + i};
        }
        attr.prog_btf_fd = (uint32_t)types_fd;
        attr.func_info_rec_size = sizeof(*infos);
        attr.func_info = (uint64_t)(uintptr_t)infos;
        attr.func_info_cnt = (uint32_t)program->n_functions;
    }
    int r = bpf_call(BPF_PROG_LOAD, &attr);
    if (r < 0) {
        explain(&attr, r);
    }
    return r;
}
