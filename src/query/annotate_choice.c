/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "query/annotate_internal.h"
#include "query/function_choice.h"
#include "query/pattern.h"

#define CANDIDATES_MAX 20u

const char *annotate_address(struct arena *arena, uint64_t address)
{
    return arena_printf(arena, "0x%" PRIx64, address);
}

/* What was typed, tried on every function. */
struct wanted {
    const char *text;
    bool is_expression; /* "/…/" */
    struct patterns patterns;
    const struct annotate_functions *functions;
    struct function_candidate *candidates; /* by number of the function */
};

static unsigned int fit_of(const struct wanted *wanted, size_t index)
{
    if (!wanted->is_expression) {
        return function_choice_fit(wanted->text, &wanted->candidates[index]);
    }
    /* Patterns of views look at images too; here only the name counts. */
    const struct symbol name_only = {.name = wanted->candidates[index].symbol->name, .image = ""};
    return patterns_match(&wanted->patterns, &name_only);
}

static int by_weight(const void *left, const void *right)
{
    const struct annotate_candidate *a = left, *b = right;
    if (a->self_active_ns != b->self_active_ns) {
        return a->self_active_ns > b->self_active_ns ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static int list_candidates(const struct query_context *context, const struct wanted *wanted,
                           size_t chosen, struct annotate_result *result)
{
    size_t n_functions = wanted->functions->n_functions;
    unsigned int fit = fit_of(wanted, chosen);
    struct annotate_candidate *rows = arena_alloc_array(context->arena, n_functions, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    size_t n_rows = 0;
    for (size_t i = 0; fit > 0 && i < n_functions; i++) {
        const struct annotate_function *function = &wanted->functions->functions[i];
        if (i != chosen && fit_of(wanted, i) == fit) {
            rows[n_rows++] = (struct annotate_candidate){
                .name = function->symbol->name,
                .image = function->symbol->image,
                .kind = function->symbol->kind,
                .inlined = function->is_inlined,
                .address = function->is_inlined
                               ? NULL
                               : annotate_address(context->arena, function->symbol->start_address),
                .self_samples = function->self_samples,
                .self_active_ns = function->self_ns,
            };
        }
    }
    qsort(rows, n_rows, sizeof(*rows), by_weight);
    result->candidates = rows;
    result->n_candidates = n_rows < CANDIDATES_MAX ? n_rows : CANDIDATES_MAX;
    return 0;
}

/* The hottest function that the expression matches; SIZE_MAX where it matches none. */
static size_t choose_by_expression(const struct query_context *context, const struct wanted *wanted,
                                   struct annotate_result *result)
{
    const struct annotate_functions *functions = wanted->functions;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < functions->n_functions; i++) {
        if (fit_of(wanted, i) > 0 && (best == SIZE_MAX || functions->functions[i].self_ns >
                                                              functions->functions[best].self_ns)) {
            best = i;
        }
    }
    if (best != SIZE_MAX) {
        result->choice = arena_printf(context->arena, "%s is taken as %s (%s)", wanted->text,
                                      functions->functions[best].symbol->name,
                                      functions->functions[best].symbol->image);
    }
    return best;
}

/* The image that was mapped there first, and the place in it. */
static const struct image *find_mapping(const struct query_context *context, uint64_t ip,
                                        uint64_t *ret_offset)
{
    if (ip >> 63) { /* the upper half of the address space is the kernel's */
        *ret_offset = ip;
        return snapshot_image(context->snapshot, IMAGE_ID_KERNEL);
    }
    for (image_id id = 0; id < context->snapshot->n_images; id++) {
        const struct image *image = snapshot_image(context->snapshot, id);
        if (ip >= image->start_ip && ip < image->end_ip) {
            bool has_offsets = image->kind == IMAGE_KIND_FILE;
            *ret_offset = has_offsets ? ip - image->start_ip + image->start_offset : ip;
            return image;
        }
    }
    return NULL;
}

/* "image+0x…": the image of that name and the address in it. */
static const struct image *find_image_place(const struct query_context *context, const char *wanted,
                                            uint64_t *ret_address)
{
    const char *plus = strrchr(wanted, '+');
    if (!plus || plus == wanted || !function_choice_is_address(plus + 1, ret_address)) {
        return NULL;
    }
    size_t n_bytes = (size_t)(plus - wanted);
    for (image_id id = 0; id < context->snapshot->n_images; id++) {
        const struct image *image = snapshot_image(context->snapshot, id);
        if (strlen(image->name) == n_bytes && strncasecmp(image->name, wanted, n_bytes) == 0) {
            return image;
        }
    }
    return NULL;
}

static void set_function(const struct query_context *context, const struct symbol *symbol,
                         image_id image, bool is_named, struct annotate_target *target)
{
    *target = (struct annotate_target){
        .symbol = symbol,
        .name = symbol->name,
        .image_id = image,
        .image = snapshot_image(context->snapshot, image),
        .source = query_names_source(context->names, image),
        .is_named = is_named,
        .place_addr = symbol->start_address,
    };
}

/* A place that need not have been sampled. */
static int set_place(const struct query_context *context, const struct image *image,
                     uint64_t offset, struct annotate_target *target)
{
    struct symbol_source *source = query_names_source(context->names, image->id);
    uint64_t address = offset;
    const struct symbol *symbol = NULL;
    if (source) {
        symbol_source_want(source);
        symbol = symbol_source_find(source, offset, &address);
    }
    if (symbol && symbol->size_bytes > 0) {
        set_function(context, symbol, image->id, true, target);
        return 0;
    }
    *target = (struct annotate_target){
        .name = arena_printf(context->arena, "%s+0x%" PRIx64, image->name, address),
        .image_id = image->id,
        .image = image,
        .source = source,
        .place_addr = address,
    };
    return target->name ? 0 : -ENOMEM;
}

/* What was typed is no function that was sampled, but perhaps a place. -ENOENT: neither. */
static int choose_place(const struct query_context *context, const struct code_access *access,
                        const char *wanted, struct annotate_target *target)
{
    uint64_t address, offset;
    if (function_choice_is_address(wanted, &address)) {
        image_id made_image;
        const struct symbol *made = annotate_made_at(context, address, &made_image);
        if (made) {
            set_function(context, made, made_image, true, target);
            return 0;
        }
        const struct image *image = find_mapping(context, address, &offset);
        return image ? set_place(context, image, offset, target) : -ENOENT;
    }
    const struct image *image = find_image_place(context, wanted, &address);
    if (!image) {
        return -ENOENT;
    }
    const struct code_access own = annotate_access(context, access, image);
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    bool is_place = code_reader_open(&own, image, &reader, NULL) == 0 &&
                    code_reader_is_code(reader, address) &&
                    code_reader_offset(reader, address, &offset);
    return is_place ? set_place(context, image, offset, target) : -ENOENT;
}

/* An inlined function that has code of its own as well is shown there. */
static size_t twin_of(const struct annotate_functions *functions, size_t index)
{
    const struct annotate_function *inlined = &functions->functions[index];
    for (size_t i = 0; inlined->is_inlined && i < functions->n_functions; i++) {
        const struct annotate_function *function = &functions->functions[i];
        if (!function->is_inlined && function->is_named &&
            strcmp(function->symbol->name, inlined->symbol->name) == 0 &&
            strcmp(function->symbol->image, inlined->symbol->image) == 0) {
            return i;
        }
    }
    return index;
}

static int take(const struct query_context *context, const struct wanted *wanted, size_t index,
                struct annotate_target *target, struct annotate_result *result)
{
    const struct annotate_functions *functions = wanted->functions;
    int r = list_candidates(context, wanted, index, result);
    const struct annotate_function *chosen = &functions->functions[index];
    if (r == 0 && chosen->is_inlined) {
        r = annotate_inlined_into(context, functions, chosen->symbol, result);
    }
    if (r != 0) {
        return r;
    }
    chosen = &functions->functions[twin_of(functions, index)];
    result->inlined = chosen->is_inlined;
    result->self_active_ns = chosen->self_ns;
    result->self_samples = chosen->self_samples;
    set_function(context, chosen->symbol, chosen->image, chosen->is_named, target);
    return 0;
}

static int choose(const struct query_context *context, const struct code_access *access,
                  struct wanted *wanted, struct annotate_target *ret_target,
                  struct annotate_result *result, struct error *reterr_error)
{
    struct function_choice choice = {.index = SIZE_MAX};
    if (wanted->is_expression) {
        choice.index = choose_by_expression(context, wanted, result);
        if (choice.index != SIZE_MAX) {
            return take(context, wanted, choice.index, ret_target, result);
        }
    }
    int r = function_choice_make(wanted->text, wanted->candidates, wanted->functions->n_functions,
                                 context->arena, &choice, reterr_error);
    if (r == -ENOENT) {
        struct error unused = {0};
        int r_place = choose_place(context, access, wanted->text, ret_target);
        if (r_place == 0 && reterr_error) {
            *reterr_error = unused;
        }
        return r_place == -ENOENT ? r : r_place;
    }
    if (r != 0) {
        return r;
    }
    result->choice = choice.note;
    return take(context, wanted, choice.index, ret_target, result);
}

int annotate_choose(const struct query_context *context, const struct code_access *access,
                    const struct annotate_functions *functions, const char *wanted_text,
                    struct annotate_target *ret_target, struct annotate_result *result,
                    struct error *reterr_error)
{
    size_t n_functions = functions->n_functions;
    struct wanted *wanted = arena_alloc(context->arena, sizeof(*wanted));
    struct function_candidate *candidates =
        arena_alloc_array(context->arena, n_functions, sizeof(*candidates));
    if (!wanted || !candidates) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_functions; i++) {
        candidates[i] = (struct function_candidate){
            .symbol = functions->functions[i].symbol,
            .is_inlined = functions->functions[i].is_inlined,
            .weight_ns = functions->functions[i].self_ns,
        };
    }
    size_t n_bytes = strlen(wanted_text);
    wanted->text = wanted_text;
    wanted->functions = functions;
    wanted->candidates = candidates;
    wanted->is_expression = n_bytes > 2 && wanted_text[0] == '/' && wanted_text[n_bytes - 1] == '/';
    if (wanted->is_expression) {
        char *text = arena_strdup(context->arena, wanted_text);
        int r = text ? patterns_compile(&text, 1, &wanted->patterns, reterr_error) : -ENOMEM;
        if (r != 0) {
            return r;
        }
    }
    int r = choose(context, access, wanted, ret_target, result, reterr_error);
    if (wanted->is_expression) {
        patterns_release(&wanted->patterns);
    }
    return r;
}
