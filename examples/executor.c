/* SPDX-License-Identifier: MIT */
/*
 * executor - tasks that are queued in one place and run in another
 *
 * The origin travels with the task, so that the recording knows which stack
 * queued what the loop runs.
 *
 *     stax record -- ./executor; stax target top; stax target origins
 */
#include <time.h>

#include <stax/target.h>

#define QUEUE_LENGTH 64

struct task {
    const char *name;
    unsigned n_turns;
    stax_origin origin;
};

static struct task queue[QUEUE_LENGTH];
static unsigned n_queued;
static stax_lane lane;

static unsigned long spin(unsigned n_turns)
{
    volatile unsigned long sum = 0;

    for (unsigned i = 0; i < n_turns; i++) {
        sum += i;
    }
    return sum;
}

static void submit(const char *name, unsigned n_turns)
{
    if (n_queued < QUEUE_LENGTH) {
        queue[n_queued++] = (struct task){name, n_turns, stax_origin_capture(lane)};
    }
}

static void load_page(void)
{
    spin(300000);
    submit("parse", 400000);
    submit("layout", 800000);
}

static void save_page(void)
{
    spin(200000);
    submit("compress", 600000);
}

static void run_all(void)
{
    for (unsigned i = 0; i < n_queued; i++) {
        stax_span span = stax_span_begin(lane, queue[i].name, queue[i].origin);
        spin(queue[i].n_turns);
        stax_span_end(&span);
    }
    n_queued = 0;
}

int main(void)
{
    time_t end = time(NULL) + 2;

    lane = stax_lane_new_kind("executor", STAX_LANE_EXECUTOR);
    while (time(NULL) < end) {
        load_page();
        save_page();
        run_all();
    }
    return 0;
}
