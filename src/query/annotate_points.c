/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/hash_table.h"
#include "query/annotate_internal.h"
#include "query/frame_jit.h"

static int sum_frames(const struct query_context *context, const struct attribution *attribution,
                      struct annotate_functions *functions)
{
    const struct snapshot *snapshot = context->snapshot;
    functions->frame_ns = arena_alloc_array(context->arena, snapshot->n_frames, sizeof(uint64_t));
    functions->frame_samples =
        arena_alloc_array(context->arena, snapshot->n_frames, sizeof(uint64_t));
    if (!functions->frame_ns || !functions->frame_samples) {
        return -ENOMEM;
    }
    for (stack_id id = 1; id < snapshot->n_stacks; id++) {
        if (attribution->stack_samples[id] > 0 || attribution->stack_ns[id] > 0) {
            frame_id frame = snapshot_stack(snapshot, id).frame;
            functions->frame_ns[frame] += attribution->stack_ns[id];
            functions->frame_samples[frame] += attribution->stack_samples[id];
        }
    }
    return 0;
}

/* The function of one entry of a chain; NULL when memory ran out. */
static struct annotate_function *find_or_add(struct hash_table *table,
                                             struct annotate_functions *functions,
                                             size_t *inout_capacity,
                                             const struct symbol_chain_entry *entry)
{
    uint64_t key = (uint64_t)(uintptr_t)entry->symbol << 1 | entry->is_inlined;
    uint32_t number = hash_table_find(table, key);
    if (number != HASH_TABLE_NONE) {
        return &functions->functions[number];
    }
    if (functions->n_functions == *inout_capacity) {
        size_t capacity = *inout_capacity ? 2 * *inout_capacity : 256;
        struct annotate_function *grown =
            reallocarray(functions->functions, capacity, sizeof(*grown));
        if (!grown) {
            return NULL;
        }
        functions->functions = grown;
        *inout_capacity = capacity;
    }
    if (hash_table_add(table, key, (uint32_t)functions->n_functions) != 0) {
        return NULL;
    }
    struct annotate_function *function = &functions->functions[functions->n_functions++];
    *function = (struct annotate_function){
        .symbol = entry->symbol,
        .is_inlined = entry->is_inlined,
    };
    return function;
}

/* What stands in for a missing name is a place: it has no size. Neither need made functions. */
static bool has_name(const struct query_context *context, struct frame frame,
                     const struct symbol *symbol)
{
    struct jit_place place;
    return symbol->size_bytes > 0 ||
           (frame.code_epoch != 0 &&
            frame_jit_find(query_names_jit(context->names), context->snapshot, frame, &place));
}

static int add_frame(const struct query_context *context, frame_id id, struct hash_table *table,
                     struct annotate_functions *functions, size_t *inout_capacity)
{
    struct name_chain chain;
    query_names_find_chain(context->names, context->snapshot, id, &chain);
    struct frame frame = snapshot_frame(context->snapshot, id);
    for (uint32_t i = 0; i < chain.n_entries; i++) {
        struct annotate_function *function =
            find_or_add(table, functions, inout_capacity, &chain.entries[i]);
        if (!function) {
            return -ENOMEM;
        }
        function->is_named = function->is_inlined || has_name(context, frame, function->symbol);
        function->image = frame.image;
        if (i == 0) {
            function->self_ns += functions->frame_ns[id];
            function->self_samples += functions->frame_samples[id];
        }
    }
    return 0;
}

int annotate_functions_collect(const struct query_context *context,
                               const struct attribution *attribution,
                               struct annotate_functions *ret_functions)
{
    *ret_functions = (struct annotate_functions){0};
    int r = sum_frames(context, attribution, ret_functions);
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    size_t capacity = 0;
    for (frame_id id = 0; r == 0 && id < context->snapshot->n_frames; id++) {
        r = add_frame(context, id, &table, ret_functions, &capacity);
    }
    /* The array grew outside of the arena; what is left of it is kept there. */
    struct annotate_function *kept =
        r == 0 ? arena_alloc_array(context->arena, ret_functions->n_functions + 1, sizeof(*kept))
               : NULL;
    for (size_t i = 0; kept && i < ret_functions->n_functions; i++) {
        kept[i] = ret_functions->functions[i];
    }
    free(ret_functions->functions);
    ret_functions->functions = kept;
    return r != 0 ? r : (kept ? 0 : -ENOMEM);
}

