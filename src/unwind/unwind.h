/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * unwind - the callers of one stopped moment
 *
 * Walks from the registers of a sample outwards: by unwind tables where code
 * has them, by saved frame pointers where it has none. Where code is known to
 * keep frame pointers, the chain that the kernel followed at the time of the
 * sample stands in for stack memory that was not copied.
 *
 * Shape:   places innermost first. An ip that is exact (the innermost one, and
 *          code that a signal interrupted) is told from a return address by
 *          is_exact.
 * Owner:   the caller's memory. Threads: any; one walk on one.
 * Limits:  max_places; a walk ends after as many steps at the latest.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   unwind_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/unwind_step.h"

struct unwind_place {
    uint64_t ip, sp; /* sp is 0 where only the frame-pointer chain is known */
    bool is_exact;
};

/* What is known of the code at one address. */
struct unwind_code {
    enum { UNWIND_CODE_UNMAPPED, UNWIND_CODE_PENDING, UNWIND_CODE_KNOWN } state;
    enum cfi_machine machine;
    struct cfi_row row; /* CFI_NONE: code without a table */
    bool is_guess;      /* it may have a table; that is not waited for any longer */
};

/* What the kernel's chain says of the caller of the last place. */
struct unwind_chain_hint {
    bool keeps_frame_pointer; /* the code at the last place does: the chain's next is its caller */
    uint64_t next_ip;         /* 0: the chain ends */
};

struct unwind_walk {
    /* Set by the caller: */
    struct unwind_registers registers;
    bool is_innermost;     /* registers are those of the thread; else of a caller */
    bool is_after_syscall; /* the ip can stand behind the instruction that entered the kernel */
    struct unwind_reader reader;
    /* The user addresses of the kernel's frame-pointer chain; chain[0] is registers.ip. */
    const uint64_t *chain;
    size_t n_chain;
    void *userdata;
    struct unwind_code (*find_code)(void *userdata, uint64_t ip);
    /*
     * Asked while the kernel's chain is followed: is the last place one of
     * those that start the thread, whose callers are known? Appends them to
     * places (at most max_places in all) and returns the new count, or 0. May
     * be NULL.
     */
    size_t (*recall)(void *userdata, struct unwind_place *places, size_t n_places,
                     size_t max_places, const struct unwind_chain_hint *hint);
    /* Is a stack known that goes on from the last place? Asked to learn how much of the copy was
     * needed at least. May be NULL. */
    bool (*is_known)(void *userdata, const struct unwind_place *places, size_t n_places);
    /* The target's memory as it is now, asked where the copy ran out; may be NULL. */
    bool (*read_outside)(void *userdata, uint64_t address, uint64_t *ret_word);
    struct unwind_place *places; /* room for max_places */
    size_t max_places;
    /* Set by the walk: */
    size_t n_places;
    enum event_stack_end end;
    uint64_t end_ip; /* where it ended: in which image the trouble is */
    bool was_recalled;
    bool was_guessed;            /* a table was not waited for any longer */
    size_t n_places_inside;      /* found by what the sample brought, without read_outside() */
    uint64_t needed_until_known; /* bytes of stack; UINT64_MAX: is_known() never said so */
};

/* 0, or -EAGAIN: the table of code on the way is being made; walk again later. */
int unwind_run(struct unwind_walk *walk);
