/* SPDX-License-Identifier: MIT */
/*
 * What annotate would read is read: whole functions, the surroundings of places
 * that have no name, and of what is too large the surroundings of its frames.
 * It can be read where annotate can; else its words for that are kept.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "archive/run_symbols_internal.h"
#include "disasm/code_targets.h"

/* As in annotate: shown on each side of a place whose function is not known, and of long code. */
#define PLACE_BYTES 256u
#define WINDOW_BYTES ((uint64_t)64 << 10)

struct code_range {
    uint64_t start_addr, end_addr;
    bool is_part; /* of a function that is too large */
};

struct gathering {
    struct gathered_group *group;
    struct code_reader *reader;
    struct kept_code *kept;
    enum disasm_machine machine;
    size_t n_ranges, capacity;
    struct code_range *ranges;
    int error; /* of a target that found no memory */
};

static int add_range(struct gathering *gathering, uint64_t start_addr, uint64_t end_addr,
                     bool is_part)
{
    if (start_addr >= end_addr) {
        return 0;
    }
    if (gathering->n_ranges == gathering->capacity) {
        size_t capacity = gathering->capacity ? 2 * gathering->capacity : 64;
        struct code_range *grown = reallocarray(gathering->ranges, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        gathering->ranges = grown;
        gathering->capacity = capacity;
    }
    gathering->ranges[gathering->n_ranges++] =
        (struct code_range){.start_addr = start_addr, .end_addr = end_addr, .is_part = is_part};
    return 0;
}

/* Of a function that is shown in part, every part that could be. */
static int add_part(struct gathering *gathering, uint64_t start, uint64_t end, uint64_t place)
{
    if (end - start <= RUN_SYMBOLS_WHOLE_BYTES) {
        return add_range(gathering, start, end, false);
    }
    place = place < start ? start : place;
    uint64_t low = place - start > WINDOW_BYTES / 2 ? place - WINDOW_BYTES / 2 : start;
    uint64_t high = end - place > WINDOW_BYTES ? place + WINDOW_BYTES : end;
    return add_range(gathering, low, high, true);
}

static int add_nameless(struct gathering *gathering, uint64_t address, uint64_t place)
{
    struct kept_bounds bounds;
    if (code_reader_bounds(gathering->reader, address, &bounds.start_addr, &bounds.end_addr)) {
        int r = kept_code_add_bounds(gathering->kept, &bounds);
        r = r == -ENOSPC ? 0 : r;
        return r ? r : add_part(gathering, bounds.start_addr, bounds.end_addr, place);
    }
    uint64_t low = address > PLACE_BYTES ? address - PLACE_BYTES : 0;
    uint64_t high = address <= UINT64_MAX - PLACE_BYTES ? address + PLACE_BYTES : UINT64_MAX;
    /* What begins before the code cannot be read: annotate begins at a frame then. */
    int r = add_range(gathering, low, high, false);
    return r ? r : add_range(gathering, address, high, false);
}

static int add_ranges(struct gathering *gathering)
{
    const struct gathered_group *group = gathering->group;
    const struct symbol *last = NULL; /* places are sorted: most follow one of their function */
    int r = 0;
    for (size_t i = 0; r == 0 && i < group->n_places; i++) {
        const struct gathered_place *place = &group->places[i];
        const struct symbol *symbol = place->symbol;
        if (!symbol || symbol->size_bytes == 0) {
            uint64_t address = symbol ? symbol->start_address : place->image_addr;
            r = add_nameless(gathering, address, place->image_addr);
        } else if (symbol != last || symbol->size_bytes > RUN_SYMBOLS_WHOLE_BYTES) {
            r = add_part(gathering, symbol->start_address,
                         symbol->start_address + symbol->size_bytes, place->image_addr);
        }
        last = symbol;
    }
    return r;
}

static int by_start(const void *left, const void *right)
{
    const struct code_range *a = left, *b = right;
    if (a->start_addr != b->start_addr) {
        return a->start_addr < b->start_addr ? -1 : 1;
    }
    return a->end_addr > b->end_addr ? -1 : a->end_addr < b->end_addr;
}

/* *ret_is_read: false where it cannot be; it is not noted then unless `is_final`. */
static int keep_range(struct gathering *gathering, const struct code_range *range, bool is_final,
                      bool *ret_is_read)
{
    struct run_symbols_stats *stats = gathering->group->writing->stats;
    size_t n_bytes = (size_t)(range->end_addr - range->start_addr);
    *ret_is_read = true;
    if (n_bytes > RUN_SYMBOLS_MAX_CODE_BYTES - stats->n_code_bytes) {
        stats->n_left_out++;
        return 0;
    }
    _cleanup_(freep) uint8_t *bytes = malloc(n_bytes);
    if (!bytes) {
        return -ENOMEM;
    }
    struct error error = {0};
    ssize_t n_read = code_reader_read(gathering->reader, range->start_addr, bytes, n_bytes, &error);
    *ret_is_read = n_read > 0;
    if (!*ret_is_read && !is_final) {
        return 0;
    }
    const struct kept_piece piece = {
        .start_addr = range->start_addr,
        .end_addr = range->end_addr,
        .n_bytes = n_read > 0 ? (size_t)n_read : 0,
        .bytes = bytes,
        .origin = n_read > 0 ? code_reader_origin(gathering->reader) : NULL,
        .failure = n_read > 0 ? NULL : error.message,
        .hint = n_read > 0 || error.hint[0] == '\0' ? NULL : error.hint,
    };
    int r = kept_code_add_piece(gathering->kept, &piece);
    if (r == -ENOSPC) {
        stats->n_left_out++;
        return 0;
    }
    stats->n_pieces++;
    stats->n_code_bytes += piece.n_bytes;
    return r;
}

/* Ranges that overlap are read together, and each by itself where that is refused. */
static int keep_ranges(struct gathering *gathering)
{
    struct code_range *ranges = gathering->ranges;
    int r = 0;
    for (size_t first = 0, next; r == 0 && first < gathering->n_ranges; first = next) {
        struct code_range whole = ranges[first];
        for (next = first + 1;
             next < gathering->n_ranges && ranges[next].start_addr < whole.end_addr; next++) {
            whole.end_addr =
                ranges[next].end_addr > whole.end_addr ? ranges[next].end_addr : whole.end_addr;
        }
        bool is_read;
        r = keep_range(gathering, &whole, false, &is_read);
        for (size_t i = first; r == 0 && !is_read && i < next; i++) {
            bool unused;
            bool is_repeated = i > first && by_start(&ranges[i - 1], &ranges[i]) == 0;
            r = is_repeated ? 0 : keep_range(gathering, &ranges[i], true, &unused);
        }
    }
    return r;
}

static void on_target(void *userdata, uint64_t target_address)
{
    struct gathering *gathering = userdata;
    uint64_t offset;
    if (gathering->error != 0 || !code_reader_offset(gathering->reader, target_address, &offset)) {
        return;
    }
    struct gathered_place place = {.is_target = true};
    place.symbol = symbol_source_find(gathering->group->source, offset, &place.image_addr);
    gathering->error = gathered_group_add_place(gathering->group, &place);
}

/* Of the bytes of a range from `start` on. */
static void find_targets_in(struct gathering *gathering, uint64_t start, uint64_t end)
{
    const struct kept_piece *piece = kept_code_find(gathering->kept, 0, start);
    if (!piece || piece->failure) {
        return;
    }
    uint64_t skipped = start - piece->start_addr;
    uint64_t n_left = skipped < piece->n_bytes ? piece->n_bytes - skipped : 0;
    uint64_t n_wanted = end - start;
    code_targets_scan(gathering->machine, piece->bytes + skipped,
                      (size_t)(n_wanted < n_left ? n_wanted : n_left), start, on_target, gathering);
}

/*
 * Functions whose names stand beside the jumps and calls of what was kept. Parts
 * of a large function lie over one another: each byte is looked at once.
 */
static int find_targets(struct gathering *gathering)
{
    uint64_t parts_until = 0;
    for (size_t i = 0; gathering->error == 0 && i < gathering->n_ranges; i++) {
        const struct code_range *range = &gathering->ranges[i];
        bool is_repeated = i > 0 && by_start(range - 1, range) == 0;
        uint64_t start = range->start_addr;
        if (range->is_part) {
            start = start > parts_until ? start : parts_until;
            parts_until = range->end_addr > parts_until ? range->end_addr : parts_until;
        }
        if (!is_repeated && start < range->end_addr) {
            find_targets_in(gathering, start, range->end_addr);
        }
    }
    return gathering->error;
}

static int gather_from(struct gathering *gathering)
{
    int r = add_ranges(gathering);
    if (r == 0 && gathering->n_ranges > 0) {
        qsort(gathering->ranges, gathering->n_ranges, sizeof(*gathering->ranges), by_start);
        r = keep_ranges(gathering);
    }
    kept_code_finish(gathering->kept);
    r = r ? r : find_targets(gathering);
    free(gathering->ranges);
    return r;
}

int code_gather(struct gathered_group *group, struct kept_code **ret_code)
{
    const struct code_access access = {.is_target_alive = group->writing->options->is_target_alive};
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    struct error error = {0};
    struct kept_code_facts facts = {.machine = disasm_own_machine()};
    int r = code_reader_open(&access, group->image, &reader, &error);
    if (r == -ENOMEM) {
        return r;
    }
    if (r == 0) {
        code_reader_describe(reader, &facts);
    } else {
        facts.open_failure = error.message;
    }
    bool is_open = r == 0;
    r = kept_code_new(&facts, ret_code);
    if (r < 0 || !is_open) {
        return r;
    }
    struct gathering gathering = {
        .group = group, .reader = reader, .kept = *ret_code, .machine = facts.machine};
    return gather_from(&gathering);
}