static int by_address(const void *left, const void *right)
{
    const struct annotate_point *a = left, *b = right;
    return a->address < b->address ? -1 : a->address > b->address;
}

static size_t merge_points(struct annotate_point *points, size_t n_points)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < n_points; i++) {
        if (n_kept > 0 && points[n_kept - 1].address == points[i].address) {
            struct annotate_point *kept = &points[n_kept - 1];
            kept->ns += points[i].ns;
            kept->samples += points[i].samples;
            kept->inlined_ns += points[i].inlined_ns;
            kept->inlined_samples += points[i].inlined_samples;
        } else {
            points[n_kept++] = points[i];
        }
    }
    return n_kept;
}

/* The code that is asked for: of a nameless place what lies between the addresses. */
struct range {
    const struct query_context *context;
    const struct annotate_target *target;
    uint64_t start_addr, end_addr;
};

/* The frame's address where it lies in that code. */
static bool is_in_range(const struct range *range, frame_id id, const struct name_chain *chain,
                        uint64_t *ret_address)
{
    const struct query_context *context = range->context;
    const struct annotate_target *target = range->target;
    struct frame frame = snapshot_frame(context->snapshot, id);
    const struct symbol *symbol = chain->entries[chain->n_entries - 1].symbol;
    if (target->is_named ? symbol != target->symbol
                         : frame.image != target->image_id || has_name(context, frame, symbol)) {
        return false;
    }
    struct symbol_source *source = query_names_source(context->names, frame.image);
    *ret_address = frame.offset;
    if (source) {
        (void)symbol_source_find(source, frame.offset, ret_address);
    }
    return target->is_named ||
           (*ret_address >= range->start_addr && *ret_address < range->end_addr);
}

void annotate_points_sort(struct annotate_points *points)
{
    qsort(points->points, points->n_points, sizeof(*points->points), by_address);
    points->n_points = merge_points(points->points, points->n_points);
}

int annotate_points_collect(const struct query_context *context,
                            const struct annotate_functions *functions,
                            const struct annotate_target *target, uint64_t start_addr,
                            uint64_t end_addr, struct annotate_points *ret_points)
{
    const struct range range = {context, target, start_addr, end_addr};
    uint32_t n_frames = context->snapshot->n_frames;
    struct annotate_point *points = arena_alloc_array(context->arena, n_frames, sizeof(*points));
    if (!points) {
        return -ENOMEM;
    }
    size_t n_points = 0;
    for (frame_id id = 0; id < n_frames; id++) {
        uint64_t ns = functions->frame_ns[id], samples = functions->frame_samples[id];
        if (samples == 0 && ns == 0) {
            continue;
        }
        struct name_chain chain;
        uint64_t address;
        query_names_find_chain(context->names, context->snapshot, id, &chain);
        if (!is_in_range(&range, id, &chain, &address)) {
            continue;
        }
        bool is_inlined = chain.entries[0].is_inlined;
        points[n_points++] = (struct annotate_point){
            .address = address,
            .ns = is_inlined ? 0 : ns,
            .samples = is_inlined ? 0 : samples,
            .inlined_ns = is_inlined ? ns : 0,
            .inlined_samples = is_inlined ? samples : 0,
        };
    }
    *ret_points = (struct annotate_points){.n_points = n_points, .points = points};
    annotate_points_sort(ret_points);
    return 0;
}

#define MAX_OWNERS 64u

/* A place without samples: of whoever mapped such memory first. */
static void own_by_image(const struct snapshot *snapshot, const struct image *image,
                         struct annotate_piece *piece)
{
    for (uint32_t id = 1; id < snapshot->n_code_epochs; id++) {
        struct epoch_span span = snapshot_code_epoch(snapshot, id);
        if (span.pid == image->pid) {
            piece->pid = span.pid;
            piece->seen_ns = span.from_ns;
        }
    }
}

