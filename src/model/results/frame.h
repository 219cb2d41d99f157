/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * frame - one function on a stack that a result shows
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct frame_result {
    const char *name;  /* "main", "libc.so.6+0x28f00" */
    const char *image; /* base name of the file, "[kernel]", "[vdso]" */
    enum frame_kind kind;
    bool inlined;
    const char *address; /* "0x…", where the function starts in its image; NULL where it was inlined
                          */
    const char *file;    /* of the source; NULL: not known */
    uint32_t line;       /* 0: not known; of a caller that of its call */
};
