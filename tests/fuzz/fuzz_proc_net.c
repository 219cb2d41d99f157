/* SPDX-License-Identifier: MIT */
/*
 * fuzz_proc_net - tables of sockets with paths that programs chose
 *
 * Whatever the text, what is found is no longer than the text can make it. The first two bytes are
 * the inode that is looked for.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/object_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    char *text = n_bytes >= 2 ? malloc(n_bytes - 1) : NULL;
    if (!text) {
        return 0;
    }
    memcpy(text, data + 2, n_bytes - 2);
    text[n_bytes - 2] = '\0';
    uint64_t inode = (uint64_t)(data[0] - '0') * 10 + data[1] - '0';
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const char *inet = object_names_find_inet(text, inode, &arena);
    const char *path = object_names_find_unix(text, inode, &arena);
    if ((inet && strlen(inet) > 80) || (path && strlen(path) > n_bytes)) {
        abort();
    }
    free(text);
    return 0;
}
