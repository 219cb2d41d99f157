/* SPDX-License-Identifier: MIT */
#include "capture/linux/bpf_call.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define VERIFIER_LOG_BYTES (1u << 20)
#define SHOWN_LOG_BYTES 800u

int bpf_call(enum bpf_cmd command, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, command, attr, sizeof(*attr));
    return r < 0 ? -errno : (int)r;
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

int bpf_load_program(enum bpf_prog_type type, const struct bpf_insn *insns, size_t n_insns)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = type;
    /* Some of what is called is offered to GPL-compatible programs only; ours are MIT or GPL. */
    attr.license = (uint64_t)(uintptr_t) "Dual MIT/GPL";
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = (uint32_t)n_insns;
    int r = bpf_call(BPF_PROG_LOAD, &attr);
    if (r < 0) {
        explain(&attr, r);
    }
    return r;
}
