/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_events - what events tell of lanes and spans
 *
 * These events have no place in the order of the others: they neither begin
 * the run nor move its clock.
 *
 * Owner, Threads: the aggregator's.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   span_events_test.c, span_model_test.c
 */

#include "aggregate/aggregate_internal.h"

/* Whether span_events_apply() is to be asked. */
static inline bool span_events_has(enum event_kind kind)
{
    return kind == EVENT_SPAN || kind == EVENT_LANE || kind == EVENT_SPAN_NAME ||
           kind == EVENT_SPANS_LOST;
}

/* 0, or the negative errno of a table that is full. What makes no sense is counted as MALFORMED. */
int span_events_apply(struct aggregate *aggregate, const struct event *event);

/* What was stored before the first lane came: points for origins_links, of the newest
 * SPAN_HISTORY_MAX samples and waits each. */
#define SPAN_HISTORY_MAX (1u << 17)
void span_events_look_back(struct aggregate *aggregate);
