/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * brief_name - a function's name without what its templates and parameters are
 *
 * "std::map<int, long>::find(int const&) const" is told as
 * "std::map<…>::find(…)": enough where the whole name stands elsewhere, or is
 * only a remark. What is not understood stays as it is.
 *
 * Owner:   appends to the caller's text.
 * Threads: any.
 * Tests:   brief_name_test.c
 */

#include "base/text.h"

/* Appends the brief form; the bytes are those of the name, see label.h for showing them. */
void brief_name_append(struct text *text, const char *name);
