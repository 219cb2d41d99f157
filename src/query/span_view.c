/* SPDX-License-Identifier: MIT */
#include "query/span_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "query/pattern.h"

/* All that can be asked of names, compiled. */
struct asked {
    struct patterns exclude, focus, lane, name;
};

static int compile_one(const char *text, struct patterns *patterns, struct error *reterr_error)
{
    char *texts[] = {(char *)text};
    return patterns_compile(texts, text ? 1 : 0, patterns, reterr_error);
}

static int compile(const struct view *view, const struct query_span_choice *choice,
                   struct asked *asked, struct error *reterr_error)
{
    int r = patterns_compile(view->exclude, view->n_exclude, &asked->exclude, reterr_error);
    r = r ? r : patterns_compile(view->focus, view->n_focus, &asked->focus, reterr_error);
    r = r ? r : compile_one(choice->lane, &asked->lane, reterr_error);
    return r ? r : compile_one(choice->name, &asked->name, reterr_error);
}

static void release(struct asked *asked)
{
    patterns_release(&asked->exclude);
    patterns_release(&asked->focus);
    patterns_release(&asked->lane);
    patterns_release(&asked->name);
}

static uint8_t flags_of(const struct asked *asked, const struct patterns *own, const char *name)
{
    bool is_other = own->n_patterns > 0 && !patterns_match_text(own, name);
    return (uint8_t)((patterns_match_text(&asked->exclude, name) ? STACK_EXCLUDED : 0) |
                     (patterns_match_text(&asked->focus, name) ? STACK_FOCUSED : 0) |
                     (is_other ? SPAN_OTHER : 0));
}

static int mark(struct span_view *view, const struct asked *asked)
{
    const struct snapshot *snapshot = view->context->snapshot;
    struct arena *arena = view->context->arena;
    uint8_t *lanes = arena_alloc(arena, snapshot->n_lanes);
    uint8_t *names = arena_alloc(arena, (size_t)snapshot->n_span_names + 1);
    if (!lanes || !names) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        lanes[i] = flags_of(asked, &asked->lane, snapshot->lanes[i].name);
    }
    /* A name is smaller than those inside of it: one pass hands flags down. */
    for (uint32_t i = 0; i <= snapshot->n_span_names; i++) {
        struct span_name name = snapshot_span_name(snapshot, i);
        uint8_t outer = names[name.parent] & (STACK_EXCLUDED | STACK_FOCUSED);
        names[i] = outer | flags_of(asked, &asked->name, name.text);
    }
    view->lane_flags = lanes;
    view->name_flags = names;
    return 0;
}

static uint64_t key_of(uint32_t lane, uint32_t name)
{
    return (uint64_t)lane << 32 | name;
}

