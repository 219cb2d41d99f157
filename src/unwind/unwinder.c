/* SPDX-License-Identifier: MIT */
#include "unwind/unwinder.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "unwind/code_lookup.h"
#include "unwind/copy_wish.h"
#include "unwind/outer_frames.h"

/* Memory of the target is fetched in pieces that double, since a deep stack needs all of it. */
#define OUTSIDE_MIN_BYTES 4096u
#define OUTSIDE_MAX_BYTES (128u * 1024)
/* The end of the copy must still be what it was, or the target has moved on: its last bytes, and
 * every return address that was followed in so many. */
#define OUTSIDE_PROOF_BYTES 256u
#define OUTSIDE_PROOF_REACH_BYTES 8192u

/* Every so many walks one is timed. */
#define TIMED_EVERY 16u

#define MAX_IMAGES_WITH_ENDS 64u

/* A piece of the target's memory, as it was while one sample was walked. */
struct outside {
    uint64_t start;
    size_t n_bytes;
    size_t next_bytes;
    bool is_asked, is_stale;
    uint8_t bytes[OUTSIDE_MAX_BYTES];
};

struct unwinder {
    struct unwinder_config config;
    struct code_lookup *lookup;
    struct outer_frames *outer;
    struct arena ips;
    struct unwind_place *places;
    struct outside outside;
    struct copy_wish wish;
    const struct event *event; /* that is being walked */
    const struct unwind_walk *walk;
    uint64_t waiting_since_ns; /* 0: not */
    pthread_mutex_t lock;      /* of what follows */
    struct unwinder_stats stats;
    struct unwinder_image_stats images[MAX_IMAGES_WITH_ENDS];
    size_t n_images;
};

int unwinder_new(const struct unwinder_config *config, struct unwinder **ret_unwinder)
{
    _cleanup_(unwinder_freep) struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
    if (!unwinder) {
        return -ENOMEM;
    }
    unwinder->config = *config;
    pthread_mutex_init(&unwinder->lock, NULL);
    arena_init(&unwinder->ips, 0);
    unwinder->places = malloc(LIMIT_STACK_IPS * sizeof(*unwinder->places));
    int r = unwinder->places ? code_lookup_new(config, &unwinder->lookup) : -ENOMEM;
    r = r ? r : outer_frames_new(&unwinder->outer);
    if (r == 0) {
        *ret_unwinder = TAKE_PTR(unwinder);
    }
    return r;
}

struct unwinder *unwinder_free(struct unwinder *unwinder)
{
    if (unwinder) {
        code_lookup_free(unwinder->lookup);
        outer_frames_free(unwinder->outer);
        arena_release(&unwinder->ips);
        free(unwinder->places);
        pthread_mutex_destroy(&unwinder->lock);
        free(unwinder);
    }
    return NULL;
}

void unwinder_begin(struct unwinder *unwinder)
{
    arena_release(&unwinder->ips);
    arena_init(&unwinder->ips, 0);
}

/* ---- what a walk asks ---- */

static struct unwind_code find_code(void *userdata, uint64_t ip)
{
    struct unwinder *unwinder = userdata;
    return code_lookup_find(unwinder->lookup, unwinder->event->pid, ip, unwinder->event->time_ns);
}

static size_t recall(void *userdata, struct unwind_place *places, size_t n_places,
                     size_t max_places, bool by_sp)
{
    struct unwinder *unwinder = userdata;
    return outer_frames_recall(unwinder->outer, unwinder->event->tid, places, n_places, max_places,
                               by_sp);
}

static bool is_known(void *userdata, const struct unwind_place *places, size_t n_places)
{
    struct unwinder *unwinder = userdata;
    return outer_frames_know(unwinder->outer, unwinder->event->tid, places, n_places);
}

/* Are the return addresses of the frames in copy[offset …] the same now? */
static bool has_same_frames(const struct unwind_walk *walk, const struct event_stack_copy *copy,
                            uint64_t offset, const uint8_t *now)
{
    for (size_t i = walk->n_places; i > 1; i--) {
        /* Below the stack pointer that a function was left with. */
        uint64_t slot = walk->places[i - 1].sp - 8 - copy->sp;
        if (walk->places[i - 1].sp == 0 || walk->places[i - 1].is_exact ||
            slot > copy->n_bytes - 8) {
            continue; /* not known, interrupted and not called, or not in the copy */
        }
        if (slot < offset) {
            break;
        }
        if (memcmp(now + (slot - offset), copy->bytes + slot, 8) != 0) {
            return false;
        }
    }
    return true;
}

/*
 * Has the target left the frames at the end of the copy since? Their locals may
 * be large and not written to, so that other frames leave them as they are;
 * where each of them returns to says more.
 */
