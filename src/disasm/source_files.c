/* SPDX-License-Identifier: MIT */
#include "disasm/source_files.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "images/target_root.h"
#include "model/limits.h"

#define MAX_TOTAL_BYTES ((size_t)128 << 20)
#define RUST_PREFIX "/rustc/"
#define RUST_HASH_BYTES 40

struct source_file {
    const char *path;                    /* as debug information has it; in the arena */
    const char *found;                   /* NULL: nowhere */
    const struct kept_source_file *kept; /* its lines came with the run */
    char *text;                          /* free() it */
    size_t n_bytes;
    int64_t modified_s;
    uint32_t n_lines;
    uint32_t *line_starts; /* in the arena; n_lines + 1 of them */
};

void source_files_init(struct source_files *files, struct arena *arena)
{
    *files = (struct source_files){.arena = arena};
}

void source_files_release(struct source_files *files)
{
    for (size_t i = 0; i < files->n_files; i++) {
        free(files->files[i].text);
    }
    files->n_files = 0;
}

bool source_map_parse(struct arena *arena, const char *text, struct source_map *ret_map)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        return false;
    }
    ret_map->from = arena_strndup(arena, text, (size_t)(equals - text));
    ret_map->to = arena_strdup(arena, equals + 1);
    return ret_map->from && ret_map->to;
}

/* Is `prefix` a leading part of the path, ending where a name ends? */
static bool has_prefix(const char *path, const char *prefix)
{
    size_t n_bytes = strlen(prefix);
    return n_bytes > 0 && strncmp(path, prefix, n_bytes) == 0 &&
           (prefix[n_bytes - 1] == '/' || path[n_bytes] == '/' || path[n_bytes] == '\0');
}

static bool read_regular(struct source_files *files, const char *path, struct source_file *file)
{
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size > (off_t)SOURCE_FILES_MAX_BYTES ||
        files->n_bytes + (size_t)status.st_size > MAX_TOTAL_BYTES) {
        return false;
    }
    if (fd_read_all(fd, SOURCE_FILES_MAX_BYTES, &file->text, &file->n_bytes) < 0) {
        file->text = NULL;
        return false;
    }
    files->n_bytes += file->n_bytes;
    file->modified_s = status.st_mtim.tv_sec;
    file->found = arena_strdup(files->arena, path);
    return true;
}

static bool try_path(struct source_files *files, const char *path, struct source_file *file)
{
    return path && path[0] == '/' && strlen(path) < LIMIT_PATH_BYTES &&
           read_regular(files, path, file);
}

static bool try_maps(struct source_files *files, struct source_file *file)
{
    for (size_t i = 0; i < files->n_maps; i++) {
        const struct source_map *map = &files->maps[i];
        if (has_prefix(file->path, map->from)) {
            const char *mapped =
                arena_printf(files->arena, "%s%s", map->to, file->path + strlen(map->from));
            if (try_path(files, mapped, file)) {
                return true;
            }
        }
    }
    return false;
}

/* "library/core/src/num.rs" of "/rustc/HASH/library/core/src/num.rs"; else NULL. */
static const char *rust_part(const char *path)
{
    size_t prefix_bytes = strlen(RUST_PREFIX);
    if (strncmp(path, RUST_PREFIX, prefix_bytes) != 0 ||
        strnlen(path, LIMIT_PATH_BYTES) < prefix_bytes + RUST_HASH_BYTES + 1) {
        return NULL;
    }
    const char *hash = path + prefix_bytes;
    bool is_hash = strspn(hash, "0123456789abcdef") == RUST_HASH_BYTES;
    const char *slash = strchr(hash, '/');
    return slash && (is_hash || slash > hash) ? slash + 1 : NULL;
}

static bool try_rust_below(struct source_files *files, const char *pattern, const char *part,
                           struct source_file *file)
{
    glob_t found;
    bool is_found = false;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0) {
        return false;
    }
    for (size_t i = 0; i < found.gl_pathc && !is_found; i++) {
        const char *path = arena_printf(files->arena, "%s/%s", found.gl_pathv[i], part);
        is_found = try_path(files, path, file);
    }
    globfree(&found);
    return is_found;
}

