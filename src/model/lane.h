/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * lane - words for work that a program reports itself
 *
 * Owner, Threads: values; names are constants.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   lane_test.c
 */

#include <stdint.h>

/* As stax/target.h and the shared ring say it. */
enum lane_kind {
    LANE_KIND_GENERIC,
    LANE_KIND_GPU,
    LANE_KIND_METAL,
    LANE_KIND_CUDA,
    LANE_KIND_EXECUTOR,
    LANE_KIND_IO,
    LANE_KIND_DB,
    LANE_KIND_N
};

/* A lane is shown as a thread with this tid + its number. */
#define LANE_TID_FIRST INT64_C(0xFFF00000)

/* What became of a span's origin: exactly one of these. */
enum origin_state {
    ORIGIN_LINKED,
    ORIGIN_MISSING,       /* the program did not tell one */
    ORIGIN_NO_THREAD,     /* no such thread in the run */
    ORIGIN_NO_SAMPLE,     /* the thread was never sampled nor seen to sleep */
    ORIGIN_NO_USER_STACK, /* what is near has no frame of the program */
    ORIGIN_TOO_FAR,       /* the nearest stack was taken too long before or after */
    ORIGIN_SYNTHETIC_TID, /* the tid of a lane */
    ORIGIN_WRONG_PID,     /* of a process that is not recorded */
    ORIGIN_OUTSIDE_RUN,   /* before the recording, or after it */
    ORIGIN_PENDING,       /* not known yet: the stream is not that far; never in a finished run */
    ORIGIN_STATE_N
};

/* "gpu"; "generic" for what is no kind. */
const char *lane_kind_name(enum lane_kind kind);
/* "linked", "missing origin", "no such thread" … */
const char *origin_state_name(enum origin_state state);
