/* SPDX-License-Identifier: MIT */

/*
 * Records of a run that nobody has recorded: what is made of them is asked
 * everything, for the whole run and for a part of it.
 *
 * Input: number of a kind less 1, number of rows, the rows as they lie in memory; and so on.
 * Instead of a kind TIMES, a byte, and when the run began and ended.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/history_members.h"
#include "archive/history_tables.h"
#include "query/query.h"
#include "query/query_names.h"

#define ARENA_MAX_BYTES (64u << 20)
#define ROWS_MAX 256u
#define TIMES 255u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct members {
    struct column_buffer buffers[HISTORY_KIND_N];
};

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* A run of a day, in which all that comes was told. */
static void put_run(struct members *members)
{
    struct history_value values[HISTORY_KIND_N + 2] = {
        {HISTORY_KEY_START_NS, 1000},
        {HISTORY_KEY_NOW_NS, UINT64_C(86400000000000)},
    };
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        const struct history_table *table = history_table((enum history_kind)kind);
        values[kind + 2] =
            (struct history_value){(uint16_t)(HISTORY_KEY_ROWS + table->columns.kind), 1u << 20};
    }
    require(column_append(&members->buffers[HISTORY_RUN], &history_table(HISTORY_RUN)->columns,
                          values, HISTORY_KIND_N + 2) == 0);
}

/* Behind the other values, which these stand instead of. */
static size_t put_times(struct members *members, const uint8_t *data, size_t size)
{
    struct history_value values[2] = {{HISTORY_KEY_START_NS, 0}, {HISTORY_KEY_NOW_NS, 0}};
    if (size < 18) {
        return size;
    }
    memcpy(&values[0].value, data + 2, 8);
    memcpy(&values[1].value, data + 10, 8);
    require(column_append(&members->buffers[HISTORY_RUN], &history_table(HISTORY_RUN)->columns,
                          values, 2) == 0);
    return 18;
}

/* By the number that it has for ever. */
static enum history_kind kind_of(uint8_t byte)
{
    uint16_t number = byte % HISTORY_KIND_N + 1;
    int kind = 0;
    while (kind < HISTORY_KIND_N - 1 &&
           history_table((enum history_kind)kind)->columns.kind != number) {
        kind++;
    }
    return (enum history_kind)kind;
}

/* Takes one batch of rows off the input; how many bytes that were. */
static size_t put_rows(struct members *members, const uint8_t *data, size_t size)
{
    static uint8_t rows[ROWS_MAX * HISTORY_ROW_BYTES];
    if (data[0] == TIMES) {
        return put_times(members, data, size);
    }
    enum history_kind kind = kind_of(data[0]);
    const struct column_table *table = &history_table(kind)->columns;
    size_t n_rows = data[1];
    size_t n_bytes = n_rows * table->row_bytes;
    n_bytes = n_bytes < size - 2 ? n_bytes : size - 2;
    memset(rows, 0, sizeof(rows));
    memcpy(rows, data + 2, n_bytes);
    require(column_append(&members->buffers[kind], table, rows, n_rows) == 0);
    return 2 + n_bytes;
}

static int read_member(void *userdata, const char *name, struct archive_bytes *ret_bytes)
{
    const struct members *members = userdata;
    *ret_bytes = (struct archive_bytes){.state = ARCHIVE_MISSING};
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        const struct column_buffer *buffer = &members->buffers[kind];
        if (strcmp(history_table((enum history_kind)kind)->member, name) == 0 &&
            buffer->n_bytes > 0) {
            ret_bytes->bytes = malloc(buffer->n_bytes);
            require(ret_bytes->bytes != NULL);
            memcpy(ret_bytes->bytes, buffer->bytes, buffer->n_bytes);
            ret_bytes->n_bytes = buffer->n_bytes;
            ret_bytes->state = ARCHIVE_WHOLE;
        }
    }
    return 0;
}

