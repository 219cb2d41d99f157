/* SPDX-License-Identifier: MIT */
#include "aggregate/aggregate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/snapshot_spans.h"
#include "aggregate/span_events.h"
#include "aggregate/stack_resolve.h"
#include "aggregate/wait_events.h"

#define SAMPLES_MAX (UINT64_C(1) << 32)
#define SLICES_MAX (UINT64_C(1) << 32)
#define PAIRS_MAX (UINT64_C(1) << 26)
#define CHECKPOINT_EVERY_NS (STORED_SLICE_MAX_NS / 4)

/* Samples in it learn how long it was; a piece that was cut out of one is long in any case. */
static void count_slice(struct aggregate *aggregate, const struct stored_slice *slice)
{
    struct thread *thread = thread_table_at(aggregate->threads, slice->thread);
    bool is_mark = slice->start_ns == slice->end_ns && slice->before == GAP_RUNNABLE &&
                   slice->after == GAP_NONE;
    if (is_mark) {
        return;
    }
    uint8_t slice_class = slice_class_of(thread->stored_ns);
    aggregate->class_ns[slice_class] += slice->end_ns - slice->start_ns;
    aggregate->class_slices[slice_class] += slice->after != GAP_NONE;
    pending_samples_settle(&aggregate->pending, thread->newest_pending, slice_class);
    thread->newest_pending = 0;
}

static void store_slice(void *userdata, const struct stored_slice *slice)
{
    struct aggregate *aggregate = userdata;
    count_slice(aggregate, slice);
    struct stored_slice *slot = chunked_add(&aggregate->slices);
    if (slot) {
        *slot = *slice;
    } else {
        aggregate->n_not_stored++;
    }
}

static int init(struct aggregate *aggregate)
{
    const struct slice_sink sink = wait_events_sink((struct slice_sink){
        .userdata = aggregate,
        .on_slice = aggregate->config.has_no_switches ? NULL : store_slice,
    });
    int r = image_table_new(&aggregate->images);
    r = r ? r : image_map_new(&aggregate->map);
    r = r ? r : frame_table_new(&aggregate->frames);
    r = r ? r : code_epochs_new(aggregate->config.code_reuse_count, &aggregate->code_epochs);
    r = r ? r : stack_table_new(&aggregate->stacks);
    r = r ? r : thread_table_new(sink, &aggregate->threads);
    r = r ? r : chunked_init(&aggregate->samples, sizeof(struct stored_sample), SAMPLES_MAX);
    r = r ? r : chunked_init(&aggregate->slices, sizeof(struct stored_slice), SLICES_MAX);
    r = r ? r : chunked_init(&aggregate->pairs, sizeof(struct sample_pair), PAIRS_MAX);
    r = r ? r : wait_log_init(&aggregate->wait_log);
    r = r ? r : wait_objects_init(&aggregate->wait_objects);
    r = r ? r : wakers_init(&aggregate->wakers);
    r = r ? r : counters_init(&aggregate->counters);
    r = r ? r : name_table_init(&aggregate->sites);
    r = r ? r : lanes_init(&aggregate->lanes);
    r = r ? r : span_log_init(&aggregate->span_log);
    if (r != 0) {
        return r;
    }
    aggregate->stack_cache = calloc(STACK_CACHE_ENTRIES, sizeof(*aggregate->stack_cache));
    return aggregate->stack_cache ? 0 : -ENOMEM;
}

int aggregate_new(const struct aggregate_config *config, struct aggregate **ret_aggregate)
{
    _cleanup_(aggregate_freep) struct aggregate *aggregate = calloc(1, sizeof(*aggregate));
    if (!aggregate) {
        return -ENOMEM;
    }
    aggregate->config = *config;
    arena_init(&aggregate->names, 0);
    hash_table_init(&aggregate->pair_ids);
    span_totals_init(&aggregate->span_totals);
    origin_links_init(&aggregate->origin_links, config->max_memory_bytes);
    int r = init(aggregate);
    if (r != 0) {
        return r;
    }
    const struct aggregate_listener *listener = &config->listener;
    for (image_id id = 0; listener->on_image && id < image_table_count(aggregate->images); id++) {
        if (id != IMAGE_ID_NAMED) { /* its places have their names already */
            listener->on_image(listener->userdata, image_table_get(aggregate->images, id));
        }
    }
    *ret_aggregate = TAKE_PTR(aggregate);
    return 0;
}

