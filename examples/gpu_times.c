/* SPDX-License-Identifier: MIT */
/*
 * gpu_times - spans whose times come from a device's own clock
 *
 * A device counts in ticks of its own. Two readings of both clocks, taken
 * together, say which tick was when; spans are reported with times of
 * CLOCK_MONOTONIC, long after they have ended. Here the device is made up: it
 * runs one command after the other, at 24 MHz.
 *
 *     stax record -- ./gpu_times; stax timeline; stax target spans
 */
#include <stdint.h>
#include <time.h>

#include <stax/target.h>

#define N_COMMANDS 16
#define NS_PER_S UINT64_C(1000000000)
#define TICKS_PER_S UINT64_C(24000000)
#define FIRST_TICK UINT64_C(123456789)

struct command {
    const char *kernel;
    uint64_t length_ticks, start_ticks, end_ticks;
    stax_origin origin;
};

static uint64_t booted_ns, device_free_ticks;

static uint64_t device_ticks(void)
{
    return FIRST_TICK + (stax_now_ns() - booted_ns) * TICKS_PER_S / NS_PER_S;
}

/* Work that is queued now runs when the device is done with what it has. */
static void enqueue(struct command *command, stax_lane lane)
{
    uint64_t now_ticks = device_ticks();

    command->origin = stax_origin_capture(lane);
    command->start_ticks = now_ticks > device_free_ticks ? now_ticks : device_free_ticks;
    command->end_ticks = command->start_ticks + command->length_ticks;
    device_free_ticks = command->end_ticks;
}

static uint64_t to_ns(uint64_t ticks, uint64_t at_ticks, uint64_t at_ns)
{
    return at_ns - (at_ticks - ticks) * NS_PER_S / TICKS_PER_S;
}

int main(void)
{
    static const char *const kernels[] = {"sgemm", "softmax", "copy"};
    time_t end = time(NULL) + 2;
    stax_lane lane = stax_lane_new_kind("GPU 0", STAX_LANE_GPU);

    booted_ns = stax_now_ns();
    while (time(NULL) < end) {
        struct command commands[N_COMMANDS];
        for (unsigned i = 0; i < N_COMMANDS; i++) {
            commands[i] = (struct command){.kernel = kernels[i % 3],
                                           .length_ticks = 2000 + 4000 * (uint64_t)(i % 3)};
            enqueue(&commands[i], lane);
        }
        while (device_ticks() < device_free_ticks) {
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        }
        uint64_t at_ns = stax_now_ns(), at_ticks = device_ticks();
        for (unsigned i = 0; i < N_COMMANDS; i++) {
            stax_span_report(lane, commands[i].kernel,
                             to_ns(commands[i].start_ticks, at_ticks, at_ns),
                             to_ns(commands[i].end_ticks, at_ticks, at_ns), commands[i].origin);
        }
    }
    return 0;
}
