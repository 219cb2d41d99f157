/* SPDX-License-Identifier: MIT */
/* The tables that ids point into; the records are in restore_records.c. */
#include "aggregate/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/restore_internal.h"

/* A stack has its frames, those of the kernel that were put on it later, and a named place. Walks
 * along deeper ones, which no run makes, would take long. */
#define DEPTH_MAX (2 * LIMIT_STACK_IPS + 2)

/* A century of the clock since 1970. Queries add lengths to times, which must not wrap. */
#define NOW_MAX_NS ((uint64_t)INT64_MAX / 2)

void *restore_grow(void *items, size_t n_items, size_t *capacity, size_t item_bytes)
{
    if (n_items < *capacity) {
        return items;
    }
    size_t wanted = *capacity ? 2 * *capacity : 256;
    uint8_t *grown = reallocarray(items, wanted, item_bytes);
    if (grown) {
        memset(grown + *capacity * item_bytes, 0, (wanted - *capacity) * item_bytes);
        *capacity = wanted;
    }
    return grown;
}

static void set_run(struct aggregate *aggregate, const struct restore_run *run)
{
    aggregate->has_events = aggregate->has_ended = aggregate->is_restored = true;
    aggregate->sequence = run->sequence;
    aggregate->start_ns = run->start_ns;
    aggregate->newest_ns = aggregate->end_ns = run->now_ns;
    aggregate->folded_until_ns = run->folded_until_ns;
    aggregate->n_kernel_samples = run->n_kernel_samples;
    aggregate->n_wait_stacks_unknown = run->n_wait_stacks_unknown;
    aggregate->wait_objects.n_turned_away = run->n_wait_details_full;
    aggregate->counters.n_turned_away = run->n_readings_dropped;
    aggregate->n_wakeups = run->n_wakeups;
    aggregate->n_stacks_truncated = run->n_stacks_truncated;
    aggregate->n_stacks_empty = run->n_stacks_empty;
    aggregate->switch_lag.lag_ns = run->switch_lag_ns;
    thread_table_set_missed_switches(aggregate->threads, run->n_missed_switches);
    memcpy(aggregate->lost, run->lost, sizeof(aggregate->lost));
    chunked_begin_at(&aggregate->samples, run->first_sample);
    chunked_begin_at(&aggregate->slices, run->first_slice);
    chunked_begin_at(&aggregate->wait_log.waits, run->first_wait);
    chunked_begin_at(&aggregate->counters.readings, run->first_reading);
    chunked_begin_at(&aggregate->span_log.spans, run->first_span);
    aggregate->span_log.folded_until_ns = run->spans_folded_until_ns;
    aggregate->span_log.n_details_left_out = run->n_span_details_full;
    aggregate->origin_links.bound_ns = run->origin_bound_ns;
    aggregate->origin_links.linked = run->linked_distance;
    aggregate->origin_links.too_far = run->too_far_distance;
    memcpy(aggregate->spans_lost, run->spans_lost, sizeof(aggregate->spans_lost));
    /* Nothing will be resolved, and nobody woken. */
    free(aggregate->stack_cache);
    aggregate->stack_cache = NULL;
    wakers_end(&aggregate->wakers);
}

int restore_begin(const struct aggregate_config *config, const struct restore_run *run,
                  struct restore **ret_restore)
{
    if (run->now_ns < run->start_ns || run->folded_until_ns > run->now_ns ||
        run->now_ns > NOW_MAX_NS) {
        return -EBADMSG;
    }
    _cleanup_(restore_freep) struct restore *restore = calloc(1, sizeof(*restore));
    if (!restore) {
        return -ENOMEM;
    }
    struct aggregate_config own = *config;
    own.has_no_switches = run->has_no_switches;
    own.code_reuse_count = NULL;
    own.ring_ns = 0; /* it is over: nothing gets older */
    int r = aggregate_new(&own, &restore->aggregate);
    if (r != 0) {
        return r;
    }
    set_run(restore->aggregate, run);
    *ret_restore = TAKE_PTR(restore);
    return 0;
}

struct restore *restore_free(struct restore *restore)
{
    if (restore) {
        aggregate_free(restore->aggregate);
        free(restore->image_is_seen);
        free(restore->depths);
        free(restore->threads);
        free(restore->span_details);
        free(restore);
    }
    return NULL;
}

uint64_t restore_n_mended(const struct restore *restore)
{
    return restore->n_mended;
}

void restore_fold(struct restore *restore)
{
    aggregate_fold(restore->aggregate);
}

