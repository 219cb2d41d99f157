/* SPDX-License-Identifier: MIT */

/*
 * A program that speaks ITT and knows nothing of stax: tasks that nest in two
 * threads, tasks that overlap, frames, markers, and a number of a task.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "itt_least.h"
#include "range_log.h"
#include "truth.h"

#define USAGE "itt_ranges [--rounds N] [--wait MS]"

static uint64_t n_rounds = 200, wait_ms; /* for a tool to come */
static struct ___itt_domain *domain;
static struct ___itt_string_handle *frame, *draw, *drawn, *triangles, *job, *part;

static void render(const char *thread, uint64_t round)
{
    struct range_entry *outer = range_log_add("render: ", NULL, "frame");
    struct range_entry *inner = range_log_add("render: ", "frame", "draw");
    struct range_entry *mark = range_log_add("render: ", "frame", "drawn");
    outer->thread = inner->thread = mark->thread = thread;
    uint64_t n_triangles = round + 1;
    inner->payload = (double)n_triangles;
    RANGE_LOG_CALL(outer->begin_ns, __itt_task_begin(domain, __itt_null, __itt_null, frame));
    RANGE_LOG_CALL(inner->begin_ns, __itt_task_begin(domain, __itt_null, __itt_null, draw));
    __itt_metadata_add(domain, __itt_null, triangles, __itt_metadata_u64, 1, &n_triangles);
    range_log_work(20);
    RANGE_LOG_CALL(inner->end_ns, __itt_task_end(domain));
    RANGE_LOG_CALL(mark->begin_ns, __itt_marker(domain, __itt_null, drawn, 0));
    mark->end_ns[0] = mark->begin_ns[0];
    mark->end_ns[1] = mark->begin_ns[1];
    RANGE_LOG_CALL(outer->end_ns, __itt_task_end(domain));
}

static void overlap(uint64_t round)
{
    struct ___itt_id job_id = {.d1 = 1, .d2 = round}, part_id = {.d1 = 2, .d2 = round};
    struct range_entry *first = range_log_add("render ranges", NULL, "job");
    struct range_entry *second = range_log_add("render ranges", NULL, "part");
    struct range_entry *whole = range_log_add("render ranges", NULL, "frame");
    RANGE_LOG_CALL(whole->begin_ns, __itt_frame_begin_v3(domain, NULL));
    RANGE_LOG_CALL(first->begin_ns, __itt_task_begin_overlapped(domain, job_id, __itt_null, job));
    RANGE_LOG_CALL(second->begin_ns,
                   __itt_task_begin_overlapped(domain, part_id, __itt_null, part));
    range_log_work(10);
    RANGE_LOG_CALL(first->end_ns, __itt_task_end_overlapped(domain, job_id));
    RANGE_LOG_CALL(second->end_ns, __itt_task_end_overlapped(domain, part_id));
    RANGE_LOG_CALL(whole->end_ns, __itt_frame_end_v3(domain, NULL));
}

static void *run_painter(void *userdata)
{
    (void)userdata;
    __itt_thread_set_name("painter");
    for (uint64_t i = 0; i < n_rounds; i++) {
        render("painter", i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        bool is_rounds = strcmp(argv[i], "--rounds") == 0;
        if (i + 1 == argc || (!is_rounds && strcmp(argv[i], "--wait") != 0)) {
            option_usage(USAGE);
        }
        *(is_rounds ? &n_rounds : &wait_ms) = option_count(argv[i + 1], argv[i]);
    }
    domain = __itt_domain_create("render");
    frame = __itt_string_handle_create("frame");
    draw = __itt_string_handle_create("draw");
    drawn = __itt_string_handle_create("drawn");
    triangles = __itt_string_handle_create("triangles");
    job = __itt_string_handle_create("job");
    part = __itt_string_handle_create("part");
    (void)itt_least_start();
    usleep((useconds_t)(wait_ms * 1000));
    pthread_t painter;
    if (pthread_create(&painter, NULL, run_painter, NULL) != 0) {
        return 1;
    }
    for (uint64_t i = 0; i < n_rounds; i++) {
        render(NULL, i);
        overlap(i);
    }
    pthread_join(painter, NULL);
    __itt_task_end(domain); /* one too many */
    FILE *truth = truth_open(NULL);
    range_log_print(truth);
    truth_close(truth);
    return 0;
}
