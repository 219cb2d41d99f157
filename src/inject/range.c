/* SPDX-License-Identifier: MIT */
#include "inject/range.h"

void range_report(const struct range *range, uint64_t end_ns)
{
    const stax_span *span = &range->span;
    if (span->start_ns == 0) {
        return;
    }
    if (!stax_recording_active()) {
        stax_span late = *span;
        stax_span_end(&late); /* counts it */
        return;
    }
    if (range->facts.n_counters == 0) {
        stax_span_report_named(span->lane, span->name, span->start_ns, end_ns, span->origin);
        return;
    }
    stax_span_builder builder;
    stax_builder_init(&builder, span->lane, NULL, span->origin);
    builder.name = span->name;
    for (uint32_t i = 0; i < range->facts.n_counters; i++) {
        const struct range_counter *counter = &range->facts.counters[i];
        stax_builder_counter(&builder, counter->name, counter->value, NULL);
    }
    stax_builder_report(&builder, span->start_ns, end_ns);
}

void range_add_counter(struct range_facts *facts, const char *name, double value)
{
    if (facts->n_counters < RANGE_COUNTERS_MAX) {
        facts->counters[facts->n_counters++] = (struct range_counter){.name = name, .value = value};
    }
}
