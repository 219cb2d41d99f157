/* SPDX-License-Identifier: MIT */
#include "model/event_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One record becomes at most this many events (a switch: out and in; an exec: image and name). */
#define EVENTS_PER_RECORD 4u

/* A stack copy lies behind its registers; both begin at a multiple of 8. */
#define STACK_OVERHEAD (sizeof(struct event_stack_copy) + 8)

/* Counters and spans lie among the ips: words like them. */
#define COUNTERS_WORDS (sizeof(struct event_counters) / sizeof(uint64_t))
#define SPAN_WORDS (sizeof(struct event_span) / sizeof(uint64_t))
#define DETAILS_WORDS (sizeof(struct event_span_details) / sizeof(uint64_t))
_Static_assert(sizeof(struct event_counters) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(struct event_span) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(struct event_span_details) % sizeof(uint64_t) == 0, "whole words");

struct event_batch {
    struct event_batch_limits limits;
    uint8_t *memory; /* of all that follow */
    struct event *events;
    uint64_t *ips;
    struct event_image *images;
    char *text;
    uint8_t *stacks;
    size_t n_events, n_ips, n_images, text_bytes, stack_bytes;
};

static size_t or_default(size_t wanted, size_t fallback)
{
    return wanted ? wanted : fallback;
}

int event_batch_new(const struct event_batch_limits *limits, struct event_batch **ret_batch)
{
    _cleanup_(event_batch_freep) struct event_batch *batch = calloc(1, sizeof(*batch));
    if (!batch) {
        return -ENOMEM;
    }
    batch->limits = (struct event_batch_limits){
        .n_events = or_default(limits->n_events, 32768),
        .n_ips = or_default(limits->n_ips, 131072),
        .n_images = or_default(limits->n_images, 1024),
        .text_bytes = or_default(limits->text_bytes, 256 * 1024),
        .stack_bytes = or_default(limits->stack_bytes, 1024 * 1024),
    };
    size_t events_bytes = batch->limits.n_events * sizeof(*batch->events);
    size_t ips_bytes = batch->limits.n_ips * sizeof(*batch->ips);
    size_t images_bytes = batch->limits.n_images * sizeof(*batch->images);
    size_t stacks_bytes = (batch->limits.stack_bytes + 7) & ~(size_t)7;
    /*
     * Not zeroed: what is never used is never touched. One block: a run has a
     * hundred batches, whose pieces would fragment the heap of a server that
     * keeps something of every run.
     */
    batch->memory =
        malloc(events_bytes + ips_bytes + images_bytes + stacks_bytes + batch->limits.text_bytes);
    if (!batch->memory) {
        return -ENOMEM;
    }
    batch->events = (struct event *)(void *)batch->memory;
    batch->ips = (uint64_t *)(void *)(batch->memory + events_bytes);
    batch->images = (struct event_image *)(void *)(batch->memory + events_bytes + ips_bytes);
    batch->stacks = batch->memory + events_bytes + ips_bytes + images_bytes;
    batch->text = (char *)batch->stacks + stacks_bytes;
    *ret_batch = TAKE_PTR(batch);
    return 0;
}

struct event_batch *event_batch_free(struct event_batch *batch)
{
    if (batch) {
        free(batch->memory);
        free(batch);
    }
    return NULL;
}

void event_batch_clear(struct event_batch *batch)
{
    batch->n_events = batch->n_ips = batch->n_images = 0;
    batch->text_bytes = batch->stack_bytes = 0;
}

bool event_batch_has_room(const struct event_batch *batch)
{
    const struct event_batch_limits *limits = &batch->limits;
    return batch->n_events + EVENTS_PER_RECORD <= limits->n_events &&
           batch->n_ips + LIMIT_STACK_IPS + COUNTERS_WORDS <= limits->n_ips &&
           batch->n_images + EVENTS_PER_RECORD <= limits->n_images &&
           batch->text_bytes + 2 * LIMIT_PATH_BYTES <= limits->text_bytes &&
           batch->stack_bytes + LIMIT_STACK_COPY_BYTES + STACK_OVERHEAD <= limits->stack_bytes;
}

uint64_t *event_batch_add_ips(struct event_batch *batch, size_t n_ips)
{
    if (n_ips > batch->limits.n_ips - batch->n_ips) {
        return NULL;
    }
    uint64_t *ips = batch->ips + batch->n_ips;
    batch->n_ips += n_ips;
    return ips;
}

const char *event_batch_add_text(struct event_batch *batch, const char *text)
{
    size_t n_bytes = strnlen(text, LIMIT_PATH_BYTES - 1);
    if (n_bytes + 1 > batch->limits.text_bytes - batch->text_bytes) {
        return NULL;
    }
    char *copy = batch->text + batch->text_bytes;
    memcpy(copy, text, n_bytes);
    copy[n_bytes] = '\0';
    batch->text_bytes += n_bytes + 1;
    return copy;
}

