/* SPDX-License-Identifier: MIT */
#include "query/object_text.h"

#include <inttypes.h>

#include "reasons/wait_object.h"

static const char *text_of_descriptor(const struct wait_object *object,
                                      const struct object_namer *namer, struct arena *arena)
{
    int fd = (int)object->argument; /* the kernel reads no more of it either */
    if (fd < 0) {
        return NULL;
    }
    const char *name =
        namer ? namer->name_descriptor(namer->userdata, arena, object->pid, fd) : NULL;
    return name ? name : arena_printf(arena, "descriptor %d", fd);
}

static const char *text_of_futex(const struct wait_object *object, const struct object_namer *namer,
                                 struct arena *arena)
{
    const char *name =
        namer ? namer->name_address(namer->userdata, arena, object->pid, object->argument) : NULL;
    return name ? arena_printf(arena, "futex %s", name)
                : arena_printf(arena, "futex 0x%" PRIx64, object->argument);
}

const char *object_text(const struct wait_object *object, const struct object_namer *namer,
                        struct arena *arena)
{
    switch (wait_object_of_syscall(object->syscall)) {
    case WAIT_OBJECT_FD:
        return text_of_descriptor(object, namer, arena);
    case WAIT_OBJECT_FUTEX:
        return text_of_futex(object, namer, arena);
    case WAIT_OBJECT_PID: {
        int pid = (int)object->argument;
        return pid > 0 ? arena_printf(arena, "process %d", pid) : "any child";
    }
    case WAIT_OBJECT_NONE:
        break;
    }
    return NULL;
}
