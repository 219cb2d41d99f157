/* SPDX-License-Identifier: MIT */
/*
 * A table gets its debug_lines when the first question about lines comes: most
 * images are never asked about, and a debug file may arrive late.
 */
#include <errno.h>

#include "symbols/debug_lines.h"
#include "symbols/image_symbols.h"
#include "symbols/kept_symbols.h"
#include "symbols/line_excerpt.h"
#include "symbols/source_lines.h"
#include "symbols/symbolizer_internal.h"

/* NULL: there is no DWARF, or not yet. */
static struct debug_lines *lines_of(const struct symbol_source *source)
{
    struct image_symbols *symbols = symbol_source_symbols(source);
    if (!symbols) {
        return NULL;
    }
    struct debug_lines *known = atomic_load_explicit(&symbols->lines, memory_order_acquire);
    if (known) {
        return known;
    }
    const struct debug_file *file = atomic_load(&symbols->debug_file);
    if (!file || !file->has_dwarf) {
        return NULL;
    }
    const struct image *image = symbol_source_image(source);
    enum frame_kind kind = image->kind == IMAGE_KIND_VDSO ? FRAME_KIND_VDSO : FRAME_KIND_USER;
    struct debug_lines *made;
    if (debug_lines_new(symbol_source_lines_desk(source), image->name, kind, file, &made) < 0) {
        return NULL;
    }
    if (atomic_compare_exchange_strong(&symbols->lines, &known, made)) {
        return made;
    }
    debug_lines_free(made);
    return known;
}

size_t symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                struct symbol_chain_entry *ret_chain, size_t max_entries)
{
    uint64_t image_addr;
    const struct symbol *symbol = symbol_source_find(source, offset, &image_addr);
    if (!symbol || max_entries == 0) {
        return 0;
    }
    if (source->kept) {
        return kept_symbols_chain(source->kept, image_addr, symbol, ret_chain, max_entries);
    }
    struct debug_lines *lines = lines_of(source);
    if (lines) {
        return debug_lines_chain(lines, image_addr, symbol, ret_chain, max_entries);
    }
    ret_chain[0] = (struct symbol_chain_entry){.symbol = symbol};
    return 1;
}

bool symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset)
{
    if (!symbol_source_is_settled(source)) {
        return false;
    }
    struct debug_lines *lines = lines_of(source);
    uint64_t image_addr;
    return !lines || !symbol_source_find(source, offset, &image_addr) ||
           debug_lines_is_settled(lines, image_addr);
}

int symbol_source_lines(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct source_lines *ret_lines)
{
    if (source->kept) {
        return kept_symbols_lines(source->kept, start_addr, end_addr, arena, ret_lines);
    }
    struct debug_lines *lines = lines_of(source);
    if (lines) {
        return debug_lines_rows(lines, start_addr, end_addr, timeout_ms, arena, ret_lines);
    }
    *ret_lines = (struct source_lines){
        .state = symbol_source_is_settled(source) ? SOURCE_LINES_NONE : SOURCE_LINES_LOADING,
    };
    return 0;
}

size_t symbol_source_chain_at(struct symbol_source *source, uint64_t image_addr,
                              const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                              size_t max_entries)
{
    if (source->kept) {
        return kept_symbols_chain(source->kept, image_addr, outermost, ret_chain, max_entries);
    }
    struct debug_lines *lines = lines_of(source);
    return lines && debug_lines_is_settled(lines, image_addr)
               ? debug_lines_chain(lines, image_addr, outermost, ret_chain, max_entries)
               : 0;
}

int symbol_source_excerpt(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                          int timeout_ms, struct arena *arena, struct line_excerpt *ret_excerpt)
{
    *ret_excerpt = (struct line_excerpt){0};
    struct debug_lines *lines = source->kept ? NULL : lines_of(source);
    return lines ? debug_lines_excerpt(lines, start_addr, end_addr, timeout_ms, arena, ret_excerpt)
                 : 0;
}

bool symbolizer_wait_chains(struct symbolizer *symbolizer, int timeout_ms)
{
    return debug_lines_desk_wait(symbolizer_lines_desk(symbolizer), timeout_ms);
}
