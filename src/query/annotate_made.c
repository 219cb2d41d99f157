/* SPDX-License-Identifier: MIT */
/*
 * A function that a program made itself has as many pieces of code as it was
 * compiled or moved to: each is shown where it stood.
 */
#include <errno.h>
#include <stdlib.h>

#include "query/annotate_internal.h"
#include "query/frame_jit.h"

#define N_ROOM (ANNOTATE_PIECES_MAX + 1) /* the last one counts what is not shown */

struct made {
    const struct query_context *context;
    struct annotate_target *target;
    struct annotate_point *points; /* of all pieces, by frame */
    uint8_t *pieces;               /* piece of each point */
    size_t n_points;
};

/* The bytes that the program kept are the same for all its children; memory is each one's own. */
static bool is_same_code(const struct annotate_piece *piece, const struct jit_place *place)
{
    return piece->is_made && piece->made.start_ip == place->start_ip &&
           piece->made.from_ns == place->from_ns && piece->made.body == place->body &&
           (place->pid == piece->pid || place->body);
}

static struct annotate_piece *find_piece(struct annotate_target *target,
                                         const struct jit_place *place, uint64_t seen_ns)
{
    for (size_t i = 0; i < target->n_pieces; i++) {
        struct annotate_piece *piece = &target->pieces[i];
        if (is_same_code(piece, place)) {
            return piece;
        }
    }
    if (target->n_pieces == N_ROOM) {
        return &target->pieces[N_ROOM - 1];
    }
    struct annotate_piece *piece = &target->pieces[target->n_pieces++];
    bool is_shown = target->n_pieces < N_ROOM;
    *piece = (struct annotate_piece){
        .start_addr = is_shown ? place->start_ip : 0,
        .end_addr = is_shown ? place->end_ip : 0,
        .is_made = is_shown,
        .made = *place,
        .pid = place->pid,
        .seen_ns = seen_ns,
    };
    return piece;
}

static bool find_made(const struct query_context *context, frame_id id, struct jit_place *ret_place)
{
    struct frame frame = snapshot_frame(context->snapshot, id);
    return frame_jit_find(query_names_jit(context->names), context->snapshot, frame, ret_place);
}

/* The points of one piece, out of those of all. */
static int gather(const struct made *made, size_t number)
{
    struct annotate_piece *piece = &made->target->pieces[number];
    size_t n_points = 0;
    for (size_t i = 0; i < made->n_points; i++) {
        n_points += made->pieces[i] == number;
    }
    piece->points.points =
        arena_alloc_array(made->context->arena, n_points, sizeof(*piece->points.points));
    if (!piece->points.points) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < made->n_points; i++) {
        if (made->pieces[i] == number) {
            piece->points.points[piece->points.n_points++] = made->points[i];
            piece->ns += made->points[i].ns;
        }
    }
    annotate_points_sort(&piece->points);
    return 0;
}

/* What is only counted stays last. */
static int by_heat(const void *left, const void *right)
{
    const struct annotate_piece *a = left, *b = right;
    if (a->is_made != b->is_made) {
        return a->is_made ? -1 : 1;
    }
    return a->ns > b->ns ? -1 : a->ns < b->ns;
}

int annotate_made_pieces(const struct query_context *context,
                         const struct annotate_functions *functions, struct annotate_target *target)
{
    if (!target->symbol || !query_names_jit(context->names)) {
        return 0;
    }
    uint32_t n_frames = context->snapshot->n_frames;
    struct made made = {
        .context = context,
        .target = target,
        .points = arena_alloc_array(context->arena, n_frames, sizeof(*made.points)),
        .pieces = arena_alloc_array(context->arena, n_frames, sizeof(*made.pieces)),
    };
    target->pieces = arena_alloc_array(context->arena, N_ROOM, sizeof(*target->pieces));
    if (!made.points || !made.pieces || !target->pieces) {
        return -ENOMEM;
    }
    for (frame_id id = 0; id < n_frames; id++) {
        struct jit_place place;
        uint32_t code_epoch = snapshot_frame(context->snapshot, id).code_epoch;
        if (code_epoch == 0 || !find_made(context, id, &place) || place.symbol != target->symbol) {
            continue;
        }
        uint64_t seen_ns = snapshot_code_epoch(context->snapshot, code_epoch).from_ns;
        const struct annotate_piece *piece = find_piece(target, &place, seen_ns);
        if (functions->frame_samples[id] > 0 || functions->frame_ns[id] > 0) {
            made.pieces[made.n_points] = (uint8_t)(piece - target->pieces);
            made.points[made.n_points++] = (struct annotate_point){
                .address = snapshot_frame(context->snapshot, id).offset,
                .ns = functions->frame_ns[id],
                .samples = functions->frame_samples[id],
            };
        }
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < target->n_pieces; i++) {
        r = gather(&made, i);
    }
    qsort(target->pieces, target->n_pieces, sizeof(*target->pieces), by_heat);
    /* Code that was only called from, beside code that was sampled, says nothing. */
    while (target->n_pieces > 1 && target->pieces[target->n_pieces - 1].points.n_points == 0) {
        target->n_pieces--;
    }
    return r;
}

const struct symbol *annotate_made_at(const struct query_context *context, uint64_t ip,
                                      image_id *ret_image)
{
    for (frame_id id = 0; id < context->snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(context->snapshot, id);
        struct jit_place place;
        if (frame.code_epoch != 0 && find_made(context, id, &place) && ip >= place.start_ip &&
            ip < place.end_ip) {
            *ret_image = frame.image;
            return place.symbol;
        }
    }
    return NULL;
}
