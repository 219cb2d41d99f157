/* SPDX-License-Identifier: MIT */
#include "capture/linux/sample_swap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "capture/linux/child_processes.h"
#include "capture/linux/perf_session_internal.h"
#include "decode/perf_abi.h"

/* A thread that inherits before an event is opened can be told of this much later. */
#define BIRTH_TAKES_NS (10 * NS_PER_MS)
#define RECHECK_AFTER_NS (60 * NS_PER_MS)
#define FAILURES_MAX 3u
/* Events are not opened anew for the sake of their period more often than this. */
#define RENEWAL_AFTER_NS (2 * NS_PER_S)
#define ODD_THREADS_MAX 4096u

int sample_swap_init(struct sample_swap *swap)
{
    *swap = (struct sample_swap){0};
    hash_table_init(&swap->threads);
    hash_table_init(&swap->next_threads);
    hash_table_init(&swap->odd_samples);
    swap->children = calloc(SAMPLE_SWAP_PROCESSES, sizeof(*swap->children));
    return swap->children ? 0 : -ENOMEM;
}

void sample_swap_release(struct sample_swap *swap)
{
    perf_source_set_close(&swap->retired);
    hash_table_release(&swap->threads);
    hash_table_release(&swap->next_threads);
    hash_table_release(&swap->odd_samples);
    free(swap->children);
    *swap = (struct sample_swap){0};
}

void sample_swap_begin(struct sample_swap *swap, bool is_complete, uint64_t now_ns)
{
    swap->births_inherit_ns = now_ns + BIRTH_TAKES_NS;
    swap->recheck_at_ns = is_complete ? 0 : now_ns + RECHECK_AFTER_NS;
}

static void forget_dead_children(struct sample_swap *swap)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < swap->n_children; i++) {
        const struct swap_child *child = &swap->children[i];
        bool is_there = kill((pid_t)child->pid, 0) == 0 || errno != ESRCH; /* costs the least */
        if (is_there && child_process_is(child->pid, child->born_ns)) {
            swap->children[n_kept++] = swap->children[i];
        }
    }
    swap->n_children = n_kept;
}

/* Past the bound the count says so: the recording is no longer adaptive then. */
static void note_child(struct sample_swap *swap, int64_t pid, uint64_t born_ns)
{
    if (swap->n_children == SAMPLE_SWAP_PROCESSES && swap->n_failures < FAILURES_MAX) {
        forget_dead_children(swap);
    }
    if (swap->n_children < SAMPLE_SWAP_PROCESSES) {
        swap->children[swap->n_children++] = (struct swap_child){.pid = pid, .born_ns = born_ns};
    } else {
        swap->n_failures = FAILURES_MAX;
    }
}

void sample_swap_note(struct sample_swap *swap, const struct perf_record *record,
                      bool follows_children)
{
    uint64_t tid = (uint64_t)(uint32_t)record->task.tid;
    if (record->type == PERF_ABI_RECORD_FORK) {
        bool is_process = record->task.pid != record->task.parent_pid;
        if (is_process && follows_children) {
            note_child(swap, record->task.pid, record->time_ns);
        }
        if (swap->recheck_at_ns != 0 && record->time_ns >= swap->births_inherit_ns) {
            (void)hash_table_set(&swap->threads, tid, SAMPLE_SWAP_INHERITED);
        }
    } else if (record->type == PERF_ABI_RECORD_EXIT &&
               hash_table_find(&swap->threads, tid) != HASH_TABLE_NONE) {
        /* Its number can be another thread's later. */
        (void)hash_table_set(&swap->threads, tid, SAMPLE_SWAP_GONE);
    }
}

/* A thread with events of its own has a sample by an inherited one: those of its own are for
 * nothing. Returns false where there is no room to say so. */
static bool note_redundant(struct sample_swap *swap, int32_t tid)
{
    if (swap->n_redundant_tids == SAMPLE_SWAP_REDUNDANT ||
        hash_table_set(&swap->threads, (uint64_t)tid, SAMPLE_SWAP_INHERITED) != 0) {
        return false;
    }
    swap->redundant_tids[swap->n_redundant_tids++] = tid;
    return true;
}

bool sample_swap_is_surplus(struct sample_swap *swap, const struct perf_source_tag *tag,
                            const struct perf_record *record)
{
    if (tag->generation != swap->generation) {
        return record->time_ns >= swap->since_ns;
    }
    if (record->time_ns < swap->since_ns) {
        return true;
    }
    if (tag->tid == 0 || record->tid <= 0) {
        return false;
    }
    uint32_t state = hash_table_find(&swap->threads, (uint64_t)record->tid);
    if (record->tid == tag->tid) {
        return state == SAMPLE_SWAP_INHERITED;
    }
    return state == SAMPLE_SWAP_OWN && !note_redundant(swap, record->tid);
}

void sample_swap_note_period(struct sample_swap *swap, const struct perf_source_tag *tag,
                             const struct perf_record *record, uint64_t nominal_ns)
{
    uint64_t period_ns = record->sample.period_ns;
    if (record->tid <= 0 || record->tid == tag->tid || period_ns == nominal_ns || period_ns == 0) {
        return;
    }
    uint64_t tid = (uint64_t)record->tid;
    uint32_t n_before = hash_table_find(&swap->odd_samples, tid);
    uint32_t n_samples = n_before == HASH_TABLE_NONE ? 1 : n_before + 1;
    if (swap->odd_samples.n_used >= ODD_THREADS_MAX) {
        hash_table_clear(&swap->odd_samples);
    }
    (void)hash_table_set(&swap->odd_samples, tid, n_samples);
    swap->wants_renewal |= n_samples * period_ns >= SAMPLE_SWAP_LONG_LIFE_NS;
}

