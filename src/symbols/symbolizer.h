/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * symbolizer - names for addresses, loaded in the background
 *
 * One per server. A run announces each image when it is mapped, so that the
 * file is opened while the target still lives; its symbols are read by the
 * loader thread when the first frame in it has been seen. Questions never
 * wait: what is not loaded yet has no symbol, and gets one later.
 *
 * Shape:   symbol_source = one image of one run, or a table shared by all runs
 *          that mapped the same file (device, inode, size, mtime, build-id).
 * Owner:   the symbolizer owns tables and symbols; both stay until
 *          symbolizer_free(), so that pointers may be kept and compared.
 * Threads: any for all functions; loading happens on a thread of its own.
 * Tests:   symbolizer_test.c, and e2e on real programs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "images/image_table.h"
#include "model/results/result.h"

struct symbolizer;
struct symbol_source;

/* One function; equal functions are the same pointer. */
struct symbol {
    const char *name;  /* demangled */
    const char *image; /* base name of the file; "[kernel]"; the module's name as "[nf_nat]" */
    enum frame_kind kind;
    uint64_t start_address; /* image_addr: link-time address; run-time address in the kernel */
    uint64_t size_bytes;    /* 0: unknown */
    bool is_nameless;       /* nobody named it: "image+0xstart", where unwind tables have bounds */
};

enum symbol_state {
    SYMBOL_STATE_IDLE, /* nobody has asked for it */
    SYMBOL_STATE_LOADING,
    SYMBOL_STATE_LOADED,
    SYMBOL_STATE_FAILED,
};

struct symbol_source_info {
    enum symbol_state state;
    /*
     * ".symtab", ".dynsym", "kallsyms", "none"; where both have names, as in
     * ".dynsym + .gnu_debugdata", "+ debug file by build-id", "+ debug file by
     * debuglink", "+ debuginfod"
     */
    const char *origin;
    /*
     * When FAILED, why: "kptr_restrict hides kernel addresses". When LOADED, why
     * there could be more: a debug file was refused, or a server is still asked.
     */
    char failure[200];
    uint64_t n_functions;
};

int symbolizer_new(struct symbolizer **ret_symbolizer);
struct symbolizer *symbolizer_free(struct symbolizer *symbolizer);
DEFINE_FREEP(symbolizer);

/*
 * Announces an image; queues the opening of its file and returns at once.
 * NULL only when memory ran out. The source lives as long as the symbolizer.
 */
struct symbol_source *symbolizer_announce(struct symbolizer *symbolizer, const struct image *image);

/*
 * The same where the symbols came with the run (kept_symbols.h): all questions
 * are answered from them, and no file is looked at. NULL only when memory ran
 * out; `takes_kept` is gone then as well. Unlike others such a source belongs
 * to the caller, and with it what it hands out.
 */
struct kept_symbols;
struct symbol_source *symbolizer_announce_kept(struct symbolizer *symbolizer,
                                               const struct image *image,
                                               struct kept_symbols *takes_kept);
struct symbol_source *symbol_source_free_kept(struct symbol_source *source); /* returns NULL */
struct kept_symbols *symbol_source_kept(const struct symbol_source *source); /* NULL: from files */

/* A frame has been seen in it: load. Cheap when already asked. */
void symbol_source_want(struct symbol_source *source);

/* The run is over: files that nobody wanted are closed. */
void symbol_source_retire(struct symbol_source *source);

/*
 * The function that holds `offset` (image_place.offset), or NULL: not loaded
 * yet, or no such function; symbol_source_is_settled() tells which. Code of a
 * stripped file is a nameless symbol, as far as unwind tables have its bounds.
 * ret_image_addr (may be NULL): the link-time address of `offset` where known,
 * else `offset`.
 */
const struct symbol *symbol_source_find(struct symbol_source *source, uint64_t offset,
                                        uint64_t *ret_image_addr);

/*
 * What stands at one address in the source: the function that holds it and,
 * before it, the functions that were inlined there.
 */
#define SYMBOL_CHAIN_MAX 64u /* deeper inlining is cut at the outer end */

struct symbol_chain_entry {
    const struct symbol *symbol; /* one pointer per function and way (inlined or not) */
    bool is_inlined;             /* into the next entry of the chain */
    const char *file;            /* NULL: unknown; lives as long as the symbolizer */
    uint32_t line;               /* 0: unknown; of a caller: of its call */
};

/*
 * The chain at `offset`, innermost first: 0 where symbol_source_find() would
 * be NULL, else at least 1. Lines and inlining come from debug information
 * that is read in the background, one compilation unit at a time: the first
 * answer for a place can be the function alone; symbol_source_chain_is_settled()
 * tells whether it will stay.
 */
size_t symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                struct symbol_chain_entry *ret_chain, size_t max_entries);
bool symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset);

/* Waits until all chains that were asked for so far have been read or the time is up. */
bool symbolizer_wait_chains(struct symbolizer *symbolizer, int timeout_ms);

/* Will symbol_source_find() never answer differently from now on? */
bool symbol_source_is_settled(const struct symbol_source *source);

/* How its offsets become addresses; no segments: they are addresses, or nothing is loaded. */
struct elf_layout;
void symbol_source_layout(const struct symbol_source *source, struct elf_layout *ret_layout);

/* Equal for sources that give equal answers since they share a table; NULL: nothing is loaded. */
const void *symbol_source_table(const struct symbol_source *source);

void symbol_source_describe(struct symbol_source *source, struct symbol_source_info *ret_info);

/* Waits until everything wanted is loaded or the time is up (tests, end of a run). */
bool symbolizer_wait_idle(struct symbolizer *symbolizer, int timeout_ms);
