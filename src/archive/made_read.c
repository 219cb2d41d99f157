/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "archive/symbol_reading.h"

static int take_made_symbol(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_symbol *told = row;
    struct symbol symbol = {
        .kind = told->kind <= FRAME_KIND_TARGET ? (enum frame_kind)told->kind : FRAME_KIND_JIT,
        .start_address = told->start_ip,
        .size_bytes = told->n_bytes,
    };
    uint32_t unused;
    int r = symbol_reading_text(reading, told->name, &symbol.name);
    r = r ? r : symbol_reading_text(reading, told->image, &symbol.image);
    symbol.image = symbol.image ? symbol.image : "[unknown]";
    return r ? r : jit_kept_add_symbol(reading->symbols->made, &symbol, &unused);
}

/* Bodies are added one after the other, each before its lines. */
static int add_bodies_until(struct symbol_reading *reading, uint32_t n_bodies)
{
    int r = 0;
    while (r == 0 && reading->next_body < n_bodies) {
        uint64_t n_bytes = reading->made_bodies[reading->next_body++];
        const uint8_t *code = symbol_reading_code(reading, n_bytes);
        uint32_t unused;
        r = jit_kept_add_body(reading->symbols->made, code, code ? (size_t)n_bytes : 0, &unused);
    }
    return r;
}

static int take_made_body(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_body *told = row;
    if (reading->n_made_bodies >= JIT_KEPT_MAX) {
        return -ENOSPC;
    }
    if (reading->n_made_bodies == reading->made_bodies_capacity) {
        size_t capacity = reading->made_bodies_capacity ? 2 * reading->made_bodies_capacity : 64;
        uint64_t *grown = reallocarray(reading->made_bodies, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        reading->made_bodies = grown;
        reading->made_bodies_capacity = capacity;
    }
    reading->made_bodies[reading->n_made_bodies++] = told->n_bytes;
    return 0;
}

static int take_made_line(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_line *told = row;
    if (told->body >= reading->n_made_bodies || told->body + 1 < reading->next_body) {
        return -EBADMSG;
    }
    const char *file = NULL;
    int r = add_bodies_until(reading, told->body + 1);
    r = r ? r : symbol_reading_text(reading, told->file, &file);
    if (r == 0 && !file) {
        return -EBADMSG;
    }
    return r ? r : jit_kept_add_line(reading->symbols->made, told->code_offset, file, told->line);
}

static int take_made_function(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_function *told = row;
    bool is_possible = told->n_bytes <= UINT64_MAX - told->start_ip;
    struct jit_kept_function function = {
        .symbol = told->symbol,
        .body = told->body - 1,
        .start_ip = told->start_ip,
        .end_ip = is_possible ? told->start_ip + told->n_bytes : told->start_ip,
        .from_ns = told->from_ns,
        .to_ns = told->to_ns,
    };
    uint32_t unused;
    int r = jit_kept_add_function(reading->symbols->made, &function, &unused);
    if (r == -EINVAL) { /* its code is lost */
        function.body = JIT_KEPT_NONE;
        r = jit_kept_add_function(reading->symbols->made, &function, &unused);
        reading->damage->n_rows += r == 0;
    }
    if (r == -EINVAL) { /* so is its name, and answers count on its number */
        function.symbol = JIT_KEPT_NONE;
        r = jit_kept_add_function(reading->symbols->made, &function, &unused);
        reading->damage->n_rows += r == 0;
    }
    return r;
}

static int take_made_answer(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_answer *told = row;
    const struct jit_kept_answer answer = {
        .pid = (int64_t)told->pid,
        .ip = told->ip,
        .from_ns = told->from_ns,
        .to_ns = told->to_ns,
        .function = told->function,
    };
    return jit_kept_add_answer(reading->symbols->made, &answer);
}

static int take_made_stats(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_stats *told = row;
    const struct jit_code_stats stats = {
        .n_functions = told->n_functions,
        .n_moves = told->n_moves,
        .n_reused = told->n_reused,
        .n_tables = told->n_tables,
        .n_lines = told->n_lines,
        .n_table_bytes = told->n_table_bytes,
        .n_frameless_bytes = told->n_frameless_bytes,
        .n_dropped = told->n_dropped,
    };
    jit_kept_set_stats(reading->symbols->made, &stats);
    return 0;
}

int made_read(struct symbol_reading *reading)
{
    static const struct table_step heads[] = {
        {SYMBOL_TABLE_MADE_CODE, NULL},
        {SYMBOL_TABLE_MADE_STATS, take_made_stats},
        {SYMBOL_TABLE_MADE_SYMBOLS, take_made_symbol},
        {SYMBOL_TABLE_MADE_BODIES, take_made_body},
        {SYMBOL_TABLE_MADE_LINES, take_made_line},
    };
    static const struct table_step bodies[] = {
        {SYMBOL_TABLE_MADE_FUNCTIONS, take_made_function},
        {SYMBOL_TABLE_MADE_ANSWERS, take_made_answer},
    };
    reading->n_code_bytes = reading->code_at = 0;
    int r = jit_kept_new(&reading->symbols->made);
    r = r ? r : symbol_reading_tables(reading, heads, sizeof(heads) / sizeof(heads[0]));
    r = r ? r : add_bodies_until(reading, (uint32_t)reading->n_made_bodies);
    if (r == -ENOSPC) { /* functions have no code then */
        reading->damage->n_members++;
        r = 0;
    }
    r = r ? r : symbol_reading_tables(reading, bodies, sizeof(bodies) / sizeof(bodies[0]));
    r = r ? r : jit_kept_finish(reading->symbols->made);
    if (r == -ENOSPC) { /* the last lines */
        reading->damage->n_rows++;
        r = 0;
    }
    return r;
}
