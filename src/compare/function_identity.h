/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * function_identity - which function of one run is which of another
 *
 * Addresses differ from run to run and from build to build. A function is
 * known by its name and the base name of its file, inlined or not. A place
 * without a name is known by its offset, which means something in another run
 * only where the file is the same build: where build-ids differ or are not
 * known, all places of the file that have no name are one function.
 *
 * A build that is called otherwise is the same file, too: where exactly one
 * file is mapped on one side only and exactly one on the other, they are one
 * under two names.
 *
 * Shape:   dense numbers, over all runs of a comparison.
 * Owner:   arrays lie in the arena, names belong to the symbolizer.
 *          function_identities_release() frees the rest.
 * Threads: one.
 * Tests:   function_identity_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/hash_table.h"
#include "symbols/symbolizer.h"

enum identity_side { IDENTITY_SIDE_BASE, IDENTITY_SIDE_CANDIDATE, IDENTITY_SIDE_N };

struct function_identity {
    const char *name, *image;
    enum frame_kind kind; /* of the first one met */
};

struct image_build {
    const char *name;
    uint8_t build_id_bytes;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    bool is_same; /* in all runs so far */
    bool is_file; /* neither the kernel nor made code */
    bool is_on[IDENTITY_SIDE_N];
};

struct function_identities {
    struct arena *arena;
    uint32_t n_functions, n_functions_room;
    struct function_identity *functions;
    struct hash_table known;
    uint32_t n_images, n_images_room;
    struct image_build *images; /* by base name */
    struct hash_table known_images;
    const char *name_on[IDENTITY_SIDE_N]; /* of the file that has two; NULL: there is none */
};

void function_identities_init(struct function_identities *identities, struct arena *arena);
void function_identities_release(struct function_identities *identities);
DEFINE_RELEASEP(function_identities);

/* Each run, before the first function: which files and builds there are. 0 or -ENOMEM. */
int function_identities_look(struct function_identities *identities, enum identity_side side,
                             const struct snapshot *snapshot);

/* All runs have been looked at. */
void function_identities_match(struct function_identities *identities);

/* Its number. 0 or -ENOMEM. */
int function_identities_number(struct function_identities *identities, const struct symbol *symbol,
                               uint32_t *ret_number);
