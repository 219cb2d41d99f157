/* SPDX-License-Identifier: MIT */
/*
 * Functions are kept with their ranges, as the tables have them, and then every
 * place that somebody will ask about is asked there as well: where the answer
 * is another one (tables have functions within functions, and several layers),
 * the place is told by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/run_symbols_internal.h"
#include "base/clock.h"
#include "symbols/line_excerpt.h"
#include "symbols/source_lines.h"

int gathered_group_add_place(struct gathered_group *group, const struct gathered_place *place)
{
    if (group->n_places == group->places_capacity) {
        size_t capacity = group->places_capacity ? 2 * group->places_capacity : 64;
        struct gathered_place *grown = reallocarray(group->places, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        group->places = grown;
        group->places_capacity = capacity;
    }
    group->places[group->n_places++] = *place;
    return 0;
}

/* Functions ------------------------------------------------------------------------------------ */

/* KEPT_NONE for NULL. Inlined functions have symbols of their own. */
static int number_of(struct gathered_group *group, const struct symbol *symbol, bool is_inlined,
                     uint32_t *ret_function)
{
    *ret_function = KEPT_NONE;
    if (!symbol) {
        return 0;
    }
    uint64_t key = (uint64_t)(uintptr_t)symbol << 1 | is_inlined;
    uint32_t known = hash_table_find(&group->function_numbers, key);
    if (known != HASH_TABLE_NONE) {
        *ret_function = known;
        return 0;
    }
    int r = kept_symbols_add_function(group->kept, symbol, is_inlined, ret_function);
    r = r ? r : hash_table_add(&group->function_numbers, key, *ret_function);
    if (r == 0) {
        group->writing->stats->n_functions += !is_inlined;
        group->writing->stats->n_inlined_functions += is_inlined;
    }
    return r;
}

static int by_address(const void *left, const void *right)
{
    const struct gathered_place *a = left, *b = right;
    if (a->image_addr != b->image_addr) {
        return a->image_addr < b->image_addr ? -1 : 1;
    }
    return a->is_target - b->is_target;
}

/* By address, each once; what a frame is at comes before what is only jumped to. */
static void sort_places(struct gathered_group *group)
{
    if (group->n_places == 0) {
        return;
    }
    qsort(group->places, group->n_places, sizeof(*group->places), by_address);
    size_t n_kept = 0;
    for (size_t i = 0; i < group->n_places; i++) {
        if (n_kept == 0 || group->places[n_kept - 1].image_addr != group->places[i].image_addr) {
            group->places[n_kept++] = group->places[i];
        }
    }
    group->n_places = n_kept;
}

static int keep_functions(struct gathered_group *group)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < group->n_places; i++) {
        uint32_t unused;
        r = number_of(group, group->places[i].symbol, false, &unused);
    }
    r = r ? r : kept_symbols_finish(group->kept);
    for (size_t i = 0; r == 0 && i < group->n_places; i++) {
        const struct gathered_place *place = &group->places[i];
        uint32_t wanted;
        r = number_of(group, place->symbol, false, &wanted);
        if (r == 0 && kept_symbols_find_function(group->kept, place->image_addr) != wanted) {
            r = kept_symbols_add_place(group->kept, place->image_addr, wanted);
            group->writing->stats->n_places++;
        }
    }
    return r;
}

/* Lines ---------------------------------------------------------------------------------------- */

static int file_of(struct gathered_group *group, const char *path, uint32_t *ret_file)
{
    *ret_file = KEPT_NONE;
    return path ? kept_symbols_add_file(group->kept, path, ret_file) : 0;
}

static int keep_excerpt(struct gathered_group *group, const struct line_excerpt *excerpt,
                        struct arena *arena)
{
    uint32_t *calls = arena_alloc_array(arena, excerpt->n_calls, sizeof(*calls));
    int r = calls ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < excerpt->n_calls; i++) {
        const struct excerpt_call *made = &excerpt->calls[i];
        struct kept_call call = {
            .parent = made->parent == LINE_EXCERPT_NONE ? KEPT_NONE : calls[made->parent],
            .call_line = made->call_line,
        };
        r = number_of(group, made->function, true, &call.function);
        r = r ? r : file_of(group, made->call_file, &call.call_file);
        r = r ? r : kept_symbols_add_call(group->kept, &call, &calls[i]);
    }
    for (size_t i = 0; r == 0 && i < excerpt->n_lines; i++) {
        const struct excerpt_line *row = &excerpt->lines[i];
        struct kept_line line = {
            .start_addr = row->start_addr,
            .line = row->line,
            .call = row->call == LINE_EXCERPT_NONE ? KEPT_NONE : calls[row->call],
        };
        r = file_of(group, row->file, &line.file);
        r = r ? r : kept_symbols_add_line(group->kept, &line);
    }
    return r;
}

