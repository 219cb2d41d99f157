/* SPDX-License-Identifier: MIT */
#include "query/wait_groups.h"

#include <errno.h>

#include "query/stack_paths.h"

#define OBJECTS_MAX (1u << 16) /* pairs of group and object that are counted */

/* ---- which waits belong together ---- */

/* The reason is part of every key. */
static int key_of(struct stack_paths *paths, enum off_cpu_by by, const struct wait_share *row,
                  enum wait_reason reason, uint64_t *ret_key)
{
    uint32_t thing = 0;
    int r = 0;
    switch (by) {
    case OFF_CPU_BY_STACK:
        r = stack_paths_get(paths, row->stack, &thing);
        break;
    case OFF_CPU_BY_THREAD:
        thing = row->thread;
        break;
    case OFF_CPU_BY_REASON:
        break;
    }
    *ret_key = (uint64_t)thing << 8 | reason;
    return r;
}

static void add_row(struct wait_group *group, const struct wait_share *row,
                    const struct wait_cause_entry *cause)
{
    if (!group->cause) {
        *group = (struct wait_group){
            .reason = cause->reason, .thread = row->thread, .is_complete = true};
    }
    if (!group->cause || row->blocked_ns > group->heaviest_ns) {
        group->stack = row->stack;
        group->cause = cause;
        group->heaviest_ns = row->blocked_ns;
    }
    if (group->thread != row->thread) {
        group->thread = THREAD_ID_NONE;
    }
    group->blocked_ns += row->blocked_ns;
    group->n_waits += row->n_waits;
    group->n_open += row->n_open;
    group->max_ns = row->max_ns > group->max_ns ? row->max_ns : group->max_ns;
    group->is_approximate = group->is_approximate || (row->flags & WAIT_FLAG_APPROXIMATE);
    group->is_complete =
        group->is_complete && !(row->flags & WAIT_FLAG_CUT) && row->stack != STACK_ID_EMPTY;
}

struct grouping {
    const struct wait_groups_options *options;
    struct wait_causes *causes;
    struct stack_paths paths;
    struct hash_table group_of; /* by key */
};

static int put_row(struct grouping *grouping, struct wait_groups *groups, size_t index)
{
    const struct wait_groups_options *options = grouping->options;
    const struct wait_share *row = &groups->waits->rows[index];
    const struct wait_cause_entry *cause =
        wait_causes_get(grouping->causes, row->stack, row->object);
    if (!cause) {
        return -ENOMEM;
    }
    groups->of_row[index] = WAIT_GROUP_NONE;
    if (options->has_reason && cause->reason != options->reason) {
        return 0;
    }
    uint64_t key;
    int r = key_of(&grouping->paths, options->by, row, cause->reason, &key);
    if (r != 0) {
        return r;
    }
    uint32_t group = hash_table_find(&grouping->group_of, key);
    if (group == HASH_TABLE_NONE) {
        group = (uint32_t)groups->n_groups++;
        r = hash_table_add(&grouping->group_of, key, group);
        if (r != 0) {
            return r;
        }
    }
    groups->of_row[index] = group;
    add_row(&groups->groups[group], row, cause);
    return 0;
}

int wait_groups_make(const struct query_context *context, struct attribution *attribution,
                     struct wait_causes *causes, const struct wait_groups_options *options,
                     struct wait_groups *ret_groups)
{
    struct grouping grouping = {.options = options, .causes = causes};
    *ret_groups = (struct wait_groups){0};
    int r = attribution_waits(context, attribution, &ret_groups->waits);
    if (r != 0) {
        return r;
    }
    size_t n_rows = ret_groups->waits->n_rows;
    ret_groups->of_row = arena_alloc_array(context->arena, n_rows, sizeof(*ret_groups->of_row));
    ret_groups->groups = arena_alloc_array(context->arena, n_rows, sizeof(*ret_groups->groups));
    if (!ret_groups->of_row || !ret_groups->groups) {
        return -ENOMEM;
    }
    hash_table_init(&grouping.group_of);
    r = stack_paths_init(context, &grouping.paths);
    for (size_t i = 0; i < n_rows && r == 0; i++) {
        r = put_row(&grouping, ret_groups, i);
    }
    stack_paths_release(&grouping.paths);
    hash_table_release(&grouping.group_of);
    return r;
}

