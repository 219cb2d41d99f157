/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * error - what went wrong, in words that a person can act on
 *
 * Filled at the place that knows why (capture/explain, the RPC handlers, the
 * CLI), carried unchanged to whoever shows it. Fixed size: reporting that
 * memory ran out needs no memory.
 *
 * Shape:   `code` is stable and is the RPC's data.code ("no_active_run");
 *          `message` is one sentence without a full stop; `hint` names the
 *          next step and may be empty.
 * Owner:   the caller's memory.
 * Threads: one at a time.
 */

#include <stdbool.h>

#define ERROR_CODE_BYTES 40
#define ERROR_TEXT_BYTES 400

struct error {
    char code[ERROR_CODE_BYTES];
    char message[ERROR_TEXT_BYTES];
    char hint[ERROR_TEXT_BYTES];
};

/* Sets code and message and empties the hint; `error` may be NULL. Text that is too long is cut. */
void error_set(struct error *error, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the hint; `error` may be NULL. */
void error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets code "internal" and the text of a negative errno after `doing` ("opening /proc/1/maps"). */
void error_set_errno(struct error *error, int negative_errno, const char *doing);

static inline bool error_is_set(const struct error *error)
{
    return error->code[0] != '\0';
}
