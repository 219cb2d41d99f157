/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * subscription - a question that is asked again whenever its answer may have changed
 *
 * The client gets an `update` when the encoded result differs from the last
 * one, at most once per interval. A client that has not taken the last update
 * yet is sent none; when it has, it gets the newest.
 *
 * Owner:   the set of a connection owns its subscriptions.
 * Threads: the main loop; results are computed in the pool, one at a time per
 *          subscription.
 * Limits:  SERVER_MAX_SUBSCRIPTIONS per connection; intervals of at least
 *          SUBSCRIPTION_MIN_INTERVAL_MS.
 * Tests:   tests/e2e
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "server/connection.h"

#define SUBSCRIPTION_MIN_INTERVAL_MS 50u

struct server;
struct subscribe_request;
struct subscription_set;

/* The subscriptions of a connection; NULL: -ENOMEM. */
struct subscription_set *subscription_set_new(struct server *server, struct connection *connection);

/* Ends all; what the pool is still computing for them is dropped when it comes. */
struct subscription_set *subscription_set_free(struct subscription_set *set);

/* Returns the number of the new subscription (> 0), or a negative errno with reterr_error set. */
int64_t subscription_set_add(struct subscription_set *set, const struct subscribe_request *request,
                             struct error *reterr_error);

/* False when there is no such subscription. */
bool subscription_set_remove(struct subscription_set *set, uint64_t number);

/* The client has taken everything: held-back updates are due. */
void subscription_set_on_drained(struct subscription_set *set);

/* A run began or ended: results that had settled may change now. */
void subscription_set_on_change(struct subscription_set *set);
