/* SPDX-License-Identifier: MIT */
#include "interchange/export_frames.h"

#include <errno.h>
#include <stdlib.h>

#include "query/query_names.h"

#define FIRST_ROOM 256u

static const char *const off_cpu_names[WAIT_REASON_N] = {
    [WAIT_REASON_IDLE] = "[off-CPU: idle]",   [WAIT_REASON_LOCK] = "[off-CPU: lock]",
    [WAIT_REASON_SEM] = "[off-CPU: sem]",     [WAIT_REASON_IPC] = "[off-CPU: ipc]",
    [WAIT_REASON_IO_R] = "[off-CPU: ioR]",    [WAIT_REASON_IO_W] = "[off-CPU: ioW]",
    [WAIT_REASON_READY] = "[off-CPU: ready]", [WAIT_REASON_SLEEP] = "[off-CPU: sleep]",
    [WAIT_REASON_CONN] = "[off-CPU: conn]",   [WAIT_REASON_OTHER] = "[off-CPU: other]",
};

/* Room for one more. NULL: no memory. */
static void *grow(void *items, uint32_t n_items, uint32_t *n_room, size_t item_bytes)
{
    if (n_items < *n_room) {
        return items;
    }
    uint32_t n_wanted = *n_room ? *n_room * 2 : FIRST_ROOM;
    void *grown = n_wanted > *n_room ? reallocarray(items, n_wanted, item_bytes) : NULL;
    if (grown) {
        *n_room = n_wanted;
    }
    return grown;
}

static int add_place(struct export_frames *frames, const struct export_place *place)
{
    struct export_place *places =
        grow(frames->places, frames->n_places, &frames->n_places_room, sizeof(*places));
    if (!places) {
        return -ENOMEM;
    }
    frames->places = places;
    places[frames->n_places++] = *place;
    return 0;
}

static int add_function(struct export_frames *frames, const struct export_function *function,
                        uint32_t *ret_number)
{
    struct export_function *functions =
        grow(frames->functions, frames->n_functions, &frames->n_functions_room, sizeof(*functions));
    if (!functions) {
        return -ENOMEM;
    }
    frames->functions = functions;
    *ret_number = frames->n_functions;
    functions[frames->n_functions++] = *function;
    return 0;
}

/* A function without code, and its only place. */
static int add_codeless(struct export_frames *frames, const char *name, enum export_kind kind,
                        uint32_t *ret_place)
{
    const struct export_function function = {.name = name, .image = "", .kind = kind};
    struct export_place place = {.frame = EXPORT_NO_FRAME};
    int r = add_function(frames, &function, &place.function);
    *ret_place = frames->n_places;
    return r ? r : add_place(frames, &place);
}

int export_frames_init(const struct query_context *context, struct export_frames *ret_frames)
{
    struct export_frames *frames = ret_frames;
    *frames = (struct export_frames){
        .context = context,
        .of_frame = arena_alloc_array(context->arena, context->snapshot->n_frames,
                                      sizeof(*frames->of_frame)),
        .is_loaded = arena_alloc_array(context->arena, context->snapshot->n_stacks, 1),
    };
    hash_table_init(&frames->function_of);
    int r = frames->of_frame && frames->is_loaded ? 0 : -ENOMEM;
    r = r ? r : add_codeless(frames, "(no stack)", EXPORT_KIND_NOWHERE, &frames->no_stack);
    r = r ? r : add_codeless(frames, "(not sampled)", EXPORT_KIND_NOWHERE, &frames->not_sampled);
    for (size_t i = 0; i < WAIT_REASON_N && r == 0; i++) {
        r = add_codeless(frames, off_cpu_names[i], EXPORT_KIND_OFF_CPU, &frames->off_cpu[i]);
    }
    if (r != 0) {
        export_frames_release(frames);
    }
    return r;
}

int export_frames_add_target(struct export_frames *frames, const char *name, uint32_t *ret_place)
{
    return add_codeless(frames, name, EXPORT_KIND_TARGET, ret_place);
}

void export_frames_release(struct export_frames *frames)
{
    hash_table_release(&frames->function_of);
    free(frames->places);
    free(frames->functions);
    free(frames->path);
    frames->places = NULL;
    frames->functions = NULL;
    frames->path = NULL;
}

static enum export_kind kind_of(enum frame_kind kind)
{
    switch (kind) {
    case FRAME_KIND_KERNEL:
        return EXPORT_KIND_KERNEL;
    case FRAME_KIND_JIT:
        return EXPORT_KIND_JIT;
    case FRAME_KIND_USER:
    case FRAME_KIND_VDSO:
    case FRAME_KIND_TARGET:
        break;
    }
    return EXPORT_KIND_USER;
}

