/* SPDX-License-Identifier: MIT */
#include "broker/authorize.h"

enum broker_refusal authorize(const struct caller *caller, const struct target_facts *facts)
{
    if (caller->may_observe_all) {
        return BROKER_GRANTED;
    }
    for (size_t i = 0; i < TARGET_IDS; i++) {
        if (facts->uids[i] != caller->uid) {
            return BROKER_REFUSED_UID;
        }
        if (facts->gids[i] != caller->gid) {
            return BROKER_REFUSED_GID;
        }
    }
    if (facts->permitted != 0) {
        return BROKER_REFUSED_CAPABILITIES;
    }
    if (!facts->is_dumpable) {
        return BROKER_REFUSED_NOT_DUMPABLE;
    }
    return facts->kernel_agrees ? BROKER_GRANTED : BROKER_REFUSED_BY_KERNEL;
}
