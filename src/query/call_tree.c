/* SPDX-License-Identifier: MIT */
/*
 * The aggregate's tree is one of frames. Here each frame that carries weight
 * is replaced by what stands there, which is worked out once per frame, not
 * once per stack.
 */
#include "query/call_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/hash_table.h"
#include "query/query_names.h"

#define FIRST_ROOM 1024u

/* What stands at one frame: function `first`, or numbers[first … first + n), outermost first. */
struct frame_functions {
    uint32_t first, n; /* n 0: not looked at yet */
};

struct builder {
    const struct query_context *context;
    enum call_tree_grouping grouping;
    struct call_tree *tree;
    uint32_t *node_of;              /* by stack_id; 0: nothing in or below it has weight */
    struct frame_functions *frames; /* by frame_id */
    uint32_t *numbers;
    uint32_t n_numbers;
    uint32_t n_numbers_room, n_functions_room, n_nodes_room;
    struct hash_table functions;
};

/* Room for one more element; what is outgrown stays in the arena. */
static void *grow(struct arena *arena, void *items, uint32_t n_items, uint32_t *n_room,
                  uint32_t n_first_room, size_t item_bytes)
{
    if (n_items < *n_room) {
        return items;
    }
    uint32_t n_wanted = *n_room ? *n_room * 2 : n_first_room;
    void *grown = arena_alloc_array(arena, n_wanted, item_bytes);
    if (grown) {
        if (n_items > 0) {
            memcpy(grown, items, n_items * item_bytes);
        }
        *n_room = n_wanted;
    }
    return grown;
}

/* ---- functions ---- */

static uint64_t key_of(enum call_tree_grouping grouping, const struct call_tree_function *function)
{
    if (grouping == CALL_TREE_BY_IMAGE) {
        return hash_bytes(function->symbol->image, strlen(function->symbol->image)) ^
               hash_u64(function->image);
    }
    if (grouping == CALL_TREE_BY_LINE && function->file) {
        return hash_bytes(function->file, strlen(function->file)) ^ hash_u64(function->line);
    }
    return (uint64_t)(uintptr_t)function->symbol | function->is_inlined;
}

static bool is_same(uint32_t number, const void *wanted, const void *userdata)
{
    const struct builder *builder = userdata;
    const struct call_tree_function *known = &builder->tree->functions[number];
    const struct call_tree_function *function = wanted;
    if (builder->grouping == CALL_TREE_BY_IMAGE) {
        return known->image == function->image &&
               strcmp(known->symbol->image, function->symbol->image) == 0;
    }
    if (builder->grouping == CALL_TREE_BY_LINE && (known->file || function->file)) {
        return known->file && function->file && known->line == function->line &&
               strcmp(known->file, function->file) == 0;
    }
    return known->symbol == function->symbol && known->is_inlined == function->is_inlined;
}

static int number_function(struct builder *builder, const struct call_tree_function *function,
                           uint32_t *ret_number)
{
    struct call_tree *tree = builder->tree;
    uint64_t key = key_of(builder->grouping, function);
    uint32_t number =
        builder->grouping == CALL_TREE_BY_FUNCTION /* then the key says all */
            ? hash_table_find(&builder->functions, key)
            : hash_table_find_equal(&builder->functions, key, is_same, function, builder);
    if (number == HASH_TABLE_NONE) {
        struct call_tree_function *functions = grow(
            builder->context->arena, tree->functions, tree->n_functions, &builder->n_functions_room,
            builder->context->snapshot->n_frames + 1, sizeof(*tree->functions));
        if (!functions) {
            return -ENOMEM;
        }
        tree->functions = functions;
        number = tree->n_functions++;
        functions[number] = *function;
        int r = hash_table_add(&builder->functions, key, number);
        if (r != 0) {
            return r;
        }
    }
    *ret_number = number;
    return 0;
}

