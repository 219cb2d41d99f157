/* SPDX-License-Identifier: MIT */
#include "interchange/import_weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interchange/import_reader.h"

/* The golden section of 2^64: steps of this part of the whole meet each stretch equally often. */
#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

void import_weights_init(struct import_weights *weights)
{
    *weights = (struct import_weights){0};
}

void import_weights_release(struct import_weights *weights)
{
    free(weights->weights);
    free(weights->first_samples);
    import_weights_init(weights);
}

int import_weights_add(struct import_weights *weights, const struct import_weight *weight)
{
    if (weight->n_samples == 0 && weight->ns == 0) {
        return 0;
    }
    if (weights->n_weights == IMPORT_MAX_WEIGHTS) {
        return -ENOSPC;
    }
    if (weights->n_weights == weights->capacity) {
        size_t capacity = weights->capacity ? 2 * weights->capacity : 1024;
        void *grown = reallocarray(weights->weights, capacity, sizeof(*weights->weights));
        if (!grown) {
            return -ENOMEM;
        }
        weights->weights = grown;
        weights->capacity = capacity;
    }
    weights->weights[weights->n_weights++] = *weight;
    return 0;
}

/* So few samples that none is longer than an event can say. */
static uint64_t fewest_samples(uint64_t ns)
{
    return ns / UINT32_MAX + 1;
}

/* Its part of the samples that are played, as it has of the time. */
static void share_samples(struct import_weight *weight, unsigned __int128 total_ns)
{
    uint64_t n = total_ns > 0
                     ? (uint64_t)(weight->ns * (unsigned __int128)IMPORT_MAX_PLAYED / 2 / total_ns)
                     : 0;
    n = n < weight->ns ? n : weight->ns;
    n = n > fewest_samples(weight->ns) ? n : fewest_samples(weight->ns);
    weight->n_samples = n < weight->n_samples ? n : weight->n_samples;
}

/* No file is about months of time: then all give way, and keep their proportions. */
static unsigned __int128 shorten_times(struct import_weights *weights)
{
    const unsigned __int128 max_ns = (unsigned __int128)(IMPORT_MAX_PLAYED / 2) * UINT32_MAX;
    unsigned __int128 told_ns = 0, total_ns = 0;
    for (size_t i = 0; i < weights->n_weights; i++) {
        told_ns += weights->weights[i].ns;
    }
    weights->ns_divisor = 1;
    if (told_ns <= max_ns) {
        return told_ns;
    }
    weights->ns_divisor = (double)told_ns / (double)max_ns;
    for (size_t i = 0; i < weights->n_weights; i++) {
        struct import_weight *weight = &weights->weights[i];
        weight->ns = (uint64_t)((double)weight->ns / weights->ns_divisor);
        total_ns += weight->ns;
    }
    return total_ns;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int import_weights_begin(struct import_weights *weights, int64_t pid, uint64_t start_ns,
                         uint64_t duration_ns, bool *ret_is_scaled)
{
    uint64_t told = 0;
    unsigned __int128 total_ns = shorten_times(weights);
    for (size_t i = 0; i < weights->n_weights; i++) {
        struct import_weight *weight = &weights->weights[i];
        if (weight->n_samples < fewest_samples(weight->ns)) {
            weight->n_samples = fewest_samples(weight->ns);
        }
        told = __builtin_add_overflow(told, weight->n_samples, &told) ? UINT64_MAX : told;
    }
    *ret_is_scaled = told > IMPORT_MAX_PLAYED;
    weights->first_samples = calloc(weights->n_weights + 1, sizeof(*weights->first_samples));
    if (!weights->first_samples) {
        return -ENOMEM;
    }
    weights->n_samples = 0;
    for (size_t i = 0; i < weights->n_weights; i++) {
        struct import_weight *weight = &weights->weights[i];
        if (*ret_is_scaled) {
            share_samples(weight, total_ns);
        }
        weights->first_samples[i] = weights->n_samples;
        weights->n_samples += weight->n_samples;
    }
    weights->first_samples[weights->n_weights] = weights->n_samples;
    uint64_t n_samples = weights->n_samples ? weights->n_samples : 1;
    weights->stride = (uint64_t)((unsigned __int128)GOLDEN * n_samples >> 64) | 1;
    while (gcd(weights->stride, n_samples) != 1) {
        weights->stride += 2;
    }
    weights->pid = pid;
    weights->start_ns = start_ns;
    weights->duration_ns = duration_ns ? duration_ns : (uint64_t)total_ns;
    weights->duration_ns =
        weights->duration_ns < INT64_MAX - start_ns ? weights->duration_ns : INT64_MAX - start_ns;
    return 0;
}

void import_weights_note(const struct import_weights *weights, bool is_scaled,
                         struct import_notes *notes)
{
    if (weights->ns_divisor > 1) {
        import_note(
            notes,
            "the times of the file are longer than can be shown: they are divided by %.6g, their "
            "proportions are right",
            weights->ns_divisor);
    }
    if (is_scaled) {
        import_note(notes, "so many samples are not shown one by one: %s, their number is not",
                    weights->ns_divisor > 1 ? "proportions of times are right"
                                            : "their times are right");
    }
}

/* The weight that has this sample. */
static size_t weight_of(const struct import_weights *weights, uint64_t sample)
{
    size_t low = 0, high = weights->n_weights;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (weights->first_samples[middle] <= sample) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What does not divide goes to the first ones. */
static uint64_t part_ns(const struct import_weight *weight, uint64_t nth)
{
    return weight->ns / weight->n_samples + (nth < weight->ns % weight->n_samples);
}

bool import_weights_play(struct import_weights *weights, struct event_batch *batch)
{
    while (weights->n_played < weights->n_samples && event_batch_has_room(batch)) {
        uint64_t n = weights->n_played++;
        uint64_t sample = (uint64_t)((unsigned __int128)n * weights->stride % weights->n_samples);
        size_t index = weight_of(weights, sample);
        const struct import_weight *weight = &weights->weights[index];
        uint64_t *ips = event_batch_add_ips(batch, weight->n_ips);
        if (ips && weight->n_ips > 0) {
            memcpy(ips, weight->ips, weight->n_ips * sizeof(*ips));
        }
        const struct event event = {
            .kind = EVENT_SAMPLE,
            .time_ns = weights->start_ns + (uint64_t)((unsigned __int128)weights->duration_ns *
                                                      (n + 1) / weights->n_samples),
            .pid = weight->pid ? weight->pid : weights->pid,
            .tid = weight->tid,
            .stack = {.ips = ips,
                      .n_ips = ips ? weight->n_ips : 0,
                      .n_kernel_ips = ips ? weight->n_kernel_ips : 0,
                      .source = EVENT_STACK_WALKED,
                      .end = EVENT_STACK_END_COMPLETE},
            .sample = {.period_ns =
                           (uint32_t)part_ns(weight, sample - weights->first_samples[index])},
        };
        event_batch_add(batch, &event);
    }
    return weights->n_played < weights->n_samples;
}
