/* SPDX-License-Identifier: MIT */
/*
 * The format of callgrind_annotate and KCachegrind, version 1: self costs by
 * function and line, and costs of calls by caller, line and callee. Nobody
 * counts calls, so the number of a call is that of the samples and waits that
 * it costs, and 1 where it costs nothing.
 *
 * The readers take what a function's calls cost together for its inclusive
 * cost, and know it by its file and name. So that this is its total in `stax
 * top`, each stack costs only the outermost of the calls of a function, the
 * first of all of them made by "(all)"; later calls are there without a cost.
 * A function has one file: code of another one that it holds has no line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "interchange/export_format.h"
#include "interchange/export_strings.h"

#define NO_CALLEE UINT32_MAX
#define ALL 0u /* the function that calls what nobody is known to call */
#define FIRST_ROOM 1024u

enum cost { COST_CPU, COST_OFF_CPU, COST_SAMPLES, COST_WAITS, COST_N };

/* What a function spent at one line, itself or in what it called from there. */
struct cell {
    uint32_t function, callee; /* NO_CALLEE: itself */
    uint32_t line;
    uint64_t costs[COST_N];
};

/* All that the format tells apart: code of one function is one, inlined or not. */
struct called {
    const char *name;
    uint32_t file; /* number of a string */
    image_id image;
    uint32_t met_in; /* 1 + the row whose stack it was met in last */
    bool is_told;    /* its name has been written */
};

struct work {
    struct export_job *job;
    struct export_strings files;
    struct hash_table known, known_functions;
    struct cell *cells;
    uint32_t n_cells, n_room;
    struct called *functions;
    uint32_t n_functions;
    uint32_t *number_of; /* by function of the frames */
    uint64_t totals[COST_N];
    bool *file_is_told, *object_is_told;
};

/* ---- functions ---- */

static bool is_same_function(uint32_t number, const void *wanted, const void *userdata)
{
    const struct called *known = &((const struct work *)userdata)->functions[number];
    const struct called *function = wanted;
    return known->file == function->file && known->image == function->image &&
           strcmp(known->name, function->name) == 0;
}

static int number_functions(struct work *work)
{
    const struct export_frames *frames = &work->job->frames;
    work->functions = calloc((size_t)frames->n_functions + 1, sizeof(*work->functions));
    work->number_of = calloc((size_t)frames->n_functions + 1, sizeof(*work->number_of));
    if (!work->functions || !work->number_of) {
        return -ENOMEM;
    }
    work->functions[work->n_functions++] = (struct called){.name = "(all)"}; /* ALL */
    for (uint32_t i = 0; i < frames->n_functions; i++) {
        const struct called function = {
            .name = frames->functions[i].name,
            .file = export_strings_number(&work->files, frames->functions[i].file),
            .image = frames->functions[i].image_id,
        };
        uint64_t hash = hash_bytes(function.name, strlen(function.name)) ^
                        hash_u64((uint64_t)function.file << 32 | function.image);
        uint32_t number =
            hash_table_find_equal(&work->known_functions, hash, is_same_function, &function, work);
        if (number == HASH_TABLE_NONE) {
            number = work->n_functions;
            if (hash_table_add(&work->known_functions, hash, number) != 0) {
                return -ENOMEM;
            }
            work->functions[work->n_functions++] = function;
        }
        work->number_of[i] = number;
    }
    return 0;
}

static uint32_t function_at(const struct work *work, uint32_t place)
{
    return work->number_of[work->job->frames.places[place].function];
}

/* ---- cells ---- */

static bool is_same(uint32_t number, const void *wanted, const void *userdata)
{
    const struct cell *known = &((const struct work *)userdata)->cells[number], *cell = wanted;
    return known->function == cell->function && known->callee == cell->callee &&
           known->line == cell->line;
}

