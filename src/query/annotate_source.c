/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "disasm/source_files.h"
#include "query/annotate_internal.h"
#include "symbols/source_lines.h"

/* Debug information of one compilation unit is there within this, or comes with the next answer. */
#define LINES_WAIT_MS 600

static const char *language_of(const char *file)
{
    static const struct {
        const char *ending, *language;
    } languages[] = {
        {".c", "c"},   {".h", "c"},     {".cc", "c++"},      {".cpp", "c++"},     {".cxx", "c++"},
        {".C", "c++"}, {".hpp", "c++"}, {".hh", "c++"},      {".rs", "rust"},     {".go", "go"},
        {".d", "d"},   {".S", "asm"},   {".s", "asm"},       {".asm", "asm"},     {".java", "java"},
        {".js", "js"}, {".zig", "zig"}, {".swift", "swift"}, {".f90", "fortran"}, {".py", "python"},
    };
    const char *dot = file ? strrchr(file, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof(languages) / sizeof(languages[0]); i++) {
        if (strcmp(dot, languages[i].ending) == 0) {
            return languages[i].language;
        }
    }
    return NULL;
}

static bool is_same(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

static void note_newer(const struct query_context *context, struct source_files *files,
                       const char *file, int64_t code_modified_s, struct annotate_result *result)
{
    int64_t modified_s;
    const char *found = source_files_found(files, file, &modified_s);
    if (found && code_modified_s > 0 && modified_s > code_modified_s) {
        annotate_note(context, result, "%s is newer than the program: its lines may have moved",
                      found);
    }
}

/* Text where something new begins; which files are missing is told once. */
static void read_text(const struct query_context *context, struct source_files *files,
                      const struct annotate_lines *lines, struct annotate_result *result)
{
    const struct annotate_line *before = NULL;
    const char *noted = NULL, *missing = NULL;
    size_t n_missing = 0;
    for (size_t i = 0; i < lines->n_lines; i++) {
        struct annotate_line *line = &lines->lines[i];
        bool is_new = !before || line->line != before->line || !is_same(line->file, before->file) ||
                      !is_same(line->inlined, before->inlined);
        before = line;
        if (!is_new || !line->file || line->line == 0) {
            continue;
        }
        line->source = source_files_line(files, line->file, line->line);
        if (!line->source && !is_same(line->file, missing) &&
            !source_files_found(files, line->file, NULL)) {
            missing = line->file;
            n_missing++;
        }
        if (line->source && !is_same(line->file, noted)) {
            noted = line->file;
            note_newer(context, files, line->file, lines->code_modified_s, result);
        }
    }
    if (missing) {
        annotate_note(context, result,
                      "%s is not there%s: --source-map FROM=TO says where sources are", missing,
                      n_missing > 1 ? ", nor are others" : "");
    }
}

static void note_state(const struct query_context *context, const struct annotate_target *target,
                       enum source_lines_state state, struct annotate_result *result)
{
    if (state == SOURCE_LINES_LOADING) {
        annotate_note(context, result,
                      "debug information of %s is still being read: ask again for source lines",
                      target->image->name);
    } else if (state == SOURCE_LINES_NONE) {
        annotate_note(context, result, "%s has no debug information here: no source lines",
                      target->image->name);
    }
}

static void fill_line(const struct annotate_target *target, const struct source_line_row *row,
                      uint64_t address, struct annotate_line *line)
{
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    if (row) {
        line->file = row->file;
        line->line = row->line;
    }
    size_t n_entries = target->symbol
                           ? symbol_source_chain_at(target->source, address, target->symbol, chain,
                                                    SYMBOL_CHAIN_MAX)
                           : 0;
    if (n_entries > 0 && chain[0].is_inlined) {
        line->inlined = chain[0].symbol->name;
    }
}

static int read_maps(const struct query_context *context,
                     const struct query_annotate_options *options, struct source_files *files,
                     struct annotate_result *result)
{
    struct source_map *maps =
        arena_alloc_array(context->arena, options->n_source_map, sizeof(*maps));
    if (!maps) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < options->n_source_map; i++) {
        if (source_map_parse(context->arena, options->source_map[i], &maps[files->n_maps])) {
            files->n_maps++;
        } else {
            annotate_note(context, result, "'%s' is no FROM=TO", options->source_map[i]);
        }
    }
    files->maps = maps;
    return 0;
}

/* Lines that a program told of the code that it made. */
static void fill_made(const struct annotate_piece *piece, const struct annotate_lines *lines)
{
    for (size_t i = 0; i < lines->n_lines; i++) {
        struct annotate_line *line = &lines->lines[i];
        if (!jit_code_line(&piece->made, lines->addresses[i], &line->file, &line->line)) {
            line->file = NULL;
            line->line = 0;
        }
    }
}

static int fill_compiled(const struct query_context *context, const struct annotate_target *target,
                         const struct annotate_piece *piece, const struct annotate_lines *lines,
                         struct annotate_result *result)
{
    struct source_lines rows;
    int r = symbol_source_lines(target->source, piece->start_addr, piece->end_addr, LINES_WAIT_MS,
                                context->arena, &rows);
    if (r != 0) {
        return r;
    }
    note_state(context, target, rows.state, result);
    size_t row = 0;
    for (size_t i = 0; i < lines->n_lines; i++) {
        while (row + 1 < rows.n_rows && rows.rows[row + 1].start_addr <= lines->addresses[i]) {
            row++;
        }
        bool is_covered = row < rows.n_rows && rows.rows[row].start_addr <= lines->addresses[i];
        fill_line(target, is_covered ? &rows.rows[row] : NULL, lines->addresses[i],
                  &lines->lines[i]);
    }
    return 0;
}

int annotate_source(const struct query_context *context,
                    const struct query_annotate_options *options,
                    const struct annotate_target *target, const struct annotate_piece *piece,
                    const struct annotate_lines *lines, struct annotate_result *result)
{
    int r = 0;
    if (piece->is_made) {
        fill_made(piece, lines);
    } else if (target->source && target->image->kind == IMAGE_KIND_FILE) {
        r = fill_compiled(context, target, piece, lines, result);
    }
    for (size_t i = 0; i < lines->n_lines && !result->language; i++) {
        result->language = lines->lines[i].inlined ? NULL : language_of(lines->lines[i].file);
    }
    if (r != 0 || options->no_source) {
        return r;
    }
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, context->arena);
    files.is_kept_only = query_names_is_kept_only(context->names);
    files.kept = query_names_kept_sources(context->names);
    files.target_pid = options->code.is_target_alive ? target->image->pid : 0;
    r = read_maps(context, options, &files, result);
    if (r == 0) {
        read_text(context, &files, lines, result);
    }
    return r;
}
