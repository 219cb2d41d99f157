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
#include "base/hash_table.h"
#include "query/cause_cache.h"
#include "query/frame_jit.h"

#define CHUNK_SHIFT 12u
#define CHUNK_FRAMES (1u << CHUNK_SHIFT)
#define CHUNKS_MAX (1u << 14)
#define IMAGES_MAX IMAGE_TABLE_MAX
#define PROVISIONAL ((uintptr_t)1)

typedef _Atomic(uintptr_t) frame_slot;

struct query_names {
    struct symbolizer *symbolizer;
    struct jit_code *jit; /* NULL: none */
    struct kept_run kept;
    bool is_kept_only;
    struct symbol_source **kept_sources; /* of symbols that came with the run; ours */
    size_t n_kept_sources, kept_sources_capacity;
    _Atomic(struct symbol_source *) *sources; /* by image_id */
    _Atomic(frame_slot *) *chunks;            /* by frame_id */
    pthread_mutex_t lock;                     /* of the stand-ins */
    struct arena stand_ins;
    /* Of places that stand in several frames (code_epoch): hash → stand_ins_made. */
    struct hash_table stand_in_ids;
    const struct symbol **stand_ins_made;
    size_t n_made, made_capacity;
    struct symbol nameless; /* when memory ran out */
    struct chain_cache *chain_cache;
    struct cause_cache *causes;
    _Atomic(uint32_t) n_chains_settled; /* of the first frames */
};

int query_names_new(struct symbolizer *symbolizer, struct query_names **ret_names)
{
    _cleanup_(query_names_freep) struct query_names *names = calloc(1, sizeof(*names));
    if (!names) {
        return -ENOMEM;
    }
    pthread_mutex_init(&names->lock, NULL);
    arena_init(&names->stand_ins, 0);
    hash_table_init(&names->stand_in_ids);
    names->symbolizer = symbolizer;
    names->nameless = (struct symbol){.name = "[unknown]", .image = "[unknown]"};
    names->sources = calloc(IMAGES_MAX, sizeof(*names->sources));
    names->chunks = calloc(CHUNKS_MAX, sizeof(*names->chunks));
    if (!names->sources || !names->chunks) {
        return -ENOMEM;
    }
    int r = chain_cache_new(&names->chain_cache);
    r = r ? r : cause_cache_new(&names->causes);
    if (r != 0) {
        return r;
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
        for (size_t i = 0; i < names->n_kept_sources; i++) {
            symbol_source_free_kept(names->kept_sources[i]);
        }
        free(names->kept_sources);
        free(names->chunks);
        free(names->sources);
        chain_cache_free(names->chain_cache);
        cause_cache_free(names->causes);
        arena_release(&names->stand_ins);
        hash_table_release(&names->stand_in_ids);
        free(names->stand_ins_made);
        pthread_mutex_destroy(&names->lock);
        free(names);
    }
    return NULL;
}

void query_names_set_jit(struct query_names *names, struct jit_code *jit)
{
    names->jit = jit;
}

struct jit_code *query_names_jit(const struct query_names *names)
{
    return names->jit;
}

void query_names_set_kept(struct query_names *names, const struct kept_run *kept)
{
    names->kept = *kept;
    names->is_kept_only = !kept->may_look_at_files;
}

bool query_names_is_kept_only(const struct query_names *names)
{
    return names->is_kept_only;
}

const struct kept_code *query_names_kept_code(const struct query_names *names,
                                              const struct image *image)
{
    return names->kept.find_code ? names->kept.find_code(names->kept.userdata, image) : NULL;
}

const struct kept_sources *query_names_kept_sources(const struct query_names *names)
{
    return names->kept.sources;
}

struct cause_cache *query_names_causes(struct query_names *names)
{
    return names->causes;
}

static struct symbol_source *source_of(struct query_names *names, image_id image)
{
    return image < IMAGES_MAX ? atomic_load_explicit(&names->sources[image], memory_order_acquire)
                              : NULL;
}

