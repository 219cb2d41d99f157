/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * truth - where a target program says what it really did
 *
 * Owner:   truth_open() and truth_close() by main().
 * Threads: one.
 */

#include <stdint.h>
#include <stdio.h>

/* The file at `path`, or stdout when it is NULL. Ends the program when it cannot be opened. */
FILE *truth_open(const char *path);

/* Ends the line and closes. */
void truth_close(FILE *truth);

/* A decimal number, fractions allowed; ends the program with status 2 on anything else. */
double option_number(const char *text, const char *option);

/* The same, whole and not negative. */
uint64_t option_count(const char *text, const char *option);

/* Prints how to use the program and ends it with status 2. */
_Noreturn void option_usage(const char *usage);
