/* SPDX-License-Identifier: MIT */
/*
 * Readers hold a lock only while they search; the writer prepares an index
 * aside and exchanges it under the lock, so that an unwinder that asks for
 * each frame waits for a few pointer writes at most.
 */
#include "jit/jit_code.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash_table.h"
#include "jit/jit_body.h"
#include "jit/jit_kept.h"
#include "jit/jit_space.h"

#define MAX_FILES 64u
#define MAX_SPACES (1u << 16)
/* How many of the functions that new code covers are looked at to tell whether it replaces one. */
#define MAX_REPLACED_VISITS 32u

/* A function as its producer names it, for moves. */
struct known_function {
    uint64_t producer, index;
    struct jit_space *space;
    struct jit_range range;  /* as it was added or moved last */
    uint64_t n_publications; /* of its space, then: */
    size_t added_at;         /* until the next one it lies there among those added */
};

struct jit_code {
    pthread_rwlock_t lock; /* of spaces' indexes, by_pid, and the array of spaces */
    struct hash_table by_pid;
    struct jit_space **spaces;
    size_t n_spaces, spaces_capacity;

    /* The writer's. */
    struct arena arena; /* names, symbols, bodies, lines */
    struct hash_table names;
    struct symbol **symbols;
    size_t n_symbols, symbols_capacity;
    struct hash_table known_ids;
    struct known_function *known;
    size_t n_known, known_capacity;
    struct jit_body *bodies; /* linked, the newest first */
    uint64_t order;
    int files[MAX_FILES];
    size_t n_files;

    struct jit_kept *kept; /* NULL: none came with the run */
    atomic_bool is_settled;
    atomic_bool has_crowd; /* an address where more stood than is looked at */
    _Atomic uint64_t n_functions, n_moves, n_reused, n_tables, n_lines, n_dropped;
    _Atomic uint64_t n_table_bytes, n_frameless_bytes;
};

int jit_code_new(struct jit_code **ret_code)
{
    struct jit_code *code = calloc(1, sizeof(*code));
    if (!code) {
        return -ENOMEM;
    }
    pthread_rwlock_init(&code->lock, NULL);
    arena_init(&code->arena, JIT_CODE_MAX_BYTES);
    hash_table_init(&code->by_pid);
    hash_table_init(&code->names);
    hash_table_init(&code->known_ids);
    *ret_code = code;
    return 0;
}

struct jit_code *jit_code_free(struct jit_code *code)
{
    if (!code) {
        return NULL;
    }
    for (size_t i = 0; i < code->n_spaces; i++) {
        jit_space_release(code->spaces[i]);
        free(code->spaces[i]);
    }
    for (size_t i = 0; i < code->n_files; i++) {
        fd_close(code->files[i]);
    }
    jit_bodies_release(code->bodies);
    jit_kept_free(code->kept);
    free(code->spaces);
    free(code->symbols);
    free(code->known);
    hash_table_release(&code->by_pid);
    hash_table_release(&code->names);
    hash_table_release(&code->known_ids);
    arena_release(&code->arena);
    pthread_rwlock_destroy(&code->lock);
    free(code);
    return NULL;
}

/* An array with room for one more; NULL when memory ran out or max_items are there. */
static void *with_room(void *array, size_t n_items, size_t *inout_capacity, size_t item_bytes,
                       size_t max_items)
{
    if (n_items < *inout_capacity) {
        return array;
    }
    if (n_items >= max_items) {
        return NULL;
    }
    size_t capacity = *inout_capacity ? 2 * *inout_capacity : 16;
    void *grown = reallocarray(array, capacity, item_bytes);
    if (grown) {
        *inout_capacity = capacity;
    }
    return grown;
}

static struct jit_space *find_space(const struct jit_code *code, int64_t pid)
{
    uint32_t at = hash_table_find(&code->by_pid, (uint64_t)pid);
    return at == HASH_TABLE_NONE ? NULL : code->spaces[at];
}

