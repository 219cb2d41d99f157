/* SPDX-License-Identifier: MIT */
#include "archive/history_run.h"

static uint64_t *scalar_of(struct restore_run *run, uint16_t key)
{
    switch (key) {
    case HISTORY_KEY_SEQUENCE:
        return &run->sequence;
    case HISTORY_KEY_START_NS:
        return &run->start_ns;
    case HISTORY_KEY_NOW_NS:
        return &run->now_ns;
    case HISTORY_KEY_FOLDED_UNTIL_NS:
        return &run->folded_until_ns;
    case HISTORY_KEY_FIRST_SAMPLE:
        return &run->first_sample;
    case HISTORY_KEY_FIRST_SLICE:
        return &run->first_slice;
    case HISTORY_KEY_FIRST_WAIT:
        return &run->first_wait;
    case HISTORY_KEY_FIRST_READING:
        return &run->first_reading;
    case HISTORY_KEY_N_KERNEL_SAMPLES:
        return &run->n_kernel_samples;
    case HISTORY_KEY_N_WAIT_STACKS_UNKNOWN:
        return &run->n_wait_stacks_unknown;
    case HISTORY_KEY_N_WAIT_DETAILS_FULL:
        return &run->n_wait_details_full;
    case HISTORY_KEY_N_READINGS_DROPPED:
        return &run->n_readings_dropped;
    case HISTORY_KEY_N_WAKEUPS:
        return &run->n_wakeups;
    case HISTORY_KEY_N_STACKS_TRUNCATED:
        return &run->n_stacks_truncated;
    case HISTORY_KEY_N_STACKS_EMPTY:
        return &run->n_stacks_empty;
    case HISTORY_KEY_N_MISSED_SWITCHES:
        return &run->n_missed_switches;
    case HISTORY_KEY_SWITCH_LAG_NS:
        return &run->switch_lag_ns;
    default:
        return NULL;
    }
}

/* Likewise, of what the target reported itself. */
static uint64_t *span_scalar_of(struct restore_run *run, uint16_t key)
{
    switch (key) {
    case HISTORY_KEY_FIRST_SPAN:
        return &run->first_span;
    case HISTORY_KEY_SPANS_FOLDED_UNTIL_NS:
        return &run->spans_folded_until_ns;
    case HISTORY_KEY_ORIGIN_BOUND_NS:
        return &run->origin_bound_ns;
    case HISTORY_KEY_N_SPAN_DETAILS_FULL:
        return &run->n_span_details_full;
    case HISTORY_KEY_LINKED_N:
        return &run->linked_distance.n;
    case HISTORY_KEY_LINKED_MIN_NS:
        return &run->linked_distance.min_ns;
    case HISTORY_KEY_LINKED_MAX_NS:
        return &run->linked_distance.max_ns;
    case HISTORY_KEY_LINKED_SUM_NS:
        return &run->linked_distance.sum_ns;
    case HISTORY_KEY_TOO_FAR_N:
        return &run->too_far_distance.n;
    case HISTORY_KEY_TOO_FAR_MIN_NS:
        return &run->too_far_distance.min_ns;
    case HISTORY_KEY_TOO_FAR_MAX_NS:
        return &run->too_far_distance.max_ns;
    case HISTORY_KEY_TOO_FAR_SUM_NS:
        return &run->too_far_distance.sum_ns;
    default:
        break;
    }
    bool is_loss =
        key >= HISTORY_KEY_SPANS_LOST && key < HISTORY_KEY_SPANS_LOST + EVENT_SPANS_LOST_CAUSE_N;
    return is_loss ? &run->spans_lost[key - HISTORY_KEY_SPANS_LOST] : NULL;
}

void history_run_take(const struct history_value *value, struct restore_run *run,
                      uint64_t n_told[HISTORY_KIND_N])
{
    uint64_t *scalar = scalar_of(run, value->key);
    scalar = scalar ? scalar : span_scalar_of(run, value->key);
    if (scalar) {
        *scalar = value->value;
    } else if (value->key == HISTORY_KEY_HAS_NO_SWITCHES) {
        run->has_no_switches = value->value != 0;
    } else if (value->key >= HISTORY_KEY_LOST &&
               value->key < HISTORY_KEY_LOST + EVENT_LOST_CAUSE_N) {
        run->lost[value->key - HISTORY_KEY_LOST] = value->value;
    }
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        if (value->key == HISTORY_KEY_ROWS + history_table((enum history_kind)kind)->columns.kind) {
            n_told[kind] = value->value;
        }
    }
}