static int keep_lines_of(struct gathered_group *group, uint64_t start_addr, uint64_t end_addr)
{
    uint64_t now_ns = clock_now_ns(), until_ns = group->writing->until_ns;
    int timeout_ms = until_ns > now_ns ? (int)((until_ns - now_ns) / NS_PER_MS) : 0;
    struct arena arena;
    arena_init(&arena, 0);
    struct line_excerpt excerpt;
    int r =
        symbol_source_excerpt(group->source, start_addr, end_addr, timeout_ms, &arena, &excerpt);
    if (r == 0 && excerpt.n_lines == 0) {
        struct source_lines late;
        r = symbol_source_lines(group->source, start_addr, end_addr, 0, &arena, &late);
        group->writing->stats->n_lines_late += r == 0 && late.state == SOURCE_LINES_LOADING;
    }
    if (r == 0 && excerpt.n_lines > 0) {
        r = keep_excerpt(group, &excerpt, &arena);
        const struct kept_line end = {.start_addr = end_addr, .file = KEPT_NONE, .call = KEPT_NONE};
        r = r ? r : kept_symbols_add_line(group->kept, &end);
    }
    arena_release(&arena);
    return r;
}

/* Where annotate shows a place without a name, it shows lines beside it as well. */
#define PLACE_BYTES 256u

struct line_range {
    uint64_t start_addr, end_addr;
};

static int by_start(const void *left, const void *right)
{
    const struct line_range *a = left, *b = right;
    if (a->start_addr != b->start_addr) {
        return a->start_addr < b->start_addr ? -1 : 1;
    }
    return a->end_addr > b->end_addr ? -1 : a->end_addr < b->end_addr;
}

/* Functions that frames are in, each part of the code once. */
static int keep_lines(struct gathered_group *group)
{
    struct line_range *ranges = calloc(group->n_places + 1, sizeof(*ranges));
    if (!ranges) {
        return -ENOMEM;
    }
    size_t n_ranges = 0;
    const struct symbol *last = NULL;
    for (size_t i = 0; i < group->n_places; i++) {
        const struct gathered_place *place = &group->places[i];
        const struct symbol *symbol = place->symbol;
        if (place->is_target || (symbol && symbol == last)) {
            continue;
        }
        last = symbol;
        bool has_range = symbol && symbol->size_bytes > 0;
        uint64_t low = place->image_addr > PLACE_BYTES ? place->image_addr - PLACE_BYTES : 0;
        ranges[n_ranges++] = (struct line_range){
            .start_addr = has_range ? symbol->start_address : low,
            .end_addr = has_range ? symbol->start_address + symbol->size_bytes
                                  : place->image_addr + PLACE_BYTES,
        };
    }
    qsort(ranges, n_ranges, sizeof(*ranges), by_start);
    uint64_t covered_until = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_ranges; i++) {
        uint64_t start = ranges[i].start_addr;
        start = start > covered_until ? start : covered_until;
        if (start < ranges[i].end_addr) {
            r = keep_lines_of(group, start, ranges[i].end_addr);
            covered_until = ranges[i].end_addr;
        }
    }
    free(ranges);
    return r;
}

/* Groups --------------------------------------------------------------------------------------- */

static int gather_names(struct gathered_group *group)
{
    struct symbol_source_info info;
    symbol_source_describe(group->source, &info);
    kept_symbols_set_layout(group->kept, &group->layout);
    int r = kept_symbols_describe_as(group->kept, &info);
    sort_places(group);
    r = r ? r : keep_functions(group);
    r = r ? r : keep_lines(group);
    if (r == -ENOSPC) { /* what is in it is kept */
        group->writing->stats->n_no_room++;
        r = 0;
    }
    r = r ? r : kept_symbols_finish(group->kept);
    group->writing->stats->n_lines += kept_symbols_contents(group->kept).n_lines;
    return r;
}