static bool has_moved_on(struct unwinder *unwinder)
{
    const struct event_stack_copy *copy = unwinder->event->sample.copy;
    uint8_t now[OUTSIDE_PROOF_REACH_BYTES];
    size_t n_bytes = copy->n_bytes < sizeof(now) ? copy->n_bytes : sizeof(now);
    size_t n_last = n_bytes < OUTSIDE_PROOF_BYTES ? n_bytes : OUTSIDE_PROOF_BYTES;
    uint64_t offset = copy->n_bytes - n_bytes;
    if (n_bytes < 8) {
        return true;
    }
    return unwinder->config.read_memory(unwinder->config.userdata, unwinder->event->pid,
                                        copy->sp + offset, now, n_bytes) != (ssize_t)n_bytes ||
           memcmp(now + n_bytes - n_last, copy->bytes + copy->n_bytes - n_last, n_last) != 0 ||
           !has_same_frames(unwinder->walk, copy, offset, now);
}

/* Looked at afterwards: what was read while the frames stood is theirs. */
static void fetch_outside(struct unwinder *unwinder, uint64_t address)
{
    struct outside *outside = &unwinder->outside;
    ssize_t n_bytes = unwinder->config.read_memory(unwinder->config.userdata, unwinder->event->pid,
                                                   address, outside->bytes, outside->next_bytes);
    outside->start = address;
    outside->n_bytes = n_bytes > 0 ? (size_t)n_bytes : 0;
    outside->next_bytes =
        outside->next_bytes < OUTSIDE_MAX_BYTES / 2 ? 2 * outside->next_bytes : OUTSIDE_MAX_BYTES;
    outside->is_stale = has_moved_on(unwinder);
}

static bool read_outside(void *userdata, uint64_t address, uint64_t *ret_word)
{
    struct unwinder *unwinder = userdata;
    struct outside *outside = &unwinder->outside;
    uint64_t offset = address - outside->start;
    outside->is_asked = true;
    if (outside->is_stale) {
        return false;
    }
    if (outside->n_bytes < 8 || address < outside->start || offset > outside->n_bytes - 8) {
        fetch_outside(unwinder, address);
        offset = 0;
        if (outside->is_stale || outside->n_bytes < 8) {
            return false;
        }
    }
    memcpy(ret_word, outside->bytes + offset, sizeof(*ret_word));
    return true;
}

/* ---- how much to copy ---- */

/* For want of bytes the walk has not reached the end. */
static bool is_short(const struct unwind_walk *walk)
{
    return walk->end == EVENT_STACK_END_COPY || walk->end == EVENT_STACK_END_MEMORY ||
           (walk->end == EVENT_STACK_END_NO_CODE && walk->reader.went_outside);
}

/*
 * Bytes that would have sufficed for this walk: all that it has read, or what
 * it had read when the rest turned out to be known already.
 */
static uint64_t need_of(const struct unwind_walk *walk)
{
    uint64_t needed = walk->reader.end_needed - walk->reader.start;
    if (is_short(walk)) {
        return needed > 2 * walk->reader.n_bytes ? needed : 2 * walk->reader.n_bytes;
    }
    return walk->needed_until_known < needed ? walk->needed_until_known : needed;
}

static void note_need(struct unwinder *unwinder, const struct unwind_walk *walk)
{
    if (copy_wish_note(&unwinder->wish, need_of(walk), is_short(walk)) &&
        unwinder->config.want_stack_bytes) {
        unwinder->config.want_stack_bytes(unwinder->config.userdata, unwinder->wish.latest_bytes);
    }
}

/* ---- one sample ---- */

/* Kernel frames, and what was walked inside the kernel already. */
static uint32_t frames_before(const struct event *event)
{
    return event->sample.stack_source == EVENT_STACK_WALKED ? event->sample.n_ips
                                                            : event->sample.n_kernel_ips;
}

static int walk_sample(struct unwinder *unwinder, const struct event *event,
                       struct unwind_walk *ret_walk)
{
    const struct event_stack_copy *copy = event->sample.copy;
    uint32_t n_kernel_ips = event->sample.n_kernel_ips;
    bool has_chain = copy->is_innermost && event->sample.stack_source == EVENT_STACK_FRAME_POINTERS;
    uint32_t n_before = frames_before(event);
    bool is_innermost = copy->is_innermost && n_before == n_kernel_ips;
    *ret_walk = (struct unwind_walk){
        .registers = {.ip = copy->ip,
                      .sp = copy->sp,
                      .fp = copy->fp,
                      .lr = copy->lr,
                      .has_lr = copy->is_innermost,
                      .is_exact = copy->is_innermost},
        .is_innermost = is_innermost,
        .is_after_syscall = copy->is_after_syscall,
        .reader = {.start = copy->sp, .bytes = copy->bytes, .n_bytes = copy->n_bytes},
        .chain = has_chain ? event->sample.ips + n_kernel_ips : NULL,
        .n_chain = has_chain ? event->sample.n_ips - n_kernel_ips : 0,
        .userdata = unwinder,
        .find_code = find_code,
        .recall = recall,
        .is_known = is_known,
        .read_outside = unwinder->config.read_memory ? read_outside : NULL,
        .places = unwinder->places,
        .max_places = LIMIT_STACK_IPS - n_before,
    };
    unwinder->event = event;
    unwinder->outside.n_bytes = 0;
    unwinder->outside.next_bytes = OUTSIDE_MIN_BYTES;
    unwinder->outside.is_asked = unwinder->outside.is_stale = false;
    unwinder->walk = ret_walk;
    return unwind_run(ret_walk);
}

