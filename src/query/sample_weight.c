/* SPDX-License-Identifier: MIT */
#include "query/sample_weight.h"

/* Many slices of class 0 are shorter than what is missed of one, and those of the last class are so
 * long that it drowns in the noise. */
#define FIRST_TELLING 1
#define END_TELLING SLICE_CLASS_LONG

/* The part of the samples due that is missing wherever they fell: told as lost, or so much lacking
 * in long slices that it cannot be chance (a timer that does not keep up). */
static double lost_part(const struct snapshot *snapshot)
{
    double n_lost = 0, n_samples = 0;
    double long_ns = (double)snapshot->class_ns[SLICE_CLASS_LONG];
    double long_met_ns = (double)snapshot->class_met_ns[SLICE_CLASS_LONG];
    double n_long = (double)snapshot->class_samples[SLICE_CLASS_LONG];
    double lacking = n_long > 0 && long_ns > 0 ? 1 - long_met_ns / long_ns : 0;
    for (size_t i = 0; i < EVENT_LOST_CAUSE_N; i++) {
        n_lost += (double)snapshot->lost[i];
    }
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        n_samples += (double)snapshot->class_samples[i];
    }
    double told = n_lost > 0 ? n_lost / (n_lost + n_samples) : 0;
    /* Two deviations; the relative one of n samples is one over the root of n. */
    bool is_chance = lacking <= 0 || lacking * lacking * n_long <= 4;
    return is_chance || told > lacking ? told : lacking;
}

static uint64_t missed_per_slice_ns(const struct snapshot *snapshot)
{
    double time_ns = 0, met_ns = 0, n_slices = 0, n_samples = 0;
    for (size_t i = FIRST_TELLING; i < END_TELLING; i++) {
        time_ns += (double)snapshot->class_ns[i];
        met_ns += (double)snapshot->class_met_ns[i];
        n_slices += (double)snapshot->class_slices[i];
        n_samples += (double)snapshot->class_samples[i];
    }
    if (snapshot->n_kernel_samples == 0 || n_samples < SAMPLE_WEIGHT_MIN_SAMPLES || met_ns <= 0 ||
        n_slices <= 0) {
        return 0;
    }
    double missed_ns = time_ns * (1 - lost_part(snapshot)) - met_ns;
    if (missed_ns <= 0) {
        return 0;
    }
    /* As likely as it is chance, it is left out: the variance of n samples is n periods squared. */
    double chance = met_ns * met_ns / n_samples / (missed_ns * missed_ns);
    double per_slice_ns = chance < 1 ? missed_ns / n_slices * (1 - chance) : 0;
    return per_slice_ns < SAMPLE_WEIGHT_MISSED_MAX_NS ? (uint64_t)per_slice_ns
                                                      : SAMPLE_WEIGHT_MISSED_MAX_NS;
}

void sample_weights_compute(const struct snapshot *snapshot, struct sample_weights *ret_weights)
{
    ret_weights->missed_ns = missed_per_slice_ns(snapshot);
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        uint64_t time_ns = snapshot->class_ns[i];
        uint64_t missed_ns = ret_weights->missed_ns * snapshot->class_slices[i];
        uint64_t met_ns = missed_ns < time_ns / 2 ? time_ns - missed_ns : time_ns - time_ns / 2;
        ret_weights->by_class[i] =
            met_ns > 0 ? (uint64_t)((unsigned __int128)time_ns * SAMPLE_WEIGHT_ONE / met_ns)
                       : SAMPLE_WEIGHT_ONE;
    }
}

bool sample_weights_are_own(const struct snapshot *snapshot, bool has_range)
{
    return snapshot->has_no_switches && snapshot->has_own_periods &&
           (snapshot->first_sample == 0 || has_range);
}

uint64_t sample_weight_of(const struct sample_weights *weights, bool is_own,
                          const struct stored_sample *sample)
{
    uint64_t period_ns = sample->period_ns ? sample->period_ns : 1;
    return is_own ? period_ns : weights->by_class[sample->slice_class];
}
