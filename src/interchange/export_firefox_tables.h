/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_firefox_tables - stacks, frames, functions and files of one thread
 *
 * In a processed profile each thread has tables of its own, with what occurs
 * in its samples alone; strings and libraries are shared by all.
 *
 * Owner:   _init()/_release(), one per export; _begin() for each thread.
 * Threads: one.
 * Tests:   export_firefox_test.c
 */

#include "interchange/export_format.h"
#include "interchange/export_strings.h"

struct firefox_node {
    uint32_t prefix; /* UINT32_MAX: none */
    uint32_t place;
    stack_id stack; /* that it is the innermost place of; else STACK_ID_EMPTY */
};

/* Which of a run's things a thread's table has, and as which number. */
struct firefox_numbers {
    uint32_t *of;      /* 1 + number; 0: it has not */
    uint32_t *members; /* what has which number */
    uint32_t n;
};

struct firefox_tables {
    struct export_job *job;
    struct export_strings strings;
    struct firefox_node *nodes;
    uint32_t n_nodes, n_nodes_room;
    uint32_t *node_of_stack;   /* 1 + node; 0: none yet */
    struct hash_table node_of; /* by prefix and place, where that is without code */
    struct firefox_numbers places, functions, images, libs; /* libs: of all threads */
};

/* 0 or -ENOMEM. */
int firefox_tables_init(struct export_job *job, struct firefox_tables *ret_tables);
void firefox_tables_release(struct firefox_tables *tables);

/* Another thread: its tables are empty. */
void firefox_tables_begin(struct firefox_tables *tables);

/* The number of the stack of a row, for a wait with its reason as innermost frame. 0 or -ENOMEM. */
int firefox_tables_stack(struct firefox_tables *tables, const struct export_row *row,
                         enum wait_reason reason, uint32_t *ret_stack);

/* The number of a stack of places without code, outermost first. 0 or -ENOMEM. */
int firefox_tables_path(struct firefox_tables *tables, const uint32_t *places, size_t n_places,
                        uint32_t *ret_stack);

/* All tables of the thread, with a comma before each. 0 or -ENOMEM. */
int firefox_tables_write(struct firefox_tables *tables);

/* Behind all threads: "libs" and "shared". */
void firefox_tables_write_shared(struct firefox_tables *tables);
