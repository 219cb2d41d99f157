/* SPDX-License-Identifier: MIT */
#include "aggregate/lanes.h"

#include <errno.h>
#include <stdlib.h>

int lanes_init(struct lanes *lanes)
{
    *lanes = (struct lanes){0};
    arena_init(&lanes->text, 0);
    int r = chunked_init(&lanes->names, sizeof(struct span_name), LIMIT_SPAN_NAMES + 1);
    struct span_name *other = r == 0 ? chunked_add(&lanes->names) : NULL;
    if (!other) {
        return r ? r : -ENOMEM;
    }
    other->text = "(other)";
    return 0;
}

void lanes_release(struct lanes *lanes)
{
    free(lanes->lanes);
    chunked_release(&lanes->names);
    arena_release(&lanes->text);
    *lanes = (struct lanes){0};
}

static const char *keep_text(struct lanes *lanes, const char *text)
{
    return arena_strndup(&lanes->text, text ? text : "", LIMIT_SPAN_NAME_BYTES - 1);
}

int lanes_add(struct lanes *lanes, int64_t pid, const struct event_lane *lane)
{
    if (lane->lane != lanes->n_lanes) {
        return lane->lane < lanes->n_lanes ? 0 : -EBADMSG;
    }
    if (lanes->n_lanes >= LIMIT_LANES) {
        return -ENOSPC;
    }
    if (lanes->n_lanes == lanes->capacity) {
        uint32_t capacity = lanes->capacity ? 2 * lanes->capacity : 16;
        struct lane_totals *grown = reallocarray(lanes->lanes, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        lanes->lanes = grown;
        lanes->capacity = capacity;
    }
    const char *name = keep_text(lanes, lane->name);
    if (!name) {
        return -ENOMEM;
    }
    lanes->lanes[lanes->n_lanes++] = (struct lane_totals){
        .pid = pid,
        .name = name,
        .kind = lane->kind < LANE_KIND_N ? lane->kind : LANE_KIND_GENERIC,
    };
    return 0;
}

/* How many names it is inside of, at most LIMIT_SPAN_DEPTH. */
static uint32_t depth_of(const struct lanes *lanes, uint32_t name)
{
    uint32_t depth = 0;
    while (depth < LIMIT_SPAN_DEPTH && (name = lanes_name(lanes, name).parent) != 0) {
        depth++;
    }
    return depth;
}

int lanes_add_name(struct lanes *lanes, const struct event_span_name *name)
{
    if (name->name == 0 || name->name != lanes->names.n_items) {
        return name->name != 0 && name->name < lanes->names.n_items ? 0 : -EBADMSG;
    }
    const char *text = keep_text(lanes, name->text);
    struct span_name *slot = text ? chunked_add(&lanes->names) : NULL;
    if (!slot) {
        return text ? -ENOSPC : -ENOMEM;
    }
    bool has_parent =
        name->parent < name->name && depth_of(lanes, name->parent) + 1 < LIMIT_SPAN_DEPTH;
    *slot = (struct span_name){.parent = has_parent ? name->parent : 0, .text = text};
    return 0;
}

void lanes_count(struct lanes *lanes, const struct stored_span *span)
{
    struct lane_totals *lane = &lanes->lanes[span->lane];
    bool is_first = lane->n_spans == 0;
    lane->first_ns = is_first || span->start_ns < lane->first_ns ? span->start_ns : lane->first_ns;
    lane->last_ns = span->end_ns > lane->last_ns ? span->end_ns : lane->last_ns;
    lane->n_spans++;
    lane->states[ORIGIN_PENDING]++;
}

void lanes_settle(struct lanes *lanes, uint32_t lane, enum origin_state state)
{
    lanes->lanes[lane].states[ORIGIN_PENDING]--;
    lanes->lanes[lane].states[state]++;
}

size_t lanes_memory_bytes(const struct lanes *lanes)
{
    return lanes->capacity * sizeof(*lanes->lanes) + chunked_memory_bytes(&lanes->names) +
           lanes->text.used_bytes;
}