/* Under the write lock. */
static struct jit_space *add_space(struct jit_code *code, int64_t pid)
{
    struct jit_space **grown = with_room(code->spaces, code->n_spaces, &code->spaces_capacity,
                                         sizeof(struct jit_space *), MAX_SPACES);
    if (!grown) {
        return NULL;
    }
    code->spaces = grown;
    struct jit_space *space = malloc(sizeof(*space));
    if (!space || hash_table_add(&code->by_pid, (uint64_t)pid, (uint32_t)code->n_spaces) < 0) {
        free(space);
        return NULL;
    }
    jit_space_init(space, pid);
    code->spaces[code->n_spaces++] = space;
    return space;
}

static struct jit_space *get_space(struct jit_code *code, int64_t pid)
{
    struct jit_space *space = find_space(code, pid); /* only the writer adds */
    if (!space) {
        pthread_rwlock_wrlock(&code->lock);
        space = add_space(code, pid);
        pthread_rwlock_unlock(&code->lock);
    }
    return space;
}

/* Searching ---------------------------------------------------------------------------- */

bool jit_code_find(struct jit_code *code, int64_t pid, uint64_t ip, uint64_t from_ns,
                   uint64_t to_ns, struct jit_place *ret_place)
{
    struct jit_range range;
    bool has_more = false;
    if (code->kept) {
        return jit_kept_find(code->kept, pid, ip, from_ns, to_ns, ret_place);
    }
    /* Where code was exchanged once in between, the one of the middle stood there for longer. */
    const struct jit_moment moment = {
        .from_ns = from_ns,
        .at_ns = from_ns < to_ns ? from_ns + (to_ns - from_ns) / 2 : from_ns,
        .to_ns = to_ns,
    };
    pthread_rwlock_rdlock(&code->lock);
    bool is_found =
        ip != UINT64_MAX && jit_space_find(find_space(code, pid), ip, &moment, &range, &has_more);
    pthread_rwlock_unlock(&code->lock);
    if (has_more) {
        atomic_store_explicit(&code->has_crowd, true, memory_order_relaxed);
    }
    if (is_found) {
        *ret_place = (struct jit_place){
            .pid = pid,
            .symbol = range.symbol,
            .start_ip = range.start_ip,
            .end_ip = range.end_ip,
            .from_ns = range.from_ns,
            .to_ns = range.to_ns,
            .table = range.body ? range.body->table : NULL,
            .table_bias = range.body ? range.start_ip - range.body->start_ip : 0,
            .body = range.body,
        };
    }
    return is_found;
}

void jit_code_set_kept(struct jit_code *code, struct jit_kept *takes_kept)
{
    code->kept = takes_kept;
}

bool jit_code_is_settled(const struct jit_code *code)
{
    return atomic_load_explicit(&code->is_settled, memory_order_acquire);
}

void jit_code_settle(struct jit_code *code)
{
    atomic_store_explicit(&code->is_settled, true, memory_order_release);
}

const _Atomic uint64_t *jit_code_reuse_count(const struct jit_code *code)
{
    return &code->n_reused;
}

void jit_code_get_stats(struct jit_code *code, struct jit_code_stats *ret_stats)
{
    if (code->kept) {
        *ret_stats = *jit_kept_stats(code->kept);
        return;
    }
    *ret_stats = (struct jit_code_stats){
        .n_functions = code->n_functions,
        .n_moves = code->n_moves,
        .n_reused = code->n_reused,
        .n_tables = code->n_tables,
        .n_table_bytes = code->n_table_bytes,
        .n_frameless_bytes = code->n_frameless_bytes,
        .n_lines = code->n_lines,
        .n_dropped = code->n_dropped + code->has_crowd,
    };
}

/* Adding ------------------------------------------------------------------------------- */

struct wanted_name {
    const struct jit_code *code;
    const char *name;
    size_t n_bytes;
};

static bool has_name(uint32_t value, const void *wanted, const void *userdata)
{
    const struct wanted_name *name = wanted;
    const struct jit_code *code = userdata;
    const char *candidate = code->symbols[value]->name;
    return strlen(candidate) == name->n_bytes && memcmp(candidate, name->name, name->n_bytes) == 0;
}

