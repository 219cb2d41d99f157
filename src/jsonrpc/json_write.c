/* SPDX-License-Identifier: MIT */

#include "jsonrpc/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "jsonrpc/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define F64_MAX_DIGITS 17          /* enough for every double to read back as itself */

static void separate(struct json_writer *writer)
{
    if (writer->needs_comma) {
        text_append_char(writer->text, ',');
    }
    writer->needs_comma = true;
}

static void begin(struct json_writer *writer, char bracket)
{
    separate(writer);
    text_append_char(writer->text, bracket);
    writer->needs_comma = false;
}

static void end(struct json_writer *writer, char bracket)
{
    text_append_char(writer->text, bracket);
    writer->needs_comma = true;
}

void json_write_object_begin(struct json_writer *writer)
{
    begin(writer, '{');
}

void json_write_object_end(struct json_writer *writer)
{
    end(writer, '}');
}

void json_write_array_begin(struct json_writer *writer)
{
    begin(writer, '[');
}

void json_write_array_end(struct json_writer *writer)
{
    end(writer, ']');
}

static void append_escaped(struct text *text, unsigned char character)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[character >> 4], digits[character & 15]};
    static const struct {
        char character;
        char letter;
    } short_forms[] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\t', 't'},
                       {'\r', 'r'}, {'\b', 'b'},  {'\f', 'f'}};

    for (size_t i = 0; i < sizeof(short_forms) / sizeof(short_forms[0]); i++) {
        if (character == (unsigned char)short_forms[i].character) {
            escape[1] = short_forms[i].letter;
            text_append_bytes(text, escape, 2);
            return;
        }
    }
    text_append_bytes(text, escape, sizeof(escape));
}

static bool is_plain(unsigned char character)
{
    return character >= 0x20 && character < 0x7f && character != '"' && character != '\\';
}

void json_write_string_bytes(struct json_writer *writer, const char *string, size_t n_bytes)
{
    const unsigned char *bytes = (const unsigned char *)string;
    struct text *text = writer->text;
    size_t copied = 0; /* bytes before this are in the text */
    size_t at = 0;

    separate(writer);
    text_append_char(text, '"');
    while (at < n_bytes) {
        if (is_plain(bytes[at])) {
            at++;
            continue;
        }
        size_t length = bytes[at] >= 0x80 ? utf8_length(bytes + at, n_bytes - at) : 0;
        if (length > 0) {
            at += length;
            continue;
        }
        text_append_bytes(text, string + copied, at - copied);
        if (bytes[at] >= 0x80) {
            text_append(text, REPLACEMENT);
        } else {
            append_escaped(text, bytes[at]);
        }
        copied = ++at;
    }
    text_append_bytes(text, string + copied, at - copied);
    text_append_char(text, '"');
}

void json_write_string(struct json_writer *writer, const char *string)
{
    if (!string) {
        json_write_null(writer);
        return;
    }
    json_write_string_bytes(writer, string, strlen(string));
}

void json_write_key(struct json_writer *writer, const char *key)
{
    json_write_string(writer, key);
    text_append_char(writer->text, ':');
    writer->needs_comma = false;
}

void json_write_quoted_key(struct json_writer *writer, const char *quoted_key, size_t n_bytes)
{
    separate(writer);
    text_append_bytes(writer->text, quoted_key, n_bytes);
    writer->needs_comma = false;
}

void json_write_raw(struct json_writer *writer, const char *json, size_t n_bytes)
{
    separate(writer);
    text_append_bytes(writer->text, json, n_bytes);
}

void json_write_null(struct json_writer *writer)
{
    json_write_raw(writer, "null", 4);
}

void json_write_bool(struct json_writer *writer, bool value)
{
    json_write_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

/* Writes the digits so that they end at `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

void json_write_u64(struct json_writer *writer, uint64_t value)
{
    char digits[20];
    char *past = digits + sizeof(digits);
    char *first = digits_before(past, value);
    json_write_raw(writer, first, (size_t)(past - first));
}

void json_write_i64(struct json_writer *writer, int64_t value)
{
    char digits[21];
    char *past = digits + sizeof(digits);
    uint64_t magnitude = value < 0 ? ~(uint64_t)value + 1 : (uint64_t)value;
    char *first = digits_before(past, magnitude);
    if (value < 0) {
        *--first = '-';
    }
    json_write_raw(writer, first, (size_t)(past - first));
}

/* Shares and milliseconds: exact with at most six decimals. False where that would not read back.
 */
static bool write_short_decimal(struct json_writer *writer, double value)
{
    double magnitude = fabs(value);
    if (!(magnitude < 9e9) || (value == 0 && signbit(value))) {
        return false;
    }
    uint64_t scaled = (uint64_t)(magnitude * 1e6 + 0.5);
    if ((double)scaled / 1e6 != magnitude) {
        return false;
    }
    uint64_t whole = scaled / 1000000;
    uint64_t fraction = scaled % 1000000;
    char digits[32];
    char *past = digits + sizeof(digits);
    char *first = past;
    if (fraction > 0) {
        /* The leading 1 keeps the zeros behind the point; the point replaces it. */
        first = digits_before(past, fraction + 1000000);
        *first = '.';
        while (past[-1] == '0') {
            past--;
        }
    }
    first = digits_before(first, whole);
    if (value < 0) {
        *--first = '-';
    }
    json_write_raw(writer, first, (size_t)(past - first));
    return true;
}

void json_write_f64(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    if (write_short_decimal(writer, value)) {
        return;
    }
    char printed[48];
    for (int n_digits = 15; n_digits <= F64_MAX_DIGITS; n_digits++) {
        snprintf(printed, sizeof(printed), "%.*e", n_digits - 1, value);
        if (strtod(printed, NULL) == value) {
            break;
        }
    }
    /* printf's decimal point is the locale's, of any bytes; JSON's is a dot. */
    char json[48];
    size_t n_json = 0;
    bool has_point = false;
    for (const char *at = printed; *at; at++) {
        bool is_number = (*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == 'e';
        if (is_number) {
            json[n_json++] = *at;
        } else if (!has_point) {
            json[n_json++] = '.';
            has_point = true;
        }
    }
    json_write_raw(writer, json, n_json);
}
