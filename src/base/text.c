/* SPDX-License-Identifier: MIT */
/*
 * An append that does not fit is dropped whole and so is every later one, so
 * that a text that was cut is a prefix of what was wanted, without holes.
 */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN_BYTES 64

/* What data points to while nothing is allocated; never written. */
static char empty_data[1];

void text_init(struct text *text, size_t max_bytes)
{
    *text = (struct text){.data = empty_data, .max_bytes = max_bytes};
}

void text_release(struct text *text)
{
    if (text->data != empty_data) {
        free(text->data);
    }
    text_init(text, text->max_bytes);
}

void text_clear(struct text *text)
{
    text->length_bytes = 0;
    text->is_cut = false;
    if (text->capacity_bytes > 0) {
        text->data[0] = '\0';
    }
}

/* Makes room for n_bytes and a NUL, or marks the text as cut. */
static bool reserve(struct text *text, size_t n_bytes)
{
    if (text->is_cut || n_bytes > text->max_bytes - text->length_bytes) {
        text->is_cut = true;
        return false;
    }
    size_t wanted_bytes = text->length_bytes + n_bytes;
    if (wanted_bytes < text->capacity_bytes) {
        return true;
    }
    if (wanted_bytes > SIZE_MAX / 2 - 1) {
        text->is_cut = true;
        return false;
    }
    size_t capacity_bytes = text->capacity_bytes * 2;
    if (capacity_bytes < CAPACITY_MIN_BYTES) {
        capacity_bytes = CAPACITY_MIN_BYTES;
    }
    if (capacity_bytes < wanted_bytes + 1) {
        capacity_bytes = wanted_bytes + 1;
    }
    char *grown = realloc(text->capacity_bytes > 0 ? text->data : NULL, capacity_bytes);
    if (!grown) {
        text->is_cut = true;
        return false;
    }
    text->data = grown;
    text->data[text->length_bytes] = '\0';
    text->capacity_bytes = capacity_bytes;
    return true;
}

void text_append(struct text *text, const char *string)
{
    text_append_bytes(text, string, strlen(string));
}

void text_append_bytes(struct text *text, const void *bytes, size_t n_bytes)
{
    if (n_bytes == 0 || !reserve(text, n_bytes)) {
        return;
    }
    memcpy(text->data + text->length_bytes, bytes, n_bytes);
    text->length_bytes += n_bytes;
    text->data[text->length_bytes] = '\0';
}

void text_append_char(struct text *text, char character)
{
    text_append_bytes(text, &character, 1);
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(text, format, arguments);
    va_end(arguments);
}

void text_vprintf(struct text *text, const char *format, va_list arguments)
{
    /* Most appends are short: formatted once here instead of measured first. */
    char buffer[256];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(buffer, sizeof(buffer), format, arguments);
    if (length < 0) {
        text->is_cut = true;
    } else if ((size_t)length < sizeof(buffer)) {
        text_append_bytes(text, buffer, (size_t)length);
    } else if (reserve(text, (size_t)length)) {
        (void)vsnprintf(text->data + text->length_bytes, (size_t)length + 1, format, again);
        text->length_bytes += (size_t)length;
    }
    va_end(again);
}

char *text_take(struct text *text)
{
    char *taken = text->data;
    if (taken == empty_data) {
        taken = strdup("");
    }
    text_init(text, text->max_bytes);
    return taken;
}
