/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kallsyms - the functions of the kernel and its modules
 *
 * Owner:   the text and the table are the caller's.
 * Threads: any.
 * Limits:  KALLSYMS_MAX_BYTES of text; a function reaches at most 1 MiB far,
 *          since the file tells no sizes.
 * Source:  proc_kallsyms(5); nm(1) for the letters.
 * Tests:   kallsyms_test.c
 */

#include <stddef.h>

#include "base/error.h"
#include "symbols/function_table.h"

#define KALLSYMS_MAX_BYTES (256u << 20)

/*
 * For the whole process: a descriptor of the text as somebody opened it whom the
 * kernel tells addresses. Read where it tells us none. Takes fd; a later one
 * replaces it.
 */
void kallsyms_lend(int take_fd);

/* The text of /proc/kallsyms; free() it. */
int kallsyms_read(char **ret_text, size_t *ret_n_bytes, struct error *reterr_error);

/*
 * The kernel itself, its modules, and what comes and goes with every run (BPF
 * programs, ours among them): apart, so that the large ones can be recognised
 * again and shared.
 */
enum kallsyms_part {
    KALLSYMS_PART_KERNEL,
    KALLSYMS_PART_MODULES,
    KALLSYMS_PART_PROGRAMS,
    KALLSYMS_PART_N,
};

struct kallsyms_piece {
    char *text; /* within the text that was split; a NUL follows its n_bytes */
    size_t n_bytes;
};

/* Cuts the text of kallsyms_read() into its parts, which may be empty. */
void kallsyms_split(char *text, size_t n_bytes, struct kallsyms_piece ret_pieces[KALLSYMS_PART_N]);

/*
 * The functions in it (letters t, T, w, W). The text is modified; a NUL
 * follows its n_bytes. -EACCES when all addresses are zero: the kernel hides
 * them from us.
 */
int kallsyms_parse(char *text, size_t n_bytes, struct function_table **ret_table,
                   struct error *reterr_error);
