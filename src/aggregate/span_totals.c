/* SPDX-License-Identifier: MIT */
#include "aggregate/span_totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_sum.h"

#define LONGEST_FIRST 2u

/* Beyond the bounds there is room for the "(other)" of each lane. */
#define SUMS_IN_ALL (SPAN_SUMS_MAX + LIMIT_LANES)
#define ORIGINS_IN_ALL (ORIGIN_SUMS_MAX + LIMIT_LANES * ORIGIN_STATE_N)
#define WAITS_IN_ALL (SPAN_WAIT_SUMS_MAX + LIMIT_LANES)

void span_totals_init(struct span_totals *totals)
{
    *totals = (struct span_totals){0};
    hash_table_init(&totals->sum_ids);
    hash_table_init(&totals->origin_ids);
    hash_table_init(&totals->wait_ids);
}

void span_totals_release(struct span_totals *totals)
{
    for (size_t i = 0; i < totals->n_sums; i++) {
        quantile_unhold(totals->rows[i].lengths);
        free(totals->rows[i].longest);
    }
    free(totals->sums);
    free(totals->rows);
    free(totals->order);
    free(totals->origins);
    free(totals->waits);
    hash_table_release(&totals->sum_ids);
    hash_table_release(&totals->origin_ids);
    hash_table_release(&totals->wait_ids);
    *totals = (struct span_totals){0};
}

/* The array with room for one more item, or NULL: it is as it was. */
static void *make_room(void *items, size_t n_items, size_t *capacity, size_t item_bytes)
{
    if (n_items < *capacity) {
        return items;
    }
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = reallocarray(items, wanted, item_bytes);
    if (grown) {
        *capacity = wanted;
    }
    return grown;
}

/* ---- by lane and name ---- */

_Static_assert(LIMIT_LANES <= 1u << 12 && LIMIT_SPAN_NAMES < 1u << 20,
               "a lane and a name share 32 bits: the table of keys folds what is above into them");

/* In the order of lanes, then names. */
static uint64_t key_of(uint32_t lane, uint32_t name)
{
    return (uint64_t)lane << 20 | name;
}

static uint64_t place_key(thread_id thread, stack_id stack)
{
    return (uint64_t)thread << 32 | stack;
}

static int put_row(struct span_totals *totals, const struct span_sums *sums)
{
    struct span_sums *grown =
        make_room(totals->sums, totals->n_sums, &totals->sums_capacity, sizeof(*grown));
    totals->sums = grown ? grown : totals->sums;
    struct span_row *rows =
        make_room(totals->rows, totals->n_sums, &totals->rows_capacity, sizeof(*rows));
    totals->rows = rows ? rows : totals->rows;
    struct quantile *lengths = grown && rows ? quantile_new() : NULL;
    if (!lengths) {
        return -ENOMEM;
    }
    int r =
        hash_table_add(&totals->sum_ids, key_of(sums->lane, sums->name), (uint32_t)totals->n_sums);
    if (r != 0) {
        quantile_unhold(lengths);
        return r;
    }
    totals->lengths_bytes += quantile_memory_bytes(lengths);
    totals->sums[totals->n_sums] = *sums;
    totals->rows[totals->n_sums] =
        (struct span_row){.lengths = lengths, .latest_origin = SPAN_ROW_NONE};
    totals->n_sums++;
    return 0;
}

uint32_t span_totals_append(struct span_totals *totals, const struct span_sums *sums)
{
    bool is_there =
        hash_table_find(&totals->sum_ids, key_of(sums->lane, sums->name)) != HASH_TABLE_NONE;
    if (is_there || totals->n_sums >= SUMS_IN_ALL || put_row(totals, sums) != 0) {
        return SPAN_ROW_NONE;
    }
    return (uint32_t)totals->n_sums - 1;
}

bool span_totals_has(const struct span_totals *totals, uint32_t lane, uint32_t name)
{
    return hash_table_find(&totals->sum_ids, key_of(lane, name)) != HASH_TABLE_NONE;
}

