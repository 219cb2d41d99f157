/* SPDX-License-Identifier: MIT */
/*
 * bad_origins - what an origin can have wrong, and how the recording says so
 *
 * Each of these is counted as what it is; diagnose has a hint for each.
 *
 *     stax record -- ./bad_origins; stax diagnose; stax target origins
 */
#include <time.h>
#include <unistd.h>

#include <stax/target.h>

#define NS_PER_S UINT64_C(1000000000)

static volatile unsigned long sum;

static void work(void)
{
    for (unsigned i = 0; i < 1000000; i++) {
        sum += i;
    }
}

static void report(stax_lane lane, const char *name, stax_origin origin)
{
    uint64_t start_ns = stax_now_ns();

    work();
    stax_span_report(lane, name, start_ns, stax_now_ns(), origin);
}

int main(void)
{
    time_t end = time(NULL) + 2;
    stax_lane lane = stax_lane_new("lane");

    while (time(NULL) < end) {
        stax_origin good = stax_origin_capture(lane), bad = good;

        report(lane, "good", good);
        report(lane, "missing", stax_no_origin());
        bad.tid = 4000000; /* more than there can be */
        report(lane, "no such thread", bad);
        bad.tid = 0xfff00001; /* a lane is no thread that queues work */
        report(lane, "synthetic thread", bad);
        bad = good;
        bad.pid = 1;
        report(lane, "another process", bad);
        bad = good;
        bad.time_ns -= 3600 * NS_PER_S;
        report(lane, "before the recording", bad);
        bad.time_ns = good.time_ns + 3600 * NS_PER_S;
        report(lane, "after the recording", bad);
    }
    return 0;
}
