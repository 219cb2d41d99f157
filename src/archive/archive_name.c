/* SPDX-License-Identifier: MIT */
#include "archive/archive_name.h"

#include <stddef.h>

#include "archive/archive_file.h"

static bool is_allowed(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
           byte == '-' || byte == '.';
}

bool archive_name_is_valid(const char *name)
{
    char before = '/';
    size_t n_parts = 1;
    size_t n_bytes = 0;
    for (; name[n_bytes] != '\0'; n_bytes++) {
        char byte = name[n_bytes];
        bool begins_part = before == '/';
        if (n_bytes == ARCHIVE_NAME_BYTES || (begins_part && (byte == '/' || byte == '.')) ||
            (byte != '/' && !is_allowed(byte))) {
            return false;
        }
        n_parts += byte == '/';
        before = byte;
    }
    return n_bytes > 0 && before != '/' && n_parts <= ARCHIVE_NAME_PARTS;
}