uint32_t span_totals_find(struct span_totals *totals, uint32_t lane, uint32_t name)
{
    uint32_t row = hash_table_find(&totals->sum_ids, key_of(lane, name));
    if (row != HASH_TABLE_NONE) {
        return row;
    }
    const struct span_sums empty = {.lane = lane, .name = name};
    if (name == 0 || totals->n_sums < SPAN_SUMS_MAX) {
        return span_totals_append(totals, &empty);
    }
    return span_totals_find(totals, lane, 0);
}

int span_totals_add_length(struct span_totals *totals, uint32_t row, uint64_t length_ns,
                           uint64_t count)
{
    struct quantile **lengths = &totals->rows[row].lengths;
    if (!quantile_has_room(*lengths, length_ns) &&
        totals->lengths_bytes >= SPAN_LENGTHS_MAX_BYTES) {
        totals->n_lengths_left_out += count;
        return -ENOSPC;
    }
    size_t before_bytes = quantile_memory_bytes(*lengths);
    int r = quantile_own(lengths);
    r = r ? r : quantile_add(*lengths, length_ns, count);
    totals->lengths_bytes += quantile_memory_bytes(*lengths) - before_bytes;
    totals->n_lengths_left_out += r != 0 ? count : 0;
    return r;
}

static uint64_t length_of(const struct stored_span *span)
{
    return span->end_ns - span->start_ns;
}

/* What of it lies in the run. */
static uint64_t inside_ns(const struct span_totals *totals, const struct stored_span *span)
{
    uint64_t start_ns =
        span->start_ns > totals->run_start_ns ? span->start_ns : totals->run_start_ns;
    return span->end_ns > start_ns ? span->end_ns - start_ns : 0;
}

void span_totals_keep_longest(struct span_totals *totals, uint32_t row,
                              const struct stored_span *span, uint64_t index)
{
    struct span_row *own = &totals->rows[row];
    bool is_full = own->n_longest == SNAPSHOT_LONGEST_SPANS;
    if (is_full && length_of(span) <= own->least_longest_ns) {
        return;
    }
    if (!is_full && own->n_longest == own->longest_capacity) {
        uint32_t capacity = own->longest_capacity ? 2 * own->longest_capacity : LONGEST_FIRST;
        struct longest_span *longest = reallocarray(own->longest, capacity, sizeof(*longest));
        if (!longest) {
            return;
        }
        totals->longest_bytes += (capacity - own->longest_capacity) * sizeof(*longest);
        own->longest = longest;
        own->longest_capacity = capacity;
    }
    uint32_t at = is_full ? own->n_longest - 1 : own->n_longest;
    own->n_longest += !is_full;
    totals->n_longest += !is_full;
    for (; at > 0 && length_of(&own->longest[at - 1].span) < length_of(span); at--) {
        own->longest[at] = own->longest[at - 1];
    }
    own->longest[at] = (struct longest_span){.span = *span, .index = index};
    if (own->n_longest == SNAPSHOT_LONGEST_SPANS) {
        own->least_longest_ns = length_of(&own->longest[SNAPSHOT_LONGEST_SPANS - 1].span);
    }
}

void span_totals_count(struct span_totals *totals, uint32_t row, const struct stored_span *span,
                       uint64_t index, uint64_t waited_ns)
{
    struct span_sums *sums = &totals->sums[row];
    uint64_t length_ns = length_of(span);
    sums->min_ns = sums->n_spans == 0 || length_ns < sums->min_ns ? length_ns : sums->min_ns;
    sums->max_ns = length_ns > sums->max_ns ? length_ns : sums->max_ns;
    sums->n_spans++;
    sums->total_ns = time_sum_ns(sums->total_ns, inside_ns(totals, span));
    sums->length_ns = time_sum_ns(sums->length_ns, length_ns);
    sums->n_waited += waited_ns > 0;
    sums->waited_ns = time_sum_ns(sums->waited_ns, waited_ns);
    totals->n_others += sums->name != span->name;
    (void)span_totals_add_length(totals, row, length_ns, 1); /* counted there */
    span_totals_keep_longest(totals, row, span, index);
}

/* ---- by what became of origins ---- */

