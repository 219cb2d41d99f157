/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * spelling - the known name that somebody may have meant
 *
 * Owner:   the answer is one of the caller's names.
 * Threads: any.
 * Tests:   spelling_test.c
 */

#include <stddef.h>

/* The nearest of `names`, or NULL when none is near enough to be worth a guess. */
const char *spelling_nearest(const char *word, const char *const *names, size_t n_names);
