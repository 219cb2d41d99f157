/* SPDX-License-Identifier: MIT */
#include "unwind/unwinder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "unwind/code_lookup.h"
#include "unwind/copy_wish.h"
#include "unwind/outer_frames.h"
#include "unwind/unwinder_report.h"

/* Memory of the target is fetched in pieces that double, since a deep stack needs all of it. */
#define OUTSIDE_MIN_BYTES 4096u
#define OUTSIDE_MAX_BYTES (128u * 1024)
/* The end of the copy must still be what it was, or the target has moved on: its last bytes, and
 * the last return addresses that were followed, as far as they are within reach. */
#define OUTSIDE_PROOF_BYTES 256u
#define OUTSIDE_PROOF_REACH_BYTES 32768u
#define OUTSIDE_PROOF_FEWEST_FRAMES 4u
#define OUTSIDE_PROOF_FRAMES 6u
/* Fewer bytes can be the same again a moment later, for another caller. */
#define OUTSIDE_PROOF_MIN_BYTES 4096u

/* The target ends; until it was seen how its stacks were. */
#define LAST_MOMENTS_NS (100 * NS_PER_MS)
/*
 * Outer frames that were not the same before and after a sample: each counts
 * for VOLATILE_STEP samples. From VOLATILE_FROM on, the next VOLATILE_SAMPLES
 * bring whole stacks where they can.
 */
#define VOLATILE_STEP 256u
#define VOLATILE_FROM 1024u
#define VOLATILE_SAMPLES 32768u

/* Of so many stacks of late; more than 1 of 8 is too many to tell what was in between. */
#define OTHER_SHARE_SAMPLES 32
#define OTHER_SHARE_MAX 128

/* Every so many walks one is timed. */
#define TIMED_EVERY 16u

/* A piece of the target's memory, as it was while one sample was walked. */
struct outside {
    uint64_t start;
    size_t n_bytes;
    size_t next_bytes;
    uint64_t read_ns; /* when it was so */
    bool is_asked;
    bool is_gone; /* there is no such process any more */
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
    uint32_t n_distrusted;     /* in samples; wears off */
    int32_t other_share;       /* 1024ths of those compared of late that were not the same */
    const struct event *event; /* that is being walked */
    const struct unwind_walk *walk;
    int64_t walked_pid;        /* whose stacks the capture walks itself; 0: none */
    uint64_t waiting_since_ns; /* 0: not */
    struct unwinder_stats stats;
    struct unwinder_report report;
};

