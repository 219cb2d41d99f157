/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * json_read - a JSON document from somebody else, strictly, into a tree
 *
 * For requests: small, and from anybody who can reach the socket. Size and
 * nesting are checked by one linear scan before the parser sees a byte, and
 * the parser (jansson) refuses duplicate members, invalid UTF-8, lone
 * surrogates, \u0000, numbers out of range and anything after the document.
 * Answers, which are large, go through json_scan instead.
 *
 * Owner:   the caller frees the tree with json_tree_free().
 * Threads: any.
 * Tests:   json_read_test.c; tests/fuzz/fuzz_jsonrpc.c
 */

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct json_t; /* jansson's */

struct json_limits {
    size_t max_bytes;
    unsigned max_nesting; /* arrays and objects inside each other; 1 is a flat object */
};

/*
 * Returns 0 and a tree; -EMSGSIZE past max_bytes, -E2BIG past max_nesting,
 * -EBADMSG where it is not JSON, -ENOMEM. reterr_error gets the code
 * "parse_error" and says what is wrong at which byte.
 */
int json_read(const char *bytes, size_t n_bytes, const struct json_limits *limits,
              struct json_t **ret_tree, struct error *reterr_error);

/* Accepts NULL, returns NULL. */
struct json_t *json_tree_free(struct json_t *tree);

static inline void json_tree_freep(struct json_t **tree)
{
    *tree = json_tree_free(*tree);
}

/* The deepest nesting in the bytes, whether they are JSON or not; brackets in strings do not count.
 */
unsigned json_nesting(const char *bytes, size_t n_bytes);
