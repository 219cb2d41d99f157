/* SPDX-License-Identifier: MIT */
/*
 * The format of callgrind_annotate and KCachegrind, version 1: self costs by
 * function and line, and costs of calls by caller, line and callee. Nobody
 * counts calls, so the number of a call is that of the samples and waits that
 * met it. A call that stands several times on one stack counts it once, and
 * that of a function to itself never, so that its inclusive cost is its total
 * in `stax top`.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/hash_table.h"
#include "interchange/export_format.h"
#include "interchange/export_strings.h"

#define NO_CALLEE UINT32_MAX
#define FIRST_ROOM 1024u

enum cost { COST_CPU, COST_OFF_CPU, COST_SAMPLES, COST_WAITS, COST_N };

/* What a function spent at one line, itself or in what it called from there. */
struct cell {
    uint32_t function, callee; /* NO_CALLEE: itself */
    uint32_t file, line;       /* file: number of a string */
    uint32_t met_in;           /* 1 + the row that it was met in last */
    uint64_t costs[COST_N];
};

struct work {
    struct export_job *job;
    struct export_strings files;
    struct hash_table known;
    struct cell *cells;
    uint32_t n_cells, n_room;
    uint64_t totals[COST_N];
    /* Names that have been written: by function, file and image. */
    bool *function_is_told, *file_is_told, *object_is_told;
};

static bool is_same(uint32_t number, const void *wanted, const void *userdata)
{
    const struct cell *known = &((const struct work *)userdata)->cells[number], *cell = wanted;
    return known->function == cell->function && known->callee == cell->callee &&
           known->file == cell->file && known->line == cell->line;
}

static struct cell *get_cell(struct work *work, const struct cell *wanted)
{
    uint64_t hash = hash_u64((uint64_t)wanted->function << 32 | wanted->callee) ^
                    hash_u64(~((uint64_t)wanted->file << 32 | wanted->line));
    uint32_t number = hash_table_find_equal(&work->known, hash, is_same, wanted, work);
    if (number != HASH_TABLE_NONE) {
        return &work->cells[number];
    }
    if (work->n_cells == work->n_room) {
        uint32_t n_room = work->n_room ? 2 * work->n_room : FIRST_ROOM;
        struct cell *grown =
            n_room > work->n_room ? reallocarray(work->cells, n_room, sizeof(*grown)) : NULL;
        if (!grown) {
            return NULL;
        }
        work->cells = grown;
        work->n_room = n_room;
    }
    if (hash_table_add(&work->known, hash, work->n_cells) != 0) {
        return NULL;
    }
    work->cells[work->n_cells] = *wanted;
    return &work->cells[work->n_cells++];
}

/* ---- sums ---- */

static int add(struct work *work, size_t row_number, uint32_t place, uint32_t callee)
{
    const struct export_row *row = &work->job->shares.rows[row_number];
    const struct export_place *at = &work->job->frames.places[place];
    const struct cell wanted = {
        .function = at->function,
        .callee = callee,
        .file = export_strings_number(&work->files, at->file),
        .line = at->file ? at->line : 0,
    };
    struct cell *cell = get_cell(work, &wanted);
    if (!cell) {
        return -ENOMEM;
    }
    if (cell->met_in == row_number + 1) {
        return 0;
    }
    cell->met_in = (uint32_t)row_number + 1;
    bool is_wait = row->kind == EXPORT_ROW_WAIT;
    cell->costs[is_wait ? COST_OFF_CPU : COST_CPU] += row->time_ns;
    cell->costs[is_wait ? COST_WAITS : COST_SAMPLES] += row->n;
    if (callee == NO_CALLEE) {
        work->totals[is_wait ? COST_OFF_CPU : COST_CPU] += row->time_ns;
        work->totals[is_wait ? COST_WAITS : COST_SAMPLES] += row->n;
    }
    return 0;
}

static int add_row(struct work *work, size_t row_number)
{
    struct export_job *job = work->job;
    const struct export_row *row = &job->shares.rows[row_number];
    const uint32_t *path;
    size_t n_path;
    int r = export_frames_path(&job->frames, row->shown_stack, &path, &n_path);
    if (r == 0 && n_path == 0) {
        return add(work, row_number, export_outer_place(job, row), NO_CALLEE);
    }
    for (size_t i = 0; i + 1 < n_path && r == 0; i++) {
        uint32_t callee = job->frames.places[path[i + 1]].function;
        bool is_itself = job->frames.places[path[i]].function == callee;
        r = is_itself ? 0 : add(work, row_number, path[i], callee);
    }
    return r ? r : add(work, row_number, path[n_path - 1], NO_CALLEE);
}