/* One symbol per name; its address is that of the first code of that name. */
static const struct symbol *intern_symbol(struct jit_code *code, const struct jit_load *load)
{
    char text[JIT_CODE_MAX_NAME_BYTES];
    size_t n_bytes = jit_name_clean(load->name, load->n_name_bytes, text, sizeof(text));
    uint64_t key = hash_bytes(text, n_bytes);
    const struct wanted_name wanted = {.name = text, .n_bytes = n_bytes};
    uint32_t at = hash_table_find_equal(&code->names, key, has_name, &wanted, code);
    if (at != HASH_TABLE_NONE) {
        return code->symbols[at];
    }
    struct symbol **grown = with_room(code->symbols, code->n_symbols, &code->symbols_capacity,
                                      sizeof(struct symbol *), JIT_CODE_MAX_FUNCTIONS);
    if (!grown) {
        return NULL;
    }
    code->symbols = grown;
    struct symbol *symbol = arena_alloc(&code->arena, sizeof(*symbol));
    const char *name = arena_strndup(&code->arena, text, n_bytes);
    if (!symbol || !name || hash_table_add(&code->names, key, (uint32_t)code->n_symbols) < 0) {
        return NULL;
    }
    *symbol = (struct symbol){
        .name = name,
        .image = JIT_CODE_IMAGE,
        .kind = FRAME_KIND_JIT,
        .start_address = load->start_ip,
        .size_bytes = load->n_bytes,
    };
    code->symbols[code->n_symbols++] = symbol;
    return symbol;
}

static bool is_known(uint32_t value, const void *wanted, const void *userdata)
{
    const struct known_function *function = wanted;
    const struct jit_code *code = userdata;
    return code->known[value].producer == function->producer &&
           code->known[value].index == function->index;
}

static uint64_t known_key(uint64_t producer, uint64_t index)
{
    return hash_u64(index ^ hash_u64(producer));
}

static struct known_function *find_known(struct jit_code *code, uint64_t producer, uint64_t index)
{
    const struct known_function wanted = {.producer = producer, .index = index};
    uint32_t at = hash_table_find_equal(&code->known_ids, known_key(producer, index), is_known,
                                        &wanted, code);
    return at == HASH_TABLE_NONE ? NULL : &code->known[at];
}

static int remember(struct jit_code *code, const struct known_function *function)
{
    struct known_function *found = find_known(code, function->producer, function->index);
    if (found) {
        *found = *function;
        return 0;
    }
    struct known_function *grown = with_room(code->known, code->n_known, &code->known_capacity,
                                             sizeof(*code->known), JIT_CODE_MAX_FUNCTIONS);
    if (!grown) {
        return -ENOMEM;
    }
    code->known = grown;
    code->known[code->n_known] = *function;
    return hash_table_add(&code->known_ids, known_key(function->producer, function->index),
                          (uint32_t)code->n_known++);
}

/* Names, lines and tables have one limit together. */
static void count_table(struct jit_code *code, struct jit_body *body)
{
    size_t n_bytes = body->table ? cfi_table_memory_bytes(body->table) : 0;
    if (n_bytes > code->arena.max_bytes - code->arena.used_bytes) {
        body->table = cfi_table_free(body->table);
        code->n_dropped++;
    } else if (body->table) {
        code->arena.max_bytes -= n_bytes;
        code->n_tables++;
        code->n_table_bytes += body->n_bytes;
        code->n_frameless_bytes += jit_body_keeps_frame_pointer(body) ? 0 : body->n_bytes;
    }
}

static struct jit_body *add_body(struct jit_code *code, const struct jit_load *load)
{
    struct jit_body *body = jit_body_new(&code->arena, load);
    if (body) {
        body->next = code->bodies;
        code->bodies = body;
        code->n_lines += body->n_lines;
        count_table(code, body);
    }
    return body;
}

/* Remembers where among those added it lies, for moves. */
static int add_known(struct known_function *function)
{
    function->n_publications = function->space->n_publications;
    function->added_at = function->space->n_added;
    return jit_space_add(function->space, &function->range);
}

