/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_choice - which run a request is about, or why there is none
 *
 * Owner:   the call keeps a reference to the run.
 * Threads: the main loop.
 */

#include <stdbool.h>

#include "server/call.h"

/* For questions: 0 is the active run, else the selected one. False: the call has been settled. */
bool run_choice_for_query(struct call *call, run_id id);

/* For commands: 0 is the active run and no other. */
bool run_choice_for_control(struct call *call, run_id id);
