/* SPDX-License-Identifier: MIT */
#include "unwind/outer_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

struct remembered {
    int64_t tid; /* 0: nobody's */
    struct unwind_place *places;
    size_t n_places, capacity;
};

/* Threads that share a slot forget each other's stacks, which costs completeness, never truth. */
struct outer_frames {
    struct remembered threads[OUTER_FRAMES_MAX_THREADS];
};

int outer_frames_new(struct outer_frames **ret_frames)
{
    *ret_frames = calloc(1, sizeof(**ret_frames));
    return *ret_frames ? 0 : -ENOMEM;
}

struct outer_frames *outer_frames_free(struct outer_frames *frames)
{
    if (frames) {
        for (size_t i = 0; i < OUTER_FRAMES_MAX_THREADS; i++) {
            free(frames->threads[i].places);
        }
        free(frames);
    }
    return NULL;
}

static size_t slot_index(int64_t tid)
{
    return hash_u64((uint64_t)tid) % OUTER_FRAMES_MAX_THREADS;
}

static struct remembered *slot_of(struct outer_frames *frames, int64_t tid)
{
    return &frames->threads[slot_index(tid)];
}

int outer_frames_remember(struct outer_frames *frames, int64_t tid,
                          const struct unwind_place *places, size_t n_places)
{
    struct remembered *thread = slot_of(frames, tid);
    if (n_places > thread->capacity) {
        size_t capacity = n_places + n_places / 2;
        struct unwind_place *grown = realloc(thread->places, capacity * sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        thread->places = grown;
        thread->capacity = capacity;
    }
    memcpy(thread->places, places, n_places * sizeof(*places));
    thread->n_places = n_places;
    thread->tid = tid;
    return 0;
}

void outer_frames_forget(struct outer_frames *frames)
{
    for (size_t i = 0; i < OUTER_FRAMES_MAX_THREADS; i++) {
        frames->threads[i].tid = 0;
        frames->threads[i].n_places = 0;
    }
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

static bool is_proven(const struct remembered *thread, size_t at, const struct unwind_place *places,
                      size_t n_places)
{
    if (n_places < OUTER_FRAMES_PROOF || at + 1 < OUTER_FRAMES_PROOF) {
        return false;
    }
    for (size_t i = 0; i < OUTER_FRAMES_PROOF; i++) {
        if (!is_same(&places[n_places - 1 - i], &thread->places[at - i])) {
            return false;
        }
    }
    return true;
}

/* The index among the outermost places that has this ip, or n_places. */
static size_t find_start(const struct remembered *thread, uint64_t ip)
{
    size_t n_places = thread->n_places;
    for (size_t back = 1; back <= OUTER_FRAMES_START && back < n_places; back++) {
        if (thread->places[n_places - back].ip == ip) {
            return n_places - back;
        }
    }
    return n_places;
}

static size_t append(const struct remembered *thread, size_t from, struct unwind_place *places,
                     size_t n_places, size_t max_places)
{
    size_t n_more = thread->n_places - from;
    if (n_more > max_places - n_places) {
        return 0;
    }
    memcpy(places + n_places, thread->places + from, n_more * sizeof(*places));
    return n_places + n_more;
}

bool outer_frames_know(const struct outer_frames *frames, int64_t tid,
                       const struct unwind_place *places, size_t n_places)
{
    const struct remembered *thread = &frames->threads[slot_index(tid)];
    if (thread->tid != tid || n_places < OUTER_FRAMES_PROOF) {
        return false;
    }
    size_t at = find_by_sp(thread, places[n_places - 1].sp);
    return at < thread->n_places && is_proven(thread, at, places, n_places);
}

size_t outer_frames_recall(struct outer_frames *frames, int64_t tid, struct unwind_place *places,
                           size_t n_places, size_t max_places, bool by_sp)
{
    const struct remembered *thread = slot_of(frames, tid);
    if (thread->tid != tid || n_places == 0) {
        return 0;
    }
    const struct unwind_place *last = &places[n_places - 1];
    size_t at;
    if (by_sp) {
        at = find_by_sp(thread, last->sp);
        if (at < thread->n_places && !is_proven(thread, at, places, n_places)) {
            at = thread->n_places;
        }
    } else {
        at = find_start(thread, last->ip);
    }
    return at == thread->n_places ? 0 : append(thread, at + 1, places, n_places, max_places);
}
