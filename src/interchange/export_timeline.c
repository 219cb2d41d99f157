/* SPDX-License-Identifier: MIT */
#include "interchange/export_timeline.h"

#include <errno.h>
#include <stdlib.h>

struct filling {
    struct export_shares *shares;
    struct export_timeline *timeline;
    size_t *next; /* by thread; NULL: they are counted */
};

static int add_moment(void *userdata, const struct export_moment *moment)
{
    struct filling *filling = userdata;
    struct export_timeline *timeline = filling->timeline;
    const struct export_shares *shares = filling->shares;
    size_t thread = shares->thread_of[moment->row->thread];
    if (!filling->next) {
        timeline->first[thread + 1]++;
        return 0;
    }
    uint64_t start_ns = shares->context->snapshot->start_ns;
    timeline->moments[filling->next[thread]++] = (struct timed_moment){
        .time_ns = moment->time_ns > start_ns ? moment->time_ns - start_ns : 0,
        .end_ns = moment->end_ns > start_ns ? moment->end_ns - start_ns : 0,
        .weight_ns = moment->weight_ns,
        .row = (uint32_t)(moment->row - shares->rows),
        .n = moment->n < UINT32_MAX ? (uint32_t)moment->n : UINT32_MAX,
        .wait_site = moment->wait_site,
        .reason = (uint8_t)moment->reason,
        .is_rest = moment->is_rest,
    };
    return 0;
}

static int visit(struct filling *filling, bool has_waits)
{
    int r = export_shares_visit_samples(filling->shares, add_moment, filling);
    return r == 0 && has_waits ? export_shares_visit_waits(filling->shares, add_moment, filling)
                               : r;
}

static int by_time(const void *left, const void *right)
{
    const struct timed_moment *a = left, *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->row < b->row ? -1 : a->row > b->row;
}

int export_timeline_build(struct export_shares *shares, bool has_waits,
                          struct export_timeline *ret_timeline)
{
    size_t n_threads = shares->n_threads;
    _cleanup_(freep) size_t *next = calloc(n_threads + 1, sizeof(*next));
    *ret_timeline = (struct export_timeline){.first = calloc(n_threads + 1, sizeof(size_t))};
    struct filling filling = {.shares = shares, .timeline = ret_timeline};
    if (!next || !ret_timeline->first) {
        export_timeline_release(ret_timeline);
        return -ENOMEM;
    }
    int r = visit(&filling, has_waits);
    for (size_t i = 0; i < n_threads; i++) {
        ret_timeline->first[i + 1] += ret_timeline->first[i];
        next[i] = ret_timeline->first[i];
    }
    ret_timeline->n_moments = ret_timeline->first[n_threads];
    ret_timeline->moments = calloc(ret_timeline->n_moments + 1, sizeof(struct timed_moment));
    filling.next = next;
    r = r == 0 && !ret_timeline->moments ? -ENOMEM : r;
    r = r ? r : visit(&filling, has_waits);
    if (r != 0) {
        export_timeline_release(ret_timeline);
        return r;
    }
    for (size_t i = 0; i < n_threads; i++) {
        size_t n = ret_timeline->first[i + 1] - ret_timeline->first[i];
        if (n > 1) {
            qsort(ret_timeline->moments + ret_timeline->first[i], n, sizeof(struct timed_moment),
                  by_time);
        }
    }
    return 0;
}

void export_timeline_release(struct export_timeline *timeline)
{
    free(timeline->moments);
    free(timeline->first);
    *timeline = (struct export_timeline){0};
}