struct aggregate *restore_end(struct restore *restore)
{
    return TAKE_PTR(restore->aggregate);
}

/* ---- what is pointed to ---- */

uint64_t restore_time_in_run(struct restore *restore, uint64_t time_ns)
{
    const struct aggregate *aggregate = restore->aggregate;
    if (time_ns < aggregate->start_ns || time_ns > aggregate->end_ns) {
        restore->n_mended++;
        return time_ns < aggregate->start_ns ? aggregate->start_ns : aggregate->end_ns;
    }
    return time_ns;
}

stack_id restore_known_stack(struct restore *restore, stack_id stack)
{
    if (stack < stack_table_count(restore->aggregate->stacks)) {
        return stack;
    }
    restore->n_mended++;
    return STACK_ID_EMPTY;
}

wait_object_id restore_known_object(struct restore *restore, wait_object_id object)
{
    if (object < restore->aggregate->wait_objects.objects.n_items) {
        return object;
    }
    restore->n_mended++;
    return 0;
}

waker_id restore_known_waker(struct restore *restore, waker_id waker)
{
    bool is_known = waker == WAKER_ID_UNKNOWN || waker == WAKER_ID_NONE;
    if (!is_known && waker >= WAKER_ID_OUTSIDER) {
        is_known = (waker & ~WAKER_ID_OUTSIDER) < restore->aggregate->wakers.outsiders.n_items;
    } else if (!is_known) {
        is_known = restore_has_thread(restore, waker);
    }
    restore->n_mended += !is_known;
    return is_known ? waker : WAKER_ID_UNKNOWN;
}

/* ---- tables ---- */

int restore_add_image(struct restore *restore, const struct image *image)
{
    struct aggregate *aggregate = restore->aggregate;
    const struct aggregate_listener *listener = &aggregate->config.listener;
    struct image known = *image;
    if (image->kind > IMAGE_KIND_ANONYMOUS) {
        restore->n_mended++;
        known = (struct image){.kind = IMAGE_KIND_UNKNOWN, .path = "[unknown]"};
    }
    image_id id = image_table_count(aggregate->images);
    int r = image_table_append(aggregate->images, &known);
    if (r == 0 && listener->on_image) {
        listener->on_image(listener->userdata, image_table_get(aggregate->images, id));
    }
    return r;
}

int restore_add_code_epoch(struct restore *restore, const struct epoch_span *span)
{
    struct code_epochs *epochs = restore->aggregate->code_epochs;
    int r = code_epochs_count(epochs) == 0 ? code_epochs_append(epochs, 0, 0, 0) : 0;
    /* It can have been before the run, where that is a part of another one, but not after it. */
    uint64_t end_ns = restore->aggregate->end_ns;
    uint64_t from_ns = span->from_ns < end_ns ? span->from_ns : end_ns;
    uint64_t to_ns = span->to_ns > from_ns ? span->to_ns : from_ns;
    restore->n_mended += from_ns != span->from_ns || to_ns != span->to_ns;
    return r ? r : code_epochs_append(epochs, span->pid, from_ns, to_ns);
}

int restore_add_named_place(struct restore *restore, const char *name)
{
    struct name_table *sites = &restore->aggregate->sites;
    uint32_t number;
    int r = name_table_intern(sites, name, &number);
    if (r != 0) {
        return r;
    }
    if (number == restore->n_named_places) {
        restore->n_named_places++;
        return 0;
    }
    return -EBADMSG; /* a second time: frames in those behind it are not known */
}

static int note_seen(struct restore *restore, image_id image)
{
    const struct aggregate_listener *listener = &restore->aggregate->config.listener;
    while (image >= restore->image_is_seen_capacity) {
        size_t capacity = restore->image_is_seen_capacity;
        bool *seen = restore_grow(restore->image_is_seen, capacity, &capacity, sizeof(*seen));
        if (!seen) {
            return -ENOMEM;
        }
        restore->image_is_seen = seen;
        restore->image_is_seen_capacity = capacity;
    }
    if (!restore->image_is_seen[image]) {
        restore->image_is_seen[image] = true;
        if (listener->on_image_seen && image != IMAGE_ID_NAMED) {
            listener->on_image_seen(listener->userdata, image);
        }
    }
    return 0;
}

