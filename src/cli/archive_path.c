/* SPDX-License-Identifier: MIT */
#include "cli/archive_path.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define PATH_TEXT_BYTES (4u * PATH_MAX)
#define NAME_BYTES 100u

char *archive_path_absolute(struct arena *arena, const char *path)
{
    char directory[PATH_MAX];
    if (path[0] == '/') {
        return arena_strdup(arena, path);
    }
    if (!getcwd(directory, sizeof(directory))) {
        return NULL;
    }
    return arena_printf(arena, "%s/%s", directory, path);
}

/* The first word of the command without its directories, and without what no file name likes. */
static void append_name(struct text *text, const char *command)
{
    size_t n_bytes = strcspn(command, " ");
    const char *name = command;
    for (size_t i = 0; i < n_bytes; i++) {
        name = command[i] == '/' ? command + i + 1 : name;
    }
    n_bytes -= (size_t)(name - command);
    n_bytes = n_bytes < NAME_BYTES ? n_bytes : NAME_BYTES;
    for (size_t i = 0; i < n_bytes; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f) {
            text_append_char(text, '_');
        } else {
            text_append_char(text, name[i]);
        }
    }
    if (n_bytes == 0) {
        text_append(text, "unnamed");
    }
}

static void append_time(struct text *text, uint64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm parts;
    char formatted[32];
    if (localtime_r(&seconds, &parts) &&
        strftime(formatted, sizeof(formatted), "%Y-%m-%dT%H.%M.%S", &parts) > 0) {
        text_append(text, formatted);
    }
}

char *archive_path_expand(struct arena *arena, const char *pattern,
                          const struct archive_path_facts *facts)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PATH_TEXT_BYTES);
    for (const char *at = pattern; *at; at++) {
        if (*at != '%') {
            text_append_char(&text, *at);
            continue;
        }
        switch (*++at) {
        case 'p':
            text_printf(&text, "%" PRId64, facts->pid);
            break;
        case 't':
            append_time(&text, facts->started_unix_ns);
            break;
        case 'n':
            append_name(&text, facts->command ? facts->command : "");
            break;
        case '%':
            text_append_char(&text, '%');
            break;
        default:
            errno = EINVAL;
            return NULL;
        }
    }
    errno = ENOMEM;
    return text.is_cut ? NULL : arena_strdup(arena, text.data);
}
