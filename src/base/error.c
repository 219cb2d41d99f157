/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * Takes back a UTF-8 character of which only the beginning is left at the end of
 * `string`, so that a cut text can still be sent as JSON.
 */
static void drop_partial_character(char *string, size_t length_bytes)
{
    size_t lead = length_bytes;
    while (lead > 0 && length_bytes - lead < 3 &&
           ((unsigned char)string[lead - 1] & 0xc0) == 0x80) {
        lead--;
    }
    if (lead == 0) {
        return;
    }
    lead--;
    unsigned char first = (unsigned char)string[lead];
    size_t wanted_bytes = 1;
    if (first >= 0xf0) {
        wanted_bytes = 4;
    } else if (first >= 0xe0) {
        wanted_bytes = 3;
    } else if (first >= 0xc0) {
        wanted_bytes = 2;
    }
    if (length_bytes - lead < wanted_bytes) {
        string[lead] = '\0';
    }
}

__attribute__((format(printf, 3, 0))) static void format_cut(char *target, size_t capacity_bytes,
                                                             const char *format, va_list arguments)
{
    int length = vsnprintf(target, capacity_bytes, format, arguments);
    if (length < 0) {
        target[0] = '\0';
    } else if ((size_t)length >= capacity_bytes) {
        drop_partial_character(target, capacity_bytes - 1);
    }
}

void error_set(struct error *error, const char *code, const char *format, ...)
{
    if (!error) {
        return;
    }
    (void)snprintf(error->code, sizeof(error->code), "%s", code);
    va_list arguments;
    va_start(arguments, format);
    format_cut(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    error->hint[0] = '\0';
}

void error_hint(struct error *error, const char *format, ...)
{
    if (!error) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    format_cut(error->hint, sizeof(error->hint), format, arguments);
    va_end(arguments);
}

void error_set_errno(struct error *error, int negative_errno, const char *doing)
{
    char buffer[128];
    error_set(error, "internal", "%s: %s", doing,
              strerror_r(-negative_errno, buffer, sizeof(buffer)));
}
