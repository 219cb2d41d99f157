/* SPDX-License-Identifier: MIT */
/*
 * A lookup comes for every frame of every sample, and nearly always for the
 * process and the range of the one before: both are remembered, so that the
 * usual answer costs a few comparisons and the next usual one a binary search.
 * Changes are rare and may move the array.
 */
#include "images/image_map.h"

#include <errno.h>
#include <string.h>

#include "base/hash_table.h"

/* Twice what the kernel allows a process by default (vm.max_map_count). */
#define MAX_RANGES_PER_PROCESS (1u << 17)
#define MAX_PROCESSES (1u << 22)

struct range {
    uint64_t start_ip, end_ip;
    /* Added to an ip it gives image_place.offset, modulo 2^64; 0 where run-time addresses are kept.
     */
    uint64_t offset_minus_ip;
    image_id image;
};

struct process {
    int64_t pid;
    uint64_t generation;
    struct range
        *ranges; /* sorted by start_ip, never overlapping, never touching with equal content */
    size_t n_ranges, capacity;
    size_t last_hit;
};

struct image_map {
    struct hash_table by_pid; /* pid → index in processes */
    struct process *processes;
    size_t n_processes, capacity;
    size_t last_process; /* of the last lookup; meaningful while n_processes > 0 */
};

int image_map_new(struct image_map **ret_map)
{
    struct image_map *map = calloc(1, sizeof(*map));
    if (!map) {
        return -ENOMEM;
    }
    hash_table_init(&map->by_pid);
    *ret_map = map;
    return 0;
}

struct image_map *image_map_free(struct image_map *map)
{
    if (map) {
        for (size_t i = 0; i < map->n_processes; i++) {
            free(map->processes[i].ranges);
        }
        free(map->processes);
        hash_table_release(&map->by_pid);
        free(map);
    }
    return NULL;
}

static struct process *find_process(const struct image_map *map, int64_t pid)
{
    uint32_t index = hash_table_find(&map->by_pid, (uint64_t)pid);
    return index == HASH_TABLE_NONE ? NULL : &map->processes[index];
}

