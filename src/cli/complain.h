/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * complain - what stax says on stderr when something is wrong
 *
 * Owner:   none.
 * Threads: any.
 */

#include "base/error.h"
#include "cli/command.h"

/* "error: MESSAGE" and, indented, the hint. */
void complain_error(const struct error *error);

/* "error: …" made from a format. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "error: MESSAGE" and "Try 'stax NAME --help'"; `command` NULL: of stax itself. Returns
 * EXIT_CODE_USAGE. */
int complain_usage(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
