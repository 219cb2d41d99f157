/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "query/attribution.h"
#include "query/shown_stacks.h"
#include "query/wake_pairs.h"
#include "query/waker_name.h"

#define CHAIN_MAX_LINKS 10u

/* A waker and a wakee, with all stacks of the waker or with one. */
struct pair {
    struct wake_sums sums; /* the stack is the one that ended most of the waiting */
    uint64_t most_ns;      /* that it ended */
    uint64_t n_stacks;
};

struct work {
    const struct query_context *context;
    const struct query_wakers_options *options;
    const struct snapshot *snapshot;
    struct attribution attribution;
    struct shown_stacks stacks;
    struct wakers_result *result;
};

static int by_threads(const void *left, const void *right)
{
    const struct wake_sums *a = left, *b = right;
    if (a->waker != b->waker) {
        return a->waker < b->waker ? -1 : 1;
    }
    if (a->wakee != b->wakee) {
        return a->wakee < b->wakee ? -1 : 1;
    }
    return a->waker_stack < b->waker_stack ? -1 : a->waker_stack > b->waker_stack;
}

static int by_wait_ended(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    if (a->sums.blocked_ns != b->sums.blocked_ns) {
        return a->sums.blocked_ns > b->sums.blocked_ns ? -1 : 1;
    }
    if (a->sums.n_wakeups != b->sums.n_wakeups) {
        return a->sums.n_wakeups > b->sums.n_wakeups ? -1 : 1;
    }
    return by_threads(&a->sums, &b->sums);
}

static void merge_into(struct pair *pair, const struct wake_sums *sums)
{
    pair->sums.n_wakeups += sums->n_wakeups;
    pair->sums.blocked_ns += sums->blocked_ns;
    pair->sums.runnable_ns += sums->runnable_ns;
    pair->n_stacks++;
    bool is_known = sums->waker_stack != STACK_ID_EMPTY;
    bool was_known = pair->sums.waker_stack != STACK_ID_EMPTY;
    if (is_known > was_known || (is_known == was_known && sums->blocked_ns > pair->most_ns)) {
        pair->most_ns = sums->blocked_ns;
        pair->sums.waker_stack = sums->waker_stack;
    }
}

/* Sorted by wait ended. 0 or -ENOMEM. */
static int make_pairs(const struct work *work, struct wake_pairs *sums, bool by_stack,
                      struct pair **ret_pairs, size_t *ret_n_pairs)
{
    struct pair *pairs = arena_alloc_array(work->context->arena, sums->n_rows, sizeof(*pairs));
    size_t n_pairs = 0;
    if (!pairs) {
        return -ENOMEM;
    }
    if (sums->n_rows > 1) {
        qsort(sums->rows, sums->n_rows, sizeof(*sums->rows), by_threads);
    }
    for (size_t i = 0; i < sums->n_rows; i++) {
        const struct wake_sums *row = &sums->rows[i];
        bool is_same = i > 0 && row[-1].waker == row->waker && row[-1].wakee == row->wakee;
        if (is_same && !by_stack) {
            merge_into(&pairs[n_pairs - 1], row);
        } else {
            pairs[n_pairs++] =
                (struct pair){.sums = *row, .most_ns = row->blocked_ns, .n_stacks = 1};
        }
    }
    if (n_pairs > 1) {
        qsort(pairs, n_pairs, sizeof(*pairs), by_wait_ended);
    }
    *ret_pairs = pairs;
    *ret_n_pairs = n_pairs;
    return 0;
}

static int fill_row(struct work *work, const struct pair *pair, struct waker_row *row)
{
    const struct thread_totals *wakee = &work->snapshot->threads[pair->sums.wakee];
    struct waker_name waker = waker_name_of(work->snapshot, pair->sums.waker);
    struct shown_stack shown;
    int r = shown_stacks_get(&work->stacks, pair->sums.waker_stack, &shown);
    if (r != 0) {
        return r;
    }
    *row = (struct waker_row){
        .waker_tid = waker.tid,
        .waker_name = waker.name,
        .is_outsider = waker.is_outsider,
        .wakee_tid = wakee->tid,
        .wakee_name = wakee->name,
        .count = pair->sums.n_wakeups,
        .wait_ended_ns = pair->sums.blocked_ns,
        .runq_ns = pair->sums.runnable_ns,
        .stacks = pair->n_stacks,
        .n_waker_stack = shown.n_frames,
        .waker_stack = shown.frames,
    };
    return 0;
}

