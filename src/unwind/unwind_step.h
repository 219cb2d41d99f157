/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * unwind_step - from one frame to its caller
 *
 * Owner:   nothing to free. Threads: any; each walk has its own reader.
 * Source:  System V ABI for AMD64, sections 3.2 and 3.4; Procedure Call
 *          Standard for the Arm 64-bit Architecture, section 6.4.6; the layouts
 *          of signal frames in arch/x86/include/uapi/asm/sigcontext.h and
 *          arch/arm64/include/uapi/asm/sigcontext.h of Linux.
 * Tests:   unwind_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/event.h"
#include "unwind/cfi_table.h"

struct unwind_registers {
    uint64_t ip, sp, fp;
    uint64_t lr;    /* aarch64 only */
    bool has_lr;    /* lr is that of this frame: only the innermost one has its own */
    bool is_exact;  /* ip is where the code was, else it is a return address */
    bool has_frame; /* fp was saved by a frame, so it is no number of the code's own */
};

/* The stack as it was when the sample was taken, and what to ask for the rest of it. */
struct unwind_reader {
    uint64_t start; /* address of bytes[0] */
    const uint8_t *bytes;
    size_t n_bytes;
    /* The walk's own: */
    uint64_t end_needed; /* the highest address that was asked for, + 8 */
    bool went_outside;   /* something was asked for that the copy does not hold */
    void *userdata;
    bool (*read_outside)(void *userdata, uint64_t address, uint64_t *ret_word); /* may be NULL */
};

bool unwind_read(struct unwind_reader *reader, uint64_t address, uint64_t *ret_word);

/*
 * Replaces the registers by those of the caller. EVENT_STACK_END_UNKNOWN: the
 * walk goes on; anything else: why it ends here, with the registers as they were.
 * Rows of CFI_NONE are left by the frame pointer.
 */
enum event_stack_end unwind_step(enum cfi_machine machine, const struct cfi_row *row,
                                 struct unwind_registers *registers, struct unwind_reader *reader);

/* By the saved frame pointer, for code that tells nothing. */
enum event_stack_end unwind_step_by_frame_pointer(struct unwind_registers *registers,
                                                  struct unwind_reader *reader);
