/* SPDX-License-Identifier: MIT */

#include "jsonrpc/json_read.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

unsigned json_nesting(const char *bytes, size_t n_bytes)
{
    unsigned depth = 0;
    unsigned deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < n_bytes; i++) {
        char character = bytes[i];
        if (in_string) {
            if (character == '\\') {
                i++;
            } else if (character == '"') {
                in_string = false;
            }
        } else if (character == '"') {
            in_string = true;
        } else if (character == '{' || character == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((character == '}' || character == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

int json_read(const char *bytes, size_t n_bytes, const struct json_limits *limits,
              struct json_t **ret_tree, struct error *reterr_error)
{
    if (n_bytes > limits->max_bytes) {
        error_set(reterr_error, "parse_error", "the document is longer than %zu bytes",
                  limits->max_bytes);
        return -EMSGSIZE;
    }
    if (json_nesting(bytes, n_bytes) > limits->max_nesting) {
        error_set(reterr_error, "parse_error", "the document is nested deeper than %u",
                  limits->max_nesting);
        return -E2BIG;
    }

    /* JSON has no NUL; the parser would pass over one that follows a number. */
    const char *nul = memchr(bytes, '\0', n_bytes);
    if (nul) {
        error_set(reterr_error, "parse_error", "not JSON at byte %zu: a NUL",
                  (size_t)(nul - bytes));
        return -EBADMSG;
    }

    json_error_t wrong;
    json_t *tree = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
    if (!tree) {
        if (json_error_code(&wrong) == json_error_out_of_memory) {
            error_set(reterr_error, "internal", "out of memory");
            return -ENOMEM;
        }
        error_set(reterr_error, "parse_error", "not JSON at byte %d: %s", wrong.position,
                  wrong.text);
        return -EBADMSG;
    }
    *ret_tree = tree;
    return 0;
}

struct json_t *json_tree_free(struct json_t *tree)
{
    json_decref(tree);
    return NULL;
}
