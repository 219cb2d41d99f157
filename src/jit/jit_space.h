/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_space - the code that one process made, over the programs that it ran
 *
 * An exec (or a new process with an old pid) is a cut: what was told before
 * names nothing behind it, and the other way round. A child begins with the
 * code of its parent, until it runs another program.
 *
 * Owner:   jit_code. jit_space_release() frees what it holds.
 * Threads: one writer; finding beside it under the lock of jit_code.
 * Limits:  JIT_SPACE_MAX_VISITS ranges at one address are looked at, the newest;
 *          JIT_SPACE_MAX_CUTS cuts are told apart, the newest.
 * Tests:   jit_space_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "jit/jit_index.h"

#define JIT_SPACE_MAX_VISITS 1024u
#define JIT_SPACE_MAX_CUTS 16u

/*
 * A producer notes the time when it has made the code, and runs code that it
 * has just given up: that much earlier or later its exact times may be.
 */
#define JIT_SPACE_SLACK_NS (250 * NS_PER_MS)

struct jit_space {
    int64_t pid;
    struct jit_index index;
    struct jit_range *added; /* not published yet; the writer's */
    size_t n_added, added_capacity;
    uint64_t n_publications;
    struct jit_space *parent; /* with whose code it began at fork_ns; NULL: none */
    uint64_t fork_ns;
    uint64_t cuts_ns[JIT_SPACE_MAX_CUTS]; /* ascending */
    size_t n_cuts;
};

/* When a frame was seen: anywhere in [from_ns, to_ns], which is taken for at_ns. */
struct jit_moment {
    uint64_t from_ns, at_ns, to_ns;
};

void jit_space_init(struct jit_space *space, int64_t pid);
void jit_space_release(struct jit_space *space);
DEFINE_RELEASEP(jit_space);

/* 0 or -ENOMEM. It is found when the caller has published it. */
int jit_space_add(struct jit_space *space, const struct jit_range *range);

/* From time_ns on the process runs another program. Not later than the last cut: nothing. */
void jit_space_cut(struct jit_space *space, uint64_t time_ns);

/* The last cut; 0: none. */
uint64_t jit_space_last_cut_ns(const struct jit_space *space);

/*
 * What stood at ip at that moment, with its end where that is known: false for
 * nothing. *inout_has_more becomes true where more code than can be looked at
 * stood there over time.
 */
bool jit_space_find(const struct jit_space *space, uint64_t ip, const struct jit_moment *moment,
                    struct jit_range *ret_range, bool *inout_has_more);
