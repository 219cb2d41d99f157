/* SPDX-License-Identifier: MIT */
#include "aggregate/span_log.h"

#include <errno.h>
#include <string.h>

/* So that a batch finds room before the oldest are dropped. */
#define SPANS_AT_ONCE (2 * SPANS_STORED_MAX)

/* A number of details: which store, and the place in it, as often around as need be. */
#define PLACE_BITS 30u
#define PLACE_MASK ((UINT32_C(1) << PLACE_BITS) - 1)

struct large_details {
    uint64_t span; /* which stored span has them */
    struct event_span_details details;
};

struct small_details {
    uint64_t span;
    uint8_t details[offsetof(struct event_span_details, counters)];
};

_Static_assert(offsetof(struct small_details, details) == offsetof(struct large_details, details),
               "both begin with the number of their span");
_Static_assert(DETAILS_MAX <= PLACE_MASK + 1, "a place has to fit into its number");

/* Whoever copies the whole struct out of a small one reads that far behind it: there is memory
 * behind the last in each chunk. */
#define N_SMALL_SPARE                                                                              \
    ((sizeof(struct large_details) + sizeof(struct small_details) - 1) /                           \
     sizeof(struct small_details))

int span_log_init(struct span_log *log)
{
    static const size_t item_bytes[] = {sizeof(struct small_details), sizeof(struct large_details),
                                        sizeof(struct large_details)};
    static const uint64_t max_items[] = {DETAILS_MAX, LARGE_DETAILS_MAX, KEPT_DETAILS_MAX};
    *log = (struct span_log){.oldest_first = UINT64_MAX};
    int r = chunked_init(&log->spans, sizeof(struct stored_span), SPANS_AT_ONCE);
    for (size_t i = 0; r == 0 && i < DETAILS_STORE_N; i++) {
        r = chunked_init(&log->details[i], item_bytes[i], max_items[i]);
    }
    return r;
}

void span_log_release(struct span_log *log)
{
    chunked_release(&log->spans);
    for (size_t i = 0; i < DETAILS_STORE_N; i++) {
        chunked_release(&log->details[i]);
    }
}

/* ---- details ---- */

static uint32_t number_of(enum details_store store, uint64_t place)
{
    return (uint32_t)store << PLACE_BITS | (uint32_t)(place & PLACE_MASK);
}

static void copy_large(struct event_span_details *to, const struct event_span_details *from)
{
    memcpy(to, from, offsetof(struct event_span_details, counters));
    to->n_counters = from->n_counters < LIMIT_SPAN_DETAILS ? from->n_counters : LIMIT_SPAN_DETAILS;
    to->n_attachments =
        from->n_attachments < LIMIT_SPAN_DETAILS ? from->n_attachments : LIMIT_SPAN_DETAILS;
    memcpy(to->counters, from->counters, to->n_counters * sizeof(*to->counters));
    memcpy(to->attachments, from->attachments, to->n_attachments * sizeof(*to->attachments));
}

static uint32_t put_large(struct span_log *log, enum details_store store, uint64_t span,
                          const struct event_span_details *details)
{
    uint64_t place = log->details[store].n_items;
    struct large_details *slot = chunked_add(&log->details[store]);
    if (!slot) {
        return STORED_SPAN_NO_DETAILS;
    }
    slot->span = span;
    copy_large(&slot->details, details);
    return number_of(store, place);
}

static uint32_t put_small(struct span_log *log, uint64_t span,
                          const struct event_span_details *details)
{
    struct chunked *store = &log->details[DETAILS_SMALL];
    struct event_span_details bare = *details;
    struct small_details *slot = chunked_add(store);
    while (slot && (store->n_items - 1) % CHUNKED_ITEMS >= CHUNKED_ITEMS - N_SMALL_SPARE) {
        slot->span = span;
        slot = chunked_add(store);
    }
    if (!slot) {
        return STORED_SPAN_NO_DETAILS;
    }
    bare.n_counters = bare.n_attachments = 0;
    slot->span = span;
    memcpy(slot->details, &bare, sizeof(slot->details));
    return number_of(DETAILS_SMALL, store->n_items - 1);
}

static uint32_t put_details(struct span_log *log, uint64_t span,
                            const struct event_span_details *details)
{
    bool is_large = details->n_counters > 0 || details->n_attachments > 0;
    uint32_t number =
        is_large ? put_large(log, DETAILS_LARGE, span, details) : put_small(log, span, details);
    log->n_details_left_out += number == STORED_SPAN_NO_DETAILS;
    return number;
}

uint32_t span_log_add_details(struct span_log *log, const struct event_span_details *details)
{
    return put_details(log, UINT64_MAX, details);
}

void span_log_own_details(struct span_log *log, uint32_t details, uint64_t span)
{
    *(uint64_t *)chunked_get(&log->details[details >> PLACE_BITS], details & PLACE_MASK) = span;
}

const struct event_span_details *span_log_details(const struct span_log *log, uint32_t details)
{
    const struct chunked *store = &log->details[details >> PLACE_BITS];
    const uint8_t *slot = chunked_get(store, details & PLACE_MASK);
    return (const void *)(slot + offsetof(struct large_details, details));
}

bool span_log_has_old_details(const struct span_log *log, enum details_store store)
{
    const struct chunked *details = &log->details[store];
    uint64_t n_spare = store == DETAILS_SMALL ? N_SMALL_SPARE : 0;
    uint64_t last = (details->first_item / CHUNKED_ITEMS + 1) * CHUNKED_ITEMS - 1 - n_spare;
    return details->n_items > last + n_spare + 1 &&
           *(const uint64_t *)chunked_get(details, last) < log->spans.first_item;
}

uint32_t span_log_keep_details(struct span_log *log, const struct event_span_details *details)
{
    uint32_t number = put_large(log, DETAILS_KEPT, 0, details);
    log->n_details_left_out += number == STORED_SPAN_NO_DETAILS;
    return number;
}

/* ---- spans ---- */

int span_log_store(struct span_log *log, struct stored_span *span,
                   const struct event_span_details *details)
{
    uint64_t index = log->spans.n_items;
    struct stored_span *slot = chunked_add(&log->spans);
    if (!slot) {
        return -ENOSPC;
    }
    span->details = details ? put_details(log, index, details) : STORED_SPAN_NO_DETAILS;
    *slot = *span;
    return 0;
}

uint64_t span_log_oldest_end_ns(struct span_log *log, uint64_t first_pending)
{
    uint64_t first = log->spans.first_item;
    uint64_t next = (first / CHUNKED_ITEMS + 1) * CHUNKED_ITEMS;
    if (log->spans.n_items <= next || first_pending < next) {
        return UINT64_MAX;
    }
    if (log->oldest_first != first) {
        log->oldest_first = first;
        log->oldest_end_ns = 0;
        for (uint64_t i = first; i < next; i++) {
            uint64_t end_ns = span_log_at(log, i)->end_ns;
            log->oldest_end_ns = end_ns > log->oldest_end_ns ? end_ns : log->oldest_end_ns;
        }
    }
    return log->oldest_end_ns;
}

size_t span_log_memory_bytes(const struct span_log *log)
{
    size_t n_bytes = chunked_memory_bytes(&log->spans);
    for (size_t i = 0; i < DETAILS_STORE_N; i++) {
        n_bytes += chunked_memory_bytes(&log->details[i]);
    }
    return n_bytes;
}
