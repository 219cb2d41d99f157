/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ring_options - what --on says: "off-cpu>100ms", "lock>5ms", "runq>50ms", "SIGUSR2"
 *
 * Owner:   names are constants.
 * Threads: any.
 * Tests:   ring_options_test.c
 */

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"
#include "model/requests.h"

struct ring_options {
    size_t n_triggers;
    struct ring_trigger *triggers; /* in the arena */
    bool on_signal;                /* SIGUSR2 */
};

/* 0; -EINVAL with what is wrong and how it is written; -ENOMEM. */
int ring_options_parse(const struct option_texts *texts, struct arena *arena,
                       struct ring_options *ret_options, struct error *reterr_error);
