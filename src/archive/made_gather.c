/* SPDX-License-Identifier: MIT */
/*
 * Of code that programs made, each frame's answer is kept: what stood at its
 * address while the frame was seen.
 */
#include <errno.h>
#include <stdlib.h>

#include "archive/run_symbols_internal.h"
#include "query/frame_jit.h"

struct making {
    struct symbol_writing *writing;
    struct hash_table symbols, bodies; /* by pointer */
    struct hash_table functions;
};

static int symbol_number(struct making *making, const struct symbol *symbol, uint32_t *ret_number)
{
    uint64_t key = (uint64_t)(uintptr_t)symbol;
    *ret_number = hash_table_find(&making->symbols, key);
    if (*ret_number != HASH_TABLE_NONE) {
        return 0;
    }
    *ret_number = (uint32_t)making->writing->tables[SYMBOL_TABLE_MADE_SYMBOLS].n_rows;
    struct symbol_made_symbol row = {
        .kind = (uint8_t)symbol->kind,
        .start_ip = symbol->start_address,
        .n_bytes = symbol->size_bytes,
    };
    int r = symbol_text(making->writing, symbol->name, &row.name);
    r = r ? r : symbol_text(making->writing, symbol->image, &row.image);
    r = r ? r : symbol_rows_add(making->writing, SYMBOL_TABLE_MADE_SYMBOLS, &row, 1);
    return r ? r : hash_table_add(&making->symbols, key, *ret_number);
}

static int keep_lines(struct making *making, const struct jit_place *place, uint32_t body)
{
    struct symbol_made_line row = {.body = body};
    const char *file;
    int r = 0;
    for (size_t i = 0; r == 0 && jit_kept_line_of(place, i, &row.code_offset, &file, &row.line);
         i++) {
        r = symbol_text(making->writing, file, &row.file);
        r = r ? r : symbol_rows_add(making->writing, SYMBOL_TABLE_MADE_LINES, &row, 1);
    }
    return r;
}

static int keep_body(struct making *making, const struct jit_place *place)
{
    struct symbol_writing *writing = making->writing;
    size_t n_bytes = (size_t)(place->end_ip - place->start_ip);
    size_t n_room = RUN_SYMBOLS_MAX_CODE_BYTES - writing->stats->n_made_bytes;
    _cleanup_(freep) uint8_t *bytes = n_bytes <= n_room ? malloc(n_bytes) : NULL;
    if (!bytes && n_bytes <= n_room) {
        return -ENOMEM;
    }
    ssize_t n_read = bytes ? jit_code_read(place, bytes, n_bytes) : 0;
    struct symbol_made_body row = {.n_bytes = n_read > 0 ? (uint64_t)n_read : 0};
    writing->stats->n_left_out += !bytes;
    writing->stats->n_made_bytes += row.n_bytes;
    int r = symbol_rows_add(writing, SYMBOL_TABLE_MADE_CODE, bytes, row.n_bytes);
    return r ? r : symbol_rows_add(writing, SYMBOL_TABLE_MADE_BODIES, &row, 1);
}

/* From 1 on; 0: it has none. */
static int body_number(struct making *making, const struct jit_place *place, uint32_t *ret_number)
{
    uint64_t key = (uint64_t)(uintptr_t)place->body;
    *ret_number = 0;
    uint32_t known = place->body ? hash_table_find(&making->bodies, key) : 0;
    if (!place->body || known != HASH_TABLE_NONE) {
        *ret_number = known;
        return 0;
    }
    uint32_t number = (uint32_t)making->writing->tables[SYMBOL_TABLE_MADE_BODIES].n_rows;
    int r = keep_body(making, place);
    r = r ? r : keep_lines(making, place, number);
    *ret_number = number + 1;
    return r ? r : hash_table_add(&making->bodies, key, number + 1);
}

static bool is_function(uint32_t value, const void *wanted, const void *userdata)
{
    const struct symbol_made_function *functions = userdata;
    const struct symbol_made_function *a = &functions[value], *b = wanted;
    return a->symbol == b->symbol && a->body == b->body && a->start_ip == b->start_ip &&
           a->n_bytes == b->n_bytes && a->from_ns == b->from_ns && a->to_ns == b->to_ns;
}

static int function_number(struct making *making, const struct jit_place *place,
                           uint32_t *ret_number)
{
    struct symbol_made_function row = {
        .start_ip = place->start_ip,
        .n_bytes = place->end_ip - place->start_ip,
        .from_ns = place->from_ns,
        .to_ns = place->to_ns,
    };
    int r = symbol_number(making, place->symbol, &row.symbol);
    r = r ? r : body_number(making, place, &row.body);
    if (r < 0) {
        return r;
    }
    struct symbol_rows *functions = &making->writing->tables[SYMBOL_TABLE_MADE_FUNCTIONS];
    uint64_t key = hash_u64(row.start_ip ^ hash_u64(row.from_ns ^ row.symbol));
    *ret_number =
        hash_table_find_equal(&making->functions, key, is_function, &row, functions->rows);
    if (*ret_number != HASH_TABLE_NONE) {
        return 0;
    }
    *ret_number = (uint32_t)functions->n_rows;
    making->writing->stats->n_made_functions++;
    r = symbol_rows_add(making->writing, SYMBOL_TABLE_MADE_FUNCTIONS, &row, 1);
    return r ? r : hash_table_add(&making->functions, key, *ret_number);
}

static int keep_answers(struct making *making, struct jit_code *code)
{
    const struct snapshot *snapshot = making->writing->snapshot;
    int r = 0;
    for (frame_id id = 0; r == 0 && id < snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(snapshot, id);
        struct jit_place place;
        if (!frame_jit_find(code, snapshot, frame, &place)) {
            continue;
        }
        struct epoch_span span = snapshot_code_epoch(snapshot, frame.code_epoch);
        struct symbol_made_answer row = {
            .pid = (uint64_t)span.pid,
            .ip = frame.offset,
            .from_ns = span.from_ns,
            .to_ns = span.to_ns,
        };
        r = function_number(making, &place, &row.function);
        r = r ? r : symbol_rows_add(making->writing, SYMBOL_TABLE_MADE_ANSWERS, &row, 1);
    }
    return r;
}

int made_gather(struct symbol_writing *writing)
{
    struct jit_code *code = query_names_jit(writing->names);
    if (!code) {
        return 0;
    }
    struct jit_code_stats stats;
    jit_code_get_stats(code, &stats);
    const struct symbol_made_stats row = {
        .n_functions = stats.n_functions,
        .n_moves = stats.n_moves,
        .n_reused = stats.n_reused,
        .n_tables = stats.n_tables,
        .n_lines = stats.n_lines,
        .n_table_bytes = stats.n_table_bytes,
        .n_frameless_bytes = stats.n_frameless_bytes,
        .n_dropped = stats.n_dropped,
    };
    int r = symbol_rows_add(writing, SYMBOL_TABLE_MADE_STATS, &row, 1);
    struct making making = {.writing = writing};
    hash_table_init(&making.symbols);
    hash_table_init(&making.bodies);
    hash_table_init(&making.functions);
    r = r ? r : keep_answers(&making, code);
    hash_table_release(&making.symbols);
    hash_table_release(&making.bodies);
    hash_table_release(&making.functions);
    return r;
}
