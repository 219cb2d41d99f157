/* SPDX-License-Identifier: MIT */
/*
 * One atomic word per frame: the symbol, or a stand-in whose lowest bit says
 * that it is provisional because the image's symbols are still being read.
 */
#include "query/query_names.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"

#define CHUNK_SHIFT 12u
#define CHUNK_FRAMES (1u << CHUNK_SHIFT)
#define CHUNKS_MAX (1u << 14)
#define IMAGES_MAX IMAGE_TABLE_MAX
#define PROVISIONAL ((uintptr_t)1)

typedef _Atomic(uintptr_t) frame_slot;

struct query_names {
    struct symbolizer *symbolizer;
    _Atomic(struct symbol_source *) *sources; /* by image_id */
    _Atomic(frame_slot *) *chunks;            /* by frame_id */
    pthread_mutex_t lock;                     /* of `stand_ins` */
    struct arena stand_ins;
    struct symbol nameless; /* when memory ran out */
};

int query_names_new(struct symbolizer *symbolizer, struct query_names **ret_names)
{
    _cleanup_(query_names_freep) struct query_names *names = calloc(1, sizeof(*names));
    if (!names) {
        return -ENOMEM;
    }
    pthread_mutex_init(&names->lock, NULL);
    arena_init(&names->stand_ins, 0);
    names->symbolizer = symbolizer;
    names->nameless = (struct symbol){.name = "[unknown]", .image = "[unknown]"};
    names->sources = calloc(IMAGES_MAX, sizeof(*names->sources));
    names->chunks = calloc(CHUNKS_MAX, sizeof(*names->chunks));
    if (!names->sources || !names->chunks) {
        return -ENOMEM;
    }
    *ret_names = TAKE_PTR(names);
    return 0;
}

struct query_names *query_names_free(struct query_names *names)
{
    if (names) {
        for (size_t i = 0; names->chunks && i < CHUNKS_MAX; i++) {
            free(atomic_load_explicit(&names->chunks[i], memory_order_relaxed));
        }
        free(names->chunks);
        free(names->sources);
        arena_release(&names->stand_ins);
        pthread_mutex_destroy(&names->lock);
        free(names);
    }
    return NULL;
}

static struct symbol_source *source_of(struct query_names *names, image_id image)
{
    return image < IMAGES_MAX ? atomic_load_explicit(&names->sources[image], memory_order_acquire)
                              : NULL;
}

void query_names_on_image(struct query_names *names, const struct image *image)
{
    bool has_names = image->kind == IMAGE_KIND_FILE || image->kind == IMAGE_KIND_KERNEL ||
                     image->kind == IMAGE_KIND_VDSO;
    if (has_names && image->id < IMAGES_MAX) {
        atomic_store_explicit(&names->sources[image->id],
                              symbolizer_announce(names->symbolizer, image), memory_order_release);
    }
}

void query_names_on_image_seen(struct query_names *names, image_id image)
{
    struct symbol_source *source = source_of(names, image);
    if (source) {
        symbol_source_want(source);
    }
}

void query_names_settle(struct query_names *names, int timeout_ms)
{
    (void)symbolizer_wait_idle(names->symbolizer, timeout_ms);
}

void query_names_retire(struct query_names *names)
{
    for (image_id id = 0; id < IMAGES_MAX; id++) {
        struct symbol_source *source = source_of(names, id);
        if (source) {
            symbol_source_retire(source);
        } else if (id >= IMAGE_ID_FIRST + 4096) {
            break; /* ids are dense; a long gap is the end */
        }
    }
}

static enum frame_kind kind_of(const struct image *image)
{
    switch (image->kind) {
    case IMAGE_KIND_KERNEL:
        return FRAME_KIND_KERNEL;
    case IMAGE_KIND_VDSO:
        return FRAME_KIND_VDSO;
    case IMAGE_KIND_ANONYMOUS:
        return FRAME_KIND_JIT;
    case IMAGE_KIND_FILE:
    case IMAGE_KIND_UNKNOWN:
        break;
    }
    return FRAME_KIND_USER;
}

static const struct symbol *new_stand_in(struct query_names *names, const struct image *image,
                                         uint64_t address)
{
    pthread_mutex_lock(&names->lock);
    struct symbol *symbol = arena_alloc(&names->stand_ins, sizeof(*symbol));
    char *name = arena_printf(&names->stand_ins, "%s+0x%" PRIx64, image->name, address);
    pthread_mutex_unlock(&names->lock);
    if (!symbol || !name) {
        return &names->nameless;
    }
    *symbol = (struct symbol){
        .name = name,
        .image = image->name,
        .kind = kind_of(image),
        .start_address = address,
    };
    return symbol;
}

static frame_slot *slot_of(struct query_names *names, frame_id frame)
{
    size_t chunk = frame >> CHUNK_SHIFT;
    if (chunk >= CHUNKS_MAX) {
        return NULL;
    }
    frame_slot *slots = atomic_load_explicit(&names->chunks[chunk], memory_order_acquire);
    if (!slots) {
        frame_slot *fresh = calloc(CHUNK_FRAMES, sizeof(*fresh));
        if (!fresh) {
            return NULL;
        }
        if (atomic_compare_exchange_strong(&names->chunks[chunk], &slots, fresh)) {
            slots = fresh;
        } else {
            free(fresh); /* another query was faster; slots is its chunk */
        }
    }
    return &slots[frame & (CHUNK_FRAMES - 1)];
}

const struct symbol *query_names_find(struct query_names *names, const struct snapshot *snapshot,
                                      frame_id frame_number)
{
    frame_slot *slot = slot_of(names, frame_number);
    if (!slot) {
        return &names->nameless;
    }
    uintptr_t known = atomic_load_explicit(slot, memory_order_acquire);
    if (known != 0 && !(known & PROVISIONAL)) {
        return (const struct symbol *)known;
    }
    struct frame frame = snapshot_frame(snapshot, frame_number);
    struct symbol_source *source = source_of(names, frame.image);
    /* Asked before the search: what settles in between is found by the next query. */
    bool is_settled = !source || symbol_source_is_settled(source);
    uint64_t address = frame.offset;
    const struct symbol *symbol =
        source ? symbol_source_find(source, frame.offset, &address) : NULL;
    uintptr_t wanted;
    if (symbol) {
        wanted = (uintptr_t)symbol;
    } else if (known != 0 && !is_settled) {
        return (const struct symbol *)(known & ~PROVISIONAL);
    } else {
        symbol = new_stand_in(names, snapshot_image(snapshot, frame.image), address);
        wanted = (uintptr_t)symbol | (is_settled ? 0 : PROVISIONAL);
    }
    if (atomic_compare_exchange_strong(slot, &known, wanted)) {
        return symbol;
    }
    return (const struct symbol *)(known & ~PROVISIONAL);
}

void query_names_describe(struct query_names *names, image_id image,
                          struct symbol_source_info *ret_info)
{
    struct symbol_source *source = source_of(names, image);
    if (source) {
        symbol_source_describe(source, ret_info);
    } else {
        *ret_info = (struct symbol_source_info){.state = SYMBOL_STATE_IDLE, .origin = "none"};
    }
}
