/* SPDX-License-Identifier: MIT */
/*
 * Images live in chunks that are never moved, so that a reader may keep a
 * pointer while the writer adds more; the array of chunk pointers is part of
 * the table for the same reason.
 */
#include "images/image_table.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash_table.h"

#define CHUNK_IMAGES 1024u
#define N_CHUNKS (IMAGE_TABLE_MAX / CHUNK_IMAGES)
#define DELETED_SUFFIX " (deleted)"

struct image_table {
    uint32_t n_images;
    struct hash_table by_identity;
    struct arena strings;
    struct image *chunks[N_CHUNKS];
};

/* What makes two mappings the same image. */
struct identity {
    enum image_kind kind;
    const char *path;
    const struct event_image *mapping;
};

static bool starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* Paths that begin like a file's although no file with code stands behind them. */
static bool is_nameless_memory(const char *path)
{
    return path[0] == '\0' || starts_with(path, "//anon") || starts_with(path, "/dev/zero") ||
           starts_with(path, "/SYSV") || starts_with(path, "/anon_hugepage") ||
           starts_with(path, "/memfd:doublemapper"); /* code that .NET made */
}

static struct identity identity_of(const struct event_image *mapping)
{
    const char *path = mapping->path ? mapping->path : "";
    struct identity identity = {.kind = IMAGE_KIND_FILE, .path = path, .mapping = mapping};
    if (is_nameless_memory(path)) {
        identity.kind = IMAGE_KIND_ANONYMOUS;
        identity.path = "[anon]";
    } else if (strcmp(path, "[vdso]") == 0) {
        identity.kind = IMAGE_KIND_VDSO;
    } else if (starts_with(path, "[kernel")) {
        identity.kind = IMAGE_KIND_KERNEL;
        identity.path = "[kernel]";
    } else if (path[0] != '/') {
        identity.kind = IMAGE_KIND_ANONYMOUS;
    }
    return identity;
}

static uint8_t bounded_build_id_bytes(const struct event_image *mapping)
{
    return mapping->build_id_bytes <= LIMIT_BUILD_ID_BYTES ? mapping->build_id_bytes
                                                           : LIMIT_BUILD_ID_BYTES;
}

/* Memory without a file is told apart by its path alone. */
static bool has_file_fields(enum image_kind kind)
{
    return kind == IMAGE_KIND_FILE;
}

static uint64_t hash_identity(const struct identity *identity)
{
    uint64_t hash = hash_bytes(identity->path, strlen(identity->path));
    if (has_file_fields(identity->kind)) {
        const struct event_image *mapping = identity->mapping;
        hash ^= hash_u64(mapping->inode + hash);
        hash ^= hash_u64(((uint64_t)mapping->device_major << 32 | mapping->device_minor) + hash);
        hash ^= hash_bytes(mapping->build_id, bounded_build_id_bytes(mapping));
    }
    return hash;
}

static bool is_same_image(uint32_t id, const void *wanted, const void *userdata)
{
    const struct identity *identity = wanted;
    const struct image *image = image_table_get(userdata, id);
    if (image->kind != identity->kind || strcmp(image->path, identity->path) != 0) {
        return false;
    }
    if (!has_file_fields(image->kind)) {
        return true;
    }
    const struct event_image *mapping = identity->mapping;
    uint8_t build_id_bytes = bounded_build_id_bytes(mapping);
    return image->inode == mapping->inode && image->device_major == mapping->device_major &&
           image->device_minor == mapping->device_minor &&
           image->build_id_bytes == build_id_bytes &&
           memcmp(image->build_id, mapping->build_id, build_id_bytes) == 0;
}

/* The base name without what the kernel appends to the path of a file that is gone. */
static char *name_of_path(struct arena *strings, const char *path)
{
    const char *slash = path[0] == '/' ? strrchr(path, '/') : NULL;
    const char *name = slash && slash[1] != '\0' ? slash + 1 : path;
    size_t n_bytes = strlen(name);
    size_t suffix_bytes = strlen(DELETED_SUFFIX);
    if (n_bytes > suffix_bytes && strcmp(name + n_bytes - suffix_bytes, DELETED_SUFFIX) == 0) {
        n_bytes -= suffix_bytes;
    }
    return arena_strndup(strings, name, n_bytes);
}

