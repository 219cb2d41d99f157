/* SPDX-License-Identifier: MIT */
/*
 * Code that stands in the memory of the target and nowhere else: of a run that
 * goes on it can be read still. What a program told the bytes of itself is
 * made_gather()'s.
 */
#include <errno.h>
#include <stdlib.h>

#include "archive/run_symbols_internal.h"
#include "base/clock.h"
#include "query/frame_jit.h"

/* On both sides of a place that nobody told about; annotate begins at any frame in between. */
#define PLACE_BYTES 256u
#define PLACE_WINDOW_BYTES (3 * PLACE_BYTES)

struct memory_range {
    int64_t pid;
    uint64_t start_addr, end_addr;
    uint64_t seen_ns;
    bool is_made; /* then the function that begins at start_addr: */
    const struct symbol *symbol;
};

struct memory_ranges {
    size_t n, capacity;
    struct memory_range *ranges;
};

static int add_range(struct memory_ranges *ranges, const struct memory_range *range)
{
    if (ranges->n == ranges->capacity) {
        size_t capacity = ranges->capacity ? 2 * ranges->capacity : 64;
        struct memory_range *grown = reallocarray(ranges->ranges, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        ranges->ranges = grown;
        ranges->capacity = capacity;
    }
    ranges->ranges[ranges->n++] = *range;
    return 0;
}

static int add_frame(struct memory_ranges *ranges, const struct symbol_writing *writing,
                     struct frame frame)
{
    struct epoch_span span = snapshot_code_epoch(writing->snapshot, frame.code_epoch);
    struct memory_range range = {.pid = span.pid, .seen_ns = span.from_ns};
    struct jit_place place;
    uint8_t byte;
    range.is_made =
        frame_jit_find(query_names_jit(writing->names), writing->snapshot, frame, &place);
    if (!range.is_made) {
        uint64_t ip = frame.offset;
        range.start_addr = ip;
        range.end_addr = ip <= UINT64_MAX - PLACE_WINDOW_BYTES ? ip + PLACE_WINDOW_BYTES : ip;
    } else if (jit_code_read(&place, &byte, 1) <= 0) {
        range.pid = place.pid;
        range.start_addr = place.start_ip;
        range.end_addr = place.end_ip;
        range.symbol = place.symbol;
    }
    uint64_t n_bytes = range.end_addr - range.start_addr;
    return n_bytes > 0 && n_bytes <= RUN_SYMBOLS_WHOLE_BYTES ? add_range(ranges, &range) : 0;
}

static int by_start(const void *left, const void *right)
{
    const struct memory_range *a = left, *b = right;
    if (a->pid != b->pid) {
        return a->pid < b->pid ? -1 : 1;
    }
    if (a->start_addr != b->start_addr) {
        return a->start_addr < b->start_addr ? -1 : 1;
    }
    return b->is_made - a->is_made;
}

/* Places that nobody told about run into one another; functions stay apart. */
static void merge(struct memory_ranges *ranges)
{
    qsort(ranges->ranges, ranges->n, sizeof(*ranges->ranges), by_start);
    size_t n_kept = 0;
    for (size_t i = 0; i < ranges->n; i++) {
        const struct memory_range *range = &ranges->ranges[i];
        struct memory_range *last = n_kept > 0 ? &ranges->ranges[n_kept - 1] : NULL;
        bool is_within = last && last->pid == range->pid && range->start_addr < last->end_addr;
        bool is_joined = is_within && !last->is_made && !range->is_made;
        if (is_joined && range->end_addr > last->end_addr) {
            last->end_addr = range->end_addr;
            last->seen_ns = range->seen_ns > last->seen_ns ? range->seen_ns : last->seen_ns;
        } else if (!is_joined && !(is_within && range->start_addr == last->start_addr)) {
            ranges->ranges[n_kept++] = *range;
        }
    }
    ranges->n = n_kept;
}

/* As far as the program told: does the code stand there now that stood there when it was seen? */
static bool is_unchanged(const struct symbol_writing *writing, const struct memory_range *range)
{
    struct jit_code *code = query_names_jit(writing->names);
    uint64_t now_ns = clock_now_ns();
    struct jit_place now;
    bool is_told = code && jit_code_find(code, range->pid, range->start_addr, now_ns, now_ns, &now);
    return range->is_made ? is_told && now.symbol == range->symbol && now.to_ns > now_ns
                          : !is_told || now.from_ns <= range->seen_ns;
}

static int keep_range(const struct symbol_writing *writing, const struct image *image,
                      const struct memory_range *range, struct kept_code *kept)
{
    struct run_symbols_stats *stats = writing->stats;
    const struct code_access access = {
        .is_target_alive = true, .memory_pid = range->pid, .seen_ns = range->seen_ns};
    size_t n_bytes = (size_t)(range->end_addr - range->start_addr);
    if (n_bytes > RUN_SYMBOLS_MAX_CODE_BYTES - stats->n_code_bytes) {
        stats->n_left_out++;
        return 0;
    }
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    _cleanup_(freep) uint8_t *bytes = malloc(n_bytes);
    struct error error = {0};
    if (!bytes) {
        return -ENOMEM;
    }
    ssize_t n_read = code_reader_open(&access, image, &reader, &error) == 0
                         ? code_reader_read(reader, range->start_addr, bytes, n_bytes, &error)
                         : 0;
    if (n_read <= 0 || !is_unchanged(writing, range)) {
        return 0;
    }
    const struct kept_piece piece = {
        .pid = range->pid,
        .start_addr = range->start_addr,
        .end_addr = range->end_addr,
        .n_bytes = (size_t)n_read,
        .bytes = bytes,
        .origin = code_reader_origin(reader),
    };
    int r = kept_code_add_piece(kept, &piece);
    stats->n_left_out += r == -ENOSPC;
    stats->n_pieces += r == 0;
    stats->n_code_bytes += r == 0 ? piece.n_bytes : 0;
    return r == -ENOSPC ? 0 : r;
}

int memory_gather(const struct symbol_writing *writing, const struct image *image,
                  struct kept_code **ret_code)
{
    const struct kept_code_facts facts = {.machine = disasm_own_machine()};
    struct memory_ranges ranges = {0};
    int r = kept_code_new(&facts, ret_code);
    for (frame_id id = 0; r == 0 && id < writing->snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(writing->snapshot, id);
        if (frame.image == image->id && frame.code_epoch != 0) {
            r = add_frame(&ranges, writing, frame);
        }
    }
    if (r == 0 && ranges.n > 0) {
        merge(&ranges);
    }
    for (size_t i = 0; r == 0 && i < ranges.n; i++) {
        r = keep_range(writing, image, &ranges.ranges[i], *ret_code);
    }
    free(ranges.ranges);
    if (r == 0) {
        kept_code_finish(*ret_code);
    }
    return r;
}