struct event_image *event_batch_add_image(struct event_batch *batch,
                                          const struct event_image *image)
{
    if (batch->n_images == batch->limits.n_images) {
        return NULL;
    }
    struct event_image *copy = &batch->images[batch->n_images];
    *copy = *image;
    if (image->path) {
        copy->path = event_batch_add_text(batch, image->path);
        if (!copy->path) {
            return NULL;
        }
    }
    batch->n_images++;
    return copy;
}

const struct event_counters *event_batch_add_counters(struct event_batch *batch,
                                                      const struct event_counters *counters)
{
    uint64_t *words = event_batch_add_ips(batch, COUNTERS_WORDS);
    return words ? memcpy(words, counters, sizeof(*counters)) : NULL;
}

const struct event_span *event_batch_add_span(struct event_batch *batch,
                                              const struct event_span *span)
{
    size_t n_words = SPAN_WORDS + (span->details ? DETAILS_WORDS : 0);
    uint64_t *words = event_batch_add_ips(batch, n_words);
    if (!words) {
        return NULL;
    }
    struct event_span *copy = memcpy(words, span, sizeof(*span));
    if (span->details) {
        copy->details = memcpy(words + SPAN_WORDS, span->details, sizeof(*span->details));
    }
    return copy;
}

struct event_stack_copy *event_batch_add_stack(struct event_batch *batch,
                                               const struct event_stack_copy *copy, size_t n_bytes,
                                               uint8_t **ret_bytes)
{
    size_t left = batch->limits.stack_bytes - batch->stack_bytes;
    if (left < STACK_OVERHEAD || n_bytes > left - STACK_OVERHEAD) {
        return NULL;
    }
    struct event_stack_copy *stored = (void *)(batch->stacks + batch->stack_bytes);
    *stored = *copy;
    stored->bytes = (const uint8_t *)(stored + 1);
    stored->n_bytes = (uint32_t)n_bytes;
    *ret_bytes = (uint8_t *)(stored + 1);
    batch->stack_bytes += (sizeof(*stored) + n_bytes + 7) & ~(size_t)7;
    return stored;
}

static const struct event_stack_copy *add_stack_deep(struct event_batch *batch,
                                                     const struct event_stack_copy *copy)
{
    uint8_t *bytes;
    struct event_stack_copy *stored = event_batch_add_stack(batch, copy, copy->n_bytes, &bytes);
    if (stored && copy->n_bytes > 0) {
        memcpy(bytes, copy->bytes, copy->n_bytes);
    }
    return stored;
}

bool event_batch_add(struct event_batch *batch, const struct event *event)
{
    if (batch->n_events == batch->limits.n_events) {
        return false;
    }
    size_t at = batch->n_events++;
    for (; at > 0 && batch->events[at - 1].time_ns > event->time_ns; at--) {
        batch->events[at] = batch->events[at - 1];
    }
    batch->events[at] = *event;
    return true;
}

/* The stack, wherever an event has one. */
static bool copy_stack(struct event_batch *batch, struct event *copy)
{
    struct event_stack *stack = &copy->stack;
    if (stack->n_ips > 0) {
        uint64_t *ips = event_batch_add_ips(batch, stack->n_ips);
        if (!ips) {
            return false;
        }
        memcpy(ips, stack->ips, stack->n_ips * sizeof(*ips));
        stack->ips = ips;
    }
    if (stack->copy) {
        stack->copy = add_stack_deep(batch, stack->copy);
        return stack->copy;
    }
    return true;
}

static bool copy_text(struct event_batch *batch, const char **text)
{
    if (*text) {
        *text = event_batch_add_text(batch, *text);
        return *text;
    }
    return true;
}

static bool copy_parts(struct event_batch *batch, struct event *copy)
{
    switch (copy->kind) {
    case EVENT_IMAGE:
        copy->image = event_batch_add_image(batch, copy->image);
        return copy->image;
    case EVENT_COUNTERS:
        copy->counters = event_batch_add_counters(batch, copy->counters);
        return copy->counters;
    case EVENT_THREAD:
        return copy_text(batch, &copy->thread.name);
    case EVENT_WAIT_SEEN:
        return copy_text(batch, &copy->wait_seen.site);
    case EVENT_WAKEUP:
        return copy_text(batch, &copy->wakeup.waker_name);
    case EVENT_LANE:
        return copy_text(batch, &copy->lane.name);
    case EVENT_SPAN_NAME:
        return copy_text(batch, &copy->span_name.text);
    case EVENT_SPAN:
        copy->span = event_batch_add_span(batch, copy->span);
        return copy->span;
    default:
        return true;
    }
}

bool event_batch_add_deep(struct event_batch *batch, const struct event *event)
{
    struct event copy = *event;
    return copy_stack(batch, &copy) && copy_parts(batch, &copy) && event_batch_add(batch, &copy);
}

size_t event_batch_count(const struct event_batch *batch)
{
    return batch->n_events;
}

const struct event *event_batch_get(const struct event_batch *batch, size_t index)
{
    return &batch->events[index];
}

struct event *event_batch_get_mutable(struct event_batch *batch, size_t index)
{
    return &batch->events[index];
}
