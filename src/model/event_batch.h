/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * event_batch - events together with all that they point to, in bounded memory
 *
 * Decoders write into one, the merge reads from one: everything is allocated
 * when the batch is made, so that the drain path never allocates. Whoever adds
 * asks for room first and leaves the rest where it was when there is none.
 *
 * Shape:   events in time order; an event that comes with an earlier time than
 *          its predecessors is put before them.
 * Owner:   event_batch_new()/_free(); pointers in events stay valid until
 *          event_batch_clear().
 * Threads: one.
 * Tests:   event_batch_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event.h"

struct event_batch;

/* Zero members get a default that suits one kernel ring. */
struct event_batch_limits {
    size_t n_events, n_ips, n_images;
    size_t text_bytes;
    size_t stack_bytes; /* of stack copies, their registers included */
};

int event_batch_new(const struct event_batch_limits *limits, struct event_batch **ret_batch);
struct event_batch *event_batch_free(struct event_batch *batch);
DEFINE_FREEP(event_batch);
void event_batch_clear(struct event_batch *batch);

/* Is there room for one more record of any kind (a few events, the deepest stack, the longest
 * path)? */
bool event_batch_has_room(const struct event_batch *batch);

/* Storage for parts of an event that is about to be added; NULL when there is no room. */
uint64_t *event_batch_add_ips(struct event_batch *batch, size_t n_ips);
const char *event_batch_add_text(struct event_batch *batch, const char *text);
struct event_image *event_batch_add_image(struct event_batch *batch,
                                          const struct event_image *image);

const struct event_counters *event_batch_add_counters(struct event_batch *batch,
                                                      const struct event_counters *counters);

/* With its details. */
const struct event_span *event_batch_add_span(struct event_batch *batch,
                                              const struct event_span *span);

/* Room for n_bytes of stack memory, unset, with its registers as in `copy` (whose bytes are not
 * looked at); NULL when there is no room. */
struct event_stack_copy *event_batch_add_stack(struct event_batch *batch,
                                               const struct event_stack_copy *copy, size_t n_bytes,
                                               uint8_t **ret_bytes);

/* Adds a copy of the event whose parts already lie in the batch. */
bool event_batch_add(struct event_batch *batch, const struct event *event);

/* Adds a copy of the event and of all that it points to. */
bool event_batch_add_deep(struct event_batch *batch, const struct event *event);

size_t event_batch_count(const struct event_batch *batch);
struct event *event_batch_get_mutable(struct event_batch *batch, size_t index);
const struct event *event_batch_get(const struct event_batch *batch, size_t index);
