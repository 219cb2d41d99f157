/* SPDX-License-Identifier: MIT */
/*
 * A walk asks for the same few hundred addresses again and again: their rows
 * are kept in a table of one entry per hash, which empties itself when any
 * mapping or table changes.
 */
#include "unwind/code_lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

#define CACHE_ENTRIES (1u << 14)

#if defined(__aarch64__)
#define MACHINE_HERE CFI_MACHINE_AARCH64
#else
#define MACHINE_HERE CFI_MACHINE_X86_64
#endif

struct code_image {
    struct cfi_source *source; /* NULL: nothing that could have a table */
    const struct cfi_table *table;
    struct elf_layout *layout;
    enum code_state state;
    bool is_wanted;
    bool is_given_up;
};

struct cached_row {
    uint64_t ip;
    int64_t pid;
    uint64_t generation; /* 0: empty */
    struct cfi_row row;
};

struct code_lookup {
    struct unwinder_config config;
    struct code_space *space;
    struct code_image *images; /* by image_id */
    size_t n_images, capacity;
    uint64_t generation; /* grows with mappings and tables */
    uint64_t exported_generation;
    int64_t exported_pid;
    struct code_range *ranges; /* of the last export */
    size_t n_ranges, ranges_capacity;
    struct cached_row cache[CACHE_ENTRIES];
};

int code_lookup_new(const struct unwinder_config *config, struct code_lookup **ret_lookup)
{
    _cleanup_(code_lookup_freep) struct code_lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup) {
        return -ENOMEM;
    }
    lookup->config = *config;
    lookup->generation = 1;
    int r = code_space_new(&lookup->space);
    if (r == 0) {
        *ret_lookup = TAKE_PTR(lookup);
    }
    return r;
}

struct code_lookup *code_lookup_free(struct code_lookup *lookup)
{
    if (lookup) {
        code_space_free(lookup->space);
        for (size_t i = 0; i < lookup->n_images; i++) {
            free(lookup->images[i].layout);
        }
        free(lookup->images);
        free(lookup->ranges);
        free(lookup);
    }
    return NULL;
}

/* The entry of an image; NULL without memory, or for ids that no event has told of. */
static struct code_image *image_at(struct code_lookup *lookup, image_id id)
{
    if (id < lookup->n_images) {
        return &lookup->images[id];
    }
    if (id >= lookup->capacity) {
        size_t capacity = 2 * (size_t)id + 32;
        struct code_image *images = realloc(lookup->images, capacity * sizeof(*images));
        if (!images) {
            return NULL;
        }
        lookup->images = images;
        lookup->capacity = capacity;
    }
    while (lookup->n_images <= id) {
        lookup->images[lookup->n_images++] = (struct code_image){.state = CODE_WITHOUT_TABLE};
    }
    return &lookup->images[id];
}

int code_lookup_apply(struct code_lookup *lookup, const struct event *event)
{
    const struct image *new_image;
    int r = code_space_apply(lookup->space, event, &new_image);
    lookup->generation++;
    if (!new_image || (new_image->kind != IMAGE_KIND_FILE && new_image->kind != IMAGE_KIND_VDSO)) {
        return r;
    }
    struct code_image *image = image_at(lookup, new_image->id);
    if (image) {
        image->source = cfi_store_announce(lookup->config.store, new_image);
        image->state = image->source ? CODE_PENDING : CODE_WITHOUT_TABLE;
    }
    return r;
}

/* Looks whether a table that is awaited has come. */
static void refresh(struct code_lookup *lookup, struct code_image *image)
{
    struct elf_layout layout;
    const struct cfi_table *table = NULL;
    if (!image->is_wanted) {
        image->is_wanted = true;
        cfi_source_want(image->source);
    }
    enum code_state state = cfi_source_state(image->source, &table, &layout);
    if (state == CODE_PENDING) {
        return;
    }
    image->state = CODE_WITHOUT_TABLE;
    if (state == CODE_READY) {
        image->layout = malloc(sizeof(layout));
        if (image->layout) {
            *image->layout = layout;
            image->table = table;
            image->state = CODE_READY;
        }
    }
    image->is_given_up = false;
    lookup->generation++;
}

static struct unwind_code generated_code(struct code_lookup *lookup, int64_t pid, uint64_t ip,
                                         uint64_t time_ns)
{
    struct unwind_code code = {.state = UNWIND_CODE_KNOWN, .machine = MACHINE_HERE};
    struct generated_code generated;
    if (lookup->config.find_generated &&
        lookup->config.find_generated(lookup->config.userdata, pid, ip, time_ns, &generated) &&
        generated.table) {
        code.row = cfi_table_find(generated.table, ip - generated.bias);
    }
    return code;
}

