/* SPDX-License-Identifier: MIT */
#include "interchange/export_slices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 6
/* Overlaps on one CPU up to this are a matter of when records are written. */
#define LAG_MAX_NS UINT64_C(100000)

struct placing {
    const struct export_shares *shares;
    const struct snapshot *snapshot;
    uint32_t n_cpus;       /* those that slices tell of */
    uint64_t *end_of_lane; /* by CPU: of its latest slice */
    uint64_t *end_of;      /* by thread: as recorded */
    uint64_t *placed_end;  /* by thread */
    uint64_t *owed_ns;     /* by thread: what its slices lack so far */
    uint64_t *lacked_ns;   /* by thread: what it lacked at the end of the round before */
    uint64_t *ahead_ns;    /* by thread: what is left of that, for which there was room early */
    bool *has_rows;        /* by thread */
};

static uint64_t later(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* When the stretch began: earlier than recorded where switches are told late, but not before the
 * one before it ended. */
static uint64_t begin_of(const struct placing *placing, const struct stored_slice *slice)
{
    const struct snapshot *snapshot = placing->snapshot;
    uint64_t lag_ns = slice->before != GAP_NONE ? snapshot->switch_lag_ns : 0;
    uint64_t last_end_ns = placing->end_of[slice->thread];
    uint64_t floor_ns = last_end_ns > 0 ? last_end_ns : snapshot->threads[slice->thread].start_ns;
    return slice->start_ns > floor_ns + lag_ns ? slice->start_ns - lag_ns : floor_ns;
}

static bool is_free(const struct placing *placing, const struct stored_slice *slice, uint32_t lane)
{
    uint64_t length_ns = slice->end_ns - slice->start_ns;
    uint64_t slack_ns = lane >= placing->n_cpus  ? 0
                        : length_ns < LAG_MAX_NS ? length_ns
                                                 : LAG_MAX_NS;
    return placing->end_of_lane[lane] <= slice->start_ns + slack_ns;
}

static uint32_t find_lane(const struct placing *placing, const struct stored_slice *slice)
{
    if (is_free(placing, slice, slice->cpu)) {
        return slice->cpu;
    }
    for (uint32_t i = placing->n_cpus; i < EXPORT_MAX_LANES; i++) {
        if (is_free(placing, slice, i)) {
            return i;
        }
    }
    return EXPORT_MAX_LANES;
}

static uint64_t take(uint64_t *left_ns, uint64_t room_ns)
{
    uint64_t taken_ns = *left_ns < room_ns ? *left_ns : room_ns;
    *left_ns -= taken_ns;
    return taken_ns;
}

/* False: no time is left of it. */
static bool place(struct placing *placing, const struct stored_slice *slice,
                  struct export_slice *ret_slice)
{
    const struct attribution *attribution = &placing->shares->attribution;
    thread_id thread = slice->thread;
    uint64_t from_ns = later(begin_of(placing, slice), attribution->from_ns);
    uint64_t to_ns = slice->end_ns < attribution->to_ns ? slice->end_ns : attribution->to_ns;
    bool is_mark = slice->start_ns == slice->end_ns;
    placing->end_of[thread] = slice->end_ns;
    if (is_mark || from_ns >= to_ns || !placing->has_rows[thread]) {
        return false;
    }
    uint32_t lane = find_lane(placing, slice);
    if (lane == EXPORT_MAX_LANES) {
        return false;
    }
    uint64_t born_ns = placing->snapshot->threads[thread].start_ns;
    uint64_t floor_ns = later(placing->end_of_lane[lane], placing->placed_end[thread]);
    floor_ns = later(floor_ns, later(attribution->from_ns, born_ns));
    if (from_ns < floor_ns) {
        uint64_t begin_ns = floor_ns < to_ns ? floor_ns : to_ns;
        placing->owed_ns[thread] += begin_ns - from_ns;
        from_ns = begin_ns;
    } else {
        uint64_t room_ns = from_ns - floor_ns;
        uint64_t taken_ns = take(&placing->owed_ns[thread], room_ns);
        taken_ns += take(&placing->ahead_ns[thread], room_ns - taken_ns);
        from_ns -= taken_ns;
    }
    if (from_ns == to_ns) {
        return false;
    }
    placing->end_of_lane[lane] = to_ns;
    placing->placed_end[thread] = to_ns;
    *ret_slice = (struct export_slice){
        .thread = thread,
        .cpu = lane,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .is_blocked = slice->after == GAP_BLOCKED,
    };
    return true;
}

/* One round over all slices; true where each thread had ahead what it lacks behind it. */
static bool place_all(struct placing *placing, export_slice_cb on_slice, void *userdata)
{
    const struct snapshot *snapshot = placing->snapshot;
    bool has_all = true;
    memset(placing->end_of_lane, 0, EXPORT_MAX_LANES * sizeof(*placing->end_of_lane));
    memset(placing->end_of, 0, snapshot->n_threads * sizeof(*placing->end_of));
    memset(placing->placed_end, 0, snapshot->n_threads * sizeof(*placing->placed_end));
    memset(placing->owed_ns, 0, snapshot->n_threads * sizeof(*placing->owed_ns));
    memcpy(placing->ahead_ns, placing->lacked_ns, snapshot->n_threads * sizeof(*placing->ahead_ns));
    for (uint64_t i = snapshot->first_slice; i < snapshot->n_slices; i++) {
        struct export_slice placed;
        if (place(placing, snapshot_slice(snapshot, i), &placed) && on_slice) {
            on_slice(userdata, &placed);
        }
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        has_all &= placing->owed_ns[i] == placing->lacked_ns[i] - placing->ahead_ns[i];
    }
    return has_all;
}

static int begin(struct placing *placing)
{
    const struct snapshot *snapshot = placing->snapshot;
    const struct export_shares *shares = placing->shares;
    size_t n_threads = snapshot->n_threads + 1;
    placing->end_of_lane = calloc(EXPORT_MAX_LANES, sizeof(uint64_t));
    placing->end_of = calloc(n_threads, sizeof(uint64_t));
    placing->placed_end = calloc(n_threads, sizeof(uint64_t));
    placing->owed_ns = calloc(n_threads, sizeof(uint64_t));
    placing->lacked_ns = calloc(n_threads, sizeof(uint64_t));
    placing->ahead_ns = calloc(n_threads, sizeof(uint64_t));
    placing->has_rows = calloc(n_threads, sizeof(bool));
    if (!placing->end_of_lane || !placing->end_of || !placing->placed_end || !placing->owed_ns ||
        !placing->lacked_ns || !placing->ahead_ns || !placing->has_rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < shares->n_threads; i++) {
        placing->has_rows[shares->threads[i].thread] = true;
    }
    for (uint64_t i = snapshot->first_slice; i < snapshot->n_slices; i++) {
        uint32_t cpu = snapshot_slice(snapshot, i)->cpu;
        placing->n_cpus = cpu >= placing->n_cpus ? cpu + 1 : placing->n_cpus;
    }
    return 0;
}

int export_slices_visit(const struct export_shares *shares, export_slice_cb on_slice,
                        void *userdata)
{
    struct placing placing = {.shares = shares, .snapshot = shares->context->snapshot};
    int r = begin(&placing);
    bool has_all = r < 0;
    for (int round = 0; round < ROUNDS_MAX && !has_all; round++) {
        has_all = place_all(&placing, NULL, NULL);
        if (!has_all) {
            memcpy(placing.lacked_ns, placing.owed_ns,
                   placing.snapshot->n_threads * sizeof(*placing.lacked_ns));
        }
    }
    if (r == 0) {
        place_all(&placing, on_slice, userdata);
    }
    free(placing.end_of_lane);
    free(placing.end_of);
    free(placing.placed_end);
    free(placing.owed_ns);
    free(placing.lacked_ns);
    free(placing.ahead_ns);
    free(placing.has_rows);
    return r;
}
