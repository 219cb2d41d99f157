/* SPDX-License-Identifier: MIT */
#include "aggregate/snapshot_spans.h"

#include <string.h>

#include "base/time_sum.h"

/* One behind the other: the pointers first, then what has numbers of 8 bytes. */
struct parts {
    size_t lengths_at, lanes_at, sums_at, origins_at, waits_at, longest_at, n_bytes;
};

static size_t take_room(size_t *bytes, size_t count, size_t item_bytes)
{
    size_t at = *bytes;
    *bytes += (count * item_bytes + 15) / 16 * 16;
    return at;
}

static struct parts parts_of(const struct aggregate *aggregate)
{
    const struct span_totals *totals = &aggregate->span_totals;
    struct parts parts = {0};
    parts.lengths_at = take_room(&parts.n_bytes, totals->n_sums, sizeof(struct quantile *));
    parts.lanes_at =
        take_room(&parts.n_bytes, aggregate->lanes.n_lanes, sizeof(struct lane_totals));
    parts.sums_at = take_room(&parts.n_bytes, totals->n_sums, sizeof(struct span_sums));
    parts.origins_at = take_room(&parts.n_bytes, totals->n_origins, sizeof(struct origin_sums));
    parts.waits_at = take_room(&parts.n_bytes, totals->n_waits, sizeof(struct span_wait_sums));
    parts.longest_at = take_room(&parts.n_bytes, totals->n_longest, sizeof(struct stored_span));
    return parts;
}

size_t snapshot_spans_bytes(const struct aggregate *aggregate)
{
    return parts_of(aggregate).n_bytes;
}

/* Returns how many. */
static size_t copy_longest(struct span_totals *totals, struct stored_span *longest)
{
    const uint32_t *order = span_totals_order(totals);
    size_t n_copied = 0;
    for (size_t i = 0; order && i < totals->n_sums; i++) {
        const struct span_row *row = &totals->rows[order[i]];
        for (uint32_t k = 0; k < row->n_longest; k++) {
            longest[n_copied++] = row->longest[k].span;
        }
    }
    return n_copied;
}

static void copy(void *to, const void *from, size_t n_items, size_t item_bytes)
{
    if (n_items > 0) {
        memcpy(to, from, n_items * item_bytes);
    }
}

/* A name around it that was never reported takes no span's time away: it began before the
 * recording, or has not ended. */
static bool is_outermost(const struct aggregate *aggregate, const struct span_sums *sums)
{
    uint32_t outer = lanes_name(&aggregate->lanes, sums->name).parent;
    while (outer != 0 && !span_totals_has(&aggregate->span_totals, sums->lane, outer)) {
        outer = lanes_name(&aggregate->lanes, outer).parent;
    }
    return outer == 0;
}

static void sum_lanes(const struct aggregate *aggregate, struct lane_totals *lanes)
{
    const struct span_totals *totals = &aggregate->span_totals;
    for (uint32_t i = 0; i < aggregate->lanes.n_lanes; i++) {
        lanes[i].total_ns = 0;
    }
    for (size_t i = 0; i < totals->n_sums; i++) {
        const struct span_sums *sums = &totals->sums[i];
        if (is_outermost(aggregate, sums)) {
            struct lane_totals *lane = &lanes[sums->lane];
            lane->total_ns = time_sum_ns(lane->total_ns, sums->total_ns);
        }
    }
}

