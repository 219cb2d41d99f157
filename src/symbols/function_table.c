/* SPDX-License-Identifier: MIT */
/*
 * Sorted functions may nest (an assembler routine with an entry in its
 * middle). Each one knows the nearest one before it that ends later: from the
 * last function that starts at or before an address, that chain leads to every
 * function that can still hold it, innermost first.
 */
#include "symbols/function_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "symbols/demangle.h"

#define NO_OUTER UINT32_MAX
#define MAX_NESTING 64
/* Of two long names for one address; bounds what a hostile table costs. */
#define MAX_COMPARED_BYTES 256

struct function {
    uint64_t start_address, end_address;
    uint32_t name, module;
    uint32_t outer; /* index of the nearest earlier one that ends later */
    uint8_t rank;
    bool has_own_size;
    uint64_t end_limit; /* needed only until the table is sorted */
};

struct function_table {
    char *image_name;
    enum frame_kind kind;
    struct function *functions;
    size_t n_functions, capacity;
    size_t n_nameless; /* of them */
    char *names;
    size_t names_bytes;
    struct symbol *_Atomic *symbols; /* by index; made when first found */
    struct function_table *older;    /* may be NULL */
};

int function_table_new(const char *image_name, enum frame_kind kind,
                       struct function_table **ret_table)
{
    _cleanup_(function_table_freep) struct function_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    table->kind = kind;
    table->image_name = strdup(image_name);
    /* Offset 0 is the empty name. */
    table->names = calloc(1, 1);
    table->names_bytes = 1;
    if (!table->image_name || !table->names) {
        return -ENOMEM;
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}

static void symbol_free(struct symbol *symbol)
{
    if (symbol) {
        free((char *)(uintptr_t)symbol->name);
        free(symbol);
    }
}

struct function_table *function_table_free(struct function_table *table)
{
    if (table) {
        for (size_t i = 0; table->symbols && i < table->n_functions; i++) {
            symbol_free(atomic_load_explicit(&table->symbols[i], memory_order_relaxed));
        }
        free(table->symbols);
        free(table->functions);
        free(table->names);
        free(table->image_name);
        function_table_free(table->older);
        free(table);
    }
    return NULL;
}

int function_table_add_names(struct function_table *table, const void *text, size_t n_bytes,
                             uint32_t *ret_base)
{
    if (n_bytes >= UINT32_MAX - table->names_bytes) {
        return -EFBIG;
    }
    char *grown = realloc(table->names, table->names_bytes + n_bytes + 1);
    if (!grown) {
        return -ENOMEM;
    }
    if (n_bytes > 0) {
        memcpy(grown + table->names_bytes, text, n_bytes);
    }
    grown[table->names_bytes + n_bytes] = '\0';
    *ret_base = (uint32_t)table->names_bytes;
    table->names = grown;
    table->names_bytes += n_bytes + 1;
    return 0;
}

int function_table_add(struct function_table *table, const struct function_entry *entry)
{
    bool is_boundary = entry->rank == FUNCTION_RANK_BOUNDARY;
    if (entry->start_address >= entry->end_limit || entry->name >= table->names_bytes ||
        entry->module >= table->names_bytes ||
        (!is_boundary && table->names[entry->name] == '\0')) {
        return 0;
    }
    if (table->n_functions == table->capacity) {
        if (table->capacity >= FUNCTION_TABLE_MAX) {
            return -ENOSPC;
        }
        size_t capacity = table->capacity ? table->capacity * 2 : 1024;
        struct function *grown = reallocarray(table->functions, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        table->functions = grown;
        table->capacity = capacity;
    }
    uint64_t room = entry->end_limit - entry->start_address;
    uint64_t n_bytes = entry->n_bytes < room ? entry->n_bytes : room;
    table->functions[table->n_functions++] = (struct function){
        .start_address = entry->start_address,
        .end_address = entry->start_address + n_bytes,
        .name = entry->name,
        .module = entry->module,
        .outer = NO_OUTER,
        .rank = (uint8_t)entry->rank,
        .has_own_size = n_bytes > 0 && !is_boundary,
        .end_limit = entry->end_limit,
    };
    return 0;
}

/* Underscores that a reader would call decoration; mangled names have none. */
static size_t count_underscores(const char *name)
{
    size_t n = 0;
    while (n < MAX_COMPARED_BYTES && name[n] == '_') {
        n++;
    }
    bool is_mangled = n > 0 && (name[n] == 'Z' || name[n] == 'R' || name[n] == 'D');
    return is_mangled ? 0 : n;
}

/* Weak and global names differ for linkers, not for readers: "strdup" is weak, "__strdup" is not.
 */
static int trust_of(const struct function *function)
{
    return function->rank == FUNCTION_RANK_WEAK ? FUNCTION_RANK_GLOBAL : function->rank;
}

/* Of two names at one address; a total order, so that the order of the file does not decide. */
static bool is_better_alias(const struct function_table *table, const struct function *one,
                            const struct function *other)
{
    if (trust_of(one) != trust_of(other)) {
        return trust_of(one) > trust_of(other);
    }
    /* A function whose end is never reached may be empty and share the next one's address. */
    if (one->has_own_size != other->has_own_size) {
        return one->has_own_size;
    }
    const char *name = table->names + one->name;
    const char *other_name = table->names + other->name;
    size_t n_underscores = count_underscores(name);
    size_t n_other_underscores = count_underscores(other_name);
    if (n_underscores != n_other_underscores) {
        return n_underscores < n_other_underscores;
    }
    if (one->rank != other->rank) {
        return one->rank > other->rank;
    }
    size_t n_bytes = strnlen(name, MAX_COMPARED_BYTES);
    size_t n_other_bytes = strnlen(other_name, MAX_COMPARED_BYTES);
    if (n_bytes != n_other_bytes) {
        return n_bytes < n_other_bytes;
    }
    return strncmp(name, other_name, MAX_COMPARED_BYTES) < 0;
}

static int compare_addresses(const void *left, const void *right)
{
    const struct function *one = left;
    const struct function *other = right;
    if (one->start_address != other->start_address) {
        return one->start_address < other->start_address ? -1 : 1;
    }
    return 0;
}

/* Keeps the best name of each address, and a size where any of its names has one. */
static void merge_aliases(struct function_table *table)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < table->n_functions; i++) {
        struct function *best = &table->functions[i];
        if (n_kept == 0 || table->functions[n_kept - 1].start_address != best->start_address) {
            table->functions[n_kept++] = *best;
            continue;
        }
        struct function *kept = &table->functions[n_kept - 1];
        struct function worse = *best;
        if (is_better_alias(table, best, kept)) {
            worse = *kept;
            *kept = *best;
        }
        if (!kept->has_own_size && worse.has_own_size) {
            kept->end_address = worse.end_address;
            kept->has_own_size = true;
        }
        if (worse.end_limit < kept->end_limit) {
            kept->end_limit = worse.end_limit;
        }
    }
    table->n_functions = n_kept;
}

