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
#include "symbols/symbolizer.h"

struct query_names;

int query_names_new(struct symbolizer *symbolizer, struct query_names **ret_names);
struct query_names *query_names_free(struct query_names *names);
DEFINE_FREEP(query_names);

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

/* What is known of an image's symbols (diagnose). */
void query_names_describe(struct query_names *names, image_id image,
                          struct symbol_source_info *ret_info);
