/* SPDX-License-Identifier: MIT */
/*
 * Everything lies in arrays that grow while they are filled; finishing sorts
 * them and publishes with a release store, and finding takes no lock.
 */
#include "symbols/kept_symbols.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

#define NO_OUTER UINT32_MAX

/* Ranges within ranges: no code is nested like that, and looking at many for each address takes
 * long. */
#define NESTED_MAX 64u

/* A function with a range, in the order of addresses. */
struct reach {
    uint64_t start_addr, end_addr;
    uint32_t function;
    uint32_t outer; /* the innermost range around this one, by its place in the order */
};

struct kept_symbols {
    atomic_uint n_refs;
    atomic_bool is_finished;
    struct arena arena; /* symbols and texts */
    struct elf_layout layout;
    size_t n_functions, functions_capacity;
    const struct symbol **functions;
    size_t is_inlined_capacity;
    bool *is_inlined;
    size_t n_places, places_capacity;
    struct kept_place *places;
    size_t n_files, files_capacity;
    const char **files;
    struct hash_table file_numbers, text_numbers;
    size_t n_texts, texts_capacity;
    const char **texts; /* of images, which are few */
    size_t n_calls, calls_capacity;
    struct kept_call *calls;
    size_t n_lines, lines_capacity;
    struct kept_line *lines;
    struct symbol_source_info info;
    size_t n_reaches;
    struct reach *reaches;
};

int kept_symbols_new(struct kept_symbols **ret_kept)
{
    struct kept_symbols *kept = calloc(1, sizeof(*kept));
    if (!kept) {
        return -ENOMEM;
    }
    atomic_init(&kept->n_refs, 1);
    atomic_init(&kept->is_finished, false);
    arena_init(&kept->arena, 0);
    hash_table_init(&kept->file_numbers);
    hash_table_init(&kept->text_numbers);
    kept->info = (struct symbol_source_info){.state = SYMBOL_STATE_LOADED, .origin = "none"};
    *ret_kept = kept;
    return 0;
}

struct kept_symbols *kept_symbols_ref(struct kept_symbols *kept)
{
    atomic_fetch_add_explicit(&kept->n_refs, 1, memory_order_relaxed);
    return kept;
}

struct kept_symbols *kept_symbols_unref(struct kept_symbols *kept)
{
    if (!kept || atomic_fetch_sub_explicit(&kept->n_refs, 1, memory_order_acq_rel) > 1) {
        return NULL;
    }
    free(kept->functions);
    free(kept->is_inlined);
    free(kept->places);
    free(kept->files);
    free(kept->texts);
    free(kept->calls);
    free(kept->lines);
    free(kept->reaches);
    hash_table_release(&kept->file_numbers);
    hash_table_release(&kept->text_numbers);
    arena_release(&kept->arena);
    free(kept);
    return NULL;
}

/* Filling ---------------------------------------------------------------------------------------
 */

/* Room for one more item. 0, -ENOMEM or -ENOSPC. */
static int make_room(void *inout_array, size_t n_items, size_t *inout_capacity, size_t item_bytes)
{
    if (n_items < *inout_capacity) {
        return 0;
    }
    if (n_items >= KEPT_SYMBOLS_MAX) {
        return -ENOSPC;
    }
    size_t capacity = *inout_capacity ? 2 * *inout_capacity : 16;
    void *array;
    memcpy(&array, inout_array, sizeof(array));
    void *grown = reallocarray(array, capacity, item_bytes);
    if (!grown) {
        return -ENOMEM;
    }
    memcpy(inout_array, &grown, sizeof(grown));
    *inout_capacity = capacity;
    return 0;
}

static bool is_text(uint32_t value, const void *wanted, const void *userdata)
{
    const char *const *texts = userdata;
    return strcmp(texts[value], wanted) == 0;
}

/* The number of an equal text in the array, which grows where there is none. */
static int intern(struct kept_symbols *kept, const char *text, struct hash_table *numbers,
                  const char ***inout_texts, size_t *inout_n_texts, size_t *inout_capacity,
                  uint32_t *ret_number)
{
    uint64_t key = hash_bytes(text, strlen(text));
    uint32_t known = hash_table_find_equal(numbers, key, is_text, text, *inout_texts);
    if (known != HASH_TABLE_NONE) {
        *ret_number = known;
        return 0;
    }
    int r = make_room(inout_texts, *inout_n_texts, inout_capacity, sizeof(**inout_texts));
    if (r < 0) {
        return r;
    }
    const char *copy = arena_strdup(&kept->arena, text);
    if (!copy || hash_table_add(numbers, key, (uint32_t)*inout_n_texts) < 0) {
        return -ENOMEM;
    }
    *ret_number = (uint32_t)*inout_n_texts;
    (*inout_texts)[(*inout_n_texts)++] = copy;
    return 0;
}