/* A zeroed image with its id, path and name set; counted only by the caller. */
static int prepare_image(struct image_table *table, enum image_kind kind, const char *path,
                         struct image **ret_image)
{
    if (table->n_images == IMAGE_TABLE_MAX) {
        return -ENOSPC;
    }
    struct image **chunk = &table->chunks[table->n_images / CHUNK_IMAGES];
    if (!*chunk) {
        *chunk = calloc(CHUNK_IMAGES, sizeof(**chunk));
        if (!*chunk) {
            return -ENOMEM;
        }
    }
    struct image *image = *chunk + table->n_images % CHUNK_IMAGES;
    *image = (struct image){
        .id = table->n_images,
        .kind = kind,
        .path = arena_strdup(&table->strings, path),
        .name = name_of_path(&table->strings, path),
    };
    if (!image->path || !image->name) {
        return -ENOMEM;
    }
    *ret_image = image;
    return 0;
}

static int add_fixed_image(struct image_table *table, enum image_kind kind, const char *path)
{
    struct image *image;
    int r = prepare_image(table, kind, path, &image);
    if (r < 0) {
        return r;
    }
    table->n_images++;
    return 0;
}

int image_table_new(struct image_table **ret_table)
{
    _cleanup_(image_table_freep) struct image_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    hash_table_init(&table->by_identity);
    arena_init(&table->strings, 0);
    int r = add_fixed_image(table, IMAGE_KIND_UNKNOWN, "[unknown]");
    if (r == 0) {
        r = add_fixed_image(table, IMAGE_KIND_KERNEL, "[kernel]");
    }
    if (r == 0) {
        r = add_fixed_image(table, IMAGE_KIND_KERNEL, "[kernel]"); /* IMAGE_ID_NAMED */
    }
    if (r < 0) {
        return r;
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}

struct image_table *image_table_free(struct image_table *table)
{
    if (table) {
        for (size_t i = 0; i < N_CHUNKS; i++) {
            free(table->chunks[i]);
        }
        hash_table_release(&table->by_identity);
        arena_release(&table->strings);
        free(table);
    }
    return NULL;
}

int image_table_intern(struct image_table *table, int64_t pid, const struct event_image *mapping,
                       image_id *ret_id, bool *ret_is_new)
{
    struct identity identity = identity_of(mapping);
    if (identity.kind == IMAGE_KIND_KERNEL) {
        *ret_id = IMAGE_ID_KERNEL;
        *ret_is_new = false;
        return 0;
    }
    uint64_t hash = hash_identity(&identity);
    uint32_t found =
        hash_table_find_equal(&table->by_identity, hash, is_same_image, &identity, table);
    if (found != HASH_TABLE_NONE) {
        *ret_id = found;
        *ret_is_new = false;
        return 0;
    }

    struct image *image;
    int r = prepare_image(table, identity.kind, identity.path, &image);
    if (r == 0) {
        r = hash_table_add(&table->by_identity, hash, image->id);
    }
    if (r < 0) {
        return r;
    }
    image->pid = pid;
    image->start_ip = mapping->start_ip;
    image->start_offset = mapping->file_offset;
    image->end_ip = mapping->end_ip;
    if (has_file_fields(identity.kind)) {
        image->inode = mapping->inode;
        image->device_major = mapping->device_major;
        image->device_minor = mapping->device_minor;
        image->build_id_bytes = bounded_build_id_bytes(mapping);
        memcpy(image->build_id, mapping->build_id, image->build_id_bytes);
    }
    table->n_images++;
    *ret_id = image->id;
    *ret_is_new = true;
    return 0;
}

int image_table_append(struct image_table *table, const struct image *image)
{
    struct image *slot;
    int r = prepare_image(table, image->kind, image->path, &slot);
    if (r < 0) {
        return r;
    }
    const struct image named = *slot;
    *slot = *image;
    slot->id = named.id;
    slot->path = named.path;
    slot->name = named.name;
    slot->build_id_bytes =
        image->build_id_bytes <= LIMIT_BUILD_ID_BYTES ? image->build_id_bytes : 0;
    table->n_images++;
    return 0;
}

const struct image *image_table_get(const struct image_table *table, image_id id)
{
    return table->chunks[id / CHUNK_IMAGES] + id % CHUNK_IMAGES;
}

uint32_t image_table_count(const struct image_table *table)
{
    return table->n_images;
}
