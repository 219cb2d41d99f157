/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * range - a range of a foreign dialect while it is open
 *
 * Owner:   texts are borrowed and live as long as the process.
 * Threads: does not apply; who holds one guards it.
 */

#include <stddef.h>
#include <stdint.h>

#include <stax/target.h>

#define RANGE_COUNTERS_MAX 4

struct range_counter {
    const char *name;
    double value;
};

/* What is known of a range besides its name; all of it may be 0. */
struct range_facts {
    uint64_t id[3]; /* the program's own name of this one range */
    uint32_t n_counters;
    struct range_counter counters[RANGE_COUNTERS_MAX];
};

struct range {
    stax_span span; /* start_ns 0: begun while nobody recorded */
    struct range_facts facts;
};

/* Reports a range with the end given, and counters where it has some. */
void range_report(const struct range *range, uint64_t end_ns);

/* Takes another number; what is one too many is left out. */
void range_add_counter(struct range_facts *facts, const char *name, double value);