/* Functions together, of each its own file first, of each file its own costs first. */
static int by_position(const void *left, const void *right)
{
    const struct cell *a = left, *b = right;
    if (a->function != b->function) {
        return a->function < b->function ? -1 : 1;
    }
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    if ((a->callee == NO_CALLEE) != (b->callee == NO_CALLEE)) {
        return a->callee == NO_CALLEE ? -1 : 1;
    }
    if (a->callee != b->callee) {
        return a->callee < b->callee ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

/* ---- text ---- */

/* A name in full where it is met first, then its number alone. */
static void put_name(struct export_sink *sink, const char *key, uint64_t number, const char *name,
                     bool *is_told)
{
    export_sink_text(sink, key);
    export_sink_char(sink, '(');
    export_sink_u64(sink, number + 1);
    export_sink_char(sink, ')');
    if (!*is_told) {
        export_sink_char(sink, ' ');
        export_sink_line(sink, name, "");
        *is_told = true;
    }
    export_sink_char(sink, '\n');
}

static void put_file(struct work *work, const char *key, uint32_t file)
{
    const char *name = work->files.strings[file];
    put_name(&work->job->sink, key, file, name[0] != '\0' ? name : "???",
             &work->file_is_told[file]);
}

static void put_object(struct work *work, const char *key, const struct export_function *function)
{
    const struct snapshot *snapshot = work->job->context->snapshot;
    image_id id = function->image_id; /* of what has no code that of the unknown image */
    put_name(&work->job->sink, key, id, snapshot_image(snapshot, id)->path,
             &work->object_is_told[id]);
}

static void put_function(struct work *work, const char *key, uint32_t number)
{
    put_name(&work->job->sink, key, number, work->job->frames.functions[number].name,
             &work->function_is_told[number]);
}

static void put_costs(struct export_sink *sink, const uint64_t *costs)
{
    for (size_t i = 0; i < COST_N; i++) {
        export_sink_char(sink, ' ');
        export_sink_u64(sink, costs[i]);
    }
    export_sink_char(sink, '\n');
}

static uint32_t own_file(struct work *work, const struct export_function *function)
{
    return export_strings_number(&work->files, function->file);
}

static void put_cell(struct work *work, const struct cell *cell, const struct cell *before)
{
    struct export_sink *sink = &work->job->sink;
    const struct export_function *functions = work->job->frames.functions;
    bool is_new = !before || before->function != cell->function;
    uint32_t file_before = before ? before->file : 0;
    if (is_new) {
        const struct export_function *function = &functions[cell->function];
        file_before = own_file(work, function);
        export_sink_char(sink, '\n');
        put_object(work, "ob=", function);
        put_file(work, "fl=", file_before);
        put_function(work, "fn=", cell->function);
    }
    if (cell->file != file_before) {
        put_file(work, "fi=", cell->file);
    }
    if (cell->callee != NO_CALLEE) {
        put_object(work, "cob=", &functions[cell->callee]);
        put_file(work, "cfi=", own_file(work, &functions[cell->callee]));
        put_function(work, "cfn=", cell->callee);
        uint64_t n_met = cell->costs[COST_SAMPLES] + cell->costs[COST_WAITS];
        export_sink_text(sink, "calls=");
        export_sink_u64(sink, n_met > 0 ? n_met : 1);
        export_sink_text(sink, " 0\n");
    }
    export_sink_u64(sink, cell->line);
    put_costs(sink, cell->costs);
}

static void put_all(struct work *work)
{
    struct export_sink *sink = &work->job->sink;
    const struct run_info *run = work->job->source->run;
    export_sink_text(sink, "# callgrind format\nversion: 1\ncreator: stax " STAX_VERSION "\n");
    if (run) {
        export_sink_text(sink, "pid: ");
        export_sink_u64(sink, (uint64_t)run->pid);
        export_sink_char(sink, '\n');
    }
    export_sink_text(sink, "cmd: ");
    export_sink_line(sink, work->job->command, "");
    export_sink_text(sink, "\npart: 1\npositions: line\n"
                           "event: Cpu : CPU time (ns)\nevent: OffCpu : Time off the CPU (ns)\n"
                           "event: Samples : Samples\nevent: Waits : Waits\n"
                           "events: Cpu OffCpu Samples Waits\nsummary:");
    put_costs(sink, work->totals);
    for (uint32_t i = 0; work->cells && i < work->n_cells; i++) {
        put_cell(work, &work->cells[i], i > 0 ? &work->cells[i - 1] : NULL);
    }
    export_sink_text(sink, "\ntotals:");
    put_costs(sink, work->totals);
}

int export_callgrind_write(struct export_job *job)
{
    struct work work = {
        .job = job,
        .function_is_told = calloc((size_t)job->frames.n_functions + 1, sizeof(bool)),
        .file_is_told = calloc((size_t)job->frames.n_places + 2, sizeof(bool)),
        .object_is_told = calloc((size_t)job->context->snapshot->n_images + 1, sizeof(bool)),
    };
    bool has_memory = work.function_is_told && work.file_is_told && work.object_is_told;
    int r = has_memory ? 0 : -ENOMEM;
    export_strings_init(&work.files);
    hash_table_init(&work.known);
    for (size_t i = 0; i < job->shares.n_rows && r == 0; i++) {
        r = add_row(&work, i);
    }
    r = work.files.is_cut ? -ENOMEM : r;
    if (r == 0) {
        if (work.n_cells > 1) {
            qsort(work.cells, work.n_cells, sizeof(*work.cells), by_position);
        }
        put_all(&work);
    }
    free(work.cells);
    free(work.function_is_told);
    free(work.file_is_told);
    free(work.object_is_told);
    hash_table_release(&work.known);
    export_strings_release(&work.files);
    return r;
}
