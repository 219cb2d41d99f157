/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "query/attribution.h"
#include "query/query_names.h"

/* What one row adds up. */
struct sums {
    const struct symbol *symbol; /* NULL: no stack, or by thread */
    bool is_inlined;
    thread_id thread;
    bool is_known, is_scaled;
    uint64_t n_readings;
    double n_expected; /* readings, had the counters never been taken away */
    double values[LIMIT_COUNTERS];
};

struct tally {
    const struct query_context *context;
    const struct query_counters_options *options;
    const struct attribution *attribution;
    double *scales;       /* by thread */
    uint32_t *frame_rows; /* by frame: row + 1; 0: not looked at */
    struct hash_table rows_by_function;
    struct sums *rows;
    uint32_t n_rows, capacity;
    struct sums total;
};

static int add_row(struct tally *tally, const struct sums *row, uint32_t *ret_row)
{
    if (tally->n_rows == tally->capacity) {
        uint32_t capacity = tally->capacity ? 2 * tally->capacity : 256;
        struct sums *rows = arena_alloc_array(tally->context->arena, capacity, sizeof(*rows));
        if (!rows) {
            return -ENOMEM;
        }
        if (tally->n_rows > 0) {
            memcpy(rows, tally->rows, tally->n_rows * sizeof(*rows));
        }
        tally->rows = rows;
        tally->capacity = capacity;
    }
    *ret_row = tally->n_rows;
    tally->rows[tally->n_rows++] = *row;
    return 0;
}

/* The row of a function, by what identifies it; each is made when it is met first. */
static int find_row(struct tally *tally, uint64_t key, const struct sums *row, uint32_t *ret_row)
{
    *ret_row = hash_table_find(&tally->rows_by_function, key);
    if (*ret_row != HASH_TABLE_NONE) {
        return 0;
    }
    int r = add_row(tally, row, ret_row);
    return r ? r : hash_table_add(&tally->rows_by_function, key, *ret_row);
}

static int row_of_stack(struct tally *tally, stack_id stack, uint32_t *ret_row)
{
    const struct query_context *context = tally->context;
    struct sums row = {.thread = THREAD_ID_NONE};
    if (stack == STACK_ID_EMPTY) {
        return find_row(tally, 0, &row, ret_row);
    }
    frame_id frame = snapshot_stack(context->snapshot, stack).frame;
    if (tally->frame_rows[frame] > 0) {
        *ret_row = tally->frame_rows[frame] - 1;
        return 0;
    }
    struct name_chain chain;
    query_names_find_chain(context->names, context->snapshot, frame, &chain);
    row.symbol = chain.entries[0].symbol;
    row.is_inlined = chain.entries[0].is_inlined;
    /* Symbols lie at even addresses. */
    uint64_t key = (uint64_t)(uintptr_t)row.symbol | row.is_inlined;
    int r = find_row(tally, key, &row, ret_row);
    if (r == 0) {
        tally->frame_rows[frame] = *ret_row + 1;
    }
    return r;
}

static int row_of_thread(struct tally *tally, thread_id thread, uint32_t *ret_row)
{
    const struct sums row = {.thread = thread};
    return find_row(tally, (uint64_t)thread, &row, ret_row);
}

static void add_values(struct sums *sums, double scale, uint64_t n_readings,
                       const uint64_t values[LIMIT_COUNTERS])
{
    sums->n_readings += n_readings;
    if (scale <= 0.0) {
        return;
    }
    sums->is_known = true;
    sums->is_scaled = sums->is_scaled || scale > 1.0;
    sums->n_expected += scale * (double)n_readings;
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        sums->values[slot] += scale * (double)values[slot];
    }
}

/* What a thread's counters have counted in a stack, if that is in the view. */
static int count(struct tally *tally, thread_id thread, stack_id stack, uint64_t n_readings,
                 const uint64_t values[LIMIT_COUNTERS])
{
    const uint8_t *is_kept = tally->attribution->stack_is_kept;
    uint32_t row = 0;
    if (!tally->attribution->threads[thread].is_in_view || (is_kept && !is_kept[stack])) {
        return 0;
    }
    int r = tally->options->by == COUNTERS_BY_THREAD ? row_of_thread(tally, thread, &row)
                                                     : row_of_stack(tally, stack, &row);
    if (r != 0) {
        return r;
    }
    add_values(&tally->rows[row], tally->scales[thread], n_readings, values);
    add_values(&tally->total, tally->scales[thread], n_readings, values);
    return 0;
}

