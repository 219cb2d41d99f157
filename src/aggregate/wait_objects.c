/* SPDX-License-Identifier: MIT */
#include "aggregate/wait_objects.h"

#include <errno.h>
#include <stdbool.h>

int wait_objects_init(struct wait_objects *objects)
{
    *objects = (struct wait_objects){0};
    hash_table_init(&objects->ids);
    int r = chunked_init(&objects->objects, sizeof(struct wait_object), WAIT_OBJECTS_MAX);
    if (r != 0) {
        return r;
    }
    struct wait_object *none = chunked_add(&objects->objects);
    if (!none) {
        return -ENOMEM;
    }
    none->syscall = EVENT_NO_SYSCALL;
    return 0;
}

void wait_objects_release(struct wait_objects *objects)
{
    chunked_release(&objects->objects);
    hash_table_release(&objects->ids);
}

static bool is_equal(uint32_t id, const void *wanted, const void *userdata)
{
    const struct wait_object *object = wanted;
    struct wait_object known = wait_objects_get(userdata, id);
    return known.pid == object->pid && known.syscall == object->syscall &&
           known.argument == object->argument;
}

wait_object_id wait_objects_intern(struct wait_objects *objects, int64_t pid,
                                   struct event_wait_object object)
{
    if (object.syscall == EVENT_NO_SYSCALL) {
        return 0;
    }
    const struct wait_object wanted = {
        .pid = pid, .syscall = object.syscall, .argument = object.argument};
    uint64_t key = hash_u64(object.argument ^ hash_u64((uint64_t)pid << 32 ^ object.syscall));
    uint32_t known = hash_table_find_equal(&objects->ids, key, is_equal, &wanted, objects);
    if (known != HASH_TABLE_NONE) {
        return known;
    }
    wait_object_id id = (wait_object_id)objects->objects.n_items;
    struct wait_object *slot = chunked_add(&objects->objects);
    if (!slot) {
        objects->n_turned_away++;
        return 0;
    }
    *slot = wanted;
    return hash_table_add(&objects->ids, key, id) == 0 ? id : 0;
}

struct wait_object wait_objects_get(const struct wait_objects *objects, wait_object_id id)
{
    return *(const struct wait_object *)chunked_get(&objects->objects, id);
}

size_t wait_objects_memory_bytes(const struct wait_objects *objects)
{
    return chunked_memory_bytes(&objects->objects) + hash_table_memory_bytes(&objects->ids);
}
