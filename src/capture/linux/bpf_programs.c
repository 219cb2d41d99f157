/* SPDX-License-Identifier: MIT */
#include "capture/linux/bpf_programs.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode/sched_payload.h"
#include "sources/bpf_call.h"

/* Inode of the first pid namespace: PROC_PID_INIT_INO of the kernel. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCu

/* Instructions, named after what they do; `w` words are 32 bits, `d` words 64. */
#define INSN(op, dst, src, offset, immediate)                                                      \
    ((struct bpf_insn){.code = (op),                                                               \
                       .dst_reg = (dst),                                                           \
                       .src_reg = (src),                                                           \
                       .off = (int16_t)(offset),                                                   \
                       .imm = (int32_t)(immediate)})
#define MOVE(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define ADD(dst, value) INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value)
#define OR(dst, value) INSN(BPF_ALU64 | BPF_OR | BPF_K, dst, 0, 0, value)
#define SHIFT_RIGHT(dst, value) INSN(BPF_ALU64 | BPF_RSH | BPF_K, dst, 0, 0, value)
#define LOAD_W(dst, src, offset) INSN(BPF_LDX | BPF_MEM | BPF_W, dst, src, offset, 0)
#define LOAD_D(dst, src, offset) INSN(BPF_LDX | BPF_MEM | BPF_DW, dst, src, offset, 0)
#define STORE_W(dst, src, offset) INSN(BPF_STX | BPF_MEM | BPF_W, dst, src, offset, 0)
#define STORE_D(dst, src, offset) INSN(BPF_STX | BPF_MEM | BPF_DW, dst, src, offset, 0)
#define JUMP_IF_NOT(dst, value, skip) INSN(BPF_JMP | BPF_JNE | BPF_K, dst, 0, skip, value)
#define CALL(function) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* A 64-bit constant takes two slots. */
#define SET_WIDE(dst, kind, value)                                                                 \
    INSN(BPF_LD | BPF_DW | BPF_IMM, dst, kind, 0, value), INSN(0, 0, 0, 0, 0)

int bpf_programs_check_namespace(void)
{
    struct stat status;
    if (stat("/proc/self/ns/pid", &status) < 0) {
        return -errno;
    }
    return status.st_ino == FIRST_PID_NAMESPACE ? 0 : -ENOTSUP;
}

int bpf_programs_load_sample_filter(int64_t pid)
{
    const struct bpf_insn program[] = {
        CALL(BPF_FUNC_get_current_pid_tgid),
        SHIFT_RIGHT(BPF_REG_0, 32),
        MOVE(BPF_REG_1, BPF_REG_0),
        SET(BPF_REG_0, 0),
        JUMP_IF_NOT(BPF_REG_1, pid, 1),
        SET(BPF_REG_0, 1),
        EXIT(),
    };
    return bpf_load_program(&(struct bpf_program){
        .type = BPF_PROG_TYPE_PERF_EVENT,
        .insns = program,
        .n_insns = sizeof(program) / sizeof(*program),
    });
}

int bpf_programs_new_outputs(size_t n_cpus)
{
    return bpf_make_map("stax_outputs", BPF_MAP_TYPE_PERF_EVENT_ARRAY, sizeof(uint32_t),
                        (uint32_t)n_cpus, 0);
}

int bpf_programs_set_output(int map_fd, uint32_t cpu, int event_fd)
{
    uint32_t value = (uint32_t)event_fd;
    return bpf_update(map_fd, cpu, &value);
}

