/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_rules - the table: what each function that can stand in a wait stack says of the wait
 *
 * Owner:   static data; the index over it is built once, without allocation.
 * Threads: any.
 * Limits:  WAIT_RULES_MAX rows.
 * Tests:   wait_rules_test.c (the table itself), wait_cause_test.c (each row in a stack)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/wait_reason.h"
#include "reasons/wait_name.h"

#define WAIT_RULES_MAX 1000

/* In which names a rule is looked for. */
enum wait_space {
    WAIT_SPACE_KERNEL, /* functions of the kernel */
    WAIT_SPACE_CALL,   /* system calls, entered by the kernel or wrapped by the C library */
    WAIT_SPACE_USER,   /* functions of programs, runtimes and the C library */
};

/* How well a frame of the kernel tells a person what is waited for. */
enum wait_sight {
    WAIT_SIGHT_NONE,  /* machinery: never */
    WAIT_SIGHT_MEANS, /* how it waits: where nothing better is seen */
    WAIT_SIGHT_SITE,  /* what it waits for */
};

enum wait_word {
    WAIT_WORD_NOTHING,   /* frames further out decide */
    WAIT_WORD_REASON,    /* decides */
    WAIT_WORD_ASK_OUTER, /* frames of the kernel further out decide, among 'accepts' */
    WAIT_WORD_ASK_CALL,  /* they or the system call decide, among 'accepts' */
    WAIT_WORD_ASK_USER,  /* the user frames decide */
};

struct wait_rule {
    const char *name;
    uint8_t space;    /* enum wait_space */
    uint8_t sight;    /* enum wait_sight */
    uint8_t word;     /* enum wait_word */
    uint8_t reason;   /* enum wait_reason; where others are asked: what it is if none answers */
    uint16_t accepts; /* 1 << reason, of WAIT_WORD_ASK_OUTER and _CALL */
    uint8_t rank;     /* user: the highest within a stack decides, of equal ones the innermost */
    bool is_prefix;   /* kernel: all names that begin so */
    bool is_near;     /* user: only where all between it and the frame that waits is unknown */
    bool over_ready;  /* user: decides over a wait for readiness too */
};

#define WAIT_RANK_PRIMITIVE 1 /* of a thread library */
#define WAIT_RANK_FINAL 9     /* nothing further out is looked at */

/* NULL where no rule knows the name. */
const struct wait_rule *wait_rule_of_kernel(const struct wait_name *name);
const struct wait_rule *wait_rule_of_call(const struct wait_name *call);
const struct wait_rule *wait_rule_of_user(const struct wait_name *name);

/* All rows, for tests. */
const struct wait_rule *wait_rules_all(size_t *ret_n_rules);
