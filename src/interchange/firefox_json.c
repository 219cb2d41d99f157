/* SPDX-License-Identifier: MIT */
#include "interchange/firefox_json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "interchange/import_reader.h"

/* Members of the profile and of its threads. */
static const char *const unread[] = {
    "markers",      "markerSchema",  "jsAllocations",       "nativeAllocations",
    "jsTracer",     "counters",      "profilerOverhead",    "pages",
    "profilingLog", "visualMetrics", "profileGatheringLog",
};

static const char nothing[4] = {'n', 'u', 'l', 'l'};

static bool is_unread(const char *key, size_t n_bytes)
{
    for (size_t i = 0; i < sizeof(unread) / sizeof(unread[0]); i++) {
        if (strlen(unread[i]) == n_bytes && memcmp(unread[i], key, n_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* Behind the text that begins at `at`, or the end. */
static size_t skip_text(const char *text, size_t n_bytes, size_t at)
{
    for (at++; at < n_bytes && text[at] != '"'; at++) {
        at += text[at] == '\\';
    }
    return at < n_bytes ? at + 1 : n_bytes;
}

static size_t skip_spaces(const char *text, size_t n_bytes, size_t at)
{
    while (at < n_bytes &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) {
        at++;
    }
    return at;
}

/* Behind the array or object that begins at `at`; `at` itself where it does not end. */
static size_t skip_nest(const char *text, size_t n_bytes, size_t at)
{
    size_t start = at, depth = 0;
    while (at < n_bytes) {
        if (text[at] == '"') {
            at = skip_text(text, n_bytes, at);
            continue;
        }
        depth += text[at] == '{' || text[at] == '[';
        depth -= text[at] == '}' || text[at] == ']';
        at++;
        if (depth == 0) {
            return at;
        }
    }
    return start;
}

struct firefox_json_size firefox_json_cut(char *text, size_t n_bytes)
{
    struct firefox_json_size size = {.n_bytes = n_bytes};
    size_t at = 0;
    while (at < n_bytes) {
        if (text[at] != '"') {
            size.n_nests += text[at] == '{' || text[at] == '[';
            at++;
            continue;
        }
        size_t end = skip_text(text, n_bytes, at);
        bool is_whole = end > at + 1 && text[end - 1] == '"';
        bool is_cut = is_whole && is_unread(text + at + 1, end - at - 2);
        size_t value = skip_spaces(text, n_bytes, end);
        is_cut = is_cut && value < n_bytes && text[value] == ':';
        value = is_cut ? skip_spaces(text, n_bytes, value + 1) : value;
        at = end;
        if (is_cut && value < n_bytes && (text[value] == '{' || text[value] == '[')) {
            at = skip_nest(text, n_bytes, value);
            if (at - value >= 4) {
                memcpy(text + value, nothing, sizeof(nothing));
                memset(text + value + 4, ' ', at - value - 4);
                size.n_bytes -= at - value;
            }
        }
    }
    return size;
}

int firefox_json_load(const char *path, json_t **ret_document, struct error *reterr_error)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t n_bytes;
    bool is_damaged;
    int r = import_read_whole(path, &bytes, &n_bytes, &is_damaged, reterr_error);
    if (r < 0) {
        return r;
    }
    struct firefox_json_size size = firefox_json_cut((char *)bytes, n_bytes);
    if (size.n_bytes > FIREFOX_JSON_MAX_BYTES || size.n_nests > FIREFOX_JSON_MAX_NESTS) {
        error_set(reterr_error, "limit",
                  "%s has more than the %u MiB or %u arrays and objects of JSON that are read, "
                  "without its markers",
                  path, FIREFOX_JSON_MAX_BYTES >> 20, FIREFOX_JSON_MAX_NESTS);
        return -EFBIG;
    }
    json_error_t wrong;
    *ret_document = json_loadb((const char *)bytes, n_bytes, 0, &wrong);
    if (!*ret_document) {
        error_set(reterr_error, "archive_invalid", "%s cannot be read: %s%s in line %d", path,
                  is_damaged ? "the compressed file is cut off or damaged, " : "", wrong.text,
                  wrong.line);
        return -EBADMSG;
    }
    return 0;
}
