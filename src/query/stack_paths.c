/* SPDX-License-Identifier: MIT */
#include "query/stack_paths.h"

#include <errno.h>
#include <string.h>

#include "query/query_names.h"
#include "query/stack_frames.h"

#define PATHS_FIRST_ROOM 256u
#define PENDING_MAX 512u

struct stack_path {
    uint32_t parent;
    uint32_t first_child;        /* 0: none; the others are in `known` */
    const struct symbol *symbol; /* one pointer per function and way */
};

int stack_paths_init(const struct query_context *context, struct stack_paths *ret_paths)
{
    *ret_paths = (struct stack_paths){
        .context = context,
        .of_stack = arena_alloc_array(context->arena, context->snapshot->n_stacks,
                                      sizeof(*ret_paths->of_stack)),
        .of_asked = arena_alloc_array(context->arena, context->snapshot->n_stacks,
                                      sizeof(*ret_paths->of_asked)),
        .paths = arena_alloc_array(context->arena, PATHS_FIRST_ROOM, sizeof(*ret_paths->paths)),
        .n_paths = 1,
        .n_paths_room = PATHS_FIRST_ROOM,
    };
    hash_table_init(&ret_paths->known);
    return ret_paths->of_stack && ret_paths->of_asked && ret_paths->paths ? 0 : -ENOMEM;
}

void stack_paths_release(struct stack_paths *paths)
{
    hash_table_release(&paths->known);
}

static bool is_same(uint32_t number, const void *wanted, const void *userdata)
{
    const struct stack_path *known = (const struct stack_path *)userdata + number;
    const struct stack_path *path = wanted;
    return known->parent == path->parent && known->symbol == path->symbol;
}

/* Most paths have one child or none, and no need to be looked for among all. */
static int number_path(struct stack_paths *paths, const struct stack_path *path, uint32_t *ret_path)
{
    uint32_t first = paths->paths[path->parent].first_child;
    uint64_t key = hash_u64((uint64_t)(uintptr_t)path->symbol ^ hash_u64(path->parent));
    uint32_t known = first;
    if (first != 0 && paths->paths[first].symbol != path->symbol) {
        known = hash_table_find_equal(&paths->known, key, is_same, path, paths->paths);
    }
    if (known != 0 && known != HASH_TABLE_NONE) {
        *ret_path = known;
        return 0;
    }
    if (paths->n_paths == paths->n_paths_room) {
        struct stack_path *grown = arena_alloc_array(
            paths->context->arena, (size_t)paths->n_paths_room * 2, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        memcpy(grown, paths->paths, paths->n_paths * sizeof(*grown));
        paths->paths = grown;
        paths->n_paths_room *= 2;
    }
    int r = first != 0 ? hash_table_add(&paths->known, key, paths->n_paths) : 0;
    if (r == 0) {
        if (first == 0) {
            paths->paths[path->parent].first_child = paths->n_paths;
        }
        *ret_path = paths->n_paths;
        paths->paths[paths->n_paths++] = *path;
    }
    return r;
}

/* The path of the stack's innermost place, below that of its callers. */
static int work_out(struct stack_paths *paths, stack_id stack)
{
    const struct query_context *context = paths->context;
    struct stack_node node = snapshot_stack(context->snapshot, stack);
    uint32_t path = node.parent == STACK_ID_EMPTY ? 0 : paths->of_stack[node.parent] - 1;
    struct name_chain chain;
    query_names_find_chain(context->names, context->snapshot, node.frame, &chain);
    for (uint32_t i = chain.n_entries; i > 0; i--) {
        const struct stack_path next = {.parent = path, .symbol = chain.entries[i - 1].symbol};
        int r = number_path(paths, &next, &path);
        if (r != 0) {
            return r;
        }
    }
    paths->of_stack[stack] = path + 1;
    return 0;
}

static int find_out(struct stack_paths *paths, stack_id stack, uint32_t *ret_path)
{
    stack = stack_without_scheduler(paths->context, stack);
    while (stack != STACK_ID_EMPTY && paths->of_stack[stack] == 0) {
        /* The outermost of those that are not worked out; deeper stacks take another round. */
        stack_id pending[PENDING_MAX];
        size_t n_pending = 0;
        for (stack_id at = stack; at != STACK_ID_EMPTY && paths->of_stack[at] == 0;
             at = snapshot_stack(paths->context->snapshot, at).parent) {
            pending[n_pending++ % PENDING_MAX] = at;
        }
        size_t n_worked_out = n_pending < PENDING_MAX ? n_pending : PENDING_MAX;
        for (size_t i = 1; i <= n_worked_out; i++) {
            int r = work_out(paths, pending[(n_pending - i) % PENDING_MAX]);
            if (r != 0) {
                return r;
            }
        }
    }
    *ret_path = stack == STACK_ID_EMPTY ? 0 : paths->of_stack[stack] - 1;
    return 0;
}

int stack_paths_get(struct stack_paths *paths, stack_id stack, uint32_t *ret_path)
{
    int r = 0;
    if (paths->of_asked[stack] == 0) {
        r = find_out(paths, stack, ret_path);
        paths->of_asked[stack] = r == 0 ? *ret_path + 1 : 0;
    } else {
        *ret_path = paths->of_asked[stack] - 1;
    }
    return r;
}