/* Where distributions and rustup put the source of Rust's own library. */
static bool try_rust(struct source_files *files, struct source_file *file)
{
    const char *part = rust_part(file->path);
    if (!part || strstr(part, "..")) {
        return false;
    }
    if (files->rust_library) {
        return try_path(files, arena_printf(files->arena, "%s/%s", files->rust_library, part),
                        file);
    }
    const char *home = getenv("HOME");
    const char *rustup = getenv("RUSTUP_HOME");
    const char *const patterns[] = {
        "/usr/lib/rustlib/src/rust",
        "/usr/src/rustc-*",
        "/usr/local/lib/rustlib/src/rust",
        rustup ? arena_printf(files->arena, "%s/toolchains/*/lib/rustlib/src/rust", rustup) : NULL,
        home ? arena_printf(files->arena, "%s/.rustup/toolchains/*/lib/rustlib/src/rust", home)
             : NULL,
    };
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (patterns[i] && try_rust_below(files, patterns[i], part, file)) {
            return true;
        }
    }
    return false;
}

static bool try_target(struct source_files *files, struct source_file *file)
{
    return files->target_pid > 0 && file->path[0] == '/' &&
           try_path(files,
                    arena_printf(files->arena, "/proc/%" PRId64 "/root%s", files->target_pid,
                                 file->path),
                    file);
}

static void index_lines(struct arena *arena, struct source_file *file)
{
    uint32_t n_lines = 1;
    for (size_t i = 0; i < file->n_bytes; i++) {
        n_lines += file->text[i] == '\n';
    }
    file->line_starts = arena_alloc_array(arena, (size_t)n_lines + 1, sizeof(uint32_t));
    if (!file->line_starts) {
        return;
    }
    uint32_t line = 1;
    for (size_t i = 0; i < file->n_bytes; i++) {
        if (file->text[i] == '\n') {
            file->line_starts[line++] = (uint32_t)i + 1;
        }
    }
    file->line_starts[n_lines] = (uint32_t)file->n_bytes + 1;
    file->n_lines = n_lines;
}

/* A map says where somebody has put files on this machine, so that is looked at. */
static void find_kept(struct source_files *files, struct source_file *file)
{
    if (try_maps(files, file)) {
        index_lines(files->arena, file);
        return;
    }
    file->kept = files->kept ? kept_sources_find(files->kept, file->path) : NULL;
    if (file->kept) {
        file->found = file->kept->found;
        file->modified_s = file->kept->modified_s;
    }
}

static struct source_file *find_file(struct source_files *files, const char *path)
{
    for (size_t i = 0; i < files->n_files; i++) {
        if (strcmp(files->files[i].path, path) == 0) {
            return &files->files[i];
        }
    }
    if (!files->files) {
        files->files = arena_alloc_array(files->arena, SOURCE_FILES_MAX, sizeof(*files->files));
    }
    if (!files->files || files->n_files == SOURCE_FILES_MAX) {
        return NULL;
    }
    struct source_file *file = &files->files[files->n_files];
    *file = (struct source_file){.path = arena_strdup(files->arena, path)};
    if (!file->path) {
        return NULL;
    }
    files->n_files++;
    if (files->is_kept_only) {
        find_kept(files, file);
        return file;
    }
    bool is_elsewhere = files->target_pid > 0 && target_root_is_other(files->target_pid);
    if (try_maps(files, file) || (is_elsewhere && try_target(files, file)) ||
        try_path(files, file->path, file) || try_rust(files, file) ||
        (!is_elsewhere && try_target(files, file))) {
        index_lines(files->arena, file);
    }
    return file;
}

const char *source_files_line(struct source_files *files, const char *path, uint32_t line)
{
    const struct source_file *file = path && line > 0 ? find_file(files, path) : NULL;
    if (file && file->kept) {
        return kept_sources_line(files->kept, file->kept, line);
    }
    if (!file || line > file->n_lines) {
        return NULL;
    }
    uint32_t start = file->line_starts[line - 1];
    uint32_t end = file->line_starts[line] - 1;
    if (end > file->n_bytes || start > end || (start == end && line == file->n_lines)) {
        return NULL;
    }
    size_t n_bytes = end - start;
    while (n_bytes > 0 && file->text[start + n_bytes - 1] == '\r') {
        n_bytes--;
    }
    n_bytes = n_bytes < SOURCE_LINE_MAX_BYTES ? n_bytes : SOURCE_LINE_MAX_BYTES;
    return arena_strndup(files->arena, file->text + start, n_bytes);
}

const char *source_files_found(struct source_files *files, const char *path,
                               int64_t *ret_modified_s)
{
    const struct source_file *file = path ? find_file(files, path) : NULL;
    if (ret_modified_s) {
        *ret_modified_s = file ? file->modified_s : 0;
    }
    return file ? file->found : NULL;
}
