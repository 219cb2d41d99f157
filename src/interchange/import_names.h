/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import_names - addresses for names that come without any
 *
 * Folded stacks, pprof and Firefox profiles name functions where a recording
 * has addresses. Each place that is told apart gets an address of its own in an
 * image per library; its names are kept symbols of that image. So what follows
 * need not know that there were none.
 *
 * Shape:   the same calls in the same order give the same addresses.
 * Owner:   import_names_new()/_free().
 * Threads: one until import_names_finish(), any afterwards.
 * Limits:  IMPORT_MAX_LIBRARIES; KEPT_SYMBOLS_MAX places in each.
 * Tests:   import_names_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "images/image_table.h"
#include "model/event_batch.h"
#include "symbols/kept_symbols.h"

#define IMPORT_MAX_LIBRARIES 65536u
#define IMPORT_MAX_INLINED 32u /* functions that are inlined at one place */

struct import_names;

/* One function at a place; texts need no NUL. */
struct import_frame {
    const char *function;
    size_t function_bytes;
    const char *file; /* NULL: not told */
    size_t file_bytes;
    uint32_t line; /* 0: not told */
    bool is_kernel;
    bool is_jit;
};

int import_names_new(struct import_names **ret_names);
struct import_names *import_names_free(struct import_names *names);
DEFINE_FREEP(import_names);

/* The library of this name or path; the same text is the same number. 0, -ENOMEM or -ENOSPC. */
int import_names_library(struct import_names *names, const char *path, size_t n_bytes,
                         uint32_t *ret_library);

/*
 * A new place: frames[0] is inlined into frames[1] and so on; the last one is
 * the function itself, and says whether it is the kernel's (then `library` does
 * not matter). 0, -ENOMEM, or -ENOSPC past a limit.
 */
int import_names_add(struct import_names *names, uint32_t library,
                     const struct import_frame *frames, size_t n_frames, uint64_t *ret_ip);

static inline bool import_names_is_kernel(uint64_t ip)
{
    return ip >> 63 != 0;
}

/*
 * The addresses of places, innermost first, as a stack of a recording has them:
 * callers are where they return to. Returns how many of them are the kernel's.
 */
uint32_t import_names_make_stack(uint64_t *ips, size_t n_ips);

/* No more places. 0 or -ENOMEM. */
int import_names_finish(struct import_names *names);

size_t import_names_n_libraries(const struct import_names *names);
/* The mapping of a library in a process; false where the batch has no room. */
bool import_names_map(const struct import_names *names, size_t library, int64_t pid,
                      uint64_t time_ns, struct event_batch *batch);

/* Borrowed; NULL: none of these libraries. */
struct kept_symbols *import_names_find_symbols(const struct import_names *names,
                                               const struct image *image);
