/* SPDX-License-Identifier: MIT */
/* What a target has reported itself: names, lanes, their sums, single spans. */
#include <errno.h>

#include "aggregate/restore_internal.h"

/* A century and more behind 1970; queries subtract and add times. */
#define SPAN_END_MAX_NS ((uint64_t)INT64_MAX / 2)

static bool has_lane(const struct restore *restore, uint32_t lane)
{
    return lane < restore->aggregate->lanes.n_lanes;
}

/* With what stands for the others. */
static bool has_name(const struct restore *restore, uint32_t name)
{
    return name <= lanes_n_names(&restore->aggregate->lanes);
}

static thread_id known_thread(struct restore *restore, thread_id thread)
{
    bool is_known = thread == THREAD_ID_NONE || restore_has_thread(restore, thread);
    restore->n_mended += !is_known;
    return is_known ? thread : THREAD_ID_NONE;
}

/* ---- names and lanes ---- */

int restore_add_span_name(struct restore *restore, const struct span_name *name)
{
    struct lanes *lanes = &restore->aggregate->lanes;
    const struct event_span_name told = {
        .name = lanes_n_names(lanes) + 1,
        .parent = name->parent,
        .text = name->text,
    };
    int r = lanes_add_name(lanes, &told);
    restore->n_mended += r == 0 && lanes_name(lanes, told.name).parent != name->parent;
    return r;
}

int restore_add_lane(struct restore *restore, const struct lane_totals *totals)
{
    struct lanes *lanes = &restore->aggregate->lanes;
    const struct event_lane told = {
        .lane = lanes->n_lanes,
        .kind = totals->kind,
        .name = totals->name,
    };
    int r = lanes_add(lanes, totals->pid, &told);
    if (r != 0) {
        return r;
    }
    struct lane_totals *own = &lanes->lanes[told.lane];
    const char *name = own->name;
    uint8_t kind = own->kind;
    restore->n_mended += kind != totals->kind;
    *own = *totals;
    own->name = name;
    own->kind = kind;
    return 0;
}

/* ---- sums ---- */

int restore_add_span_sums(struct restore *restore, const struct span_sums *sums)
{
    if (!has_lane(restore, sums->lane) || !has_name(restore, sums->name)) {
        return -EBADMSG;
    }
    uint32_t row = span_totals_append(&restore->aggregate->span_totals, sums);
    return row == SPAN_ROW_NONE ? -EBADMSG : 0;
}

int restore_add_span_bucket(struct restore *restore, size_t sums, struct span_bucket bucket)
{
    struct span_totals *totals = &restore->aggregate->span_totals;
    if (sums >= totals->n_sums || bucket.n_spans == 0) {
        return -EBADMSG;
    }
    return span_totals_add_length(totals, (uint32_t)sums, bucket.number, bucket.n_spans);
}

int restore_add_origin_sums(struct restore *restore, const struct origin_sums *sums)
{
    if (!has_lane(restore, sums->lane) || !has_name(restore, sums->name) ||
        sums->state >= ORIGIN_STATE_N) {
        return -EBADMSG;
    }
    struct origin_sums own = *sums;
    own.thread = known_thread(restore, sums->thread);
    own.stack = restore_known_stack(restore, sums->stack);
    return span_totals_merge_origin(&restore->aggregate->span_totals, &own);
}

static int make_wait_sums(struct restore *restore, const struct span_wait_sums *sums,
                          struct span_wait_sums *ret_own)
{
    if (!has_lane(restore, sums->lane) || !has_name(restore, sums->name)) {
        return -EBADMSG;
    }
    *ret_own = *sums;
    ret_own->thread = known_thread(restore, sums->thread);
    ret_own->stack = restore_known_stack(restore, sums->stack);
    return 0;
}

int restore_add_span_wait_sums(struct restore *restore, const struct span_wait_sums *sums)
{
    struct span_wait_sums own;
    int r = make_wait_sums(restore, sums, &own);
    return r ? r : span_totals_merge_wait(&restore->aggregate->span_totals, &own);
}

/* ---- single spans ---- */

static void mend_name(struct restore *restore, uint32_t *name)
{
    restore->n_mended += !has_name(restore, *name);
    *name = has_name(restore, *name) ? *name : 0;
}

static void mend_details(struct restore *restore, struct event_span_details *details)
{
    mend_name(restore, &details->source_file);
    mend_name(restore, &details->source_function);
    for (uint32_t i = 0; i < details->n_counters; i++) {
        mend_name(restore, &details->counters[i].name);
        mend_name(restore, &details->counters[i].unit);
    }
    for (uint32_t i = 0; i < details->n_attachments; i++) {
        mend_name(restore, &details->attachments[i].label);
    }
}

