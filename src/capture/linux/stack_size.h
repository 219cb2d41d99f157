/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_size - how many bytes of stack the next samples should carry
 *
 * The unwinder says what would have sufficed of late; this follows in steps,
 * so that small changes of the wish do not re-open events: the first wish at
 * once, then up soon (after a step down at once), down only when the wish has
 * been lower for a while, each time longer when too little had to be made
 * good. Where the kernel's buffer overflows, the most that is asked for
 * becomes less, until it has gone well for half a minute.
 *
 * Owner:   the caller's memory. Threads: one.
 * Tests:   stack_size_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#define STACK_SIZE_FIRST_BYTES 16384u
#define STACK_SIZE_UP_NS (UINT64_C(100) * 1000 * 1000)
#define STACK_SIZE_DOWN_NS (UINT64_C(500) * 1000 * 1000)
#define STACK_SIZE_DOWN_MAX_NS (UINT64_C(16) * 1000 * 1000 * 1000)
#define STACK_SIZE_FORGIVES_NS (UINT64_C(30) * 1000 * 1000 * 1000)
#define STACK_SIZE_NO_WISH UINT32_MAX

struct stack_size {
    uint32_t now_bytes;
    uint32_t most_bytes, allowed_bytes; /* at present, and when nothing is lost */
    uint64_t changed_at_ns;
    uint64_t down_after_ns;
    bool has_changed, has_shrunk; /* ever; the last time */
    bool was_tried_lower;         /* it has shrunk by a wish that was not the first */
    uint64_t lower_since_ns;      /* 0: the wish is not lower than what is copied */
    uint64_t n_lost, lost_at_ns;  /* the kernel's count as of the last look, when it grew */
};

/* The most that a ring can take at this rate without growing over the drain's head. */
uint32_t stack_size_most(uint64_t ring_bytes, uint32_t frequency_hz);

/* The shortest sampling period that a ring can take for a while, with copies of so many bytes. */
uint64_t stack_size_least_period(uint64_t ring_bytes, uint32_t stack_bytes);

/* What a person asked for, as the kernel takes it. */
uint32_t stack_size_fixed(uint32_t wanted_bytes);

void stack_size_init(struct stack_size *size, uint32_t most_bytes, uint64_t now_ns);

/*
 * Once per drain round: what the unwinder wishes (STACK_SIZE_NO_WISH: nothing
 * yet) and what the kernel has lost so far. Returns true when now_bytes has
 * changed.
 */
bool stack_size_follow(struct stack_size *size, uint32_t wish_bytes, uint64_t n_lost,
                       uint64_t now_ns);
