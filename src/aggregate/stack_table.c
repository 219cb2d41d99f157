/* SPDX-License-Identifier: MIT */
#include "aggregate/stack_table.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/chunked.h"
#include "base/hash_table.h"

struct stack_table {
    struct chunked nodes;       /* struct stack_node */
    struct hash_table children; /* (parent, frame) → node */
};

int stack_table_new(struct stack_table **ret_table)
{
    _cleanup_(stack_table_freep) struct stack_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    hash_table_init(&table->children);
    int r = chunked_init(&table->nodes, sizeof(struct stack_node), STACK_TABLE_MAX_NODES);
    if (r == 0 && !chunked_add(&table->nodes)) { /* node 0, the root */
        r = -ENOMEM;
    }
    if (r != 0) {
        return r;
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}

struct stack_table *stack_table_free(struct stack_table *table)
{
    if (table) {
        chunked_release(&table->nodes);
        hash_table_release(&table->children);
        free(table);
    }
    return NULL;
}

/* Parent and frame are 32 bits each: together they are the key itself, so equal keys are equal
 * nodes. */
static uint64_t key_of(stack_id parent, frame_id frame)
{
    return (uint64_t)parent << 32 | frame;
}

static int add_child(struct stack_table *table, stack_id parent, frame_id frame, stack_id *ret_id)
{
    if (table->nodes.n_items >= STACK_TABLE_MAX_NODES) {
        return -ENOSPC;
    }
    stack_id id = (stack_id)table->nodes.n_items;
    struct stack_node *node = chunked_add(&table->nodes);
    if (!node) {
        return -ENOMEM;
    }
    *node = (struct stack_node){.parent = parent, .frame = frame};
    int r = hash_table_add(&table->children, key_of(parent, frame), id);
    if (r != 0) {
        return r; /* the node stays unused */
    }
    *ret_id = id;
    return 0;
}

int stack_table_intern(struct stack_table *table, const frame_id *frames, size_t n_frames,
                       stack_id *ret_id)
{
    return stack_table_extend(table, STACK_ID_EMPTY, frames, n_frames, ret_id);
}

int stack_table_extend(struct stack_table *table, stack_id base, const frame_id *frames,
                       size_t n_frames, stack_id *ret_id)
{
    stack_id at = base;
    for (size_t i = n_frames; i-- > 0;) {
        uint32_t child = hash_table_find(&table->children, key_of(at, frames[i]));
        if (child == HASH_TABLE_NONE) {
            int r = add_child(table, at, frames[i], &child);
            if (r != 0) {
                return r;
            }
        }
        at = child;
    }
    *ret_id = at;
    return 0;
}

int stack_table_append(struct stack_table *table, struct stack_node node)
{
    if (table->nodes.n_items >= STACK_TABLE_MAX_NODES) {
        return -ENOSPC;
    }
    struct stack_node *slot = chunked_add(&table->nodes);
    if (!slot) {
        return -ENOMEM;
    }
    *slot = node;
    return 0;
}

struct stack_node stack_table_get(const struct stack_table *table, stack_id id)
{
    return *(const struct stack_node *)chunked_get(&table->nodes, id);
}

uint32_t stack_table_count(const struct stack_table *table)
{
    return (uint32_t)table->nodes.n_items;
}

size_t stack_table_memory_bytes(const struct stack_table *table)
{
    return chunked_memory_bytes(&table->nodes) + hash_table_memory_bytes(&table->children);
}
