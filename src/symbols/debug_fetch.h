/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debug_fetch - tables that wait for debug files from a server
 *
 * Between the symbolizer, which knows what is missing, and debuginfod, which
 * knows how to get it. The client is started with the first question.
 *
 * Owner:   debug_fetch_new()/debug_fetch_free(); tables and images of open
 *          questions must live until then.
 * Threads: debug_fetch_ask() on one; answers are applied on the client's.
 * Limits:  those of debuginfod; a question that is refused there is given up.
 * Tests:   debug_fetch_test.c
 */

#include "base/cleanup.h"
#include "symbols/debug_files.h"
#include "symbols/image_symbols.h"

struct debug_fetch;

/* `directories` is borrowed. *ret_fetch is NULL where no server is configured. 0 or -ENOMEM. */
int debug_fetch_new(const struct debug_directories *directories, struct debug_fetch **ret_fetch);
struct debug_fetch *debug_fetch_free(struct debug_fetch *fetch);
DEFINE_FREEP(debug_fetch);

/*
 * Asks for what `symbols` lacks, if it does: they await it from here on.
 * `image_fd` is borrowed for the call, `image` until the end. `fetch` may be NULL.
 */
void debug_fetch_ask(struct debug_fetch *fetch, const struct image *image, int image_fd,
                     struct image_symbols *symbols);