static struct cell *get_cell(struct work *work, const struct cell *wanted)
{
    uint64_t hash = hash_u64((uint64_t)wanted->function << 32 | wanted->callee) ^
                    hash_u64(~(uint64_t)wanted->line);
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

static void add_costs(const struct export_row *row, uint64_t *costs)
{
    bool is_wait = row->kind == EXPORT_ROW_WAIT;
    costs[is_wait ? COST_OFF_CPU : COST_CPU] += row->time_ns;
    costs[is_wait ? COST_WAITS : COST_SAMPLES] += row->n;
}

/* What the row costs at `place` itself or in what it calls there; `place` EXPORT_NO_PLACE: "(all)".
 */
static int add(struct work *work, size_t row_number, uint32_t place, uint32_t callee)
{
    const struct export_row *row = &work->job->shares.rows[row_number];
    struct cell wanted = {.callee = callee, .function = ALL};
    if (place != EXPORT_NO_PLACE) {
        const struct export_place *at = &work->job->frames.places[place];
        wanted.function = function_at(work, place);
        bool is_own = at->file && export_strings_number(&work->files, at->file) ==
                                      work->functions[wanted.function].file;
        wanted.line = is_own ? at->line : 0;
    }
    struct cell *cell = get_cell(work, &wanted);
    if (!cell) {
        return -ENOMEM;
    }
    if (callee == NO_CALLEE) {
        add_costs(row, cell->costs);
        add_costs(row, work->totals);
    } else if (work->functions[callee].met_in != row_number + 1) {
        work->functions[callee].met_in = (uint32_t)row_number + 1;
        add_costs(row, cell->costs);
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
    if (r != 0) {
        return r;
    }
    const uint32_t placeless = export_outer_place(job, row);
    if (n_path == 0) {
        path = &placeless;
        n_path = 1;
    }
    r = add(work, row_number, EXPORT_NO_PLACE, function_at(work, path[0]));
    for (size_t i = 0; i + 1 < n_path && r == 0; i++) {
        uint32_t callee = function_at(work, path[i + 1]);
        bool is_itself = function_at(work, path[i]) == callee;
        r = is_itself ? 0 : add(work, row_number, path[i], callee);
    }
    return r ? r : add(work, row_number, path[n_path - 1], NO_CALLEE);
}

/* Functions together, of each its own costs first. */
static int by_position(const void *left, const void *right)
{
    const struct cell *a = left, *b = right;
    if (a->function != b->function) {
        return a->function < b->function ? -1 : 1;
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

static void put_object(struct work *work, const char *key, image_id image)
{
    const struct snapshot *snapshot = work->job->context->snapshot;
    put_name(&work->job->sink, key, image, snapshot_image(snapshot, image)->path,
             &work->object_is_told[image]);
}

static void put_function(struct work *work, const char *key, uint32_t number)
{
    struct called *function = &work->functions[number];
    put_name(&work->job->sink, key, number, function->name, &function->is_told);
}

static void put_costs(struct export_sink *sink, const uint64_t *costs)
{
    for (size_t i = 0; i < COST_N; i++) {
        export_sink_char(sink, ' ');
        export_sink_u64(sink, costs[i]);
    }
    export_sink_char(sink, '\n');
}

static void put_cell(struct work *work, const struct cell *cell, const struct cell *before)
{
    struct export_sink *sink = &work->job->sink;
    if (!before || before->function != cell->function) {
        const struct called *function = &work->functions[cell->function];
        export_sink_char(sink, '\n');
        put_object(work, "ob=", function->image); /* of what has no code that of nothing known */
        put_file(work, "fl=", function->file);
        put_function(work, "fn=", cell->function);
    }
    if (cell->callee != NO_CALLEE) {
        put_object(work, "cob=", work->functions[cell->callee].image);
        put_file(work, "cfi=", work->functions[cell->callee].file);
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
    if (work->job->spans.n_spans > 0) {
        export_sink_text(sink, "# spans that the program has reported are left out: a cost here "
                               "is one of code\n");
    }
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
        .file_is_told = calloc((size_t)job->frames.n_places + 2, sizeof(bool)),
        .object_is_told = calloc((size_t)job->context->snapshot->n_images + 1, sizeof(bool)),
    };
    int r = work.file_is_told && work.object_is_told ? 0 : -ENOMEM;
    export_strings_init(&work.files);
    hash_table_init(&work.known);
    hash_table_init(&work.known_functions);
    r = r ? r : number_functions(&work);
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
    free(work.functions);
    free(work.number_of);
    free(work.file_is_told);
    free(work.object_is_told);
    hash_table_release(&work.known);
    hash_table_release(&work.known_functions);
    export_strings_release(&work.files);
    return r;
}
