/* SPDX-License-Identifier: MIT */
/*
 * Slabs go round: pool → producer → queue → consumer → pool. Both ways are
 * queues with one end per thread, so nothing is locked.
 *
 * A slab is handed over at the end of each batch while the consumer keeps up.
 * When half of the pool is under way already, waking it sooner would gain
 * nothing and half-empty slabs would only use up the pool: then a slab is
 * filled first.
 */
#include "server/run_ingest.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/spsc_queue.h"
#include "server/doorbell.h"

#define SLAB_IPS (24u * 1024)
#define SLAB_IMAGES 256u
#define SLAB_TEXT_BYTES (48u * 1024)
/* Stack copies. Touched only as far as a slab was ever filled. */
#define SLAB_STACK_BYTES (512u * 1024)
#define HEARTBEAT_NS (20 * NS_PER_MS)
/* One slab in so many is kept for what is not a sample. */
#define RESERVED_FRACTION 8u
/* Spans are left where they are when no more of it is free. */
#define TOLD_FRACTION 4u

struct run_ingest {
    struct run_slab *slabs;
    size_t n_slabs;
    struct run_slab last;      /* always there, so that a run can end whatever is under way */
    struct spsc_queue *filled; /* producer → consumer */
    struct spsc_queue *pool;   /* consumer → producer */
    struct doorbell consumer_bell;
    struct doorbell producer_bell; /* only where it waits for room */
    bool waits_for_room;

    /* The producer's own. */
    struct run_slab *open; /* being filled, or NULL */
    bool open_is_reserved; /* takes no samples */
    uint64_t latest_ns;
    uint64_t told_until_ns; /* what the consumer was told last */
    uint64_t n_lost_untold;
    uint64_t n_spans_untold[EVENT_SPANS_LOST_CAUSE_N];
    bool has_spans_untold;

    /* Written by one thread each, read by any. */
    atomic_uint_fast64_t n_pushed, n_returned, n_fill_max, n_lost, n_wakeups, n_spans_lost;
};

int run_ingest_new(const struct run_ingest_config *config, struct run_ingest **ret_ingest)
{
    struct run_ingest *ingest = calloc(1, sizeof(*ingest));
    if (!ingest) {
        return -ENOMEM;
    }
    if (doorbell_init(&ingest->consumer_bell) < 0) {
        free(ingest);
        return -ENOMEM;
    }
    if (doorbell_init(&ingest->producer_bell) < 0) {
        doorbell_release(&ingest->consumer_bell);
        free(ingest);
        return -ENOMEM;
    }
    _cleanup_(run_ingest_freep) struct run_ingest *owned = ingest;
    ingest->waits_for_room = config->waits_for_room;
    ingest->n_slabs = config->n_slabs ? config->n_slabs : RUN_INGEST_SLABS;
    ingest->slabs = calloc(ingest->n_slabs, sizeof(*ingest->slabs));
    if (!ingest->slabs || spsc_queue_new(ingest->n_slabs + 1, &ingest->filled) < 0 ||
        spsc_queue_new(ingest->n_slabs, &ingest->pool) < 0) {
        return -ENOMEM;
    }
    const struct event_batch_limits limits = {
        .n_events = RUN_INGEST_SLAB_EVENTS,
        .n_ips = SLAB_IPS,
        .n_images = SLAB_IMAGES,
        .text_bytes = SLAB_TEXT_BYTES,
        .stack_bytes = SLAB_STACK_BYTES,
    };
    for (size_t i = 0; i < ingest->n_slabs; i++) {
        if (event_batch_new(&limits, &ingest->slabs[i].batch) < 0) {
            return -ENOMEM;
        }
        spsc_queue_push(ingest->pool, &ingest->slabs[i]);
    }
    const struct event_batch_limits last = {.n_events = 1 + EVENT_SPANS_LOST_CAUSE_N,
                                            .n_ips = 1,
                                            .n_images = 1,
                                            .text_bytes = 1,
                                            .stack_bytes = 1};
    if (event_batch_new(&last, &ingest->last.batch) < 0) {
        return -ENOMEM;
    }
    *ret_ingest = TAKE_PTR(owned);
    return 0;
}

