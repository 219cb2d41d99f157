/* SPDX-License-Identifier: MIT */
#include "aggregate/frame_table.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/chunked.h"
#include "base/hash_table.h"

struct frame_table {
    struct chunked frames; /* struct frame */
    struct hash_table ids; /* hash of the frame → id */
};

int frame_table_new(struct frame_table **ret_table)
{
    _cleanup_(frame_table_freep) struct frame_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    hash_table_init(&table->ids);
    int r = chunked_init(&table->frames, sizeof(struct frame), FRAME_TABLE_MAX);
    if (r != 0) {
        return r;
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}

struct frame_table *frame_table_free(struct frame_table *table)
{
    if (table) {
        chunked_release(&table->frames);
        hash_table_release(&table->ids);
        free(table);
    }
    return NULL;
}

static bool is_equal(uint32_t id, const void *wanted, const void *userdata)
{
    const struct frame *frame = wanted;
    struct frame candidate = frame_table_get(userdata, id);
    return candidate.image == frame->image && candidate.offset == frame->offset &&
           candidate.code_epoch == frame->code_epoch;
}

int frame_table_intern(struct frame_table *table, struct frame frame, frame_id *ret_id)
{
    uint64_t key =
        hash_u64(frame.offset ^ hash_u64(frame.image | (uint64_t)frame.code_epoch << 32));
    uint32_t id = hash_table_find_equal(&table->ids, key, is_equal, &frame, table);
    if (id == HASH_TABLE_NONE) {
        if (table->frames.n_items >= FRAME_TABLE_MAX) {
            return -ENOSPC;
        }
        id = (uint32_t)table->frames.n_items;
        struct frame *slot = chunked_add(&table->frames);
        if (!slot) {
            return -ENOMEM;
        }
        *slot = frame;
        int r = hash_table_add(&table->ids, key, id);
        if (r != 0) {
            return r;
        }
    }
    *ret_id = id;
    return 0;
}

int frame_table_append(struct frame_table *table, struct frame frame)
{
    if (table->frames.n_items >= FRAME_TABLE_MAX) {
        return -ENOSPC;
    }
    struct frame *slot = chunked_add(&table->frames);
    if (!slot) {
        return -ENOMEM;
    }
    *slot = frame;
    return 0;
}

struct frame frame_table_get(const struct frame_table *table, frame_id id)
{
    return *(const struct frame *)chunked_get(&table->frames, id);
}

uint32_t frame_table_count(const struct frame_table *table)
{
    return (uint32_t)table->frames.n_items;
}

size_t frame_table_memory_bytes(const struct frame_table *table)
{
    return chunked_memory_bytes(&table->frames) + hash_table_memory_bytes(&table->ids);
}
