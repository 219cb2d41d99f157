/* SPDX-License-Identifier: MIT */

#include "jsonrpc/json_scan.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "jsonrpc/utf8.h"

#define NUMBER_MAX_BYTES 400 /* longer than any double needs to be written out in full */

struct json_scan json_scan_of(const char *bytes, size_t n_bytes)
{
    return (struct json_scan){.start = bytes, .at = bytes, .end = bytes + n_bytes};
}

static bool fail(struct json_scan *scan, const char *failure)
{
    if (!scan->failure) {
        scan->failure = failure;
    }
    return false;
}

/* The next byte that is not white space, not consumed; NUL at the end or after a failure. */
static char peek(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t')) {
        scan->at++;
    }
    if (scan->failure || scan->at == scan->end) {
        return '\0';
    }
    return *scan->at;
}

static bool is_digit(const struct json_scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

enum json_kind json_scan_kind(struct json_scan *scan)
{
    char next = peek(scan);
    switch (next) {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
    case 'f':
        return JSON_KIND_BOOL;
    case 'n':
        return JSON_KIND_NULL;
    default:
        return next == '-' || is_digit(scan) ? JSON_KIND_NUMBER : JSON_KIND_NOTHING;
    }
}

bool json_scan_enter(struct json_scan *scan, char bracket)
{
    if (peek(scan) != bracket) {
        return fail(scan, bracket == '{' ? "an object is expected" : "an array is expected");
    }
    if (scan->nesting == JSON_SCAN_MAX_NESTING) {
        return fail(scan, "nested too deeply");
    }
    scan->at++;
    scan->nesting++;
    scan->is_first = true;
    return true;
}

/* Consumes the closing bracket and returns false, or the comma where one is due and returns true.
 */
static bool next_in(struct json_scan *scan, char closing)
{
    char next = peek(scan);
    bool is_first = scan->is_first;
    scan->is_first = false;
    if (next == closing && scan->nesting > 0) {
        scan->at++;
        scan->nesting--;
        return false;
    }
    if (is_first) {
        return next != '\0' || fail(scan, "the text ends too early");
    }
    if (next != ',') {
        return fail(scan, "a comma or a closing bracket is expected");
    }
    scan->at++;
    if (peek(scan) == closing) {
        return fail(scan, "a value is expected after the comma");
    }
    return true;
}

bool json_scan_next_element(struct json_scan *scan)
{
    return next_in(scan, ']');
}

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Four hexadecimal digits at the cursor, or -1. */
static long take_hex4(struct json_scan *scan)
{
    long value = 0;
    if (scan->end - scan->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(scan->at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    scan->at += 4;
    return value;
}

/* The character of \uXXXX, of which the cursor is behind the u; -1 where it is none. */
static long take_unicode_escape(struct json_scan *scan)
{
    long unit = take_hex4(scan);
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit == 0 ? -1 : unit; /* a NUL would end the C string early */
    }
    if (unit > 0xdbff || scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u') {
        return -1;
    }
    scan->at += 2;
    long low = take_hex4(scan);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static size_t encode_utf8(long character, char *ret_bytes)
{
    if (character < 0x80) {
        ret_bytes[0] = (char)character;
        return 1;
    }
    size_t n_bytes = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n_bytes - 1; i > 0; i--) {
        ret_bytes[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    ret_bytes[0] = (char)(leads[n_bytes] | character);
    return n_bytes;
}

/* One escape, of which the cursor is behind the backslash; how many bytes it stands for, 0: bad. */
static size_t take_escape(struct json_scan *scan, char *ret_bytes)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->end) {
        return 0;
    }
    char letter = *scan->at++;
    if (letter == 'u') {
        long character = take_unicode_escape(scan);
        return character < 0 ? 0 : encode_utf8(character, ret_bytes);
    }
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (!found) {
        return 0;
    }
    *ret_bytes = meanings[found - letters];
    return 1;
}

/* How many bytes at the cursor stand for themselves in a string. */
static size_t plain_length(const struct json_scan *scan)
{
    const unsigned char *at = (const unsigned char *)scan->at;
    const unsigned char *end = (const unsigned char *)scan->end;
    const unsigned char *first = at;
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\') {
        size_t length = *at < 0x80 ? 1 : utf8_length(at, (size_t)(end - at));
        if (length == 0) {
            break;
        }
        at += length;
    }
    return (size_t)(at - first);
}

/* A string's content into at most `size` bytes with a NUL; what does not fit is dropped. */
static bool take_string(struct json_scan *scan, char *ret_string, size_t size)
{
    size_t n_used = 0;
    if (peek(scan) != '"') {
        return fail(scan, "a string is expected");
    }
    scan->at++;
    for (;;) {
        size_t n_bytes = plain_length(scan);
        const char *bytes = scan->at;
        char escaped[4];
        scan->at += n_bytes;
        if (n_bytes == 0) {
            if (scan->at == scan->end) {
                return fail(scan, "a string does not end");
            }
            char character = *scan->at;
            if (character == '"') {
                scan->at++;
                break;
            }
            if (character != '\\') {
                return fail(scan, "a string holds a control character or bad UTF-8");
            }
            scan->at++;
            bytes = escaped;
            n_bytes = take_escape(scan, escaped);
            if (n_bytes == 0) {
                return fail(scan, "a string holds a bad escape");
            }
        }
        if (n_used + 1 < size) {
            size_t n_fitting = n_bytes < size - 1 - n_used ? n_bytes : size - 1 - n_used;
            memcpy(ret_string + n_used, bytes, n_fitting);
            n_used += n_fitting;
        }
    }
    if (size > 0) {
        ret_string[n_used] = '\0';
    }
    return true;
}

bool json_scan_next_member(struct json_scan *scan, char *ret_key, size_t size)
{
    if (!next_in(scan, '}') || !take_string(scan, ret_key, size)) {
        return false;
    }
    if (peek(scan) != ':') {
        return fail(scan, "a colon is expected");
    }
    scan->at++;
    return true;
}

bool json_scan_string(struct json_scan *scan, struct arena *arena, char **ret_string)
{
    if (peek(scan) != '"') {
        return fail(scan, "a string is expected");
    }
    /* The text of a string is never shorter than what it stands for. */
    const char *at = scan->at + 1;
    while (at < scan->end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    if (at >= scan->end) {
        return fail(scan, "a string does not end");
    }
    size_t size = (size_t)(at - scan->at);
    char *string = arena_alloc(arena, size);
    if (!string) {
        return fail(scan, "out of memory");
    }
    if (!take_string(scan, string, size)) {
        return false;
    }
    *ret_string = string;
    return true;
}

static bool take_word(struct json_scan *scan, const char *word)
{
    size_t n_bytes = strlen(word);
    if (peek(scan) == '\0' || (size_t)(scan->end - scan->at) < n_bytes ||
        memcmp(scan->at, word, n_bytes) != 0) {
        return false;
    }
    scan->at += n_bytes;
    return true;
}

bool json_scan_bool(struct json_scan *scan, bool *ret_value)
{
    bool is_true = take_word(scan, "true");
    if (!is_true && !take_word(scan, "false")) {
        return fail(scan, "true or false is expected");
    }
    *ret_value = is_true;
    return true;
}

bool json_scan_null(struct json_scan *scan)
{
    return take_word(scan, "null") || fail(scan, "null is expected");
}

static locale_t plain_locale;

static void make_plain_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The value of a checked number's text: what strtod() says where the decimal point is a dot. */
static bool number_value(const char *bytes, size_t n_bytes, double *ret_value)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char text[NUMBER_MAX_BYTES + 1];
    (void)pthread_once(&once, make_plain_locale);
    if (n_bytes > NUMBER_MAX_BYTES || plain_locale == (locale_t)0) {
        return false;
    }
    memcpy(text, bytes, n_bytes);
    text[n_bytes] = '\0';
    *ret_value = strtod_l(text, NULL, plain_locale);
    return isfinite(*ret_value);
}

/* The digits at the cursor, at least one; *ret_fits turns false when they pass 64 bits. */
static bool take_digits(struct json_scan *scan, uint64_t *value, bool *ret_fits)
{
    if (!is_digit(scan)) {
        return false;
    }
    for (; is_digit(scan); scan->at++) {
        uint64_t digit = (uint64_t)(*scan->at - '0');
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, digit, value)) {
            *ret_fits = false;
        }
    }
    return true;
}

