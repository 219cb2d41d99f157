/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_root - does a process see other files than we do?
 *
 * Paths that come from a process in a container are of its files. They can be
 * had below /proc/PID/root while it lives.
 *
 * Owner:   values.
 * Threads: any.
 * Tests:   target_root_test.c
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Has it another root, or other mounts below the same one? false also for a
 * process that is gone, or not ours to look into.
 */
bool target_root_is_other(int64_t pid);