int unwinder_new(const struct unwinder_config *config, struct unwinder **ret_unwinder)
{
    _cleanup_(unwinder_freep) struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
    if (!unwinder) {
        return -ENOMEM;
    }
    unwinder->config = *config;
    unwinder_report_init(&unwinder->report);
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
        unwinder_report_release(&unwinder->report);
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

/*
 * What starts a thread has one caller. That it is the one that is remembered is
 * told by its stack pointer, else by the caller that the kernel's chain names,
 * else (libc keeps no frame pointers) by its lying beside its caller, while the
 * thread's own function lies elsewhere or keeps one.
 */
static bool is_same_start(const struct unwinder *unwinder, const struct unwind_place *last,
                          const struct unwind_chain_hint *hint,
                          const struct outer_frames_match *start)
{
    int64_t pid = unwinder->event->pid;
    if (last->sp != 0) {
        return last->sp == start->places[0].sp;
    }
    if (hint->keeps_frame_pointer) {
        return hint->next_ip == start->places[1].ip;
    }
    return start->n_places == 2 ||
           code_lookup_image(unwinder->lookup, pid, start->places[0].ip) ==
               code_lookup_image(unwinder->lookup, pid, start->places[1].ip);
}

static size_t recall(void *userdata, struct unwind_place *places, size_t n_places,
                     size_t max_places, const struct unwind_chain_hint *hint)
{
    struct unwinder *unwinder = userdata;
    struct outer_frames_match start;
    const struct unwind_place *last = &places[n_places - 1];
    if (!outer_frames_find_start(unwinder->outer, event_stack_tid(unwinder->event), last->ip,
                                 &start) ||
        !is_same_start(unwinder, last, hint, &start) ||
        start.n_places - 1 > max_places - n_places) {
        return 0;
    }
    memcpy(places + n_places, start.places + 1, (start.n_places - 1) * sizeof(*places));
    return n_places + start.n_places - 1;
}

static bool is_known(void *userdata, const struct unwind_place *places, size_t n_places)
{
    const struct unwinder *unwinder = userdata;
    struct outer_frames_match match;
    return outer_frames_find(unwinder->outer, event_stack_tid(unwinder->event), places, n_places,
                             &match);
}

/* Are the last return addresses in copy[offset …] the same now? */
static bool has_same_frames(const struct unwind_walk *walk, const struct event_stack_copy *copy,
                            uint64_t offset, const uint8_t *now)
{
    size_t n_same = 0;
    for (size_t i = walk->n_places; i > 1 && n_same < OUTSIDE_PROOF_FRAMES; i--) {
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
        n_same++;
    }
    return n_same >= OUTSIDE_PROOF_FEWEST_FRAMES;
}

/*
 * Has the target left the frames at the end of the copy since? Their locals may
 * be large and not written to, so that other frames leave them as they are;
 * where each of them returns to says more.
 */
static bool has_moved_on(struct unwinder *unwinder)
{
    const struct event_stack_copy *copy = unwinder->event->stack.copy;
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

static bool read_outside(void *userdata, uint64_t address, uint64_t *ret_word)
{
    struct unwinder *unwinder = userdata;
    struct outside *outside = &unwinder->outside;
    uint64_t offset = address - outside->start;
    if (outside->n_bytes < 8 || address < outside->start || offset > outside->n_bytes - 8) {
        ssize_t n_bytes =
            unwinder->config.read_memory(unwinder->config.userdata, unwinder->event->pid, address,
                                         outside->bytes, outside->next_bytes);
        outside->is_asked = true;
        outside->read_ns = clock_now_ns();
        outside->is_gone = n_bytes == -ESRCH;
        outside->start = address;
        outside->n_bytes = n_bytes > 0 ? (size_t)n_bytes : 0;
        outside->next_bytes = outside->next_bytes < OUTSIDE_MAX_BYTES / 2 ? 2 * outside->next_bytes
                                                                          : OUTSIDE_MAX_BYTES;
        offset = 0;
        if (outside->n_bytes < 8) {
            return false;
        }
    }
    memcpy(ret_word, outside->bytes + offset, sizeof(*ret_word));
    return true;
}

/* The target has ended. Its last moments are like those just before. */
static bool recall_of_the_dead(struct unwinder *unwinder, struct unwind_walk *walk)
{
    const struct event *event = unwinder->event;
    struct outer_frames_match match;
    size_t n_places = walk->n_places_inside;
    if (!unwinder->outside.is_gone ||
        !outer_frames_find(unwinder->outer, event_stack_tid(event), walk->places, n_places,
                           &match) ||
        event->time_ns > match.time_ns + LAST_MOMENTS_NS ||
        match.n_places - 1 > walk->max_places - n_places) {
        return false;
    }
    memcpy(walk->places + n_places, match.places + 1, (match.n_places - 1) * sizeof(*walk->places));
    walk->n_places = n_places + match.n_places - 1;
    walk->was_recalled = true;
    walk->end = EVENT_STACK_END_COMPLETE;
    return true;
}

/* Is the end of the copy large enough to tell, and does it stand as it did? */
static bool stands_still(struct unwinder *unwinder)
{
    return unwinder->event->stack.copy->n_bytes >= OUTSIDE_PROOF_MIN_BYTES &&
           !has_moved_on(unwinder);
}

/*
 * What was the same before and after a sample was so in between, unless outer
 * frames come and go as fast as samples do.
 */
static bool is_proof(struct unwinder *unwinder, enum outer_frames_verdict verdict)
{
    if (verdict == OUTER_FRAMES_SAME || verdict == OUTER_FRAMES_OTHER) {
        int32_t now = verdict == OUTER_FRAMES_OTHER ? 1024 : 0;
        unwinder->other_share += (now - unwinder->other_share) / OTHER_SHARE_SAMPLES;
    }
    return verdict == OUTER_FRAMES_SAME && unwinder->other_share < OTHER_SHARE_MAX;
}

static void distrust(struct unwinder *unwinder)
{
    unwinder->n_distrusted += VOLATILE_STEP;
    if (unwinder->n_distrusted >= VOLATILE_FROM) {
        unwinder->n_distrusted = VOLATILE_SAMPLES;
    }
}

/*
 * What was read behind the end of the copy is the stack of now, not that of the
 * sample. It was the same then, if it is what the thread's stack was before; or
 * if the target has not left the many frames in the copy since. Else the stack
 * ends with the copy.
 */
static void trust_outside(struct unwinder *unwinder, struct unwind_walk *walk)
{
    int64_t tid = event_stack_tid(unwinder->event);
    uint64_t sample_ns = unwinder->event->time_ns;
    size_t n_inside = walk->n_places_inside;
    if (!unwinder->outside.is_asked || recall_of_the_dead(unwinder, walk)) {
        return;
    }
    bool is_whole = walk->end == EVENT_STACK_END_COMPLETE;
    enum outer_frames_verdict verdict =
        is_whole ? outer_frames_compare(unwinder->outer, tid, sample_ns, walk->places,
                                        walk->n_places, n_inside - 1)
                 : OUTER_FRAMES_NEW;
    bool is_proven = is_proof(unwinder, verdict);
    if (verdict == OUTER_FRAMES_SAME || verdict == OUTER_FRAMES_LATER) {
        (void)outer_frames_confirm(unwinder->outer, tid, sample_ns, unwinder->outside.read_ns,
                                   walk->places, walk->n_places);
    } else if (is_whole) {
        /* For later samples it is what was before. */
        (void)outer_frames_remember(unwinder->outer, tid, unwinder->outside.read_ns, walk->places,
                                    walk->n_places);
    }
    /* What leads nowhere was not the sample's, however still its end stands. */
    if (is_whole && (is_proven || stands_still(unwinder))) {
        return;
    }
    walk->n_places = n_inside < walk->n_places ? n_inside : walk->n_places;
    walk->end = EVENT_STACK_END_COPY;
    walk->end_ip = walk->places[walk->n_places - 1].ip;
    if (verdict == OUTER_FRAMES_OTHER) {
        distrust(unwinder);
    }
}

/* ---- how much to copy ---- */

/* For want of bytes the walk has not reached the end. */
static bool is_short(const struct unwind_walk *walk)
{
    return walk->end == EVENT_STACK_END_COPY || walk->end == EVENT_STACK_END_MEMORY;
}

/*
 * Bytes that would have sufficed for this walk: all that it has read, or, where
 * outer frames stand for long, what it had read when it reached such.
 */
static uint64_t need_of(struct unwinder *unwinder, const struct unwind_walk *walk)
{
    uint64_t needed = walk->reader.end_needed - walk->reader.start;
    bool is_volatile = unwinder->n_distrusted >= VOLATILE_FROM || !unwinder->config.read_memory;
    unwinder->n_distrusted -= unwinder->n_distrusted > 0;
    if (is_short(walk)) {
        return needed > 2 * walk->reader.n_bytes ? needed : 2 * walk->reader.n_bytes;
    }
    return !is_volatile && walk->needed_until_known < needed ? walk->needed_until_known : needed;
}

static void note_need(struct unwinder *unwinder, const struct unwind_walk *walk)
{
    const struct copy_wish_need need = {
        .n_bytes = need_of(unwinder, walk),
        .is_short = is_short(walk),
        .is_first = !outer_frames_have(unwinder->outer, event_stack_tid(unwinder->event)),
    };
    if (copy_wish_note(&unwinder->wish, &need) && unwinder->config.want_stack_bytes) {
        unwinder->config.want_stack_bytes(unwinder->config.userdata, unwinder->wish.latest_bytes);
    }
}

/* ---- one sample ---- */

/* Kernel frames, and what was walked inside the kernel already. */
static uint32_t frames_before(const struct event *event)
{
    return event->stack.source == EVENT_STACK_WALKED ? event->stack.n_ips
                                                     : event->stack.n_kernel_ips;
}

static int walk_sample(struct unwinder *unwinder, const struct event *event,
                       struct unwind_walk *ret_walk)
{
    const struct event_stack_copy *copy = event->stack.copy;
    uint32_t n_kernel_ips = event->stack.n_kernel_ips;
    bool has_chain = copy->is_innermost && event->stack.source == EVENT_STACK_FRAME_POINTERS;
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
        .chain = has_chain ? event->stack.ips + n_kernel_ips : NULL,
        .n_chain = has_chain ? event->stack.n_ips - n_kernel_ips : 0,
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
    unwinder->outside.is_asked = unwinder->outside.is_gone = false;
    unwinder->walk = ret_walk;
    int r = unwind_run(ret_walk);
    if (r == 0) {
        trust_outside(unwinder, ret_walk);
    }
    return r;
}

/* Kernel frames (and what the kernel's side has walked already) stay, the walk follows. */
static void replace_ips(struct unwinder *unwinder, struct event *event,
                        const struct unwind_walk *walk)
{
    const struct event_stack_copy *copy = event->stack.copy;
    size_t n_before = frames_before(event);
    bool starts_innermost = copy->is_innermost && n_before == event->stack.n_kernel_ips;
    uint64_t *ips = arena_alloc_array(&unwinder->ips, n_before + walk->n_places, sizeof(*ips));
    event->stack.copy = NULL;
    if (!ips) {
        event->stack.is_truncated = true;
        return;
    }
    if (n_before > 0) {
        memcpy(ips, event->stack.ips, n_before * sizeof(*ips));
    }
    for (size_t i = 0; i < walk->n_places; i++) {
        const struct unwind_place *place = &walk->places[i];
        bool is_innermost = i == 0 && starts_innermost;
        ips[n_before + i] = place->ip + (place->is_exact && !is_innermost ? 1 : 0);
    }
    event->stack.ips = ips;
    event->stack.n_ips = (uint32_t)(n_before + walk->n_places);
    event->stack.source = EVENT_STACK_WALKED;
    event->stack.end = (uint8_t)walk->end;
    event->stack.is_truncated = false; /* that was said of the kernel's chain */
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
        unwinder_report_count_end(&unwinder->report, unwinder->lookup, event->pid, walk->end_ip,
                                  walk->end);
    }
}

/* Of what was recalled nothing new is known; of what was read outside, trust_outside() has. */
static void remember(struct unwinder *unwinder, const struct event *event,
                     const struct unwind_walk *walk)
{
    bool is_of_the_sample = !walk->was_recalled && walk->n_places_inside >= walk->n_places;
    if (walk->end == EVENT_STACK_END_COMPLETE && is_of_the_sample) {
        (void)outer_frames_remember(unwinder->outer, event_stack_tid(event), event->time_ns,
                                    walk->places, walk->n_places);
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
    if (event->kind == EVENT_SAMPLE && event->stack.source != EVENT_STACK_WALKED) {
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

static void export_code(struct unwinder *unwinder, uint64_t now_ns)
{
    struct code_map map;
    if (unwinder->walked_pid != 0 && unwinder->config.set_code &&
        code_lookup_export(unwinder->lookup, unwinder->walked_pid, now_ns, &map)) {
        unwinder->config.set_code(unwinder->config.userdata, &map);
    }
}

/* Inside the kernel it was not known yet that other code stands there: what it found from there on
 * is no caller of anything. */
static void cut_at_replaced_code(struct unwinder *unwinder, struct event *event)
{
    uint32_t n_kernel_ips = event->stack.n_kernel_ips;
    bool is_whole;
    unwinder->walked_pid = event->pid;
    if (event->stack.code_generation == 0) {
        return;
    }
    size_t n_current = code_lookup_n_current(unwinder->lookup, event->stack.code_generation,
                                             event->stack.ips + n_kernel_ips,
                                             event->stack.n_ips - n_kernel_ips, &is_whole);
    if (!is_whole) {
        event->stack.n_ips = n_kernel_ips + (uint32_t)n_current;
        event->stack.end = EVENT_STACK_END_REMAPPED;
        event->stack.copy = NULL;
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
    if (event->kind == EVENT_THREAD && event->thread.change == EVENT_THREAD_GONE) {
        outer_frames_forget_thread(unwinder->outer, event->tid);
    }
    if (event->stack.n_ips == 0 && !event->stack.copy) {
        return 0;
    }
    if (event->stack.source == EVENT_STACK_WALKED) {
        cut_at_replaced_code(unwinder, event);
    }
    if (!event->stack.copy) {
        if (event->stack.source == EVENT_STACK_WALKED) {
            unwinder->stats.n_walked++;
            unwinder->stats.n_frames += event->stack.n_ips - event->stack.n_kernel_ips;
            unwinder->stats.n_ends[event->stack.end]++;
        }
        return 0;
    }
    return unwind_sample(unwinder, event);
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
    while (n_done < n_events) {
        int r = apply_event(unwinder, &events[n_done]);
        if (r == -EAGAIN) {
            if (goes_on_waiting(unwinder, now_ns)) {
                break;
            }
            continue;
        }
        if (unwinder->waiting_since_ns != 0 && events[n_done].stack.n_ips > 0) {
            unwinder->stats.wait_ns += now_ns - unwinder->waiting_since_ns;
            unwinder->waiting_since_ns = 0;
        }
        n_done++;
    }
    export_code(unwinder, now_ns);
    unwinder->stats.wanted_bytes = unwinder->wish.latest_bytes;
    unwinder_report_publish(&unwinder->report, unwinder->lookup, &unwinder->stats);
    return n_done;
}

void unwinder_retire(struct unwinder *unwinder)
{
    code_lookup_retire(unwinder->lookup);
}

void unwinder_get_stats(struct unwinder *unwinder, struct unwinder_stats *ret_stats)
{
    unwinder_report_get_stats(&unwinder->report, ret_stats);
}

size_t unwinder_get_images(struct unwinder *unwinder, struct unwinder_image_stats *ret_images,
                           size_t max_images)
{
    return unwinder_report_get_images(&unwinder->report, ret_images, max_images);
}