static int add_function(struct jit_code *code, const struct jit_load *load)
{
    struct jit_space *space = get_space(code, load->pid);
    const struct symbol *symbol = space ? intern_symbol(code, load) : NULL;
    if (!symbol) {
        return -ENOMEM;
    }
    struct jit_body *body = NULL;
    if (load->fd >= 0 || bytes_left(&load->eh_frame) > 0 || bytes_left(&load->debug_entries) > 0) {
        body = add_body(code, load);
        if (!body) {
            return -ENOMEM;
        }
    }
    /* Who tells late cannot know better than the kernel that another program runs. */
    uint64_t cut_ns = jit_space_last_cut_ns(space);
    bool is_before_cut = !load->is_time_exact && load->from_ns < cut_ns;
    struct known_function function = {
        .producer = load->producer,
        .index = load->index,
        .space = space,
        .range =
            {
                .start_ip = load->start_ip,
                .end_ip = load->start_ip + load->n_bytes,
                .from_ns = is_before_cut ? cut_ns : load->from_ns,
                .to_ns = UINT64_MAX,
                .order = ++code->order,
                .symbol = symbol,
                .body = body,
                .is_time_exact = load->is_time_exact,
                .is_named = load->producer != 0,
            },
    };
    int r = add_known(&function);
    if (r == 0 && load->producer != 0) {
        r = remember(code, &function);
    }
    return r;
}

/* Is just that what stands there already? */
static bool is_told_again(struct jit_code *code, const struct jit_load *load)
{
    char text[JIT_CODE_MAX_NAME_BYTES];
    struct jit_place place;
    if (!load->may_repeat ||
        !jit_code_find(code, load->pid, load->start_ip, load->from_ns, load->from_ns, &place)) {
        return false;
    }
    (void)jit_name_clean(load->name, load->n_name_bytes, text, sizeof(text));
    return place.start_ip == load->start_ip && place.end_ip - place.start_ip == load->n_bytes &&
           place.to_ns == UINT64_MAX && strcmp(place.symbol->name, text) == 0;
}

int jit_code_load(struct jit_code *code, const struct jit_load *load)
{
    if (load->n_bytes == 0 || load->n_bytes > JIT_CODE_MAX_FUNCTION_BYTES ||
        load->start_ip > UINT64_MAX - load->n_bytes) {
        return -EINVAL;
    }
    if (is_told_again(code, load)) {
        return 0;
    }
    int r = code->order < JIT_CODE_MAX_FUNCTIONS ? add_function(code, load) : -ENOSPC;
    if (r < 0) {
        code->n_dropped++;
    } else {
        code->n_functions++;
    }
    return r;
}

static void end_range(struct jit_range *range, uint64_t to_ns)
{
    range->to_ns = to_ns < range->to_ns ? to_ns : range->to_ns;
}

static void end_function(struct jit_code *code, const struct known_function *function,
                         uint64_t to_ns)
{
    struct jit_space *space = function->space;
    if (function->n_publications == space->n_publications) {
        end_range(&space->added[function->added_at], to_ns);
        return;
    }
    pthread_rwlock_wrlock(&code->lock);
    struct jit_range *range =
        jit_index_at(&space->index, function->range.start_ip, function->range.order);
    if (range) {
        end_range(range, to_ns);
    }
    pthread_rwlock_unlock(&code->lock);
}

int jit_code_move(struct jit_code *code, uint64_t producer, uint64_t index, uint64_t new_ip,
                  uint64_t from_ns)
{
    struct known_function *function = find_known(code, producer, index);
    if (!function) {
        return -ENOENT;
    }
    uint64_t n_bytes = function->range.end_ip - function->range.start_ip;
    if (new_ip > UINT64_MAX - n_bytes) {
        return -EINVAL;
    }
    if (code->order >= JIT_CODE_MAX_FUNCTIONS) {
        code->n_dropped++;
        return -ENOSPC;
    }
    struct known_function moved = *function;
    moved.range.start_ip = new_ip;
    moved.range.end_ip = new_ip + n_bytes;
    moved.range.from_ns = from_ns;
    moved.range.order = ++code->order;
    int r = add_known(&moved);
    if (r < 0) {
        code->n_dropped++;
        return r;
    }
    end_function(code, function, from_ns);
    *function = moved;
    code->n_moves++;
    return 0;
}

