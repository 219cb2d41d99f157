/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * demangle - C++ (Itanium), Rust (legacy and v0) and D names for people
 *
 * libiberty through its callback interface, left by longjmp at a cap: a
 * hostile 236-byte name can otherwise expand to hundreds of megabytes.
 *
 * Owner:   the result is the caller's (free()).
 * Threads: any.
 * Limits:  DEMANGLE_MAX_BYTES of output, then the mangled name is kept.
 * Tests:   demangle_test.c
 */

#define DEMANGLE_MAX_BYTES (16u * 1024)

/* The readable form, or NULL when the name is not mangled (or cannot be read). */
char *demangle(const char *mangled);