/* Kernel frames (and what the kernel's side has walked already) stay, the walk follows. */
static void replace_ips(struct unwinder *unwinder, struct event *event,
                        const struct unwind_walk *walk)
{
    const struct event_stack_copy *copy = event->sample.copy;
    size_t n_before = frames_before(event);
    bool starts_innermost = copy->is_innermost && n_before == event->sample.n_kernel_ips;
    uint64_t *ips = arena_alloc_array(&unwinder->ips, n_before + walk->n_places, sizeof(*ips));
    event->sample.copy = NULL;
    if (!ips) {
        event->is_truncated = true;
        return;
    }
    if (n_before > 0) {
        memcpy(ips, event->sample.ips, n_before * sizeof(*ips));
    }
    for (size_t i = 0; i < walk->n_places; i++) {
        const struct unwind_place *place = &walk->places[i];
        bool is_innermost = i == 0 && starts_innermost;
        ips[n_before + i] = place->ip + (place->is_exact && !is_innermost ? 1 : 0);
    }
    event->sample.ips = ips;
    event->sample.n_ips = (uint32_t)(n_before + walk->n_places);
    event->sample.stack_source = EVENT_STACK_WALKED;
    event->sample.stack_end = (uint8_t)walk->end;
    event->is_truncated = false; /* that was said of the kernel's chain */
}

static void count_image_end(struct unwinder *unwinder, const struct event *event, uint64_t ip,
                            enum event_stack_end end)
{
    image_id id = code_lookup_image(unwinder->lookup, event->pid, ip);
    size_t i = 0;
    while (i < unwinder->n_images && unwinder->images[i].image != id) {
        i++;
    }
    if (i == MAX_IMAGES_WITH_ENDS) {
        return;
    }
    struct unwinder_image_stats *image = &unwinder->images[i];
    if (i == unwinder->n_images) {
        unwinder->n_images++;
        image->image = id;
        image->path = code_lookup_describe(unwinder->lookup, id, &image->source)->path;
    }
    image->n_ends[end]++;
}

static void count_walk(struct unwinder *unwinder, const struct event *event,
                       const struct unwind_walk *walk)
{
    struct unwinder_stats *stats = &unwinder->stats;
    stats->n_walked++;
    stats->n_frames += walk->n_places;
    stats->n_ends[walk->end]++;
    stats->n_recalled += walk->was_recalled;
    stats->n_read_outside += unwinder->outside.is_asked;
    if (walk->end != EVENT_STACK_END_COMPLETE) {
        count_image_end(unwinder, event, walk->end_ip, walk->end);
    }
}

/*
 * Keeps whole stacks, unless what is kept of the thread has just sufficed and
 * will again: a stack that grows leaves behind what was known of it by sp.
 */
static void remember(struct unwinder *unwinder, const struct event *event,
                     const struct unwind_walk *walk)
{
    bool has_sufficed =
        walk->was_recalled && !walk->was_recalled_by_sp && !unwinder->outside.is_asked;
    if (walk->end == EVENT_STACK_END_COMPLETE && !has_sufficed) {
        (void)outer_frames_remember(unwinder->outer, event->tid, walk->places, walk->n_places);
    }
}

/* 0, or -EAGAIN while a table is being made. */
static int unwind_sample(struct unwinder *unwinder, struct event *event)
{
    struct unwind_walk walk;
    bool is_timed = unwinder->stats.n_walked % TIMED_EVERY == 0;
    uint64_t start_ns = is_timed ? clock_now_ns() : 0;
    int r = walk_sample(unwinder, event, &walk);
    if (r != 0) {
        return r;
    }
    if (event->sample.stack_source != EVENT_STACK_WALKED) {
        note_need(unwinder, &walk);
    }
    remember(unwinder, event, &walk);
    count_walk(unwinder, event, &walk);
    replace_ips(unwinder, event, &walk);
    if (is_timed) {
        unwinder->stats.walk_ns += TIMED_EVERY * (clock_now_ns() - start_ns);
    }
    return 0;
}

