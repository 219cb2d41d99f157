/* SPDX-License-Identifier: MIT */
/*
 * cfi_tables - how long the unwind tables of files take, as a server makes them
 *
 * Each round begins with nothing: a store of its own, the file announced and
 * opened, then its table wanted.
 *
 * usage: cfi_tables ROUNDS FILE…; prints one line of JSON per file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "unwind/cfi_store.h"

#define WAIT_MS 60000

/* Only the thread that makes tables has anything to do. */
static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int measure(const char *path, struct cfi_source_info *ret_info, uint64_t *ret_cpu_ns)
{
    _cleanup_(cfi_store_freep) struct cfi_store *store = NULL;
    struct image image = {.kind = IMAGE_KIND_FILE, .path = path, .name = path};
    int r = cfi_store_new(&store);
    if (r < 0) {
        return r;
    }
    struct cfi_source *source = cfi_store_announce(store, &image);
    if (!source || !cfi_store_wait_idle(store, WAIT_MS)) {
        return -1;
    }
    uint64_t cpu_before_ns = cpu_now_ns();
    cfi_source_want(source);
    if (!cfi_store_wait_idle(store, WAIT_MS)) {
        return -1;
    }
    *ret_cpu_ns = cpu_now_ns() - cpu_before_ns;
    cfi_source_describe(source, ret_info);
    if (ret_info->state != CODE_READY) {
        fprintf(stderr, "%s: %s\n", path, ret_info->failure);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    long n_rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (n_rounds < 1 || n_rounds > 1000) {
        fprintf(stderr, "usage: cfi_tables ROUNDS FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        struct cfi_source_info infos[1000];
        uint64_t cpu_ns[1000];
        for (long round = 0; round < n_rounds; round++) {
            if (measure(argv[i], &infos[round], &cpu_ns[round]) < 0) {
                return 1;
            }
        }
        printf("{\"path\": \"%s\", \"origin\": \"%s\", \"functions\": %" PRIu64
               ", \"rows\": %" PRIu64 ", \"unsupported\": %" PRIu64 ", \"refused\": %" PRIu64
               ", \"memory_bytes\": %" PRIu64,
               argv[i], infos[0].origin, infos[0].n_functions, infos[0].n_rows,
               infos[0].n_unsupported, infos[0].n_refused, infos[0].memory_bytes);
        printf(", \"build_ns\": [");
        for (long round = 0; round < n_rounds; round++) {
            printf("%s%" PRIu64, round ? ", " : "", infos[round].build_ns);
        }
        printf("], \"cpu_ns\": [");
        for (long round = 0; round < n_rounds; round++) {
            printf("%s%" PRIu64, round ? ", " : "", cpu_ns[round]);
        }
        printf("], \"wait_ns\": [");
        for (long round = 0; round < n_rounds; round++) {
            printf("%s%" PRIu64, round ? ", " : "", infos[round].wait_ns);
        }
        printf("]}\n");
    }
    return 0;
}
