/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_inlines.h"

#include <errno.h>

#include "base/hash_table.h"
#include "dwarf/dwarf_abi.h"

#define CANCEL_STEP_ENTRIES 65536u

void dwarf_inlines_release(struct dwarf_inlines *inlines)
{
    free(inlines->calls);
    free(inlines->origins);
    free(inlines->rows);
    *inlines = (struct dwarf_inlines){0};
}

/* Walk --------------------------------------------------------------------------------------- */

struct walk {
    const struct dwarf_sources *sources;
    const struct dwarf_unit *unit;
    struct dwarf_inlines *inlines;
    struct hash_table origin_numbers; /* by side and offset */
    struct dwarf_ranges ranges;       /* of one entry */
    size_t n_spans, spans_capacity;
    struct dwarf_inline_span *spans;
    bool skips_types; /* outside of functions */
    size_t depth;
    size_t function_depth; /* of the children of the outermost function around; 0: none */
    uint32_t enclosing[DWARF_DEPTH_MAX]; /* the call around the entries of each level */
};

static void walk_release(struct walk *walk)
{
    hash_table_release(&walk->origin_numbers);
    dwarf_ranges_release(&walk->ranges);
    free(walk->spans);
}

static int number_origin(struct walk *walk, struct dwarf_place place, uint32_t *ret_number)
{
    struct dwarf_inlines *inlines = walk->inlines;
    uint64_t key = place.info_offset * 2 + place.side;
    *ret_number = hash_table_find(&walk->origin_numbers, key);
    if (*ret_number != HASH_TABLE_NONE) {
        return 0;
    }
    if (inlines->n_origins == inlines->origins_capacity) {
        size_t capacity = inlines->origins_capacity ? inlines->origins_capacity * 2 : 64;
        struct dwarf_place *grown = reallocarray(inlines->origins, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        inlines->origins = grown;
        inlines->origins_capacity = capacity;
    }
    *ret_number = (uint32_t)inlines->n_origins;
    inlines->origins[inlines->n_origins++] = place;
    return hash_table_add(&walk->origin_numbers, key, *ret_number);
}

static int add_call(struct walk *walk, const struct dwarf_inline_call *call, uint32_t *ret_number)
{
    struct dwarf_inlines *inlines = walk->inlines;
    if (inlines->n_calls == inlines->calls_capacity) {
        if (inlines->n_calls >= DWARF_INLINES_MAX_CALLS) {
            return -E2BIG;
        }
        size_t capacity = inlines->calls_capacity ? inlines->calls_capacity * 2 : 256;
        struct dwarf_inline_call *grown = reallocarray(inlines->calls, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        inlines->calls = grown;
        inlines->calls_capacity = capacity;
    }
    *ret_number = (uint32_t)inlines->n_calls;
    inlines->calls[inlines->n_calls++] = *call;
    return 0;
}

static int add_spans(struct walk *walk, const struct dwarf_die *die, uint32_t call)
{
    walk->ranges.n_ranges = 0;
    int r = dwarf_ranges_add(&walk->ranges, walk->sources, walk->unit, die);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < walk->ranges.n_ranges; i++) {
        if (walk->n_spans == walk->spans_capacity) {
            if (walk->n_spans >= DWARF_RANGES_MAX) {
                return -E2BIG;
            }
            size_t capacity = walk->spans_capacity ? walk->spans_capacity * 2 : 256;
            struct dwarf_inline_span *grown = reallocarray(walk->spans, capacity, sizeof(*grown));
            if (!grown) {
                return -ENOMEM;
            }
            walk->spans = grown;
            walk->spans_capacity = capacity;
        }
        walk->spans[walk->n_spans] = (struct dwarf_inline_span){
            .start_addr = walk->ranges.ranges[i].start_addr,
            .end_addr = walk->ranges.ranges[i].end_addr,
            .call = call,
            .order = (uint32_t)walk->n_spans,
        };
        walk->n_spans++;
    }
    return 0;
}

static uint32_t small_number(struct dwarf_value value)
{
    return value.kind == DWARF_VALUE_CONSTANT && value.number < UINT32_MAX ? (uint32_t)value.number
                                                                           : 0;
}

/* *reterr_call: the call around the entry before, and around its children after. */
static int visit(struct walk *walk, const struct dwarf_die *die, uint32_t *reterr_call)
{
    if (die->abbrev->tag == DW_TAG_subprogram) {
        *reterr_call = DWARF_INLINE_NONE;
        return add_spans(walk, die, DWARF_INLINE_NONE);
    }
    struct dwarf_place place;
    if (!dwarf_place_of(walk->unit, DWARF_SIDE_OWN, die->origin, &place)) {
        return 0;
    }
    struct dwarf_inline_call call = {
        .parent = *reterr_call,
        .call_file = small_number(die->call_file),
        .call_line = small_number(die->call_line),
    };
    int r = number_origin(walk, place, &call.origin);
    if (r == 0) {
        r = add_call(walk, &call, reterr_call);
    }
    return r < 0 ? r : add_spans(walk, die, *reterr_call);
}

/* C and C++ have code in types only where these are local to a function. */
static bool has_no_code_in_types(uint16_t language)
{
    switch (language) {
    case DW_LANG_C89:
    case DW_LANG_C:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_C17:
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_C_plus_plus_17:
    case DW_LANG_C_plus_plus_20:
        return true;
    default:
        return false;
    }
}

/* Whether nothing in entries of this kind has code. */
static bool is_without_code(const struct walk *walk, uint16_t tag)
{
    switch (tag) {
    case DW_TAG_array_type:
    case DW_TAG_subroutine_type:
    case DW_TAG_call_site:
    case DW_TAG_GNU_call_site:
    case DW_TAG_GNU_template_parameter_pack:
    case DW_TAG_GNU_formal_parameter_pack:
        return true;
    case DW_TAG_enumeration_type:
        return walk->skips_types;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return walk->skips_types && walk->function_depth == 0;
    default:
        return false;
    }
}

/* The call around what follows, after the end of a list of children. */
static uint32_t leave_children(struct walk *walk)
{
    walk->depth -= walk->depth > 0;
    if (walk->depth < walk->function_depth) {
        walk->function_depth = 0;
    }
    return walk->depth > 0 ? walk->enclosing[walk->depth - 1] : DWARF_INLINE_NONE;
}

static int enter_children(struct walk *walk, const struct dwarf_abbrev *abbrev, uint32_t call)
{
    if (walk->depth == DWARF_DEPTH_MAX) {
        return -E2BIG;
    }
    walk->enclosing[walk->depth++] = call;
    if (walk->function_depth == 0 && abbrev->tag == DW_TAG_subprogram) {
        walk->function_depth = walk->depth;
    }
    return 0;
}

/*
 * One entry. Whether the cursor stands at its children then: those that have
 * no code are jumped over. *reterr_call as with visit().
 */
static int step(struct walk *walk, const struct dwarf_reader *reader,
                const struct dwarf_abbrev *abbrev, struct bytes *bytes, uint32_t *reterr_call)
{
    if (abbrev->tag == DW_TAG_subprogram || abbrev->tag == DW_TAG_inlined_subroutine) {
        struct dwarf_die die;
        dwarf_die_attributes(bytes, &reader->source, abbrev, &die);
        int r = bytes_has_failed(bytes) ? -E2BIG : visit(walk, &die, reterr_call);
        return r < 0 ? r : abbrev->has_children;
    }
    if (abbrev->has_children && is_without_code(walk, abbrev->tag) &&
        dwarf_reader_jump(reader, walk->unit, dwarf_die_sibling(bytes, &reader->source, abbrev),
                          bytes)) {
        return false;
    }
    dwarf_die_skip(bytes, &reader->source, abbrev);
    return abbrev->has_children;
}

/* -E2BIG: the rest cannot be read, or is too much. */
static int walk_unit(struct walk *walk, const struct dwarf_reader *reader, struct bytes bytes)
{
    uint32_t call = DWARF_INLINE_NONE; /* around the entry at the cursor */
    for (uint64_t i = 0; bytes_left(&bytes) > 0; i++) {
        if (i % CANCEL_STEP_ENTRIES == 0 && dwarf_sections_is_cancelled(walk->sources->sections)) {
            return -ECANCELED;
        }
        const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &reader->source);
        if (!abbrev) {
            if (bytes_has_failed(&bytes)) {
                return -E2BIG;
            }
            call = leave_children(walk);
            continue;
        }
        uint32_t inner = call;
        int r = step(walk, reader, abbrev, &bytes, &inner);
        if (r > 0) {
            call = inner;
            r = enter_children(walk, abbrev, inner);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int dwarf_inlines_read(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                       const struct dwarf_reader *reader, struct dwarf_inlines *ret_inlines)
{
    *ret_inlines = (struct dwarf_inlines){0};
    struct walk *walk = calloc(1, sizeof(*walk));
    if (!walk) {
        return -ENOMEM;
    }
    walk->sources = sources;
    walk->unit = unit;
    walk->inlines = ret_inlines;
    walk->skips_types = has_no_code_in_types(unit->language);
    hash_table_init(&walk->origin_numbers);
    int r =
        walk_unit(walk, reader, dwarf_reader_at(reader, unit, unit->offset + unit->header_bytes));
    if (r == 0 || r == -E2BIG) { /* what was found up to there counts */
        r = dwarf_inlines_flatten(walk->spans, walk->n_spans, &ret_inlines->rows,
                                  &ret_inlines->n_rows);
    }
    walk_release(walk);
    free(walk);
    if (r < 0) {
        dwarf_inlines_release(ret_inlines);
    }
    return r;
}

/* Flattening --------------------------------------------------------------------------------- */

/* The spans that have begun, the one that covers the others on top. */
struct heap {
    size_t n_spans;
    const struct dwarf_inline_span **spans;
};

static void heap_swap(struct heap *heap, size_t one, size_t other)
{
    const struct dwarf_inline_span *kept = heap->spans[one];
    heap->spans[one] = heap->spans[other];
    heap->spans[other] = kept;
}

static void heap_push(struct heap *heap, const struct dwarf_inline_span *span)
{
    size_t at = heap->n_spans++;
    heap->spans[at] = span;
    while (at > 0 && heap->spans[(at - 1) / 2]->order < heap->spans[at]->order) {
        heap_swap(heap, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void heap_pop(struct heap *heap)
{
    heap->spans[0] = heap->spans[--heap->n_spans];
    size_t at = 0;
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->n_spans; child++) {
            best = heap->spans[child]->order > heap->spans[best]->order ? child : best;
        }
        if (best == at) {
            return;
        }
        heap_swap(heap, at, best);
        at = best;
    }
}

static int compare_starts(const void *left, const void *right)
{
    const struct dwarf_inline_span *one = left;
    const struct dwarf_inline_span *other = right;
    if (one->start_addr != other->start_addr) {
        return one->start_addr < other->start_addr ? -1 : 1;
    }
    return (one->order > other->order) - (one->order < other->order);
}

#define DIGIT_BITS 11
#define N_DIGIT_VALUES (1u << DIGIT_BITS)

/* One digit of the starts, the least significant ones first. */
static void move_by_digit(const struct dwarf_inline_span *from, size_t n_spans, uint64_t base_addr,
                          unsigned shift, struct dwarf_inline_span *to)
{
    uint32_t places[N_DIGIT_VALUES] = {0};
    for (size_t i = 0; i < n_spans; i++) {
        places[(from[i].start_addr - base_addr) >> shift & (N_DIGIT_VALUES - 1)]++;
    }
    uint32_t place = 0;
    for (size_t value = 0; value < N_DIGIT_VALUES; value++) {
        uint32_t n_here = places[value];
        places[value] = place;
        place += n_here;
    }
    for (size_t i = 0; i < n_spans; i++) {
        to[places[(from[i].start_addr - base_addr) >> shift & (N_DIGIT_VALUES - 1)]++] = from[i];
    }
}

/* Spans that come in their order stay so where they start together. */
static void sort_spans(struct dwarf_inline_span *spans, size_t n_spans)
{
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    bool are_in_order = true;
    for (size_t i = 0; i < n_spans; i++) {
        lowest = spans[i].start_addr < lowest ? spans[i].start_addr : lowest;
        highest = spans[i].start_addr > highest ? spans[i].start_addr : highest;
        are_in_order = are_in_order && (i == 0 || spans[i].order > spans[i - 1].order);
    }
    bool is_worth_it = n_spans >= N_DIGIT_VALUES / 4 && are_in_order;
    struct dwarf_inline_span *other =
        is_worth_it ? reallocarray(NULL, n_spans, sizeof(*other)) : NULL;
    uint64_t last_digit = (highest - lowest) >> (2 * DIGIT_BITS);
    if (!other || last_digit >= N_DIGIT_VALUES) {
        qsort(spans, n_spans, sizeof(*spans), compare_starts);
    } else {
        move_by_digit(spans, n_spans, lowest, 0, other);
        move_by_digit(other, n_spans, lowest, DIGIT_BITS, spans);
        if (last_digit > 0) {
            move_by_digit(spans, n_spans, lowest, 2 * DIGIT_BITS, other);
            memcpy(spans, other, n_spans * sizeof(*spans));
        }
    }
    free(other);
}

/* At most two rows for each span: at its start, and where what it covered goes on. */
static size_t sweep(const struct dwarf_inline_span *spans, size_t n_spans, struct heap *heap,
                    struct dwarf_inline_row *rows)
{
    size_t n_rows = 0;
    size_t next = 0;
    while (next < n_spans || heap->n_spans > 0) {
        uint64_t at = next < n_spans ? spans[next].start_addr : UINT64_MAX;
        if (heap->n_spans > 0 && heap->spans[0]->end_addr < at) {
            at = heap->spans[0]->end_addr;
        }
        while (next < n_spans && spans[next].start_addr == at) {
            heap_push(heap, &spans[next++]);
        }
        while (heap->n_spans > 0 && heap->spans[0]->end_addr <= at) {
            heap_pop(heap);
        }
        uint32_t call = heap->n_spans > 0 ? heap->spans[0]->call : DWARF_INLINE_NONE;
        if (n_rows == 0 || rows[n_rows - 1].call != call) {
            rows[n_rows++] = (struct dwarf_inline_row){.start_addr = at, .call = call};
        }
    }
    return n_rows;
}

int dwarf_inlines_flatten(struct dwarf_inline_span *spans, size_t n_spans,
                          struct dwarf_inline_row **ret_rows, size_t *ret_n_rows)
{
    *ret_rows = NULL;
    *ret_n_rows = 0;
    if (n_spans == 0) {
        return 0;
    }
    sort_spans(spans, n_spans);
    struct heap heap = {
        .spans = reallocarray(NULL, n_spans, sizeof(const struct dwarf_inline_span *)),
    };
    struct dwarf_inline_row *rows = reallocarray(NULL, n_spans * 2 + 1, sizeof(*rows));
    if (heap.spans && rows) {
        *ret_n_rows = sweep(spans, n_spans, &heap, rows);
        *ret_rows = TAKE_PTR(rows);
    }
    free(heap.spans);
    free(rows);
    return *ret_rows ? 0 : -ENOMEM;
}