static bool is_redundant(const struct sample_swap *swap, pid_t tid)
{
    for (size_t i = 0; i < swap->n_redundant_tids; i++) {
        if (swap->redundant_tids[i] == tid) {
            return true;
        }
    }
    return false;
}

/* Their records in the rings stay known, and surplus. */
static void close_redundant(struct sample_swap *swap, struct perf_source_set *set)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < set->n_items; i++) {
        if (is_redundant(swap, set->items[i].tag.tid)) {
            fd_close(set->items[i].fd);
        } else {
            set->items[n_kept++] = set->items[i];
        }
    }
    set->n_items = n_kept;
    swap->n_redundant_tids = 0;
}

static void give_up_if_hopeless(struct capture *capture)
{
    if (capture->swap.n_failures >= FAILURES_MAX) {
        capture->is_adaptive = false;
        if (capture->broker) {
            perf_session_note(capture, "staxd opens no more events: stack copies keep their size, "
                                       "and threads that nobody knew of go unseen");
        }
        log_info("stack copies stay at %u bytes", (unsigned)capture->attrs.stack_bytes);
    }
}

/* Opens the next generation beside the present one. */
static int open_next(struct capture *capture, struct perf_source_set *set)
{
    struct sample_swap *swap = &capture->swap;
    uint8_t generation = (swap->generation + 1) % PERF_SOURCES_GENERATIONS;
    if (capture->is_wide) {
        return wide_session_open_samples(capture, generation, set);
    }
    forget_dead_children(swap);
    hash_table_clear(&swap->next_threads);
    return task_session_open_samples(capture, generation, set);
}

static int swap_samples(struct capture *capture)
{
    struct sample_swap *swap = &capture->swap;
    struct perf_sources *sources = &capture->sources;
    struct perf_source_set fresh = {0};
    int r = open_next(capture, &fresh);
    if (r == 0) {
        r = perf_source_set_enable(&fresh);
    }
    if (r != 0) {
        perf_source_set_close(&fresh);
        (void)perf_sources_forget_closed(sources);
        return r;
    }
    swap->since_ns = clock_now_ns();
    swap->generation = (swap->generation + 1) % PERF_SOURCES_GENERATIONS;
    perf_source_set_disable(&sources->samples);
    swap->retired = sources->samples;
    swap->has_retired = true;
    sources->samples = fresh;
    const struct hash_table threads = swap->threads;
    swap->threads = swap->next_threads;
    swap->next_threads = threads;
    swap->n_redundant_tids = 0;
    swap->wants_renewal = false;
    hash_table_clear(&swap->odd_samples);
    sample_swap_begin(swap, capture->is_wide, clock_now_ns());
    capture->counters.n_events_open = capture->sources.lasting.n_items +
                                      capture->sources.samples.n_items +
                                      capture->sources.counters.n_items;
    return 0;
}

static void resize(struct capture *capture)
{
    uint32_t old_bytes = capture->attrs.stack_bytes;
    capture->attrs.stack_bytes = capture->stack_size.now_bytes;
    int r = swap_samples(capture);
    if (r != 0) {
        log_debug("no sampling events with %u bytes of stack: %s",
                  (unsigned)capture->attrs.stack_bytes, strerror(-r));
        capture->attrs.stack_bytes = capture->stack_size.now_bytes = old_bytes;
        capture->swap.n_failures++;
        give_up_if_hopeless(capture);
        return;
    }
    log_debug("samples carry %u bytes of stack now", (unsigned)capture->attrs.stack_bytes);
    capture->counters.stack_bytes_now = capture->attrs.stack_bytes;
}

/* Every thread that there is gets events with the nominal period. */
static void renew(struct capture *capture)
{
    int r = swap_samples(capture);
    capture->swap.wants_renewal = false;
    if (r != 0) {
        capture->swap.n_failures++;
        log_debug("sampling events could not be opened anew: %s", strerror(-r));
    }
}

/* When the kernel drops samples because they are too large for its buffer, they become smaller. */
static void tell_if_less(struct capture *capture)
{
    const struct stack_size *size = &capture->stack_size;
    if (size->lost_at_ns == 0 || size->most_bytes >= size->allowed_bytes) {
        return;
    }
    perf_session_note(capture, "the kernel's buffer overflowed, so less stack is copied with each "
                               "sample; larger buffers: "
                               "`sudo sysctl kernel.perf_event_mlock_kb=8192`, or record as root");
}

void sample_swap_tend(struct capture *capture)
{
    struct sample_swap *swap = &capture->swap;
    if (!capture->is_adaptive) {
        return;
    }
    uint64_t now_ns = clock_now_ns();
    if (swap->has_retired) {
        /* They were disabled before this round, so none of their records is left. */
        swap->has_retired = false;
        perf_source_set_close(&swap->retired);
        if (perf_sources_forget_closed(&capture->sources) != 0) {
            swap->n_failures = FAILURES_MAX;
        }
    } else if (swap->n_redundant_tids > 0) {
        close_redundant(swap, &capture->sources.samples);
    } else if (swap->recheck_at_ns != 0 && now_ns >= swap->recheck_at_ns) {
        swap->recheck_at_ns = 0;
        int r = task_session_open_missed(capture);
        if (r != 0) {
            log_debug("looking for threads once more: %s", strerror(-r));
        }
    } else if (stack_size_follow(&capture->stack_size, capture->wish_bytes, capture->counters.lost,
                                 now_ns)) {
        tell_if_less(capture);
        resize(capture);
    } else if (swap->wants_renewal && now_ns - swap->since_ns >= RENEWAL_AFTER_NS) {
        renew(capture);
    }
    give_up_if_hopeless(capture);
}