size_t annotate_points_owner(const struct query_context *context,
                             const struct annotate_functions *functions,
                             const struct annotate_target *target, struct annotate_piece *piece)
{
    const struct range range = {context, target, piece->start_addr, piece->end_addr};
    const struct snapshot *snapshot = context->snapshot;
    struct {
        int64_t pid;
        uint64_t samples, seen_ns;
    } owners[MAX_OWNERS];
    size_t n_owners = 0, hottest = 0;
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        struct name_chain chain;
        uint64_t address;
        struct frame frame = snapshot_frame(snapshot, id);
        if (frame.code_epoch == 0 || functions->frame_samples[id] == 0) {
            continue;
        }
        query_names_find_chain(context->names, snapshot, id, &chain);
        if (!is_in_range(&range, id, &chain, &address)) {
            continue;
        }
        struct epoch_span span = snapshot_code_epoch(snapshot, frame.code_epoch);
        size_t i = 0;
        while (i < n_owners && owners[i].pid != span.pid) {
            i++;
        }
        if (i == MAX_OWNERS) {
            continue;
        }
        if (i == n_owners) {
            owners[n_owners].pid = span.pid;
            owners[n_owners].samples = owners[n_owners].seen_ns = 0;
            n_owners++;
        }
        owners[i].samples += functions->frame_samples[id];
        owners[i].seen_ns = span.from_ns; /* of the last epoch: the code of today, if any is */
        hottest = owners[i].samples > owners[hottest].samples ? i : hottest;
    }
    if (n_owners == 0) {
        own_by_image(snapshot, target->image, piece);
        return 0;
    }
    piece->pid = owners[hottest].pid;
    piece->seen_ns = owners[hottest].seen_ns;
    return n_owners - 1;
}

static int by_weight(const void *left, const void *right)
{
    const struct annotate_candidate *a = left, *b = right;
    if (a->self_active_ns != b->self_active_ns) {
        return a->self_active_ns > b->self_active_ns ? -1 : 1;
    }
    return a->self_samples > b->self_samples ? -1 : a->self_samples < b->self_samples;
}

static bool holds(const struct name_chain *chain, const struct symbol *inlined)
{
    for (uint32_t i = 0; i < chain->n_entries; i++) {
        if (chain->entries[i].is_inlined && chain->entries[i].symbol == inlined) {
            return true;
        }
    }
    return false;
}

int annotate_inlined_into(const struct query_context *context,
                          const struct annotate_functions *functions, const struct symbol *inlined,
                          struct annotate_result *result)
{
    const struct snapshot *snapshot = context->snapshot;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    struct annotate_candidate *rows =
        arena_alloc_array(context->arena, functions->n_functions, sizeof(*rows));
    size_t n_rows = 0;
    for (frame_id id = 0; rows && id < snapshot->n_frames; id++) {
        struct name_chain chain;
        query_names_find_chain(context->names, snapshot, id, &chain);
        if (!holds(&chain, inlined)) {
            continue;
        }
        const struct symbol *outer = chain.entries[chain.n_entries - 1].symbol;
        uint32_t row = hash_table_find(&table, (uint64_t)(uintptr_t)outer);
        if (row == HASH_TABLE_NONE) {
            row = (uint32_t)n_rows++;
            if (n_rows > functions->n_functions ||
                hash_table_add(&table, (uint64_t)(uintptr_t)outer, row) != 0) {
                return -ENOMEM;
            }
            rows[row] = (struct annotate_candidate){
                .name = outer->name,
                .image = outer->image,
                .kind = outer->kind,
                .address = annotate_address(context->arena, outer->start_address),
            };
        }
        if (chain.entries[0].symbol == inlined && chain.entries[0].is_inlined) {
            rows[row].self_active_ns += functions->frame_ns[id];
            rows[row].self_samples += functions->frame_samples[id];
        }
    }
    if (!rows) {
        return -ENOMEM;
    }
    qsort(rows, n_rows, sizeof(*rows), by_weight);
    result->inlined_into = rows;
    result->n_inlined_into = n_rows;
    return 0;
}