/*
 * Which of the extents no name covers: sets their numbers in `ret_nameless` and
 * returns how many there are. A function of unknown size that starts with an
 * extent ends with it at the latest.
 */
static size_t find_nameless(struct function_table *table, const struct cfi_extent *extents,
                            size_t n_extents, uint32_t *ret_nameless)
{
    size_t n_nameless = 0;
    size_t next = 0; /* the first function that starts behind the extent's start */
    uint64_t covered_until = 0;
    for (size_t i = 0; i < n_extents; i++) {
        const struct cfi_extent *extent = &extents[i];
        struct function *same = NULL;
        for (; next < table->n_functions &&
               table->functions[next].start_address <= extent->start_addr;
             next++) {
            struct function *function = &table->functions[next];
            same = function->start_address == extent->start_addr ? function : NULL;
            if (function->has_own_size && function->end_address > covered_until) {
                covered_until = function->end_address;
            }
        }
        if (covered_until > extent->start_addr) {
            continue;
        }
        if (same && same->rank > FUNCTION_RANK_NAMELESS) {
            uint64_t end_address = extent->start_addr + extent->n_bytes;
            same->end_limit = same->end_limit < end_address ? same->end_limit : end_address;
        } else {
            ret_nameless[n_nameless++] = (uint32_t)i;
        }
    }
    return n_nameless;
}

/* Both lists are sorted; they are joined from the end, in place. */
static int add_nameless(struct function_table *table, const struct cfi_extent *extents,
                        const uint32_t *nameless, size_t n_nameless)
{
    size_t n_named = table->n_functions;
    if (n_nameless == 0) {
        return 0;
    }
    if (n_nameless > FUNCTION_TABLE_MAX - n_named) {
        return -ENOSPC;
    }
    struct function *grown =
        reallocarray(table->functions, n_named + n_nameless, sizeof(*table->functions));
    if (!grown) {
        return -ENOMEM;
    }
    table->functions = grown;
    table->n_functions = table->capacity = n_named + n_nameless;
    table->n_nameless = n_nameless;
    for (size_t at = table->n_functions; n_nameless > 0;) {
        const struct cfi_extent *extent = &extents[nameless[n_nameless - 1]];
        if (n_named > 0 && grown[n_named - 1].start_address > extent->start_addr) {
            grown[--at] = grown[--n_named];
            continue;
        }
        uint64_t end_address = extent->start_addr + extent->n_bytes;
        grown[--at] = (struct function){
            .start_address = extent->start_addr,
            .end_address = end_address,
            .outer = NO_OUTER,
            .rank = FUNCTION_RANK_NAMELESS,
            .has_own_size = true,
            .end_limit = end_address,
        };
        n_nameless--;
    }
    return 0;
}