int kept_symbols_add_function(struct kept_symbols *kept, const struct symbol *symbol,
                              bool is_inlined, uint32_t *ret_function)
{
    int r = make_room(&kept->functions, kept->n_functions, &kept->functions_capacity,
                      sizeof(*kept->functions));
    r = r ? r
          : make_room(&kept->is_inlined, kept->n_functions, &kept->is_inlined_capacity,
                      sizeof(*kept->is_inlined));
    uint32_t image = 0;
    if (r == 0) {
        r = intern(kept, symbol->image, &kept->text_numbers, &kept->texts, &kept->n_texts,
                   &kept->texts_capacity, &image);
    }
    if (r < 0) {
        return r;
    }
    struct symbol *copy = arena_alloc(&kept->arena, sizeof(*copy));
    const char *name = arena_strdup(&kept->arena, symbol->name);
    if (!copy || (symbol->name && !name)) {
        return -ENOMEM;
    }
    *copy = *symbol;
    copy->name = name;
    copy->image = kept->texts[image];
    kept->is_inlined[kept->n_functions] = is_inlined;
    kept->functions[kept->n_functions] = copy;
    *ret_function = (uint32_t)kept->n_functions++;
    return 0;
}

int kept_symbols_add_place(struct kept_symbols *kept, uint64_t image_addr, uint32_t function)
{
    if (function != KEPT_NONE && function >= kept->n_functions) {
        return -EINVAL;
    }
    int r = make_room(&kept->places, kept->n_places, &kept->places_capacity, sizeof(*kept->places));
    if (r == 0) {
        kept->places[kept->n_places++] =
            (struct kept_place){.image_addr = image_addr, .function = function};
    }
    return r;
}

int kept_symbols_add_file(struct kept_symbols *kept, const char *path, uint32_t *ret_file)
{
    return intern(kept, path, &kept->file_numbers, &kept->files, &kept->n_files,
                  &kept->files_capacity, ret_file);
}

int kept_symbols_add_call(struct kept_symbols *kept, const struct kept_call *call,
                          uint32_t *ret_call)
{
    bool has_parent = call->parent == KEPT_NONE || call->parent < kept->n_calls;
    bool has_function = call->function == KEPT_NONE || call->function < kept->n_functions;
    bool has_file = call->call_file == KEPT_NONE || call->call_file < kept->n_files;
    if (!has_parent || !has_function || !has_file) {
        return -EINVAL;
    }
    int r = make_room(&kept->calls, kept->n_calls, &kept->calls_capacity, sizeof(*kept->calls));
    if (r == 0) {
        *ret_call = (uint32_t)kept->n_calls;
        kept->calls[kept->n_calls++] = *call;
    }
    return r;
}

int kept_symbols_add_line(struct kept_symbols *kept, const struct kept_line *line)
{
    if ((line->file != KEPT_NONE && line->file >= kept->n_files) ||
        (line->call != KEPT_NONE && line->call >= kept->n_calls)) {
        return -EINVAL;
    }
    int r = make_room(&kept->lines, kept->n_lines, &kept->lines_capacity, sizeof(*kept->lines));
    if (r == 0) {
        kept->lines[kept->n_lines++] = *line;
    }
    return r;
}

int kept_symbols_describe_as(struct kept_symbols *kept, const struct symbol_source_info *info)
{
    const char *origin = arena_strdup(&kept->arena, info->origin);
    if (!origin) {
        return -ENOMEM;
    }
    kept->info = *info;
    kept->info.origin = origin;
    kept->info.failure[sizeof(kept->info.failure) - 1] = '\0';
    return 0;
}

void kept_symbols_set_layout(struct kept_symbols *kept, const struct elf_layout *layout)
{
    kept->layout = *layout;
}

static int by_start(const void *left, const void *right)
{
    const struct reach *a = left, *b = right;
    if (a->start_addr != b->start_addr) {
        return a->start_addr < b->start_addr ? -1 : 1;
    }
    if (a->end_addr != b->end_addr) {
        return a->end_addr > b->end_addr ? -1 : 1; /* the outer one first */
    }
    return a->function < b->function ? -1 : a->function > b->function;
}