static void export_code(struct unwinder *unwinder, int64_t pid)
{
    struct code_map map;
    if (unwinder->config.set_code && code_lookup_export(unwinder->lookup, pid, &map)) {
        unwinder->config.set_code(unwinder->config.userdata, &map);
    }
}

static int apply_event(struct unwinder *unwinder, struct event *event)
{
    if (event->kind == EVENT_IMAGE) {
        if (event->image->change == EVENT_IMAGE_EXEC) {
            outer_frames_forget(unwinder->outer);
        }
        (void)code_lookup_apply(unwinder->lookup, event);
        return 0;
    }
    if (event->kind != EVENT_SAMPLE) {
        return 0;
    }
    if (!event->sample.copy) {
        if (event->sample.stack_source == EVENT_STACK_WALKED) {
            unwinder->stats.n_walked++;
            unwinder->stats.n_frames += event->sample.n_ips - event->sample.n_kernel_ips;
            unwinder->stats.n_ends[event->sample.stack_end]++;
        }
        return 0;
    }
    int r = unwind_sample(unwinder, event);
    export_code(unwinder, event->pid);
    return r;
}

/* Is it worth to wait any longer? Counts the wait when it is over. */
static bool goes_on_waiting(struct unwinder *unwinder, uint64_t now_ns)
{
    if (unwinder->waiting_since_ns == 0) {
        unwinder->waiting_since_ns = now_ns;
        unwinder->stats.n_waits++;
    }
    if (now_ns - unwinder->waiting_since_ns < UNWINDER_MAX_WAIT_NS) {
        return true;
    }
    unwinder->stats.n_given_up++;
    code_lookup_give_up(unwinder->lookup);
    return false;
}

size_t unwinder_apply(struct unwinder *unwinder, struct event *events, size_t n_events,
                      uint64_t now_ns)
{
    size_t n_done = 0;
    pthread_mutex_lock(&unwinder->lock);
    while (n_done < n_events) {
        int r = apply_event(unwinder, &events[n_done]);
        if (r == -EAGAIN) {
            if (goes_on_waiting(unwinder, now_ns)) {
                break;
            }
            continue;
        }
        if (unwinder->waiting_since_ns != 0 && events[n_done].kind == EVENT_SAMPLE) {
            unwinder->stats.wait_ns += now_ns - unwinder->waiting_since_ns;
            unwinder->waiting_since_ns = 0;
        }
        n_done++;
    }
    pthread_mutex_unlock(&unwinder->lock);
    return n_done;
}

void unwinder_retire(struct unwinder *unwinder)
{
    code_lookup_retire(unwinder->lookup);
}

void unwinder_get_stats(struct unwinder *unwinder, struct unwinder_stats *ret_stats)
{
    pthread_mutex_lock(&unwinder->lock);
    *ret_stats = unwinder->stats;
    ret_stats->wanted_bytes = unwinder->wish.latest_bytes;
    pthread_mutex_unlock(&unwinder->lock);
}

static int by_ends(const void *a, const void *b)
{
    const struct unwinder_image_stats *left = a, *right = b;
    uint64_t n_left = 0, n_right = 0;
    for (size_t i = 0; i < EVENT_STACK_END_N; i++) {
        n_left += left->n_ends[i];
        n_right += right->n_ends[i];
    }
    return n_left > n_right ? -1 : n_left < n_right;
}

static const struct unwinder_image_stats *find_ends(const struct unwinder *unwinder, image_id id)
{
    for (size_t i = 0; i < unwinder->n_images; i++) {
        if (unwinder->images[i].image == id) {
            return &unwinder->images[i];
        }
    }
    return NULL;
}

size_t unwinder_get_images(struct unwinder *unwinder, struct unwinder_image_stats *ret_images,
                           size_t max_images)
{
    size_t n_images = 0;
    pthread_mutex_lock(&unwinder->lock);
    for (image_id id = 0; id < code_lookup_n_images(unwinder->lookup) && n_images < max_images;
         id++) {
        const struct unwinder_image_stats *ends = find_ends(unwinder, id);
        if (ends) {
            ret_images[n_images++] = *ends;
        } else if (code_lookup_is_wanted(unwinder->lookup, id)) {
            struct unwinder_image_stats *image = &ret_images[n_images++];
            *image = (struct unwinder_image_stats){.image = id};
            image->path = code_lookup_describe(unwinder->lookup, id, &image->source)->path;
        }
    }
    pthread_mutex_unlock(&unwinder->lock);
    qsort(ret_images, n_images, sizeof(*ret_images), by_ends);
    return n_images;
}