int restore_add_frame(struct restore *restore, struct frame frame)
{
    struct aggregate *aggregate = restore->aggregate;
    uint32_t n_epochs = code_epochs_count(aggregate->code_epochs);
    bool has_place = frame.image != IMAGE_ID_NAMED || frame.offset < restore->n_named_places;
    if (frame.image >= image_table_count(aggregate->images) || !has_place) {
        restore->n_mended++;
        frame.image = IMAGE_ID_UNKNOWN;
    }
    if (frame.code_epoch != 0 && frame.code_epoch >= n_epochs) {
        restore->n_mended++;
        frame.code_epoch = 0;
    }
    int r = frame_table_append(aggregate->frames, frame);
    return r ? r : note_seen(restore, frame.image);
}

int restore_add_stack(struct restore *restore, struct stack_node node)
{
    struct aggregate *aggregate = restore->aggregate;
    stack_id id = stack_table_count(aggregate->stacks);
    if (node.parent >= id || node.frame >= frame_table_count(aggregate->frames)) {
        return -EBADMSG;
    }
    while (id >= restore->depths_capacity) {
        uint16_t *depths = restore_grow(restore->depths, restore->depths_capacity,
                                        &restore->depths_capacity, sizeof(*depths));
        if (!depths) {
            return -ENOMEM;
        }
        restore->depths = depths;
    }
    if (restore->depths[node.parent] >= DEPTH_MAX) {
        restore->n_mended++;
        node.parent = STACK_ID_EMPTY;
    }
    int r = stack_table_append(aggregate->stacks, node);
    if (r == 0) {
        restore->depths[id] = (uint16_t)(restore->depths[node.parent] + 1);
    }
    return r;
}

int restore_add_outsider(struct restore *restore, struct outsider outsider)
{
    struct wakers *wakers = &restore->aggregate->wakers;
    uint64_t number = wakers->outsiders.n_items;
    waker_id waker = wakers_outsider(wakers, outsider.tid);
    if (waker == WAKER_ID_UNKNOWN) {
        return -ENOSPC;
    }
    if ((waker & ~WAKER_ID_OUTSIDER) != number) {
        return -EBADMSG;
    }
    if (outsider.name[0] != '\0') {
        wakers_name_outsider(wakers, outsider.tid, outsider.name);
    }
    return 0;
}

int restore_add_wait_object(struct restore *restore, const struct wait_object *object)
{
    struct wait_objects *objects = &restore->aggregate->wait_objects;
    uint64_t n_turned_away = objects->n_turned_away, number = objects->objects.n_items;
    const struct event_wait_object told = {.syscall = object->syscall,
                                           .argument = object->argument};
    wait_object_id id = wait_objects_intern(objects, object->pid, told);
    objects->n_turned_away = n_turned_away; /* is the archive's */
    return id == number ? 0 : -EBADMSG;
}

/* Times in the run and in their order, and everything that is pointed to there. */
static void make_sound(struct restore *restore, struct thread_totals *totals)
{
    totals->start_ns = restore_time_in_run(restore, totals->start_ns);
    totals->end_ns = totals->end_ns ? restore_time_in_run(restore, totals->end_ns) : 0;
    totals->phase_since_ns = restore_time_in_run(restore, totals->phase_since_ns);
    totals->waited_since_ns = restore_time_in_run(restore, totals->waited_since_ns);
    if (totals->waited_since_ns > totals->phase_since_ns) {
        restore->n_mended++;
        totals->waited_since_ns = totals->phase_since_ns;
    }
    if (totals->end_ns != 0 && totals->end_ns < totals->start_ns) {
        restore->n_mended++;
        totals->end_ns = totals->start_ns;
    }
    totals->wait_stack = restore_known_stack(restore, totals->wait_stack);
    totals->wait_object = restore_known_object(restore, totals->wait_object);
    totals->wait_flags &= WAIT_FLAG_APPROXIMATE | WAIT_FLAG_CUT;
    if (totals->phase > THREAD_PHASE_GONE) {
        restore->n_mended++;
        totals->phase = THREAD_PHASE_GONE;
    }
}

int restore_add_thread(struct restore *restore, const struct thread_totals *totals)
{
    struct aggregate *aggregate = restore->aggregate;
    struct thread_totals own = *totals;
    size_t id = thread_table_count(aggregate->threads);
    make_sound(restore, &own);
    own.name = "";
    if (totals->name[0] != '\0') {
        own.name = arena_strndup(&aggregate->names, totals->name, LIMIT_NAME_BYTES - 1);
    }
    struct restored_thread *threads =
        restore_grow(restore->threads, id, &restore->threads_capacity, sizeof(*threads));
    if (!threads || !own.name) {
        restore->threads = threads ? threads : restore->threads;
        return -ENOMEM;
    }
    restore->threads = threads;
    return thread_table_append(aggregate->threads, &own);
}
