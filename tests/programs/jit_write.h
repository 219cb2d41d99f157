/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_write - tells profilers of machine code, as a compiler at run time does
 *
 * Owner:   the caller's struct; jit_write_close(). Threads: one.
 * Source:  jitdump-specification.txt and jit-interface.txt of Linux.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct jit_writer {
    FILE *dump; /* NULL: no jitdump */
    FILE *map;  /* NULL: no perf map */
    void *marker;
    char dump_path[512], map_path[64];
};

/* One piece of code and what may be told of it besides its name. */
struct jit_told {
    const char *name;
    const void *code;
    size_t n_bytes;
    uint64_t index;
    const uint8_t *eh_frame; /* NULL: no unwinding record */
    size_t n_eh_frame_bytes;
    /* Offsets in the code where a line begins; file NULL: no debug record. */
    const char *file;
    const uint32_t *line_offsets, *lines;
    size_t n_lines;
};

/*
 * Makes `folder`/jit-PID.dump (NULL: none) and /tmp/perf-PID.map. is_buffered:
 * written as the buffer fills, else at once. has_marker: the dump is mapped
 * executable, as profilers expect.
 */
int jit_write_open(struct jit_writer *writer, const char *folder, bool has_map, bool is_buffered,
                   bool has_marker);
void jit_write_code(struct jit_writer *writer, const struct jit_told *told);
void jit_write_move(struct jit_writer *writer, const struct jit_told *told, const void *new_code);
void jit_write_close(struct jit_writer *writer);