bool json_scan_number(struct json_scan *scan, struct json_number *ret_number)
{
    char next = peek(scan);
    const char *start = scan->at;
    struct json_number number = {.is_integer = true, .is_negative = next == '-'};
    uint64_t ignored = 0;
    bool ignored_fits = true;

    scan->at += number.is_negative;
    bool is_zero_first = is_digit(scan) && *scan->at == '0';
    const char *digits = scan->at;
    if (next == '\0' || !take_digits(scan, &number.magnitude, &number.is_integer) ||
        (is_zero_first && scan->at - digits > 1)) {
        return fail(scan, "a number is expected");
    }
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        number.is_integer = false;
        if (!take_digits(scan, &ignored, &ignored_fits)) {
            return fail(scan, "a digit is expected after the point");
        }
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        number.is_integer = false;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-')) {
            scan->at++;
        }
        if (!take_digits(scan, &ignored, &ignored_fits)) {
            return fail(scan, "a digit is expected in the exponent");
        }
    }
    if (number.is_integer) {
        number.real = number.is_negative ? -(double)number.magnitude : (double)number.magnitude;
    } else if (!number_value(start, (size_t)(scan->at - start), &number.real)) {
        return fail(scan, "a number is out of range");
    }
    *ret_number = number;
    return true;
}