static int append_number(struct builder *builder, uint32_t number)
{
    uint32_t *numbers = grow(builder->context->arena, builder->numbers, builder->n_numbers,
                             &builder->n_numbers_room, FIRST_ROOM, sizeof(*builder->numbers));
    if (!numbers) {
        return -ENOMEM;
    }
    builder->numbers = numbers;
    numbers[builder->n_numbers++] = number;
    return 0;
}

/* The functions at one frame, as the grouping counts them. */
static int look_at_frame(struct builder *builder, frame_id frame)
{
    const struct query_context *context = builder->context;
    struct name_chain chain;
    query_names_find_chain(context->names, context->snapshot, frame, &chain);
    bool has_lines = builder->grouping == CALL_TREE_BY_LINE;
    uint32_t first = builder->n_numbers, number = 0;
    uint32_t n = builder->grouping == CALL_TREE_BY_IMAGE ? 1 : chain.n_entries;
    for (uint32_t i = 0; i < n; i++) {
        const struct symbol_chain_entry *entry = &chain.entries[chain.n_entries - 1 - i];
        bool has_line = has_lines && entry->file && entry->line > 0;
        const struct call_tree_function function = {
            .symbol = entry->symbol,
            .is_inlined = !has_lines && entry->is_inlined,
            .image = snapshot_frame(context->snapshot, frame).image,
            .file = has_line ? entry->file : NULL,
            .line = has_line ? entry->line : 0,
        };
        int r = number_function(builder, &function, &number);
        if (r == 0 && n > 1) {
            r = append_number(builder, number);
        }
        if (r != 0) {
            return r;
        }
    }
    builder->frames[frame] = (struct frame_functions){.first = n > 1 ? first : number, .n = n};
    return 0;
}

/* ---- nodes ---- */

static bool has_weight(const struct attribution *attribution, stack_id id)
{
    const struct stack_waits *waits = attribution->stack_waits;
    return attribution->stack_samples[id] > 0 ||
           (waits && (waits[id].blocked_ns > 0 || waits[id].n_waits > 0));
}

/* Children have larger ids than their parents: one backward pass sees all below a stack first. */
static int mark_weight(struct builder *builder)
{
    const struct snapshot *snapshot = builder->context->snapshot;
    uint32_t *node_of =
        arena_alloc_array(builder->context->arena, snapshot->n_stacks, sizeof(*node_of));
    if (!node_of) {
        return -ENOMEM;
    }
    uint32_t n_marked = 1;
    for (stack_id id = snapshot->n_stacks; id-- > 1;) {
        if (node_of[id] != 0 || has_weight(builder->tree->attribution, id)) {
            node_of[id] = 1;
            node_of[snapshot_stack(snapshot, id).parent] = 1;
            n_marked++;
        }
    }
    node_of[STACK_ID_EMPTY] = CALL_TREE_ROOT;
    builder->node_of = node_of;
    builder->n_nodes_room = n_marked;
    return 0;
}

/* The nodes of one stack's innermost frame, below those of its callers. */
static int add_nodes(struct builder *builder, stack_id id, const struct stack_node *stack)
{
    struct call_tree *tree = builder->tree;
    const struct frame_functions *frame = &builder->frames[stack->frame];
    uint32_t parent = builder->node_of[stack->parent];
    for (uint32_t i = 0; i < frame->n; i++) {
        struct call_node *nodes = grow(builder->context->arena, tree->nodes, tree->n_nodes,
                                       &builder->n_nodes_room, FIRST_ROOM, sizeof(*nodes));
        if (!nodes || tree->n_nodes == CALL_TREE_NONE) {
            return -ENOMEM;
        }
        tree->nodes = nodes;
        nodes[tree->n_nodes] = (struct call_node){
            .parent = parent,
            .function = frame->n > 1 ? builder->numbers[frame->first + i] : frame->first,
            .first_child = CALL_TREE_NONE,
            .next_sibling = CALL_TREE_NONE,
            .stack = CALL_TREE_NONE,
            .subtree_nodes = 1,
        };
        parent = tree->n_nodes++;
    }
    struct call_node *innermost = &tree->nodes[parent];
    innermost->stack = id;
    innermost->subtree_ns = tree->attribution->stack_ns[id];
    innermost->subtree_samples = tree->attribution->stack_samples[id];
    builder->node_of[id] = parent;
    return 0;
}