static void free_snapshots(struct aggregate *aggregate)
{
    while (aggregate->snapshots) {
        struct held_snapshot *held = aggregate->snapshots;
        aggregate->snapshots = held->next;
        snapshot_spans_release(held);
        free(held->memory);
        free(held);
    }
    while (aggregate->dropped) {
        struct dropped_chunk *dropped = aggregate->dropped;
        aggregate->dropped = dropped->next;
        chunked_chunk_free(dropped->chunk, dropped->item_bytes);
        free(dropped);
    }
}

struct aggregate *aggregate_free(struct aggregate *aggregate)
{
    if (aggregate) {
        free_snapshots(aggregate);
        image_table_free(aggregate->images);
        image_map_free(aggregate->map);
        frame_table_free(aggregate->frames);
        code_epochs_free(aggregate->code_epochs);
        stack_table_free(aggregate->stacks);
        thread_table_free(aggregate->threads);
        pending_samples_release(&aggregate->pending);
        pending_waits_release(&aggregate->pending_waits);
        chunked_release(&aggregate->samples);
        chunked_release(&aggregate->slices);
        chunked_release(&aggregate->pairs);
        hash_table_release(&aggregate->pair_ids);
        wait_log_release(&aggregate->wait_log);
        wait_objects_release(&aggregate->wait_objects);
        wakers_release(&aggregate->wakers);
        counters_release(&aggregate->counters);
        name_table_release(&aggregate->sites);
        lanes_release(&aggregate->lanes);
        span_totals_release(&aggregate->span_totals);
        span_log_release(&aggregate->span_log);
        origin_links_release(&aggregate->origin_links);
        arena_release(&aggregate->names);
        free(aggregate->pair_counts);
        free(aggregate->image_is_seen);
        free(aggregate->stack_cache);
        free(aggregate);
    }
    return NULL;
}

void aggregate_begin(struct aggregate *aggregate, uint64_t start_ns)
{
    aggregate->start_ns = start_ns;
    aggregate->newest_ns = start_ns;
    aggregate->checkpoint_at_ns = start_ns + CHECKPOINT_EVERY_NS;
    aggregate->span_totals.run_start_ns = start_ns;
}

_Static_assert(STACK_TABLE_MAX_NODES <= 1u << 28 && SLICE_CLASS_N <= 16,
               "a stack and a class share 32 bits of a pair's key");

static int count_pair(struct aggregate *aggregate, thread_id thread, stack_id stack,
                      uint8_t slice_class)
{
    uint64_t key = (uint64_t)thread << 32 | (uint64_t)slice_class << 28 | stack;
    uint32_t id = hash_table_find(&aggregate->pair_ids, key);
    if (id != HASH_TABLE_NONE) {
        aggregate->pair_counts[id]++;
        return 0;
    }
    if (aggregate->pairs.n_items == aggregate->pair_counts_capacity) {
        size_t capacity =
            aggregate->pair_counts_capacity ? 2 * aggregate->pair_counts_capacity : 1024;
        uint32_t *counts = realloc(aggregate->pair_counts, capacity * sizeof(*counts));
        if (!counts) {
            return -ENOMEM;
        }
        aggregate->pair_counts = counts;
        aggregate->pair_counts_capacity = capacity;
    }
    id = (uint32_t)aggregate->pairs.n_items;
    struct sample_pair *pair = chunked_add(&aggregate->pairs);
    if (!pair) {
        return -ENOSPC;
    }
    *pair = (struct sample_pair){.thread = thread, .stack = stack, .slice_class = slice_class};
    aggregate->pair_counts[id] = 1;
    return hash_table_add(&aggregate->pair_ids, key, id);
}

