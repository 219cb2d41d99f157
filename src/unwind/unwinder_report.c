/* SPDX-License-Identifier: MIT */
#include "unwind/unwinder_report.h"

#include <stdlib.h>
#include <string.h>

void unwinder_report_init(struct unwinder_report *report)
{
    memset(report, 0, sizeof(*report));
    pthread_mutex_init(&report->lock, NULL);
}

void unwinder_report_release(struct unwinder_report *report)
{
    free(report->images);
    report->images = NULL;
    report->n_images = report->capacity = 0;
    pthread_mutex_destroy(&report->lock);
}

static struct unwinder_image_stats describe(struct code_lookup *lookup, image_id id)
{
    struct unwinder_image_stats image = {.image = id};
    image.path = code_lookup_describe(lookup, id, &image.source)->path;
    return image;
}

void unwinder_report_count_end(struct unwinder_report *report, struct code_lookup *lookup,
                               int64_t pid, uint64_t ip, enum event_stack_end end)
{
    image_id id = code_lookup_image(lookup, pid, ip);
    size_t i = 0;
    while (i < report->n_ends && report->ends[i].image != id) {
        i++;
    }
    if (i == UNWINDER_REPORT_MAX_IMAGES) {
        return;
    }
    if (i == report->n_ends) {
        report->ends[report->n_ends++] = describe(lookup, id);
    }
    report->ends[i].n_ends[end]++;
    report->n_counted++;
}

static const struct unwinder_image_stats *find_ends(const struct unwinder_report *report,
                                                    image_id id)
{
    for (size_t i = 0; i < report->n_ends; i++) {
        if (report->ends[i].image == id) {
            return &report->ends[i];
        }
    }
    return NULL;
}

/* Under the lock. Without memory the images stay those of before. */
static void publish_images(struct unwinder_report *report, struct code_lookup *lookup)
{
    size_t n_ids = code_lookup_n_images(lookup);
    if (n_ids > report->capacity) {
        size_t capacity = 2 * n_ids;
        struct unwinder_image_stats *images = realloc(report->images, capacity * sizeof(*images));
        if (!images) {
            return;
        }
        report->images = images;
        report->capacity = capacity;
    }
    report->n_images = 0;
    for (image_id id = 0; id < n_ids; id++) {
        const struct unwinder_image_stats *ends = find_ends(report, id);
        if (ends) {
            report->images[report->n_images++] = *ends;
        } else if (code_lookup_is_wanted(lookup, id)) {
            report->images[report->n_images++] = describe(lookup, id);
        }
    }
}

void unwinder_report_publish(struct unwinder_report *report, struct code_lookup *lookup,
                             const struct unwinder_stats *stats)
{
    size_t n_images = code_lookup_n_images(lookup), n_wanted = code_lookup_n_wanted(lookup);
    bool has_changed = report->n_counted != report->n_told || n_images != report->n_images_told ||
                       n_wanted != report->n_wanted_told;
    pthread_mutex_lock(&report->lock);
    report->stats = *stats;
    if (has_changed) {
        publish_images(report, lookup);
    }
    pthread_mutex_unlock(&report->lock);
    report->n_told = report->n_counted;
    report->n_images_told = n_images;
    report->n_wanted_told = n_wanted;
}

void unwinder_report_get_stats(struct unwinder_report *report, struct unwinder_stats *ret_stats)
{
    pthread_mutex_lock(&report->lock);
    *ret_stats = report->stats;
    pthread_mutex_unlock(&report->lock);
}

static int by_ends(const void *a, const void *b)
{
    const struct unwinder_image_stats *left = a, *right = b;
    uint64_t n_left = 0, n_right = 0;
    for (size_t i = 0; i < EVENT_STACK_END_N; i++) {
        n_left += left->n_ends[i];
        n_right += right->n_ends[i];
    }
    return n_left > n_right ? -1 : n_left < n_right;
}

size_t unwinder_report_get_images(struct unwinder_report *report,
                                  struct unwinder_image_stats *ret_images, size_t max_images)
{
    pthread_mutex_lock(&report->lock);
    size_t n_images = report->n_images < max_images ? report->n_images : max_images;
    if (n_images > 0) {
        memcpy(ret_images, report->images, n_images * sizeof(*ret_images));
    }
    pthread_mutex_unlock(&report->lock);
    if (n_images > 1) {
        qsort(ret_images, n_images, sizeof(*ret_images), by_ends);
    }
    return n_images;
}
