/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * query_names - the function behind each frame of a run, remembered
 *
 * Owner:   query_names_new()/_free(), one per run; symbols belong to the
 *          symbolizer or (places without a name) to this object.
 * Threads: query_names_image() by the run's aggregator thread; the rest any.
 * Tests:   query_names_test.c
 */

#include "aggregate/snapshot.h"
#include "base/cleanup.h"
#include "query/chain_cache.h"
#include "query/kept_run.h"
#include "symbols/symbolizer.h"

struct cause_cache;
struct query_names;

int query_names_new(struct symbolizer *symbolizer, struct query_names **ret_names);
struct query_names *query_names_free(struct query_names *names);
DEFINE_FREEP(query_names);

/* Where the names of code that programs make come from: outlives the names. Before all else. */
struct jit_code;
void query_names_set_jit(struct query_names *names, struct jit_code *jit);
struct jit_code *query_names_jit(const struct query_names *names); /* NULL: none */

/*
 * The run is not of this machine: names, code and source come from there, and
 * unless it says otherwise from nowhere else. Before the first image.
 */
void query_names_set_kept(struct query_names *names, const struct kept_run *kept);
/* What was kept of an image's code and of sources; nothing of a run of this machine. */
bool query_names_is_kept_only(const struct query_names *names);
const struct kept_code *query_names_kept_code(const struct query_names *names,
                                              const struct image *image);
const struct kept_sources *query_names_kept_sources(const struct query_names *names);

/* Why threads wait in the stacks of the run, as far as names have decided it for good. */
struct cause_cache *query_names_causes(struct query_names *names);

/* For aggregate_listener: an image was mapped; a first frame was seen in it. */
void query_names_on_image(struct query_names *names, const struct image *image);
void query_names_on_image_seen(struct query_names *names, image_id image);

/* Waits, not longer than timeout_ms, until names that have been asked for are there. */
void query_names_settle(struct query_names *names, int timeout_ms);

/* The run is over. */
void query_names_retire(struct query_names *names);

/* Never NULL: "image+0xoffset" stands where no name is known (yet). The same function is the same
 * pointer. */
const struct symbol *query_names_find(struct query_names *names, const struct snapshot *snapshot,
                                      frame_id frame);

/*
 * As query_names_find(), with the functions that were inlined at the place
 * before it, and lines; never empty. The first answer for a place can lack
 * them: they are read in the background, and come with a later one. True: the
 * answer will stay.
 */
bool query_names_find_chain(struct query_names *names, const struct snapshot *snapshot,
                            frame_id frame, struct name_chain *ret_chain);

/*
 * Asks for the lines and inlined functions of all frames of a run that is over
 * and waits for them, not longer than timeout_ms. Cheap once they are there:
 * are they now?
 */
bool query_names_settle_chains(struct query_names *names, const struct snapshot *snapshot,
                               int timeout_ms);

/* Where the image's symbols come from; NULL: it has none. */
struct symbol_source *query_names_source(struct query_names *names, image_id image);

/* What is known of an image's symbols (diagnose). */
void query_names_describe(struct query_names *names, image_id image,
                          struct symbol_source_info *ret_info);
