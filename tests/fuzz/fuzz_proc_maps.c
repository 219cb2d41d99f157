/* SPDX-License-Identifier: MIT */
/*
 * fuzz_proc_maps - /proc/PID/maps with paths that the target chose
 *
 * Whatever the text, each line that is accepted is a range of at least one
 * byte whose path lies within the text or is a constant.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "images/proc_maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    char *text = malloc(n_bytes + 1);
    if (!text) {
        return 0;
    }
    if (n_bytes > 0) {
        memcpy(text, data, n_bytes);
    }
    text[n_bytes] = '\0';
    char *at = text;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        if (line.image.start_ip >= line.image.end_ip || strlen(line.image.path) > n_bytes + 6 ||
            at > text + n_bytes) {
            abort();
        }
    }
    free(text);
    return 0;
}
