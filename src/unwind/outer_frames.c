/* SPDX-License-Identifier: MIT */
#include "unwind/outer_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

struct remembered {
    int64_t tid;                      /* 0: nobody's */
    uint64_t seen_ns, seen_before_ns; /* the latest times; several samples are looked at together */
    struct unwind_place *places;
    size_t n_places, capacity;
};

/* Threads that share a slot forget each other's stacks, which costs completeness, never truth. */
struct outer_frames {
    uint64_t n_bytes;
    struct remembered threads[OUTER_FRAMES_MAX_THREADS];
};

int outer_frames_new(struct outer_frames **ret_frames)
{
    *ret_frames = calloc(1, sizeof(**ret_frames));
    return *ret_frames ? 0 : -ENOMEM;
}

static void release(struct outer_frames *frames, struct remembered *thread)
{
    frames->n_bytes -= thread->capacity * sizeof(*thread->places);
    free(thread->places);
    *thread = (struct remembered){0};
}

void outer_frames_forget(struct outer_frames *frames)
{
    for (size_t i = 0; i < OUTER_FRAMES_MAX_THREADS; i++) {
        release(frames, &frames->threads[i]);
    }
}

struct outer_frames *outer_frames_free(struct outer_frames *frames)
{
    if (frames) {
        outer_frames_forget(frames);
        free(frames);
    }
    return NULL;
}

static size_t slot_index(int64_t tid)
{
    return hash_u64((uint64_t)tid) % OUTER_FRAMES_MAX_THREADS;
}

bool outer_frames_have(const struct outer_frames *frames, int64_t tid)
{
    return frames->threads[slot_index(tid)].tid == tid;
}

void outer_frames_forget_thread(struct outer_frames *frames, int64_t tid)
{
    struct remembered *thread = &frames->threads[slot_index(tid)];
    if (thread->tid == tid) {
        release(frames, thread);
    }
}

static int grow(struct outer_frames *frames, struct remembered *thread, size_t n_places)
{
    size_t capacity = n_places + n_places / 2;
    uint64_t n_more_bytes = (capacity - thread->capacity) * sizeof(*thread->places);
    if (frames->n_bytes + n_more_bytes > OUTER_FRAMES_MAX_BYTES) {
        outer_frames_forget(frames);
        n_more_bytes = capacity * sizeof(*thread->places);
    }
    struct unwind_place *grown = realloc(thread->places, capacity * sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    thread->places = grown;
    thread->capacity = capacity;
    frames->n_bytes += n_more_bytes;
    return 0;
}

int outer_frames_remember(struct outer_frames *frames, int64_t tid, uint64_t time_ns,
                          const struct unwind_place *places, size_t n_places)
{
    struct remembered *thread = &frames->threads[slot_index(tid)];
    int r = n_places > thread->capacity ? grow(frames, thread, n_places) : 0;
    if (r != 0) {
        return r;
    }
    memcpy(thread->places, places, n_places * sizeof(*places));
    thread->n_places = n_places;
    thread->tid = tid;
    thread->seen_ns = thread->seen_before_ns = time_ns;
    return 0;
}

int outer_frames_confirm(struct outer_frames *frames, int64_t tid, uint64_t sample_ns,
                         uint64_t now_ns, const struct unwind_place *places, size_t n_places)
{
    struct remembered *thread = &frames->threads[slot_index(tid)];
    uint64_t before_ns = now_ns;
    if (thread->tid == tid) {
        before_ns = thread->seen_ns <= sample_ns ? thread->seen_ns : thread->seen_before_ns;
    }
    int r = outer_frames_remember(frames, tid, now_ns, places, n_places);
    if (r == 0) {
        thread->seen_before_ns = before_ns;
    }
    return r;
}

static bool is_same(const struct unwind_place *a, const struct unwind_place *b)
{
    return a->ip == b->ip && a->sp == b->sp && a->sp != 0;
}

/* The place with this stack pointer: they grow outwards. n_places where there is none. */
static size_t find_by_sp(const struct remembered *thread, uint64_t sp)
{
    size_t low = 0, high = thread->n_places;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (thread->places[middle].sp < sp) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < thread->n_places && thread->places[low].sp == sp ? low : thread->n_places;
}

static const struct remembered *find_thread(const struct outer_frames *frames, int64_t tid)
{
    const struct remembered *thread = &frames->threads[slot_index(tid)];
    return thread->tid == tid && thread->n_places > 0 ? thread : NULL;
}

static struct outer_frames_match match_from(const struct remembered *thread, size_t at)
{
    return (struct outer_frames_match){
        .places = thread->places + at,
        .n_places = thread->n_places - at,
        .time_ns = thread->seen_ns,
    };
}

bool outer_frames_find(const struct outer_frames *frames, int64_t tid,
                       const struct unwind_place *places, size_t n_places,
                       struct outer_frames_match *ret_match)
{
    const struct remembered *thread = find_thread(frames, tid);
    if (!thread || n_places < OUTER_FRAMES_NEIGHBOURS) {
        return false;
    }
    size_t at = find_by_sp(thread, places[n_places - 1].sp);
    if (at == thread->n_places || at + 1 < OUTER_FRAMES_NEIGHBOURS) {
        return false;
    }
    for (size_t i = 0; i < OUTER_FRAMES_NEIGHBOURS; i++) {
        if (!is_same(&places[n_places - 1 - i], &thread->places[at - i])) {
            return false;
        }
    }
    *ret_match = match_from(thread, at);
    return true;
}

enum outer_frames_verdict outer_frames_compare(const struct outer_frames *frames, int64_t tid,
                                               uint64_t sample_ns,
                                               const struct unwind_place *places, size_t n_places,
                                               size_t from)
{
    const struct remembered *thread = find_thread(frames, tid);
    size_t at = thread ? find_by_sp(thread, places[from].sp) : 0;
    if (!thread || at == thread->n_places || !is_same(&places[from], &thread->places[at])) {
        return OUTER_FRAMES_NEW;
    }
    if (thread->n_places - at != n_places - from) {
        return OUTER_FRAMES_OTHER;
    }
    for (size_t i = 1; i < n_places - from; i++) {
        if (!is_same(&places[from + i], &thread->places[at + i])) {
            return OUTER_FRAMES_OTHER;
        }
    }
    return thread->seen_before_ns <= sample_ns ? OUTER_FRAMES_SAME : OUTER_FRAMES_LATER;
}

bool outer_frames_find_start(const struct outer_frames *frames, int64_t tid, uint64_t ip,
                             struct outer_frames_match *ret_match)
{
    const struct remembered *thread = find_thread(frames, tid);
    size_t n_places = thread ? thread->n_places : 0, at = n_places;
    for (size_t back = 2; back <= OUTER_FRAMES_START && back <= n_places; back++) {
        at = thread->places[n_places - back].ip == ip ? n_places - back : at;
    }
    if (at == n_places) {
        return false;
    }
    for (size_t i = 0; i < n_places; i++) {
        if (i != at && thread->places[i].ip == ip) {
            return false;
        }
    }
    *ret_match = match_from(thread, at);
    return true;
}
