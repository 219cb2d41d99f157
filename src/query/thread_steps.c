/* SPDX-License-Identifier: MIT */
#include "query/thread_steps.h"

#include <errno.h>

#include "aggregate/wait_cursor.h"

static const struct stored_slice *slice_at(const struct thread_steps *steps, thread_id thread,
                                           uint32_t i)
{
    uint32_t number = steps->slices[steps->threads[thread].first_slice + i];
    return snapshot_slice(steps->snapshot, steps->slice_base + number);
}

static const struct stored_wait *wait_at(const struct thread_steps *steps, thread_id thread,
                                         uint32_t i)
{
    return steps->waits[steps->threads[thread].first_wait + i];
}

/* ---- sorting by thread ---- */

/* The first of the slices from `low` on that ends after time_ns. */
static uint64_t first_slice_after(const struct snapshot *snapshot, uint64_t low, uint64_t time_ns)
{
    uint64_t high = snapshot->n_slices;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_slice(snapshot, middle)->end_ns > time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

struct sorting {
    struct thread_steps *steps;
    const bool *is_wanted;
    uint64_t slice_end;
    bool is_counting; /* else filling */
};

static void sort_slices(const struct sorting *sorting)
{
    struct thread_steps *steps = sorting->steps;
    for (uint64_t i = steps->slice_base; i < sorting->slice_end; i++) {
        thread_id thread = snapshot_slice(steps->snapshot, i)->thread;
        if (sorting->is_wanted && !sorting->is_wanted[thread]) {
            continue;
        }
        struct thread_numbers *numbers = &steps->threads[thread];
        if (!sorting->is_counting) {
            steps->slices[numbers->first_slice + numbers->n_slices] =
                (uint32_t)(i - steps->slice_base);
        }
        numbers->n_slices++;
    }
}

static void sort_waits(const struct sorting *sorting)
{
    struct thread_steps *steps = sorting->steps;
    struct wait_cursor cursor = wait_cursor_begin(steps->snapshot, steps->from_ns, steps->to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        if (sorting->is_wanted && !sorting->is_wanted[wait->thread]) {
            continue;
        }
        struct thread_numbers *numbers = &steps->threads[wait->thread];
        if (!sorting->is_counting) {
            steps->waits[numbers->first_wait + numbers->n_waits] = wait;
        }
        numbers->n_waits++;
    }
}

/* Where each thread's part of the arrays begins; how long they have to be. */
static int place_parts(struct thread_steps *steps, uint64_t *ret_n_slices, uint64_t *ret_n_waits)
{
    uint64_t n_slices = 0, n_waits = 0;
    for (size_t i = 0; i < steps->snapshot->n_threads; i++) {
        struct thread_numbers *numbers = &steps->threads[i];
        numbers->first_slice = (uint32_t)n_slices;
        numbers->first_wait = (uint32_t)n_waits;
        n_slices += numbers->n_slices;
        n_waits += numbers->n_waits;
        numbers->n_slices = numbers->n_waits = 0;
    }
    *ret_n_slices = n_slices;
    *ret_n_waits = n_waits;
    return n_slices <= UINT32_MAX && n_waits <= UINT32_MAX ? 0 : -E2BIG;
}

int thread_steps_build(const struct snapshot *snapshot, uint64_t from_ns, uint64_t to_ns,
                       const bool *is_wanted, struct arena *arena, struct thread_steps *ret_steps)
{
    uint64_t known_ns = snapshot->folded_until_ns;
    *ret_steps = (struct thread_steps){
        .snapshot = snapshot,
        .from_ns = from_ns > known_ns ? from_ns : known_ns,
        .to_ns = to_ns,
        .threads = arena_alloc_array(arena, snapshot->n_threads, sizeof(struct thread_numbers)),
    };
    if (!ret_steps->threads) {
        return -ENOMEM;
    }
    ret_steps->slice_base = first_slice_after(snapshot, snapshot->first_slice, ret_steps->from_ns);
    struct sorting sorting = {
        .steps = ret_steps,
        .is_wanted = is_wanted,
        /*
         * Neither a slice nor a wait for a CPU before it lasts longer than STORED_SLICE_MAX_NS:
         * what can touch the range ends at most twice that after it.
         */
        .slice_end =
            first_slice_after(snapshot, ret_steps->slice_base, to_ns + 2 * STORED_SLICE_MAX_NS),
        .is_counting = true,
    };
    sort_slices(&sorting);
    sort_waits(&sorting);
    uint64_t n_slices, n_waits;
    int r = place_parts(ret_steps, &n_slices, &n_waits);
    if (r != 0) {
        return r;
    }
    ret_steps->slices = arena_alloc_array(arena, n_slices, sizeof(*ret_steps->slices));
    ret_steps->waits = arena_alloc_array(arena, n_waits, sizeof(*ret_steps->waits));
    if (!ret_steps->slices || !ret_steps->waits) {
        return -ENOMEM;
    }
    sorting.is_counting = false;
    sort_slices(&sorting);
    sort_waits(&sorting);
    return 0;
}

/* ---- walking ---- */

/* Where the i-th slice begins: its record came late, see aggregate/switch_lag.h. */
static uint64_t start_of(const struct thread_steps *steps, thread_id thread, uint32_t i)
{
    const struct stored_slice *slice = slice_at(steps, thread, i);
    bool is_mark = slice->start_ns == slice->end_ns; /* of a long wait for a CPU: nothing ran */
    if (slice->before == GAP_NONE || is_mark) {
        return slice->start_ns;
    }
    uint64_t earliest_ns =
        i > 0 ? slice_at(steps, thread, i - 1)->end_ns : steps->snapshot->threads[thread].start_ns;
    uint64_t lag_ns = steps->snapshot->switch_lag_ns;
    return slice->start_ns > earliest_ns + lag_ns ? slice->start_ns - lag_ns : earliest_ns;
}

struct thread_walk thread_walk_from(const struct thread_steps *steps, thread_id thread,
                                    uint64_t time_ns)
{
    const struct thread_numbers *numbers = &steps->threads[thread];
    const struct thread_totals *totals = &steps->snapshot->threads[thread];
    uint64_t end_ns = totals->end_ns ? totals->end_ns : steps->snapshot->now_ns;
    time_ns = time_ns > steps->to_ns ? steps->to_ns : time_ns;
    struct thread_walk walk = {
        .steps = steps,
        .thread = thread,
        .now_ns = time_ns > end_ns ? end_ns : time_ns,
    };
    uint32_t low = 0, high = numbers->n_slices;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (start_of(steps, thread, middle) < walk.now_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    walk.n_slices = low;
    low = 0;
    high = numbers->n_waits;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (wait_at(steps, thread, middle)->start_ns < walk.now_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    walk.n_waits = low;
    return walk;
}

/* The wait that lies in (start_ns, end_ns], which are the ends of time that the thread did not run.
 */
static const struct stored_wait *wait_between(const struct thread_walk *walk, uint64_t start_ns,
                                              uint64_t end_ns)
{
    if (walk->n_waits == 0) {
        return NULL;
    }
    const struct stored_wait *wait = wait_at(walk->steps, walk->thread, walk->n_waits - 1);
    return wait->end_ns > start_ns && wait->start_ns < end_ns ? wait : NULL;
}

/* What was before a slice, back from now_ns to gap_ns at most. */
static struct thread_step step_in_gap(const struct thread_walk *walk, uint64_t gap_ns,
                                      uint64_t gap_end_ns, enum gap_kind kind)
{
    struct thread_step step = {.start_ns = gap_ns, .end_ns = walk->now_ns};
    if (kind == GAP_RUNNABLE) {
        step.kind = THREAD_STEP_RUNQ;
        return step;
    }
    step.kind = THREAD_STEP_WAIT;
    step.wait = wait_between(walk, gap_ns, gap_end_ns);
    if (step.wait) {
        uint64_t wake_ns = step.wait->wake_ns > gap_ns ? step.wait->wake_ns : gap_ns;
        if (walk->now_ns > wake_ns) {
            step.kind = THREAD_STEP_RUNQ;
            step.start_ns = wake_ns;
        } else {
            step.is_cut = walk->now_ns < wake_ns && walk->now_ns < gap_end_ns;
        }
    }
    return step;
}

/* Behind the last slice: the phase that was open when the snapshot was taken. */
static struct thread_step step_at_end(const struct thread_walk *walk, uint64_t gap_ns)
{
    const struct thread_totals *totals = &walk->steps->snapshot->threads[walk->thread];
    struct thread_step step = {.start_ns = gap_ns, .end_ns = walk->now_ns};
    uint64_t since_ns = totals->phase_since_ns > gap_ns ? totals->phase_since_ns : gap_ns;
    bool is_in_phase = walk->now_ns > since_ns;
    switch (totals->phase) {
    case THREAD_PHASE_RUNNING:
        if (is_in_phase) {
            step.kind = THREAD_STEP_RUN;
            step.start_ns = since_ns;
            return step;
        }
        if (totals->waited_since_ns < totals->phase_since_ns &&
            walk->now_ns > totals->waited_since_ns) {
            step = step_in_gap(walk, gap_ns, since_ns, GAP_BLOCKED);
            uint64_t waited_ns =
                totals->waited_since_ns > gap_ns ? totals->waited_since_ns : gap_ns;
            if (step.kind == THREAD_STEP_WAIT || step.start_ns > waited_ns) {
                step.kind = THREAD_STEP_RUNQ;
                step.start_ns = waited_ns;
            }
            return step;
        }
        return step_in_gap(walk, gap_ns, since_ns, GAP_BLOCKED);
    case THREAD_PHASE_RUNNABLE:
        if (is_in_phase) {
            step.kind = THREAD_STEP_RUNQ;
            step.start_ns = since_ns;
            return step;
        }
        return step_in_gap(walk, gap_ns, since_ns, GAP_BLOCKED);
    case THREAD_PHASE_BLOCKED:
    case THREAD_PHASE_UNKNOWN:
    case THREAD_PHASE_GONE:
        break;
    }
    step = step_in_gap(walk, gap_ns, walk->now_ns, GAP_BLOCKED);
    step.is_open = step.kind == THREAD_STEP_WAIT && !step.wait && is_in_phase &&
                   totals->phase != THREAD_PHASE_GONE;
    return step;
}

static struct thread_step step_before_now(const struct thread_walk *walk)
{
    const struct thread_steps *steps = walk->steps;
    const struct thread_numbers *numbers = &steps->threads[walk->thread];
    uint64_t gap_ns = steps->snapshot->threads[walk->thread].start_ns;
    if (walk->n_slices > 0) {
        uint64_t end_ns = slice_at(steps, walk->thread, walk->n_slices - 1)->end_ns;
        if (end_ns >= walk->now_ns) {
            return (struct thread_step){
                .kind = THREAD_STEP_RUN,
                .start_ns = start_of(steps, walk->thread, walk->n_slices - 1),
                .end_ns = walk->now_ns,
            };
        }
        gap_ns = end_ns;
    }
    if (walk->n_slices == numbers->n_slices) {
        return step_at_end(walk, gap_ns);
    }
    const struct stored_slice *next = slice_at(steps, walk->thread, walk->n_slices);
    return step_in_gap(walk, gap_ns, start_of(steps, walk->thread, walk->n_slices),
                       (enum gap_kind)next->before);
}

bool thread_walk_back(struct thread_walk *walk, struct thread_step *ret_step)
{
    const struct thread_steps *steps = walk->steps;
    uint64_t born_ns = steps->snapshot->threads[walk->thread].start_ns;
    uint64_t floor_ns = born_ns > steps->from_ns ? born_ns : steps->from_ns;
    if (walk->now_ns <= floor_ns) {
        return false;
    }
    *ret_step = step_before_now(walk);
    if (ret_step->start_ns < floor_ns) {
        ret_step->start_ns = floor_ns;
    }
    walk->now_ns = ret_step->start_ns;
    while (walk->n_slices > 0 &&
           start_of(steps, walk->thread, walk->n_slices - 1) >= walk->now_ns) {
        walk->n_slices--;
    }
    while (walk->n_waits > 0 &&
           wait_at(steps, walk->thread, walk->n_waits - 1)->start_ns >= walk->now_ns) {
        walk->n_waits--;
    }
    return true;
}
