/* SPDX-License-Identifier: MIT */

/*
 * Parameters and results of strangers: each type is decoded from the same
 * bytes by both readers, which must agree, and what was decoded must survive
 * encoding and decoding again.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jsonrpc/json_read.h"
#include "jsonrpc/json_scan.h"
#include "rpc/fields.h"
#include "rpc/method.h"

#define ARENA_MAX_BYTES (16u << 20)
#define LONG_NUMBER_BYTES 400 /* json_scan takes no longer ones */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void encode(const struct rpc_type *type, const void *object, struct text *text)
{
    text_init(text, SIZE_MAX);
    rpc_encode(type, object, text);
}

static int decode_text(const struct rpc_type *type, const char *bytes, size_t n_bytes,
                       struct arena *arena, void *object)
{
    struct error error = {.code = ""};
    struct json_scan scan = json_scan_of(bytes, n_bytes);
    int r = rpc_decode_text(type, &scan, arena, object, &error);
    require((r == 0) != error_is_set(&error));
    return r;
}

static void check_type(const struct rpc_type *type, size_t object_bytes, const char *bytes,
                       size_t n_bytes)
{
    static const struct json_limits limits = {.max_bytes = SIZE_MAX, .max_nesting = 2000};
    struct arena arena;
    arena_init(&arena, ARENA_MAX_BYTES);
    void *from_text = arena_alloc(&arena, object_bytes);
    void *from_tree = arena_alloc(&arena, object_bytes);
    void *again = arena_alloc(&arena, object_bytes);
    int r_text = decode_text(type, bytes, n_bytes, &arena, from_text);
    struct json_t *tree = NULL;
    (void)json_read(bytes, n_bytes, &limits, &tree, NULL);

    if (r_text == 0) {
        struct text first;
        struct text second;
        encode(type, from_text, &first);
        require(decode_text(type, first.data, first.length_bytes, &arena, again) == 0);
        encode(type, again, &second);
        require(strcmp(first.data, second.data) == 0);
        text_release(&second);
        if (tree) {
            struct error error;
            require(rpc_decode(type, tree, &arena, from_tree, &error) == 0);
        }
        text_release(&first);
    } else if (tree && n_bytes <= LONG_NUMBER_BYTES) {
        struct error error;
        require(rpc_decode(type, tree, &arena, from_tree, &error) < 0);
    }
    (void)json_tree_free(tree);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    for (size_t i = 0; i < rpc_n_methods; i++) {
        const struct rpc_method *method = &rpc_methods[i];
        if (method->params) {
            check_type(method->params, method->params_bytes, bytes, size);
        }
        if (method->result) {
            check_type(method->result, method->result_bytes, bytes, size);
        }
    }
    return 0;
}
