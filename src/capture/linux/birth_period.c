/* SPDX-License-Identifier: MIT */
#include "capture/linux/birth_period.h"

/* Births per round (a round is about 20 ms) from which on threads count as short-lived. */
#define CHURN_BIRTHS 0.5
/* Weight of the newest round in the running mean: about a second. */
#define NEWEST_WEIGHT 0.04
#define SHORTEST_DIVISOR 22u
#define SHORTEST_MIN_NS 20000u
/* Threads that turn out to live long are still sampled. */
#define IDLE_FACTOR 8u

void birth_period_init(struct birth_period *state, uint64_t nominal_ns, uint32_t seed)
{
    *state = (struct birth_period){
        .nominal_ns = nominal_ns,
        .current_ns = nominal_ns,
        .random = seed | 1u,
    };
}

/* xorshift32 (Marsaglia 2003), as a number in [0, 1). */
static double draw(struct birth_period *state)
{
    state->random ^= state->random << 13;
    state->random ^= state->random >> 17;
    state->random ^= state->random << 5;
    return (double)state->random / 4294967296.0;
}

static uint64_t draw_probe_ns(struct birth_period *state)
{
    uint64_t shortest_ns = state->nominal_ns / SHORTEST_DIVISOR;
    if (shortest_ns < SHORTEST_MIN_NS) {
        shortest_ns = SHORTEST_MIN_NS;
    }
    /* Masses of the three steps of f: 1, 1/2, 1/3. */
    double at = draw(state) * (1.0 + 1.0 / 2 + 1.0 / 3);
    double factor;
    if (at < 1.0) {
        factor = 1.0 + at;
    } else if (at < 1.5) {
        factor = 2.0 + (at - 1.0) * 2.0;
    } else {
        factor = 3.0 + (at - 1.5) * 6.0;
    }
    return (uint64_t)((double)shortest_ns * factor);
}

uint64_t birth_period_next(struct birth_period *state, uint64_t n_births)
{
    state->births_per_round += ((double)n_births - state->births_per_round) * NEWEST_WEIGHT;
    uint64_t wanted_ns = state->nominal_ns;
    if (state->births_per_round >= CHURN_BIRTHS) {
        bool is_probe = draw(state) * BIRTH_PERIOD_PROBES < 1.0;
        wanted_ns = is_probe ? draw_probe_ns(state) : state->nominal_ns * IDLE_FACTOR;
    }
    if (wanted_ns == state->current_ns) {
        return 0;
    }
    state->current_ns = wanted_ns;
    return wanted_ns;
}