static int make_nodes(struct builder *builder)
{
    const struct snapshot *snapshot = builder->context->snapshot;
    struct call_tree *tree = builder->tree;
    struct arena *arena = builder->context->arena;
    builder->frames = arena_alloc_array(arena, snapshot->n_frames, sizeof(*builder->frames));
    tree->nodes = arena_alloc_array(arena, builder->n_nodes_room, sizeof(*tree->nodes));
    if (!builder->frames || !tree->nodes) {
        return -ENOMEM;
    }
    tree->n_nodes = 1;
    tree->nodes[CALL_TREE_ROOT] = (struct call_node){
        .parent = CALL_TREE_NONE,
        .function = CALL_TREE_NONE,
        .first_child = CALL_TREE_NONE,
        .next_sibling = CALL_TREE_NONE,
        .stack = STACK_ID_EMPTY,
        .subtree_ns = tree->attribution->stack_ns[STACK_ID_EMPTY],
        .subtree_samples = tree->attribution->stack_samples[STACK_ID_EMPTY],
    };
    for (stack_id id = 1; id < snapshot->n_stacks; id++) {
        if (builder->node_of[id] == 0) {
            continue;
        }
        struct stack_node stack = snapshot_stack(snapshot, id);
        int r = builder->frames[stack.frame].n > 0 ? 0 : look_at_frame(builder, stack.frame);
        r = r ? r : add_nodes(builder, id, &stack);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int make_waits(struct call_tree *tree, struct arena *arena)
{
    if (!tree->attribution->stack_waits) {
        return 0;
    }
    tree->subtree_waits = arena_alloc_array(arena, tree->n_nodes, sizeof(*tree->subtree_waits));
    if (!tree->subtree_waits) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        tree->subtree_waits[i] = call_tree_self_waits(tree, &tree->nodes[i]);
    }
    for (uint32_t i = tree->n_nodes; i-- > 1;) {
        struct stack_waits *parent = &tree->subtree_waits[tree->nodes[i].parent];
        parent->blocked_ns += tree->subtree_waits[i].blocked_ns;
        parent->n_waits += tree->subtree_waits[i].n_waits;
    }
    return 0;
}

static void sum_subtrees(struct call_tree *tree)
{
    for (uint32_t i = tree->n_nodes; i-- > 1;) {
        struct call_node *node = &tree->nodes[i];
        struct call_node *parent = &tree->nodes[node->parent];
        parent->subtree_ns += node->subtree_ns;
        parent->subtree_samples += node->subtree_samples;
        parent->subtree_nodes += node->subtree_nodes;
        node->next_sibling = parent->first_child;
        parent->first_child = i;
    }
}

int call_tree_build(const struct query_context *context, const struct attribution *attribution,
                    enum call_tree_grouping grouping, struct call_tree *ret_tree)
{
    *ret_tree = (struct call_tree){.attribution = attribution};
    struct builder builder = {.context = context, .grouping = grouping, .tree = ret_tree};
    hash_table_init(&builder.functions);
    int r = mark_weight(&builder);
    r = r ? r : make_nodes(&builder);
    r = r ? r : make_waits(ret_tree, context->arena);
    hash_table_release(&builder.functions);
    if (r == 0) {
        ret_tree->node_of_stack = builder.node_of;
        sum_subtrees(ret_tree);
    }
    return r;
}

const char *call_tree_address(struct arena *arena, const struct symbol *symbol)
{
    return arena_printf(arena, "0x%" PRIx64, symbol->start_address);
}
