/* SPDX-License-Identifier: MIT */
#include "symbols/inline_names.h"

#include <string.h>

#include "symbols/demangle.h"

void inline_names_init(struct inline_names *names, const char *image_name, enum frame_kind kind)
{
    *names = (struct inline_names){.image_name = image_name, .kind = kind};
    arena_init(&names->arena, INLINE_NAMES_MAX_BYTES);
    hash_table_init(&names->symbol_numbers);
    hash_table_init(&names->path_numbers);
}

void inline_names_release(struct inline_names *names)
{
    arena_release(&names->arena);
    hash_table_release(&names->symbol_numbers);
    hash_table_release(&names->path_numbers);
    free(names->symbols);
    free(names->paths);
}

/* A function of the linker's name alone has no place. */
static struct inlined_symbol key_of(const struct code_function *function)
{
    bool has_place = !function->is_mangled;
    return (struct inlined_symbol){
        .raw_name = function->name,
        .declared_in = has_place && function->declared_in ? function->declared_in : "",
        .declared_at = has_place ? function->declared_at : 0,
    };
}

static uint64_t hash_key(const struct inlined_symbol *key)
{
    return hash_bytes(key->raw_name, strlen(key->raw_name)) ^
           hash_u64(hash_bytes(key->declared_in, strlen(key->declared_in)) + key->declared_at);
}

static bool is_same_symbol(uint32_t number, const void *wanted, const void *userdata)
{
    const struct inline_names *names = userdata;
    const struct inlined_symbol *one = names->symbols[number];
    const struct inlined_symbol *key = wanted;
    return one->declared_at == key->declared_at && strcmp(one->raw_name, key->raw_name) == 0 &&
           strcmp(one->declared_in, key->declared_in) == 0;
}

/* Room for one more pointer in an array of them. */
static bool make_room(void *array, size_t n_used, size_t *reterr_capacity)
{
    void **pointers = *(void ***)array;
    if (n_used < *reterr_capacity) {
        return true;
    }
    size_t capacity = *reterr_capacity ? *reterr_capacity * 2 : 64;
    void **grown = reallocarray(pointers, capacity, sizeof(void *));
    if (!grown || capacity >= HASH_TABLE_NONE) {
        return false;
    }
    memcpy(array, &grown, sizeof(grown));
    *reterr_capacity = capacity;
    return true;
}

static struct inlined_symbol *make_symbol(struct inline_names *names,
                                          const struct inlined_symbol *key, bool is_mangled)
{
    _cleanup_(freep) char *readable = is_mangled ? demangle(key->raw_name) : NULL;
    struct inlined_symbol *made = arena_alloc(&names->arena, sizeof(*made));
    char *raw_name = arena_strdup(&names->arena, key->raw_name);
    char *declared_in = arena_strdup(&names->arena, key->declared_in);
    char *name = readable ? arena_strdup(&names->arena, readable) : raw_name;
    if (!made || !raw_name || !declared_in || !name) {
        return NULL;
    }
    *made = (struct inlined_symbol){
        .symbol = {.name = name, .image = names->image_name, .kind = names->kind},
        .raw_name = raw_name,
        .declared_in = declared_in,
        .declared_at = key->declared_at,
    };
    return made;
}

const struct symbol *inline_names_symbol(struct inline_names *names,
                                         const struct code_function *function)
{
    if (!function->name || function->name[0] == '\0') {
        return NULL;
    }
    struct inlined_symbol key = key_of(function);
    uint64_t hash = hash_key(&key);
    uint32_t number =
        hash_table_find_equal(&names->symbol_numbers, hash, is_same_symbol, &key, names);
    if (number != HASH_TABLE_NONE) {
        return &names->symbols[number]->symbol;
    }
    struct inlined_symbol *made = NULL;
    if (make_room(&names->symbols, names->n_symbols, &names->symbols_capacity)) {
        made = make_symbol(names, &key, function->is_mangled);
    }
    if (!made || hash_table_add(&names->symbol_numbers, hash, (uint32_t)names->n_symbols) < 0) {
        return NULL;
    }
    names->symbols[names->n_symbols++] = made;
    return &made->symbol;
}

static bool is_same_path(uint32_t number, const void *wanted, const void *userdata)
{
    const struct inline_names *names = userdata;
    return strcmp(names->paths[number], wanted) == 0;
}

const char *inline_names_path(struct inline_names *names, const char *path)
{
    if (!path) {
        return NULL;
    }
    uint64_t hash = hash_bytes(path, strlen(path));
    uint32_t number = hash_table_find_equal(&names->path_numbers, hash, is_same_path, path, names);
    if (number != HASH_TABLE_NONE) {
        return names->paths[number];
    }
    const char *made = NULL;
    if (make_room(&names->paths, names->n_paths, &names->paths_capacity)) {
        made = arena_strdup(&names->arena, path);
    }
    if (!made || hash_table_add(&names->path_numbers, hash, (uint32_t)names->n_paths) < 0) {
        return NULL;
    }
    names->paths[names->n_paths++] = made;
    return made;
}
