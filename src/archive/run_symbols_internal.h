/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_symbols_internal - the parts of run_symbols
 *
 * symbol_gather says what is to be kept of names and lines, code_gather of
 * code, source_gather of sources, made_gather of code that programs made;
 * run_symbols_write puts it into members, run_symbols_read takes it out.
 *
 * Owner:   as run_symbols.h.
 * Threads: one at a time while it is filled.
 * Tests:   run_symbols_test.c
 */

#include "archive/history_names.h"
#include "archive/run_symbols.h"
#include "archive/symbol_tables.h"
#include "base/hash_table.h"
#include "disasm/code_reader.h"

/* Images that share one table of symbols; of code without a file, one image. */
struct kept_group {
    struct kept_symbols *symbols; /* a reference; NULL: none */
    const struct kept_code *code; /* NULL: none */
    struct kept_code *own_code;   /* that, unless it is borrowed */
};

struct run_symbols {
    size_t n_groups, groups_capacity;
    struct kept_group *groups;
    struct hash_table group_numbers;    /* by image_id */
    const struct kept_sources *sources; /* NULL: none */
    struct kept_sources *own_sources;
    struct jit_kept *made;
};

int run_symbols_new(struct run_symbols **ret_symbols);
int run_symbols_add_group(struct run_symbols *symbols, uint32_t *ret_group);

/* Rows of one table that grow. */
struct symbol_rows {
    enum symbol_table kind;
    void *rows;
    size_t n_rows, capacity;
};
void symbol_rows_release(struct symbol_rows *rows);

/* What the parts that write share. */
struct symbol_writing {
    const struct snapshot *snapshot;
    struct query_names *names;
    const struct run_symbols_options *options;
    int64_t target_pid; /* in whose file system sources may lie */
    uint64_t until_ns;  /* lines that are not there by then are left out */
    struct run_symbols *symbols;
    struct history_names texts;
    struct symbol_rows tables[SYMBOL_TABLE_N];
    struct run_symbols_stats *stats;
};

/* Appends copies of rows. 0 or -ENOMEM. */
int symbol_rows_add(struct symbol_writing *writing, enum symbol_table kind, const void *rows,
                    size_t n_rows);
/* 0: NULL, or no room. 0 or -ENOMEM. */
int symbol_text(struct symbol_writing *writing, const char *text, uint32_t *ret_number);

/* symbol_gather.c: fills writing->symbols with groups of names, lines and code. */
int symbol_gather(struct symbol_writing *writing);

/* One place in code that is to be answered as it is now. */
struct gathered_place {
    uint64_t image_addr;
    const struct symbol *symbol; /* NULL: it has none */
    bool is_target;              /* of a jump; no frame is there */
};

/* One group while it is gathered. */
struct gathered_group {
    struct symbol_writing *writing;
    const struct image *image;
    struct symbol_source *source; /* NULL: none */
    struct elf_layout layout;
    struct kept_symbols *kept;
    size_t n_places, places_capacity;
    struct gathered_place *places;
    struct hash_table function_numbers; /* symbol → number in `kept` */
};
int gathered_group_add_place(struct gathered_group *group, const struct gathered_place *place);

/* code_gather.c: the code around the places; where it leads becomes further places. */
int code_gather(struct gathered_group *group, struct kept_code **ret_code);

/* memory_gather.c: code without a file, of a run that goes on. */
int memory_gather(const struct symbol_writing *writing, const struct image *image,
                  struct kept_code **ret_code);

/* source_gather.c: the lines that the groups' code and the made code come from. */
int source_gather(struct symbol_writing *writing);

/* made_gather.c: rows of SYMBOL_TABLE_MADE_…, directly. */
int made_gather(struct symbol_writing *writing);
