/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * function_choice - which function a person means
 *
 * What is typed is a name or an address. In this order: the address lies in
 * the function; the name is the same; the same whatever the case; the same up
 * to its parameters; part of the name whatever the case. Of the functions that
 * fit equally well the heaviest is taken, and a note says what was taken and
 * what else there was.
 *
 * Owner:   texts lie in the arena; candidates are borrowed.
 * Threads: any.
 * Tests:   function_choice_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "symbols/symbolizer.h"

struct function_candidate {
    const struct symbol *symbol;
    bool is_inlined;    /* has no address of its own */
    uint64_t weight_ns; /* self */
    uint64_t total_ns;  /* decides where that is equal */
};

struct function_choice {
    size_t index;     /* of the candidate */
    const char *note; /* what was chosen and why; NULL where the name left no doubt */
};

/* Is this an address ("0x…")? Then its value. */
bool function_choice_is_address(const char *wanted, uint64_t *ret_address);

/*
 * 0, -ENOMEM, or -ENOENT with code "no_such_function" and, as the hint, the
 * heaviest functions there are.
 */
int function_choice_make(const char *wanted, const struct function_candidate *candidates,
                         size_t n_candidates, struct arena *arena,
                         struct function_choice *ret_choice, struct error *reterr_error);

#define FUNCTION_CHOICE_PART 1u

/* How well what was typed fits the function: 0 not at all, FUNCTION_CHOICE_PART as a part of its
 * name only, more is better. */
unsigned int function_choice_fit(const char *wanted, const struct function_candidate *candidate);