static int fill_rows(struct work *work)
{
    struct wakers_result *result = work->result;
    struct wake_pairs sums;
    struct pair *pairs;
    size_t n_pairs;
    int r = wake_pairs_compute(work->context, &work->attribution, &sums);
    r = r ? r : make_pairs(work, &sums, work->options->by_stack, &pairs, &n_pairs);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < n_pairs; i++) {
        result->count += pairs[i].sums.n_wakeups;
        result->wait_ended_ns += pairs[i].sums.blocked_ns;
        result->runq_ns += pairs[i].sums.runnable_ns;
    }
    size_t limit = work->options->limit;
    result->wakers = n_pairs;
    result->n_rows = limit > 0 && n_pairs > limit ? limit : n_pairs;
    result->rows = arena_alloc_array(work->context->arena, result->n_rows, sizeof(*result->rows));
    if (!result->rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < result->n_rows; i++) {
        r = fill_row(work, &pairs[i], &result->rows[i]);
    }
    return r;
}

/* ---- the chain ---- */

static const struct pair *biggest_of(const struct pair *pairs, size_t n_pairs, thread_id wakee,
                                     uint64_t *ret_all_ns)
{
    const struct pair *biggest = NULL;
    *ret_all_ns = 0;
    for (size_t i = 0; i < n_pairs; i++) {
        if (pairs[i].sums.wakee == wakee) {
            biggest = biggest ? biggest : &pairs[i]; /* they are sorted */
            *ret_all_ns += pairs[i].sums.blocked_ns;
        }
    }
    return biggest;
}

/* Of the threads in the view the one that waited most for others. */
static thread_id first_of_chain(const struct work *work, const struct pair *pairs, size_t n_pairs)
{
    thread_id first = THREAD_ID_NONE;
    uint64_t most_ns = 0;
    for (size_t i = 0; i < n_pairs; i++) {
        uint64_t all_ns;
        thread_id wakee = pairs[i].sums.wakee;
        if (!work->attribution.threads[wakee].is_in_view || wakee == first) {
            continue;
        }
        (void)biggest_of(pairs, n_pairs, wakee, &all_ns);
        if (first == THREAD_ID_NONE || all_ns > most_ns) {
            first = wakee;
            most_ns = all_ns;
        }
    }
    return first;
}

static int fill_link(struct work *work, const struct pair *pair, uint64_t all_ns,
                     struct waker_link *link)
{
    struct waker_row row;
    int r = fill_row(work, pair, &row);
    if (r != 0) {
        return r;
    }
    *link = (struct waker_link){
        .wakee_tid = row.wakee_tid,
        .wakee_name = row.wakee_name,
        .waker_tid = row.waker_tid,
        .waker_name = row.waker_name,
        .is_outsider = row.is_outsider,
        .count = row.count,
        .wait_ended_ns = row.wait_ended_ns,
        .runq_ns = row.runq_ns,
        .share_pct = all_ns > 0 ? 100.0 * (double)row.wait_ended_ns / (double)all_ns : 0,
        .n_waker_stack = row.n_waker_stack,
        .waker_stack = row.waker_stack,
    };
    return 0;
}