static void ask_waits(const struct query_context *context)
{
    struct error error = {0};
    union {
        struct off_cpu_result off_cpu;
        struct intervals_result intervals;
        struct wakers_result wakers;
        struct timeline_result timeline;
        struct why_result why;
    } result;
    const struct query_off_cpu_options off_cpu = {.limit = 50};
    const struct query_intervals_options intervals = {.limit = 50};
    const struct query_wakers_options wakers = {.by_stack = true, .limit = 50};
    const struct query_wakers_options chain = {.chain = true, .limit = 50};
    const struct query_timeline_options timeline = {.buckets = 64};
    const struct query_why_options why = {.limit = 50};
    (void)query_off_cpu(context, &off_cpu, &result.off_cpu, &error);
    (void)query_intervals(context, &intervals, &result.intervals, &error);
    (void)query_wakers(context, &wakers, &result.wakers, &error);
    (void)query_wakers(context, &chain, &result.wakers, &error);
    (void)query_timeline(context, &timeline, &result.timeline, &error);
    (void)query_why(context, &why, &result.why, &error);
}

static void ask_spans(const struct query_context *context)
{
    struct error error = {0};
    union {
        struct target_lanes_result lanes;
        struct target_top_result top;
        struct target_spans_result spans;
        struct target_origins_result origins;
    } result;
    const struct query_target_lanes_options lanes = {.limit = 50};
    const struct query_target_top_options top = {.sort = TARGET_TOP_SORT_P95, .limit = 50};
    const struct query_target_spans_options longest = {.limit = 50};
    const struct query_target_spans_options latest = {.order = TARGET_SPANS_ORDER_LATEST,
                                                      .limit = 50};
    const struct query_target_origins_options origins = {.limit = 50};
    (void)query_target_lanes(context, &lanes, &result.lanes, &error);
    (void)query_target_top(context, &top, &result.top, &error);
    (void)query_target_spans(context, &longest, &result.spans, &error);
    (void)query_target_spans(context, &latest, &result.spans, &error);
    (void)query_target_origins(context, &origins, &result.origins, &error);
}

static void ask(const struct query_context *about, const struct view *view)
{
    struct query_context own = *about, *context = &own;
    struct arena arena;
    struct error error = {0};
    union {
        struct top_result top;
        struct flame_result flame;
        struct threads_result threads;
        struct counters_result counters;
    } result;
    const struct query_top_options top = {.limit = 50};
    const struct query_flame_options flame = {.max_depth = 40, .threshold_pct = 0.1};
    const struct query_threads_options threads = {0};
    const struct counter_set set = {0};
    const struct query_counters_options counters = {.limit = 50, .set = &set};
    arena_init(&arena, ARENA_MAX_BYTES);
    context->arena = &arena;
    context->view = view;
    (void)query_top(context, &top, &result.top, &error);
    (void)query_flame(context, &flame, &result.flame, &error);
    (void)query_threads(context, &threads, &result.threads, &error);
    (void)query_counters(context, &counters, &result.counters, &error);
    ask_waits(context);
    ask_spans(context);
    arena_release(&arena);
}

static void ask_all(struct aggregate *aggregate)
{
    struct query_names *names = NULL;
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    require(snapshot && query_names_new(NULL, &names) == 0);
    const struct query_context context = {
        .snapshot = snapshot, .names = names, .run = 1, .state = RUN_STATE_STOPPED};
    const struct view whole = {0};
    const struct view part = {
        .has_from = true, .has_to = true, .from_ns = 1000000, .to_ns = 30000000000};
    const struct view waits = {.mode = VIEW_MODE_OFF_CPU};
    const struct view spans = {.mode = VIEW_MODE_TARGET};
    ask(&context, &whole);
    ask(&context, &part);
    ask(&context, &waits);
    ask(&context, &spans);
    query_names_free(names);
    snapshot_unref(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct members members = {0};
    const struct aggregate_config config = {.max_memory_bytes = 64u << 20};
    const struct history_members from = {.read = read_member, .userdata = &members};
    struct run_history_damage damage;
    struct aggregate *aggregate = NULL;
    struct error error = {0};
    put_run(&members);
    for (size_t at = 0; at + 2 < size;) {
        at += put_rows(&members, data + at, size - at);
    }
    int r = history_members_read(&from, &config, &aggregate, &damage, &error);
    require((r == 0) != error_is_set(&error));
    if (r == 0) {
        ask_all(aggregate);
    }
    aggregate_free(aggregate);
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        column_buffer_release(&members.buffers[kind]);
    }
    return 0;
}
