/* SPDX-License-Identifier: MIT */
/*
 * Sources that answer from kept_symbols are in none of the symbolizer's lists:
 * its threads have nothing to do for them.
 */
#include "symbols/image_symbols.h"
#include "symbols/kept_symbols.h"
#include "symbols/symbolizer_internal.h"

struct symbol_source *symbolizer_announce_kept(struct symbolizer *symbolizer,
                                               const struct image *image,
                                               struct kept_symbols *takes_kept)
{
    struct symbol_source *source = symbol_source_new(symbolizer, image);
    if (!source) {
        kept_symbols_unref(takes_kept);
        return NULL;
    }
    source->kept = takes_kept;
    return source;
}

struct symbol_source *symbol_source_free_kept(struct symbol_source *source)
{
    return source && source->kept ? symbol_source_destroy(source) : NULL;
}

struct kept_symbols *symbol_source_kept(const struct symbol_source *source)
{
    return source->kept;
}

void symbol_source_layout(const struct symbol_source *source, struct elf_layout *ret_layout)
{
    const struct image_symbols *symbols = source->kept ? NULL : symbol_source_symbols(source);
    *ret_layout = (struct elf_layout){0};
    if (source->kept) {
        *ret_layout = *kept_symbols_contents(source->kept).layout;
    } else if (symbols) {
        *ret_layout = symbols->layout;
    }
}

const void *symbol_source_table(const struct symbol_source *source)
{
    return source->kept ? (const void *)source->kept : symbol_source_symbols(source);
}
