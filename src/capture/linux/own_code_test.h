/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * own_code_test - the code that a test itself has mapped, as a kernel_walk wants it told
 *
 * Owner:   own_code_find()/_release() in the caller's memory. Threads: one.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "capture/linux/kernel_walk.h"
#include "images/elf_file.h"
#include "images/proc_maps.h"
#include "unwind/cfi_table.h"
#include "unwind/code_map.h"

#define OWN_CODE_RANGES 256

struct own_code {
    struct code_range ranges[OWN_CODE_RANGES];
    size_t n_ranges;
    struct cfi_table *tables[OWN_CODE_RANGES];
    size_t n_tables;
};

/* Tables of all that is mapped here; what has none is left by frame pointers. */
static inline void own_code_find(struct own_code *code)
{
    char *text = NULL;
    struct proc_maps_line line;
    code->n_ranges = code->n_tables = 0;
    if (fd_read_file("/proc/self/maps", 1u << 20, &text, NULL) != 0) {
        abort();
    }
    for (char *rest = text; proc_maps_next(&rest, &line) && code->n_ranges < OWN_CODE_RANGES;) {
        if (!line.is_executable) {
            continue;
        }
        struct code_range *range = &code->ranges[code->n_ranges++];
        *range = (struct code_range){.start_ip = line.image.start_ip,
                                     .end_ip = line.image.end_ip,
                                     .state = CODE_WITHOUT_TABLE};
        _cleanup_(fd_closep) int fd = fd_open_regular(line.image.path);
        _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
        struct cfi_table *table;
        struct error error = {0};
        uint64_t image_addr;
        if (fd >= 0 && elf_file_open_descriptor(fd, &elf, &error) == 0 &&
            elf_layout_find(elf_file_layout(elf), line.image.file_offset, &image_addr) &&
            cfi_table_build_elf(elf, &table, &error) == 0) {
            range->state = CODE_READY;
            range->table = table;
            code->tables[code->n_tables++] = table;
            range->bias = line.image.start_ip - image_addr;
        }
    }
    free(text);
}

static inline void own_code_release(struct own_code *code)
{
    for (size_t i = 0; i < code->n_tables; i++) {
        cfi_table_free(code->tables[i]);
    }
    code->n_tables = 0;
}

static inline void own_code_tell(const struct own_code *code, struct kernel_walk *walk,
                                 uint64_t generation)
{
    const struct code_map map = {.pid = getpid(),
                                 .generation = generation,
                                 .n_ranges = code->n_ranges,
                                 .ranges = code->ranges};
    kernel_walk_set_code(walk, &map);
}
