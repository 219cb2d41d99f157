/* SPDX-License-Identifier: MIT */
#include "compare/lane_figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "base/time_sum.h"

struct lanes {
    struct compare_lane *rows;
    uint32_t n_rows;
    struct hash_table by_name;
};

static bool is_row(uint32_t index, const void *wanted, const void *userdata)
{
    const struct lanes *lanes = userdata;
    const struct lane_totals *lane = wanted;
    const struct compare_lane *row = &lanes->rows[index];
    return (uint8_t)row->kind == lane->kind && strcmp(row->name, lane->name) == 0;
}

/* The lane's row, a new one where it has none. NULL: no memory. */
static struct compare_lane *row_of(struct lanes *lanes, const struct lane_totals *lane)
{
    uint64_t key = hash_bytes(lane->name, strlen(lane->name)) + lane->kind;
    uint32_t known = hash_table_find_equal(&lanes->by_name, key, is_row, lane, lanes);
    if (known != HASH_TABLE_NONE) {
        return &lanes->rows[known];
    }
    if (hash_table_add(&lanes->by_name, key, lanes->n_rows) != 0) {
        return NULL;
    }
    struct compare_lane *row = &lanes->rows[lanes->n_rows++];
    *row = (struct compare_lane){
        .name = lane->name, .kind = (enum lane_kind)lane->kind, .is_new = true, .is_gone = true};
    return row;
}

static int add_runs(struct lanes *lanes, const struct compare_runs *runs, bool is_base)
{
    for (size_t i = 0; i < runs->n_runs; i++) {
        const struct snapshot *snapshot = runs->runs[i].snapshot;
        for (uint32_t lane = 0; lane < snapshot->n_lanes; lane++) {
            const struct lane_totals *totals = &snapshot->lanes[lane];
            struct compare_lane *row = row_of(lanes, totals);
            if (!row) {
                return -ENOMEM;
            }
            uint64_t *time_ns = is_base ? &row->base_ns : &row->candidate_ns;
            *time_ns = time_sum_ns(*time_ns, totals->total_ns);
            *(is_base ? &row->base_spans : &row->candidate_spans) += totals->n_spans;
            *(is_base ? &row->is_new : &row->is_gone) = false;
        }
    }
    return 0;
}

static uint64_t mean(uint64_t sum, size_t n)
{
    return (sum + n / 2) / n;
}

static uint64_t larger_ns(const struct compare_lane *row)
{
    return row->base_ns > row->candidate_ns ? row->base_ns : row->candidate_ns;
}

static int by_time(const void *left, const void *right)
{
    const struct compare_lane *a = left, *b = right;
    if (larger_ns(a) != larger_ns(b)) {
        return larger_ns(a) > larger_ns(b) ? -1 : 1;
    }
    int order = strcmp(a->name, b->name);
    return order ? order : (int)a->kind - (int)b->kind;
}

static size_t count_lanes(const struct compare_runs *runs)
{
    size_t n_lanes = 0;
    for (size_t i = 0; i < runs->n_runs; i++) {
        n_lanes += runs->runs[i].snapshot->n_lanes;
    }
    return n_lanes;
}

int lane_figures_compare(const struct compare_runs *base, const struct compare_runs *candidate,
                         struct compare_result *result)
{
    size_t n_most = count_lanes(base) + count_lanes(candidate);
    struct lanes lanes = {
        .rows = arena_alloc_array(base->runs[0].arena, n_most, sizeof(*lanes.rows)),
    };
    if (!lanes.rows) {
        return -ENOMEM;
    }
    hash_table_init(&lanes.by_name);
    int r = add_runs(&lanes, base, true);
    r = r ? r : add_runs(&lanes, candidate, false);
    hash_table_release(&lanes.by_name);
    for (uint32_t i = 0; i < lanes.n_rows && r == 0; i++) {
        struct compare_lane *row = &lanes.rows[i];
        row->base_ns = mean(row->base_ns, base->n_runs);
        row->base_spans = mean(row->base_spans, base->n_runs);
        row->candidate_ns = mean(row->candidate_ns, candidate->n_runs);
        row->candidate_spans = mean(row->candidate_spans, candidate->n_runs);
        row->delta_ns = (int64_t)(row->candidate_ns - row->base_ns);
    }
    if (lanes.n_rows > 1) {
        qsort(lanes.rows, lanes.n_rows, sizeof(*lanes.rows), by_time);
    }
    result->lanes = result->n_lane_rows = lanes.n_rows;
    result->lane_rows = lanes.rows;
    return r;
}
