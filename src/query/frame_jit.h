/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * frame_jit - the function behind a frame in code that a program made itself
 *
 * Owner:   symbols belong to the jit_code. Threads: any.
 * Tests:   frame_jit_test.c
 */

#include <stdbool.h>

#include "aggregate/snapshot.h"
#include "jit/jit_code.h"

/*
 * What stood at the frame when it was seen: false where that is not known. It
 * can become another answer until jit_code_is_settled(). `code` may be NULL.
 */
bool frame_jit_find(struct jit_code *code, const struct snapshot *snapshot, struct frame frame,
                    struct jit_place *ret_place);

/* The same as the one entry of a chain, with its line where the program told lines. */
bool frame_jit_entry(struct jit_code *code, const struct snapshot *snapshot, struct frame frame,
                     struct symbol_chain_entry *ret_entry);
