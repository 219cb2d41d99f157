/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * command - one verb of the command line
 *
 * Adding a command is a cmd_<verb>.c with one constant, its declaration here
 * and its row in main.c; help, completions and usage errors follow from that.
 *
 * Owner:   constants.
 * Threads: one.
 */

#include <stddef.h>

#include "base/arena.h"
#include "cli/options.h"

enum exit_code {
    EXIT_CODE_DONE = 0,
    EXIT_CODE_FAILED = 1, /* it could not be done */
    EXIT_CODE_USAGE = 2,
    /* In launch mode, as timeout(1) and env(1) have them. */
    EXIT_CODE_LAUNCH_FAILED = 125,
    EXIT_CODE_NOT_EXECUTABLE = 126,
    EXIT_CODE_NOT_FOUND = 127,
    EXIT_CODE_SIGNAL_BASE = 128,
};

struct command;

struct invocation {
    const struct command *command;
    const void *values; /* the command's own struct */
    int n_operands;
    char **operands;
    struct arena *arena; /* until the program ends */
};

struct command {
    const char *name;
    const char *summary;                /* a line of `stax --help` */
    const char *description;            /* below the usage line of `stax NAME --help` */
    const char *operands;               /* NULL: takes none */
    int min_operands, max_operands;     /* max < 0: any number */
    const char *const *operand_choices; /* words that the operand can be, for completions; ends with
                                           NULL. NULL: any */
    struct option_table options;
    const char *examples;                            /* lines of "stax …   # what for" */
    int (*run)(const struct invocation *invocation); /* returns the exit code */
};

extern const struct command command_record;
extern const struct command command_status;
extern const struct command command_list;
extern const struct command command_wait;
extern const struct command command_stop;
extern const struct command command_select_run;
extern const struct command command_save;
extern const struct command command_open;
extern const struct command command_export;
extern const struct command command_compare;
extern const struct command command_top;
extern const struct command command_flame;
extern const struct command command_threads;
extern const struct command command_off_cpu;
extern const struct command command_counters;
extern const struct command command_neighbors;
extern const struct command command_intervals;
extern const struct command command_wakers;
extern const struct command command_timeline;
extern const struct command command_why;
extern const struct command command_annotate;
extern const struct command command_target;
extern const struct command command_diagnose;
extern const struct command command_doctor;
extern const struct command command_setup;
extern const struct command command_shutdown;
