/* SPDX-License-Identifier: MIT */

/*
 * fuzz_run_symbols - rows that nobody has written, read as names, lines and code
 *
 * The input says values of rows; they are put into members with right checksums,
 * so that what stands behind the columns is reached. Whatever is read is asked.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive/run_symbols.h"
#include "archive/symbol_tables.h"
#include "base/arena.h"
#include "base/bytes.h"

#define MAX_ROWS 64u
#define N_IMAGES 8u
#define WIDE 0xf0u /* a byte from here on stands before eight of a number */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct column_buffer members[SYMBOL_TABLE_N];

/* In the place of the archive's. */
int archive_reader_read(struct archive_reader *reader, const char *name,
                        struct archive_bytes *ret_bytes)
{
    (void)reader;
    *ret_bytes = (struct archive_bytes){.state = ARCHIVE_MISSING};
    for (int kind = 0; kind < SYMBOL_TABLE_N; kind++) {
        const struct column_buffer *member = &members[kind];
        if (strcmp(symbol_table((enum symbol_table)kind)->member, name) == 0 &&
            member->n_bytes > 0) {
            ret_bytes->bytes = malloc(member->n_bytes);
            if (!ret_bytes->bytes) {
                abort();
            }
            memcpy(ret_bytes->bytes, member->bytes, member->n_bytes);
            ret_bytes->n_bytes = member->n_bytes;
            ret_bytes->state = ARCHIVE_WHOLE;
        }
    }
    return 0;
}

static uint64_t take_value(struct bytes *bytes)
{
    uint8_t small = bytes_take_u8(bytes);
    return small < WIDE ? small : bytes_take_u64(bytes);
}

static void make_member(struct bytes *bytes, enum symbol_table kind)
{
    const struct column_table *columns = &symbol_table(kind)->columns;
    size_t n_rows = bytes_take_u8(bytes) % MAX_ROWS;
    uint8_t *rows = calloc(n_rows + 1, columns->row_bytes);
    if (!rows) {
        abort();
    }
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < columns->n_columns; k++) {
            const struct column *column = &columns->columns[k];
            uint64_t value = take_value(bytes);
            memcpy(rows + i * columns->row_bytes + column->offset, &value, column->n_bytes);
        }
    }
    members[kind] = (struct column_buffer){0};
    if (column_append(&members[kind], columns, rows, n_rows) < 0) {
        abort();
    }
    free(rows);
}

static volatile uint64_t all_read;

static void read_text(const char *text)
{
    all_read += text ? strlen(text) : 0;
}

static void ask_symbols(const struct kept_symbols *kept, struct arena *arena)
{
    struct symbol_source_info info;
    kept_symbols_describe(kept, &info);
    read_text(info.origin);
    read_text(info.failure);
    for (uint64_t address = 0; address < 256; address++) {
        uint64_t image_addr;
        struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
        const struct symbol *symbol = kept_symbols_find(kept, address, &image_addr);
        if (!symbol) {
            continue;
        }
        size_t n = kept_symbols_chain(kept, image_addr, symbol, chain, SYMBOL_CHAIN_MAX);
        for (size_t i = 0; i < n; i++) {
            read_text(chain[i].symbol->name);
            read_text(chain[i].symbol->image);
            read_text(chain[i].file);
        }
        struct source_lines lines;
        if (kept_symbols_lines(kept, image_addr, image_addr + 64, arena, &lines) == 0) {
            for (size_t i = 0; i < lines.n_rows; i++) {
                read_text(lines.rows[i].file);
            }
        }
    }
}

static void ask_code(const struct kept_code *code)
{
    for (uint64_t address = 0; address < 256; address++) {
        const struct kept_piece *piece = kept_code_find(code, 0, address);
        for (size_t i = 0; piece && i < piece->n_bytes; i++) {
            all_read += piece->bytes[i];
        }
        if (piece) {
            read_text(piece->origin);
            read_text(piece->failure);
            read_text(piece->hint);
        }
        uint64_t start, end;
        if (kept_code_bounds(code, address, &start, &end) && (start > address || end <= address)) {
            abort();
        }
    }
}

static void ask_sources(const struct kept_sources *sources)
{
    size_t n_files;
    const struct kept_source_file *files = kept_sources_files(sources, &n_files);
    for (size_t i = 0; i < n_files; i++) {
        const struct kept_source_file *file = kept_sources_find(sources, files[i].path);
        read_text(files[i].found);
        for (uint32_t line = 0; line < 32; line++) {
            read_text(kept_sources_line(sources, file, line));
        }
    }
}

static void ask_made(const struct jit_kept *made)
{
    for (uint64_t ip = 0; ip < 256; ip++) {
        struct jit_place place;
        if (!jit_kept_find(made, (int64_t)(ip % 4), ip, ip, ip + 9, &place)) {
            continue;
        }
        uint8_t code[64];
        const char *file;
        uint32_t line;
        read_text(place.symbol->name);
        all_read += (uint64_t)jit_code_read(&place, code, sizeof(code));
        if (jit_code_line(&place, ip, &file, &line)) {
            read_text(file);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    for (int kind = 0; kind < SYMBOL_TABLE_N; kind++) {
        make_member(&bytes, (enum symbol_table)kind);
    }
    _cleanup_(run_symbols_freep) struct run_symbols *symbols = NULL;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run_symbols_damage damage;
    struct error error = {0};
    if (run_symbols_read(NULL, &symbols, &damage, &error) == 0) {
        const struct kept_run kept = run_symbols_kept(symbols);
        for (image_id id = 0; id < N_IMAGES; id++) {
            const struct image image = {.id = id};
            const struct kept_symbols *names = kept.find_symbols(kept.userdata, &image);
            const struct kept_code *code = kept.find_code(kept.userdata, &image);
            if (names) {
                ask_symbols(names, &arena);
            }
            if (code) {
                ask_code(code);
            }
        }
        ask_sources(kept.sources);
        _cleanup_(jit_kept_freep) struct jit_kept *made = run_symbols_take_jit(symbols);
        ask_made(made);
    }
    for (int kind = 0; kind < SYMBOL_TABLE_N; kind++) {
        column_buffer_release(&members[kind]);
    }
    return 0;
}