void run_ingest_retire(struct run_ingest *ingest)
{
    for (size_t i = 0; ingest->slabs && i < ingest->n_slabs; i++) {
        ingest->slabs[i].batch = event_batch_free(ingest->slabs[i].batch);
    }
}

struct run_ingest *run_ingest_free(struct run_ingest *ingest)
{
    if (ingest) {
        run_ingest_retire(ingest);
        free(ingest->slabs);
        event_batch_free(ingest->last.batch);
        spsc_queue_free(ingest->filled);
        spsc_queue_free(ingest->pool);
        doorbell_release(&ingest->consumer_bell);
        doorbell_release(&ingest->producer_bell);
        free(ingest);
    }
    return NULL;
}

static size_t n_under_way(const struct run_ingest *ingest)
{
    uint64_t n_returned = atomic_load_explicit(&ingest->n_returned, memory_order_relaxed);
    return (size_t)(atomic_load_explicit(&ingest->n_pushed, memory_order_relaxed) - n_returned);
}

static void hand_over(struct run_ingest *ingest, struct run_slab *slab)
{
    /* The queue holds all slabs and the last one, so there is room. */
    bool is_pushed = spsc_queue_push(ingest->filled, slab);
    assert(is_pushed);
    (void)is_pushed;
    atomic_fetch_add_explicit(&ingest->n_pushed, 1, memory_order_relaxed);
    uint64_t n_fill = n_under_way(ingest);
    if (n_fill > atomic_load_explicit(&ingest->n_fill_max, memory_order_relaxed)) {
        atomic_store_explicit(&ingest->n_fill_max, n_fill, memory_order_relaxed);
    }
    ingest->told_until_ns = slab->complete_until_ns;
    doorbell_ring(&ingest->consumer_bell);
}

static void hand_over_open(struct run_ingest *ingest)
{
    if (ingest->open) {
        ingest->open->complete_until_ns = ingest->latest_ns;
        hand_over(ingest, TAKE_PTR(ingest->open));
    }
}

static struct run_slab *take_from_pool(struct run_ingest *ingest)
{
    struct run_slab *slab = spsc_queue_pop(ingest->pool);
    while (!slab && ingest->waits_for_room) {
        doorbell_prepare(&ingest->producer_bell);
        slab = spsc_queue_pop(ingest->pool);
        if (slab) {
            doorbell_cancel(&ingest->producer_bell);
            break;
        }
        doorbell_wait(&ingest->producer_bell);
        slab = spsc_queue_pop(ingest->pool);
    }
    return slab;
}

static bool open_slab(struct run_ingest *ingest)
{
    struct run_slab *slab = take_from_pool(ingest);
    if (!slab) {
        return false;
    }
    event_batch_clear(slab->batch);
    slab->is_last = false;
    ingest->open = slab;
    size_t n_free = ingest->n_slabs - n_under_way(ingest);
    ingest->open_is_reserved =
        !ingest->waits_for_room && n_free <= ingest->n_slabs / RESERVED_FRACTION;
    return true;
}

/* Not into the open slab, whatever room it has. */
static bool is_refused(const struct run_ingest *ingest, const struct event *event)
{
    switch (event->kind) {
    case EVENT_SAMPLE:
    case EVENT_COUNTERS: /* what follows makes up for a reading that is missing */
    case EVENT_SPAN:
    case EVENT_SPAN_NAME: /* told again with the next span that uses them */
    case EVENT_LANE:
        return ingest->open_is_reserved;
    default:
        return false;
    }
}

/* Into the open slab, or a fresh one when it is full. */
static bool add(struct run_ingest *ingest, const struct event *event)
{
    if (!ingest->open && !open_slab(ingest)) {
        return false;
    }
    if (is_refused(ingest, event)) {
        return false;
    }
    if (event_batch_add_deep(ingest->open->batch, event)) {
        return true;
    }
    hand_over_open(ingest);
    if (!open_slab(ingest) || is_refused(ingest, event)) {
        return false;
    }
    return event_batch_add_deep(ingest->open->batch, event);
}

