/* SPDX-License-Identifier: MIT */
#include "capture/linux/stack_size.h"

#include <stddef.h>

#include "base/clock.h"
#include "model/limits.h"

/* With this many milliseconds of samples in the ring the drain thread is in time; measured with
 * both CPUs of a small machine busy (docs/design/0002-opening-events.md). */
#define RING_HOLDS_MS 16u

/* What is worth new events, and what is too much at once: a few samples may have been alike. */
#define LESS_PART 6u
#define DOWN_PART 2u
#define FIRST_DOWN_PART 4u
#define SMALL_BYTES 512u

/* Of a sample without its copy: most chains are no longer. */
#define SAMPLE_REST_BYTES 256u

/* Below this a copy is so small that no ring is lost because of it. */
#define LEAST_MOST_BYTES 1024u

/*
 * 0: samples without a copy; then four steps per doubling, from 64 bytes (the
 * caller of a leaf function in code that keeps frame pointers otherwise).
 */
#define FIRST_STEP_BYTES 64u
#define STEPS_PER_DOUBLING 4u
#define N_STEPS 42u

static uint32_t step_at(uint32_t i)
{
    if (i == 0) {
        return 0;
    }
    uint32_t base = FIRST_STEP_BYTES << (i - 1) / STEPS_PER_DOUBLING;
    uint32_t bytes = base + base / STEPS_PER_DOUBLING * ((i - 1) % STEPS_PER_DOUBLING);
    return bytes < LIMIT_STACK_COPY_BYTES ? bytes : LIMIT_STACK_COPY_BYTES;
}

/* The largest step that is no larger. */
static uint32_t step_below(uint64_t bytes)
{
    uint32_t i = N_STEPS - 1;
    while (i > 0 && step_at(i) > bytes) {
        i--;
    }
    return step_at(i);
}

/* The smallest step that is no smaller, within the most. */
static uint32_t step_for(const struct stack_size *size, uint32_t wish_bytes)
{
    uint32_t i = 0;
    while (i < N_STEPS - 1 && step_at(i) < wish_bytes) {
        i++;
    }
    return step_at(i) < size->most_bytes ? step_at(i) : size->most_bytes;
}

uint32_t stack_size_most(uint64_t ring_bytes, uint32_t frequency_hz)
{
    uint64_t per_sample_bytes =
        ring_bytes * 1000 / RING_HOLDS_MS / (frequency_hz ? frequency_hz : 1);
    uint32_t most_bytes = step_below(per_sample_bytes);
    return most_bytes > LEAST_MOST_BYTES ? most_bytes : LEAST_MOST_BYTES;
}

uint64_t stack_size_least_period(uint64_t ring_bytes, uint32_t stack_bytes)
{
    return RING_HOLDS_MS * NS_PER_MS * (stack_bytes + SAMPLE_REST_BYTES) /
           (ring_bytes ? ring_bytes : 1);
}

uint32_t stack_size_fixed(uint32_t wanted_bytes)
{
    if (wanted_bytes >= LIMIT_STACK_COPY_BYTES) {
        return LIMIT_STACK_COPY_BYTES;
    }
    return (wanted_bytes + 7) & ~7u;
}

void stack_size_init(struct stack_size *size, uint32_t most_bytes, uint64_t now_ns)
{
    *size = (struct stack_size){
        .now_bytes = STACK_SIZE_FIRST_BYTES < most_bytes ? STACK_SIZE_FIRST_BYTES : most_bytes,
        .most_bytes = most_bytes,
        .allowed_bytes = most_bytes,
        .changed_at_ns = now_ns,
        .down_after_ns = STACK_SIZE_DOWN_NS,
    };
}

static bool change(struct stack_size *size, uint32_t to_bytes, uint64_t now_ns)
{
    bool goes_up = to_bytes > size->now_bytes;
    if (goes_up && size->was_tried_lower) {
        /* Too little was tried: the longer it has to look good the next time. */
        size->down_after_ns = size->down_after_ns < STACK_SIZE_DOWN_MAX_NS / 2
                                  ? 2 * size->down_after_ns
                                  : STACK_SIZE_DOWN_MAX_NS;
    }
    size->has_shrunk = !goes_up;
    size->was_tried_lower = !goes_up && size->has_changed;
    size->has_changed = true;
    size->now_bytes = to_bytes;
    size->changed_at_ns = now_ns;
    size->lower_since_ns = 0;
    return true;
}

/* A little less is not worth new events. */
static bool is_about_the_same(uint32_t wanted_bytes, uint32_t now_bytes)
{
    return wanted_bytes <= now_bytes && wanted_bytes >= now_bytes - now_bytes / LESS_PART;
}

/* The kernel has lost records: less for a while. */
static bool shrink(struct stack_size *size, uint64_t now_ns)
{
    size->lost_at_ns = now_ns;
    if (size->now_bytes <= LEAST_MOST_BYTES) {
        return false;
    }
    size->most_bytes = step_below(size->now_bytes / 2);
    return change(size, size->most_bytes, now_ns);
}

bool stack_size_follow(struct stack_size *size, uint32_t wish_bytes, uint64_t n_lost,
                       uint64_t now_ns)
{
    bool has_lost = n_lost > size->n_lost;
    size->n_lost = n_lost;
    if (has_lost && shrink(size, now_ns)) {
        return true;
    }
    if (!has_lost && now_ns - size->lost_at_ns >= STACK_SIZE_FORGIVES_NS) {
        size->most_bytes = size->allowed_bytes;
    }
    if (wish_bytes == STACK_SIZE_NO_WISH) {
        return false;
    }
    uint32_t wanted_bytes = step_for(size, wish_bytes);
    uint32_t lowest_bytes = size->now_bytes / (size->has_changed ? DOWN_PART : FIRST_DOWN_PART);
    if (size->now_bytes > SMALL_BYTES && wanted_bytes < lowest_bytes) {
        wanted_bytes = step_for(size, lowest_bytes);
    }
    if (is_about_the_same(wanted_bytes, size->now_bytes)) {
        size->lower_since_ns = 0;
        return false;
    }
    bool is_due = !size->has_changed;
    if (wanted_bytes > size->now_bytes) {
        size->lower_since_ns = 0;
        /* Each sample until then has too little. How often that is tried is bounded by the ways
         * down. */
        is_due = is_due || size->has_shrunk || now_ns - size->changed_at_ns >= STACK_SIZE_UP_NS;
    } else {
        size->lower_since_ns = size->lower_since_ns ? size->lower_since_ns : now_ns;
        is_due = is_due || now_ns - size->lower_since_ns >= size->down_after_ns;
    }
    return is_due && change(size, wanted_bytes, now_ns);
}
