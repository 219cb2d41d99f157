/* SPDX-License-Identifier: MIT */
#include "compare/function_identity.h"

#include <errno.h>
#include <string.h>

#define FIRST_ROOM 256u

static const char nameless[] = "(code without a name)";

void function_identities_init(struct function_identities *identities, struct arena *arena)
{
    *identities = (struct function_identities){.arena = arena};
    hash_table_init(&identities->known);
    hash_table_init(&identities->known_images);
}

void function_identities_release(struct function_identities *identities)
{
    hash_table_release(&identities->known);
    hash_table_release(&identities->known_images);
}

/* Room for one more item; what is outgrown stays in the arena. */
static void *grow(struct arena *arena, void *items, uint32_t n_items, uint32_t *n_room,
                  size_t item_bytes)
{
    if (n_items < *n_room) {
        return items;
    }
    uint32_t n_wanted = *n_room ? *n_room * 2 : FIRST_ROOM;
    void *grown = arena_alloc_array(arena, n_wanted, item_bytes);
    if (grown) {
        if (items && n_items > 0) {
            memcpy(grown, items, n_items * item_bytes);
        }
        *n_room = n_wanted;
    }
    return grown;
}

/* ---- builds ---- */

static bool has_name(uint32_t number, const void *wanted, const void *userdata)
{
    const struct function_identities *identities = userdata;
    return strcmp(identities->images[number].name, wanted) == 0;
}

static struct image_build *find_image(const struct function_identities *identities,
                                      const char *name)
{
    uint32_t number = hash_table_find_equal(
        &identities->known_images, hash_bytes(name, strlen(name)), has_name, name, identities);
    return number == HASH_TABLE_NONE ? NULL : &identities->images[number];
}

static int add_image(struct function_identities *identities, const struct image *image)
{
    struct image_build *images = grow(identities->arena, identities->images, identities->n_images,
                                      &identities->n_images_room, sizeof(*identities->images));
    if (!images) {
        return -ENOMEM;
    }
    identities->images = images;
    struct image_build *build = &images[identities->n_images];
    *build = (struct image_build){
        .name = image->name,
        .build_id_bytes = image->build_id_bytes,
        .is_same = image->build_id_bytes > 0,
        .is_file = image->kind == IMAGE_KIND_FILE,
    };
    memcpy(build->build_id, image->build_id, image->build_id_bytes);
    return hash_table_add(&identities->known_images, hash_bytes(image->name, strlen(image->name)),
                          identities->n_images++);
}

static bool has_build(const struct image_build *build, const struct image *image)
{
    return build->build_id_bytes == image->build_id_bytes &&
           memcmp(build->build_id, image->build_id, image->build_id_bytes) == 0;
}

int function_identities_look(struct function_identities *identities, enum identity_side side,
                             const struct snapshot *snapshot)
{
    for (image_id id = 0; id < snapshot->n_images; id++) {
        const struct image *image = snapshot_image(snapshot, id);
        struct image_build *known = find_image(identities, image->name);
        int r = known ? 0 : add_image(identities, image);
        if (r != 0) {
            return r;
        }
        known = known ? known : &identities->images[identities->n_images - 1];
        known->is_same = known->is_same && has_build(known, image);
        known->is_on[side] = true;
    }
    return 0;
}

void function_identities_match(struct function_identities *identities)
{
    unsigned int n_alone[IDENTITY_SIDE_N] = {0};
    const struct image_build *alone[IDENTITY_SIDE_N] = {NULL};
    for (uint32_t i = 0; i < identities->n_images; i++) {
        const struct image_build *build = &identities->images[i];
        bool is_on_base = build->is_on[IDENTITY_SIDE_BASE];
        if (build->is_file && is_on_base != build->is_on[IDENTITY_SIDE_CANDIDATE]) {
            enum identity_side side = is_on_base ? IDENTITY_SIDE_BASE : IDENTITY_SIDE_CANDIDATE;
            n_alone[side]++;
            alone[side] = build;
        }
    }
    if (n_alone[IDENTITY_SIDE_BASE] == 1 && n_alone[IDENTITY_SIDE_CANDIDATE] == 1) {
        for (int side = 0; side < IDENTITY_SIDE_N; side++) {
            identities->name_on[side] = alone[side]->name;
        }
    }
}

/* ---- functions ---- */

/* "image+0x…", where a function begins or, where not even that is known, where the place is. */
static bool is_nameless(const struct symbol *symbol)
{
    return symbol->is_nameless || (symbol->size_bytes == 0 && strstr(symbol->name, "+0x"));
}

static bool has_two_names(const struct function_identities *identities, const char *image)
{
    const char *const *names = identities->name_on;
    return names[IDENTITY_SIDE_BASE] && (strcmp(image, names[IDENTITY_SIDE_BASE]) == 0 ||
                                         strcmp(image, names[IDENTITY_SIDE_CANDIDATE]) == 0);
}

static const char *image_of(const struct function_identities *identities,
                            const struct symbol *symbol)
{
    return has_two_names(identities, symbol->image) ? identities->name_on[IDENTITY_SIDE_BASE]
                                                    : symbol->image;
}

static const char *name_of(const struct function_identities *identities,
                           const struct symbol *symbol)
{
    if (!is_nameless(symbol)) {
        return symbol->name;
    }
    /* What stands in for a name begins with that of the file. */
    const struct image_build *build = find_image(identities, symbol->image);
    bool has_meaning = build && build->is_same && !has_two_names(identities, symbol->image);
    return has_meaning ? symbol->name : nameless;
}

static bool is_equal(uint32_t number, const void *wanted, const void *userdata)
{
    const struct function_identities *identities = userdata;
    const struct function_identity *known = &identities->functions[number];
    const struct function_identity *function = wanted;
    return strcmp(known->name, function->name) == 0 && strcmp(known->image, function->image) == 0;
}

int function_identities_number(struct function_identities *identities, const struct symbol *symbol,
                               uint32_t *ret_number)
{
    const struct function_identity function = {
        .name = name_of(identities, symbol),
        .image = image_of(identities, symbol),
        .kind = symbol->kind,
    };
    uint64_t key = hash_bytes(function.name, strlen(function.name)) ^
                   hash_u64(hash_bytes(function.image, strlen(function.image)));
    uint32_t number =
        hash_table_find_equal(&identities->known, key, is_equal, &function, identities);
    if (number == HASH_TABLE_NONE) {
        struct function_identity *functions =
            grow(identities->arena, identities->functions, identities->n_functions,
                 &identities->n_functions_room, sizeof(*identities->functions));
        if (!functions) {
            return -ENOMEM;
        }
        identities->functions = functions;
        number = identities->n_functions++;
        functions[number] = function;
        int r = hash_table_add(&identities->known, key, number);
        if (r != 0) {
            return r;
        }
    }
    *ret_number = number;
    return 0;
}
