/* SPDX-License-Identifier: MIT */
/*
 * Code lies in a file without a name, since that is where jit_code_read() reads
 * it from.
 */
#include "jit/jit_kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "jit/jit_body.h"

struct jit_kept {
    struct arena arena; /* symbols, bodies, texts */
    int fd;             /* of the code; -1: there is none yet */
    uint64_t n_code_bytes;
    size_t n_symbols, symbols_capacity;
    const struct symbol **symbols;
    size_t n_bodies, bodies_capacity;
    struct jit_body **bodies;
    size_t lines_capacity; /* of the last body, whose lines grow outside of the arena */
    struct jit_body_line *lines;
    size_t n_lines; /* in all */
    size_t n_functions, functions_capacity;
    struct jit_kept_function *functions;
    size_t n_answers, answers_capacity;
    struct jit_kept_answer *answers;
    struct jit_code_stats stats;
};

int jit_kept_new(struct jit_kept **ret_kept)
{
    struct jit_kept *kept = calloc(1, sizeof(*kept));
    if (!kept) {
        return -ENOMEM;
    }
    kept->fd = -1;
    arena_init(&kept->arena, JIT_CODE_MAX_BYTES);
    *ret_kept = kept;
    return 0;
}

struct jit_kept *jit_kept_free(struct jit_kept *kept)
{
    if (kept) {
        fd_close(kept->fd);
        free(kept->symbols);
        free(kept->bodies);
        free(kept->lines);
        free(kept->functions);
        free(kept->answers);
        arena_release(&kept->arena);
        free(kept);
    }
    return NULL;
}

/* An array with room for one more; NULL when memory ran out. */
static void *with_room(void *array, size_t n_items, size_t *inout_capacity, size_t item_bytes)
{
    if (n_items < *inout_capacity) {
        return array;
    }
    size_t capacity = *inout_capacity ? 2 * *inout_capacity : 16;
    void *grown = reallocarray(array, capacity, item_bytes);
    *inout_capacity = grown ? capacity : *inout_capacity;
    return grown;
}

int jit_kept_add_symbol(struct jit_kept *kept, const struct symbol *symbol, uint32_t *ret_symbol)
{
    if (kept->n_symbols >= JIT_KEPT_MAX) {
        return -ENOSPC;
    }
    const struct symbol **grown =
        with_room(kept->symbols, kept->n_symbols, &kept->symbols_capacity, sizeof(*kept->symbols));
    if (!grown) {
        return -ENOMEM;
    }
    kept->symbols = grown;
    struct symbol *copy = arena_alloc(&kept->arena, sizeof(*copy));
    const char *name = arena_strdup(&kept->arena, symbol->name);
    const char *image = strcmp(symbol->image, JIT_CODE_IMAGE) == 0
                            ? JIT_CODE_IMAGE
                            : arena_strdup(&kept->arena, symbol->image);
    if (!copy || (symbol->name && !name) || !image) {
        return -ENOSPC;
    }
    *copy = *symbol;
    copy->name = name;
    copy->image = image;
    *ret_symbol = (uint32_t)kept->n_symbols;
    kept->symbols[kept->n_symbols++] = copy;
    return 0;
}

/* The lines of the last body are complete. */
static int close_body(struct jit_kept *kept)
{
    struct jit_body *body = kept->n_bodies > 0 ? kept->bodies[kept->n_bodies - 1] : NULL;
    if (!body || body->n_lines == 0 || body->lines) {
        return 0;
    }
    body->lines = arena_alloc_array(&kept->arena, body->n_lines, sizeof(*body->lines));
    if (!body->lines) {
        body->n_lines = 0;
        return -ENOSPC;
    }
    memcpy(body->lines, kept->lines, body->n_lines * sizeof(*body->lines));
    return 0;
}

static int write_code(struct jit_kept *kept, const void *code, size_t n_bytes)
{
    if (kept->fd < 0) {
        kept->fd = memfd_create("stax-code", MFD_CLOEXEC);
        if (kept->fd < 0) {
            return -errno;
        }
    }
    const char *at = code;
    while (n_bytes > 0) {
        ssize_t n_written = pwrite(kept->fd, at, n_bytes, (off_t)kept->n_code_bytes);
        if (n_written <= 0) {
            return n_written < 0 ? -errno : -EIO;
        }
        at += n_written;
        n_bytes -= (size_t)n_written;
        kept->n_code_bytes += (uint64_t)n_written;
    }
    return 0;
}

int jit_kept_add_body(struct jit_kept *kept, const void *code, size_t n_bytes, uint32_t *ret_body)
{
    if (kept->n_bodies >= JIT_KEPT_MAX || n_bytes > JIT_CODE_MAX_BYTES - kept->n_code_bytes) {
        return -ENOSPC;
    }
    int r = close_body(kept);
    struct jit_body **grown =
        with_room(kept->bodies, kept->n_bodies, &kept->bodies_capacity, sizeof(*kept->bodies));
    if (r < 0 || !grown) {
        return r < 0 ? r : -ENOMEM;
    }
    kept->bodies = grown;
    struct jit_body *body = arena_alloc(&kept->arena, sizeof(*body));
    if (!body) {
        return -ENOSPC;
    }
    body->n_bytes = n_bytes;
    body->fd = -1;
    body->code_offset = kept->n_code_bytes;
    if (n_bytes > 0) {
        r = write_code(kept, code, n_bytes);
        body->fd = kept->fd;
    }
    if (r == 0) {
        *ret_body = (uint32_t)kept->n_bodies;
        kept->bodies[kept->n_bodies++] = body;
    }
    return r;
}

