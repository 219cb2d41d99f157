/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kept_text - texts of a program that outlive the call that told them
 *
 * Each is kept once and for as long as the process lives, so that its address
 * can be a handle.
 *
 * Owner:   the process.
 * Threads: any; no lock.
 * Limits:  65 536 texts of KEPT_TEXT_BYTES - 1 bytes; longer ones are cut.
 * Tests:   kept_text_test.c
 */

#include <stddef.h>
#include <wchar.h>

#define KEPT_TEXT_BYTES 256 /* as long as a name of a span can be, and its end */

/* NULL where there is no room any more. */
const char *kept_text(const char *text);

/* UTF-8 of a wide text, cut at a whole character; what is no character is a "?". */
void kept_text_narrow(const wchar_t *wide, char ret_text[static KEPT_TEXT_BYTES]);