static bool is_same_origin(uint32_t number, const void *wanted, const void *userdata)
{
    const struct origin_sums *row = wanted;
    const struct origin_sums *known = &((const struct span_totals *)userdata)->origins[number];
    return known->lane == row->lane && known->name == row->name && known->thread == row->thread &&
           known->stack == row->stack && known->state == row->state;
}

static uint64_t origin_key(const struct origin_sums *row)
{
    return hash_u64(key_of(row->lane, row->name) ^
                    hash_u64(place_key(row->thread, row->stack) ^ (uint64_t)row->state << 60));
}

static int append_origin(struct span_totals *totals, const struct origin_sums *sums)
{
    if (totals->n_origins >= ORIGINS_IN_ALL) {
        return -ENOSPC;
    }
    struct origin_sums *grown =
        make_room(totals->origins, totals->n_origins, &totals->origins_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    totals->origins = grown;
    int r = hash_table_add(&totals->origin_ids, origin_key(sums), (uint32_t)totals->n_origins);
    if (r == 0) {
        totals->origins[totals->n_origins++] = *sums;
    }
    return r;
}

int span_totals_merge_origin(struct span_totals *totals, const struct origin_sums *sums)
{
    uint32_t number =
        hash_table_find_equal(&totals->origin_ids, origin_key(sums), is_same_origin, sums, totals);
    if (number == HASH_TABLE_NONE) {
        return append_origin(totals, sums);
    }
    struct origin_sums *known = &totals->origins[number];
    known->n_spans += sums->n_spans;
    known->total_ns = time_sum_ns(known->total_ns, sums->total_ns);
    return 0;
}

static int find_origin(struct span_totals *totals, const struct origin_sums *wanted,
                       uint32_t *ret_number)
{
    struct origin_sums row = *wanted;
    *ret_number =
        hash_table_find_equal(&totals->origin_ids, origin_key(&row), is_same_origin, &row, totals);
    if (*ret_number == HASH_TABLE_NONE && totals->n_origins >= ORIGIN_SUMS_MAX) {
        row.name = 0;
        row.thread = THREAD_ID_NONE;
        row.stack = STACK_ID_EMPTY;
        *ret_number = hash_table_find_equal(&totals->origin_ids, origin_key(&row), is_same_origin,
                                            &row, totals);
    }
    if (*ret_number != HASH_TABLE_NONE) {
        return 0;
    }
    *ret_number = (uint32_t)totals->n_origins;
    return append_origin(totals, &row);
}

/* The same as in a span that is stored. */
static void settle_longest(const struct span_row *row, const struct stored_span *span,
                           uint64_t index)
{
    if (row->n_longest == SNAPSHOT_LONGEST_SPANS && length_of(span) < row->least_longest_ns) {
        return;
    }
    for (uint32_t i = 0; i < row->n_longest; i++) {
        if (row->longest[i].index == index) {
            row->longest[i].span = *span;
        }
    }
}

int span_totals_count_origin(struct span_totals *totals, uint32_t row,
                             const struct stored_span *span, uint64_t index)
{
    struct span_row *own = &totals->rows[row];
    bool is_linked = span->state == ORIGIN_LINKED;
    const struct origin_sums wanted = {
        .lane = span->lane,
        .name = totals->sums[row].name,
        .thread = is_linked ? span->origin_thread : THREAD_ID_NONE,
        .stack = is_linked ? span->origin_stack : STACK_ID_EMPTY,
        .state = span->state,
    };
    settle_longest(own, span, index);
    uint32_t number = own->latest_origin;
    if (number == SPAN_ROW_NONE || !is_same_origin(number, &wanted, totals)) {
        int r = find_origin(totals, &wanted, &number);
        if (r != 0) {
            return r;
        }
        own->latest_origin = number;
    }
    totals->n_others += totals->origins[number].name != wanted.name;
    struct origin_sums *sums = &totals->origins[number];
    sums->n_spans++;
    sums->total_ns = time_sum_ns(sums->total_ns, inside_ns(totals, span));
    return 0;
}

/* ---- by where somebody waited ---- */

static bool is_same_wait(uint32_t number, const void *wanted, const void *userdata)
{
    const struct span_wait_sums *row = wanted;
    const struct span_wait_sums *known = &((const struct span_totals *)userdata)->waits[number];
    return known->lane == row->lane && known->name == row->name && known->thread == row->thread &&
           known->stack == row->stack;
}

static uint64_t wait_key(const struct span_wait_sums *row)
{
    return hash_u64(key_of(row->lane, row->name) ^ hash_u64(place_key(row->thread, row->stack)));
}

static int append_wait(struct span_totals *totals, const struct span_wait_sums *sums)
{
    if (totals->n_waits >= WAITS_IN_ALL) {
        return -ENOSPC;
    }
    struct span_wait_sums *grown =
        make_room(totals->waits, totals->n_waits, &totals->waits_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    totals->waits = grown;
    int r = hash_table_add(&totals->wait_ids, wait_key(sums), (uint32_t)totals->n_waits);
    if (r == 0) {
        totals->waits[totals->n_waits++] = *sums;
    }
    return r;
}

int span_totals_merge_wait(struct span_totals *totals, const struct span_wait_sums *sums)
{
    uint32_t number =
        hash_table_find_equal(&totals->wait_ids, wait_key(sums), is_same_wait, sums, totals);
    if (number == HASH_TABLE_NONE) {
        return append_wait(totals, sums);
    }
    struct span_wait_sums *known = &totals->waits[number];
    known->n_waits += sums->n_waits;
    known->waited_ns = time_sum_ns(known->waited_ns, sums->waited_ns);
    return 0;
}

int span_totals_count_wait(struct span_totals *totals, const struct span_wait_sums *wait)
{
    struct span_wait_sums row = *wait;
    uint32_t number =
        hash_table_find_equal(&totals->wait_ids, wait_key(&row), is_same_wait, &row, totals);
    if (number == HASH_TABLE_NONE && totals->n_waits >= SPAN_WAIT_SUMS_MAX) {
        totals->n_others++;
        row.name = 0;
        row.thread = THREAD_ID_NONE;
        row.stack = STACK_ID_EMPTY;
        number =
            hash_table_find_equal(&totals->wait_ids, wait_key(&row), is_same_wait, &row, totals);
    }
    if (number == HASH_TABLE_NONE) {
        return append_wait(totals, &row);
    }
    struct span_wait_sums *sums = &totals->waits[number];
    sums->n_waits += wait->n_waits;
    sums->waited_ns = time_sum_ns(sums->waited_ns, wait->waited_ns);
    return 0;
}

static int compare_rows(const void *left, const void *right, void *userdata)
{
    const struct span_totals *totals = userdata;
    const struct span_sums *one = &totals->sums[*(const uint32_t *)left];
    const struct span_sums *other = &totals->sums[*(const uint32_t *)right];
    uint64_t one_key = key_of(one->lane, one->name), other_key = key_of(other->lane, other->name);
    return (one_key > other_key) - (one_key < other_key);
}

const uint32_t *span_totals_order(struct span_totals *totals)
{
    if (totals->n_ordered == totals->n_sums && totals->order) {
        return totals->order;
    }
    uint32_t *order = reallocarray(totals->order, totals->n_sums + 1, sizeof(*order));
    if (!order) {
        return NULL;
    }
    for (size_t i = 0; i < totals->n_sums; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, totals->n_sums, sizeof(*order), compare_rows, totals);
    totals->order = order;
    totals->n_ordered = totals->n_sums;
    return order;
}

size_t span_totals_memory_bytes(const struct span_totals *totals)
{
    return totals->sums_capacity * sizeof(*totals->sums) +
           totals->rows_capacity * sizeof(*totals->rows) +
           hash_table_memory_bytes(&totals->sum_ids) +
           totals->origins_capacity * sizeof(*totals->origins) +
           hash_table_memory_bytes(&totals->origin_ids) +
           totals->waits_capacity * sizeof(*totals->waits) +
           hash_table_memory_bytes(&totals->wait_ids) + totals->n_ordered * sizeof(*totals->order) +
           totals->longest_bytes + totals->lengths_bytes;
}
