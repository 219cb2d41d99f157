/* SPDX-License-Identifier: MIT */
#include "capture/event_merge.h"

#include <errno.h>
#include <stdlib.h>

/* Events handed to the sink at once. */
#define OUTPUT_EVENTS 4096u

struct source {
    struct event_batch *batch, *spare;
    size_t next; /* first event of `batch` that was not delivered */
};

struct event_merge {
    size_t n_sources;
    struct source *sources;
    struct event *output;
    uint64_t newest_ns;
    uint64_t n_delivered, n_late;
};

int event_merge_new(size_t n_sources, struct event_merge **ret_merge)
{
    _cleanup_(event_merge_freep) struct event_merge *merge = calloc(1, sizeof(*merge));
    if (!merge) {
        return -ENOMEM;
    }
    merge->sources = calloc(n_sources, sizeof(*merge->sources));
    merge->output = calloc(OUTPUT_EVENTS, sizeof(*merge->output));
    if (!merge->sources || !merge->output) {
        return -ENOMEM;
    }
    merge->n_sources = n_sources;
    const struct event_batch_limits limits = {0};
    for (size_t i = 0; i < n_sources; i++) {
        int r = event_batch_new(&limits, &merge->sources[i].batch);
        if (r == 0) {
            r = event_batch_new(&limits, &merge->sources[i].spare);
        }
        if (r != 0) {
            return r;
        }
    }
    *ret_merge = TAKE_PTR(merge);
    return 0;
}

struct event_merge *event_merge_free(struct event_merge *merge)
{
    if (merge) {
        for (size_t i = 0; i < merge->n_sources; i++) {
            event_batch_free(merge->sources[i].batch);
            event_batch_free(merge->sources[i].spare);
        }
        free(merge->sources);
        free(merge->output);
        free(merge);
    }
    return NULL;
}

struct event_batch *event_merge_batch(struct event_merge *merge, size_t source)
{
    return merge->sources[source].batch;
}

/* The oldest event that waits, or NULL. A scan: there is one source per CPU, and rounds are short.
 */
static struct source *oldest(struct event_merge *merge, uint64_t until_ns)
{
    struct source *best = NULL;
    uint64_t best_ns = until_ns;
    for (size_t i = 0; i < merge->n_sources; i++) {
        struct source *source = &merge->sources[i];
        if (source->next == event_batch_count(source->batch)) {
            continue;
        }
        uint64_t time_ns = event_batch_get(source->batch, source->next)->time_ns;
        if (time_ns < best_ns || (time_ns == best_ns && !best)) {
            best = source;
            best_ns = time_ns;
        }
    }
    return best;
}

/* Moves what was not delivered into the spare batch, so that the storage of the rest can be reused.
 */
static void keep_rest(struct source *source)
{
    size_t n_events = event_batch_count(source->batch);
    if (source->next == 0) {
        return;
    }
    event_batch_clear(source->spare);
    for (size_t i = source->next; i < n_events; i++) {
        event_batch_add_deep(source->spare, event_batch_get(source->batch, i));
    }
    struct event_batch *emptied = source->batch;
    source->batch = source->spare;
    source->spare = emptied;
    source->next = 0;
}

static int flush(struct event_merge *merge, size_t n_events, const struct event_sink *sink)
{
    merge->n_delivered += n_events;
    return n_events > 0 ? sink->on_events(sink->userdata, merge->output, n_events) : 0;
}

int event_merge_deliver(struct event_merge *merge, uint64_t until_ns, const struct event_sink *sink)
{
    int first_error = 0;
    size_t n_output = 0;
    struct source *source;
    while ((source = oldest(merge, until_ns))) {
        struct event *event = &merge->output[n_output++];
        *event = *event_batch_get(source->batch, source->next++);
        if (event->time_ns < merge->newest_ns) {
            event->time_ns = merge->newest_ns;
            merge->n_late++;
        }
        merge->newest_ns = event->time_ns;
        if (n_output == OUTPUT_EVENTS) {
            int r = flush(merge, n_output, sink);
            first_error = first_error ? first_error : r;
            n_output = 0;
        }
    }
    int r = flush(merge, n_output, sink);
    for (size_t i = 0; i < merge->n_sources; i++) {
        keep_rest(&merge->sources[i]);
    }
    return first_error ? first_error : r;
}

uint64_t event_merge_delivered(const struct event_merge *merge)
{
    return merge->n_delivered;
}

uint64_t event_merge_late(const struct event_merge *merge)
{
    return merge->n_late;
}