int jit_kept_add_line(struct jit_kept *kept, uint32_t code_offset, const char *file, uint32_t line)
{
    struct jit_body *body = kept->n_bodies > 0 ? kept->bodies[kept->n_bodies - 1] : NULL;
    if (!body || body->lines ||
        (body->n_lines > 0 && kept->lines[body->n_lines - 1].code_offset > code_offset)) {
        return -EINVAL;
    }
    if (kept->n_lines >= JIT_KEPT_MAX) {
        return -ENOSPC;
    }
    struct jit_body_line *grown =
        with_room(kept->lines, body->n_lines, &kept->lines_capacity, sizeof(*kept->lines));
    if (!grown) {
        return -ENOMEM;
    }
    kept->lines = grown;
    const char *last = body->n_lines > 0 ? kept->lines[body->n_lines - 1].file : NULL;
    bool is_same = last && strcmp(last, file) == 0;
    const char *text = is_same ? last : arena_strdup(&kept->arena, file);
    if (!text) {
        return -ENOSPC;
    }
    kept->lines[body->n_lines++] =
        (struct jit_body_line){.code_offset = code_offset, .line = line, .file = text};
    kept->n_lines++;
    return 0;
}

int jit_kept_add_function(struct jit_kept *kept, const struct jit_kept_function *function,
                          uint32_t *ret_function)
{
    bool has_symbol = function->symbol == JIT_KEPT_NONE || function->symbol < kept->n_symbols;
    if (!has_symbol || function->start_ip > function->end_ip ||
        (function->body != JIT_KEPT_NONE && function->body >= kept->n_bodies)) {
        return -EINVAL;
    }
    if (kept->n_functions >= JIT_KEPT_MAX) {
        return -ENOSPC;
    }
    struct jit_kept_function *grown =
        with_room(kept->functions, kept->n_functions, &kept->functions_capacity, sizeof(*function));
    if (!grown) {
        return -ENOMEM;
    }
    kept->functions = grown;
    *ret_function = (uint32_t)kept->n_functions;
    kept->functions[kept->n_functions++] = *function;
    return 0;
}

int jit_kept_add_answer(struct jit_kept *kept, const struct jit_kept_answer *answer)
{
    if (answer->function >= kept->n_functions) {
        return -EINVAL;
    }
    if (kept->n_answers >= JIT_KEPT_MAX) {
        return -ENOSPC;
    }
    struct jit_kept_answer *grown =
        with_room(kept->answers, kept->n_answers, &kept->answers_capacity, sizeof(*answer));
    if (!grown) {
        return -ENOMEM;
    }
    kept->answers = grown;
    kept->answers[kept->n_answers++] = *answer;
    return 0;
}

void jit_kept_set_stats(struct jit_kept *kept, const struct jit_code_stats *stats)
{
    kept->stats = *stats;
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const struct jit_kept_answer *a, const struct jit_kept_answer *b)
{
    return a->pid != b->pid ? (a->pid < b->pid ? -1 : 1) : compare(a->ip, b->ip);
}

static int by_answer(const void *left, const void *right)
{
    const struct jit_kept_answer *a = left, *b = right;
    int order = by_place(a, b);
    order = order ? order : compare(a->from_ns, b->from_ns);
    return order ? order : compare(a->to_ns, b->to_ns);
}

int jit_kept_finish(struct jit_kept *kept)
{
    if (kept->n_answers > 0) { /* no array is NULL */
        qsort(kept->answers, kept->n_answers, sizeof(*kept->answers), by_answer);
    }
    return close_body(kept);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

bool jit_kept_find(const struct jit_kept *kept, int64_t pid, uint64_t ip, uint64_t from_ns,
                   uint64_t to_ns, struct jit_place *ret_place)
{
    const struct jit_kept_answer wanted = {
        .pid = pid, .ip = ip, .from_ns = from_ns, .to_ns = to_ns};
    size_t low = 0, high = kept->n_answers; /* the first one that is not before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_answer(&kept->answers[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct jit_kept_answer *after =
        low < kept->n_answers && by_place(&kept->answers[low], &wanted) == 0 ? &kept->answers[low]
                                                                             : NULL;
    const struct jit_kept_answer *before =
        low > 0 && by_place(&kept->answers[low - 1], &wanted) == 0 ? &kept->answers[low - 1] : NULL;
    const struct jit_kept_answer *best = after ? after : before;
    if (after && before && distance(before->from_ns, from_ns) < distance(after->from_ns, from_ns)) {
        best = before;
    }
    if (!best) {
        return false;
    }
    const struct jit_kept_function *function = &kept->functions[best->function];
    const struct symbol *symbol =
        function->symbol == JIT_KEPT_NONE ? NULL : kept->symbols[function->symbol];
    if (!symbol || !symbol->name) {
        return false;
    }
    *ret_place = (struct jit_place){
        .pid = pid,
        .symbol = symbol,
        .start_ip = function->start_ip,
        .end_ip = function->end_ip,
        .from_ns = function->from_ns,
        .to_ns = function->to_ns,
        .body = function->body == JIT_KEPT_NONE ? NULL : kept->bodies[function->body],
    };
    return true;
}

const struct jit_code_stats *jit_kept_stats(const struct jit_kept *kept)
{
    return &kept->stats;
}

bool jit_kept_line_of(const struct jit_place *place, size_t number, uint32_t *ret_code_offset,
                      const char **ret_file, uint32_t *ret_line)
{
    if (!place->body || number >= place->body->n_lines) {
        return false;
    }
    const struct jit_body_line *line = &place->body->lines[number];
    *ret_code_offset = line->code_offset;
    *ret_file = line->file;
    *ret_line = line->line;
    return true;
}
