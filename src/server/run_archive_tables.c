/* SPDX-License-Identifier: MIT */
#include "server/run_archive_tables.h"

#include "query/query.h"
#include "server/run_object_namer.h"

#define N_VALUES(values) (sizeof(values) / sizeof((values)[0]))

static struct archive_value text_of(const char *text)
{
    return (struct archive_value){.text = text ? text : ""};
}

static struct archive_value number_of(uint64_t number)
{
    return (struct archive_value){.number = number <= INT64_MAX ? (int64_t)number : INT64_MAX};
}

static int write_threads(const struct query_context *context, struct archive_writer *writer,
                         struct error *reterr_error)
{
    struct threads_result threads;
    const struct query_threads_options options = {.limit = 0};
    int r = query_threads(context, &options, &threads, reterr_error);
    r = r ? r
          : archive_writer_sql(writer,
                               "CREATE TABLE threads(tid INTEGER, pid INTEGER, name TEXT, "
                               "cpu_ns INTEGER, runq_ns INTEGER, off_cpu_ns INTEGER, "
                               "samples INTEGER)",
                               NULL, 0, reterr_error);
    for (size_t i = 0; r == 0 && i < threads.n_rows; i++) {
        const struct thread_row *row = &threads.rows[i];
        const struct archive_value values[] = {
            {.number = row->tid},    {.number = row->pid},    text_of(row->name),
            number_of(row->cpu_ns),  number_of(row->runq_ns), number_of(row->off_cpu_ns),
            number_of(row->samples),
        };
        r = archive_writer_sql(writer, "INSERT INTO threads VALUES(?, ?, ?, ?, ?, ?, ?)", values,
                               N_VALUES(values), reterr_error);
    }
    return r;
}

static int write_functions(const struct query_context *context, struct archive_writer *writer,
                           struct totals *ret_totals, struct error *reterr_error)
{
    struct top_result top;
    const struct query_top_options options = {.sort = TOP_SORT_SELF, .limit = 0};
    int r = query_top(context, &options, &top, reterr_error);
    r = r ? r
          : archive_writer_sql(writer,
                               "CREATE TABLE functions(name TEXT, image TEXT, self_ns INTEGER, "
                               "total_ns INTEGER, self_samples INTEGER, total_samples INTEGER)",
                               NULL, 0, reterr_error);
    for (size_t i = 0; r == 0 && i < top.n_rows; i++) {
        const struct top_row *row = &top.rows[i];
        const struct archive_value values[] = {
            text_of(row->name),
            text_of(row->image),
            number_of(row->self_active_ns),
            number_of(row->total_active_ns),
            number_of(row->self_samples),
            number_of(row->total_samples),
        };
        r = archive_writer_sql(writer, "INSERT INTO functions VALUES(?, ?, ?, ?, ?, ?)", values,
                               N_VALUES(values), reterr_error);
    }
    if (r == 0) {
        *ret_totals = top.totals;
    }
    return r;
}

static int write_totals(const struct totals *totals, struct archive_writer *writer,
                        struct error *reterr_error)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"active_ns", totals->active_ns},   {"cpu_ns", totals->cpu_ns},
        {"target_ns", totals->target_ns},   {"runq_ns", totals->runq_ns},
        {"off_cpu_ns", totals->off_cpu_ns}, {"samples", totals->samples},
        {"spans", totals->spans},
    };
    int r = archive_writer_sql(writer, "CREATE TABLE totals(name TEXT, value INTEGER)", NULL, 0,
                               reterr_error);
    for (size_t i = 0; r == 0 && i < N_VALUES(rows); i++) {
        const struct archive_value values[] = {text_of(rows[i].name), number_of(rows[i].value)};
        r = archive_writer_sql(writer, "INSERT INTO totals VALUES(?, ?)", values, N_VALUES(values),
                               reterr_error);
    }
    return r;
}

int run_archive_tables_write(struct run *run, struct snapshot *snapshot, struct arena *arena,
                             struct archive_writer *writer, struct error *reterr_error)
{
    const struct view view = {.run = run_get_id(run)};
    const struct object_namer objects = run_object_namer(run);
    const struct query_context context = {
        .snapshot = snapshot,
        .names = run_get_names(run),
        .view = &view,
        .run = run_get_id(run),
        .state = run_get_state(run),
        .arena = arena,
        .objects = &objects,
    };
    struct totals totals = {.samples = 0};
    int r = write_threads(&context, writer, reterr_error);
    r = r ? r : write_functions(&context, writer, &totals, reterr_error);
    return r ? r : write_totals(&totals, writer, reterr_error);
}
