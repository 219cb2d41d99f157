/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_map - a /tmp/perf-PID.map that grows, read into jit_code
 *
 * Its lines carry no time: what was there at the first look has always been
 * there, what is appended came when the file was last written.
 *
 * Owner:   jit_map_open()/_free(). Threads: one (jit_tail's).
 * Limits:  those of perf_map, jit_code and jit_budget.
 * Tests:   jit_map_test.c
 */

#include "base/cleanup.h"
#include "jit/jit_budget.h"
#include "jit/jit_code.h"

struct jit_map;

/* For process `pid`; takes_fd is closed where this fails. 0 or -ENOMEM. */
int jit_map_open(struct jit_code *code, int64_t pid, int takes_fd, struct jit_map **ret_map);
struct jit_map *jit_map_free(struct jit_map *map);
DEFINE_FREEP(jit_map);

/*
 * Reads what was appended, within the budget; has_end: nothing will follow a
 * last line without its newline. How many lines, or a negative errno: -EFBIG
 * where it is larger than a map can be.
 */
int64_t jit_map_read(struct jit_map *map, bool has_end, struct jit_budget *budget);

int64_t jit_map_pid(const struct jit_map *map);