void jit_code_drop(struct jit_code *code)
{
    code->n_dropped++;
}

bool jit_code_knows(const struct jit_code *code, int64_t pid)
{
    return find_space(code, pid) != NULL;
}

void jit_code_exec(struct jit_code *code, int64_t pid, uint64_t time_ns)
{
    struct jit_space *space = find_space(code, pid);
    if (!space) {
        return;
    }
    (void)jit_code_publish(code);
    pthread_rwlock_wrlock(&code->lock);
    jit_space_cut(space, time_ns);
    pthread_rwlock_unlock(&code->lock);
}

void jit_code_fork(struct jit_code *code, int64_t pid, int64_t parent_pid, uint64_t time_ns)
{
    struct jit_space *parent = pid != parent_pid ? get_space(code, parent_pid) : NULL;
    struct jit_space *space = parent ? get_space(code, pid) : NULL;
    if (!space || (space->parent && time_ns <= space->fork_ns)) {
        return;
    }
    pthread_rwlock_wrlock(&code->lock);
    if (space->parent || space->index.large.n_ranges + space->index.recent.n_ranges > 0) {
        jit_space_cut(space, time_ns); /* an earlier process had this pid */
    }
    space->parent = parent;
    space->fork_ns = time_ns;
    pthread_rwlock_unlock(&code->lock);
}

int jit_code_keep_file(struct jit_code *code, int takes_fd)
{
    if (code->n_files == MAX_FILES) {
        return fd_close(takes_fd);
    }
    code->files[code->n_files++] = takes_fd;
    return takes_fd;
}

const struct jit_body *jit_code_forget_bytes(struct jit_code *code, int fd,
                                             const struct jit_body *since)
{
    for (struct jit_body *body = code->bodies; body != since; body = body->next) {
        if (atomic_load_explicit(&body->fd, memory_order_relaxed) == fd) {
            atomic_store_explicit(&body->fd, -1, memory_order_relaxed);
        }
    }
    return code->bodies;
}

/* Does a range replace another function, or the same one elsewhere? */
static bool is_other(void *userdata, struct jit_range *range)
{
    struct jit_range *added = userdata;
    bool is_same = range->order >= added->order ||
                   (range->symbol == added->symbol && range->start_ip == added->start_ip);
    if (!is_same) {
        added->order = 0; /* the answer; `added` is a copy */
    }
    return is_same;
}

static uint64_t count_reused(const struct jit_space *space)
{
    uint64_t n_reused = 0;
    for (size_t i = 0; i < space->n_added; i++) {
        struct jit_range range = space->added[i];
        (void)jit_index_overlaps(&space->index, range.start_ip, range.end_ip, MAX_REPLACED_VISITS,
                                 is_other, &range);
        n_reused += range.order == 0;
    }
    return n_reused;
}

static int publish_space(struct jit_code *code, struct jit_space *space)
{
    struct jit_index extended;
    int r = jit_index_extend(&space->index, space->added, space->n_added, &extended);
    if (r < 0) {
        return r;
    }
    pthread_rwlock_wrlock(&code->lock);
    jit_index_replace(&space->index, &extended);
    pthread_rwlock_unlock(&code->lock);
    uint64_t n_reused = count_reused(space);
    if (n_reused > 0) {
        atomic_fetch_add_explicit(&code->n_reused, n_reused, memory_order_release);
    }
    space->n_added = 0;
    space->n_publications++;
    return 0;
}

int jit_code_publish(struct jit_code *code)
{
    int r = 0;
    for (size_t i = 0; i < code->n_spaces && r == 0; i++) {
        if (code->spaces[i]->n_added > 0) {
            r = publish_space(code, code->spaces[i]);
        }
    }
    return r;
}
