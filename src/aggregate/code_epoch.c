/* SPDX-License-Identifier: MIT */
#include "aggregate/code_epoch.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/chunked.h"
#include "base/clock.h"
#include "base/hash_table.h"

/*
 * Each epoch sees the same addresses as new frames, so it must hold some samples:
 * at 900 Hz these are 110. Half of it is the most that goes to the wrong side of
 * a replacement that is told of late: 1.3 % of a recording of 5 s.
 */
#define EPOCH_MIN_NS (125 * NS_PER_MS)
#define EPOCH_PART 32u
/* After a replacement the next epoch begins soon, but not with every look at the files. */
#define CUT_MIN_NS (20 * NS_PER_MS)
#define CUT_PART 256u

struct epoch_process {
    int64_t pid;
    uint32_t current;
    uint64_t first_ns;
    uint64_t until_ns;     /* the usual end of the current epoch */
    uint64_t cut_at_ns;    /* not before this for a replacement */
    uint64_t reuse_before; /* the count when the current epoch began */
};

struct code_epochs {
    const _Atomic uint64_t *reuse_count;
    struct chunked epochs;    /* struct code_epoch; the first is nobody's */
    struct hash_table by_pid; /* pid → index in processes */
    struct epoch_process *processes;
    size_t n_processes, capacity;
    size_t last; /* of the last question */
};

int code_epochs_new(const _Atomic uint64_t *reuse_count, struct code_epochs **ret_epochs)
{
    _cleanup_(code_epochs_freep) struct code_epochs *epochs = calloc(1, sizeof(*epochs));
    if (!epochs) {
        return -ENOMEM;
    }
    epochs->reuse_count = reuse_count;
    hash_table_init(&epochs->by_pid);
    int r = chunked_init(&epochs->epochs, sizeof(struct code_epoch), CODE_EPOCHS_MAX);
    if (r != 0) {
        return r;
    }
    *ret_epochs = TAKE_PTR(epochs);
    return 0;
}

struct code_epochs *code_epochs_free(struct code_epochs *epochs)
{
    if (epochs) {
        chunked_release(&epochs->epochs);
        hash_table_release(&epochs->by_pid);
        free(epochs->processes);
        free(epochs);
    }
    return NULL;
}

static struct epoch_process *find_process(struct code_epochs *epochs, int64_t pid)
{
    if (epochs->n_processes == 0) {
        return NULL;
    }
    if (epochs->processes[epochs->last].pid != pid) {
        uint32_t at = hash_table_find(&epochs->by_pid, (uint64_t)pid);
        if (at == HASH_TABLE_NONE) {
            return NULL;
        }
        epochs->last = at;
    }
    return &epochs->processes[epochs->last];
}

static struct code_epoch *get_mutable(const struct code_epochs *epochs, uint32_t id)
{
    return chunked_get(&epochs->epochs, id);
}

static uint64_t reuse_now(const struct code_epochs *epochs)
{
    return epochs->reuse_count ? atomic_load_explicit(epochs->reuse_count, memory_order_relaxed)
                               : 0;
}

static uint64_t longer_of(uint64_t least_ns, uint64_t age_ns, unsigned int part)
{
    return age_ns / part > least_ns ? age_ns / part : least_ns;
}

/* Goes on with the current one when there is no room for another. */
static void next_epoch(struct code_epochs *epochs, struct epoch_process *process, uint64_t time_ns)
{
    if (epochs->epochs.n_items == 0) {
        (void)chunked_add(&epochs->epochs); /* 0 is none */
    }
    struct code_epoch *epoch = epochs->epochs.n_items > 0 ? chunked_add(&epochs->epochs) : NULL;
    uint64_t age_ns = time_ns > process->first_ns ? time_ns - process->first_ns : 0;
    process->until_ns = time_ns + longer_of(EPOCH_MIN_NS, age_ns, EPOCH_PART);
    process->cut_at_ns = time_ns + longer_of(CUT_MIN_NS, age_ns, CUT_PART);
    process->reuse_before = reuse_now(epochs);
    if (!epoch) {
        return;
    }
    epoch->pid = process->pid;
    epoch->from_ns = time_ns;
    if (process->current != 0) {
        atomic_store_explicit(&get_mutable(epochs, process->current)->to_ns, time_ns,
                              memory_order_relaxed);
    }
    process->current = (uint32_t)(epochs->epochs.n_items - 1);
}

static uint32_t advance(struct code_epochs *epochs, struct epoch_process *process, uint64_t time_ns)
{
    bool is_cut = time_ns >= process->cut_at_ns && reuse_now(epochs) != process->reuse_before;
    if (is_cut || time_ns >= process->until_ns) {
        next_epoch(epochs, process, time_ns);
    }
    return process->current;
}

uint32_t code_epochs_now(struct code_epochs *epochs, int64_t pid, uint64_t time_ns)
{
    struct epoch_process *process = find_process(epochs, pid);
    return process ? advance(epochs, process, time_ns) : 0;
}

static struct epoch_process *add_process(struct code_epochs *epochs, int64_t pid, uint64_t time_ns)
{
    if (epochs->n_processes == epochs->capacity) {
        size_t capacity = epochs->capacity ? 2 * epochs->capacity : 8;
        struct epoch_process *grown = reallocarray(epochs->processes, capacity, sizeof(*grown));
        if (!grown) {
            return NULL;
        }
        epochs->processes = grown;
        epochs->capacity = capacity;
    }
    if (hash_table_add(&epochs->by_pid, (uint64_t)pid, (uint32_t)epochs->n_processes) < 0) {
        return NULL;
    }
    struct epoch_process *process = &epochs->processes[epochs->n_processes++];
    *process = (struct epoch_process){.pid = pid, .first_ns = time_ns};
    next_epoch(epochs, process, time_ns);
    return process;
}

uint32_t code_epochs_begin(struct code_epochs *epochs, int64_t pid, uint64_t time_ns)
{
    struct epoch_process *process = find_process(epochs, pid);
    if (process) {
        return advance(epochs, process, time_ns);
    }
    process = add_process(epochs, pid, time_ns);
    return process ? process->current : 0;
}

void code_epochs_cut(struct code_epochs *epochs, int64_t pid, uint64_t time_ns)
{
    struct epoch_process *process = find_process(epochs, pid);
    if (process) {
        next_epoch(epochs, process, time_ns);
    }
}

int code_epochs_append(struct code_epochs *epochs, int64_t pid, uint64_t from_ns, uint64_t to_ns)
{
    if (epochs->epochs.n_items >= CODE_EPOCHS_MAX) {
        return -ENOSPC;
    }
    struct code_epoch *epoch = chunked_add(&epochs->epochs);
    if (!epoch) {
        return -ENOMEM;
    }
    epoch->pid = pid;
    epoch->from_ns = from_ns;
    atomic_init(&epoch->to_ns, to_ns);
    return 0;
}

const struct code_epoch *code_epochs_get(const struct code_epochs *epochs, uint32_t id)
{
    return get_mutable(epochs, id);
}

uint32_t code_epochs_count(const struct code_epochs *epochs)
{
    return (uint32_t)epochs->epochs.n_items;
}

size_t code_epochs_memory_bytes(const struct code_epochs *epochs)
{
    return chunked_memory_bytes(&epochs->epochs) + hash_table_memory_bytes(&epochs->by_pid) +
           epochs->capacity * sizeof(*epochs->processes);
}