/* A sample whose slice class is known becomes history. */
static int store_sample(struct aggregate *aggregate, const struct stored_sample *sample)
{
    int r = count_pair(aggregate, sample->thread, sample->stack, sample->slice_class);
    struct stored_sample *slot = r == 0 ? chunked_add(&aggregate->samples) : NULL;
    if (!slot) {
        thread_table_at(aggregate->threads, sample->thread)->totals.n_samples--;
        return r ? r : -ENOSPC;
    }
    *slot = *sample;
    aggregate_note_period(aggregate, sample->period_ns);
    aggregate->class_samples[sample->slice_class]++;
    aggregate->class_met_ns[sample->slice_class] += sample->period_ns;
    return 0;
}

/* Stores the samples that need not wait any longer at now_ns, or all; returns how many failed. */
static size_t release_samples(struct aggregate *aggregate, uint64_t now_ns, bool is_forced)
{
    size_t n_failed = 0;
    struct stored_sample sample;
    while (pending_samples_take(&aggregate->pending, now_ns, is_forced, &sample)) {
        n_failed += store_sample(aggregate, &sample) != 0;
    }
    return n_failed;
}

/* A sample waits for the end of its slice; where switches are not told at all it is stored. */
static int add_sample(struct aggregate *aggregate, struct thread *thread,
                      const struct stored_sample *sample)
{
    thread->totals.n_samples++;
    thread->totals.period_ns = sample->period_ns;
    if (aggregate->config.has_no_switches) {
        return store_sample(aggregate, sample);
    }
    while (pending_samples_add(&aggregate->pending, sample, thread->newest_pending,
                               &thread->newest_pending) != 0) {
        struct stored_sample oldest;
        if (!pending_samples_take(&aggregate->pending, 0, true, &oldest)) {
            return store_sample(aggregate, sample);
        }
        aggregate->lost[EVENT_LOST_QUEUE_FULL] += store_sample(aggregate, &oldest) != 0;
    }
    return 0;
}

static int apply_sample(struct aggregate *aggregate, const struct event *event)
{
    thread_id id;
    struct thread *thread =
        thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    if (aggregate->config.has_no_switches) {
        thread->has_events = true;
        thread->totals.cpu_ns += event->sample.period_ns;
    } else {
        thread_table_seen_running(aggregate->threads, id, event->time_ns);
    }
    struct resolved_stack resolved;
    int r = stack_resolve(aggregate, event->pid, event->time_ns, &event->stack, &resolved);
    if (r != 0) {
        return r;
    }
    wait_events_sampled(thread, resolved.stack);
    origin_links_note_sample(aggregate, event, id, resolved.stack);
    const struct stored_sample sample = {
        .time_ns = event->time_ns,
        .stack = resolved.stack,
        .thread = id,
        .cpu = event->cpu,
        .slice_class = SLICE_CLASS_LONG,
        .period_ns = event->sample.period_ns,
    };
    r = add_sample(aggregate, thread, &sample);
    if (r != 0) {
        return r;
    }
    aggregate->n_kernel_samples += event->stack.n_kernel_ips > 0;
    aggregate->n_stacks_truncated += resolved.is_cut;
    aggregate->n_stacks_empty += event->stack.n_ips == 0;
    return 0;
}

static int set_name(struct aggregate *aggregate, struct thread *thread, const char *name)
{
    if (!name || strcmp(thread->totals.name, name) == 0) {
        return 0;
    }
    const char *copy = arena_strndup(&aggregate->names, name, LIMIT_NAME_BYTES - 1);
    if (!copy) {
        return -ENOMEM;
    }
    thread->totals.name = copy;
    return 0;
}

