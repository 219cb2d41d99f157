/* SPDX-License-Identifier: MIT */
#include "interchange/firefox_libraries.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "images/elf_file.h"

/* Far from those of libraries that have names only (import_names.c). */
#define FIRST_IP (UINT64_C(1) << 56)
#define LIBRARY_BYTES (UINT64_C(1) << 34)
#define MAX_LIBRARIES 65536u

struct library {
    char *path; /* NULL: not told */
    uint8_t build_id_bytes;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    bool was_looked_at, is_used;
    struct elf_layout *layout; /* NULL: its file is not here */
    uint64_t n_bytes;
    uint64_t base_address; /* of the first byte that is loaded */
};

struct firefox_libraries {
    size_t n_libraries;
    struct library *libraries;
};

static unsigned int hex_digit(char digit)
{
    return isdigit((unsigned char)digit) ? (unsigned int)(digit - '0')
                                         : (unsigned int)(tolower((unsigned char)digit) - 'a' + 10);
}

/* A code id is the whole build-id in hexadecimal digits. */
static uint8_t read_build_id(const char *code_id, uint8_t *ret_build_id)
{
    size_t n_digits = code_id ? strlen(code_id) : 0;
    if (n_digits == 0 || n_digits % 2 != 0 || n_digits > (size_t)2 * LIMIT_BUILD_ID_BYTES) {
        return 0;
    }
    for (size_t i = 0; i < n_digits; i++) {
        if (!isxdigit((unsigned char)code_id[i])) {
            return 0;
        }
    }
    for (size_t i = 0; i < n_digits / 2; i++) {
        ret_build_id[i] = (uint8_t)(hex_digit(code_id[2 * i]) << 4 | hex_digit(code_id[2 * i + 1]));
    }
    return (uint8_t)(n_digits / 2);
}

int firefox_libraries_new(const json_t *libs, struct firefox_libraries **ret_libraries)
{
    _cleanup_(firefox_libraries_freep) struct firefox_libraries *libraries =
        calloc(1, sizeof(*libraries));
    size_t n_libraries = json_array_size(libs);
    n_libraries = n_libraries < MAX_LIBRARIES ? n_libraries : MAX_LIBRARIES;
    if (!libraries) {
        return -ENOMEM;
    }
    libraries->libraries = calloc(n_libraries + 1, sizeof(*libraries->libraries));
    if (!libraries->libraries) {
        return -ENOMEM;
    }
    libraries->n_libraries = n_libraries;
    for (size_t i = 0; i < n_libraries; i++) {
        const json_t *lib = json_array_get(libs, i);
        struct library *library = &libraries->libraries[i];
        const char *path = json_string_value(json_object_get(lib, "path"));
        library->path = path ? strdup(path) : NULL;
        library->build_id_bytes =
            read_build_id(json_string_value(json_object_get(lib, "codeId")), library->build_id);
    }
    *ret_libraries = TAKE_PTR(libraries);
    return 0;
}

struct firefox_libraries *firefox_libraries_free(struct firefox_libraries *libraries)
{
    if (libraries) {
        for (size_t i = 0; i < libraries->n_libraries; i++) {
            free(libraries->libraries[i].path);
            free(libraries->libraries[i].layout);
        }
        free(libraries->libraries);
        free(libraries);
    }
    return NULL;
}

size_t firefox_libraries_count(const struct firefox_libraries *libraries)
{
    return libraries->n_libraries;
}

/* Only the build that was profiled: its id has to be told, and to agree. */
static void look_at(struct library *library)
{
    library->was_looked_at = true;
    if (!library->path || library->path[0] != '/' || library->build_id_bytes == 0) {
        return;
    }
    _cleanup_(fd_closep) int fd = fd_open_regular(library->path);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    if (fd < 0 || elf_file_open_descriptor(fd, &elf, NULL) < 0 ||
        elf_file_build_id(elf, build_id) != library->build_id_bytes ||
        memcmp(build_id, library->build_id, library->build_id_bytes) != 0) {
        return;
    }
    struct elf_layout *layout = malloc(sizeof(*layout));
    if (!layout) {
        return;
    }
    *layout = *elf_file_layout(elf);
    library->base_address = UINT64_MAX;
    for (size_t i = 0; i < layout->n_segments; i++) {
        uint64_t start = layout->segments[i].image_addr;
        library->base_address = start < library->base_address ? start : library->base_address;
    }
    library->base_address &= ~UINT64_C(4095);
    library->n_bytes = elf_file_n_bytes(elf);
    library->layout = layout;
}

static uint64_t start_ip(size_t index)
{
    return FIRST_IP + index * LIBRARY_BYTES;
}

bool firefox_libraries_ip(struct firefox_libraries *libraries, size_t index, uint64_t address,
                          uint64_t *ret_ip)
{
    if (index >= libraries->n_libraries) {
        return false;
    }
    struct library *library = &libraries->libraries[index];
    if (!library->was_looked_at) {
        look_at(library);
    }
    if (!library->layout || library->n_bytes >= LIBRARY_BYTES) {
        return false;
    }
    uint64_t image_addr = library->base_address + address;
    for (size_t i = 0; i < library->layout->n_segments; i++) {
        const struct elf_segment *segment = &library->layout->segments[i];
        if (image_addr >= segment->image_addr &&
            image_addr - segment->image_addr < segment->n_bytes) {
            uint64_t offset = segment->file_offset + (image_addr - segment->image_addr);
            *ret_ip = start_ip(index) + offset;
            library->is_used |= offset < library->n_bytes;
            return offset < library->n_bytes;
        }
    }
    return false;
}

void firefox_libraries_map(const struct firefox_libraries *libraries, size_t index, int64_t pid,
                           uint64_t time_ns, struct event_batch *batch)
{
    const struct library *library = &libraries->libraries[index];
    if (!library->is_used) {
        return;
    }
    struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = start_ip(index),
        .end_ip = start_ip(index) + library->n_bytes,
        .path = library->path,
        .build_id_bytes = library->build_id_bytes,
    };
    memcpy(image.build_id, library->build_id, library->build_id_bytes);
    struct event event = {.kind = EVENT_IMAGE, .time_ns = time_ns, .pid = pid, .tid = pid};
    event.image = event_batch_add_image(batch, &image);
    if (event.image) {
        event_batch_add(batch, &event);
    }
}

bool firefox_libraries_is_used(const struct firefox_libraries *libraries, size_t index)
{
    return libraries->libraries[index].is_used;
}
