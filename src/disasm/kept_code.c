/* SPDX-License-Identifier: MIT */
#include "disasm/kept_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct kept_code {
    struct kept_code_facts facts;
    struct arena arena;
    size_t n_pieces, pieces_capacity;
    struct kept_piece *pieces;
    size_t n_bounds, bounds_capacity;
    struct kept_bounds *bounds;
};

/* A copy; NULL stays NULL. */
static int copy_text(struct arena *arena, const char *text, const char **ret_text)
{
    *ret_text = arena_strdup(arena, text);
    return text && !*ret_text ? -ENOMEM : 0;
}

int kept_code_new(const struct kept_code_facts *facts, struct kept_code **ret_kept)
{
    _cleanup_(kept_code_freep) struct kept_code *kept = calloc(1, sizeof(*kept));
    if (!kept) {
        return -ENOMEM;
    }
    arena_init(&kept->arena, KEPT_CODE_MAX_BYTES);
    kept->facts = *facts;
    int r = copy_text(&kept->arena, facts->open_failure, &kept->facts.open_failure);
    if (r == 0) {
        *ret_kept = TAKE_PTR(kept);
    }
    return r;
}

struct kept_code *kept_code_free(struct kept_code *kept)
{
    if (kept) {
        free(kept->pieces);
        free(kept->bounds);
        arena_release(&kept->arena);
        free(kept);
    }
    return NULL;
}

int kept_code_add_piece(struct kept_code *kept, const struct kept_piece *piece)
{
    if (piece->start_addr >= piece->end_addr ||
        piece->n_bytes > piece->end_addr - piece->start_addr) {
        return -EINVAL;
    }
    if (kept->n_pieces >= KEPT_CODE_MAX_PIECES ||
        piece->n_bytes > KEPT_CODE_MAX_BYTES - kept->arena.used_bytes) {
        return -ENOSPC;
    }
    if (kept->n_pieces == kept->pieces_capacity) {
        size_t capacity = kept->pieces_capacity ? 2 * kept->pieces_capacity : 16;
        struct kept_piece *grown = reallocarray(kept->pieces, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        kept->pieces = grown;
        kept->pieces_capacity = capacity;
    }
    struct kept_piece copy = *piece;
    uint8_t *bytes = arena_alloc(&kept->arena, piece->n_bytes);
    int r = bytes ? copy_text(&kept->arena, piece->origin, &copy.origin) : -ENOMEM;
    r = r ? r : copy_text(&kept->arena, piece->failure, &copy.failure);
    r = r ? r : copy_text(&kept->arena, piece->hint, &copy.hint);
    if (r == 0) {
        if (piece->n_bytes > 0) {
            memcpy(bytes, piece->bytes, piece->n_bytes);
        }
        copy.bytes = bytes;
        kept->pieces[kept->n_pieces++] = copy;
    }
    return r;
}

int kept_code_add_bounds(struct kept_code *kept, const struct kept_bounds *bounds)
{
    if (bounds->start_addr >= bounds->end_addr) {
        return -EINVAL;
    }
    if (kept->n_bounds >= KEPT_CODE_MAX_PIECES) {
        return -ENOSPC;
    }
    if (kept->n_bounds == kept->bounds_capacity) {
        size_t capacity = kept->bounds_capacity ? 2 * kept->bounds_capacity : 16;
        struct kept_bounds *grown = reallocarray(kept->bounds, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        kept->bounds = grown;
        kept->bounds_capacity = capacity;
    }
    kept->bounds[kept->n_bounds++] = *bounds;
    return 0;
}

static int by_piece(const void *left, const void *right)
{
    const struct kept_piece *a = left, *b = right;
    if (a->pid != b->pid) {
        return a->pid < b->pid ? -1 : 1;
    }
    return a->start_addr < b->start_addr ? -1 : a->start_addr > b->start_addr;
}

static int by_bounds(const void *left, const void *right)
{
    const struct kept_bounds *a = left, *b = right;
    return a->start_addr < b->start_addr ? -1 : a->start_addr > b->start_addr;
}

void kept_code_finish(struct kept_code *kept)
{
    if (kept->n_pieces > 0) { /* no array is NULL */
        qsort(kept->pieces, kept->n_pieces, sizeof(*kept->pieces), by_piece);
    }
    if (kept->n_bounds > 0) {
        qsort(kept->bounds, kept->n_bounds, sizeof(*kept->bounds), by_bounds);
    }
}

const struct kept_code_facts *kept_code_facts(const struct kept_code *kept)
{
    return &kept->facts;
}

const struct kept_piece *kept_code_find(const struct kept_code *kept, int64_t pid, uint64_t address)
{
    const struct kept_piece wanted = {.pid = pid, .start_addr = address};
    size_t low = 0, high = kept->n_pieces; /* the last one that begins at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_piece(&kept->pieces[middle], &wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct kept_piece *piece = low > 0 ? &kept->pieces[low - 1] : NULL;
    return piece && piece->pid == pid && address < piece->end_addr ? piece : NULL;
}

bool kept_code_bounds(const struct kept_code *kept, uint64_t address, uint64_t *ret_start,
                      uint64_t *ret_end)
{
    size_t low = 0, high = kept->n_bounds;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kept->bounds[middle].start_addr <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct kept_bounds *bounds = low > 0 ? &kept->bounds[low - 1] : NULL;
    if (!bounds || address >= bounds->end_addr) {
        return false;
    }
    *ret_start = bounds->start_addr;
    *ret_end = bounds->end_addr;
    return true;
}

const struct kept_piece *kept_code_pieces(const struct kept_code *kept, size_t *ret_n_pieces)
{
    *ret_n_pieces = kept->n_pieces;
    return kept->pieces;
}

const struct kept_bounds *kept_code_all_bounds(const struct kept_code *kept, size_t *ret_n_bounds)
{
    *ret_n_bounds = kept->n_bounds;
    return kept->bounds;
}
