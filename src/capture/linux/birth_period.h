/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * birth_period - the sampling period that newborn threads inherit
 *
 * An inherited event starts with a whole period in every newborn thread: all
 * threads that live 2 ms are sampled at the same point of their life (1.1 ms
 * at 900 Hz) and nowhere else. Where threads come and go quickly, the period
 * is therefore drawn anew all the time: most threads get one so long that it
 * never fires, one in BIRTH_PERIOD_PROBES gets a short one, drawn such that
 * samples are spread evenly over the thread's life from period/22 on. On
 * average that is no more samples than before.
 *
 * The spread: a thread with period p is sampled at p, 2p, 3p …, so the density
 * at age t is the sum of f(t/k)/k over k, and f(t) = sum of mu(k)/k for
 * k <= t/a (Moebius inversion) makes it constant from a on. f is 1 up to 2a,
 * 1/2 up to 3a, 1/6 up to 5a and next to nothing after that.
 *
 * Owner:   the caller's memory. Threads: one.
 * Source:  docs/design/0002-opening-events.md, with the figures.
 * Tests:   birth_period_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#define BIRTH_PERIOD_PROBES 12u

struct birth_period {
    uint64_t nominal_ns;
    uint64_t current_ns;
    uint32_t random;
    double births_per_round; /* running mean */
};

void birth_period_init(struct birth_period *state, uint64_t nominal_ns, uint32_t seed);

/* Once per drain round. Returns the period to set now, or 0 where it stays as it is. */
uint64_t birth_period_next(struct birth_period *state, uint64_t n_births);
