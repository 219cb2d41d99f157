/* SPDX-License-Identifier: MIT */

/*
 * fuzz_perf_map - a map's text through the parser, whole and in two pieces
 *
 * In two pieces it must give the lines that it gives as a whole.
 */

#include <stdint.h>
#include <stdlib.h>

#include "symbols/perf_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct sum {
    uint64_t n_lines, value;
};

static void read_lines(const char *text, size_t size, bool has_end, size_t *inout_used,
                       struct sum *sum)
{
    struct perf_map_line line;
    size_t before = *inout_used;
    while (perf_map_next(text, size, has_end, inout_used, &line)) {
        require(*inout_used > before && *inout_used <= size);
        require(line.n_name_bytes > 0 && line.name >= text &&
                line.name + line.n_name_bytes <= text + *inout_used);
        require(line.start_ip + line.n_bytes >= line.start_ip);
        sum->n_lines++;
        sum->value = sum->value * 31 + line.start_ip + line.n_bytes;
        for (size_t i = 0; i < line.n_name_bytes; i++) {
            sum->value = sum->value * 31 + (uint8_t)line.name[i];
        }
        before = *inout_used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct sum whole = {0}, pieces = {0};
    size_t used = 0;
    read_lines(text, size, true, &used, &whole);
    require(used == size);
    used = 0;
    read_lines(text, size / 2, false, &used, &pieces);
    read_lines(text, size, true, &used, &pieces);
    require(used == size);
    require(whole.n_lines == pieces.n_lines && whole.value == pieces.value);
    return 0;
}
