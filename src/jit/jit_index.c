/* SPDX-License-Identifier: MIT */
/*
 * The node of a part [low, high) of a sorted array is its middle; its left
 * subtree is what lies before, its right one what lies behind. No pointers are
 * needed, and the depth is that of a balanced tree.
 */
#include "jit/jit_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The recent array grows to this, or to a quarter of the large one, before they are merged. */
#define RECENT_MAX 1024u
#define RECENT_PART 4u

void jit_index_init(struct jit_index *index)
{
    *index = (struct jit_index){0};
}

static void release_level(struct jit_level *level)
{
    free(level->ranges);
    free(level->max_end_ips);
    *level = (struct jit_level){0};
}

void jit_index_release(struct jit_index *index)
{
    release_level(&index->large);
    release_level(&index->recent);
}

static int compare_ranges(const void *one, const void *other)
{
    const struct jit_range *a = one;
    const struct jit_range *b = other;
    if (a->start_ip != b->start_ip) {
        return a->start_ip < b->start_ip ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

static uint64_t fill_max_ends(struct jit_level *level, size_t low, size_t high)
{
    if (low >= high) {
        return 0;
    }
    size_t middle = low + (high - low) / 2;
    uint64_t max_end = level->ranges[middle].end_ip;
    uint64_t left = fill_max_ends(level, low, middle);
    uint64_t right = fill_max_ends(level, middle + 1, high);
    max_end = left > max_end ? left : max_end;
    max_end = right > max_end ? right : max_end;
    level->max_end_ips[middle] = max_end;
    return max_end;
}

static int allocate_level(struct jit_level *level, size_t n_ranges)
{
    *level = (struct jit_level){
        .n_ranges = n_ranges,
        .ranges = malloc((n_ranges + 1) * sizeof(*level->ranges)),
        .max_end_ips = malloc((n_ranges + 1) * sizeof(*level->max_end_ips)),
    };
    if (!level->ranges || !level->max_end_ips) {
        release_level(level);
        return -ENOMEM;
    }
    return 0;
}

/* Both are sorted; so is the result. */
static void merge(const struct jit_level *one, const struct jit_level *other,
                  struct jit_range *ret_ranges)
{
    size_t i = 0, k = 0, n = 0;
    while (i < one->n_ranges || k < other->n_ranges) {
        bool takes_one =
            k == other->n_ranges ||
            (i < one->n_ranges && compare_ranges(&one->ranges[i], &other->ranges[k]) <= 0);
        ret_ranges[n++] = takes_one ? one->ranges[i++] : other->ranges[k++];
    }
}

static bool is_told_twice(const struct jit_range *one, const struct jit_range *other)
{
    return one->start_ip == other->start_ip && one->end_ip == other->end_ip &&
           one->symbol == other->symbol && one->from_ns == other->from_ns &&
           one->to_ns == other->to_ns && !one->body && !other->body && !one->is_named &&
           !other->is_named;
}

/* The later one of what was told twice is kept: it may have come back after another function. */
static void drop_repeats(struct jit_level *level)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < level->n_ranges; i++) {
        if (n_kept > 0 && is_told_twice(&level->ranges[n_kept - 1], &level->ranges[i])) {
            n_kept--;
        }
        level->ranges[n_kept++] = level->ranges[i];
    }
    level->n_ranges = n_kept;
}

int jit_index_extend(const struct jit_index *index, const struct jit_range *added, size_t n_added,
                     struct jit_index *ret_index)
{
    struct jit_level recent, large;
    const struct jit_level *before = &index->recent;
    int r = allocate_level(&recent, before->n_ranges + n_added);
    if (r < 0) {
        return r;
    }
    if (before->n_ranges > 0) {
        memcpy(recent.ranges, before->ranges, before->n_ranges * sizeof(*added));
    }
    if (n_added > 0) {
        memcpy(recent.ranges + before->n_ranges, added, n_added * sizeof(*added));
    }
    qsort(recent.ranges, recent.n_ranges, sizeof(*added), compare_ranges);
    drop_repeats(&recent);
    if (recent.n_ranges <= RECENT_MAX || recent.n_ranges <= index->large.n_ranges / RECENT_PART) {
        (void)fill_max_ends(&recent, 0, recent.n_ranges);
        *ret_index = (struct jit_index){.large = index->large, .recent = recent};
        return 0;
    }
    r = allocate_level(&large, index->large.n_ranges + recent.n_ranges);
    if (r < 0) {
        release_level(&recent);
        return r;
    }
    merge(&index->large, &recent, large.ranges);
    release_level(&recent);
    drop_repeats(&large);
    (void)fill_max_ends(&large, 0, large.n_ranges);
    *ret_index = (struct jit_index){.large = large};
    return 0;
}

void jit_index_replace(struct jit_index *index, const struct jit_index *extended)
{
    struct jit_index old = *index;
    *index = *extended;
    if (old.large.ranges != extended->large.ranges) {
        release_level(&old.large);
    }
    release_level(&old.recent);
}

/* What is asked, the same for all levels of the descent. */
struct question {
    uint64_t start_ip, end_ip;
    jit_index_cb on_range;
    void *userdata;
    size_t n_visits_left;
    bool has_more;
};

static bool visit(struct jit_range *range, struct question *question)
{
    if (question->n_visits_left == 0) {
        question->has_more = true;
        return false;
    }
    question->n_visits_left--;
    return question->on_range(question->userdata, range);
}

static bool descend(const struct jit_level *level, size_t low, size_t high,
                    struct question *question)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (level->max_end_ips[middle] <= question->start_ip) {
            return true;
        }
        struct jit_range *range = &level->ranges[middle];
        if (range->start_ip < question->end_ip) { /* else all behind it begin later as well */
            if (!descend(level, middle + 1, high, question) ||
                (range->end_ip > question->start_ip && !visit(range, question))) {
                return false;
            }
        }
        high = middle;
    }
    return true;
}

bool jit_index_overlaps(const struct jit_index *index, uint64_t start_ip, uint64_t end_ip,
                        size_t max_visits, jit_index_cb on_range, void *userdata)
{
    struct question question = {
        .start_ip = start_ip,
        .end_ip = end_ip,
        .on_range = on_range,
        .userdata = userdata,
        .n_visits_left = max_visits,
    };
    if (descend(&index->recent, 0, index->recent.n_ranges, &question)) {
        (void)descend(&index->large, 0, index->large.n_ranges, &question);
    }
    return !question.has_more;
}

static struct jit_range *find_in_level(const struct jit_level *level,
                                       const struct jit_range *wanted)
{
    return level->n_ranges == 0 ? NULL
                                : bsearch(wanted, level->ranges, level->n_ranges,
                                          sizeof(*level->ranges), compare_ranges);
}

struct jit_range *jit_index_at(const struct jit_index *index, uint64_t start_ip, uint64_t order)
{
    const struct jit_range wanted = {.start_ip = start_ip, .order = order};
    struct jit_range *found = find_in_level(&index->recent, &wanted);
    return found ? found : find_in_level(&index->large, &wanted);
}
