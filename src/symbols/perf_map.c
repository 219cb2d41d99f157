/* SPDX-License-Identifier: MIT */
#include "symbols/perf_map.h"

#include <string.h>

static bool digit_of(char letter, unsigned int *ret_digit)
{
    if (letter >= '0' && letter <= '9') {
        *ret_digit = (unsigned int)(letter - '0');
    } else if ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'f') {
        *ret_digit = (unsigned int)((letter | 0x20) - 'a') + 10;
    } else {
        return false;
    }
    return true;
}

/* A hexadecimal number with or without its 0x, and the spaces behind it. */
static bool take_number(const char **inout_at, const char *end, uint64_t *ret_value)
{
    const char *at = *inout_at;
    if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x') {
        at += 2;
    }
    uint64_t value = 0;
    unsigned int digit;
    const char *first = at;
    for (; at < end && digit_of(*at, &digit); at++) {
        if (value >> 60 != 0) {
            return false;
        }
        value = value << 4 | digit;
    }
    if (at == first || at == end || (*at != ' ' && *at != '\t')) {
        return false;
    }
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    *inout_at = at;
    *ret_value = value;
    return true;
}

static bool parse_line(const char *at, const char *end, struct perf_map_line *ret_line)
{
    if (end > at && end[-1] == '\r') {
        end--;
    }
    if ((size_t)(end - at) > PERF_MAP_MAX_LINE_BYTES ||
        !take_number(&at, end, &ret_line->start_ip) || !take_number(&at, end, &ret_line->n_bytes)) {
        return false;
    }
    ret_line->name = at;
    ret_line->n_name_bytes = (size_t)(end - at);
    return at < end && ret_line->start_ip + ret_line->n_bytes >= ret_line->start_ip;
}

bool perf_map_next(const char *text, size_t n_bytes, bool has_end, size_t *inout_used,
                   struct perf_map_line *ret_line)
{
    while (*inout_used < n_bytes) {
        const char *line = text + *inout_used;
        size_t n_left = n_bytes - *inout_used;
        const char *newline = memchr(line, '\n', n_left);
        if (!newline && !has_end) {
            return false;
        }
        const char *end = newline ? newline : line + n_left;
        *inout_used += (size_t)(end - line) + (newline ? 1 : 0);
        if (parse_line(line, end, ret_line)) {
            return true;
        }
    }
    return false;
}