void snapshot_spans_copy(struct aggregate *aggregate, struct held_snapshot *held, void *memory)
{
    struct span_totals *totals = &aggregate->span_totals;
    const struct parts parts = parts_of(aggregate);
    struct snapshot *snapshot = &held->snapshot;
    uint8_t *bytes = memory;
    struct stored_span *longest = (void *)(bytes + parts.longest_at);
    held->lengths = (void *)(bytes + parts.lengths_at);
    for (size_t i = 0; i < totals->n_sums; i++) {
        held->lengths[i] = quantile_hold(totals->rows[i].lengths);
    }
    copy(bytes + parts.lanes_at, aggregate->lanes.lanes, aggregate->lanes.n_lanes,
         sizeof(struct lane_totals));
    sum_lanes(aggregate, (void *)(bytes + parts.lanes_at));
    copy(bytes + parts.sums_at, totals->sums, totals->n_sums, sizeof(struct span_sums));
    copy(bytes + parts.origins_at, totals->origins, totals->n_origins, sizeof(struct origin_sums));
    copy(bytes + parts.waits_at, totals->waits, totals->n_waits, sizeof(struct span_wait_sums));
    snapshot->n_lanes = aggregate->lanes.n_lanes;
    snapshot->n_span_names = lanes_n_names(&aggregate->lanes);
    snapshot->lanes = (void *)(bytes + parts.lanes_at);
    snapshot->n_span_sums = totals->n_sums;
    snapshot->span_sums = (void *)(bytes + parts.sums_at);
    snapshot->n_origin_sums = totals->n_origins;
    snapshot->origin_sums = (void *)(bytes + parts.origins_at);
    snapshot->n_span_wait_sums = totals->n_waits;
    snapshot->span_wait_sums = (void *)(bytes + parts.waits_at);
    snapshot->n_longest_spans = copy_longest(totals, longest);
    snapshot->longest_spans = longest;
    snapshot->n_spans = aggregate->span_log.spans.n_items;
    snapshot->first_span = aggregate->span_log.spans.first_item;
    snapshot->spans_folded_until_ns = aggregate->span_log.folded_until_ns;
    snapshot->n_pending_spans = origin_links_n_pending(&aggregate->origin_links);
    snapshot->linked_distance = aggregate->origin_links.linked;
    snapshot->too_far_distance = aggregate->origin_links.too_far;
    snapshot->origin_bound_ns = aggregate->origin_links.bound_ns;
    snapshot->n_span_details_full =
        totals->n_others + totals->n_lengths_left_out + aggregate->span_log.n_details_left_out;
    copy(snapshot->spans_lost, aggregate->spans_lost, EVENT_SPANS_LOST_CAUSE_N,
         sizeof(*aggregate->spans_lost));
}

void snapshot_spans_release(struct held_snapshot *held)
{
    for (size_t i = 0; held->lengths && i < held->snapshot.n_span_sums; i++) {
        quantile_unhold(held->lengths[i]);
    }
}

/* ---- for readers ---- */

struct span_name snapshot_span_name(const struct snapshot *snapshot, uint32_t name)
{
    return lanes_name(&snapshot->aggregate->lanes, name <= snapshot->n_span_names ? name : 0);
}

/* What the aggregator may be writing at this moment is not read. */
struct stored_span snapshot_span(const struct snapshot *snapshot, uint64_t index)
{
    const struct stored_span *stored = span_log_at(&snapshot->aggregate->span_log, index);
    if (index < snapshot->n_spans - snapshot->n_pending_spans) {
        return *stored;
    }
    return (struct stored_span){
        .start_ns = stored->start_ns,
        .end_ns = stored->end_ns,
        .origin_ns = stored->origin_ns,
        .origin_tid = stored->origin_tid,
        .lane = stored->lane,
        .name = stored->name,
        .origin_thread = THREAD_ID_NONE,
        .origin_stack = STACK_ID_EMPTY,
        .details = stored->details,
        .state = ORIGIN_PENDING,
    };
}

const struct event_span_details *snapshot_span_details(const struct snapshot *snapshot,
                                                       uint32_t details)
{
    return span_log_details(&snapshot->aggregate->span_log, details);
}

static const struct quantile *lengths_of(const struct snapshot *snapshot, size_t index)
{
    return ((const struct held_snapshot *)snapshot)->lengths[index];
}

uint64_t snapshot_span_quantile_ns(const struct snapshot *snapshot, size_t index, double part)
{
    const struct span_sums *sums = &snapshot->span_sums[index];
    return quantile_at(lengths_of(snapshot, index), part, sums->min_ns, sums->max_ns);
}

bool snapshot_span_bucket(const struct snapshot *snapshot, size_t index, uint64_t from,
                          struct span_bucket *ret_bucket)
{
    return quantile_next(lengths_of(snapshot, index), from, &ret_bucket->number,
                         &ret_bucket->n_spans);
}
