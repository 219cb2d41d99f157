/* SPDX-License-Identifier: MIT */
#include "symbols/address_shift.h"

#include <elf.h>
#include <string.h>

static void add_range(struct address_shift *shift, uint64_t image_addr, uint64_t debug_addr,
                      uint64_t n_bytes)
{
    bool wraps = n_bytes > UINT64_MAX - image_addr || n_bytes > UINT64_MAX - debug_addr;
    if (n_bytes > 0 && !wraps && shift->n_ranges < ADDRESS_SHIFT_MAX_RANGES) {
        shift->ranges[shift->n_ranges++] = (struct address_shift_range){
            .image_addr = image_addr,
            .debug_addr = debug_addr,
            .n_bytes = n_bytes,
        };
    }
}

static bool is_code(const struct elf_section *section)
{
    return (section->flags & SHF_EXECINSTR) != 0 && (section->flags & SHF_ALLOC) != 0;
}

/* false where the image has no section of that name and size. */
static bool find_same_code(struct elf_file *image, const struct elf_section *wanted,
                           struct elf_section *ret_section)
{
    /* Stripping keeps the order of what is loaded, so that the number usually fits too. */
    if (elf_file_section(image, wanted->index, ret_section) && is_code(ret_section) &&
        ret_section->n_bytes == wanted->n_bytes && strcmp(ret_section->name, wanted->name) == 0) {
        return true;
    }
    return elf_file_section_named(image, wanted->name, ret_section) && is_code(ret_section) &&
           ret_section->n_bytes == wanted->n_bytes;
}

static void compare_sections(struct elf_file *image, struct elf_file *debug,
                             struct address_shift *shift)
{
    size_t n_seen = 0;
    for (size_t i = 1; i < elf_file_n_sections(debug) && n_seen < ADDRESS_SHIFT_MAX_RANGES; i++) {
        struct elf_section section;
        struct elf_section same;
        if (!elf_file_section(debug, i, &section) || !is_code(&section)) {
            continue;
        }
        n_seen++;
        if (find_same_code(image, &section, &same)) {
            add_range(shift, same.image_addr, section.image_addr, section.n_bytes);
        }
    }
}

/*
 * An image without section headers still has segments, and so has its debug
 * file; there they have no bytes in the file, but in the same order.
 */
static void compare_segments(const struct elf_layout *image, const struct elf_layout *debug,
                             struct address_shift *shift)
{
    if (image->n_segments != debug->n_segments) {
        return;
    }
    for (size_t i = 0; i < image->n_segments; i++) {
        add_range(shift, image->segments[i].image_addr, debug->segments[i].image_addr,
                  image->segments[i].n_bytes);
    }
}

static bool moves_anything(const struct address_shift *shift)
{
    for (size_t i = 0; i < shift->n_ranges; i++) {
        if (shift->ranges[i].image_addr != shift->ranges[i].debug_addr) {
            return true;
        }
    }
    return false;
}

void address_shift_compare(struct elf_file *image, struct elf_file *debug,
                           struct address_shift *ret_shift)
{
    *ret_shift = (struct address_shift){.n_ranges = 0};
    compare_sections(image, debug, ret_shift);
    if (ret_shift->n_ranges == 0) {
        compare_segments(elf_file_layout(image), elf_file_layout(debug), ret_shift);
    }
    if (!moves_anything(ret_shift)) {
        ret_shift->n_ranges = 0;
    }
}

uint64_t address_shift_to_debug(const struct address_shift *shift, uint64_t image_addr)
{
    for (size_t i = 0; i < shift->n_ranges; i++) {
        const struct address_shift_range *range = &shift->ranges[i];
        if (image_addr - range->image_addr < range->n_bytes) {
            return range->debug_addr + (image_addr - range->image_addr);
        }
    }
    return image_addr;
}

uint64_t address_shift_to_image(const struct address_shift *shift, uint64_t debug_addr)
{
    for (size_t i = 0; i < shift->n_ranges; i++) {
        const struct address_shift_range *range = &shift->ranges[i];
        if (debug_addr - range->debug_addr < range->n_bytes) {
            return range->image_addr + (debug_addr - range->debug_addr);
        }
    }
    return debug_addr;
}
