/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * proc_maps - the lines of /proc/PID/maps
 *
 * Owner:   the text is borrowed and modified in place (paths get their NUL).
 * Threads: any.
 * Source:  proc_pid_maps(5).
 * Tests:   proc_maps_test.c
 */

#include <stdbool.h>

#include "model/event.h"

struct proc_maps_line {
    struct event_image image; /* change = EVENT_IMAGE_MAPPED; path borrowed from the text */
    bool is_executable, is_readable, is_writable;
};

/* Parses the next line and advances *inout_text; false at the end. Lines that make no sense are
 * skipped. */
bool proc_maps_next(char **inout_text, struct proc_maps_line *ret_line);
