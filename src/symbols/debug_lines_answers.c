/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/hash_table.h"
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

/* Excerpts ----------------------------------------------------------------------------------- */

/* Which numbers the calls of a unit have in the excerpt. */
struct call_numbers {
    struct debug_lines *lines;
    struct code_index *index;
    struct hash_table numbers; /* by number in the unit */
    struct arena *arena;
    size_t capacity;
    struct line_excerpt *excerpt;
};

static bool add_call(struct call_numbers *calls, uint32_t call, uint32_t parent)
{
    struct line_excerpt *excerpt = calls->excerpt;
    if (excerpt->n_calls == calls->capacity) {
        size_t capacity = calls->capacity ? 2 * calls->capacity : 16;
        struct excerpt_call *grown = arena_alloc_array(calls->arena, capacity, sizeof(*grown));
        if (!grown) {
            return false;
        }
        for (size_t i = 0; i < excerpt->n_calls; i++) {
            grown[i] = excerpt->calls[i];
        }
        excerpt->calls = grown;
        calls->capacity = capacity;
    }
    if (hash_table_add(&calls->numbers, call, (uint32_t)excerpt->n_calls) < 0) {
        return false;
    }
    const struct code_call *made = &calls->index->calls[call];
    excerpt->calls[excerpt->n_calls++] = (struct excerpt_call){
        .parent = parent,
        .function = symbol_of(calls->lines, calls->index, made->function),
        .call_file = path_of(calls->lines, calls->index, made->call_file),
        .call_line = made->call_line,
    };
    return true;
}

/* The call's number, with all calls around it; LINE_EXCERPT_NONE where they are too many. */
static uint32_t number_of_call(struct call_numbers *calls, uint32_t call)
{
    uint32_t unknown[LINE_EXCERPT_MAX_DEPTH];
    uint32_t parent = LINE_EXCERPT_NONE;
    size_t n_unknown = 0;
    for (; call != CODE_INDEX_NONE; call = calls->index->calls[call].parent) {
        uint32_t known = hash_table_find(&calls->numbers, call);
        if (known != HASH_TABLE_NONE) {
            parent = known;
            break;
        }
        if (n_unknown == LINE_EXCERPT_MAX_DEPTH) {
            return LINE_EXCERPT_NONE;
        }
        unknown[n_unknown++] = call;
    }
    while (n_unknown > 0) {
        if (!add_call(calls, unknown[--n_unknown], parent)) {
            return LINE_EXCERPT_NONE;
        }
        parent = (uint32_t)(calls->excerpt->n_calls - 1);
    }
    return parent;
}

/* Under the lock. The next address behind `address` at which something changes. */
static uint64_t next_change(const struct code_index *index, uint64_t address)
{
    if (address < index->base_addr) {
        return index->base_addr;
    }
    uint64_t offset = address - index->base_addr;
    size_t low = 0, high = index->n_lines;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->lines[middle].start_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint64_t next = low < index->n_lines ? index->lines[low].start_offset : UINT64_MAX;
    for (low = 0, high = index->n_inline_rows; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (index->inline_rows[middle].start_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < index->n_inline_rows && index->inline_rows[low].start_offset < next) {
        next = index->inline_rows[low].start_offset;
    }
    return next == UINT64_MAX ? UINT64_MAX : index->base_addr + next;
}

/* Under the lock. */
static int fill_excerpt(struct debug_lines *lines, struct code_index *index, uint64_t start,
                        uint64_t end, struct arena *arena, struct line_excerpt *excerpt)
{
    size_t n_room = 0;
    for (uint64_t at = start; at < end && n_room < LINE_EXCERPT_MAX; at = next_change(index, at)) {
        n_room++;
    }
    excerpt->lines = arena_alloc_array(arena, n_room, sizeof(*excerpt->lines));
    if (!excerpt->lines) {
        return -ENOMEM;
    }
    struct call_numbers calls = {
        .lines = lines, .index = index, .arena = arena, .excerpt = excerpt};
    hash_table_init(&calls.numbers);
    uint64_t at = start;
    while (excerpt->n_lines < n_room) {
        const struct code_line *row = code_index_find_line(index, at);
        const char *file = row ? path_of(lines, index, row->file) : NULL;
        uint32_t call = code_index_find_call(index, at);
        excerpt->lines[excerpt->n_lines++] = (struct excerpt_line){
            .start_addr = address_shift_to_image(&lines->debug_file->shift, at),
            .file = file,
            .line = file ? row->line : 0,
            .call = number_of_call(&calls, call),
        };
        at = next_change(index, at);
    }
    hash_table_release(&calls.numbers);
    return 0;
}

int debug_lines_excerpt(struct debug_lines *lines, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct line_excerpt *ret_excerpt)
{
    *ret_excerpt = (struct line_excerpt){0};
    if (start_addr >= end_addr) {
        return 0;
    }
    struct timespec until = debug_lines_time_of(
        clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS);
    uint64_t start = address_shift_to_debug(&lines->debug_file->shift, start_addr);
    pthread_mutex_lock(&lines->desk->lock);
    wait_settled(lines, start, &until);
    struct code_index *index = debug_lines_index_at(lines, start);
    int r = 0;
    if (index) {
        r = fill_excerpt(lines, index, start, start + (end_addr - start_addr), arena, ret_excerpt);
    }
    pthread_mutex_unlock(&lines->desk->lock);
    return r;
}
