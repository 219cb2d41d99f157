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

#include "base/clock.h"
#include "base/hash_table.h"

#define CACHE_ENTRIES (1u << 14)

/* New tables and code where none was can wait: meanwhile its stacks bring their copies. */
#define EXPORT_EVERY_NS (20 * NS_PER_MS)
/* … but for the first ones: a program's own code and its libraries. */
#define EXPORT_SOON_NS (2 * NS_PER_MS)
#define EXPORT_SOON_TIMES 32u
/* Replaced code is remembered for the samples that are under way: those of some 20 ms. */
#define MAX_CHANGES 256u

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

/* Other code stands in [start_ip, end_ip) from this generation on. */
struct code_change {
    uint64_t generation, start_ip, end_ip;
};

struct code_lookup {
    struct unwinder_config config;
    struct code_space *space;
    struct code_image *images; /* by image_id */
    size_t n_images, capacity;
    size_t n_wanted;
    uint64_t generation; /* grows with mappings and tables */
    struct {
        uint64_t generation; /* 0: nothing was exported yet */
        uint64_t at_ns;
        uint32_t n_times;
        int64_t pid;
        bool is_wrong; /* something in it stands there no longer */
        bool has_generated;
        struct code_range *ranges;
        struct image_place *starts; /* of each range */
        size_t n_ranges, capacity;
    } exported;
    struct code_change changes[MAX_CHANGES]; /* of what was exported; change n is n % MAX_CHANGES */
    size_t n_changes;
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
            cfi_source_release(lookup->images[i].source);
            free(lookup->images[i].layout);
        }
        free(lookup->images);
        free(lookup->exported.ranges);
        free(lookup->exported.starts);
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

size_t code_lookup_n_wanted(const struct code_lookup *lookup)
{
    return lookup->n_wanted;
}

static void note_change(struct code_lookup *lookup, uint64_t start_ip, uint64_t end_ip)
{
    lookup->exported.is_wrong = true;
    lookup->changes[lookup->n_changes++ % MAX_CHANGES] = (struct code_change){
        .generation = lookup->generation, .start_ip = start_ip, .end_ip = end_ip};
}

/* Which of the ranges that were exported hold something else now? */
static void note_changes(struct code_lookup *lookup, const struct event *event)
{
    if (event->pid != lookup->exported.pid) {
        return;
    }
    if (event->image->change == EVENT_IMAGE_EXEC) {
        note_change(lookup, 0, UINT64_MAX);
        return;
    }
    for (size_t i = 0; i < lookup->exported.n_ranges; i++) {
        const struct code_range *range = &lookup->exported.ranges[i];
        if (range->end_ip <= event->image->start_ip || range->start_ip >= event->image->end_ip) {
            continue;
        }
        uint64_t start_ip =
            range->start_ip > event->image->start_ip ? range->start_ip : event->image->start_ip;
        uint64_t end_ip =
            range->end_ip < event->image->end_ip ? range->end_ip : event->image->end_ip;
        struct image_place was = lookup->exported.starts[i];
        struct image_place is = image_map_find(lookup->space->map, event->pid, start_ip);
        if (is.image != was.image || is.offset != was.offset + (start_ip - range->start_ip)) {
            note_change(lookup, start_ip, end_ip);
        }
    }
}

int code_lookup_apply(struct code_lookup *lookup, const struct event *event)
{
    const struct image *new_image;
    uint64_t generation = image_map_generation(lookup->space->map, event->pid);
    int r = code_space_apply(lookup->space, event, &new_image);
    if (image_map_generation(lookup->space->map, event->pid) != generation) {
        lookup->generation++;
        note_changes(lookup, event);
    }
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
        lookup->n_wanted++;
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
        code.is_guess = image->is_given_up;
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

size_t code_lookup_n_current(const struct code_lookup *lookup, uint64_t generation,
                             const uint64_t *ips, size_t n_ips, bool *ret_is_whole)
{
    size_t n_current = n_ips, n_seen = 0;
    *ret_is_whole = true;
    for (size_t n = lookup->n_changes; n > 0; n--) {
        const struct code_change *change = &lookup->changes[(n - 1) % MAX_CHANGES];
        if (change->generation <= generation) {
            break;
        }
        if (n_seen++ == MAX_CHANGES) {
            *ret_is_whole = false; /* too many to say */
            return n_ips > 0;
        }
        for (size_t i = 0; i < n_current; i++) {
            uint64_t ip = ips[i] - (i > 0);
            if (ip >= change->start_ip && ip < change->end_ip) {
                n_current = i + 1;
                *ret_is_whole = false;
            }
        }
    }
    return n_current;
}

static bool reserve_ranges(struct code_lookup *lookup)
{
    if (lookup->exported.n_ranges < lookup->exported.capacity) {
        return true;
    }
    size_t capacity = lookup->exported.capacity ? 2 * lookup->exported.capacity : 64;
    struct code_range *ranges = realloc(lookup->exported.ranges, capacity * sizeof(*ranges));
    if (!ranges) {
        return false;
    }
    lookup->exported.ranges = ranges;
    struct image_place *starts = realloc(lookup->exported.starts, capacity * sizeof(*starts));
    if (!starts) {
        return false;
    }
    lookup->exported.starts = starts;
    lookup->exported.capacity = capacity;
    return true;
}

static void add_range(void *userdata, uint64_t start_ip, uint64_t end_ip, struct image_place start)
{
    struct code_lookup *lookup = userdata;
    if (!reserve_ranges(lookup)) {
        return; /* this range is walked from outside, as is one without a table */
    }
    struct code_range *range = &lookup->exported.ranges[lookup->exported.n_ranges];
    lookup->exported.starts[lookup->exported.n_ranges++] = start;
    *range =
        (struct code_range){.start_ip = start_ip, .end_ip = end_ip, .state = CODE_WITHOUT_TABLE};
    struct code_image *image = image_at(lookup, start.image);
    uint64_t image_addr;
    if (!image || !image->source) {
        /* Tables of code that was made at run time come and go with it: they stay outside. */
        range->state = lookup->exported.has_generated ? CODE_PENDING : CODE_WITHOUT_TABLE;
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

bool code_lookup_export(struct code_lookup *lookup, int64_t pid, uint64_t now_ns,
                        struct code_map *ret_map)
{
    bool has_generated = lookup->config.has_generated_tables &&
                         lookup->config.has_generated_tables(lookup->config.userdata);
    bool is_first = lookup->exported.generation == 0 || lookup->exported.pid != pid;
    if (has_generated != lookup->exported.has_generated) {
        lookup->exported.has_generated = has_generated;
        lookup->generation++;
    }
    uint64_t wait_ns =
        lookup->exported.n_times < EXPORT_SOON_TIMES ? EXPORT_SOON_NS : EXPORT_EVERY_NS;
    if (!is_first && (lookup->exported.generation == lookup->generation ||
                      (!lookup->exported.is_wrong && now_ns - lookup->exported.at_ns < wait_ns))) {
        return false;
    }
    lookup->exported.n_times++;
    lookup->exported.generation = lookup->generation;
    lookup->exported.at_ns = now_ns;
    lookup->exported.pid = pid;
    lookup->exported.is_wrong = false;
    lookup->exported.n_ranges = 0;
    image_map_each(lookup->space->map, pid, add_range, lookup);
    *ret_map = (struct code_map){.pid = pid,
                                 .generation = lookup->generation,
                                 .n_ranges = lookup->exported.n_ranges,
                                 .ranges = lookup->exported.ranges};
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
