/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_dump - a jitdump file that grows, read into jit_code
 *
 * Owner:   jit_dump_open()/_free(). The descriptor is the jit_code's, since
 *          machine code is read from it later.
 * Threads: one (jit_tail's).
 * Limits:  a record of JITDUMP_MAX_RECORD_BYTES, those of jit_budget; a dump that
 *          makes no sense is read no further. One that is written anew is
 *          read anew.
 * Tests:   jit_dump_test.c
 */

#include "base/cleanup.h"
#include "jit/jit_budget.h"
#include "jit/jit_code.h"

struct jit_dump;

/* For process `pid`; takes_fd is closed where this fails. 0 or -ENOMEM, -EMFILE. */
int jit_dump_open(struct jit_code *code, int64_t pid, int takes_fd, struct jit_dump **ret_dump);
struct jit_dump *jit_dump_free(struct jit_dump *dump);
DEFINE_FREEP(jit_dump);

/*
 * Reads what was appended, within the budget. How many records, or a negative
 * errno: it will not be more (-EFBIG: it is larger than a dump can be).
 */
int64_t jit_dump_read(struct jit_dump *dump, struct jit_budget *budget);

/* What was made after end_ns is left out from now on. */
void jit_dump_end_at(struct jit_dump *dump, uint64_t end_ns);
/* Something was left out, so that everything before has been told. */
bool jit_dump_has_passed_end(const struct jit_dump *dump);

int64_t jit_dump_pid(const struct jit_dump *dump);
bool jit_dump_is_file(const struct jit_dump *dump, uint64_t device, uint64_t inode);

/* Its records carry times that are not ours (JITDUMP_FLAG_ARCH_TIMESTAMP). */
bool jit_dump_has_foreign_clock(const struct jit_dump *dump);
