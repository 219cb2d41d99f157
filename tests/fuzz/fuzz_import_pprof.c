/* SPDX-License-Identifier: MIT */

/*
 * fuzz_import_pprof - a pprof profile, from its first byte to the last event
 *
 * Whatever comes out must be what the rooms above rely on: bounded counts,
 * strings with an end, times in order, and a reason where nothing comes out.
 */

#include "import_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    import_input(&import_pprof_ops, data, size);
    return 0;
}
