/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kept_code - the code of an image that came with a run, instead of a file
 *
 * Where an archive was opened nobody may look at files, at memory or at the
 * kernel of this machine: they are others. code_reader answers from here then,
 * with the words that it had where the archive was written.
 *
 * Shape:   pieces by address, which do not overlap unless nothing could be read
 *          of them; bounds of code that has no name.
 * Owner:   kept_code_new()/_free(); copies of all bytes and texts.
 * Threads: one fills; after kept_code_finish() any may ask.
 * Limits:  KEPT_CODE_MAX_BYTES of code, KEPT_CODE_MAX_PIECES.
 * Tests:   kept_code_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "disasm/disasm.h"
#include "images/elf_file.h"

#define KEPT_CODE_MAX_BYTES ((size_t)256 << 20)
#define KEPT_CODE_MAX_PIECES (1u << 20)

struct kept_code;

struct kept_code_facts {
    enum disasm_machine machine;
    int64_t modified_s;       /* of the file; 0: there was none */
    bool has_file;            /* the layout is that of a file; else offsets are addresses */
    struct elf_layout layout; /* how they become addresses, and what of it is code */
    const char *open_failure; /* why the code could not be read; NULL: it could */
};

struct kept_piece {
    int64_t pid; /* in whose memory it stood; 0: it is the image's own */
    uint64_t start_addr, end_addr;
    size_t n_bytes; /* from start_addr on; 0: nothing could be read, and why: */
    const uint8_t *bytes;
    const char *origin;         /* as code_reader_origin() */
    const char *failure, *hint; /* NULL: none */
};

struct kept_bounds {
    uint64_t start_addr, end_addr;
};

int kept_code_new(const struct kept_code_facts *facts, struct kept_code **ret_kept);
struct kept_code *kept_code_free(struct kept_code *kept);
DEFINE_FREEP(kept_code);

/* 0, -ENOMEM, -ENOSPC past a limit, or -EINVAL where it ends before it begins. */
int kept_code_add_piece(struct kept_code *kept, const struct kept_piece *piece);
int kept_code_add_bounds(struct kept_code *kept, const struct kept_bounds *bounds);
void kept_code_finish(struct kept_code *kept);

const struct kept_code_facts *kept_code_facts(const struct kept_code *kept);

/* The piece that holds the address; NULL: none. */
const struct kept_piece *kept_code_find(const struct kept_code *kept, int64_t pid,
                                        uint64_t address);
bool kept_code_bounds(const struct kept_code *kept, uint64_t address, uint64_t *ret_start,
                      uint64_t *ret_end);

/* All of it, in its order. */
const struct kept_piece *kept_code_pieces(const struct kept_code *kept, size_t *ret_n_pieces);
const struct kept_bounds *kept_code_all_bounds(const struct kept_code *kept, size_t *ret_n_bounds);
