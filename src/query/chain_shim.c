/* SPDX-License-Identifier: MIT */
#include "symbols/symbolizer.h"

size_t symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                struct symbol_chain_entry *ret_chain, size_t max_entries)
    __attribute__((weak));
bool symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset)
    __attribute__((weak));

size_t symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                struct symbol_chain_entry *ret_chain, size_t max_entries)
{
    const struct symbol *symbol = symbol_source_find(source, offset, NULL);
    if (!symbol || max_entries == 0) {
        return 0;
    }
    ret_chain[0] = (struct symbol_chain_entry){.symbol = symbol};
    return 1;
}

bool symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset)
{
    (void)offset;
    return symbol_source_is_settled(source);
}

/* As above, for views of instructions. */
#include "symbols/source_lines.h"

int symbol_source_lines(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct source_lines *ret_lines)
    __attribute__((weak));
size_t symbol_source_chain_at(struct symbol_source *source, uint64_t image_addr,
                              const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                              size_t max_entries) __attribute__((weak));

int symbol_source_lines(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct source_lines *ret_lines)
{
    (void)source;
    (void)start_addr;
    (void)end_addr;
    (void)timeout_ms;
    (void)arena;
    *ret_lines = (struct source_lines){.state = SOURCE_LINES_NONE};
    return 0;
}

size_t symbol_source_chain_at(struct symbol_source *source, uint64_t image_addr,
                              const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                              size_t max_entries)
{
    (void)source;
    (void)image_addr;
    (void)outermost;
    (void)ret_chain;
    (void)max_entries;
    return 0;
}
