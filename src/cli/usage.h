/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * usage - what --help prints, made from the tables
 *
 * Owner:   appends to the caller's text.
 * Threads: any.
 * Tests:   usage_test.c
 */

#include <stddef.h>

#include "base/text.h"
#include "cli/command.h"

/* `stax --help` */
void usage_append_program(const struct command *const *commands, size_t n_commands,
                          struct text *text);

/* `stax NAME --help` */
void usage_append_command(const struct command *command, struct text *text);
