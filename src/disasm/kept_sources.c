/* SPDX-License-Identifier: MIT */
#include "disasm/kept_sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash_table.h"

struct kept_sources {
    struct arena arena;
    struct hash_table numbers; /* of files, by path */
    size_t n_files, files_capacity;
    struct kept_source_file *files;
    size_t n_lines, lines_capacity;
    struct kept_source_line *lines;
};

int kept_sources_new(struct kept_sources **ret_kept)
{
    struct kept_sources *kept = calloc(1, sizeof(*kept));
    if (!kept) {
        return -ENOMEM;
    }
    arena_init(&kept->arena, KEPT_SOURCES_MAX_BYTES);
    hash_table_init(&kept->numbers);
    *ret_kept = kept;
    return 0;
}

struct kept_sources *kept_sources_free(struct kept_sources *kept)
{
    if (kept) {
        free(kept->files);
        free(kept->lines);
        hash_table_release(&kept->numbers);
        arena_release(&kept->arena);
        free(kept);
    }
    return NULL;
}

static bool is_path(uint32_t value, const void *wanted, const void *userdata)
{
    const struct kept_sources *kept = userdata;
    return strcmp(kept->files[value].path, wanted) == 0;
}

static uint32_t number_of(const struct kept_sources *kept, const char *path)
{
    return hash_table_find_equal(&kept->numbers, hash_bytes(path, strlen(path)), is_path, path,
                                 kept);
}

int kept_sources_add_file(struct kept_sources *kept, const struct kept_source_file *file,
                          uint32_t *ret_file)
{
    if (kept->n_files >= KEPT_SOURCES_MAX_LINES) {
        return -ENOSPC;
    }
    if (kept->n_files == kept->files_capacity) {
        size_t capacity = kept->files_capacity ? 2 * kept->files_capacity : 16;
        struct kept_source_file *grown = reallocarray(kept->files, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        kept->files = grown;
        kept->files_capacity = capacity;
    }
    struct kept_source_file copy = {
        .path = arena_strdup(&kept->arena, file->path),
        .found = arena_strdup(&kept->arena, file->found),
        .modified_s = file->modified_s,
    };
    if (!copy.path || (file->found && !copy.found)) {
        return -ENOSPC;
    }
    uint64_t key = hash_bytes(file->path, strlen(file->path));
    bool is_known = number_of(kept, file->path) != HASH_TABLE_NONE;
    int r = is_known ? 0 : hash_table_add(&kept->numbers, key, (uint32_t)kept->n_files);
    if (r == 0) {
        *ret_file = (uint32_t)kept->n_files;
        kept->files[kept->n_files++] = copy;
    }
    return r;
}

int kept_sources_add_line(struct kept_sources *kept, const struct kept_source_line *line)
{
    if (line->file >= kept->n_files) {
        return -EINVAL;
    }
    if (kept->n_lines >= KEPT_SOURCES_MAX_LINES) {
        return -ENOSPC;
    }
    if (kept->n_lines == kept->lines_capacity) {
        size_t capacity = kept->lines_capacity ? 2 * kept->lines_capacity : 64;
        struct kept_source_line *grown = reallocarray(kept->lines, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        kept->lines = grown;
        kept->lines_capacity = capacity;
    }
    struct kept_source_line copy = *line;
    copy.text = arena_strdup(&kept->arena, line->text);
    if (!copy.text) {
        return -ENOSPC;
    }
    kept->lines[kept->n_lines++] = copy;
    return 0;
}

static int by_line(const void *left, const void *right)
{
    const struct kept_source_line *a = left, *b = right;
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

void kept_sources_finish(struct kept_sources *kept)
{
    if (kept->n_lines > 0) { /* no array is NULL */
        qsort(kept->lines, kept->n_lines, sizeof(*kept->lines), by_line);
    }
}

const struct kept_source_file *kept_sources_find(const struct kept_sources *kept, const char *path)
{
    uint32_t number = number_of(kept, path);
    return number == HASH_TABLE_NONE ? NULL : &kept->files[number];
}

const char *kept_sources_line(const struct kept_sources *kept, const struct kept_source_file *file,
                              uint32_t line)
{
    const struct kept_source_line wanted = {.file = (uint32_t)(file - kept->files), .line = line};
    if (kept->n_lines == 0) {
        return NULL;
    }
    const struct kept_source_line *found =
        bsearch(&wanted, kept->lines, kept->n_lines, sizeof(*kept->lines), by_line);
    return found ? found->text : NULL;
}

const struct kept_source_file *kept_sources_files(const struct kept_sources *kept,
                                                  size_t *ret_n_files)
{
    *ret_n_files = kept->n_files;
    return kept->files;
}

const struct kept_source_line *kept_sources_lines(const struct kept_sources *kept,
                                                  size_t *ret_n_lines)
{
    *ret_n_lines = kept->n_lines;
    return kept->lines;
}
