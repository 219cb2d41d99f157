/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * hello - a connection to the server, and what is said on it
 *
 * One line each way: target.hello with the memory's descriptor beside it, and
 * whether the server takes it. Then the connection says nothing but, by its
 * end, that the other side is gone.
 *
 * Owner:   the descriptor belongs to whoever got it.
 * Threads: any.
 * Limits:  an answer is TARGET_ANSWER_BYTES long at most and takes TARGET_ANSWER_MS.
 * Source:  docs/PROTOCOL.target-ring.md
 * Tests:   hello_test.c
 */

#include <stdbool.h>

#define TARGET_ANSWER_BYTES 4096
#define TARGET_ANSWER_MS 5000

/* A socket, and nobody at its other end. Returns 0 or a negative errno. */
int target_hello_open(int *ret_fd);

/* Returns 0, -EPERM where the server is another user's, or why there is none. */
int target_hello_connect(int fd, const char *path);

/* Returns 0 where the server takes the memory, -EPROTO where it says no, or why there is no answer.
 */
int target_hello_say(int fd, int memory_fd);

/* Whether a line is the answer that says so. */
bool target_hello_is_yes(const char *line);
