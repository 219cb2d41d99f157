/* SPDX-License-Identifier: MIT */
/*
 * Some programs write the whole file anew (Java does so on demand). Then the
 * bytes before the place where we stopped are no longer those that we read:
 * the last few are kept to see it.
 */
#include "jit/jit_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "symbols/perf_map.h"

#define MARK_BYTES 64u

struct jit_map {
    struct jit_code *code;
    int64_t pid;
    int fd;
    uint64_t offset;       /* of the first byte that was not understood yet */
    uint64_t looked_ns;    /* of the last look; 0: none */
    struct timespec mtime; /* then */
    char *window;          /* of one jit_map_read() */
    size_t n_mark_bytes;   /* the bytes before offset */
    char mark[MARK_BYTES];
    bool was_rewritten;
    bool has_more; /* the budget ended before the file did */
};

int jit_map_open(struct jit_code *code, int64_t pid, int takes_fd, struct jit_map **ret_map)
{
    struct jit_map *map = calloc(1, sizeof(*map));
    if (!map) {
        fd_close(takes_fd);
        return -ENOMEM;
    }
    *map = (struct jit_map){.code = code, .pid = pid, .fd = takes_fd};
    *ret_map = map;
    return 0;
}

struct jit_map *jit_map_free(struct jit_map *map)
{
    if (map) {
        fd_close(map->fd);
        free(map);
    }
    return NULL;
}

int64_t jit_map_pid(const struct jit_map *map)
{
    return map->pid;
}

static uint64_t time_in_ns(const struct timespec *moment)
{
    return (uint64_t)moment->tv_sec * NS_PER_S + (uint64_t)moment->tv_nsec;
}

/* Since when what is appended now stands where it says. */
static uint64_t time_of_append(const struct jit_map *map, const struct timespec *mtime,
                               uint64_t now_ns)
{
    if (map->looked_ns == 0) {
        return 0;
    }
    uint64_t ago_ns = clock_now_unix_ns() - time_in_ns(mtime);
    uint64_t written_ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
    return written_ns > map->looked_ns && written_ns < now_ns ? written_ns : now_ns;
}

static bool is_rewritten(const struct jit_map *map, uint64_t n_file_bytes)
{
    char mark[MARK_BYTES];
    if (n_file_bytes < map->offset) {
        return true;
    }
    if (map->n_mark_bytes == 0) {
        return false;
    }
    ssize_t n_read =
        pread(map->fd, mark, map->n_mark_bytes, (off_t)(map->offset - map->n_mark_bytes));
    return n_read != (ssize_t)map->n_mark_bytes || memcmp(mark, map->mark, map->n_mark_bytes) != 0;
}

static void keep_mark(struct jit_map *map, size_t used)
{
    size_t n_bytes = used < MARK_BYTES ? used : MARK_BYTES;
    memcpy(map->mark, map->window + used - n_bytes, n_bytes);
    map->n_mark_bytes = n_bytes;
}

static int64_t read_lines(struct jit_map *map, size_t n_bytes, bool has_end, uint64_t from_ns,
                          size_t *ret_used)
{
    struct perf_map_line line;
    size_t used = 0;
    int64_t n_lines = 0;
    while (perf_map_next(map->window, n_bytes, has_end, &used, &line)) {
        const struct jit_load load = {
            .pid = map->pid,
            .start_ip = line.start_ip,
            .n_bytes = line.n_bytes,
            .from_ns = from_ns,
            .name = line.name,
            .n_name_bytes = line.n_name_bytes,
            .may_repeat = map->was_rewritten,
            .fd = -1,
            .eh_frame = bytes_of(map->window, 0),
            .debug_entries = bytes_of(map->window, 0),
        };
        (void)jit_code_load(map->code, &load); /* what cannot be kept is counted there */
        n_lines++;
    }
    *ret_used = used;
    return n_lines;
}

/* One window of the file: how many of its bytes were used, 0 at its end for now. */
static size_t read_window(struct jit_map *map, bool has_end, uint64_t from_ns,
                          int64_t *inout_n_lines)
{
    ssize_t n_read = pread(map->fd, map->window, JIT_WINDOW_BYTES, (off_t)map->offset);
    if (n_read <= 0) {
        return 0;
    }
    bool is_full = (size_t)n_read == JIT_WINDOW_BYTES;
    size_t used;
    *inout_n_lines += read_lines(map, (size_t)n_read, has_end && !is_full, from_ns, &used);
    if (used == 0 && is_full) {
        used =
            JIT_WINDOW_BYTES; /* no line is that long: it is skipped, its end with the next ones */
    }
    if (used > 0) {
        keep_mark(map, used);
        map->offset += used;
    }
    return used;
}

/* -EFBIG past the limit, else 0; has_more where the budget ended first. */
static int read_windows(struct jit_map *map, bool has_end, uint64_t from_ns,
                        struct jit_budget *budget, int64_t *ret_n_lines)
{
    size_t used;
    map->has_more = false;
    while ((used = read_window(map, has_end, from_ns, ret_n_lines)) > 0) {
        if (map->offset > JIT_FILE_MAX_BYTES) {
            return -EFBIG;
        }
        if (!jit_budget_take(budget, used)) {
            map->has_more = true;
            break;
        }
    }
    return 0;
}

int64_t jit_map_read(struct jit_map *map, bool has_end, struct jit_budget *budget)
{
    struct stat status;
    if (fstat(map->fd, &status) < 0) {
        return -errno;
    }
    uint64_t now_ns = clock_now_ns();
    uint64_t n_file_bytes = (uint64_t)status.st_size;
    bool is_changed =
        n_file_bytes != map->offset || time_in_ns(&status.st_mtim) != time_in_ns(&map->mtime);
    int64_t n_lines = 0;
    int r = 0;
    if (is_changed && map->offset <= JIT_FILE_MAX_BYTES) {
        uint64_t from_ns = time_of_append(map, &status.st_mtim, now_ns);
        if (is_rewritten(map, n_file_bytes)) {
            map->offset = 0;
            map->n_mark_bytes = 0;
            map->was_rewritten = true;
        }
        map->window = malloc(JIT_WINDOW_BYTES);
        if (!map->window) {
            return -ENOMEM;
        }
        r = read_windows(map, has_end, from_ns, budget, &n_lines);
        free(map->window);
        map->window = NULL;
        map->mtime = status.st_mtim;
    }
    /* What is left of a first look belongs to it. */
    if ((n_lines > 0 || map->offset > 0) && !(map->has_more && map->looked_ns == 0)) {
        map->looked_ns = now_ns;
    }
    return r < 0 ? r : n_lines;
}