static int by_place(const void *left, const void *right)
{
    const struct kept_place *a = left, *b = right;
    if (a->image_addr != b->image_addr) {
        return a->image_addr < b->image_addr ? -1 : 1;
    }
    return a->function < b->function ? -1 : a->function > b->function;
}

static bool knows_nothing(const struct kept_line *line)
{
    return line->file == KEPT_NONE && line->call == KEPT_NONE;
}

static int by_line(const void *left, const void *right)
{
    const struct kept_line *a = left, *b = right;
    if (a->start_addr != b->start_addr) {
        return a->start_addr < b->start_addr ? -1 : 1;
    }
    return knows_nothing(a) - knows_nothing(b);
}

static int order_functions(struct kept_symbols *kept)
{
    free(kept->reaches);
    kept->n_reaches = 0;
    kept->reaches = calloc(kept->n_functions + 1, sizeof(*kept->reaches));
    if (!kept->reaches) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < kept->n_functions; i++) {
        const struct symbol *symbol = kept->functions[i];
        if (!kept->is_inlined[i] && symbol->size_bytes > 0 &&
            symbol->start_address <= UINT64_MAX - symbol->size_bytes) {
            kept->reaches[kept->n_reaches++] = (struct reach){
                .start_addr = symbol->start_address,
                .end_addr = symbol->start_address + symbol->size_bytes,
                .function = (uint32_t)i,
            };
        }
    }
    qsort(kept->reaches, kept->n_reaches, sizeof(*kept->reaches), by_start);
    for (size_t i = 0; i < kept->n_reaches; i++) {
        struct reach *reach = &kept->reaches[i];
        uint32_t outer = i > 0 ? (uint32_t)(i - 1) : NO_OUTER;
        while (outer != NO_OUTER && kept->reaches[outer].end_addr < reach->end_addr) {
            outer = kept->reaches[outer].outer;
        }
        reach->outer = outer;
    }
    return 0;
}

static void order_lines(struct kept_symbols *kept)
{
    if (kept->n_lines == 0) {
        return;
    }
    qsort(kept->lines, kept->n_lines, sizeof(*kept->lines), by_line);
    size_t n_kept = 0;
    for (size_t i = 0; i < kept->n_lines; i++) {
        if (n_kept == 0 || kept->lines[n_kept - 1].start_addr != kept->lines[i].start_addr) {
            kept->lines[n_kept++] = kept->lines[i];
        }
    }
    kept->n_lines = n_kept;
}

int kept_symbols_finish(struct kept_symbols *kept)
{
    int r = order_functions(kept);
    if (r < 0) {
        return r;
    }
    if (kept->n_places > 0) { /* no array is NULL */
        qsort(kept->places, kept->n_places, sizeof(*kept->places), by_place);
    }
    order_lines(kept);
    atomic_store_explicit(&kept->is_finished, true, memory_order_release);
    return 0;
}

/* Asking --------------------------------------------------------------------------------------- */

bool kept_symbols_is_finished(const struct kept_symbols *kept)
{
    return atomic_load_explicit(&kept->is_finished, memory_order_acquire);
}