/* Passes over one value without descending: an opening bracket counts as the whole. */
static bool skip_scalar(struct json_scan *scan, enum json_kind kind)
{
    struct json_number number;
    bool value;
    switch (kind) {
    case JSON_KIND_STRING:
        return take_string(scan, NULL, 0);
    case JSON_KIND_NUMBER:
        return json_scan_number(scan, &number);
    case JSON_KIND_BOOL:
        return json_scan_bool(scan, &value);
    case JSON_KIND_NULL:
        return json_scan_null(scan);
    default:
        return fail(scan, "a value is expected");
    }
}

bool json_scan_skip(struct json_scan *scan, const char **ret_text, size_t *ret_n_bytes)
{
    /* One bit per level: is it an object? Depth costs no call stack. */
    unsigned char is_object[JSON_SCAN_MAX_NESTING / 8 + 1];
    unsigned outer = scan->nesting;
    (void)peek(scan);
    const char *start = scan->at;

    do {
        enum json_kind kind = json_scan_kind(scan);
        if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
            if (!json_scan_enter(scan, kind == JSON_KIND_OBJECT ? '{' : '[')) {
                return false;
            }
            unsigned char bit = (unsigned char)(1u << (scan->nesting % 8));
            unsigned char *byte = &is_object[scan->nesting / 8];
            *byte = (unsigned char)(kind == JSON_KIND_OBJECT ? *byte | bit : *byte & ~bit);
        } else if (!skip_scalar(scan, kind)) {
            return false;
        }
        bool has_next = false;
        while (scan->nesting > outer && !has_next && !scan->failure) {
            bool in_object = is_object[scan->nesting / 8] >> (scan->nesting % 8) & 1;
            has_next =
                in_object ? json_scan_next_member(scan, NULL, 0) : json_scan_next_element(scan);
        }
    } while (scan->nesting > outer && !scan->failure);

    if (scan->failure) {
        return false;
    }
    scan->is_first = false;
    if (ret_text) {
        *ret_text = start;
        *ret_n_bytes = (size_t)(scan->at - start);
    }
    return true;
}

bool json_scan_end(struct json_scan *scan)
{
    return !scan->failure && peek(scan) == '\0' && scan->at == scan->end;
}