static int compare_keys(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* While outer names are listed. */
struct outer_list {
    struct span_view *view;
    const bool *is_outer; /* by name: others are inside of it */
    struct hash_table known;
    uint64_t *keys;
    size_t capacity;
};

static int list_one(struct outer_list *list, uint32_t lane, uint32_t name)
{
    uint64_t key = key_of(lane, name);
    if (name == 0 || !list->is_outer[name] ||
        hash_table_find(&list->known, key) != HASH_TABLE_NONE) {
        return 0;
    }
    struct span_view *view = list->view;
    if (view->n_outer == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        uint64_t *grown = reallocarray(list->keys, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        list->keys = grown;
        list->capacity = capacity;
    }
    int r = hash_table_add(&list->known, key, 0);
    if (r == 0) {
        list->keys[view->n_outer++] = key;
    }
    return r;
}

static int list_span(void *userdata, const struct stored_span *span)
{
    return list_one(userdata, span->lane, span->name);
}

/* Of the run's sums: those of lanes that are chosen, and what chosen threads have queued. */
static int list_sums(struct outer_list *list)
{
    const struct span_view *view = list->view;
    const struct snapshot *snapshot = view->context->snapshot;
    int r = 0;
    for (size_t i = 0; i < snapshot->n_span_sums && r == 0; i++) {
        const struct span_sums *sums = &snapshot->span_sums[i];
        r = view->lane_is_all[sums->lane] ? list_one(list, sums->lane, sums->name) : 0;
    }
    for (size_t i = 0; i < snapshot->n_origin_sums && view->has_threads && r == 0; i++) {
        const struct origin_sums *sums = &snapshot->origin_sums[i];
        bool is_chosen = span_view_has_origin(view, sums->lane, span_view_tid(view, sums->thread));
        r = is_chosen ? list_one(list, sums->lane, sums->name) : 0;
    }
    return r || !view->has_threads ? r : span_view_each_pending(view, list_span, list);
}

/* Which names that others are inside of this view has spans of, on which lane. */
static int list_outer(struct span_view *view)
{
    const struct snapshot *snapshot = view->context->snapshot;
    struct arena *arena = view->context->arena;
    bool *is_outer = arena_alloc(arena, (size_t)snapshot->n_span_names + 1);
    struct outer_list list = {.view = view, .is_outer = is_outer};
    if (!is_outer) {
        return -ENOMEM;
    }
    for (uint32_t i = 1; i <= snapshot->n_span_names; i++) {
        is_outer[snapshot_span_name(snapshot, i).parent] = true;
    }
    hash_table_init(&list.known);
    int r = view->has_range ? span_view_each(view, list_span, &list) : list_sums(&list);
    uint64_t *outer = r == 0 ? arena_alloc_array(arena, view->n_outer, sizeof(*outer)) : NULL;
    if (outer && view->n_outer > 0) {
        memcpy(outer, list.keys, view->n_outer * sizeof(*outer));
        qsort(outer, view->n_outer, sizeof(*outer), compare_keys);
    }
    view->outer = outer;
    hash_table_release(&list.known);
    free(list.keys);
    return r ? r : (outer ? 0 : -ENOMEM);
}

static bool is_reported(const struct span_view *view, uint32_t lane, uint32_t name)
{
    uint64_t key = key_of(lane, name);
    return view->n_outer > 0 &&
           bsearch(&key, view->outer, view->n_outer, sizeof(key), compare_keys) != NULL;
}

static int choose(struct span_view *view, struct error *reterr_error)
{
    const struct query_context *context = view->context;
    const struct snapshot *snapshot = context->snapshot;
    uint8_t *is_all = arena_alloc(context->arena, snapshot->n_lanes);
    if (!is_all) {
        return -ENOMEM;
    }
    size_t n_chosen = 0;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        is_all[i] = view_has_tid(context->view, LANE_TID_FIRST + i);
        n_chosen += is_all[i];
    }
    for (size_t i = 0; i < snapshot->n_threads && context->view->n_tids > 0; i++) {
        view->has_threads =
            view->has_threads || view_has_tid(context->view, snapshot->threads[i].tid);
    }
    view->lane_is_all = is_all;
    if (context->view->n_tids > 0 && n_chosen == 0 && !view->has_threads) {
        error_set(reterr_error, "not_found", "no thread and no lane of this run has tid %" PRId64,
                  context->view->tids[0]);
        error_hint(reterr_error, "`stax threads -n 0` lists them all, `stax target lanes` lanes");
        return -EINVAL;
    }
    return 0;
}

int span_view_make(const struct query_context *context, const struct query_span_choice *choice,
                   struct span_view *ret_view, struct error *reterr_error)
{
    const struct view *view = context->view;
    *ret_view = (struct span_view){
        .context = context,
        .has_patterns = view->n_exclude > 0 || view->n_focus > 0 || choice->lane || choice->name,
    };
    struct asked *asked = arena_alloc(context->arena, sizeof(*asked));
    if (!asked) {
        return -ENOMEM;
    }
    int r = view_range_resolve(context, &ret_view->range, reterr_error);
    /* A range that has all of the run is no range: it has the run's sums. */
    const struct snapshot *snapshot = context->snapshot;
    ret_view->has_range = r == 0 && (ret_view->range.from_ns > snapshot->start_ns ||
                                     ret_view->range.to_ns < snapshot->now_ns);
    r = r ? r : compile(view, choice, asked, reterr_error);
    r = r ? r : mark(ret_view, asked);
    r = r ? r : choose(ret_view, reterr_error);
    r = r ? r : list_outer(ret_view);
    release(asked);
    return r;
}

int span_view_look_at_stacks(struct span_view *view, struct error *reterr_error)
{
    const uint8_t *flags;
    int r = stack_filter_flags(view->context, &flags, reterr_error);
    view->stack_flags = r == 0 ? flags : NULL;
    return r;
}

bool span_view_keeps(const struct span_view *view, uint32_t lane, uint32_t name, stack_id stack)
{
    uint8_t flags = view->lane_flags[lane] | view->name_flags[name];
    flags |= view->stack_flags ? view->stack_flags[stack] : 0;
    bool is_focused = view->context->view->n_focus == 0 || (flags & STACK_FOCUSED);
    return is_focused && !(flags & (STACK_EXCLUDED | SPAN_OTHER));
}

bool span_view_is_outermost(const struct span_view *view, uint32_t lane, uint32_t name,
                            stack_id stack)
{
    const struct snapshot *snapshot = view->context->snapshot;
    for (uint32_t outer = snapshot_span_name(snapshot, name).parent; outer != 0;
         outer = snapshot_span_name(snapshot, outer).parent) {
        if (is_reported(view, lane, outer) && span_view_keeps(view, lane, outer, stack)) {
            return false;
        }
    }
    return true;
}

bool span_view_has_origin(const struct span_view *view, uint32_t lane, int64_t tid)
{
    return view->lane_is_all[lane] ||
           (view->has_threads && tid > 0 && view_has_tid(view->context->view, tid));
}

int64_t span_view_tid(const struct span_view *view, thread_id thread)
{
    const struct snapshot *snapshot = view->context->snapshot;
    return thread < snapshot->n_threads ? snapshot->threads[thread].tid : 0;
}

int span_view_number_threads(const struct snapshot *snapshot, struct hash_table *threads)
{
    int r = hash_table_reserve(threads, snapshot->n_threads);
    for (size_t i = 0; i < snapshot->n_threads && r == 0; i++) {
        r = hash_table_set(threads, (uint64_t)snapshot->threads[i].tid, (uint32_t)i);
    }
    return r;
}

bool span_view_reaches(const struct span_view *view, const struct stored_span *span)
{
    return !view->has_range ||
           (span->start_ns < view->range.to_ns &&
            (span->end_ns > view->range.from_ns || span->start_ns >= view->range.from_ns));
}

bool span_view_has(const struct span_view *view, const struct stored_span *span)
{
    /* Whoever the program names need not be a thread of the run. */
    int64_t tid =
        span->state == ORIGIN_PENDING ? span->origin_tid : span_view_tid(view, span->origin_thread);
    return span_view_reaches(view, span) && span_view_has_origin(view, span->lane, tid) &&
           span_view_keeps(view, span->lane, span->name, span->origin_stack);
}

uint64_t span_view_clip(const struct span_view *view, uint64_t start_ns, uint64_t end_ns)
{
    start_ns = start_ns < view->range.from_ns ? view->range.from_ns : start_ns;
    end_ns = view->has_range && end_ns > view->range.to_ns ? view->range.to_ns : end_ns;
    return end_ns > start_ns ? end_ns - start_ns : 0;
}

/* Programs tell what they like: what is further off than a number can say is as far as it can. */
int64_t span_view_relative_ns(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t start_ns = snapshot->start_ns;
    bool is_before = time_ns < start_ns;
    uint64_t away_ns = is_before ? start_ns - time_ns : time_ns - start_ns;
    int64_t relative_ns = away_ns > INT64_MAX ? INT64_MAX : (int64_t)away_ns;
    return is_before ? -relative_ns : relative_ns;
}

uint64_t span_view_waited_ns(const struct span_view *view, const struct stored_span *span)
{
    const struct event_span_details *details =
        span->details == STORED_SPAN_NO_DETAILS
            ? NULL
            : snapshot_span_details(view->context->snapshot, span->details);
    if (!details || details->wait.tid == 0) {
        return 0;
    }
    uint64_t start_ns = details->wait.time_ns, end_ns = details->wait_end_ns;
    return span_view_clip(view, start_ns < span->start_ns ? span->start_ns : start_ns,
                          end_ns > span->end_ns ? span->end_ns : end_ns);
}

bool span_view_is_partial(const struct span_view *view)
{
    const struct snapshot *snapshot = view->context->snapshot;
    uint64_t from_ns = view->has_range ? view->range.from_ns : 0;
    return snapshot->spans_folded_until_ns > from_ns;
}

static int each_from(const struct span_view *view, uint64_t first, span_view_cb on_span,
                     void *userdata)
{
    const struct snapshot *snapshot = view->context->snapshot;
    int r = 0;
    for (uint64_t i = first; i < snapshot->n_spans && r == 0; i++) {
        struct stored_span span = snapshot_span(snapshot, i);
        if (span_view_has(view, &span)) {
            r = on_span(userdata, &span);
        }
    }
    return r;
}

int span_view_each(const struct span_view *view, span_view_cb on_span, void *userdata)
{
    return each_from(view, view->context->snapshot->first_span, on_span, userdata);
}

int span_view_each_pending(const struct span_view *view, span_view_cb on_span, void *userdata)
{
    const struct snapshot *snapshot = view->context->snapshot;
    uint64_t n_stored = snapshot->n_spans - snapshot->first_span;
    uint64_t n_pending =
        snapshot->n_pending_spans < n_stored ? snapshot->n_pending_spans : n_stored;
    return each_from(view, snapshot->n_spans - n_pending, on_span, userdata);
}
