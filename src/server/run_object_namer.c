/* SPDX-License-Identifier: MIT */
#include "server/run_object_namer.h"

#include "server/object_names.h"

static const char *name_descriptor(void *userdata, struct arena *arena, int64_t pid, int fd)
{
    struct run *run = userdata;
    bool is_alive = run_has_live_target(run);
    return object_names_find(run_get_object_names(run), arena, pid, fd, is_alive);
}

static const char *name_address(void *userdata, struct arena *arena, int64_t pid, uint64_t address)
{
    struct run *run = userdata;
    bool is_alive = run_has_live_target(run);
    return object_names_find_address(run_get_object_names(run), arena, pid, address, is_alive);
}

struct object_namer run_object_namer(struct run *run)
{
    return (struct object_namer){
        .userdata = run,
        .name_descriptor = name_descriptor,
        .name_address = name_address,
    };
}
