/* SPDX-License-Identifier: MIT */
#include "cli/label.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ELLIPSIS "…"
#define LABEL_MAX_BYTES (64u * 1024)

/* Length of the well-formed character at `at` (RFC 3629), or 0. */
static size_t take_character(const unsigned char *at, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n_bytes = at[0] < 0x80             ? 1
                     : (at[0] & 0xe0) == 0xc0 ? 2
                     : (at[0] & 0xf0) == 0xe0 ? 3
                     : (at[0] & 0xf8) == 0xf0 ? 4
                                              : 0;
    if (n_bytes < 2) {
        *ret_character = at[0];
        return n_bytes;
    }
    uint32_t character = at[0] & (0x7fu >> n_bytes);
    for (size_t i = 1; i < n_bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0; /* a NUL ends up here too */
        }
        character = character << 6 | (at[i] & 0x3fu);
    }
    bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < least[n_bytes] || character > 0x10ffff || is_surrogate) {
        return 0;
    }
    *ret_character = character;
    return n_bytes;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

/* Marks that hide or reorder what stands around them, and line separators. */
static bool is_deceptive(uint32_t character)
{
    return (character >= 0x200b && character <= 0x200f) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x2069) || character == 0xfeff;
}

void label_append(struct text *text, const char *name)
{
    if (!name) {
        text_append_char(text, '?');
        return;
    }
    const unsigned char *at = (const unsigned char *)name;
    while (*at != '\0') {
        uint32_t character = 0;
        size_t n_bytes = take_character(at, &character);
        if (n_bytes == 0 || is_control(character)) {
            for (size_t i = 0; i < (n_bytes == 0 ? 1 : n_bytes); i++) {
                text_printf(text, "\\x%02x", at[i]);
            }
        } else if (is_deceptive(character)) {
            text_printf(text, "\\u%04x", character);
        } else {
            text_append_bytes(text, at, n_bytes);
        }
        at += n_bytes == 0 ? 1 : n_bytes;
    }
}

size_t label_width(const char *text)
{
    size_t width = 0;
    for (const char *at = text; *at != '\0'; at++) {
        width += ((unsigned char)*at & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

/* Where the n-th character begins. */
static const char *skip_characters(const char *text, size_t n_characters)
{
    while (*text != '\0') {
        if (((unsigned char)*text & 0xc0) != 0x80 && n_characters-- == 0) {
            break;
        }
        text++;
    }
    return text;
}

void label_append_shortened(struct text *text, const char *name, size_t width)
{
    _cleanup_(text_releasep) struct text visible;
    text_init(&visible, LABEL_MAX_BYTES);
    label_append(&visible, name);
    size_t whole = label_width(visible.data);
    if (whole <= width) {
        text_append(text, visible.data);
        return;
    }
    if (width == 0) {
        return;
    }
    /* A little more of the end: that is where functions of one family differ. */
    size_t n_head = (width - 1) / 2;
    size_t n_tail = width - 1 - n_head;
    text_append_bytes(text, visible.data,
                      (size_t)(skip_characters(visible.data, n_head) - visible.data));
    text_append(text, ELLIPSIS);
    text_append(text, skip_characters(visible.data, whole - n_tail));
}
