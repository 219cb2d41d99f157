/* SPDX-License-Identifier: MIT */
#include "capture/linux/birth_period.h"

#include "base/clock.h"

/* From so many births per second on threads count as short-lived. */
#define CHURN_BIRTHS_PER_S 25.0
/* The running mean looks back about a second. */
#define MEAN_OVER_NS NS_PER_S
#define SHORTEST_DIVISOR 44u
#define SHORTEST_MIN_NS 20000u
/* Masses of the steps of f, in units of the shortest period. */
#define MASS_1 1.0
#define MASS_2 (1.0 / 2)
#define MASS_3 (1.0 / 3)
#define MASS (MASS_1 + MASS_2 + MASS_3)
/* Threads that turn out to live long are still sampled. */
#define IDLE_FACTOR 8u

void birth_period_init(struct birth_period *state, uint64_t nominal_ns, uint64_t now_ns,
                       uint32_t seed)
{
    *state = (struct birth_period){
        .nominal_ns = nominal_ns,
        .slot_began_ns = now_ns,
        .slot_end_ns = now_ns + BIRTH_PERIOD_SLOT_NS,
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

bool birth_period_is_due(struct birth_period *state, uint64_t n_births, uint64_t now_ns)
{
    state->n_births += n_births;
    if (now_ns < state->slot_end_ns) {
        return false;
    }
    uint64_t slot_ns = now_ns - state->slot_began_ns;
    double births_per_s = (double)state->n_births * NS_PER_S / (double)slot_ns;
    double weight = slot_ns < MEAN_OVER_NS ? (double)slot_ns / MEAN_OVER_NS : 1.0;
    state->births_per_s += (births_per_s - state->births_per_s) * weight;
    state->n_births = 0;
    state->slot_began_ns = now_ns;
    state->slot_end_ns = now_ns + BIRTH_PERIOD_SLOT_NS;
    bool had_churn = state->has_churn;
    state->has_churn = state->births_per_s >= CHURN_BIRTHS_PER_S;
    return state->has_churn || had_churn;
}

static double probe_factor(double at)
{
    if (at < MASS_1) {
        return 1.0 + at;
    }
    if (at < MASS_1 + MASS_2) {
        return 2.0 + (at - MASS_1) * 2.0;
    }
    return 3.0 + (at - MASS_1 - MASS_2) * 6.0;
}

uint64_t birth_period_draw(struct birth_period *state, uint64_t least_ns)
{
    if (!state->has_churn) {
        return state->nominal_ns;
    }
    double nominal_ns = (double)state->nominal_ns;
    double shortest_ns = nominal_ns / SHORTEST_DIVISOR;
    shortest_ns = shortest_ns < SHORTEST_MIN_NS ? SHORTEST_MIN_NS : shortest_ns;
    shortest_ns = shortest_ns < (double)least_ns ? (double)least_ns : shortest_ns;
    /* A sample every MASS shortest periods in those that get one: so many do that the whole is
     * nominal. */
    if (draw(state) * nominal_ns >= MASS * shortest_ns) {
        return state->nominal_ns * IDLE_FACTOR;
    }
    return (uint64_t)(shortest_ns * probe_factor(draw(state) * MASS));
}

uint64_t birth_period_left(const struct birth_period *state, uint64_t now_ns)
{
    if (!state->has_churn) {
        return UINT64_MAX;
    }
    return now_ns < state->slot_end_ns ? state->slot_end_ns - now_ns : 0;
}
