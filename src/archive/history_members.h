/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_members - reading a run's records from wherever their members are
 *
 * As run_history_read(), of an archive or of bytes that somebody holds.
 *
 * Owner, Threads: as run_history.h.
 * Tests:   run_history_test.c, tests/fuzz/fuzz_run_history.c
 */

#include "archive/run_history.h"

struct history_members {
    /* As archive_reader_read(). */
    int (*read)(void *userdata, const char *name, struct archive_bytes *ret_bytes);
    void *userdata;
};

int history_members_read(const struct history_members *members,
                         const struct aggregate_config *config, struct aggregate **ret_aggregate,
                         struct run_history_damage *ret_damage, struct error *reterr_error);
