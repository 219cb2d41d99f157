/* SPDX-License-Identifier: MIT */
#include "images/proc_maps.h"

#include <stdint.h>
#include <string.h>

/* Digits of a number in the text; false when there is none or it overflows. */
static bool take_number(const char **inout_at, unsigned int base, uint64_t *ret_value)
{
    const char *at = *inout_at;
    uint64_t value = 0;
    size_t n_digits = 0;
    for (;; at++, n_digits++) {
        unsigned int digit;
        if (*at >= '0' && *at <= '9') {
            digit = (unsigned int)(*at - '0');
        } else if (base == 16 && *at >= 'a' && *at <= 'f') {
            digit = (unsigned int)(*at - 'a') + 10;
        } else {
            break;
        }
        if (value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    if (n_digits == 0) {
        return false;
    }
    *inout_at = at;
    *ret_value = value;
    return true;
}

static bool take_char(const char **inout_at, char wanted)
{
    if (**inout_at != wanted) {
        return false;
    }
    (*inout_at)++;
    return true;
}

static bool take_flag(const char **inout_at, char wanted, bool *ret_is_set)
{
    char found = **inout_at;
    if (found != wanted && found != '-') {
        return false;
    }
    *ret_is_set = found == wanted;
    (*inout_at)++;
    return true;
}

static bool take_range(const char **inout_at, struct event_image *image)
{
    return take_number(inout_at, 16, &image->start_ip) && take_char(inout_at, '-') &&
           take_number(inout_at, 16, &image->end_ip) && image->end_ip > image->start_ip &&
           take_char(inout_at, ' ');
}

static bool take_permissions(const char **inout_at, struct proc_maps_line *line)
{
    if (!take_flag(inout_at, 'r', &line->is_readable) ||
        !take_flag(inout_at, 'w', &line->is_writable) ||
        !take_flag(inout_at, 'x', &line->is_executable)) {
        return false;
    }
    return (take_char(inout_at, 'p') || take_char(inout_at, 's')) && take_char(inout_at, ' ');
}

static bool take_file(const char **inout_at, struct event_image *image)
{
    uint64_t major, minor;
    if (!take_number(inout_at, 16, &image->file_offset) || !take_char(inout_at, ' ') ||
        !take_number(inout_at, 16, &major) || !take_char(inout_at, ':') ||
        !take_number(inout_at, 16, &minor) || !take_char(inout_at, ' ') ||
        !take_number(inout_at, 10, &image->inode) || major > UINT32_MAX || minor > UINT32_MAX) {
        return false;
    }
    image->device_major = (uint32_t)major;
    image->device_minor = (uint32_t)minor;
    return **inout_at == ' ' || **inout_at == '\0';
}

static bool parse_line(const char *text, struct proc_maps_line *ret_line)
{
    struct proc_maps_line line = {.image.change = EVENT_IMAGE_MAPPED};
    if (!take_range(&text, &line.image) || !take_permissions(&text, &line) ||
        !take_file(&text, &line.image)) {
        return false;
    }
    /* The path is padded to a column; it may itself contain spaces, but never begins with one. */
    text += strspn(text, " ");
    /* Memory without a name gets the one under which the kernel's own map events know it. */
    line.image.path = *text != '\0' ? text : "//anon";
    *ret_line = line;
    return true;
}

bool proc_maps_next(char **inout_text, struct proc_maps_line *ret_line)
{
    while (**inout_text != '\0') {
        char *line = *inout_text;
        char *newline = strchr(line, '\n');
        if (newline) {
            *newline = '\0';
            *inout_text = newline + 1;
        } else {
            *inout_text = line + strlen(line);
        }
        if (parse_line(line, ret_line)) {
            return true;
        }
    }
    return false;
}
