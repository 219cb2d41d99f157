/* SPDX-License-Identifier: MIT */
#include "server/run_diagnose_unwind.h"

#include <errno.h>
#include <stdlib.h>

#include "server/run_internal.h"

#define MAX_TABLES 256

static const char *const end_texts[EVENT_STACK_END_N] = {
    [EVENT_STACK_END_UNKNOWN] = "not looked at",
    [EVENT_STACK_END_COMPLETE] = "complete",
    [EVENT_STACK_END_COPY] = "the copied bytes ran out",
    [EVENT_STACK_END_LIMIT] = "deeper than the limit",
    [EVENT_STACK_END_NO_CODE] = "a return address outside all code",
    [EVENT_STACK_END_NO_TABLE] = "code without unwind information or frame pointers",
    [EVENT_STACK_END_UNSUPPORTED] = "unwind information of a form that is not followed",
    [EVENT_STACK_END_MEMORY] = "stack memory that could not be read or had changed",
    [EVENT_STACK_END_REMAPPED] = "code that had just taken the place of other code",
};

static int by_stacks(const void *left, const void *right)
{
    const struct diagnose_stack_end *a = left, *b = right;
    return a->stacks < b->stacks ? 1 : a->stacks > b->stacks ? -1 : 0;
}

static int add_ends(const struct unwinder_stats *stats, struct arena *arena,
                    struct diagnose_unwind *unwind)
{
    unwind->ends = arena_alloc_array(arena, EVENT_STACK_END_N, sizeof(*unwind->ends));
    if (!unwind->ends) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < EVENT_STACK_END_N; i++) {
        if (stats->n_ends[i] > 0) {
            unwind->ends[unwind->n_ends++] =
                (struct diagnose_stack_end){.cause = end_texts[i], .stacks = stats->n_ends[i]};
        }
    }
    qsort(unwind->ends, unwind->n_ends, sizeof(*unwind->ends), by_stacks);
    return 0;
}

static void describe_table(const struct unwinder_image_stats *image, struct arena *arena,
                           struct diagnose_table *table)
{
    uint64_t most = 0;
    *table = (struct diagnose_table){.path = arena_strdup(arena, image->path), .origin = "none"};
    for (size_t i = 0; i < EVENT_STACK_END_N; i++) {
        table->cut_stacks += image->n_ends[i];
        if (image->n_ends[i] > most) {
            most = image->n_ends[i];
            table->cut_cause = end_texts[i];
        }
    }
    if (image->source) {
        struct cfi_source_info info;
        cfi_source_describe(image->source, &info);
        table->origin = arena_strdup(arena, info.origin);
        table->failure = info.failure[0] ? arena_strdup(arena, info.failure) : NULL;
        table->functions = info.n_functions;
        table->rows = info.n_rows;
        table->memory_bytes = info.memory_bytes;
        table->build_ns = info.build_ns;
        table->wait_ns = info.wait_ns;
    }
}

int run_diagnose_unwind(struct run *run, struct arena *arena, struct diagnose_unwind *ret_unwind)
{
    run = run->parent ? run->parent : run; /* a frozen part was unwound with it */
    *ret_unwind = (struct diagnose_unwind){.enabled = run->unwinder != NULL};
    if (!run->unwinder) {
        return 0;
    }
    struct unwinder_stats stats;
    unwinder_get_stats(run->unwinder, &stats);
    ret_unwind->stacks = stats.n_walked;
    ret_unwind->frames = stats.n_frames;
    ret_unwind->walk_ns = stats.walk_ns;
    ret_unwind->recalled = stats.n_recalled;
    ret_unwind->read_outside = stats.n_read_outside;
    ret_unwind->waits = stats.n_waits;
    ret_unwind->wait_ns = stats.wait_ns;
    ret_unwind->given_up = stats.n_given_up;
    ret_unwind->wanted_bytes = stats.wanted_bytes;
    struct unwinder_image_stats *images = arena_alloc_array(arena, MAX_TABLES, sizeof(*images));
    ret_unwind->tables = arena_alloc_array(arena, MAX_TABLES, sizeof(*ret_unwind->tables));
    if (!images || !ret_unwind->tables) {
        return -ENOMEM;
    }
    ret_unwind->n_tables = unwinder_get_images(run->unwinder, images, MAX_TABLES);
    for (size_t i = 0; i < ret_unwind->n_tables; i++) {
        describe_table(&images[i], arena, &ret_unwind->tables[i]);
    }
    return add_ends(&stats, arena, ret_unwind);
}
