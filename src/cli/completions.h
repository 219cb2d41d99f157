/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * completions - scripts that teach a shell the command line
 *
 * Made from the tables, printed by `stax --completions SHELL`.
 *
 * Owner:   appends to the caller's text.
 * Threads: any.
 * Tests:   completions_test.c
 */

#include <stddef.h>

#include "base/text.h"
#include "cli/command.h"

/* 0, or -EINVAL when `shell` is not bash, zsh or fish. */
int completions_append(const char *shell, const struct command *const *commands, size_t n_commands,
                       struct text *text);