static int number_function(struct export_frames *frames, const struct symbol_chain_entry *entry,
                           image_id image, uint32_t *ret_number)
{
    uint64_t key = (uint64_t)(uintptr_t)entry->symbol | entry->is_inlined;
    uint32_t number = hash_table_find(&frames->function_of, key);
    if (number == HASH_TABLE_NONE) {
        const struct export_function function = {
            .name = entry->symbol->name,
            .image = entry->symbol->image,
            .address = entry->symbol->start_address,
            .image_id = image,
            .kind = kind_of(entry->symbol->kind),
            .is_inlined = entry->is_inlined,
        };
        int r = add_function(frames, &function, &number);
        r = r ? r : hash_table_add(&frames->function_of, key, number);
        if (r != 0) {
            return r;
        }
    }
    if (!frames->functions[number].file) {
        frames->functions[number].file = entry->file;
    }
    *ret_number = number;
    return 0;
}

int export_frames_get(struct export_frames *frames, frame_id frame,
                      struct export_frame_places *ret_places)
{
    struct export_frame_places *known = &frames->of_frame[frame];
    if (known->n == 0) {
        const struct query_context *context = frames->context;
        struct name_chain chain;
        query_names_find_chain(context->names, context->snapshot, frame, &chain);
        image_id image = snapshot_frame(context->snapshot, frame).image;
        uint32_t first = frames->n_places;
        for (uint32_t i = 0; i < chain.n_entries; i++) {
            const struct symbol_chain_entry *entry = &chain.entries[chain.n_entries - 1 - i];
            struct export_place place = {
                .frame = frame,
                .file = entry->file,
                .line = entry->line,
                .depth = i,
            };
            int r = number_function(frames, entry, image, &place.function);
            r = r ? r : add_place(frames, &place);
            if (r != 0) {
                return r;
            }
        }
        *known = (struct export_frame_places){.first = first, .n = chain.n_entries};
    }
    *ret_places = *known;
    return 0;
}

int export_frames_load(struct export_frames *frames, stack_id stack)
{
    while (stack != STACK_ID_EMPTY && !frames->is_loaded[stack]) {
        struct stack_node node = snapshot_stack(frames->context->snapshot, stack);
        struct export_frame_places places;
        int r = export_frames_get(frames, node.frame, &places);
        if (r != 0) {
            return r;
        }
        frames->is_loaded[stack] = 1;
        stack = node.parent;
    }
    return 0;
}

static int reserve_path(struct export_frames *frames, size_t n)
{
    if (n <= frames->n_path_room) {
        return 0;
    }
    size_t n_room = frames->n_path_room ? frames->n_path_room : FIRST_ROOM;
    while (n_room < n) {
        n_room *= 2;
    }
    uint32_t *path = reallocarray(frames->path, n_room, sizeof(*path));
    if (!path) {
        return -ENOMEM;
    }
    frames->path = path;
    frames->n_path_room = n_room;
    return 0;
}

int export_frames_path(struct export_frames *frames, stack_id stack, const uint32_t **ret_places,
                       size_t *ret_n_places)
{
    size_t n = 0;
    for (; stack != STACK_ID_EMPTY;
         stack = snapshot_stack(frames->context->snapshot, stack).parent) {
        struct export_frame_places found;
        int r = export_frames_get(frames, snapshot_stack(frames->context->snapshot, stack).frame,
                                  &found);
        r = r ? r : reserve_path(frames, n + found.n);
        if (r != 0) {
            return r;
        }
        for (uint32_t i = found.n; i-- > 0;) {
            frames->path[n++] = found.first + i;
        }
    }
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t kept = frames->path[i];
        frames->path[i] = frames->path[n - 1 - i];
        frames->path[n - 1 - i] = kept;
    }
    *ret_places = frames->path;
    *ret_n_places = n;
    return 0;
}

const char *export_kind_name(enum export_kind kind)
{
    static const char *const names[EXPORT_KIND_N] = {
        [EXPORT_KIND_USER] = "User",       [EXPORT_KIND_KERNEL] = "Kernel",
        [EXPORT_KIND_JIT] = "JIT",         [EXPORT_KIND_OFF_CPU] = "Off-CPU",
        [EXPORT_KIND_NOWHERE] = "Unknown", [EXPORT_KIND_TARGET] = "Target",
    };
    return kind < EXPORT_KIND_N ? names[kind] : "Unknown";
}
