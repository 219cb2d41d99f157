/* SPDX-License-Identifier: MIT */
#include "query/hot_place.h"

#include <errno.h>
#include <stdlib.h>

#include "query/query_names.h"

struct hot_stack {
    const struct symbol *symbol;
    stack_id stack;
    uint64_t n_samples;
};

static uint64_t first_sample_at(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t low = snapshot->first_sample, high = snapshot->n_samples;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_sample(snapshot, middle)->time_ns >= time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void hot_places_init(const struct query_context *context, uint64_t to_ns,
                     struct hot_places *ret_places)
{
    *ret_places = (struct hot_places){
        .context = context,
        .next = first_sample_at(context->snapshot, to_ns),
    };
}

void hot_places_release(struct hot_places *places)
{
    free(places->stacks);
    free(places->distinct);
    places->stacks = NULL;
    places->distinct = NULL;
}

static int keep_stack(struct hot_places *places, stack_id stack)
{
    if (places->n_stacks == places->stacks_capacity) {
        size_t capacity = places->stacks_capacity ? 2 * places->stacks_capacity : 256;
        stack_id *grown = reallocarray(places->stacks, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        places->stacks = grown;
        places->stacks_capacity = capacity;
    }
    places->stacks[places->n_stacks++] = stack;
    return 0;
}

static int by_id(const void *left, const void *right)
{
    const stack_id *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static int by_symbol(const void *left, const void *right)
{
    const struct hot_stack *a = left, *b = right;
    if (a->symbol != b->symbol) {
        return (uintptr_t)a->symbol < (uintptr_t)b->symbol ? -1 : 1;
    }
    return a->stack < b->stack ? -1 : a->stack > b->stack;
}

static const struct symbol *innermost(const struct query_context *context, stack_id stack)
{
    struct name_chain chain;
    frame_id frame = snapshot_stack(context->snapshot, stack).frame;
    query_names_find_chain(context->names, context->snapshot, frame, &chain);
    return chain.entries[0].symbol;
}

/* One row for each distinct stack. */
static int count_stacks(struct hot_places *places, size_t *ret_n_distinct)
{
    size_t n_distinct = 0;
    if (places->n_stacks > places->distinct_capacity) {
        struct hot_stack *grown =
            reallocarray(places->distinct, places->stacks_capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        places->distinct = grown;
        places->distinct_capacity = places->stacks_capacity;
    }
    qsort(places->stacks, places->n_stacks, sizeof(*places->stacks), by_id);
    for (size_t i = 0; i < places->n_stacks; i++) {
        stack_id stack = places->stacks[i];
        if (n_distinct > 0 && places->distinct[n_distinct - 1].stack == stack) {
            places->distinct[n_distinct - 1].n_samples++;
        } else {
            places->distinct[n_distinct++] = (struct hot_stack){
                .symbol = innermost(places->context, stack), .stack = stack, .n_samples = 1};
        }
    }
    *ret_n_distinct = n_distinct;
    return 0;
}

/* Where two functions were met equally often, that with the smaller stack: it came first. */
static void choose(struct hot_stack *distinct, size_t n_distinct, struct hot_place *place)
{
    uint64_t most = 0;
    qsort(distinct, n_distinct, sizeof(*distinct), by_symbol);
    for (size_t i = 0; i < n_distinct;) {
        uint64_t sum = 0;
        size_t best = i, end = i;
        for (; end < n_distinct && distinct[end].symbol == distinct[i].symbol; end++) {
            sum += distinct[end].n_samples;
            best = distinct[end].n_samples > distinct[best].n_samples ? end : best;
        }
        if (sum > most || (sum == most && distinct[best].stack < place->stack)) {
            most = sum;
            place->symbol = distinct[best].symbol;
            place->stack = distinct[best].stack;
        }
        i = end;
    }
}

int hot_places_find(struct hot_places *places, thread_id thread, uint64_t start_ns, uint64_t end_ns,
                    struct hot_place *ret_place)
{
    const struct snapshot *snapshot = places->context->snapshot;
    *ret_place = (struct hot_place){.stack = STACK_ID_EMPTY};
    places->n_stacks = 0;
    for (; places->next > snapshot->first_sample; places->next--) {
        const struct stored_sample *sample = snapshot_sample(snapshot, places->next - 1);
        if (sample->time_ns < start_ns) {
            break;
        }
        if (sample->thread != thread || sample->time_ns >= end_ns) {
            continue;
        }
        ret_place->n_samples++;
        int r = sample->stack != STACK_ID_EMPTY ? keep_stack(places, sample->stack) : 0;
        if (r != 0) {
            return r;
        }
    }
    if (places->n_stacks == 0) {
        return 0;
    }
    size_t n_distinct;
    int r = count_stacks(places, &n_distinct);
    if (r == 0) {
        choose(places->distinct, n_distinct, ret_place);
    }
    return r;
}
