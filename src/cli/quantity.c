/* SPDX-License-Identifier: MIT */
#include "cli/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define FRACTION_DIGITS 9
#define FRACTION_SCALE 1000000000

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"", NS_PER_S}, {"s", NS_PER_S},      {"ms", NS_PER_MS},      {"us", NS_PER_US},
    {"ns", 1},      {"m", 60 * NS_PER_S}, {"min", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

static const struct unit byte_units[] = {
    {"", 1},
    {"B", 1},
    {"K", UINT64_C(1) << 10},
    {"KB", UINT64_C(1) << 10},
    {"KiB", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"MB", UINT64_C(1) << 20},
    {"MiB", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"GB", UINT64_C(1) << 30},
    {"GiB", UINT64_C(1) << 30},
    {"T", UINT64_C(1) << 40},
    {"TB", UINT64_C(1) << 40},
    {"TiB", UINT64_C(1) << 40},
};

struct decimal {
    uint64_t whole;
    uint32_t fraction; /* in units of 1e-9; further digits are dropped */
};

/* Digits, then maybe '.' and digits; at least one digit. The rest of the text comes back. */
static int take_decimal(const char *text, struct decimal *ret_decimal, const char **ret_rest)
{
    struct decimal decimal = {0};
    unsigned n_digits = 0;
    for (; *text >= '0' && *text <= '9'; text++, n_digits++) {
        if (__builtin_mul_overflow(decimal.whole, UINT64_C(10), &decimal.whole) ||
            __builtin_add_overflow(decimal.whole, (uint64_t)(*text - '0'), &decimal.whole)) {
            return -ERANGE;
        }
    }
    if (*text == '.') {
        unsigned n_fraction = 0;
        for (text++; *text >= '0' && *text <= '9'; text++, n_digits++, n_fraction++) {
            if (n_fraction < FRACTION_DIGITS) {
                decimal.fraction = decimal.fraction * 10 + (uint32_t)(*text - '0');
            }
        }
        for (; n_fraction < FRACTION_DIGITS; n_fraction++) {
            decimal.fraction *= 10;
        }
    }
    if (n_digits == 0) {
        return -EINVAL;
    }
    *ret_decimal = decimal;
    *ret_rest = text;
    return 0;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t n_units,
                           int64_t *ret_value)
{
    bool is_negative = *text == '-';
    struct decimal decimal;
    const char *rest;
    int r = take_decimal(text + (is_negative ? 1 : 0), &decimal, &rest);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(rest, units[i].name) != 0) {
            continue;
        }
        unsigned __int128 value =
            (unsigned __int128)decimal.whole * units[i].factor +
            (unsigned __int128)decimal.fraction * units[i].factor / FRACTION_SCALE;
        if (value > INT64_MAX) {
            return -ERANGE;
        }
        *ret_value = is_negative ? -(int64_t)value : (int64_t)value;
        return 0;
    }
    return -EINVAL;
}

int quantity_parse_duration(const char *text, int64_t *ret_ns)
{
    return parse_with_unit(text, duration_units, sizeof(duration_units) / sizeof(duration_units[0]),
                           ret_ns);
}

int quantity_parse_bytes(const char *text, int64_t *ret_bytes)
{
    if (*text == '-') {
        return -EINVAL;
    }
    return parse_with_unit(text, byte_units, sizeof(byte_units) / sizeof(byte_units[0]), ret_bytes);
}

int quantity_parse_integer(const char *text, int64_t *ret_value)
{
    static const struct unit one[] = {{"", 1}};
    if (strchr(text, '.')) {
        return -EINVAL;
    }
    return parse_with_unit(text, one, 1, ret_value);
}

int quantity_parse_decimal(const char *text, double *ret_value)
{
    struct decimal decimal;
    const char *rest;
    int r = take_decimal(text, &decimal, &rest);
    if (r < 0) {
        return r;
    }
    if (*rest != '\0') {
        return -EINVAL;
    }
    *ret_value = (double)decimal.whole + (double)decimal.fraction / FRACTION_SCALE;
    return 0;
}

/* Three significant digits of value/scale: 1.23, 12.3, 123. */
static void format_scaled(uint64_t value, uint64_t scale, const char *unit,
                          char ret_text[static QUANTITY_TEXT_BYTES])
{
    double scaled = (double)value / (double)scale;
    int n_decimals = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
    snprintf(ret_text, QUANTITY_TEXT_BYTES, "%.*f %s", n_decimals, scaled, unit);
}

void quantity_format_duration(uint64_t duration_ns, char ret_text[static QUANTITY_TEXT_BYTES])
{
    /* The limits lie where rounding would print 1000 of a unit. */
    if (duration_ns < NS_PER_US) {
        snprintf(ret_text, QUANTITY_TEXT_BYTES, "%" PRIu64 " ns", duration_ns);
    } else if (duration_ns < NS_PER_MS - 500) {
        format_scaled(duration_ns, NS_PER_US, "us", ret_text);
    } else if (duration_ns < NS_PER_S - 500 * NS_PER_US) {
        format_scaled(duration_ns, NS_PER_MS, "ms", ret_text);
    } else if (duration_ns < 120 * NS_PER_S) {
        format_scaled(duration_ns, NS_PER_S, "s", ret_text);
    } else {
        uint64_t seconds = duration_ns / NS_PER_S;
        if (seconds < 7200) {
            snprintf(ret_text, QUANTITY_TEXT_BYTES, "%" PRIu64 "m %02us", seconds / 60,
                     (unsigned)(seconds % 60));
        } else {
            snprintf(ret_text, QUANTITY_TEXT_BYTES, "%" PRIu64 "h %02um", seconds / 3600,
                     (unsigned)(seconds / 60 % 60));
        }
    }
}

void quantity_format_bytes(uint64_t n_bytes, char ret_text[static QUANTITY_TEXT_BYTES])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t scale = 1;
    size_t i = 0;
    while (i + 1 < sizeof(names) / sizeof(names[0]) && n_bytes / scale >= 1024) {
        scale <<= 10;
        i++;
    }
    if (i == 0) {
        snprintf(ret_text, QUANTITY_TEXT_BYTES, "%" PRIu64 " B", n_bytes);
    } else {
        format_scaled(n_bytes, scale, names[i], ret_text);
    }
}

const char *quantity_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