static struct event lost_event(const struct run_ingest *ingest)
{
    return (struct event){
        .kind = EVENT_LOST,
        .time_ns = ingest->latest_ns,
        .lost = {.cause = EVENT_LOST_QUEUE_FULL, .count = ingest->n_lost_untold},
    };
}

static void tell_lost(struct run_ingest *ingest)
{
    const struct event lost = lost_event(ingest);
    if (add(ingest, &lost)) {
        ingest->n_lost_untold = 0;
    }
}

static struct event spans_lost_event(const struct run_ingest *ingest, int cause)
{
    return (struct event){
        .kind = EVENT_SPANS_LOST,
        .time_ns = ingest->latest_ns,
        .spans_lost = {.cause = (enum event_spans_lost_cause)cause,
                       .count = ingest->n_spans_untold[cause]},
    };
}

static void tell_spans_lost(struct run_ingest *ingest)
{
    ingest->has_spans_untold = false;
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        if (ingest->n_spans_untold[cause] > 0) {
            const struct event lost = spans_lost_event(ingest, cause);
            if (add(ingest, &lost)) {
                ingest->n_spans_untold[cause] = 0;
            } else {
                ingest->has_spans_untold = true;
            }
        }
    }
}

static void lose_spans(struct run_ingest *ingest, enum event_spans_lost_cause cause, uint64_t count)
{
    ingest->n_spans_untold[cause] += count;
    ingest->has_spans_untold = true;
}

/* What was dropped since it was told last; not while room is short. */
static void tell_losses(struct run_ingest *ingest)
{
    if (ingest->n_lost_untold > 0) {
        tell_lost(ingest);
    }
    if (ingest->has_spans_untold) {
        tell_spans_lost(ingest);
    }
}

static void count_dropped(struct run_ingest *ingest, const struct event *event)
{
    if (event->kind == EVENT_SPAN) {
        lose_spans(ingest, EVENT_SPANS_LOST_QUEUE_FULL, 1);
        atomic_fetch_add_explicit(&ingest->n_spans_lost, 1, memory_order_relaxed);
    } else {
        ingest->n_lost_untold++;
        atomic_fetch_add_explicit(&ingest->n_lost, 1, memory_order_relaxed);
    }
}

void run_ingest_flush(struct run_ingest *ingest)
{
    bool is_behind = n_under_way(ingest) >= ingest->n_slabs / 2;
    if (ingest->open ? !ingest->open_is_reserved : ingest->has_spans_untold && !is_behind) {
        tell_losses(ingest);
    }
    if (!is_behind) {
        hand_over_open(ingest);
    }
}

bool run_ingest_has_room_for_told(const struct run_ingest *ingest)
{
    size_t n_free = ingest->n_slabs - n_under_way(ingest);
    bool is_shut = ingest->open && ingest->open_is_reserved; /* until it is handed over */
    return ingest->waits_for_room || (n_free > ingest->n_slabs / TOLD_FRACTION && !is_shut);
}

bool run_ingest_add_told(struct run_ingest *ingest, const struct event *event)
{
    struct event copy = *event;
    copy.time_ns = ingest->latest_ns;
    bool is_added = add(ingest, &copy);
    if (!is_added && event->kind == EVENT_SPAN) {
        count_dropped(ingest, event);
    }
    return is_added;
}

void run_ingest_lose_spans(struct run_ingest *ingest, enum event_spans_lost_cause cause,
                           uint64_t count)
{
    if (count > 0) {
        lose_spans(ingest, cause, count);
    }
}

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    struct run_ingest *ingest = userdata;
    for (size_t i = 0; i < n_events; i++) {
        if (add(ingest, &events[i])) {
            ingest->latest_ns =
                events[i].time_ns > ingest->latest_ns ? events[i].time_ns : ingest->latest_ns;
            continue;
        }
        count_dropped(ingest, &events[i]);
    }
    run_ingest_flush(ingest);
    return 0;
}

