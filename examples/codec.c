/* SPDX-License-Identifier: MIT */
/*
 * codec - stages inside of a frame
 *
 * Names are told once and are nested: the lane's time is that of the frames,
 * and each stage is shown inside of its frame.
 *
 *     stax record -- ./codec; stax target top
 */
#include <time.h>

#include <stax/target.h>

static volatile unsigned long sum;

static void spin(unsigned n_turns)
{
    for (unsigned i = 0; i < n_turns; i++) {
        sum += i;
    }
}

int main(void)
{
    time_t end = time(NULL) + 2;
    stax_lane lane = stax_lane_new("decoder");
    stax_name_id frame = stax_name("frame");
    stax_name_id entropy = stax_name_inside(frame, "entropy decoding");
    stax_name_id transform = stax_name_inside(frame, "inverse transform");

    while (time(NULL) < end) {
        stax_span whole = stax_span_begin_named(lane, frame, stax_origin_capture(lane));
        stax_span part = stax_span_begin_named(lane, entropy, stax_no_origin());
        spin(500000);
        stax_span_end(&part);
        part = stax_span_begin_named(lane, transform, stax_no_origin());
        spin(1500000);
        stax_span_end(&part);
        stax_span_end(&whole);
    }
    return 0;
}
