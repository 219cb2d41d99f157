/* SPDX-License-Identifier: MIT */
#include "symbols/image_symbols.h"

#include <errno.h>

#include "symbols/elf_symbols.h"
#include "symbols/kallsyms.h"

static int open_elf(const struct image_file *file, struct elf_file **ret_elf,
                    struct error *reterr_error)
{
    size_t n_bytes;
    const void *memory = image_file_memory(file, &n_bytes);
    return memory ? elf_file_open_memory(memory, n_bytes, ret_elf, reterr_error)
                  : elf_file_open_descriptor(image_file_descriptor(file), ret_elf, reterr_error);
}

static int load_functions(const struct image *image, struct elf_file *elf,
                          struct image_symbols *symbols)
{
    enum frame_kind kind = image->kind == IMAGE_KIND_VDSO ? FRAME_KIND_VDSO : FRAME_KIND_USER;
    int r = function_table_new(image->name, kind, &symbols->functions);
    return r < 0 ? r : elf_symbols_load(elf, symbols->functions, &symbols->origin);
}

int image_symbols_load_elf(const struct image *image, const struct image_file *file,
                           struct image_symbols **ret_symbols, struct error *reterr_error)
{
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    int r = open_elf(file, &elf, reterr_error);
    if (r < 0) {
        return r;
    }
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = calloc(1, sizeof(*symbols));
    r = symbols ? load_functions(image, elf, symbols) : -ENOMEM;
    if (r < 0) {
        error_set_errno(reterr_error, r, "loading symbols");
        return r;
    }
    symbols->layout = *elf_file_layout(elf);
    *ret_symbols = TAKE_PTR(symbols);
    return 0;
}

int image_symbols_load_kernel(char *text, size_t n_bytes, struct image_symbols **ret_symbols,
                              struct error *reterr_error)
{
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = calloc(1, sizeof(*symbols));
    if (!symbols) {
        error_set_errno(reterr_error, -ENOMEM, "loading kernel symbols");
        return -ENOMEM;
    }
    int r = kallsyms_parse(text, n_bytes, &symbols->functions, reterr_error);
    if (r < 0) {
        return r;
    }
    symbols->origin = "kallsyms";
    *ret_symbols = TAKE_PTR(symbols);
    return 0;
}

struct image_symbols *image_symbols_free(struct image_symbols *symbols)
{
    if (symbols) {
        function_table_free(symbols->functions);
        free(symbols);
    }
    return NULL;
}

const struct symbol *image_symbols_find(struct image_symbols *symbols, uint64_t offset,
                                        uint64_t *ret_image_addr)
{
    uint64_t image_addr = offset;
    bool has_address =
        symbols->layout.n_segments == 0 || elf_layout_find(&symbols->layout, offset, &image_addr);
    *ret_image_addr = image_addr;
    return has_address ? function_table_find(symbols->functions, image_addr) : NULL;
}