/* Finds or adds; an added one has no ranges. The pointer is valid until the next call. */
static int get_process(struct image_map *map, int64_t pid, struct process **ret_process)
{
    struct process *process = find_process(map, pid);
    if (process) {
        *ret_process = process;
        return 0;
    }
    if (map->n_processes == map->capacity) {
        if (map->capacity >= MAX_PROCESSES) {
            return -ENOSPC;
        }
        size_t capacity = map->capacity ? map->capacity * 2 : 16;
        struct process *grown = reallocarray(map->processes, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        map->processes = grown;
        map->capacity = capacity;
    }
    int r = hash_table_add(&map->by_pid, (uint64_t)pid, (uint32_t)map->n_processes);
    if (r < 0) {
        return r;
    }
    process = &map->processes[map->n_processes++];
    *process = (struct process){.pid = pid, .generation = 1};
    *ret_process = process;
    return 0;
}

static int reserve(struct process *process, size_t n_ranges)
{
    if (n_ranges <= process->capacity) {
        return 0;
    }
    if (n_ranges > MAX_RANGES_PER_PROCESS) {
        return -ENOSPC;
    }
    size_t capacity = process->capacity ? process->capacity : 32;
    while (capacity < n_ranges) {
        capacity *= 2;
    }
    struct range *grown = reallocarray(process->ranges, capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    process->ranges = grown;
    process->capacity = capacity;
    return 0;
}

/* The first range that ends after `ip`: it holds ip, or lies behind it. */
static size_t first_ending_after(const struct process *process, uint64_t ip)
{
    size_t low = 0;
    size_t high = process->n_ranges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (process->ranges[middle].end_ip > ip) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void replace_ranges(struct process *process, size_t first, size_t n_old,
                           const struct range *replacement, size_t n_new)
{
    size_t n_behind = process->n_ranges - first - n_old;
    if (n_behind > 0) {
        memmove(process->ranges + first + n_new, process->ranges + first + n_old,
                n_behind * sizeof(*replacement));
    }
    if (n_new > 0) {
        memcpy(process->ranges + first, replacement, n_new * sizeof(*replacement));
    }
    process->n_ranges = process->n_ranges - n_old + n_new;
    process->last_hit = 0;
    process->generation++;
}

static bool has_same_content(const struct range *one, const struct range *other)
{
    return one->image == other->image && one->offset_minus_ip == other->offset_minus_ip;
}

/*
 * Puts `added` (or, when NULL, nothing) in the place of [start_ip, end_ip):
 * what sticks out on both sides of the hole stays.
 */
static int cut_and_put(struct process *process, uint64_t start_ip, uint64_t end_ip,
                       const struct range *added)
{
    size_t first = first_ending_after(process, start_ip);
    size_t n_old = 0;
    while (first + n_old < process->n_ranges && process->ranges[first + n_old].start_ip < end_ip) {
        n_old++;
    }
    if (!added && n_old == 0) {
        return 0;
    }

    struct range replacement[3];
    size_t n_new = 0;
    if (n_old > 0 && process->ranges[first].start_ip < start_ip) {
        replacement[n_new] = process->ranges[first];
        replacement[n_new++].end_ip = start_ip;
    }
    if (added) {
        replacement[n_new++] = *added;
    }
    if (n_old > 0 && process->ranges[first + n_old - 1].end_ip > end_ip) {
        replacement[n_new] = process->ranges[first + n_old - 1];
        replacement[n_new++].start_ip = end_ip;
    }
    int r = reserve(process, process->n_ranges - n_old + n_new);
    if (r < 0) {
        return r;
    }
    replace_ranges(process, first, n_old, replacement, n_new);
    return 0;
}

/* Joins the range that begins at `start_ip` with equal ones that it touches (code that grows in
 * place). */
static void join_neighbours(struct process *process, uint64_t start_ip)
{
    size_t at = first_ending_after(process, start_ip);
    struct range *ranges = process->ranges;
    size_t first = at;
    size_t last = at;
    if (at > 0 && ranges[at - 1].end_ip == ranges[at].start_ip &&
        has_same_content(&ranges[at - 1], &ranges[at])) {
        first = at - 1;
    }
    if (at + 1 < process->n_ranges && ranges[at].end_ip == ranges[at + 1].start_ip &&
        has_same_content(&ranges[at], &ranges[at + 1])) {
        last = at + 1;
    }
    if (first != last) {
        struct range joined = ranges[first];
        joined.end_ip = ranges[last].end_ip;
        replace_ranges(process, first, last - first + 1, &joined, 1);
    }
}

int image_map_add(struct image_map *map, int64_t pid, uint64_t start_ip, uint64_t end_ip,
                  uint64_t file_offset, image_id image, bool keeps_ip)
{
    if (start_ip >= end_ip) {
        return -EINVAL;
    }
    struct process *process;
    int r = get_process(map, pid, &process);
    if (r < 0) {
        return r;
    }
    struct range added = {
        .start_ip = start_ip,
        .end_ip = end_ip,
        .offset_minus_ip = keeps_ip ? 0 : file_offset - start_ip,
        .image = image,
    };
    /* The kernel tells the same mapping again when its protection changes: no answer changes. */
    size_t at = first_ending_after(process, start_ip);
    if (at < process->n_ranges && process->ranges[at].start_ip <= start_ip &&
        process->ranges[at].end_ip >= end_ip && has_same_content(&process->ranges[at], &added)) {
        return 0;
    }
    r = cut_and_put(process, start_ip, end_ip, &added);
    if (r < 0) {
        return r;
    }
    join_neighbours(process, start_ip);
    return 0;
}

int image_map_remove(struct image_map *map, int64_t pid, uint64_t start_ip, uint64_t end_ip)
{
    if (start_ip >= end_ip) {
        return -EINVAL;
    }
    struct process *process = find_process(map, pid);
    return process ? cut_and_put(process, start_ip, end_ip, NULL) : 0;
}

void image_map_exec(struct image_map *map, int64_t pid)
{
    struct process *process = find_process(map, pid);
    if (process && process->n_ranges > 0) {
        replace_ranges(process, 0, process->n_ranges, NULL, 0);
    }
}

int image_map_fork(struct image_map *map, int64_t pid, int64_t parent_pid)
{
    if (pid == parent_pid) {
        return 0;
    }
    struct process *child;
    int r = get_process(map, pid, &child);
    if (r < 0) {
        return r;
    }
    const struct process *parent = find_process(map, parent_pid);
    size_t n_ranges = parent ? parent->n_ranges : 0;
    r = reserve(child, n_ranges);
    if (r < 0) {
        return r;
    }
    replace_ranges(child, 0, child->n_ranges, parent ? parent->ranges : NULL, n_ranges);
    return 0;
}

static struct image_place place_in(const struct range *range, uint64_t ip)
{
    return (struct image_place){.image = range->image, .offset = ip + range->offset_minus_ip};
}

struct image_place image_map_find(struct image_map *map, int64_t pid, uint64_t ip)
{
    struct image_place nowhere = {.image = IMAGE_ID_UNKNOWN, .offset = ip};
    struct process *process = NULL;
    if (map->n_processes > 0 && map->processes[map->last_process].pid == pid) {
        process = &map->processes[map->last_process];
    } else {
        process = find_process(map, pid);
        if (!process) {
            return nowhere;
        }
        map->last_process = (size_t)(process - map->processes);
    }
    if (process->last_hit < process->n_ranges) {
        const struct range *last = &process->ranges[process->last_hit];
        if (ip >= last->start_ip && ip < last->end_ip) {
            return place_in(last, ip);
        }
    }
    size_t at = first_ending_after(process, ip);
    if (at == process->n_ranges || process->ranges[at].start_ip > ip) {
        return nowhere;
    }
    process->last_hit = at;
    return place_in(&process->ranges[at], ip);
}

uint64_t image_map_generation(const struct image_map *map, int64_t pid)
{
    const struct process *process = find_process(map, pid);
    return process ? process->generation : 0;
}

void image_map_each(const struct image_map *map, int64_t pid, image_map_range_cb on_range,
                    void *userdata)
{
    const struct process *process = find_process(map, pid);
    for (size_t i = 0; process && i < process->n_ranges; i++) {
        const struct range *range = &process->ranges[i];
        on_range(userdata, range->start_ip, range->end_ip, place_in(range, range->start_ip));
    }
}