/* NULL when memory ran out. */
static struct symbol_source *announce_kept(struct query_names *names, const struct image *image,
                                           struct kept_symbols *symbols)
{
    if (names->n_kept_sources == names->kept_sources_capacity) {
        size_t capacity = names->kept_sources_capacity ? 2 * names->kept_sources_capacity : 16;
        struct symbol_source **grown =
            reallocarray(names->kept_sources, capacity, sizeof(struct symbol_source *));
        if (!grown) {
            return NULL;
        }
        names->kept_sources = grown;
        names->kept_sources_capacity = capacity;
    }
    struct symbol_source *source =
        symbolizer_announce_kept(names->symbolizer, image, kept_symbols_ref(symbols));
    if (source) {
        names->kept_sources[names->n_kept_sources++] = source;
    }
    return source;
}

/* NULL: it has no names, or none that may be looked for. */
static struct symbol_source *announce(struct query_names *names, const struct image *image)
{
    struct kept_symbols *symbols =
        names->kept.find_symbols ? names->kept.find_symbols(names->kept.userdata, image) : NULL;
    if (symbols) {
        return announce_kept(names, image, symbols);
    }
    return names->is_kept_only ? NULL : symbolizer_announce(names->symbolizer, image);
}

void query_names_on_image(struct query_names *names, const struct image *image)
{
    bool has_names = image->kind == IMAGE_KIND_FILE || image->kind == IMAGE_KIND_KERNEL ||
                     image->kind == IMAGE_KIND_VDSO;
    if (has_names && image->id != IMAGE_ID_NAMED && image->id < IMAGES_MAX) {
        atomic_store_explicit(&names->sources[image->id], announce(names, image),
                              memory_order_release);
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
    if (names->is_kept_only) {
        return; /* what other runs wait for is not ours */
    }
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

struct made_place {
    const char *image;
    uint64_t address;
};

static bool is_stand_in_of(uint32_t value, const void *wanted, const void *userdata)
{
    const struct made_place *place = wanted;
    const struct query_names *names = userdata;
    const struct symbol *symbol = names->stand_ins_made[value];
    return symbol->start_address == place->address && symbol->image == place->image;
}

/* One stand-in for a place, in however many frames it is. */
static const struct symbol *made_stand_in(struct query_names *names, const struct image *image,
                                          uint64_t address)
{
    const struct made_place place = {.image = image->name, .address = address};
    uint64_t key = hash_u64(address ^ hash_u64(image->id));
    pthread_mutex_lock(&names->lock);
    uint32_t known =
        hash_table_find_equal(&names->stand_in_ids, key, is_stand_in_of, &place, names);
    const struct symbol *symbol = known == HASH_TABLE_NONE ? NULL : names->stand_ins_made[known];
    pthread_mutex_unlock(&names->lock);
    if (symbol) {
        return symbol;
    }
    symbol = new_stand_in(names, image, address);
    pthread_mutex_lock(&names->lock);
    if (names->n_made == names->made_capacity) {
        size_t capacity = names->made_capacity ? 2 * names->made_capacity : 64;
        const struct symbol **grown = reallocarray(names->stand_ins_made, capacity, sizeof(*grown));
        names->made_capacity = grown ? capacity : names->made_capacity;
        names->stand_ins_made = grown ? grown : names->stand_ins_made;
    }
    if (names->n_made < names->made_capacity &&
        hash_table_add(&names->stand_in_ids, key, (uint32_t)names->n_made) == 0) {
        names->stand_ins_made[names->n_made++] = symbol;
    }
    pthread_mutex_unlock(&names->lock);
    return symbol;
}

/* Code that the program made itself: what stood there when can turn out late. */
static const struct symbol *find_made(struct query_names *names, const struct snapshot *snapshot,
                                      struct frame frame, frame_slot *slot)
{
    bool is_settled = !names->jit || jit_code_is_settled(names->jit);
    struct jit_place place;
    const struct symbol *symbol =
        frame_jit_find(names->jit, snapshot, frame, &place)
            ? place.symbol
            : made_stand_in(names, snapshot_image(snapshot, frame.image), frame.offset);
    atomic_store_explicit(slot, (uintptr_t)symbol | (is_settled ? 0 : PROVISIONAL),
                          memory_order_release);
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

/* A place of the kernel that is known by its name alone. */
static const struct symbol *find_named(struct query_names *names, const struct snapshot *snapshot,
                                       uint64_t place, frame_slot *slot)
{
    pthread_mutex_lock(&names->lock);
    struct symbol *symbol = arena_alloc(&names->stand_ins, sizeof(*symbol));
    char *name = arena_strdup(&names->stand_ins, snapshot_named_place(snapshot, place));
    pthread_mutex_unlock(&names->lock);
    if (!symbol || !name) {
        return &names->nameless;
    }
    *symbol = (struct symbol){.name = name, .image = "[kernel]", .kind = FRAME_KIND_KERNEL};
    uintptr_t known = 0;
    return atomic_compare_exchange_strong(slot, &known, (uintptr_t)symbol)
               ? symbol
               : (const struct symbol *)known;
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
    if (frame.code_epoch != 0) {
        return find_made(names, snapshot, frame, slot);
    }
    if (frame.image == IMAGE_ID_NAMED) {
        return find_named(names, snapshot, frame.offset, slot);
    }
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

/* Whether it is settled is asked before the search, as in query_names_find(). */
static size_t look_up_chain(struct query_names *names, const struct snapshot *snapshot,
                            struct frame frame, struct symbol_chain_entry *entries,
                            bool *ret_is_settled)
{
    if (frame.code_epoch != 0) {
        *ret_is_settled = !names->jit || jit_code_is_settled(names->jit);
        return frame_jit_entry(names->jit, snapshot, frame, entries) ? 1 : 0;
    }
    struct symbol_source *source = source_of(names, frame.image);
    *ret_is_settled = !source || (symbol_source_is_settled(source) &&
                                  symbol_source_chain_is_settled(source, frame.offset));
    return source ? symbol_source_find_chain(source, frame.offset, entries, SYMBOL_CHAIN_MAX) : 0;
}

bool query_names_find_chain(struct query_names *names, const struct snapshot *snapshot,
                            frame_id frame, struct name_chain *ret_chain)
{
    if (chain_cache_find(names->chain_cache, frame, ret_chain) == CHAIN_SETTLED) {
        return true;
    }
    struct symbol_chain_entry entries[SYMBOL_CHAIN_MAX];
    bool is_settled;
    size_t n_entries =
        look_up_chain(names, snapshot, snapshot_frame(snapshot, frame), entries, &is_settled);
    if (n_entries == 0) {
        entries[0] = (struct symbol_chain_entry){
            .symbol = query_names_find(names, snapshot, frame),
        };
        n_entries = 1;
    }
    if (chain_cache_put(names->chain_cache, frame, entries, n_entries, is_settled, ret_chain) < 0) {
        *ret_chain = (struct name_chain){
            .n_entries = 1,
            .entries = &ret_chain->single,
            .single = {.symbol = &names->nameless},
        };
        return false;
    }
    return is_settled;
}

struct symbol_source *query_names_source(struct query_names *names, image_id image)
{
    return source_of(names, image);
}

/* Asks for every chain that can still change; are there none? */
static bool ask_for_chains(struct query_names *names, const struct snapshot *snapshot)
{
    uint32_t n_settled = atomic_load(&names->n_chains_settled);
    bool is_unbroken = true;
    for (frame_id frame = n_settled; frame < snapshot->n_frames; frame++) {
        struct name_chain chain;
        query_names_find_chain(names, snapshot, frame, &chain);
        is_unbroken =
            is_unbroken && chain_cache_find(names->chain_cache, frame, &chain) == CHAIN_SETTLED;
        n_settled += is_unbroken;
    }
    atomic_store(&names->n_chains_settled, n_settled);
    return n_settled >= snapshot->n_frames;
}

bool query_names_settle_chains(struct query_names *names, const struct snapshot *snapshot,
                               int timeout_ms)
{
    if (ask_for_chains(names, snapshot)) {
        return true;
    }
    (void)symbolizer_wait_chains(names->symbolizer, timeout_ms);
    return ask_for_chains(names, snapshot);
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
