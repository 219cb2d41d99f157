/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_lookup - which row leaves the code at an address, now
 *
 * Knows the mappings of a run and the state of each image's table; asks for a
 * table when a stack first passes through its image.
 *
 * Owner:   code_lookup_new()/_free(). Threads: one.
 * Tests:   code_lookup_test.c, unwinder_test.c
 */

#include "base/cleanup.h"
#include "images/code_space.h"
#include "unwind/cfi_store.h"
#include "unwind/code_map.h"
#include "unwind/unwind.h"
#include "unwind/unwinder.h"

struct code_lookup;

int code_lookup_new(const struct unwinder_config *config, struct code_lookup **ret_lookup);
struct code_lookup *code_lookup_free(struct code_lookup *lookup);
DEFINE_FREEP(code_lookup);

/* Applies an EVENT_IMAGE. */
int code_lookup_apply(struct code_lookup *lookup, const struct event *event);

struct unwind_code code_lookup_find(struct code_lookup *lookup, int64_t pid, uint64_t ip,
                                    uint64_t time_ns);

/* Waits for tables no longer: what is pending now is left by frame pointers until it is ready. */
void code_lookup_give_up(struct code_lookup *lookup);

/* The image at ip, IMAGE_ID_UNKNOWN outside all. */
image_id code_lookup_image(struct code_lookup *lookup, int64_t pid, uint64_t ip);
const struct image *code_lookup_describe(struct code_lookup *lookup, image_id image,
                                         struct cfi_source **ret_source);

/* Ids go up to this minus 1. */
size_t code_lookup_n_images(const struct code_lookup *lookup);
/* Has a stack passed through it? How many are there such? */
size_t code_lookup_n_wanted(const struct code_lookup *lookup);
bool code_lookup_is_wanted(const struct code_lookup *lookup, image_id image);

/*
 * What a backend that walks by itself must know: fills *ret_map (valid until
 * the next call) and returns true when it has changed since the last call. At
 * once where other code stands now in the place of what was told, else every
 * 20 ms.
 */
bool code_lookup_export(struct code_lookup *lookup, int64_t pid, uint64_t now_ns,
                        struct code_map *ret_map);

/*
 * How many ips of a walk that was done by an export of `generation` are right:
 * up to the first that lies where other code has come to stand since (that one
 * included, since only how it is left was not known). *ret_is_whole: there is
 * none such.
 */
size_t code_lookup_n_current(const struct code_lookup *lookup, uint64_t generation,
                             const uint64_t *ips, size_t n_ips, bool *ret_is_whole);

void code_lookup_retire(struct code_lookup *lookup);