struct event_sink run_ingest_sink(struct run_ingest *ingest)
{
    return (struct event_sink){.userdata = ingest, .on_events = on_events};
}

void run_ingest_progress(struct run_ingest *ingest, uint64_t complete_until_ns)
{
    if (complete_until_ns > ingest->latest_ns) {
        ingest->latest_ns = complete_until_ns;
    }
    if (!ingest->open && ingest->latest_ns < ingest->told_until_ns + HEARTBEAT_NS) {
        return;
    }
    if (ingest->open || open_slab(ingest)) {
        tell_losses(ingest);
        hand_over_open(ingest);
    }
}

void run_ingest_end(struct run_ingest *ingest, uint64_t end_ns)
{
    hand_over_open(ingest);
    if (ingest->n_lost_untold > 0) {
        const struct event lost = lost_event(ingest);
        event_batch_add(ingest->last.batch, &lost);
    }
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        if (ingest->n_spans_untold[cause] > 0) {
            const struct event lost = spans_lost_event(ingest, cause);
            event_batch_add(ingest->last.batch, &lost);
        }
    }
    ingest->last.is_last = true;
    ingest->last.complete_until_ns = end_ns > ingest->latest_ns ? end_ns : ingest->latest_ns;
    hand_over(ingest, &ingest->last);
}

uint64_t run_ingest_latest_ns(const struct run_ingest *ingest)
{
    return ingest->latest_ns;
}

struct run_slab *run_ingest_next(struct run_ingest *ingest)
{
    return spsc_queue_pop(ingest->filled);
}

void run_ingest_return(struct run_ingest *ingest, struct run_slab *slab)
{
    if (!slab->is_last) {
        spsc_queue_push(ingest->pool, slab);
    }
    atomic_fetch_add_explicit(&ingest->n_returned, 1, memory_order_relaxed);
    if (ingest->waits_for_room) {
        doorbell_ring(&ingest->producer_bell);
    }
}

struct run_slab *run_ingest_wait(struct run_ingest *ingest, bool (*has_work)(void *userdata),
                                 void *userdata)
{
    doorbell_prepare(&ingest->consumer_bell);
    struct run_slab *slab = spsc_queue_pop(ingest->filled);
    if (slab || has_work(userdata)) {
        doorbell_cancel(&ingest->consumer_bell);
        return slab;
    }
    atomic_fetch_add_explicit(&ingest->n_wakeups, 1, memory_order_relaxed);
    doorbell_wait(&ingest->consumer_bell);
    return spsc_queue_pop(ingest->filled);
}

void run_ingest_wake(struct run_ingest *ingest)
{
    doorbell_ring(&ingest->consumer_bell);
}

void run_ingest_stats(const struct run_ingest *ingest, struct run_ingest_stats *ret_stats)
{
    const size_t slab_bytes =
        RUN_INGEST_SLAB_EVENTS * sizeof(struct event) + SLAB_IPS * sizeof(uint64_t) +
        SLAB_IMAGES * sizeof(struct event_image) + SLAB_TEXT_BYTES + SLAB_STACK_BYTES;
    *ret_stats = (struct run_ingest_stats){
        .n_slabs = ingest->n_slabs,
        .n_pushed = atomic_load_explicit(&ingest->n_pushed, memory_order_relaxed),
        .n_fill_max = atomic_load_explicit(&ingest->n_fill_max, memory_order_relaxed),
        .n_lost = atomic_load_explicit(&ingest->n_lost, memory_order_relaxed),
        .n_spans_lost = atomic_load_explicit(&ingest->n_spans_lost, memory_order_relaxed),
        .n_wakeups = atomic_load_explicit(&ingest->n_wakeups, memory_order_relaxed),
        .memory_bytes = ingest->n_slabs * slab_bytes,
    };
}
