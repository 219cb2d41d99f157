/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ids - the dense 32-bit names that a run gives to what it meets
 *
 * Owner:   the run that issued them; they mean nothing in another run.
 * Threads: values.
 */

#include <stdint.h>

typedef uint32_t run_id;    /* 1, 2, 3 … per server */
typedef uint32_t thread_id; /* survives reuse of the operating system's tid */
typedef uint32_t image_id;
typedef uint32_t frame_id; /* one place in one image */
typedef uint32_t stack_id; /* a whole call stack; 0 is the empty one */

typedef uint32_t waker_id;       /* who ended a wait: a thread_id, or one of WAKER_ID_… */
typedef uint32_t wait_object_id; /* what was waited for; 0: not told */

#define THREAD_ID_NONE UINT32_MAX
#define WAKER_ID_UNKNOWN UINT32_MAX    /* nobody told */
#define WAKER_ID_NONE (UINT32_MAX - 1) /* no thread: an interrupt, a timer */
#define WAKER_ID_OUTSIDER                                                                          \
    UINT32_C(0x80000000) /* | number of a thread that is none of the target's */
#define STACK_ID_EMPTY 0u

/* Images that every run has. */
#define IMAGE_ID_UNKNOWN                                                                           \
    0u                     /* code outside every known mapping; addresses are run-time addresses   \
                            */
#define IMAGE_ID_KERNEL 1u /* the kernel and its modules; addresses are run-time addresses */
#define IMAGE_ID_NAMED                                                                             \
    2u /* places of the kernel known by name alone; offsets are numbers of names */
#define IMAGE_ID_FIRST 3u
