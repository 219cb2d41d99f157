/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * text - a string that grows, up to a maximum
 *
 * Shape:   data is NUL-terminated and never NULL after text_init(). Past
 *          max_bytes, or when memory runs out, appends are dropped and
 *          is_cut is set: check it once at the end.
 * Owner:   the caller holds the struct; text_release() frees the bytes.
 * Threads: one.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct text {
    char *data;
    size_t length_bytes; /* without the NUL */
    size_t capacity_bytes;
    size_t max_bytes;
    bool is_cut;
};

void text_init(struct text *text, size_t max_bytes);
void text_release(struct text *text);
DEFINE_RELEASEP(text);

/* Length 0, memory kept, is_cut reset. */
void text_clear(struct text *text);

void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const void *bytes, size_t n_bytes);
void text_append_char(struct text *text, char character);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Hands the NUL-terminated bytes to the caller (free()); the text is empty and usable again. */
char *text_take(struct text *text);
