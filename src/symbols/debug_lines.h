/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debug_lines - source lines and inlined functions of images, read in the background
 *
 * A desk has one thread that reads DWARF and nothing else, so that names of
 * functions never wait for it. A question about an address is answered at once
 * with what is known; the unit that it falls into is queued where it is not.
 * Units that nobody asks about go when the desk holds too much, and what was
 * read whole from the file goes when the thread has had nothing to do.
 *
 * Shape:   struct debug_lines is one debug file, shared by all runs as the
 *          symbol table of its image is.
 * Owner:   debug_lines_new()/_free(), the latter after the desk is gone.
 *          Symbols and paths that it hands out live as long.
 * Threads: any for questions; files are read by the desk's own.
 * Limits:  DEBUG_LINES_MAX_BYTES of indexes in one desk;
 *          DEBUG_LINES_MAX_PENDING addresses wait for a file to be opened;
 *          DEBUG_LINES_UNIT_MAX_NS to read one unit, then it has no lines;
 *          DEBUG_LINES_OPEN_MAX_NS to find the units of a file, then the rest
 *          of them has none. A file that could not be opened for a reason that
 *          may pass is tried again after DEBUG_LINES_RETRY_NS.
 * Tests:   debug_lines_test.c, symbol_chain_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "symbols/debug_files.h"
#include "symbols/line_excerpt.h"
#include "symbols/source_lines.h"
#include "symbols/symbolizer.h"

#define DEBUG_LINES_MAX_BYTES (256u * 1024 * 1024)
#define DEBUG_LINES_MAX_PENDING 4096u
#define DEBUG_LINES_UNIT_MAX_NS (20 * NS_PER_S)
#define DEBUG_LINES_OPEN_MAX_NS (20 * NS_PER_S)
#define DEBUG_LINES_RETRY_NS (30 * NS_PER_S)

struct debug_lines_desk;
struct debug_lines;

struct debug_lines_stats {
    size_t n_files; /* with DWARF that somebody asked about */
    size_t n_units_loaded, n_units_queued;
    size_t index_bytes;   /* of those that are loaded */
    uint64_t n_loads;     /* in all */
    uint64_t n_evictions; /* for lack of room */
    uint64_t n_failures;  /* files and units that cannot be read */
    uint64_t reading_ns;  /* spent by the thread */
};

/* max_bytes 0: DEBUG_LINES_MAX_BYTES. */
int debug_lines_desk_new(size_t max_bytes, struct debug_lines_desk **ret_desk);
struct debug_lines_desk *debug_lines_desk_free(struct debug_lines_desk *desk);
DEFINE_FREEP(debug_lines_desk);

/* Instead of DEBUG_LINES_RETRY_NS. */
void debug_lines_desk_retry_after(struct debug_lines_desk *desk, uint64_t retry_ns);

void debug_lines_desk_describe(struct debug_lines_desk *desk, struct debug_lines_stats *ret_stats);

/* Waits until everything asked for has been read or the time is up. */
bool debug_lines_desk_wait(struct debug_lines_desk *desk, int timeout_ms);

/* `file` and `image_name` are borrowed. */
int debug_lines_new(struct debug_lines_desk *desk, const char *image_name, enum frame_kind kind,
                    const struct debug_file *file, struct debug_lines **ret_lines);
struct debug_lines *debug_lines_free(struct debug_lines *lines);
DEFINE_FREEP(debug_lines);

/* What a person should know of the file, or NULL. The text is static. */
const char *debug_lines_note(const struct debug_lines *lines);

/* As symbol_source_find_chain(); `outermost` is the last entry. At least 1 where max_entries is. */
size_t debug_lines_chain(struct debug_lines *lines, uint64_t image_addr,
                         const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                         size_t max_entries);

/* Will debug_lines_chain() never say more about this address? */
bool debug_lines_is_settled(struct debug_lines *lines, uint64_t image_addr);

/* As symbol_source_lines(). */
int debug_lines_rows(struct debug_lines *lines, uint64_t start_addr, uint64_t end_addr,
                     int timeout_ms, struct arena *arena, struct source_lines *ret_lines);

/* As symbol_source_excerpt(). */
int debug_lines_excerpt(struct debug_lines *lines, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct line_excerpt *ret_excerpt);
