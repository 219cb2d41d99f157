/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * capture_choice - which backend records; the only place that names them
 *
 * Owner:   constants.
 * Threads: any.
 */

#include "capture/capture.h"
#include "model/requests.h"

const struct capture_ops *capture_choice_for(const struct start_request *request);

/* The one that plays what other tools have recorded. */
const struct capture_ops *capture_choice_import(void);

/* The one that records processes on this host, for its abilities. */
const struct capture_ops *capture_choice_host(void);
