/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_name - the names of functions as the rules know them
 *
 * A kernel function loses what the compiler appended (".constprop.0"). A user function loses
 * return type, arguments, template arguments, hashes and closures, and its components are joined
 * by "::" in every language; a C symbol also loses the decoration of the C library, so that
 * "__GI___pthread_mutex_lock" and "pthread_mutex_lock@GLIBC_2.2.5" are one.
 *
 * Owner:   the caller's struct holds the text.
 * Threads: pure functions.
 * Limits:  WAIT_NAME_KEY_BYTES for what remains; a longer one is unknown.
 * Tests:   wait_name_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#define WAIT_NAME_KEY_BYTES 192

struct wait_name {
    char text[WAIT_NAME_KEY_BYTES];
    size_t length_bytes;
};

/* All three: false where the name is unknown (NULL, "", "0", an address, "image+0x…") or too
 * long. */
bool wait_name_of_kernel(const char *name, struct wait_name *ret_name);
bool wait_name_of_user(const char *name, struct wait_name *ret_name);

/* "read" of the kernel name "__x64_sys_read"; false where it is not the entry of a system call. */
bool wait_name_of_call(const struct wait_name *kernel, struct wait_name *ret_call);

/* "read" of the user name "libc_read_nocancel"; false where it has several components. */
bool wait_name_of_wrapper(const struct wait_name *user, struct wait_name *ret_call);

/* The last 'n_components' of 'name', which has at least two; NULL where it has fewer or no more
 * than those. */
const char *wait_name_tail(const struct wait_name *name, size_t n_components);
