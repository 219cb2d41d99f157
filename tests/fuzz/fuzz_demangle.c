/* SPDX-License-Identifier: MIT */
/*
 * fuzz_demangle - symbol names that somebody made up
 *
 * The first byte chooses a prefix, so that few inputs are no mangled name.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const char *const prefixes[] = {"", "_Z", "_ZN", "_R", "_D"};
    if (n_bytes == 0) {
        return 0;
    }
    const char *prefix = prefixes[data[0] % (sizeof(prefixes) / sizeof(prefixes[0]))];
    size_t prefix_bytes = strlen(prefix);
    char *mangled = malloc(prefix_bytes + n_bytes);
    if (!mangled) {
        return 0;
    }
    memcpy(mangled, prefix, prefix_bytes);
    memcpy(mangled + prefix_bytes, data + 1, n_bytes - 1);
    mangled[prefix_bytes + n_bytes - 1] = '\0';
    char *name = demangle(mangled);
    if (name && strlen(name) >= DEMANGLE_MAX_BYTES) {
        abort();
    }
    free(name);
    free(mangled);
    return 0;
}
