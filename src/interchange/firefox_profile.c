/* SPDX-License-Identifier: MIT */
#include "interchange/firefox_profile.h"

#include <math.h>
#include <string.h>

/* Whole numbers that a double tells apart. */
#define MAX_EXACT 9007199254740992.0

static json_t *column(const json_t *table, const char *name)
{
    json_t *array = json_object_get(table, name);
    return json_is_array(array) ? array : NULL;
}

/* A table of the thread's own, or the one that all share. */
static json_t *table(const json_t *thread, const json_t *shared, const char *name)
{
    json_t *own = json_object_get(thread, name);
    return json_is_object(own) ? own : json_object_get(shared, name);
}

bool firefox_profile_of(json_t *document, struct firefox_profile *ret_profile)
{
    json_t *meta = json_object_get(document, "meta");
    json_t *threads = column(document, "threads");
    if (!json_is_object(meta) || !threads) {
        return false;
    }
    *ret_profile = (struct firefox_profile){
        .document = document,
        .threads = threads,
        .libs = column(document, "libs"),
        .categories = column(meta, "categories"),
        .interval_ms = json_number_value(json_object_get(meta, "interval")),
        .start_ms = json_number_value(json_object_get(meta, "startTime")),
        .product = json_string_value(json_object_get(meta, "product")),
    };
    if (!(ret_profile->interval_ms > 0 && ret_profile->interval_ms < 1e6)) {
        ret_profile->interval_ms = 1;
    }
    const char *unit =
        json_string_value(json_object_get(json_object_get(meta, "sampleUnits"), "threadCPUDelta"));
    ret_profile->cpu_unit_ns = unit && strcmp(unit, "ns") == 0          ? 1
                               : unit && strcmp(unit, "\302\265s") == 0 ? 1000
                                                                        : 0;
    return true;
}

bool firefox_profile_is_raw(const struct firefox_profile *profile)
{
    const json_t *samples = json_object_get(json_array_get(profile->threads, 0), "samples");
    return json_object_get(samples, "schema") && json_object_get(samples, "data");
}

size_t firefox_profile_n_threads(const struct firefox_profile *profile)
{
    return json_array_size(profile->threads);
}

void firefox_profile_thread(const struct firefox_profile *profile, size_t index,
                            struct firefox_thread *ret_thread)
{
    const json_t *thread = json_array_get(profile->threads, index);
    const json_t *shared = json_object_get(profile->document, "shared");
    const json_t *samples = json_object_get(thread, "samples");
    const json_t *stacks = table(thread, shared, "stackTable");
    const json_t *frames = table(thread, shared, "frameTable");
    const json_t *funcs = table(thread, shared, "funcTable");
    const json_t *sources = table(thread, shared, "sources");
    json_t *strings = column(thread, "stringArray");
    strings = strings ? strings : column(thread, "stringTable");
    strings = strings ? strings : column(shared, "stringArray");
    const char *weight_type = json_string_value(json_object_get(samples, "weightType"));
    *ret_thread = (struct firefox_thread){
        .name = json_object_get(thread, "name"),
        .pid = json_object_get(thread, "pid"),
        .tid = json_object_get(thread, "tid"),
        .process_name = json_object_get(thread, "processName"),
        .sample_stack = column(samples, "stack"),
        .sample_time = column(samples, "time"),
        .sample_deltas = column(samples, "timeDeltas"),
        .sample_weight = column(samples, "weight"),
        .sample_cpu = column(samples, "threadCPUDelta"),
        .weight_type = weight_type ? weight_type : "samples",
        .stack_frame = column(stacks, "frame"),
        .stack_prefix = column(stacks, "prefix"),
        .stack_category = column(stacks, "category"),
        .frame_func = column(frames, "func"),
        .frame_address = column(frames, "address"),
        .frame_line = column(frames, "line"),
        .frame_category = column(frames, "category"),
        .func_name = column(funcs, "name"),
        .func_resource = column(funcs, "resource"),
        .func_is_js = column(funcs, "isJS"),
        .func_file = column(funcs, "fileName"),
        .func_source = column(funcs, "source"),
        .resource_lib = column(table(thread, shared, "resourceTable"), "lib"),
        .source_file = column(sources, "filename"),
        .strings = strings,
    };
    ret_thread->n_samples = json_array_size(ret_thread->sample_stack);
}

double firefox_real(const json_t *column, size_t row, double fallback)
{
    const json_t *cell = json_array_get(column, row);
    double value = json_is_number(cell) ? json_number_value(cell) : fallback;
    return isfinite(value) ? value : fallback;
}

int64_t firefox_number(const json_t *column, size_t row, int64_t fallback)
{
    const json_t *cell = json_array_get(column, row);
    if (json_is_integer(cell)) {
        return json_integer_value(cell);
    }
    double value = json_is_real(cell) ? json_real_value(cell) : NAN;
    return value >= -MAX_EXACT && value <= MAX_EXACT ? (int64_t)value : fallback;
}

const char *firefox_text(const struct firefox_thread *thread, int64_t number, size_t *ret_n_bytes)
{
    const json_t *cell = number >= 0 ? json_array_get(thread->strings, (size_t)number) : NULL;
    *ret_n_bytes = json_is_string(cell) ? json_string_length(cell) : 0;
    return json_string_value(cell);
}
