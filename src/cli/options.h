/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * options - what a command accepts, told once
 *
 * One table per command (and one per group that several commands share) is
 * read by the parser, by --help (usage.h) and by the shell completions
 * (completions.h), so that none of them can know an option that the others do
 * not.
 *
 * Shape:   an option's value is written at `offset` of the command's values;
 *          its type follows from the kind (see enum option_kind).
 *          A default is text and goes through the same parser as what people
 *          type, so that --help cannot show another one.
 * Owner:   tables are constant; parsed texts are borrowed from argv, lists lie
 *          in the arena.
 * Threads: one (getopt_long has global state).
 * Tests:   options_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum option_kind {
    OPTION_FLAG,      /* bool */
    OPTION_TEXT,      /* const char *, NULL when not given */
    OPTION_TEXT_LIST, /* struct option_texts; repeatable */
    OPTION_ID_LIST,   /* struct option_ids; repeatable */
    OPTION_INTEGER,   /* struct option_number */
    OPTION_BYTES,     /* struct option_number */
    OPTION_DURATION,  /* struct option_number, ns, > 0 */
    OPTION_TIME,      /* struct option_number, ns; negative: from the end */
    OPTION_PERCENT,   /* double, 0–100 */
    OPTION_CHOICE,    /* unsigned, index into choices */
};

struct option_texts {
    size_t n_items;
    char **items;
};

struct option_ids {
    size_t n_items;
    int64_t *items;
};

struct option_number {
    bool is_given;
    int64_t value;
};

struct option_spec {
    const char *name; /* without dashes; NULL: only a letter */
    char letter;      /* 0: none */
    char alias;       /* a second letter, as users of other tools type it; 0: none */
    enum option_kind kind;
    const char *value_name; /* "HZ"; NULL for flags */
    const char *fallback;   /* the default; NULL: none */
    const char *summary;
    const char *const *choices; /* OPTION_CHOICE; ends with NULL */
    int64_t min, max;           /* OPTION_INTEGER, where max > 0 */
    size_t offset;
};

struct option_group {
    const char *title; /* above the group in --help */
    const struct option_spec *specs;
    size_t n_specs;
    size_t offset; /* of the group's struct in the command's values */
};

#define OPTION_GROUP_N 4

/* What a command accepts; empty groups have n_specs 0. */
struct option_table {
    struct option_group groups[OPTION_GROUP_N];
    size_t values_bytes;
    bool stops_at_operand; /* options end at the first word that is none */
};

#define OPTION_SPECS(array) .specs = (array), .n_specs = sizeof(array) / sizeof((array)[0])

enum {
    OPTIONS_E_HELP = 1, /* -h or --help was met: show it, nothing else counts */
};

struct parsed_options {
    void *values; /* in the arena */
    int n_operands;
    char **operands; /* the end of argv, reordered */
};

/*
 * Parses argv[1…]; argv[0] is the command's name. Options and operands may be
 * mixed unless stops_at_operand.
 *
 * Returns 0, OPTIONS_E_HELP, -EINVAL with a message that names the word that
 * is wrong, or -ENOMEM.
 */
int options_parse(const struct option_table *table, int argc, char **argv, struct arena *arena,
                  struct parsed_options *ret_parsed, struct error *reterr_error);