int bpf_programs_load_sched(const struct kernel_btf *btf, int64_t pid, int outputs_fd)
{
    /* Arguments of sched_switch, 8 bytes each: preempt, prev, next, prev_state. */
    enum { ARG_PREEMPT = 0, ARG_PREV = 8, ARG_NEXT = 16, ARG_PREV_STATE = 24 };
    /* r6 context, r7 prev, r8 next, r9 flags; r3, r4 tids; r5 CPU time. The payload lies on the
     * stack. */
    const int payload = -(int)sizeof(struct sched_payload);
#define PAYLOAD(member) (payload + (int)offsetof(struct sched_payload, member))
    const struct bpf_insn program[] = {
        MOVE(BPF_REG_6, BPF_REG_1),
        LOAD_D(BPF_REG_7, BPF_REG_6, ARG_PREV),
        LOAD_D(BPF_REG_8, BPF_REG_6, ARG_NEXT),
        LOAD_W(BPF_REG_1, BPF_REG_7, btf->members[KERNEL_TASK_TGID]),
        LOAD_W(BPF_REG_2, BPF_REG_8, btf->members[KERNEL_TASK_TGID]),
        SET(BPF_REG_9, 0),
        SET(BPF_REG_3, 0),
        SET(BPF_REG_4, 0),
        SET(BPF_REG_5, 0),
        JUMP_IF_NOT(BPF_REG_1, pid, 3),
        LOAD_W(BPF_REG_3, BPF_REG_7, btf->members[KERNEL_TASK_PID]),
        LOAD_D(BPF_REG_5, BPF_REG_7, btf->members[KERNEL_TASK_CPU_TIME]),
        OR(BPF_REG_9, SCHED_FLAG_PREV),
        JUMP_IF_NOT(BPF_REG_2, pid, 2),
        LOAD_W(BPF_REG_4, BPF_REG_8, btf->members[KERNEL_TASK_PID]),
        OR(BPF_REG_9, SCHED_FLAG_NEXT),
        JUMP_IF_NOT(BPF_REG_9, 0, 2),
        SET(BPF_REG_0, 0),
        EXIT(),
        STORE_W(BPF_REG_10, BPF_REG_9, PAYLOAD(flags)),
        STORE_W(BPF_REG_10, BPF_REG_3, PAYLOAD(prev_tid)),
        STORE_W(BPF_REG_10, BPF_REG_4, PAYLOAD(next_tid)),
        STORE_D(BPF_REG_10, BPF_REG_5, PAYLOAD(prev_cpu_time_ns)),
        SET(BPF_REG_1, 0),
        STORE_D(BPF_REG_10, BPF_REG_1, PAYLOAD(time_ns)),
        STORE_D(BPF_REG_10, BPF_REG_1, PAYLOAD(next_wake_ns)),
        STORE_D(BPF_REG_10, BPF_REG_1, PAYLOAD(prev_argument)),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(prev_serial)),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(waker_tid)),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(waker_serial)),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(prev_pid)),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(next_pid)),
        SET(BPF_REG_1, SCHED_NO_SYSCALL),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(prev_syscall)),
        /* One that is preempted on its way to sleep still wants to run. */
        LOAD_D(BPF_REG_2, BPF_REG_6, ARG_PREEMPT),
        SET(BPF_REG_1, 0),
        JUMP_IF_NOT(BPF_REG_2, 0, 1),
        LOAD_D(BPF_REG_1, BPF_REG_6, ARG_PREV_STATE),
        STORE_W(BPF_REG_10, BPF_REG_1, PAYLOAD(prev_state)),
        MOVE(BPF_REG_1, BPF_REG_6),
        SET_WIDE(BPF_REG_2, BPF_PSEUDO_MAP_FD, outputs_fd),
        SET_WIDE(BPF_REG_3, 0, (int32_t)BPF_F_CURRENT_CPU),
        MOVE(BPF_REG_4, BPF_REG_10),
        ADD(BPF_REG_4, payload),
        SET(BPF_REG_5, sizeof(struct sched_payload)),
        CALL(BPF_FUNC_perf_event_output),
        SET(BPF_REG_0, 0),
        EXIT(),
    };
#undef PAYLOAD
    return bpf_load_program(&(struct bpf_program){
        .type = BPF_PROG_TYPE_TRACING,
        .attach_type = BPF_TRACE_RAW_TP,
        .attach_btf_id = btf->sched_switch_type,
        .insns = program,
        .n_insns = sizeof(program) / sizeof(*program),
    });
}
