/* SPDX-License-Identifier: MIT */
#include "query/critical_path.h"

/* As far the clocks of two switches may be apart: a waker that seems to have been blocked by less
 * had just begun to run. */
#define CLOCK_SLACK_NS 20000u

/* As long a thread that ends may go on after that has been told. */
#define EXIT_SLACK_NS 100000000u

struct path {
    const struct thread_steps *steps;
    path_segment_cb on_segment;
    void *userdata;
    struct thread_walk walk;
    struct path_segment pending; /* goes on growing back in time */
    bool has_pending;
    unsigned int n_hops; /* at this instant */
};

static int flush(struct path *path)
{
    if (!path->has_pending) {
        return 0;
    }
    path->has_pending = false;
    return path->on_segment(path->userdata, &path->pending);
}

static int add(struct path *path, const struct path_segment *segment)
{
    struct path_segment *pending = &path->pending;
    bool goes_on = path->has_pending && pending->thread == segment->thread &&
                   pending->kind == segment->kind && pending->wait == segment->wait &&
                   !pending->edge && !pending->is_birth;
    if (goes_on) {
        pending->start_ns = segment->start_ns;
        return 0;
    }
    int r = flush(path);
    path->pending = *segment;
    path->has_pending = true;
    return r;
}

static int add_unknown(struct path *path, uint64_t start_ns, uint64_t end_ns)
{
    const struct path_segment segment = {
        .thread = path->walk.thread,
        .kind = WHY_KIND_UNKNOWN,
        .start_ns = start_ns,
        .end_ns = end_ns,
    };
    return start_ns < end_ns ? add(path, &segment) : 0;
}

thread_id critical_path_creator(const struct thread_steps *steps, thread_id thread)
{
    const struct snapshot *snapshot = steps->snapshot;
    const struct thread_totals *born = &snapshot->threads[thread];
    thread_id creator = THREAD_ID_NONE;
    for (size_t i = 0; born->creator_tid != 0 && i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        bool was_there = totals->start_ns <= born->start_ns &&
                         (totals->end_ns == 0 || totals->end_ns >= born->start_ns);
        if (totals->tid == born->creator_tid && was_there && i != thread) {
            creator = (thread_id)i;
        }
    }
    return creator;
}

/*
 * Goes over to another thread, at the same instant. False: it was not there, or
 * that goes in a circle. A thread that ends wakes who waits for that when its
 * end has been told already.
 */
static bool hop(struct path *path, thread_id thread)
{
    struct thread_walk walk = thread_walk_from(path->steps, thread, path->walk.now_ns);
    bool was_born = path->steps->snapshot->threads[thread].start_ns < walk.now_ns;
    bool was_there = path->walk.now_ns - walk.now_ns <= EXIT_SLACK_NS;
    if (!was_born || !was_there || path->n_hops == CRITICAL_PATH_MAX_HOPS) {
        return false;
    }
    path->n_hops++;
    path->walk = walk;
    return true;
}

/* What a thread did after its end had been told, up to where it was met. */
static int add_last_steps(struct path *path, uint64_t met_ns)
{
    const struct path_segment segment = {
        .thread = path->walk.thread,
        .kind = WHY_KIND_RUN,
        .start_ns = path->walk.now_ns,
        .end_ns = met_ns,
    };
    return path->walk.now_ns < met_ns ? add(path, &segment) : 0;
}

/* Who ended the wait that this step is the end of; THREAD_ID_NONE: no thread of the target. */
static thread_id waker_of(const struct path *path, const struct thread_step *step)
{
    if (step->kind != THREAD_STEP_WAIT || !step->wait) {
        return THREAD_ID_NONE;
    }
    if (step->is_cut && step->wait->wake_ns > step->end_ns + CLOCK_SLACK_NS) {
        return THREAD_ID_NONE;
    }
    waker_id waker = step->wait->waker;
    bool is_other = waker < path->steps->snapshot->n_threads && waker != path->walk.thread;
    return is_other ? (thread_id)waker : THREAD_ID_NONE;
}

/* A thread whose first instant has been reached. */
static int go_before_birth(struct path *path, uint64_t from_ns)
{
    thread_id born = path->walk.thread;
    thread_id creator = critical_path_creator(path->steps, born);
    if (creator != THREAD_ID_NONE && hop(path, creator)) {
        if (path->has_pending && path->pending.thread == born) {
            path->pending.is_birth = true;
            path->pending.other = creator;
        }
        return 0;
    }
    int r = add_unknown(path, from_ns, path->walk.now_ns);
    path->walk.now_ns = from_ns;
    return r;
}

static enum why_kind kind_of(enum thread_step_kind kind)
{
    switch (kind) {
    case THREAD_STEP_RUN:
        return WHY_KIND_RUN;
    case THREAD_STEP_RUNQ:
        return WHY_KIND_RUNQ;
    case THREAD_STEP_WAIT:
        break;
    }
    return WHY_KIND_WAIT;
}

static int go_back(struct path *path, uint64_t from_ns)
{
    const struct thread_steps *steps = path->steps;
    thread_id thread = path->walk.thread;
    struct thread_walk before = path->walk;
    struct thread_step step;
    if (!thread_walk_back(&path->walk, &step)) {
        if (path->walk.now_ns > steps->from_ns) {
            return go_before_birth(path, from_ns);
        }
        int r = add_unknown(path, from_ns, path->walk.now_ns);
        path->walk.now_ns = from_ns;
        return r;
    }
    thread_id waker = waker_of(path, &step);
    if (waker != THREAD_ID_NONE) {
        struct thread_walk after = path->walk;
        path->walk = before;
        if (hop(path, waker)) {
            if (path->has_pending && path->pending.thread == thread &&
                path->pending.start_ns == before.now_ns && !path->pending.edge) {
                path->pending.edge = step.wait;
                path->pending.other = waker;
            }
            return add_last_steps(path, before.now_ns);
        }
        path->walk = after;
    }
    path->n_hops = 0;
    const struct path_segment segment = {
        .thread = thread,
        .kind = kind_of(step.kind),
        .start_ns = step.start_ns,
        .end_ns = step.end_ns,
        .wait = step.wait,
        .is_open = step.is_open,
        .is_cut = step.is_cut,
    };
    return add(path, &segment);
}

int critical_path_walk(const struct thread_steps *steps, thread_id thread, uint64_t from_ns,
                       path_segment_cb on_segment, void *userdata)
{
    struct path path = {
        .steps = steps,
        .on_segment = on_segment,
        .userdata = userdata,
        .walk = thread_walk_from(steps, thread, steps->to_ns),
    };
    int r =
        add_unknown(&path, path.walk.now_ns > from_ns ? path.walk.now_ns : from_ns, steps->to_ns);
    while (r == 0 && path.walk.now_ns > from_ns) {
        r = go_back(&path, from_ns);
    }
    return r ? r : flush(&path);
}
