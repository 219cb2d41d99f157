/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_freeze - a part of a run becomes a run of its own
 *
 * Owner:   the frozen run holds a reference to the run that it was taken from,
 *          whose names, object names and made code serve both.
 * Threads: any, but the main loop: it copies the part.
 * Limits:  RUN_FREEZE_MAX_PARTS of one run, parts of its parts among them, and of
 *          memory as much again as the run itself may take.
 * Tests:   run_freeze_test.c
 */

#include "base/error.h"
#include "server/run.h"

#define RUN_FREEZE_MAX_PARTS 64u

struct run_part {
    uint64_t from_ns, to_ns; /* absolute; clipped to what the run still has */
    const char *reason;      /* NULL: on request */
};

/* `snapshot` is of the run. The frozen run has no number yet. 0, -EINVAL (nothing is left of that
 * time), -ENOSPC (no more may be frozen), -ENOMEM. */
int run_freeze(struct run *run, struct snapshot *snapshot, const struct run_part *part,
               struct run **ret_frozen, struct error *reterr_error);

/* The run's own notes tell of it. Once the frozen run has its number. */
void run_note_frozen(struct run *run, const struct run *frozen);
/* Stalls that froze nothing, since an earlier freeze had them; and since no more may be frozen. */
void run_note_not_frozen(struct run *run, uint64_t n_skipped, uint64_t n_refused);

/* In the notes that run_describe() tells, which have room for one more; the run is locked. */
char *run_describe_frozen(struct run *run, struct arena *arena);