/* Where a link leads to nowhere: why; else NULL. */
static const char *end_of_chain(const struct work *work, const thread_id *met, size_t n_met,
                                waker_id waker)
{
    struct arena *arena = work->context->arena;
    struct waker_name name = waker_name_of(work->snapshot, waker);
    if (waker == WAKER_ID_NONE) {
        return "no thread did that: a timer or an interrupt";
    }
    if (!waker_is_thread(work->snapshot, waker)) {
        return arena_printf(arena, "%s (%" PRId64 ") is none of the target's threads", name.name,
                            name.tid);
    }
    for (size_t i = 0; i < n_met; i++) {
        if (met[i] == waker) {
            return arena_printf(arena, "%s (%" PRId64 ") stands on the chain already: a cycle",
                                name.name, name.tid);
        }
    }
    return n_met == CHAIN_MAX_LINKS ? "it may be longer: ten links are shown" : NULL;
}

static int fill_chain(struct work *work)
{
    struct wakers_result *result = work->result;
    struct wake_pairs sums;
    struct pair *pairs;
    size_t n_pairs;
    int r = wake_pairs_compute_all(work->context, &work->attribution, &sums);
    r = r ? r : make_pairs(work, &sums, false, &pairs, &n_pairs);
    if (r != 0) {
        return r;
    }
    result->chain =
        arena_alloc_array(work->context->arena, CHAIN_MAX_LINKS, sizeof(*result->chain));
    if (!result->chain) {
        return -ENOMEM;
    }
    thread_id met[CHAIN_MAX_LINKS];
    size_t n_met = 0;
    met[n_met++] = first_of_chain(work, pairs, n_pairs);
    if (met[0] == THREAD_ID_NONE) {
        result->chain_end = "nobody told who ended a wait in this view";
        return 0;
    }
    while (!result->chain_end) {
        uint64_t all_ns;
        const struct pair *pair = biggest_of(pairs, n_pairs, met[n_met - 1], &all_ns);
        if (!pair) {
            const struct thread_totals *last = &work->snapshot->threads[met[n_met - 1]];
            result->chain_end =
                arena_printf(work->context->arena, "%s (%" PRId64 ") was woken by nobody",
                             last->name, last->tid);
            break;
        }
        r = fill_link(work, pair, all_ns, &result->chain[result->n_chain++]);
        if (r != 0) {
            return r;
        }
        result->chain_end = end_of_chain(work, met, n_met, pair->sums.waker);
        if (!result->chain_end) {
            met[n_met++] = pair->sums.waker;
        }
    }
    return 0;
}

static const char *hint_of(const struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    if (work->result->wakers > 0) {
        return view_has_range(work->context->view) &&
                       work->attribution.from_ns < snapshot->folded_until_ns
                   ? "part of this range was folded away (--max-memory, --ring); whole-run "
                     "answers are complete"
                   : NULL;
    }
    if (snapshot->has_no_switches) {
        return ATTRIBUTION_NO_SWITCHES;
    }
    if (snapshot->n_wakeups == 0 && work->options->unrecorded) {
        return arena_printf(work->context->arena,
                            "who wakes whom is not recorded here (%s): run stax-server as root, or "
                            "install staxd: sudo stax setup",
                            work->options->unrecorded);
    }
    if (snapshot->n_wakeups > 0) {
        return "nobody was woken in this view; `stax wakers` without options shows all wakeups";
    }
    if (snapshot->n_waits > 0) {
        return "who wakes whom was not recorded in this run; what it lacks was said when it began, "
               "and `stax doctor` says how to get it";
    }
    return "nobody was woken; `stax threads` shows what the threads did";
}

int query_wakers(const struct query_context *context, const struct query_wakers_options *options,
                 struct wakers_result *ret_result, struct error *reterr_error)
{
    struct work work = {
        .context = context,
        .options = options,
        .snapshot = context->snapshot,
        .result = ret_result,
    };
    int r = attribution_compute(context, &work.attribution, reterr_error);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct wakers_result){
        .run = attribution_stamp(context),
        .view = work.attribution.echo,
    };
    shown_stacks_init(context, options->max_frames, &work.stacks);
    r = fill_rows(&work);
    r = r || !options->chain ? r : fill_chain(&work);
    shown_stacks_release(&work.stacks);
    ret_result->hint = hint_of(&work);
    return r;
}
