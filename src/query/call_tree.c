/* SPDX-License-Identifier: MIT */
#include "query/call_tree.h"

#include <errno.h>
#include <inttypes.h>

#include "base/hash_table.h"
#include "query/query_names.h"

/* Children have larger ids than their parents: one backward pass sums every subtree. */
static void sum_subtrees(const struct query_context *context, const struct attribution *attribution,
                         struct call_tree *tree)
{
    for (uint32_t id = tree->n_stacks; id-- > 0;) {
        tree->subtree_ns[id] += attribution->stack_ns[id];
        tree->subtree_samples[id] += attribution->stack_samples[id];
        if (id == 0 || tree->subtree_samples[id] == 0) {
            continue;
        }
        tree->subtree_nodes[id]++;
        stack_id parent = snapshot_stack(context->snapshot, id).parent;
        tree->subtree_ns[parent] += tree->subtree_ns[id];
        tree->subtree_samples[parent] += tree->subtree_samples[id];
        tree->subtree_nodes[parent] += tree->subtree_nodes[id];
        tree->next_sibling[id] = tree->first_child[parent];
        tree->first_child[parent] = id;
    }
}

/* The dense number of the frame's function. */
static int number_function(const struct query_context *context, frame_id frame,
                           uint32_t *frame_functions, struct hash_table *functions,
                           struct call_tree *tree, uint32_t *ret_function)
{
    if (frame_functions[frame] == 0) {
        const struct symbol *symbol = query_names_find(context->names, context->snapshot, frame);
        uint32_t function = hash_table_find(functions, (uint64_t)(uintptr_t)symbol);
        if (function == HASH_TABLE_NONE) {
            function = tree->n_functions++;
            tree->symbols[function] = symbol;
            int r = hash_table_add(functions, (uint64_t)(uintptr_t)symbol, function);
            if (r != 0) {
                return r;
            }
        }
        frame_functions[frame] = function + 1;
    }
    *ret_function = frame_functions[frame] - 1;
    return 0;
}

static int number_functions(const struct query_context *context, struct call_tree *tree)
{
    uint32_t n_frames = context->snapshot->n_frames;
    uint32_t *frame_functions = arena_alloc_array(context->arena, n_frames, sizeof(uint32_t));
    tree->symbols = arena_alloc_array(context->arena, n_frames, sizeof(*tree->symbols));
    if (!frame_functions || !tree->symbols) {
        return -ENOMEM;
    }
    _cleanup_(hash_table_releasep) struct hash_table functions;
    hash_table_init(&functions);
    tree->function[0] = CALL_TREE_NONE;
    for (stack_id id = 1; id < tree->n_stacks; id++) {
        tree->function[id] = CALL_TREE_NONE;
        if (tree->subtree_samples[id] == 0) {
            continue;
        }
        int r = number_function(context, snapshot_stack(context->snapshot, id).frame,
                                frame_functions, &functions, tree, &tree->function[id]);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

int call_tree_build(const struct query_context *context, const struct attribution *attribution,
                    struct call_tree *ret_tree)
{
    uint32_t n_stacks = context->snapshot->n_stacks;
    struct arena *arena = context->arena;
    *ret_tree = (struct call_tree){
        .n_stacks = n_stacks,
        .subtree_ns = arena_alloc_array(arena, n_stacks, sizeof(uint64_t)),
        .subtree_samples = arena_alloc_array(arena, n_stacks, sizeof(uint64_t)),
        .subtree_nodes = arena_alloc_array(arena, n_stacks, sizeof(uint32_t)),
        .first_child = arena_alloc_array(arena, n_stacks, sizeof(stack_id)),
        .next_sibling = arena_alloc_array(arena, n_stacks, sizeof(stack_id)),
        .function = arena_alloc_array(arena, n_stacks, sizeof(uint32_t)),
    };
    if (!ret_tree->subtree_ns || !ret_tree->subtree_samples || !ret_tree->subtree_nodes ||
        !ret_tree->first_child || !ret_tree->next_sibling || !ret_tree->function) {
        return -ENOMEM;
    }
    for (uint32_t id = 0; id < n_stacks; id++) {
        ret_tree->first_child[id] = CALL_TREE_NONE;
        ret_tree->next_sibling[id] = CALL_TREE_NONE;
    }
    sum_subtrees(context, attribution, ret_tree);
    return number_functions(context, ret_tree);
}

const char *call_tree_address(struct arena *arena, const struct symbol *symbol)
{
    return arena_printf(arena, "0x%" PRIx64, symbol->start_address);
}
