/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "symbols/debug_lines_internal.h"

static const char *path_of(struct debug_lines *lines, struct code_index *index, uint32_t file)
{
    if (file == CODE_INDEX_NONE) {
        return NULL;
    }
    struct code_file *entry = &index->files[file];
    if (!entry->known) {
        entry->known = inline_names_path(&lines->names, entry->path);
    }
    return entry->known;
}

static const struct symbol *symbol_of(struct debug_lines *lines, struct code_index *index,
                                      uint32_t function)
{
    struct code_function *entry = &index->functions[function];
    if (!entry->known) {
        entry->known = inline_names_symbol(&lines->names, entry);
    }
    return entry->known;
}

/* Under the lock. A function without a name is left out; the place of its call stays. */
static size_t fill_chain(struct debug_lines *lines, struct code_index *index, uint64_t debug_addr,
                         const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                         size_t max_entries)
{
    const struct code_line *row = code_index_find_line(index, debug_addr);
    const char *file = row ? path_of(lines, index, row->file) : NULL;
    uint32_t line = row ? row->line : 0;
    uint32_t call = code_index_find_call(index, debug_addr);
    size_t n = 0;
    while (call != CODE_INDEX_NONE && n + 1 < max_entries) {
        const struct code_call *made = &index->calls[call];
        const struct symbol *symbol = symbol_of(lines, index, made->function);
        if (symbol) {
            ret_chain[n++] = (struct symbol_chain_entry){
                .symbol = symbol, .is_inlined = true, .file = file, .line = line};
        }
        file = path_of(lines, index, made->call_file);
        line = made->call_line;
        call = made->parent;
    }
    /* Of a chain that was cut, nobody knows where the outermost calls. */
    bool is_cut = call != CODE_INDEX_NONE;
    ret_chain[n++] = (struct symbol_chain_entry){
        .symbol = outermost, .file = is_cut ? NULL : file, .line = is_cut ? 0 : line};
    return n;
}

size_t debug_lines_chain(struct debug_lines *lines, uint64_t image_addr,
                         const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                         size_t max_entries)
{
    if (max_entries == 0) {
        return 0;
    }
    uint64_t debug_addr = address_shift_to_debug(&lines->debug_file->shift, image_addr);
    size_t n = 1;
    pthread_mutex_lock(&lines->desk->lock);
    struct code_index *index = debug_lines_index_at(lines, debug_addr);
    if (index) {
        n = fill_chain(lines, index, debug_addr, outermost, ret_chain, max_entries);
    } else {
        ret_chain[0] = (struct symbol_chain_entry){.symbol = outermost};
    }
    pthread_mutex_unlock(&lines->desk->lock);
    return n;
}

/* Rows --------------------------------------------------------------------------------------- */

/* Under the lock. The unit's rows from `at` on, up to its end or the range's. */
static size_t fill_rows(struct debug_lines *lines, struct code_index *index, uint64_t start_addr,
                        uint64_t end_addr, struct source_line_row *rows, size_t max_rows)
{
    size_t n = 0;
    const struct code_line *first = code_index_find_line(index, start_addr);
    for (const struct code_line *row = first;
         row && row < index->lines + index->n_lines && n < max_rows; row++) {
        uint64_t row_addr = index->base_addr + row->start_offset;
        if (row_addr >= end_addr) {
            break;
        }
        uint64_t from = row_addr > start_addr ? row_addr : start_addr;
        rows[n++] = (struct source_line_row){
            .start_addr = address_shift_to_image(&lines->debug_file->shift, from),
            .file = path_of(lines, index, row->file),
            .line = row->file == CODE_INDEX_NONE ? 0 : row->line,
        };
    }
    return n;
}

/* Under the lock. Until the unit at the address has been read, or the time is up. */
static void wait_settled(struct debug_lines *lines, uint64_t debug_addr,
                         const struct timespec *until)
{
    int r = 0;
    (void)debug_lines_index_at(lines, debug_addr);
    while (!debug_lines_is_settled_at(lines, debug_addr) && r == 0) {
        r = pthread_cond_timedwait(&lines->desk->has_changed, &lines->desk->lock, until);
        (void)debug_lines_index_at(lines, debug_addr);
    }
}

int debug_lines_rows(struct debug_lines *lines, uint64_t start_addr, uint64_t end_addr,
                     int timeout_ms, struct arena *arena, struct source_lines *ret_lines)
{
    *ret_lines = (struct source_lines){.state = SOURCE_LINES_LOADING};
    if (start_addr >= end_addr) {
        ret_lines->state = SOURCE_LINES_NONE;
        return 0;
    }
    struct timespec until = debug_lines_time_of(
        clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS);
    uint64_t start = address_shift_to_debug(&lines->debug_file->shift, start_addr);
    uint64_t end = start + (end_addr - start_addr);
    int result = 0;
    pthread_mutex_lock(&lines->desk->lock);
    wait_settled(lines, start, &until);
    if (debug_lines_is_settled_at(lines, start)) {
        struct code_index *index = debug_lines_index_at(lines, start);
        size_t max_rows = index ? index->n_lines + 1 : 0;
        max_rows = max_rows < SOURCE_LINES_MAX ? max_rows : SOURCE_LINES_MAX;
        uint64_t most = end - start + 1; /* not more than one for each byte */
        max_rows = most < max_rows ? (size_t)most : max_rows;
        ret_lines->rows =
            index ? arena_alloc_array(arena, max_rows, sizeof(*ret_lines->rows)) : NULL;
        if (index && ret_lines->rows) {
            ret_lines->n_rows = fill_rows(lines, index, start, end, ret_lines->rows, max_rows);
        }
        result = index && !ret_lines->rows ? -ENOMEM : 0;
        ret_lines->state = ret_lines->n_rows > 0 ? SOURCE_LINES_LOADED : SOURCE_LINES_NONE;
    }
    pthread_mutex_unlock(&lines->desk->lock);
    return result;
}
