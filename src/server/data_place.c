/* SPDX-License-Identifier: MIT */
#include "server/data_place.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "images/elf_file.h"
#include "images/proc_maps.h"
#include "symbols/data_symbol.h"

#define NAME_BYTES 256
#define PAGE_BYTES UINT64_C(4096)

/* The mapping of a file that the address belongs to, be it as the memory behind it. */
static bool find_mapping(char *maps, uint64_t address, struct proc_maps_line *ret_line)
{
    struct proc_maps_line line, file = {.image.path = NULL};
    while (proc_maps_next(&maps, &line)) {
        bool is_file = line.image.path[0] == '/' && line.image.path[1] != '/';
        bool follows = file.image.path && line.image.start_ip == file.image.end_ip &&
                       file.is_writable && strcmp(line.image.path, "//anon") == 0;
        if (is_file) {
            file = line;
        } else if (follows) {
            file.image.end_ip = line.image.end_ip;
        } else {
            file.image.path = NULL;
        }
        if (address >= line.image.start_ip && address < line.image.end_ip) {
            *ret_line = file;
            return file.image.path != NULL;
        }
    }
    return false;
}

/* Mappings begin at pages, segments anywhere: a page on which one ends and the next begins belongs,
 * where it can be written, to the next. */
static bool find_image_addr(const struct elf_layout *layout, const struct event_image *mapping,
                            uint64_t address, uint64_t *ret_image_addr)
{
    const struct elf_segment *found = NULL;
    for (size_t i = 0; i < layout->n_segments; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        uint64_t first = segment->file_offset - segment->file_offset % PAGE_BYTES;
        if (first <= mapping->file_offset &&
            (!found || segment->file_offset > found->file_offset)) {
            found = segment;
        }
    }
    if (!found) {
        return false;
    }
    *ret_image_addr =
        address - mapping->start_ip + mapping->file_offset - found->file_offset + found->image_addr;
    return true;
}

static int open_mapped(int64_t pid, const struct event_image *mapping)
{
    char path[PATH_MAX];
    struct stat status;
    int n = snprintf(path, sizeof(path), "/proc/%" PRId64 "/root%s", pid, mapping->path);
    _cleanup_(fd_closep) int fd = n < (int)sizeof(path) ? fd_open_regular(path) : -1;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_ino != mapping->inode) {
        return -1; /* another file has taken its place */
    }
    return TAKE_FD(fd);
}

const char *data_place_name(struct arena *arena, int64_t pid, uint64_t address)
{
    char path[64];
    _cleanup_(freep) char *maps = NULL;
    struct proc_maps_line mapping;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/maps", pid);
    if (fd_read_file(path, DATA_PLACE_MAPS_BYTES, &maps, NULL) < 0 ||
        !find_mapping(maps, address, &mapping)) {
        return NULL;
    }
    _cleanup_(fd_closep) int fd = open_mapped(pid, &mapping.image);
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct error error;
    char name[NAME_BYTES];
    uint64_t image_addr, offset;
    if (fd < 0 || elf_file_open_descriptor(fd, &file, &error) < 0 ||
        !find_image_addr(elf_file_layout(file), &mapping.image, address, &image_addr) ||
        !data_symbol_find(file, image_addr, name, sizeof(name), &offset)) {
        return NULL;
    }
    const char *image = strrchr(mapping.image.path, '/') + 1;
    return offset > 0 ? arena_printf(arena, "%s+0x%" PRIx64 " (%s)", name, offset, image)
                      : arena_printf(arena, "%s (%s)", name, image);
}
