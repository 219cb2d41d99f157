/* SPDX-License-Identifier: MIT */
#include "aggregate/pending_samples.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/slice_class.h"

#define CAPACITY_MIN 64u
#define CLASS_OPEN UINT8_MAX

struct pending_sample {
    struct stored_sample sample; /* slice_class: CLASS_OPEN until it is known */
    pending_ticket before;
};

static struct pending_sample *at(const struct pending_samples *pending, uint64_t number)
{
    return &pending->items[number & (pending->capacity - 1)];
}

void pending_samples_release(struct pending_samples *pending)
{
    free(pending->items);
    *pending = (struct pending_samples){0};
}

static int grow(struct pending_samples *pending)
{
    size_t capacity = pending->capacity ? 2 * pending->capacity : CAPACITY_MIN;
    struct pending_sample *items =
        capacity <= PENDING_SAMPLES_MAX ? calloc(capacity, sizeof(*items)) : NULL;
    if (!items) {
        return -ENOSPC;
    }
    for (uint64_t number = pending->first; number < pending->end; number++) {
        items[number & (capacity - 1)] = *at(pending, number);
    }
    free(pending->items);
    pending->items = items;
    pending->capacity = capacity;
    return 0;
}

int pending_samples_add(struct pending_samples *pending, const struct stored_sample *sample,
                        pending_ticket before, pending_ticket *ret_ticket)
{
    if (pending_samples_count(pending) == pending->capacity && grow(pending) != 0) {
        return -ENOSPC;
    }
    struct pending_sample *item = at(pending, pending->end++);
    *item = (struct pending_sample){.sample = *sample, .before = before};
    item->sample.slice_class = CLASS_OPEN;
    *ret_ticket = pending->end; /* its number + 1 */
    return 0;
}

void pending_samples_settle(struct pending_samples *pending, pending_ticket newest,
                            uint8_t slice_class)
{
    while (newest > pending->first) { /* what lies before it has been taken out */
        struct pending_sample *item = at(pending, newest - 1);
        item->sample.slice_class = slice_class;
        newest = item->before;
    }
}

static struct stored_sample finished(const struct pending_sample *item)
{
    struct stored_sample sample = item->sample;
    sample.slice_class = sample.slice_class == CLASS_OPEN ? SLICE_CLASS_LONG : sample.slice_class;
    return sample;
}

bool pending_samples_take(struct pending_samples *pending, uint64_t now_ns, bool is_forced,
                          struct stored_sample *ret_sample)
{
    if (pending->first == pending->end) {
        return false;
    }
    const struct pending_sample *oldest = at(pending, pending->first);
    bool is_open = oldest->sample.slice_class == CLASS_OPEN;
    if (is_open && !is_forced && now_ns < oldest->sample.time_ns + SLICE_LONG_NS) {
        return false;
    }
    *ret_sample = finished(oldest);
    pending->first++;
    return true;
}

void pending_samples_copy(const struct pending_samples *pending, struct stored_sample *ret_samples)
{
    for (uint64_t number = pending->first; number < pending->end; number++) {
        *ret_samples++ = finished(at(pending, number));
    }
}

size_t pending_samples_memory_bytes(const struct pending_samples *pending)
{
    return pending->capacity * sizeof(*pending->items);
}