static int apply_thread(struct aggregate *aggregate, const struct event *event)
{
    thread_id id, leader_id;
    if (event->thread.change == EVENT_THREAD_BORN) {
        int r = thread_table_born(aggregate->threads, event->pid, event->tid, event->time_ns);
        if (r != 0) {
            return r;
        }
    }
    struct thread *thread =
        thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    switch (event->thread.change) {
    case EVENT_THREAD_PRESENT:
    case EVENT_THREAD_NAMED:
        return set_name(aggregate, thread, event->thread.name);
    case EVENT_THREAD_BORN: {
        /* Until it is given one of its own, a thread has the name of its process. */
        const struct thread *leader = thread_table_get(aggregate->threads, event->pid, event->pid,
                                                       event->time_ns, &leader_id);
        thread = thread_table_at(aggregate->threads, id);
        thread->totals.creator_tid = event->thread.creator_tid;
        if (leader == thread) {
            /* The first of its process has that of whoever made it. */
            thread_id creator_id =
                thread_table_find(aggregate->threads, event->thread.creator_tid, event->time_ns);
            leader = creator_id == THREAD_ID_NONE ? NULL
                                                  : thread_table_at(aggregate->threads, creator_id);
        }
        if (leader) {
            thread->totals.name = leader->totals.name;
        }
        return 0;
    }
    case EVENT_THREAD_CPU_TIME:
        switch_lag_update(&aggregate->switch_lag, aggregate->threads, event->pid, event->time_ns,
                          event->thread.cpu_time_ns);
        return 0;
    case EVENT_THREAD_GONE:
        thread_table_gone(aggregate->threads, id, event->time_ns);
        return 0;
    }
    return 0;
}

static int apply_switch(struct aggregate *aggregate, const struct event *event)
{
    thread_id id;
    struct thread *thread =
        thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    if (event->kind == EVENT_SWITCH_IN) {
        return wait_events_switch_in(aggregate, event, id);
    }
    thread_table_switch_out(aggregate->threads, id, event->time_ns, event->cpu, event->is_preempted,
                            event->switch_out.cpu_time_ns);
    int r = wait_events_switch_out(aggregate, event, id);
    origin_links_note_switch_out(aggregate, event, id);
    return r;
}

static int apply_mapping(struct aggregate *aggregate, const struct event *event)
{
    image_id id;
    bool is_new;
    int r = image_table_intern(aggregate->images, event->pid, event->image, &id, &is_new);
    if (r != 0) {
        return r;
    }
    const struct image *image = image_table_get(aggregate->images, id);
    if (is_new && aggregate->config.listener.on_image) {
        aggregate->config.listener.on_image(aggregate->config.listener.userdata, image);
    }
    bool keeps_ip = image->kind == IMAGE_KIND_ANONYMOUS || image->kind == IMAGE_KIND_UNKNOWN ||
                    image->kind == IMAGE_KIND_KERNEL;
    return image_map_add(aggregate->map, event->pid, event->image->start_ip, event->image->end_ip,
                         event->image->file_offset, id, keeps_ip);
}

static int apply_image(struct aggregate *aggregate, const struct event *event)
{
    switch (event->image->change) {
    case EVENT_IMAGE_MAPPED:
        return apply_mapping(aggregate, event);
    case EVENT_IMAGE_UNMAPPED:
        return image_map_remove(aggregate->map, event->pid, event->image->start_ip,
                                event->image->end_ip);
    case EVENT_IMAGE_EXEC:
        image_map_exec(aggregate->map, event->pid);
        code_epochs_cut(aggregate->code_epochs, event->pid, event->time_ns);
        return thread_table_exec(aggregate->threads, event->pid, event->tid, event->time_ns);
    case EVENT_IMAGE_FORKED:
        return image_map_fork(aggregate->map, event->pid, event->image->parent_pid);
    }
    return 0;
}

static int apply_counters(struct aggregate *aggregate, const struct event *event)
{
    struct stored_reading where = {.time_ns = event->time_ns};
    struct resolved_stack resolved;
    if (!thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns,
                          &where.thread)) {
        return -ENOMEM;
    }
    int r = stack_resolve(aggregate, event->pid, event->time_ns, &event->stack, &resolved);
    if (r != 0) {
        return r;
    }
    where.stack = resolved.stack;
    return counters_apply(&aggregate->counters, event->counters, &where);
}