static int fill_with_nameless(struct function_table *table, const struct cfi_extent *extents,
                              size_t n_extents)
{
    if (n_extents == 0 || n_extents > UINT32_MAX) {
        return 0;
    }
    uint32_t *nameless = malloc(n_extents * sizeof(*nameless));
    if (!nameless) {
        return -ENOMEM;
    }
    size_t n_nameless = find_nameless(table, extents, n_extents, nameless);
    int r = add_nameless(table, extents, nameless, n_nameless);
    free(nameless);
    /* Past the limit the names are worth having. */
    return r == -ENOSPC ? 0 : r;
}

/* A label or boundary inside a function of known size is part of that function. */
static bool is_inside_function(const struct function *function, uint64_t covered_until)
{
    return !function->has_own_size && function->rank <= FUNCTION_RANK_LABEL &&
           function->rank != FUNCTION_RANK_PLT && function->start_address < covered_until;
}

static void drop_inner_labels(struct function_table *table)
{
    size_t n_kept = 0;
    uint64_t covered_until = 0;
    for (size_t i = 0; i < table->n_functions; i++) {
        const struct function *function = &table->functions[i];
        if (is_inside_function(function, covered_until)) {
            continue;
        }
        if (function->has_own_size && function->rank != FUNCTION_RANK_NAMELESS &&
            function->end_address > covered_until) {
            covered_until = function->end_address;
        }
        table->functions[n_kept++] = *function;
    }
    table->n_functions = n_kept;
}

/* Functions of unknown size reach to the next one, then boundaries have served. */
static void extend_and_drop_boundaries(struct function_table *table)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < table->n_functions; i++) {
        struct function *function = &table->functions[i];
        if (function->rank == FUNCTION_RANK_BOUNDARY) {
            continue;
        }
        if (!function->has_own_size) {
            bool is_last = i + 1 == table->n_functions;
            uint64_t next = is_last ? UINT64_MAX : table->functions[i + 1].start_address;
            function->end_address = next < function->end_limit ? next : function->end_limit;
        }
        table->functions[n_kept++] = *function;
    }
    table->n_functions = n_kept;
}

static void link_outer_functions(struct function_table *table)
{
    for (size_t i = 0; i < table->n_functions; i++) {
        struct function *function = &table->functions[i];
        uint32_t outer = i > 0 ? (uint32_t)(i - 1) : NO_OUTER;
        while (outer != NO_OUTER && table->functions[outer].end_address <= function->end_address) {
            outer = table->functions[outer].outer;
        }
        function->outer = outer;
    }
}

static bool is_sorted(const struct function_table *table)
{
    for (size_t i = 1; i < table->n_functions; i++) {
        if (table->functions[i - 1].start_address >= table->functions[i].start_address) {
            return false;
        }
    }
    return true;
}

int function_table_sort(struct function_table *table)
{
    return function_table_sort_within(table, NULL, 0);
}

int function_table_sort_within(struct function_table *table, const struct cfi_extent *extents,
                               size_t n_extents)
{
    if (!is_sorted(table)) {
        qsort(table->functions, table->n_functions, sizeof(*table->functions), compare_addresses);
        merge_aliases(table);
    }
    int r = fill_with_nameless(table, extents, n_extents);
    if (r < 0) {
        return r;
    }
    drop_inner_labels(table);
    extend_and_drop_boundaries(table);
    link_outer_functions(table);

    size_t n_kept = table->n_functions > 0 ? table->n_functions : 1;
    struct function *shrunk = reallocarray(table->functions, n_kept, sizeof(*shrunk));
    if (shrunk) {
        table->functions = shrunk;
        table->capacity = n_kept;
    }
    table->symbols = calloc(n_kept, sizeof(*table->symbols));
    if (!table->symbols) {
        table->n_functions = table->n_nameless = 0;
        return -ENOMEM;
    }
    return 0;
}

void function_table_put_behind(struct function_table *table, struct function_table *takes_older)
{
    table->older = takes_older;
}

size_t function_table_count(const struct function_table *table)
{
    return table->n_functions - table->n_nameless;
}

