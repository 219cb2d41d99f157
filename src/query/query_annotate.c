/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "query/annotate_internal.h"
#include "symbols/source_lines.h"

/* Shown on each side of a place whose function is not known. */
#define PLACE_BYTES 256u
#define NOTE_BYTES 500
/* Inline chains of one function are there within this, or come with the next answer. */
#define CHAINS_WAIT_MS 600

void annotate_note(const struct query_context *context, struct annotate_result *result,
                   const char *format, ...)
{
    if (!result->notes) {
        result->notes =
            arena_alloc_array(context->arena, ANNOTATE_NOTES_MAX, sizeof(*result->notes));
    }
    if (!result->notes || result->n_notes == ANNOTATE_NOTES_MAX) {
        return;
    }
    char note[NOTE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note, sizeof(note), format, arguments);
    va_end(arguments);
    char *kept = arena_strdup(context->arena, note);
    if (kept) {
        result->notes[result->n_notes++] = kept;
    }
}

struct code_access annotate_access(const struct query_context *context,
                                   const struct code_access *access, const struct image *image)
{
    struct code_access own = *access;
    own.is_kept_only = query_names_is_kept_only(context->names);
    own.kept = query_names_kept_code(context->names, image);
    return own;
}

/* The lowest sampled address from `low` on: where an instruction begins for sure. */
static uint64_t first_sampled(const struct query_context *context,
                              const struct annotate_functions *functions,
                              const struct annotate_target *target, uint64_t low)
{
    struct annotate_points points;
    if (annotate_points_collect(context, functions, target, low, target->place_addr + 1, &points) !=
            0 ||
        points.n_points == 0) {
        return target->place_addr;
    }
    return points.points[0].address;
}

/* The surroundings of a place without a name. */
static void find_bounds(const struct query_context *context,
                        const struct annotate_functions *functions,
                        const struct code_access *access, const struct annotate_target *target,
                        struct annotate_piece *piece)
{
    uint64_t place = target->place_addr;
    const struct code_access own = annotate_access(context, access, target->image);
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    if (code_reader_open(&own, target->image, &reader, NULL) == 0 &&
        code_reader_bounds(reader, place, &piece->start_addr, &piece->end_addr)) {
        return;
    }
    uint64_t low = place > PLACE_BYTES ? place - PLACE_BYTES : 0;
    piece->start_addr = first_sampled(context, functions, target, low);
    piece->end_addr = place <= UINT64_MAX - PLACE_BYTES ? place + PLACE_BYTES : UINT64_MAX;
}

/* Chains decide what counts as inlined; once they have been read, the sums are those of `top`. */
static void await_chains(const struct query_context *context, const struct annotate_target *target,
                         const struct annotate_piece *piece)
{
    struct source_lines unused;
    if (target->source && target->image->kind == IMAGE_KIND_FILE) {
        (void)symbol_source_lines(target->source, piece->start_addr, piece->end_addr,
                                  CHAINS_WAIT_MS, context->arena, &unused);
    }
}

/* Code that came from a compiler: one piece. */
static int compiled_piece(const struct query_context *context,
                          const struct query_annotate_options *options,
                          const struct annotate_functions *functions,
                          struct annotate_target *target, struct annotate_result *result)
{
    struct annotate_piece *piece = arena_alloc(context->arena, sizeof(*piece));
    if (!piece) {
        return -ENOMEM;
    }
    if (target->is_named) {
        piece->start_addr = target->symbol->start_address;
        piece->end_addr = target->symbol->start_address + target->symbol->size_bytes;
    } else {
        find_bounds(context, functions, &options->code, target, piece);
    }
    size_t n_others = target->image->kind == IMAGE_KIND_ANONYMOUS
                          ? annotate_points_owner(context, functions, target, piece)
                          : 0;
    if (n_others > 0) {
        annotate_note(context, result,
                      "%zu other processes have samples at these addresses: the code is that of "
                      "process %" PRId64,
                      n_others, piece->pid);
    }
    await_chains(context, target, piece);
    target->pieces = piece;
    target->n_pieces = 1;
    return annotate_points_collect(context, functions, target, piece->start_addr, piece->end_addr,
                                   &piece->points);
}

static void sum_points(const struct annotate_points *points, struct annotate_result *result)
{
    for (size_t i = 0; i < points->n_points; i++) {
        result->self_active_ns += points->points[i].ns;
        result->self_samples += points->points[i].samples;
        result->inlined_active_ns += points->points[i].inlined_ns;
        result->inlined_samples += points->points[i].inlined_samples;
    }
}

static int annotate_target(const struct query_context *context,
                           const struct query_annotate_options *options,
                           const struct annotate_functions *functions,
                           struct annotate_target *target, struct annotate_result *result)
{
    int r = annotate_made_pieces(context, functions, target);
    if (r == 0 && target->n_pieces == 0) {
        r = compiled_piece(context, options, functions, target, result);
    }
    if (r != 0) {
        return r;
    }
    result->self_active_ns = result->self_samples = 0;
    for (size_t i = 0; i < target->n_pieces; i++) {
        sum_points(&target->pieces[i].points, result);
    }
    const struct annotate_piece *first = &target->pieces[0];
    result->address = annotate_address(context->arena, first->start_addr);
    result->size = first->end_addr - first->start_addr;
    if (target->n_pieces > 1) {
        annotate_note(context, result,
                      "the program made %s %zu times: the code that took most time comes first",
                      target->name, target->n_pieces);
    }
    uint64_t function_ns = result->self_active_ns + result->inlined_active_ns;
    for (size_t i = 0; r == 0 && i < target->n_pieces; i++) {
        r = annotate_code(context, options, target, &target->pieces[i], function_ns, result);
    }
    return r;
}

static double pct(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

int query_annotate(const struct query_context *context,
                   const struct query_annotate_options *options, struct annotate_result *ret_result,
                   struct error *reterr_error)
{
    struct attribution attribution;
    struct annotate_functions functions;
    struct annotate_target target;
    if (!options->function || options->function[0] == '\0') {
        error_set(reterr_error, "invalid_params", "function: which one?");
        return -EINVAL;
    }
    int r = attribution_compute(context, &attribution, reterr_error);
    r = r ? r : annotate_functions_collect(context, &attribution, &functions);
    if (r != 0) {
        return r;
    }
    struct annotate_result *result = ret_result;
    *result = (struct annotate_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .totals = attribution.totals,
    };
    r = annotate_choose(context, &options->code, &functions, options->function, &target, result,
                        reterr_error);
    if (r != 0) {
        return r;
    }
    result->name = target.name;
    result->image = target.symbol ? target.symbol->image : target.image->name;
    result->kind = target.symbol ? target.symbol->kind : FRAME_KIND_USER;
    if (!result->inlined) {
        r = annotate_target(context, options, &functions, &target, result);
    }
    result->self_pct = pct(result->self_active_ns, result->totals.active_ns);
    return r;
}