static int apply_wait_seen(struct aggregate *aggregate, const struct event *event)
{
    if (aggregate->config.has_no_switches) {
        return 0;
    }
    int r = wait_events_seen(aggregate, event);
    origin_links_note_seen(aggregate, event);
    return r;
}

static int apply_one(struct aggregate *aggregate, const struct event *event)
{
    switch (event->kind) {
    case EVENT_SAMPLE:
        return apply_sample(aggregate, event);
    case EVENT_SWITCH_IN:
    case EVENT_SWITCH_OUT:
        return apply_switch(aggregate, event);
    case EVENT_THREAD:
        return apply_thread(aggregate, event);
    case EVENT_IMAGE:
        return apply_image(aggregate, event);
    case EVENT_WAIT_SEEN:
        return apply_wait_seen(aggregate, event);
    case EVENT_WAKEUP:
        return aggregate->config.has_no_switches ? 0 : wait_events_wakeup(aggregate, event);
    case EVENT_COUNTERS:
        return apply_counters(aggregate, event);
    case EVENT_LOST:
        aggregate->lost[event->lost.cause] += event->lost.count;
        return 0;
    case EVENT_LANE:
    case EVENT_SPAN_NAME:
    case EVENT_SPAN:
    case EVENT_SPANS_LOST:
    case EVENT_NONE:
    case EVENT_KIND_N:
        break;
    }
    return 0;
}

/* What is open is cut at regular instants, also in a stretch without any event. */
static void pass_time(struct aggregate *aggregate, uint64_t now_ns)
{
    while (now_ns > aggregate->checkpoint_at_ns) {
        if (!thread_table_checkpoint(aggregate->threads, aggregate->checkpoint_at_ns)) {
            aggregate->checkpoint_at_ns = now_ns;
        }
        aggregate->checkpoint_at_ns += CHECKPOINT_EVERY_NS;
    }
}

size_t aggregate_apply(struct aggregate *aggregate, const struct event *events, size_t n_events)
{
    size_t n_failed = 0;
    for (size_t i = 0; i < n_events; i++) {
        if (span_events_has(events[i].kind)) {
            n_failed += span_events_apply(aggregate, &events[i]) != 0;
            aggregate->sequence++;
            continue;
        }
        if (!aggregate->has_events) {
            aggregate->has_events = true;
            aggregate_begin(aggregate, events[i].time_ns);
        }
        pass_time(aggregate, events[i].time_ns);
        n_failed += release_samples(aggregate, events[i].time_ns, false);
        n_failed += wait_events_store(aggregate, events[i].time_ns, false);
        n_failed += apply_one(aggregate, &events[i]) != 0;
        aggregate->sequence++;
        if (events[i].time_ns > aggregate->newest_ns) {
            aggregate->newest_ns = events[i].time_ns;
        }
    }
    n_failed += origin_links_settle(aggregate, aggregate->has_ended);
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += n_failed;
    aggregate_fold(aggregate);
    return n_failed;
}

void aggregate_end(struct aggregate *aggregate, uint64_t end_ns)
{
    if (aggregate->has_ended) {
        return;
    }
    aggregate->has_ended = true;
    aggregate->end_ns = end_ns > aggregate->newest_ns ? end_ns : aggregate->newest_ns;
    if (!aggregate->config.has_no_switches) {
        pass_time(aggregate, aggregate->end_ns);
        thread_table_end(aggregate->threads, aggregate->end_ns);
    }
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += release_samples(aggregate, aggregate->end_ns, true);
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += wait_events_store(aggregate, aggregate->end_ns, true);
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += origin_links_settle(aggregate, true);
    pending_samples_release(&aggregate->pending);
    pending_waits_release(&aggregate->pending_waits);
    wakers_end(&aggregate->wakers);
    /* No stack will be resolved any more. */
    free(aggregate->stack_cache);
    aggregate->stack_cache = NULL;
}
