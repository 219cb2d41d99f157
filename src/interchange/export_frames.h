/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_frames - the functions and lines that stacks of an export consist of
 *
 * A frame of a stack stands for the function that holds it and for those that
 * were inlined there. Each of them is a place: a function at a line. What has
 * no code is a function as well: "(no stack)", "[off-CPU: lock]".
 *
 * Shape:   dense numbers; places of one frame are neighbours, outermost first.
 * Owner:   arrays grow with malloc() and are freed by _release(); names belong
 *          to the symbolizer.
 * Threads: one.
 * Tests:   export_frames_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "model/wait_reason.h"
#include "query/query.h"

enum export_kind {
    EXPORT_KIND_USER,
    EXPORT_KIND_KERNEL,
    EXPORT_KIND_JIT,
    EXPORT_KIND_OFF_CPU, /* the innermost frame of a wait: why */
    EXPORT_KIND_NOWHERE, /* time without a place */
    EXPORT_KIND_TARGET,  /* a lane, or a span */
    EXPORT_KIND_N
};

struct export_function {
    const char *name, *image; /* image "": none */
    const char *file;         /* the first one met; NULL: not known */
    uint64_t address;         /* where it starts in its image */
    image_id image_id;
    enum export_kind kind;
    bool is_inlined;
};

struct export_place {
    uint32_t function;
    frame_id frame; /* UINT32_MAX: it has no code */
    const char *file;
    uint32_t line;  /* 0: not known */
    uint32_t depth; /* of inlining; 0: the function that holds the code */
};

#define EXPORT_NO_FRAME UINT32_MAX

struct export_frame_places {
    uint32_t first, n; /* n 0: not looked at yet */
};

struct export_frames {
    const struct query_context *context;
    struct export_frame_places *of_frame; /* by frame_id; in the arena of the query */
    struct export_place *places;
    struct export_function *functions;
    uint32_t n_places, n_places_room;
    uint32_t n_functions, n_functions_room;
    struct hash_table function_of;   /* by symbol and way */
    uint32_t no_stack, not_sampled;  /* places */
    uint32_t off_cpu[WAIT_REASON_N]; /* places */
    uint8_t *is_loaded;              /* by stack_id; in the arena of the query */
    uint32_t *path;
    size_t n_path_room;
};

/* 0 or -ENOMEM. */
int export_frames_init(const struct query_context *context, struct export_frames *ret_frames);
void export_frames_release(struct export_frames *frames);
DEFINE_RELEASEP(export_frames);

/* The places of one frame, outermost first. 0 or -ENOMEM. */
int export_frames_get(struct export_frames *frames, frame_id frame,
                      struct export_frame_places *ret_places);

/* As export_frames_get() for all frames of a stack; cheap where that has been done. 0 or -ENOMEM.
 */
int export_frames_load(struct export_frames *frames, stack_id stack);

/*
 * The places of a stack, outermost first; of STACK_ID_EMPTY none. Borrowed until the next call. 0
 * or -ENOMEM.
 */
int export_frames_path(struct export_frames *frames, stack_id stack, const uint32_t **ret_places,
                       size_t *ret_n_places);

/* A place for a lane or a span; the name has to outlive the frames. 0 or -ENOMEM. */
int export_frames_add_target(struct export_frames *frames, const char *name, uint32_t *ret_place);

/* Where it is, in "Kernel", "User" …: the name of a kind. */
const char *export_kind_name(enum export_kind kind);

static inline const struct export_function *
export_frames_function(const struct export_frames *frames, uint32_t place)
{
    return &frames->functions[frames->places[place].function];
}
