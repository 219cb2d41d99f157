/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * event_sink - where events go
 *
 * Owner:   whoever made it keeps userdata alive until the producer is freed.
 * Threads: on_events() is called by the producer's thread only.
 */

#include <stddef.h>

#include "model/event.h"

struct event_sink {
    void *userdata;
    /* `events` are in time order and borrowed until return. 0, or -ECANCELED to ask for a stop. */
    int (*on_events)(void *userdata, const struct event *events, size_t n_events);
};