/* The name without the version that linkers append to it ("memcpy@@GLIBC_2.14"); free() it. */
static char *make_name(const struct function_table *table, const struct function *function)
{
    if (function->rank == FUNCTION_RANK_NAMELESS) {
        char *place;
        int r = asprintf(&place, "%s+0x%" PRIx64, table->image_name, function->start_address);
        return r < 0 ? NULL : place;
    }
    const char *raw = table->names + function->name;
    size_t n_bytes = strnlen(raw, FUNCTION_TABLE_MAX_NAME_BYTES);
    /* mold writes "memcpy$plt" where others write nothing. */
    bool is_stub = function->rank == FUNCTION_RANK_PLT;
    const char *rest = memchr(raw, '@', n_bytes);
    rest = !rest && is_stub ? memmem(raw, n_bytes, "$plt", 4) : rest;
    if (rest && rest > raw) {
        n_bytes = (size_t)(rest - raw);
    }
    _cleanup_(freep) char *mangled = strndup(raw, n_bytes);
    if (!mangled) {
        return NULL;
    }
    _cleanup_(freep) char *name = demangle(mangled);
    if (!name) {
        name = TAKE_PTR(mangled);
    }
    if (is_stub) {
        char *stub_name;
        return asprintf(&stub_name, "%s@plt", name) < 0 ? NULL : stub_name;
    }
    return TAKE_PTR(name);
}

static struct symbol *make_symbol(const struct function_table *table,
                                  const struct function *function)
{
    struct symbol *symbol = malloc(sizeof(*symbol));
    if (!symbol) {
        return NULL;
    }
    *symbol = (struct symbol){
        .name = make_name(table, function),
        .image = function->module ? table->names + function->module : table->image_name,
        .kind = table->kind,
        .start_address = function->start_address,
        .size_bytes = function->end_address - function->start_address,
        .is_nameless = function->rank == FUNCTION_RANK_NAMELESS,
    };
    if (!symbol->name) {
        free(symbol);
        return NULL;
    }
    return symbol;
}

/* The last function that starts at or before `address`, or NO_OUTER. */
static uint32_t find_start(const struct function_table *table, uint64_t address)
{
    size_t low = 0;
    size_t high = table->n_functions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->functions[middle].start_address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? (uint32_t)(low - 1) : NO_OUTER;
}

/* The symbol at `index`; whoever comes first makes it, all get the same one. */
static const struct symbol *get_symbol(struct function_table *table, size_t index)
{
    struct symbol *published = atomic_load_explicit(&table->symbols[index], memory_order_acquire);
    if (published) {
        return published;
    }
    struct symbol *made = make_symbol(table, &table->functions[index]);
    if (!made) {
        return NULL;
    }
    if (atomic_compare_exchange_strong_explicit(&table->symbols[index], &published, made,
                                                memory_order_acq_rel, memory_order_acquire)) {
        return made;
    }
    symbol_free(made);
    return published;
}

/* The same function keeps the symbol that it has been given out with. */
static const struct symbol *get_oldest_symbol(struct function_table *table, uint32_t index)
{
    uint64_t start_address = table->functions[index].start_address;
    for (struct function_table *older = table->older; older; older = older->older) {
        uint32_t same = find_start(older, start_address);
        const struct function *known = same != NO_OUTER ? &older->functions[same] : NULL;
        if (known && known->start_address == start_address && known->has_own_size &&
            known->rank != FUNCTION_RANK_NAMELESS) {
            table = older;
            index = same;
        }
    }
    return get_symbol(table, index);
}

/* Which functions count. */
enum wanted { WANTED_ALL, WANTED_SIZED, WANTED_SIZED_AND_NAMED };

static bool is_wanted(const struct function *function, enum wanted wanted)
{
    return wanted == WANTED_ALL ||
           (function->has_own_size &&
            (wanted == WANTED_SIZED || function->rank != FUNCTION_RANK_NAMELESS));
}

static const struct symbol *find_in(struct function_table *table, uint64_t address,
                                    enum wanted wanted)
{
    uint32_t candidate = find_start(table, address);
    for (int i = 0; candidate != NO_OUTER && i < MAX_NESTING; i++) {
        const struct function *function = &table->functions[candidate];
        if (address < function->end_address && is_wanted(function, wanted)) {
            return get_oldest_symbol(table, candidate);
        }
        candidate = function->outer;
    }
    return NULL;
}

static const struct symbol *find_in_older(struct function_table *table, uint64_t address,
                                          enum wanted wanted)
{
    const struct symbol *symbol = NULL;
    for (struct function_table *older = table->older; older && !symbol; older = older->older) {
        symbol = find_in(older, address, wanted);
    }
    return symbol;
}

const struct symbol *function_table_find(struct function_table *table, uint64_t address)
{
    const struct symbol *symbol = find_in(table, address, WANTED_ALL);
    if (!symbol) {
        symbol = find_in_older(table, address, WANTED_SIZED_AND_NAMED);
    }
    return symbol ? symbol : find_in_older(table, address, WANTED_SIZED);
}

const struct symbol *function_table_find_sized(struct function_table *table, uint64_t address)
{
    return find_in(table, address, WANTED_SIZED_AND_NAMED);
}