struct unwind_code code_lookup_find(struct code_lookup *lookup, int64_t pid, uint64_t ip,
                                    uint64_t time_ns)
{
    struct unwind_code code = {.state = UNWIND_CODE_KNOWN, .machine = MACHINE_HERE};
    struct cached_row *cached = &lookup->cache[hash_u64(ip) % CACHE_ENTRIES];
    if (cached->ip == ip && cached->pid == pid && cached->generation == lookup->generation) {
        code.row = cached->row;
        return code;
    }
    struct image_place place = image_map_find(lookup->space->map, pid, ip);
    if (place.image == IMAGE_ID_UNKNOWN || place.image == IMAGE_ID_KERNEL) {
        code.state = UNWIND_CODE_UNMAPPED;
        return code;
    }
    struct code_image *image = image_at(lookup, place.image);
    if (!image || !image->source) {
        return generated_code(lookup, pid, ip, time_ns);
    }
    if (image->state == CODE_PENDING) {
        refresh(lookup, image);
    }
    uint64_t image_addr;
    if (image->state == CODE_PENDING) {
        code.state = image->is_given_up ? UNWIND_CODE_KNOWN : UNWIND_CODE_PENDING;
        return code;
    }
    if (image->state == CODE_READY && elf_layout_find(image->layout, place.offset, &image_addr)) {
        code.row = cfi_table_find(image->table, image_addr);
    }
    *cached = (struct cached_row){
        .ip = ip, .pid = pid, .generation = lookup->generation, .row = code.row};
    return code;
}

void code_lookup_give_up(struct code_lookup *lookup)
{
    for (size_t i = 0; i < lookup->n_images; i++) {
        struct code_image *image = &lookup->images[i];
        image->is_given_up = image->is_wanted && image->state == CODE_PENDING;
    }
}

image_id code_lookup_image(struct code_lookup *lookup, int64_t pid, uint64_t ip)
{
    return image_map_find(lookup->space->map, pid, ip).image;
}

const struct image *code_lookup_describe(struct code_lookup *lookup, image_id image,
                                         struct cfi_source **ret_source)
{
    *ret_source = image < lookup->n_images ? lookup->images[image].source : NULL;
    return image_table_get(lookup->space->images, image);
}

size_t code_lookup_n_images(const struct code_lookup *lookup)
{
    return lookup->n_images;
}

bool code_lookup_is_wanted(const struct code_lookup *lookup, image_id image)
{
    return image < lookup->n_images && lookup->images[image].is_wanted;
}

static void add_range(void *userdata, uint64_t start_ip, uint64_t end_ip, struct image_place start)
{
    struct code_lookup *lookup = userdata;
    if (lookup->n_ranges == lookup->ranges_capacity) {
        size_t capacity = lookup->ranges_capacity ? 2 * lookup->ranges_capacity : 64;
        struct code_range *ranges = realloc(lookup->ranges, capacity * sizeof(*ranges));
        if (!ranges) {
            return; /* this range is walked from outside, as is one without a table */
        }
        lookup->ranges = ranges;
        lookup->ranges_capacity = capacity;
    }
    struct code_range *range = &lookup->ranges[lookup->n_ranges++];
    *range =
        (struct code_range){.start_ip = start_ip, .end_ip = end_ip, .state = CODE_WITHOUT_TABLE};
    struct code_image *image = image_at(lookup, start.image);
    uint64_t image_addr;
    if (!image || !image->source) {
        return;
    }
    range->state = image->state;
    if (image->state != CODE_READY) {
        return;
    }
    if (elf_layout_find(image->layout, start.offset, &image_addr)) {
        range->table = image->table;
        range->bias = start_ip - image_addr;
    } else {
        range->state = CODE_WITHOUT_TABLE;
    }
}

bool code_lookup_export(struct code_lookup *lookup, int64_t pid, struct code_map *ret_map)
{
    if (lookup->exported_generation == lookup->generation && lookup->exported_pid == pid) {
        return false;
    }
    lookup->exported_generation = lookup->generation;
    lookup->exported_pid = pid;
    lookup->n_ranges = 0;
    image_map_each(lookup->space->map, pid, add_range, lookup);
    *ret_map =
        (struct code_map){.pid = pid, .n_ranges = lookup->n_ranges, .ranges = lookup->ranges};
    return true;
}

void code_lookup_retire(struct code_lookup *lookup)
{
    for (size_t i = 0; i < lookup->n_images; i++) {
        if (lookup->images[i].source) {
            cfi_source_retire(lookup->images[i].source);
        }
    }
}
