/* SPDX-License-Identifier: MIT */
#include "aggregate/origin_points.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fewer could not hold what a handful of threads are writing to. */
#define CHUNKS_MIN 64

struct origin_chunk {
    struct origin_chunk *next; /* the one that was begun after it */
    thread_id thread;
    uint32_t n_points;
    struct origin_point points[ORIGIN_POINTS_CHUNK];
};

void origin_points_init(struct origin_points *points, size_t max_bytes)
{
    size_t max_chunks = max_bytes / sizeof(struct origin_chunk);
    *points = (struct origin_points){
        .max_chunks = max_chunks > CHUNKS_MIN ? max_chunks : CHUNKS_MIN,
    };
}

void origin_points_release(struct origin_points *points)
{
    while (points->oldest) {
        struct origin_chunk *chunk = points->oldest;
        points->oldest = chunk->next;
        free(chunk);
    }
    for (size_t i = 0; i < points->n_threads; i++) {
        free(points->threads[i].chunks);
    }
    free(points->threads);
    *points = (struct origin_points){.max_chunks = points->max_chunks};
}

static struct origin_thread *thread_of(struct origin_points *points, thread_id thread)
{
    if (thread >= points->capacity) {
        size_t capacity = points->capacity ? 2 * points->capacity : 64;
        while (capacity <= thread) {
            capacity *= 2;
        }
        struct origin_thread *threads = reallocarray(points->threads, capacity, sizeof(*threads));
        if (!threads) {
            return NULL;
        }
        memset(threads + points->capacity, 0, (capacity - points->capacity) * sizeof(*threads));
        points->threads = threads;
        points->capacity = capacity;
    }
    points->n_threads = thread >= points->n_threads ? thread + 1 : points->n_threads;
    return &points->threads[thread];
}

static struct origin_chunk *last_chunk(const struct origin_thread *thread)
{
    return thread->end > thread->first ? thread->chunks[thread->end - 1] : NULL;
}

/* Takes the oldest chunk of all out; those that are being written to go behind the others, once
 * around. */
static struct origin_chunk *take_oldest(struct origin_points *points)
{
    for (size_t n_looks = 0; n_looks <= points->n_chunks; n_looks++) {
        struct origin_chunk *chunk = points->oldest;
        struct origin_thread *thread = &points->threads[chunk->thread];
        points->oldest = chunk->next;
        chunk->next = NULL;
        if (chunk == last_chunk(thread) && n_looks < points->n_chunks) {
            points->newest->next = chunk;
            points->newest = chunk;
            points->oldest = points->oldest ? points->oldest : chunk;
            continue;
        }
        thread->first++;
        points->n_dropped += chunk->n_points;
        points->n_chunks--;
        return chunk;
    }
    return NULL;
}

/* Room for one more chunk in the thread's list. */
static int make_room(struct origin_thread *thread)
{
    if (thread->end < thread->capacity) {
        return 0;
    }
    size_t n_chunks = thread->end - thread->first;
    if (thread->first > n_chunks) {
        memmove(thread->chunks, thread->chunks + thread->first,
                n_chunks * sizeof(struct origin_chunk *));
        thread->first = 0;
        thread->end = n_chunks;
        return 0;
    }
    size_t capacity = thread->capacity ? 2 * thread->capacity : 4;
    struct origin_chunk **chunks =
        reallocarray(thread->chunks, capacity, sizeof(struct origin_chunk *));
    if (!chunks) {
        return -ENOMEM;
    }
    thread->chunks = chunks;
    thread->capacity = capacity;
    return 0;
}

static struct origin_chunk *begin_chunk(struct origin_points *points, thread_id id)
{
    struct origin_thread *thread = &points->threads[id];
    struct origin_chunk *chunk = NULL;
    if (make_room(thread) != 0) {
        return NULL;
    }
    if (points->n_chunks >= points->max_chunks) {
        chunk = take_oldest(points);
    }
    chunk = chunk ? chunk : malloc(sizeof(*chunk));
    if (!chunk) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->thread = id;
    chunk->n_points = 0;
    if (points->oldest) {
        points->newest->next = chunk;
    } else {
        points->oldest = chunk;
    }
    points->newest = chunk;
    points->n_chunks++;
    thread->chunks[thread->end++] = chunk;
    return chunk;
}

/* The point is the middle of a row of such that say nothing: the last one may take its time. */
static bool continues_gap(const struct origin_chunk *chunk, struct origin_point point)
{
    if (point.stack != STACK_ID_EMPTY || chunk->n_points < 2) {
        return false;
    }
    const struct origin_point *last = &chunk->points[chunk->n_points - 1];
    return last->stack == STACK_ID_EMPTY && last[-1].stack == STACK_ID_EMPTY &&
           point.time_ns - last[-1].time_ns < ORIGIN_POINTS_NEAR_NS;
}

