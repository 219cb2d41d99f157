/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * doctor - what is wrong, and what to type against it
 *
 * Pure judgement over facts that others collect: each doctor_examine_*() adds
 * findings to a list. Only doctor_host_read() looks at the machine.
 *
 * Owner:   texts lie in the arena of the list.
 * Threads: one per list.
 * Limits:  DOCTOR_FINDINGS_MAX findings; further ones are left out.
 * Tests:   doctor_test.c, host_facts_test.c
 */

#include "base/arena.h"
#include "model/results/diagnose.h"
#include "model/results/doctor.h"
#include "model/results/run.h"

#define DOCTOR_FINDINGS_MAX 200u

/* Of this machine, as the asking process sees it. Negative: not known. */
struct doctor_host {
    char kernel[64]; /* "6.1.0-18-amd64" */
    int64_t event_paranoid;
    int64_t kptr_restrict;
    int64_t mlock_kb;
    int64_t max_sample_rate_hz;
    int64_t max_stack;
    bool is_root;
    bool can_perf, can_bpf, can_syslog; /* capabilities, of root's or given */
    bool has_broker;                    /* staxd listens at its usual place, for us too */
    bool has_tracefs;
    bool has_pmu; /* hardware counters */
};

/* Reads below `root` ("" for the machine itself). */
void doctor_host_read(const char *root, struct doctor_host *ret_host);

struct doctor_list {
    struct arena *arena;
    struct doctor_result result;
    bool has_failed; /* out of memory */
};

/* 0 or -ENOMEM. */
int doctor_list_init(struct doctor_list *list, struct arena *arena);

/* Adds a finding; texts are copied, `fix` may be NULL. */
void doctor_add(struct doctor_list *list, const char *area, const char *subject,
                enum doctor_state state, const char *fix, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

void doctor_examine_host(struct doctor_list *list, const struct doctor_host *host);
/* What the server that answers can record, and with whose privilege. */
void doctor_examine_status(struct doctor_list *list, const struct status_result *status);
void doctor_examine_run(struct doctor_list *list, const struct diagnose_result *diagnose);