int restore_add_span_details(struct restore *restore, const struct event_span_details *details)
{
    if (details->n_counters > LIMIT_SPAN_DETAILS || details->n_attachments > LIMIT_SPAN_DETAILS) {
        return -EBADMSG;
    }
    struct event_span_details own = *details;
    mend_details(restore, &own);
    uint32_t *grown = restore_grow(restore->span_details, restore->n_span_details,
                                   &restore->span_details_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    restore->span_details = grown;
    uint32_t place = span_log_add_details(&restore->aggregate->span_log, &own);
    grown[restore->n_span_details++] = place;
    return place == STORED_SPAN_NO_DETAILS ? -ENOSPC : 0;
}

static uint32_t place_of(struct restore *restore, uint32_t details)
{
    if (details < restore->n_span_details) {
        return restore->span_details[details];
    }
    restore->n_mended += details != STORED_SPAN_NO_DETAILS;
    return STORED_SPAN_NO_DETAILS;
}

/* The span as it may be kept: -EBADMSG where it makes no sense at all. */
static int make_sound(struct restore *restore, const struct stored_span *span,
                      struct stored_span *ret_own)
{
    bool is_sound = has_lane(restore, span->lane) && has_name(restore, span->name) &&
                    span->start_ns <= span->end_ns && span->end_ns <= SPAN_END_MAX_NS &&
                    span->state < ORIGIN_STATE_N;
    if (!is_sound) {
        return -EBADMSG;
    }
    *ret_own = *span;
    ret_own->origin_thread = known_thread(restore, span->origin_thread);
    ret_own->origin_stack = restore_known_stack(restore, span->origin_stack);
    ret_own->details = place_of(restore, span->details);
    return 0;
}

/* Only the last ones can be pending; of those before nothing will be found any more. */
static void settle_left(struct restore *restore)
{
    struct aggregate *aggregate = restore->aggregate;
    uint64_t *n_left = &aggregate->origin_links.n_left_pending;
    for (; *n_left > 0; --*n_left) {
        uint64_t index = aggregate->span_log.spans.n_items - *n_left;
        span_log_at(&aggregate->span_log, index)->state = ORIGIN_NO_SAMPLE;
        restore->n_mended++;
    }
}

int restore_add_span(struct restore *restore, const struct stored_span *span)
{
    struct aggregate *aggregate = restore->aggregate;
    struct stored_span own;
    int r = make_sound(restore, span, &own);
    if (r != 0) {
        return r;
    }
    /* Details are in the order of their spans: they are dropped together. */
    uint32_t place = own.details;
    if (place != STORED_SPAN_NO_DETAILS && span->details < restore->next_details) {
        restore->n_mended++;
        place = STORED_SPAN_NO_DETAILS;
    }
    uint64_t index = aggregate->span_log.spans.n_items;
    if (own.state != ORIGIN_PENDING) {
        settle_left(restore);
    }
    r = span_log_store(&aggregate->span_log, &own, NULL);
    if (r != 0) {
        return r;
    }
    if (place != STORED_SPAN_NO_DETAILS) {
        span_log_at(&aggregate->span_log, index)->details = place;
        span_log_own_details(&aggregate->span_log, place, index);
        restore->next_details = span->details;
    }
    aggregate->origin_links.n_left_pending += own.state == ORIGIN_PENDING;
    return 0;
}

int restore_add_longest_span(struct restore *restore, const struct stored_span *span)
{
    struct span_totals *totals = &restore->aggregate->span_totals;
    struct stored_span own;
    int r = make_sound(restore, span, &own);
    uint32_t row = r == 0 ? span_totals_find(totals, own.lane, own.name) : SPAN_ROW_NONE;
    if (row == SPAN_ROW_NONE) {
        return r ? r : -ENOSPC;
    }
    /* As if it were the oldest of all: when the first details are dropped its own are kept. */
    span_totals_keep_longest(totals, row, &own, 0);
    return 0;
}

/* ---- sums that are made anew ---- */

int restore_count_span(struct restore *restore, const struct stored_span *span)
{
    struct aggregate *aggregate = restore->aggregate;
    struct span_totals *totals = &aggregate->span_totals;
    struct stored_span own;
    int r = make_sound(restore, span, &own);
    uint32_t row = r == 0 ? span_totals_find(totals, own.lane, own.name) : SPAN_ROW_NONE;
    if (row == SPAN_ROW_NONE) {
        return r ? r : -ENOSPC;
    }
    uint64_t waited_ns =
        own.details == STORED_SPAN_NO_DETAILS
            ? 0
            : span_waited_ns(&own, span_log_details(&aggregate->span_log, own.details),
                             aggregate->start_ns);
    lanes_count(&aggregate->lanes, &own);
    span_totals_count(totals, row, &own, 0, waited_ns);
    if (own.state == ORIGIN_PENDING) {
        return 0;
    }
    lanes_settle(&aggregate->lanes, own.lane, own.state);
    origin_links_note_distance(&aggregate->origin_links, &own);
    return span_totals_count_origin(totals, row, &own, UINT64_MAX);
}

int restore_count_span_wait(struct restore *restore, const struct span_wait_sums *part)
{
    struct span_wait_sums own;
    int r = make_wait_sums(restore, part, &own);
    return r ? r : span_totals_count_wait(&restore->aggregate->span_totals, &own);
}
