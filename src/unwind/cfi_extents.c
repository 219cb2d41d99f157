/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_extents.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unwind/cfi_parse.h"
#include "unwind/cfi_plt.h"

/* Those of compilers have 20 to 40 bytes. A hostile one could be read once per description. */
#define MAX_COMMON_BYTES 4096

#define MAX_STUB_SECTIONS 8

struct extents {
    struct cfi_extent *extents;
    size_t n_extents, capacity;
};

static int add(struct extents *extents, uint64_t start_addr, uint64_t n_bytes)
{
    if (extents->n_extents == extents->capacity) {
        size_t capacity = extents->capacity ? extents->capacity * 2 : 1024;
        struct cfi_extent *grown = reallocarray(extents->extents, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        extents->extents = grown;
        extents->capacity = capacity;
    }
    extents->extents[extents->n_extents++] =
        (struct cfi_extent){.start_addr = start_addr, .n_bytes = n_bytes};
    return 0;
}

/* Linkers leave descriptions of functions behind that they have dropped. */
static bool is_code(const struct elf_layout *layout, uint64_t start_addr, uint64_t n_bytes)
{
    for (size_t i = 0; i < layout->n_executable; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        uint64_t offset = start_addr - segment->image_addr;
        if (offset < segment->n_bytes && n_bytes <= segment->n_bytes - offset) {
            return n_bytes > 0;
        }
    }
    return false;
}

/* What the description at this offset has in common with others. */
static bool read_common(const struct cfi_section *section, uint64_t offset, struct cfi_cie *ret_cie)
{
    struct bytes rest = section->bytes;
    struct cfi_entry entry;
    if (offset >= bytes_left(&rest)) {
        return false;
    }
    bytes_skip(&rest, (size_t)offset);
    struct bytes length = rest;
    return bytes_take_u32(&length) != 0 && cfi_entry_next(section, &rest, &entry) && entry.is_cie &&
           bytes_left(&entry.body) <= MAX_COMMON_BYTES && cfi_cie_read(&entry, ret_cie);
}

static int compare(const void *left, const void *right)
{
    const struct cfi_extent *one = left;
    const struct cfi_extent *other = right;
    if (one->start_addr != other->start_addr) {
        return one->start_addr < other->start_addr ? -1 : 1;
    }
    return one->n_bytes < other->n_bytes ? -1 : one->n_bytes > other->n_bytes;
}

/* Of those that start at one place the longest stays. */
static void sort(struct extents *extents)
{
    bool is_sorted = true;
    for (size_t i = 1; i < extents->n_extents && is_sorted; i++) {
        is_sorted = extents->extents[i - 1].start_addr < extents->extents[i].start_addr;
    }
    if (is_sorted) {
        return;
    }
    qsort(extents->extents, extents->n_extents, sizeof(extents->extents[0]), compare);
    size_t n_kept = 0;
    for (size_t i = 0; i < extents->n_extents; i++) {
        bool is_same =
            n_kept > 0 && extents->extents[n_kept - 1].start_addr == extents->extents[i].start_addr;
        n_kept -= is_same;
        extents->extents[n_kept++] = extents->extents[i];
    }
    extents->n_extents = n_kept;
}

static int add_descriptions(struct elf_file *elf, struct extents *extents)
{
    const struct elf_layout *layout = elf_file_layout(elf);
    struct cfi_section section = {0};
    if (!cfi_elf_eh_frame(elf, &section)) {
        return 0;
    }
    struct bytes rest = section.bytes;
    struct cfi_entry entry;
    struct cfi_cie common = {0};
    uint64_t common_offset = UINT64_MAX;
    bool is_common_right = false;
    int r = 0;
    while (r == 0 && cfi_entry_next(&section, &rest, &entry)) {
        if (entry.is_cie) {
            continue;
        }
        if (entry.cie_offset != common_offset) {
            common_offset = entry.cie_offset;
            is_common_right = read_common(&section, common_offset, &common);
        }
        struct cfi_fde fde;
        if (is_common_right && cfi_fde_read(&section, &common, &entry, &fde) &&
            is_code(layout, fde.start_addr, fde.n_bytes)) {
            r = add(extents, fde.start_addr, fde.n_bytes);
        }
    }
    return r;
}

/* The stubs of a linker that nobody describes are one function together. */
static int add_stubs(struct elf_file *elf, struct extents *extents)
{
    size_t n_left = MAX_STUB_SECTIONS;
    int r = 0;
    for (size_t i = 1; r == 0 && n_left > 0 && i < elf_file_n_sections(elf); i++) {
        struct elf_section section;
        if (elf_file_section(elf, i, &section) && cfi_plt_is_section(&section) &&
            is_code(elf_file_layout(elf), section.image_addr, section.n_bytes)) {
            r = add(extents, section.image_addr, section.n_bytes);
            n_left--;
        }
    }
    return r;
}

int cfi_extents_read(struct elf_file *elf, struct cfi_extent **ret_extents, size_t *ret_n_extents)
{
    struct extents extents = {0};
    *ret_extents = NULL;
    *ret_n_extents = 0;
    if (!elf_file_is_64_bit_little_endian(elf)) {
        return 0;
    }
    int r = add_stubs(elf, &extents);
    if (r == 0) {
        r = add_descriptions(elf, &extents);
    }
    if (r < 0) {
        free(extents.extents);
        return r;
    }
    sort(&extents);
    *ret_extents = extents.extents;
    *ret_n_extents = extents.n_extents;
    return 0;
}