int origin_points_add(struct origin_points *points, thread_id thread, struct origin_point point)
{
    struct origin_thread *own = thread_of(points, thread);
    if (!own) {
        return -ENOMEM;
    }
    struct origin_chunk *chunk = last_chunk(own);
    if (chunk && chunk->n_points > 0) {
        struct origin_point *last = &chunk->points[chunk->n_points - 1];
        point.time_ns = point.time_ns > last->time_ns ? point.time_ns : last->time_ns;
        if (continues_gap(chunk, point)) {
            last->time_ns = point.time_ns;
            return 0;
        }
    }
    if (!chunk || chunk->n_points == ORIGIN_POINTS_CHUNK) {
        chunk = begin_chunk(points, thread);
    }
    if (!chunk) {
        return -ENOMEM;
    }
    chunk->points[chunk->n_points++] = point;
    own->has_had_points = true;
    return 0;
}

bool origin_points_amend(struct origin_points *points, thread_id thread, struct origin_point point)
{
    struct origin_chunk *chunk =
        thread < points->n_threads ? last_chunk(&points->threads[thread]) : NULL;
    struct origin_point *last =
        chunk && chunk->n_points > 0 ? &chunk->points[chunk->n_points - 1] : NULL;
    bool is_known = last && last->time_ns == point.time_ns;
    if (is_known) {
        last->stack = point.stack;
    }
    return is_known;
}

/* ---- to be found ---- */

/* A point of a thread, by its chunk and its place there. */
struct place {
    const struct origin_thread *thread;
    size_t chunk;
    uint32_t point;
};

static const struct origin_point *at(const struct place *place)
{
    return &place->thread->chunks[place->chunk]->points[place->point];
}

/* False: there is none before it. */
static bool step_back(struct place *place)
{
    if (place->point > 0) {
        place->point--;
        return true;
    }
    if (place->chunk == place->thread->first) {
        return false;
    }
    place->chunk--;
    place->point = place->thread->chunks[place->chunk]->n_points - 1;
    return true;
}

static bool step_on(struct place *place)
{
    if (place->point + 1 < place->thread->chunks[place->chunk]->n_points) {
        place->point++;
        return true;
    }
    if (place->chunk + 1 == place->thread->end) {
        return false;
    }
    place->chunk++;
    place->point = 0;
    return true;
}

/* The last point that is not after time_ns; false: there is none, and it is the first. */
static bool find_last(const struct origin_thread *thread, uint64_t time_ns, struct place *ret_place)
{
    /* The newest chunk is the likeliest. */
    size_t low = thread->first, high = thread->end - 1;
    low = thread->chunks[high]->points[0].time_ns <= time_ns ? high : low;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        bool is_after = thread->chunks[middle]->points[0].time_ns > time_ns;
        low = is_after ? low : middle;
        high = is_after ? middle - 1 : high;
    }
    const struct origin_chunk *chunk = thread->chunks[low];
    *ret_place = (struct place){.thread = thread, .chunk = low};
    if (chunk->points[0].time_ns > time_ns) {
        return false;
    }
    uint32_t first = 0, last = chunk->n_points - 1;
    while (first < last) {
        uint32_t middle = (first + last + 1) / 2;
        bool is_after = chunk->points[middle].time_ns > time_ns;
        first = is_after ? first : middle;
        last = is_after ? middle - 1 : last;
    }
    ret_place->point = first;
    return true;
}

static uint64_t distance(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns > other_ns ? one_ns - other_ns : other_ns - one_ns;
}

struct origin_near origin_points_find(const struct origin_points *points, thread_id thread,
                                      uint64_t time_ns, uint64_t bound_ns)
{
    const struct origin_thread *own = thread < points->n_threads ? &points->threads[thread] : NULL;
    if (!own || own->first == own->end) {
        return (struct origin_near){.has_points = own && own->has_had_points,
                                    .distance_ns = UINT64_MAX};
    }
    struct origin_near near = {.has_points = true, .distance_ns = UINT64_MAX};
    struct place before, after;
    bool has_before = find_last(own, time_ns, &before);
    after = before;
    bool has_after = has_before ? step_on(&after) : true;
    uint64_t nearest_ns = UINT64_MAX;
    while (has_before || has_after) {
        uint64_t before_ns = has_before ? distance(at(&before)->time_ns, time_ns) : UINT64_MAX;
        uint64_t after_ns = has_after ? distance(at(&after)->time_ns, time_ns) : UINT64_MAX;
        bool is_before = has_before && before_ns <= after_ns;
        uint64_t distance_ns = is_before ? before_ns : after_ns;
        nearest_ns = distance_ns < nearest_ns ? distance_ns : nearest_ns;
        if (distance_ns > bound_ns) {
            break;
        }
        stack_id stack = at(is_before ? &before : &after)->stack;
        if (stack != STACK_ID_EMPTY) {
            near.has_stack = true;
            near.stack = stack;
            near.distance_ns = distance_ns;
            return near;
        }
        has_before = is_before ? step_back(&before) : has_before;
        has_after = is_before ? has_after : step_on(&after);
    }
    near.distance_ns = nearest_ns;
    return near;
}

size_t origin_points_memory_bytes(const struct origin_points *points)
{
    return points->n_chunks * sizeof(struct origin_chunk) +
           points->capacity * sizeof(*points->threads);
}
