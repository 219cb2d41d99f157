/* SPDX-License-Identifier: MIT */
#include "aggregate/switch_lag.h"

/* Fewer switches than this say nothing; more than this much lag is something else (steal, a lost
 * record). */
#define SWITCHES_MIN 20u
#define LAG_MAX_NS 50000u

void switch_lag_update(struct switch_lag *lag, struct thread_table *threads, int64_t pid,
                       uint64_t time_ns, uint64_t told_ns)
{
    uint64_t measured_ns = 0, n_switches = 0;
    for (size_t i = 0; i < thread_table_count(threads); i++) {
        const struct thread_totals *totals = &thread_table_at(threads, (thread_id)i)->totals;
        if (totals->pid != pid) {
            continue;
        }
        measured_ns += totals->cpu_ns;
        if (totals->phase == THREAD_PHASE_RUNNING && time_ns > totals->phase_since_ns) {
            measured_ns += time_ns - totals->phase_since_ns;
        }
        n_switches += totals->n_voluntary + totals->n_involuntary;
    }
    if (!lag->has_first || lag->pid != pid) {
        *lag = (struct switch_lag){
            .pid = pid,
            .has_first = true,
            .first_told_ns = told_ns,
            .first_measured_ns = measured_ns,
            .first_switches = n_switches,
        };
        return;
    }
    uint64_t told_since_ns = told_ns - lag->first_told_ns;
    uint64_t measured_since_ns = measured_ns - lag->first_measured_ns;
    uint64_t n_since = n_switches - lag->first_switches;
    if (n_since < SWITCHES_MIN || told_since_ns <= measured_since_ns) {
        lag->lag_ns = 0;
        return;
    }
    uint64_t lag_ns = (told_since_ns - measured_since_ns) / n_since;
    lag->lag_ns = lag_ns < LAG_MAX_NS ? lag_ns : LAG_MAX_NS;
}
