/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * pattern - what people type to pick functions
 *
 * `memcpy` matches every name or image that contains it, whatever the case;
 * `/^mem(cpy|move)$/` is a POSIX extended regular expression.
 *
 * Owner:   the caller's memory; patterns_release() frees.
 * Threads: any, after patterns_compile().
 * Limits:  PATTERNS_MAX patterns.
 * Tests:   pattern_test.c
 */

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "symbols/symbolizer.h"

#define PATTERNS_MAX 64u

struct pattern {
    const char *text; /* borrowed; the part to find, where it is no expression */
    bool is_expression;
    regex_t expression;
};

struct patterns {
    size_t n_patterns;
    struct pattern items[PATTERNS_MAX];
};

/* 0, or -EINVAL with what is wrong. */
int patterns_compile(char *const *texts, size_t n_texts, struct patterns *ret_patterns,
                     struct error *reterr_error);
void patterns_release(struct patterns *patterns);

/* Does any pattern match the function's name or image? */
bool patterns_match(const struct patterns *patterns, const struct symbol *symbol);
/* Does any match this name, that has no image? */
bool patterns_match_text(const struct patterns *patterns, const char *text);