/* ---- single waits ---- */

struct object_count {
    uint32_t group;
    wait_object_id object;
    uint64_t n_waits;
};

struct look {
    const struct query_context *context;
    struct wait_groups *groups;
    struct hash_table row_of; /* of the rows of wanted groups, by thread and stack */
    struct hash_table count_of;
    struct object_count *counts;
    uint32_t n_counts, n_counts_room;
};

static int count_object(struct look *look, uint32_t group, wait_object_id object)
{
    uint64_t key = (uint64_t)group << 32 | object;
    uint32_t known = hash_table_find(&look->count_of, key);
    if (known != HASH_TABLE_NONE) {
        look->counts[known].n_waits++;
        return 0;
    }
    if (look->n_counts == OBJECTS_MAX) {
        return 0;
    }
    look->counts[look->n_counts] =
        (struct object_count){.group = group, .object = object, .n_waits = 1};
    return hash_table_add(&look->count_of, key, look->n_counts++);
}

static int look_at(struct look *look, thread_id thread, stack_id stack, wait_object_id object,
                   uint64_t length_ns)
{
    uint32_t row = hash_table_find(&look->row_of, (uint64_t)thread << 32 | stack);
    if (row == HASH_TABLE_NONE) {
        return 0;
    }
    uint32_t group = look->groups->of_row[row];
    int r = wait_lengths_add(&look->groups->groups[group].lengths, look->context->arena, length_ns);
    return r == 0 && object != 0 ? count_object(look, group, object) : r;
}

static int look_at_stored(void *userdata, const struct stored_wait *wait, uint64_t blocked_ns)
{
    return look_at(userdata, wait->thread, wait->stack, wait->object, blocked_ns);
}

static int look_at_open(struct look *look, const struct attribution *attribution)
{
    const struct snapshot *snapshot = look->context->snapshot;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        uint64_t open_ns = wait_shares_open_ns(attribution, totals);
        if (!attribution->threads[i].is_in_view || open_ns == 0) {
            continue;
        }
        int r = look_at(look, (thread_id)i, totals->wait_stack, totals->wait_object, open_ns);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int want_rows(struct look *look, const uint8_t *is_wanted)
{
    const struct wait_shares *waits = look->groups->waits;
    for (size_t i = 0; i < waits->n_rows; i++) {
        uint32_t group = look->groups->of_row[i];
        if (group == WAIT_GROUP_NONE || !is_wanted[group]) {
            continue;
        }
        uint64_t key = (uint64_t)waits->rows[i].thread << 32 | waits->rows[i].stack;
        int r = hash_table_add(&look->row_of, key, (uint32_t)i);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static void choose_objects(struct look *look)
{
    uint64_t *most = arena_alloc_array(look->context->arena, look->groups->n_groups, sizeof(*most));
    for (uint32_t i = 0; i < look->n_counts && most; i++) {
        const struct object_count *count = &look->counts[i];
        struct wait_group *group = &look->groups->groups[count->group];
        group->n_objects++;
        if (count->n_waits > most[count->group]) {
            most[count->group] = count->n_waits;
            group->object = count->object;
        }
    }
}

int wait_groups_look(const struct query_context *context, const struct attribution *attribution,
                     const uint8_t *is_wanted, struct wait_groups *groups)
{
    struct look look = {
        .context = context,
        .groups = groups,
        .counts = arena_alloc_array(context->arena, OBJECTS_MAX, sizeof(*look.counts)),
    };
    if (!look.counts) {
        return -ENOMEM;
    }
    hash_table_init(&look.row_of);
    hash_table_init(&look.count_of);
    int r = want_rows(&look, is_wanted);
    r = r ? r : wait_shares_visit(context, attribution, look_at_stored, &look);
    r = r ? r : look_at_open(&look, attribution);
    hash_table_release(&look.row_of);
    hash_table_release(&look.count_of);
    if (r == 0) {
        choose_objects(&look);
    }
    return r;
}
