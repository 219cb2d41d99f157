/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * birth_period - the sampling periods that newborn threads inherit
 *
 * An inherited event starts with a whole period in every newborn thread: all
 * threads that live 2 ms are sampled at the same point of their life (1.1 ms
 * at 900 Hz) and nowhere else. Where threads come and go quickly, the period
 * of each event is therefore drawn anew all the time: most get one so long
 * that it never fires in a short life, a few get a short one, drawn such that
 * samples are spread evenly over the thread's life from the shortest on. On
 * average that is no more samples than before.
 *
 * The spread: a thread with period p is sampled at p, 2p, 3p …, so the density
 * at age t is the sum of f(t/k)/k over k, and f(t) = sum of mu(k)/k for
 * k <= t/a (Moebius inversion) makes it constant from a on. f is 1 up to 2a,
 * 1/2 up to 3a, 1/6 up to 5a and next to nothing after that.
 *
 * Periods hold for slots of BIRTH_PERIOD_SLOT_NS, whatever wakes the reader
 * meanwhile: a short period fills the ring and so wakes it early, and if that
 * ended the slot, young ages would be sampled too seldom.
 *
 * Owner:   the caller's memory. Threads: one.
 * Source:  docs/design/0002-opening-events.md, with the figures.
 * Tests:   birth_period_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#define BIRTH_PERIOD_SLOT_NS (UINT64_C(5) * 1000 * 1000)

struct birth_period {
    uint64_t nominal_ns;
    uint64_t slot_end_ns, slot_began_ns;
    uint64_t n_births; /* in this slot so far */
    uint32_t random;
    double births_per_s; /* running mean */
    bool has_churn;
};

void birth_period_init(struct birth_period *state, uint64_t nominal_ns, uint64_t now_ns,
                       uint32_t seed);

/*
 * Once per drain round, with the births since the last one. True when a slot
 * has ended and every event that newborn threads inherit is to get a period
 * by birth_period_draw().
 */
bool birth_period_is_due(struct birth_period *state, uint64_t n_births, uint64_t now_ns);

/* The next period of one event; least_ns: the shortest that its samples' size allows. */
uint64_t birth_period_draw(struct birth_period *state, uint64_t least_ns);

/* Nanoseconds until the next slot, while threads come and go quickly; else UINT64_MAX. */
uint64_t birth_period_left(const struct birth_period *state, uint64_t now_ns);
