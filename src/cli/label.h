/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * label - names of things that others named, fit to be shown
 *
 * Symbols, commands and thread names are bytes that the profiled program
 * chose. A label shows control characters, broken UTF-8 and characters that
 * reorder text as \x1b or \u202e, so that a name can neither drive the
 * terminal nor pretend to be another one.
 *
 * Owner:   appends to the caller's text.
 * Threads: any.
 * Limits:  a column per character; wide and combining characters are not told
 *          apart.
 * Tests:   label_test.c
 */

#include <stddef.h>

#include "base/text.h"

/* Appends `name` made visible; NULL counts as "?". */
void label_append(struct text *text, const char *name);

/* As label_append(), with the middle left out ("std::…::push_back") where more than `width`
 * columns. */
void label_append_shortened(struct text *text, const char *name, size_t width);

/* Columns that UTF-8 text takes. */
size_t label_width(const char *text);
