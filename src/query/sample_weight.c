/* SPDX-License-Identifier: MIT */
#include "query/sample_weight.h"

/* Classes that are taken together, as [first, end). */
struct group {
    size_t first, end;
    uint64_t time_ns, n_samples;
};

static void set_weight(struct sample_weights *weights, const struct group *group)
{
    uint64_t weight_ns = group->n_samples > 0 ? group->time_ns / group->n_samples : 0;
    for (size_t i = group->first; i < group->end; i++) {
        weights->class_ns[i] = weight_ns > 0 ? weight_ns : 1;
    }
}

void sample_weights_compute(const struct snapshot *snapshot, struct sample_weights *ret_weights)
{
    struct group last = {0}, open = {0};
    if (snapshot->n_kernel_samples == 0) {
        set_weight(ret_weights, &(struct group){.end = SLICE_CLASS_N});
        return;
    }
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        open.end = i + 1;
        open.time_ns += snapshot->class_ns[i];
        open.n_samples += snapshot->class_samples[i];
        if (open.n_samples >= SAMPLE_WEIGHT_MIN_SAMPLES) {
            set_weight(ret_weights, &open);
            last = open;
            open = (struct group){.first = i + 1};
        }
    }
    if (open.first < SLICE_CLASS_N) { /* too few are left for a group of their own */
        last.end = SLICE_CLASS_N;
        last.time_ns += open.time_ns;
        last.n_samples += open.n_samples;
        set_weight(ret_weights, &last);
    }
}