static int count_run(struct tally *tally)
{
    const struct snapshot *snapshot = tally->context->snapshot;
    for (size_t i = 0; i < snapshot->n_counter_times && i < snapshot->n_threads; i++) {
        tally->scales[i] = counter_time_scale(&snapshot->counter_times[i]);
    }
    for (size_t i = 0; i < snapshot->n_counter_sums; i++) {
        const struct counter_sums *sums = &snapshot->counter_sums[i];
        int r = count(tally, sums->thread, sums->stack, sums->n_readings, sums->values);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* Readings are in the order of their times: the first one at or past time_ns. */
static uint64_t find_reading(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t low = snapshot->first_reading, high = snapshot->n_readings;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_reading(snapshot, middle)->time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int count_range(struct tally *tally)
{
    const struct snapshot *snapshot = tally->context->snapshot;
    uint64_t first = find_reading(snapshot, tally->attribution->from_ns);
    uint64_t end = find_reading(snapshot, tally->attribution->to_ns);
    struct counter_time *times =
        arena_alloc_array(tally->context->arena, snapshot->n_threads, sizeof(*times));
    if (!times) {
        return -ENOMEM;
    }
    for (uint64_t i = first; i < end; i++) {
        const struct stored_reading *reading = snapshot_reading(snapshot, i);
        times[reading->thread].enabled_ns += reading->enabled_ns;
        times[reading->thread].running_ns += reading->running_ns;
    }
    for (size_t i = 0; i < snapshot->n_counter_times && i < snapshot->n_threads; i++) {
        times[i].tail_ns = snapshot->counter_times[i].tail_ns;
        times[i].longest_ns = snapshot->counter_times[i].longest_ns;
        tally->scales[i] = counter_time_scale(&times[i]);
    }
    for (uint64_t i = first; i < end; i++) {
        const struct stored_reading *reading = snapshot_reading(snapshot, i);
        int r = count(tally, reading->thread, reading->stack, 1, reading->values);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int tally_up(struct tally *tally)
{
    const struct snapshot *snapshot = tally->context->snapshot;
    struct arena *arena = tally->context->arena;
    tally->scales = arena_alloc_array(arena, snapshot->n_threads, sizeof(*tally->scales));
    tally->frame_rows = arena_alloc_array(arena, snapshot->n_frames, sizeof(*tally->frame_rows));
    if (!tally->scales || !tally->frame_rows) {
        return -ENOMEM;
    }
    return view_has_range(tally->context->view) ? count_range(tally) : count_run(tally);
}

static uint64_t whole(double value)
{
    return value < 1.0e18 ? (uint64_t)(value + 0.5) : UINT64_C(1000000000000000000);
}

static bool has_value(const struct counter_set *set, const struct sums *sums,
                      enum counter_slot slot)
{
    return sums->is_known && set->counters[slot].is_available;
}

static struct counters_row row_of(const struct counter_set *set, const struct sums *sums)
{
    const double *values = sums->values;
    struct counters_row row = {
        .image = "",
        .inlined = sums->is_inlined,
        .has_cycles = has_value(set, sums, COUNTER_CYCLES),
        .cycles = whole(values[COUNTER_CYCLES]),
        .has_instructions = has_value(set, sums, COUNTER_INSTRUCTIONS),
        .instructions = whole(values[COUNTER_INSTRUCTIONS]),
        .has_l1d_misses = has_value(set, sums, COUNTER_L1D_MISSES),
        .l1d_misses = whole(values[COUNTER_L1D_MISSES]),
        .has_branch_misses = has_value(set, sums, COUNTER_BRANCH_MISSES),
        .branch_misses = whole(values[COUNTER_BRANCH_MISSES]),
        .scaled = sums->is_scaled,
        .counted_pct =
            sums->n_expected > 0.0 ? 100.0 * (double)sums->n_readings / sums->n_expected : 0.0,
        .samples = sums->n_readings,
    };
    /* Of two counters that are called so, and not of what a test counts in their place. */
    row.has_ipc = row.has_cycles && row.has_instructions && row.cycles > 0 &&
                  strcmp(set->counters[COUNTER_CYCLES].name, "cycles") == 0;
    row.ipc = row.has_ipc ? values[COUNTER_INSTRUCTIONS] / values[COUNTER_CYCLES] : 0.0;
    return row;
}

static struct counters_row name_row(const struct tally *tally, const struct sums *sums)
{
    struct counters_row row = row_of(tally->options->set, sums);
    if (sums->thread != THREAD_ID_NONE) {
        const struct thread_totals *thread = &tally->context->snapshot->threads[sums->thread];
        row.name = thread->name;
        row.image = NULL;
        row.tid = thread->tid;
    } else if (sums->symbol) {
        row.name = sums->symbol->name;
        row.image = sums->symbol->image;
        row.kind = sums->symbol->kind;
    } else {
        row.name = "(no stack)";
    }
    return row;
}

/* Rows are in the order of the first counter that there is. */
static int by_value(const void *left, const void *right, void *userdata)
{
    const struct sums *a = left, *b = right;
    size_t slot = *(const size_t *)userdata;
    if (a->values[slot] < b->values[slot] || a->values[slot] > b->values[slot]) {
        return a->values[slot] > b->values[slot] ? -1 : 1;
    }
    if (a->n_readings != b->n_readings) {
        return a->n_readings > b->n_readings ? -1 : 1;
    }
    return 0;
}

static size_t first_available(const struct counter_set *set)
{
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        if (set->counters[slot].is_available) {
            return slot;
        }
    }
    return 0;
}

static int tell_counters(const struct query_context *context,
                         const struct query_counters_options *options,
                         struct counters_result *result)
{
    const struct counter_set *set = options->set;
    result->counters = arena_alloc_array(context->arena, LIMIT_COUNTERS, sizeof(*result->counters));
    if (!result->counters) {
        return -ENOMEM;
    }
    for (size_t slot = 0; slot < LIMIT_COUNTERS && set->counters[slot].name[0] != '\0'; slot++) {
        const struct counter *counter = &set->counters[slot];
        result->counters[result->n_counters++] = (struct counter_state){
            .name = counter->name,
            .available = counter->is_available,
            .reason = counter->reason[0] != '\0' ? counter->reason : NULL,
        };
    }
    result->available = set->is_available;
    result->user_only = set->is_available && set->is_user_only;
    result->host_has = set->is_available || (!set->is_wanted && !options->unrecorded);
    if (set->is_available) {
        return 0;
    }
    if (set->is_wanted) {
        result->reason = set->reason;
        result->fix = set->fix[0] != '\0' ? set->fix : NULL;
    } else if (options->unrecorded) {
        result->reason = options->unrecorded;
    } else {
        result->reason = "this run was recorded without them";
        result->fix = "stax record --counters …";
    }
    return 0;
}

static int tell_rows(struct tally *tally, struct counters_result *result)
{
    size_t slot = first_available(tally->options->set);
    uint32_t limit = tally->options->limit;
    if (tally->n_rows > 0) {
        qsort_r(tally->rows, tally->n_rows, sizeof(*tally->rows), by_value, &slot);
    }
    result->all_rows = tally->n_rows;
    result->n_rows = limit > 0 && tally->n_rows > limit ? limit : tally->n_rows;
    result->rows = arena_alloc_array(tally->context->arena, result->n_rows, sizeof(*result->rows));
    if (!result->rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < result->n_rows; i++) {
        result->rows[i] = name_row(tally, &tally->rows[i]);
    }
    result->total = row_of(tally->options->set, &tally->total);
    result->total.name = "(all)";
    result->total.image = NULL;
    return 0;
}

static const char *hint_of(const struct query_context *context,
                           const struct attribution *attribution,
                           const struct counters_result *result)
{
    if (!result->available || (result->n_rows > 0 && attribution->totals.samples == 0)) {
        return NULL;
    }
    return attribution_hint(context, attribution);
}

int query_counters(const struct query_context *context,
                   const struct query_counters_options *options, struct counters_result *ret_result,
                   struct error *reterr_error)
{
    struct attribution attribution;
    int r = attribution_compute(context, &attribution, reterr_error);
    if (r != 0) {
        return r;
    }
    struct counters_result result = {
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .by = options->by,
        .dropped = context->snapshot->n_readings_dropped,
    };
    struct tally tally = {
        .context = context,
        .options = options,
        .attribution = &attribution,
        .total = {.thread = THREAD_ID_NONE},
    };
    hash_table_init(&tally.rows_by_function);
    r = tell_counters(context, options, &result);
    r = r ? r : tally_up(&tally);
    r = r ? r : tell_rows(&tally, &result);
    hash_table_release(&tally.rows_by_function);
    if (r != 0) {
        return r;
    }
    result.hint = hint_of(context, &attribution, &result);
    *ret_result = result;
    return 0;
}
