/* SPDX-License-Identifier: MIT */
#include "jit/jit_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANCESTORS 16

void jit_space_init(struct jit_space *space, int64_t pid)
{
    *space = (struct jit_space){.pid = pid};
    jit_index_init(&space->index);
}

void jit_space_release(struct jit_space *space)
{
    jit_index_release(&space->index);
    free(space->added);
    space->added = NULL;
    space->n_added = space->added_capacity = 0;
}

int jit_space_add(struct jit_space *space, const struct jit_range *range)
{
    if (space->n_added == space->added_capacity) {
        size_t capacity = space->added_capacity ? 2 * space->added_capacity : 16;
        struct jit_range *grown = reallocarray(space->added, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        space->added = grown;
        space->added_capacity = capacity;
    }
    space->added[space->n_added++] = *range;
    return 0;
}

void jit_space_cut(struct jit_space *space, uint64_t time_ns)
{
    if (time_ns <= jit_space_last_cut_ns(space)) {
        return;
    }
    if (space->n_cuts == JIT_SPACE_MAX_CUTS) {
        space->n_cuts--;
        memmove(space->cuts_ns, space->cuts_ns + 1, space->n_cuts * sizeof(space->cuts_ns[0]));
    }
    space->cuts_ns[space->n_cuts++] = time_ns;
}

uint64_t jit_space_last_cut_ns(const struct jit_space *space)
{
    return space->n_cuts > 0 ? space->cuts_ns[space->n_cuts - 1] : 0;
}

/* The program that the process ran at time_ns: from which cut to which. */
static void find_program(const struct jit_space *space, uint64_t time_ns, uint64_t *ret_from_ns,
                         uint64_t *ret_to_ns)
{
    *ret_from_ns = 0;
    *ret_to_ns = UINT64_MAX;
    for (size_t i = space->n_cuts; i > 0; i--) {
        if (space->cuts_ns[i - 1] <= time_ns) {
            *ret_from_ns = space->cuts_ns[i - 1];
            return;
        }
        *ret_to_ns = space->cuts_ns[i - 1];
    }
}

/* What comes nearest to standing at a moment, and why. */
struct search {
    const struct jit_moment *moment;
    uint64_t program_from_ns, program_to_ns;
    struct jit_range best;
    enum { NEAR_NOTHING, NEAR_LATER, NEAR_EARLIER, NEAR_NOW } nearness;
};

static bool is_later(const struct jit_range *one, const struct jit_range *other)
{
    return one->from_ns != other->from_ns ? one->from_ns > other->from_ns
                                          : one->order > other->order;
}

static uint64_t with_slack(uint64_t time_ns)
{
    return time_ns < UINT64_MAX - JIT_SPACE_SLACK_NS ? time_ns + JIT_SPACE_SLACK_NS : UINT64_MAX;
}

static int nearness_of(const struct search *search, const struct jit_range *range)
{
    const struct jit_moment *moment = search->moment;
    if (range->from_ns < search->program_from_ns || range->from_ns >= search->program_to_ns) {
        return NEAR_NOTHING; /* another program's */
    }
    if (range->from_ns > moment->at_ns) {
        bool is_near = !range->is_time_exact || range->from_ns <= with_slack(moment->to_ns);
        return is_near ? NEAR_LATER : NEAR_NOTHING;
    }
    if (range->to_ns <= moment->at_ns) {
        return with_slack(range->to_ns) >= moment->from_ns ? NEAR_EARLIER : NEAR_NOTHING;
    }
    return NEAR_NOW;
}

/*
 * Code that has replaced other code began last. Where none had begun, the
 * record was late, and the first one of all is meant.
 */
static bool consider(void *userdata, struct jit_range *range)
{
    struct search *search = userdata;
    int nearness = nearness_of(search, range);
    if (nearness == NEAR_NOTHING) {
        return true;
    }
    bool is_better = nearness > (int)search->nearness;
    if (nearness == (int)search->nearness) {
        is_better = nearness == NEAR_LATER ? is_later(&search->best, range)
                                           : is_later(range, &search->best);
    }
    if (is_better) {
        search->best = *range;
        search->nearness = nearness;
    }
    return true;
}

bool jit_space_find(const struct jit_space *space, uint64_t ip, const struct jit_moment *moment,
                    struct jit_range *ret_range, bool *inout_has_more)
{
    struct jit_moment now = *moment;
    for (int depth = 0; space && depth < MAX_ANCESTORS; depth++) {
        struct search search = {.moment = &now};
        find_program(space, now.at_ns, &search.program_from_ns, &search.program_to_ns);
        if (!jit_index_overlaps(&space->index, ip, ip + 1, JIT_SPACE_MAX_VISITS, consider,
                                &search)) {
            *inout_has_more = true;
        }
        if (search.nearness != NEAR_NOTHING) {
            *ret_range = search.best;
            ret_range->to_ns =
                ret_range->to_ns < search.program_to_ns ? ret_range->to_ns : search.program_to_ns;
            return true;
        }
        if (search.program_from_ns > space->fork_ns) {
            break; /* it runs another program than its parent did */
        }
        if (now.at_ns > space->fork_ns) {
            now = (struct jit_moment){space->fork_ns, space->fork_ns, space->fork_ns};
        }
        space = space->parent;
    }
    return false;
}
