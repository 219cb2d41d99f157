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

/* The text of /proc/kallsyms; free() it. */
int kallsyms_read(char **ret_text, size_t *ret_n_bytes, struct error *reterr_error);

/*
 * The functions in it (letters t, T, w, W). The text is modified; a NUL
 * follows its n_bytes. -EACCES when all addresses are zero: the kernel hides
 * them from us.
 */
int kallsyms_parse(char *text, size_t n_bytes, struct function_table **ret_table,
                   struct error *reterr_error);
