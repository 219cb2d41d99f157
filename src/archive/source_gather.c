/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "archive/run_symbols_internal.h"
#include "disasm/source_files.h"

/* A line that annotate may show. */
struct wish {
    uint32_t path; /* number of a text */
    uint32_t line;
};

struct wishes {
    size_t n, capacity;
    struct wish *wishes;
};

static int add_wish(struct wishes *wishes, uint32_t path, uint32_t line)
{
    if (path == 0 || line == 0) {
        return 0;
    }
    if (wishes->n == wishes->capacity) {
        size_t capacity = wishes->capacity ? 2 * wishes->capacity : 256;
        struct wish *grown = reallocarray(wishes->wishes, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        wishes->wishes = grown;
        wishes->capacity = capacity;
    }
    wishes->wishes[wishes->n++] = (struct wish){.path = path, .line = line};
    return 0;
}

static int collect_of_group(struct symbol_writing *writing, const struct kept_symbols *kept,
                            struct wishes *wishes)
{
    struct kept_contents contents = kept_symbols_contents(kept);
    uint32_t *paths = calloc(contents.n_files + 1, sizeof(*paths));
    int r = paths ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < contents.n_files; i++) {
        r = symbol_text(writing, contents.files[i], &paths[i]);
    }
    for (size_t i = 0; r == 0 && i < contents.n_lines; i++) {
        const struct kept_line *line = &contents.lines[i];
        r = line->file == KEPT_NONE ? 0 : add_wish(wishes, paths[line->file], line->line);
    }
    free(paths);
    return r;
}

static int collect(struct symbol_writing *writing, struct wishes *wishes)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < writing->symbols->n_groups; i++) {
        const struct kept_symbols *kept = writing->symbols->groups[i].symbols;
        r = kept ? collect_of_group(writing, kept, wishes) : 0;
    }
    const struct symbol_rows *made = &writing->tables[SYMBOL_TABLE_MADE_LINES];
    const struct symbol_made_line *lines = made->rows;
    for (size_t i = 0; r == 0 && i < made->n_rows; i++) {
        r = add_wish(wishes, lines[i].file, lines[i].line);
    }
    return r;
}

static int by_place(const void *left, const void *right)
{
    const struct wish *a = left, *b = right;
    if (a->path != b->path) {
        return a->path < b->path ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

/* The lines of one file. */
static int keep_file(struct symbol_writing *writing, struct kept_sources *kept,
                     const struct wish *wishes, size_t n_wishes, int64_t target_pid)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct source_files files;
    source_files_init(&files, &arena);
    files.target_pid = target_pid;
    struct kept_source_file file = {.path = history_names_get(&writing->texts, wishes[0].path)};
    file.found = source_files_found(&files, file.path, &file.modified_s);
    uint32_t number = 0;
    int r = file.found ? kept_sources_add_file(kept, &file, &number) : 0;
    for (size_t i = 0; r == 0 && file.found && i < n_wishes; i++) {
        struct kept_source_line line = {.file = number, .line = wishes[i].line};
        bool is_repeated = i > 0 && wishes[i].line == wishes[i - 1].line;
        line.text = is_repeated ? NULL : source_files_line(&files, file.path, line.line);
        r = line.text ? kept_sources_add_line(kept, &line) : 0;
    }
    source_files_release(&files);
    arena_release(&arena);
    return r == -ENOSPC ? 0 : r; /* what finds no room is not shown */
}

int source_gather(struct symbol_writing *writing)
{
    struct run_symbols *symbols = writing->symbols;
    if (query_names_is_kept_only(writing->names)) {
        symbols->sources = query_names_kept_sources(writing->names);
        return 0;
    }
    struct wishes wishes = {0};
    int r = collect(writing, &wishes);
    r = r ? r : kept_sources_new(&symbols->own_sources);
    if (r == 0 && wishes.n > 0) {
        qsort(wishes.wishes, wishes.n, sizeof(*wishes.wishes), by_place);
    }
    bool is_alive = writing->options->is_target_alive;
    for (size_t first = 0, next; r == 0 && first < wishes.n; first = next) {
        for (next = first + 1;
             next < wishes.n && wishes.wishes[next].path == wishes.wishes[first].path; next++) {
        }
        r = keep_file(writing, symbols->own_sources, wishes.wishes + first, next - first,
                      is_alive ? writing->target_pid : 0);
    }
    free(wishes.wishes);
    if (r == 0) {
        kept_sources_finish(symbols->own_sources);
        symbols->sources = symbols->own_sources;
    }
    return r;
}
