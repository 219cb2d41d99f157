/* SPDX-License-Identifier: MIT */
#include "query/span_path.h"

#include <errno.h>
#include <string.h>

#include "model/limits.h"

int span_paths_init(const struct query_context *context, struct span_paths *ret_paths)
{
    *ret_paths = (struct span_paths){
        .context = context,
        .of_name = arena_alloc_array(context->arena, (size_t)context->snapshot->n_span_names + 1,
                                     sizeof(*ret_paths->of_name)),
    };
    return ret_paths->of_name ? 0 : -ENOMEM;
}

int span_paths_get(struct span_paths *paths, uint32_t name, struct span_path *ret_path)
{
    const struct snapshot *snapshot = paths->context->snapshot;
    struct span_path *path = &paths->of_name[name];
    if (!path->names) {
        size_t n = 0;
        for (uint32_t outer = snapshot_span_name(snapshot, name).parent; outer != 0;
             outer = snapshot_span_name(snapshot, outer).parent) {
            n++;
        }
        path->names = arena_alloc_array(paths->context->arena, n, sizeof(*path->names));
        if (!path->names) {
            return -ENOMEM;
        }
        path->n_names = n;
        for (uint32_t outer = snapshot_span_name(snapshot, name).parent; outer != 0;
             outer = snapshot_span_name(snapshot, outer).parent) {
            path->names[--n] = (char *)snapshot_span_name(snapshot, outer).text;
        }
    }
    *ret_path = *path;
    return 0;
}

/* The names of a path, outermost first; texts[] has room. */
static size_t unfold(const struct snapshot *snapshot, uint32_t name,
                     const char *texts[static LIMIT_SPAN_DEPTH + 1])
{
    size_t n = 0;
    for (; name != 0 && n <= LIMIT_SPAN_DEPTH; name = snapshot_span_name(snapshot, name).parent) {
        texts[n++] = snapshot_span_name(snapshot, name).text;
    }
    for (size_t i = 0; i < n / 2; i++) {
        const char *swapped = texts[i];
        texts[i] = texts[n - 1 - i];
        texts[n - 1 - i] = swapped;
    }
    return n;
}

int span_path_compare(const struct snapshot *snapshot, uint32_t left_lane, uint32_t left_name,
                      uint32_t right_lane, uint32_t right_name)
{
    const struct lane_totals *lanes = snapshot->lanes;
    int order = strcmp(lanes[left_lane].name, lanes[right_lane].name);
    if (order != 0 || left_lane != right_lane) {
        return order != 0 ? order : left_lane < right_lane ? -1 : 1;
    }
    const char *left[LIMIT_SPAN_DEPTH + 1], *right[LIMIT_SPAN_DEPTH + 1];
    size_t n_left = unfold(snapshot, left_name, left);
    size_t n_right = unfold(snapshot, right_name, right);
    for (size_t i = 0; i < n_left && i < n_right && order == 0; i++) {
        order = strcmp(left[i], right[i]);
    }
    if (order != 0) {
        return order;
    }
    if (n_left != n_right) {
        return n_left < n_right ? -1 : 1;
    }
    return left_name < right_name ? -1 : left_name > right_name;
}
