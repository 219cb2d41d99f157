/* SPDX-License-Identifier: MIT */
#include "server/target_threads.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hash_table.h"

#define MAX_THREADS 4096u
#define MAX_STATUS_BYTES (64u << 10)
#define PERIOD_NS (100 * NS_PER_MS)
/* A look that took long is not repeated soon. */
#define REST 9

struct target_threads {
    int64_t pid;
    uint64_t next_look_ns;
    struct hash_table outer; /* by the number in the innermost namespace */
};

struct target_threads *target_threads_new(int64_t pid)
{
    struct target_threads *threads = calloc(1, sizeof(*threads));
    if (threads) {
        threads->pid = pid;
        hash_table_init(&threads->outer);
    }
    return threads;
}

struct target_threads *target_threads_free(struct target_threads *threads)
{
    if (threads) {
        hash_table_release(&threads->outer);
        free(threads);
    }
    return NULL;
}

/* The last number of the line "NSpid:", which is the thread's own view; 0: there is none. */
static uint32_t innermost_tid(const char *status)
{
    const char *line = strstr(status, "\nNSpid:");
    if (!line) {
        return 0;
    }
    uint32_t tid = 0;
    char *at = (char *)line + strlen("\nNSpid:"), *end;
    for (unsigned long number; (number = strtoul(at, &end, 10)), end != at; at = end) {
        tid = (uint32_t)number;
        if (*end == '\n') {
            break;
        }
    }
    return tid;
}

static void add_thread(struct target_threads *threads, const char *tid)
{
    char path[64];
    _cleanup_(freep) char *status = NULL;
    uint32_t outer = (uint32_t)strtoul(tid, NULL, 10);
    snprintf(path, sizeof(path), "/proc/%lld/task/%u/status", (long long)threads->pid, outer);
    if (outer == 0 || fd_read_file(path, MAX_STATUS_BYTES, &status, NULL) < 0) {
        return;
    }
    uint32_t inner = innermost_tid(status);
    if (inner > 0 && outer != HASH_TABLE_NONE) {
        (void)hash_table_set(&threads->outer, inner, outer);
    }
}

static void look(struct target_threads *threads)
{
    char path[64];
    uint64_t begin_ns = clock_now_ns();
    if (begin_ns < threads->next_look_ns) {
        return;
    }
    snprintf(path, sizeof(path), "/proc/%lld/task", (long long)threads->pid);
    DIR *directory = opendir(path);
    if (directory) {
        if (threads->outer.n_used >= MAX_THREADS) {
            hash_table_clear(&threads->outer);
        }
        const struct dirent *entry;
        while (threads->outer.n_used < MAX_THREADS && (entry = readdir(directory))) {
            add_thread(threads, entry->d_name);
        }
        closedir(directory);
    }
    uint64_t end_ns = clock_now_ns();
    threads->next_look_ns = end_ns + PERIOD_NS + REST * (end_ns - begin_ns);
}

uint32_t target_threads_find(struct target_threads *threads, uint32_t tid)
{
    uint32_t outer = hash_table_find(&threads->outer, tid);
    if (outer == HASH_TABLE_NONE && tid != 0) {
        look(threads);
        outer = hash_table_find(&threads->outer, tid);
    }
    return outer == HASH_TABLE_NONE ? tid : outer;
}
