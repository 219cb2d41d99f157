/* SPDX-License-Identifier: MIT */
#include "inject/test_target.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stax/target.h>

#define NAMES_MAX 8192u

static uint32_t is_active;
const uint32_t *stax_gate = &is_active;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lanes[1024][256];
static uint32_t n_lanes = 1;
static char names[NAMES_MAX][TEST_PATH_BYTES];
static uint32_t n_names = 1;
static struct test_span spans[TEST_SPANS_MAX];
static size_t n_spans;

void test_target_record(bool is_recorded)
{
    pthread_mutex_lock(&lock);
    n_spans = 0;
    is_active = is_recorded;
    pthread_mutex_unlock(&lock);
}

size_t test_target_n_spans(void)
{
    return n_spans;
}

const struct test_span *test_target_span(size_t i)
{
    assert(i < n_spans);
    return &spans[i];
}

const struct test_span *test_target_find(const char *path, size_t *ret_n)
{
    const struct test_span *found = NULL;
    *ret_n = 0;
    for (size_t i = 0; i < n_spans; i++) {
        if (strcmp(spans[i].path, path) == 0) {
            found = &spans[i];
            (*ret_n)++;
        }
    }
    return found;
}

stax_lane stax_lane_new_kind(const char *name, enum stax_lane_kind kind)
{
    (void)kind;
    pthread_mutex_lock(&lock);
    uint32_t id = 1;
    while (id < n_lanes && strcmp(lanes[id], name) != 0) {
        id++;
    }
    assert(id < 1024);
    if (id == n_lanes) {
        snprintf(lanes[n_lanes++], sizeof(lanes[0]), "%s", name);
    }
    pthread_mutex_unlock(&lock);
    return (stax_lane){.id = id};
}

stax_lane stax_lane_new(const char *name)
{
    return stax_lane_new_kind(name, STAX_LANE_GENERIC);
}

static stax_name_id find_path(const char *path)
{
    pthread_mutex_lock(&lock);
    uint32_t id = 1;
    while (id < n_names && strcmp(names[id], path) != 0) {
        id++;
    }
    assert(id < NAMES_MAX);
    if (id == n_names) {
        snprintf(names[n_names++], sizeof(names[0]), "%s", path);
    }
    pthread_mutex_unlock(&lock);
    return (stax_name_id){.id = id};
}

stax_name_id stax_name(const char *text)
{
    return find_path(text);
}

stax_name_id stax_name_inside(stax_name_id outer, const char *text)
{
    char path[2 * TEST_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", names[outer.id], text);
    return find_path(path);
}

uint64_t stax_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

stax_origin stax_origin_capture(stax_lane lane)
{
    (void)lane;
    stax_origin origin = {
        .time_ns = stax_now_ns(), .tid = (uint32_t)gettid(), .pid = (uint32_t)getpid()};
    return stax_recording_active() ? origin : stax_no_origin();
}

void stax_builder_init(stax_span_builder *ret_builder, stax_lane lane, const char *name,
                       stax_origin origin)
{
    memset(ret_builder, 0, sizeof(*ret_builder));
    ret_builder->lane = lane;
    ret_builder->name = name ? stax_name(name) : (stax_name_id){.id = 0};
    ret_builder->origin = origin;
    ret_builder->is_active = stax_recording_active();
}

void stax_builder_counter(stax_span_builder *builder, const char *name, double value,
                          const char *unit)
{
    (void)unit;
    uint64_t *detail = builder->details[builder->n_details++];
    detail[0] = stax_name(name).id;
    memcpy(&detail[1], &value, sizeof(value));
}

void stax_builder_report(const stax_span_builder *builder, uint64_t start_ns, uint64_t end_ns)
{
    if (!stax_recording_active()) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (n_spans < TEST_SPANS_MAX) {
        struct test_span *span = &spans[n_spans++];
        memset(span, 0, sizeof(*span));
        snprintf(span->lane, sizeof(span->lane), "%s", lanes[builder->lane.id]);
        snprintf(span->path, sizeof(span->path), "%s", names[builder->name.id]);
        span->start_ns = start_ns;
        span->end_ns = end_ns;
        span->origin_ns = builder->origin.time_ns;
        span->origin_tid = builder->origin.tid;
        span->n_counters = builder->n_details;
        for (uint32_t i = 0; i < builder->n_details && i < 8; i++) {
            memcpy(&span->values[i], &builder->details[i][1], sizeof(double));
        }
        if (builder->n_details > 0) {
            snprintf(span->counter, sizeof(span->counter), "%.63s", names[builder->details[0][0]]);
        }
    }
    pthread_mutex_unlock(&lock);
}

void stax_span_report_named(stax_lane lane, stax_name_id name, uint64_t start_ns, uint64_t end_ns,
                            stax_origin origin)
{
    stax_span_builder builder;
    stax_builder_init(&builder, lane, NULL, origin);
    builder.name = name;
    stax_builder_report(&builder, start_ns, end_ns);
}

void stax_span_end(stax_span *span)
{
    if (span->start_ns != 0) {
        stax_span_report_named(span->lane, span->name, span->start_ns, stax_now_ns(), span->origin);
    }
    span->start_ns = 0;
}
