/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ring_triggers - waits that are worth to freeze a flight recorder's last seconds for
 *
 * Looks at each wait once: when it has ended, or when it has lasted that much
 * longer than a trigger allows (RING_PATIENCE_NS) that its end may take too long
 * to be waited for; and likewise at each stretch of waiting for a CPU.
 *
 * Shape:   ring_triggers_look() with a newer snapshot of the same run each time.
 * Owner:   ring_triggers_new()/_free().
 * Threads: one at a time; reads names, so not the main loop.
 * Limits:  RING_TRIGGERS_MAX.
 * Tests:   ring_triggers_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "model/requests.h"
#include "model/wait_reason.h"
#include "query/query.h"

#define RING_TRIGGERS_MAX 16u
#define RING_MIN_NS UINT64_C(100000000)
#define RING_MAX_NS UINT64_C(31536000000000000) /* a year: also of a wait that is looked for */
#define RING_PATIENCE_NS UINT64_C(1000000000)

/* The longest of the waits that a look has found, and how many there were. */
struct ring_hit {
    size_t n_waits;
    uint64_t first_start_ns; /* of all of them */
    uint64_t start_ns, length_ns;
    bool is_open;    /* it lasts */
    bool is_for_cpu; /* else: */
    enum wait_reason reason;
    int64_t tid;
    const char *name; /* lives as long as the aggregate */
};

struct ring_triggers;

/* -EINVAL with what is wrong with one of them; -ENOMEM. */
int ring_triggers_new(const struct ring_trigger *triggers, size_t n_triggers,
                      struct ring_triggers **ret_triggers, struct error *reterr_error);
/* So long before a look finds it can a wait have begun that one of them, read before, asks for. */
uint64_t ring_triggers_reach_ns(const struct ring_trigger *triggers, size_t n_triggers);
struct ring_triggers *ring_triggers_free(struct ring_triggers *triggers);
DEFINE_FREEP(ring_triggers);

/*
 * What has come since the last look. Waits that began before known_until_ns are
 * in hand already: *ret_n_skipped says how many these are. is_last: what lasts will
 * not be looked at again. 0 or -ENOMEM.
 */
int ring_triggers_look(struct ring_triggers *triggers, const struct query_context *context,
                       uint64_t known_until_ns, bool is_last, struct ring_hit *ret_hit,
                       uint64_t *ret_n_skipped);