/* What is kept already is passed on as it is. */
static int pass_on(struct symbol_writing *writing, const struct image *image,
                   struct kept_symbols *kept, struct kept_group *result)
{
    if (kept) {
        struct kept_contents contents = kept_symbols_contents(kept);
        result->symbols = kept_symbols_ref(kept);
        writing->stats->n_functions += contents.n_functions;
        writing->stats->n_lines += contents.n_lines;
    }
    result->code = query_names_kept_code(writing->names, image);
    return 0;
}

static int gather_group(struct symbol_writing *writing, struct gathered_group *group,
                        struct kept_group *result)
{
    struct kept_symbols *known = group->source ? symbol_source_kept(group->source) : NULL;
    if (known || query_names_is_kept_only(writing->names)) {
        return pass_on(writing, group->image, known, result);
    }
    int r = 0;
    if (!group->source) {
        r = writing->options->is_target_alive
                ? memory_gather(writing, group->image, &result->own_code)
                : 0;
        result->code = result->own_code;
        return r;
    }
    r = kept_symbols_new(&result->symbols);
    group->kept = result->symbols;
    if (r == 0) {
        sort_places(group);
        r = code_gather(group, &result->own_code);
        result->code = result->own_code;
    }
    return r ? r : gather_names(group);
}

/* The image's group; a new one where no image with the same symbols has come before. */
static int find_group(struct symbol_writing *writing, struct hash_table *by_table,
                      const struct image *image, struct gathered_group *groups,
                      struct gathered_group **ret_group)
{
    struct run_symbols *symbols = writing->symbols;
    uint32_t known = hash_table_find(&symbols->group_numbers, image->id);
    if (known != HASH_TABLE_NONE) {
        *ret_group = &groups[known];
        return 0;
    }
    struct symbol_source *source = query_names_source(writing->names, image->id);
    const void *table = source ? symbol_source_table(source) : NULL;
    uint64_t key = (uint64_t)(uintptr_t)table;
    known = table ? hash_table_find(by_table, key) : HASH_TABLE_NONE;
    int r = 0;
    if (known == HASH_TABLE_NONE) {
        r = run_symbols_add_group(symbols, &known);
        r = r || !table ? r : hash_table_add(by_table, key, known);
        if (r < 0) {
            return r;
        }
        groups[known] =
            (struct gathered_group){.writing = writing, .image = image, .source = source};
        hash_table_init(&groups[known].function_numbers);
        if (source) {
            symbol_source_layout(source, &groups[known].layout);
        }
    }
    *ret_group = &groups[known];
    return hash_table_add(&symbols->group_numbers, image->id, known);
}

static int add_frame(const struct symbol_writing *writing, struct gathered_group *group,
                     struct frame frame)
{
    struct symbol_source *source = query_names_source(writing->names, frame.image);
    struct gathered_place place = {0};
    place.symbol = symbol_source_find(source, frame.offset, &place.image_addr);
    uint64_t unused;
    bool has_address = place.symbol || group->layout.n_segments == 0 ||
                       elf_layout_find(&group->layout, frame.offset, &unused);
    return has_address ? gathered_group_add_place(group, &place) : 0;
}

static int add_frames(struct symbol_writing *writing, struct hash_table *by_table,
                      struct gathered_group *groups)
{
    int r = 0;
    for (frame_id id = 0; r == 0 && id < writing->snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(writing->snapshot, id);
        if (frame.image == IMAGE_ID_NAMED || frame.image >= writing->snapshot->n_images) {
            continue;
        }
        struct gathered_group *group;
        const struct image *image = snapshot_image(writing->snapshot, frame.image);
        r = find_group(writing, by_table, image, groups, &group);
        if (r == 0 && group->source && frame.code_epoch == 0) {
            r = add_frame(writing, group, frame);
        }
    }
    return r;
}

int symbol_gather(struct symbol_writing *writing)
{
    _cleanup_(hash_table_releasep) struct hash_table by_table;
    hash_table_init(&by_table);
    /* There are no more groups than images. */
    struct gathered_group *groups =
        calloc((size_t)writing->snapshot->n_images + 1, sizeof(*groups));
    if (!groups) {
        return -ENOMEM;
    }
    int r = add_frames(writing, &by_table, groups);
    for (size_t i = 0; i < writing->symbols->n_groups; i++) {
        r = r ? r : gather_group(writing, &groups[i], &writing->symbols->groups[i]);
        free(groups[i].places);
        hash_table_release(&groups[i].function_numbers);
    }
    free(groups);
    return r;
}