/* The first place at the address or behind it. */
static size_t find_place(const struct kept_symbols *kept, uint64_t image_addr)
{
    size_t low = 0, high = kept->n_places;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kept->places[middle].image_addr < image_addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t find_reach(const struct kept_symbols *kept, uint64_t image_addr)
{
    size_t low = 0, high = kept->n_reaches; /* the last one that begins at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kept->reaches[middle].start_addr <= image_addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t at = low > 0 ? (uint32_t)(low - 1) : NO_OUTER;
    unsigned int n_outer = 0;
    while (at != NO_OUTER && image_addr >= kept->reaches[at].end_addr) {
        at = ++n_outer < NESTED_MAX ? kept->reaches[at].outer : NO_OUTER;
    }
    return at == NO_OUTER ? KEPT_NONE : kept->reaches[at].function;
}

uint32_t kept_symbols_find_function(const struct kept_symbols *kept, uint64_t image_addr)
{
    if (!kept_symbols_is_finished(kept)) {
        return KEPT_NONE;
    }
    size_t place = find_place(kept, image_addr);
    bool is_told = place < kept->n_places && kept->places[place].image_addr == image_addr;
    return is_told ? kept->places[place].function : find_reach(kept, image_addr);
}

const struct symbol *kept_symbols_function(const struct kept_symbols *kept, uint32_t function)
{
    bool has_name = function < kept->n_functions && kept->functions[function]->name;
    return has_name ? kept->functions[function] : NULL;
}

const struct symbol *kept_symbols_find(const struct kept_symbols *kept, uint64_t offset,
                                       uint64_t *ret_image_addr)
{
    *ret_image_addr = offset;
    if (!kept_symbols_is_finished(kept) ||
        (kept->layout.n_segments > 0 && !elf_layout_find(&kept->layout, offset, ret_image_addr))) {
        return NULL;
    }
    return kept_symbols_function(kept, kept_symbols_find_function(kept, *ret_image_addr));
}

/* The line that holds the address; n_lines: none. */
static size_t find_line(const struct kept_symbols *kept, uint64_t image_addr)
{
    size_t low = 0, high = kept_symbols_is_finished(kept) ? kept->n_lines : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kept->lines[middle].start_addr <= image_addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : kept->n_lines;
}

static const char *path_of(const struct kept_symbols *kept, uint32_t file)
{
    return file < kept->n_files ? kept->files[file] : NULL;
}

size_t kept_symbols_chain(const struct kept_symbols *kept, uint64_t image_addr,
                          const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                          size_t max_entries)
{
    if (max_entries == 0) {
        return 0;
    }
    size_t at = find_line(kept, image_addr);
    bool has_line = at < kept->n_lines;
    const char *file = has_line ? path_of(kept, kept->lines[at].file) : NULL;
    uint32_t line = file ? kept->lines[at].line : 0;
    uint32_t call = has_line ? kept->lines[at].call : KEPT_NONE;
    size_t n = 0;
    while (call != KEPT_NONE && n + 1 < max_entries) { /* parents have smaller numbers */
        const struct kept_call *made = &kept->calls[call];
        const struct symbol *symbol = kept_symbols_function(kept, made->function);
        if (symbol) {
            ret_chain[n++] = (struct symbol_chain_entry){
                .symbol = symbol, .is_inlined = true, .file = file, .line = line};
        }
        file = path_of(kept, made->call_file);
        line = made->call_line;
        call = made->parent;
    }
    /* Of a chain that was cut, nobody knows where the outermost calls. */
    bool is_cut = call != KEPT_NONE;
    ret_chain[n++] = (struct symbol_chain_entry){
        .symbol = outermost, .file = is_cut ? NULL : file, .line = is_cut ? 0 : line};
    return n;
}

int kept_symbols_lines(const struct kept_symbols *kept, uint64_t start_addr, uint64_t end_addr,
                       struct arena *arena, struct source_lines *ret_lines)
{
    *ret_lines = (struct source_lines){.state = SOURCE_LINES_NONE};
    size_t first = find_line(kept, start_addr);
    if (start_addr >= end_addr || first == kept->n_lines ||
        !path_of(kept, kept->lines[first].file)) {
        return 0;
    }
    size_t end = first;
    while (end < kept->n_lines && end - first < SOURCE_LINES_MAX &&
           kept->lines[end].start_addr < end_addr) {
        end++;
    }
    struct source_line_row *rows = arena_alloc_array(arena, end - first, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    for (size_t i = first; i < end; i++) {
        const struct kept_line *line = &kept->lines[i];
        const char *file = path_of(kept, line->file);
        rows[i - first] = (struct source_line_row){
            .start_addr = line->start_addr > start_addr ? line->start_addr : start_addr,
            .file = file,
            .line = file ? line->line : 0,
        };
    }
    *ret_lines =
        (struct source_lines){.state = SOURCE_LINES_LOADED, .n_rows = end - first, .rows = rows};
    return 0;
}

void kept_symbols_describe(const struct kept_symbols *kept, struct symbol_source_info *ret_info)
{
    if (kept_symbols_is_finished(kept)) {
        *ret_info = kept->info;
    } else {
        *ret_info = (struct symbol_source_info){.state = SYMBOL_STATE_LOADING, .origin = "none"};
    }
}

struct kept_contents kept_symbols_contents(const struct kept_symbols *kept)
{
    return (struct kept_contents){
        .layout = &kept->layout,
        .n_functions = kept->n_functions,
        .functions = kept->functions,
        .is_inlined = kept->is_inlined,
        .n_places = kept->n_places,
        .places = kept->places,
        .n_files = kept->n_files,
        .files = kept->files,
        .n_calls = kept->n_calls,
        .calls = kept->calls,
        .n_lines = kept->n_lines,
        .lines = kept->lines,
    };
}
