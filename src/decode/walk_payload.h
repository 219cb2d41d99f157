/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * walk_payload - what the program that walks stacks inside the kernel writes
 *
 * Shape:   the header; n_kernel_ips + n_user_ips words of ips (innermost
 *          first, kernel ones before user ones); and, where the walk has not
 *          reached the thread's start, ip, sp and fp of where it has to go on
 *          (ip is not among the ips yet) and n_stack_bytes of the user stack
 *          from sp on.
 * Owner, Threads: values. Included by the program itself: no other header of
 *          ours may be included here.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   perf_record_test.c, tests/fuzz/fuzz_perf_record.c
 */

#include <stdint.h>

/* Stands where a struct sched_payload has its flags. */
#define WALK_PAYLOAD_MAGIC 0x57a1c001u

/* Why the walk ended; the numbers of enum event_stack_end are told from these by the decoder. */
enum walk_end {
    WALK_END_COMPLETE = 1,
    WALK_END_LIMIT = 2,       /* frames per sample */
    WALK_END_NO_CODE = 3,     /* nothing mapped there */
    WALK_END_NO_TABLE = 4,    /* code whose frame pointers lead nowhere */
    WALK_END_UNSUPPORTED = 5, /* a row that cannot be followed */
    WALK_END_MEMORY = 6,      /* stack memory that is not there */
    WALK_END_PENDING = 7,     /* the table is not here yet */
};

/* The innermost user frame has been walked; ip is a return address. */
#define WALK_FLAG_IS_CALLER 1u
/* ip stands behind the instruction that entered the kernel. */
#define WALK_FLAG_AFTER_SYSCALL 2u
/* Not walked by tables: 32-bit code, whose frame pointers the kernel has followed. */
#define WALK_FLAG_FRAME_POINTERS 4u

struct walk_payload {
    uint32_t magic;
    uint8_t end;   /* enum walk_end */
    uint8_t flags; /* WALK_FLAG_* */
    uint16_t n_kernel_ips;
    uint16_t n_user_ips;
    uint16_t n_stack_bytes;
    uint32_t generation; /* of the code_map that it was walked by; 0: none */
    uint32_t period_ns;
    uint32_t tid; /* also of a thread that has lost its number, in its last steps */
};

#define WALK_PAYLOAD_REGISTERS 3u /* behind the ips, unless end is WALK_END_COMPLETE */
