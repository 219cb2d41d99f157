/* SPDX-License-Identifier: MIT */
#include "capture/fake/fake_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

#define BATCH_SAMPLES 256u
#define NAME_BYTES 32
#define PATH_BYTES 48

#define IMAGE_FIRST_IP UINT64_C(0x600000000000)
#define IMAGE_SPACING_BYTES (UINT64_C(1) << 32)
#define IMAGE_TEXT_OFFSET UINT64_C(0x1000)
#define FUNCTION_BYTES UINT64_C(64)
#define KERNEL_FIRST_IP UINT64_C(0xffffffff81000000)
#define KERNEL_STACK_EVERY 8u

struct lane { /* one CPU */
    uint32_t thread;
    uint64_t since_ns;
};

struct fake_stream {
    struct fake_script script;
    uint64_t start_ns, step_ns;
    unsigned
        octaves; /* stacks 2^o - 1 … 2^(o+1) - 2 are as frequent together as any other octave */
    uint64_t random;

    uint64_t n_introduced; /* threads, then images, then first switches: before the first sample */
    uint64_t n_samples;
    uint64_t n_switches;
    uint64_t n_switches_due; /* before the next sample */
    uint64_t n_switches_shared;
    bool is_out; /* half a switch is done: the next event is its other half */
    uint64_t n_finished;
    uint32_t *waiting; /* threads that no CPU runs, a ring */
    size_t waiting_first, n_waiting;
    struct lane *lanes;
    uint64_t *cpu_time_ns; /* by thread */

    uint64_t *ips; /* of the batch */
    size_t n_ips;
    char (*names)[NAME_BYTES];
    char (*paths)[PATH_BYTES];
    struct event_image *images;
};

int fake_stream_new(const struct fake_script *script, uint64_t start_ns,
                    struct fake_stream **ret_stream)
{
    _cleanup_(fake_stream_freep) struct fake_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return -ENOMEM;
    }
    stream->script = *script;
    stream->start_ns = start_ns;
    stream->step_ns = script->samples ? script->duration_ns / script->samples : 1;
    stream->step_ns = stream->step_ns ? stream->step_ns : 1;
    stream->random = hash_u64(script->seed + 1) | 1;
    while (((UINT64_C(1) << (stream->octaves + 1)) - 1) < script->stacks) {
        stream->octaves++;
    }
    stream->octaves++;
    stream->waiting = calloc(script->threads, sizeof(*stream->waiting));
    stream->lanes = calloc(script->cpus, sizeof(*stream->lanes));
    stream->cpu_time_ns = calloc(script->threads, sizeof(*stream->cpu_time_ns));
    stream->ips = calloc(BATCH_SAMPLES * (script->depth + script->kernel_depth), sizeof(uint64_t));
    stream->names = calloc(script->threads, sizeof(*stream->names));
    stream->paths = calloc(script->images, sizeof(*stream->paths));
    stream->images = calloc(script->images, sizeof(*stream->images));
    if (!stream->waiting || !stream->lanes || !stream->cpu_time_ns || !stream->ips ||
        !stream->names || !stream->paths || !stream->images) {
        return -ENOMEM;
    }
    *ret_stream = TAKE_PTR(stream);
    return 0;
}

struct fake_stream *fake_stream_free(struct fake_stream *stream)
{
    if (stream) {
        free(stream->waiting);
        free(stream->lanes);
        free(stream->cpu_time_ns);
        free(stream->ips);
        free(stream->names);
        free(stream->paths);
        free(stream->images);
        free(stream);
    }
    return NULL;
}

/* xorshift64*: fast, and the same everywhere. */
static uint64_t next_random(struct fake_stream *stream)
{
    uint64_t x = stream->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    stream->random = x;
    return (x * UINT64_C(0x2545F4914F6CDD1D)) >> 16;
}

static uint64_t pick_stack(struct fake_stream *stream)
{
    uint64_t octave = next_random(stream) % stream->octaves;
    uint64_t first = (UINT64_C(1) << octave) - 1;
    uint64_t most = UINT64_C(1) << octave;
    uint64_t there = stream->script.stacks - first;
    return first + next_random(stream) % (there < most ? there : most);
}

/* Level 0 is the outermost frame: the further in, the more bits of the stack's number matter. */
static uint64_t user_ip(const struct fake_stream *stream, uint64_t stack, uint64_t level)
{
    uint64_t deepest = stream->script.depth - 1;
    uint64_t shift = deepest ? stream->octaves * (deepest - level) / deepest : 0;
    uint64_t prefix = stack >> shift;
    uint64_t mixed = hash_u64(prefix * LIMIT_STACK_IPS + level + (stream->script.seed << 48));
    uint64_t function = mixed % stream->script.functions;
    uint64_t image = function % stream->script.images;
    return IMAGE_FIRST_IP + image * IMAGE_SPACING_BYTES + IMAGE_TEXT_OFFSET +
           function / stream->script.images * FUNCTION_BYTES + 4 + ((mixed >> 40) & 3) * 8;
}

static void make_sample(struct fake_stream *stream, struct event *event)
{
    const struct fake_script *script = &stream->script;
    uint64_t cpu = stream->n_samples % script->cpus;
    uint64_t stack = pick_stack(stream);
    uint64_t *ips = stream->ips + stream->n_ips;
    uint32_t n_kernel = 0;
    if (stack % KERNEL_STACK_EVERY == 0) {
        n_kernel = (uint32_t)script->kernel_depth;
        for (uint32_t i = 0; i < n_kernel; i++) {
            ips[i] = KERNEL_FIRST_IP + ((stack + n_kernel - i) % 512) * FUNCTION_BYTES;
        }
    }
    for (uint64_t i = 0; i < script->depth; i++) {
        ips[n_kernel + i] = user_ip(stream, stack, script->depth - 1 - i);
    }
    stream->n_ips += n_kernel + script->depth;
    stream->n_samples++;
    *event = (struct event){
        .kind = EVENT_SAMPLE,
        .cpu = (uint16_t)cpu,
        .time_ns = stream->start_ns + stream->n_samples * stream->step_ns,
        .pid = FAKE_STREAM_PID,
        .tid = FAKE_STREAM_PID + stream->lanes[cpu].thread,
        .stack = {.ips = ips,
                  .n_ips = n_kernel + (uint32_t)script->depth,
                  .n_kernel_ips = n_kernel},
        .sample = {.period_ns = stream->step_ns * script->cpus},
    };
}

static void put_waiting(struct fake_stream *stream, uint32_t thread)
{
    stream->waiting[(stream->waiting_first + stream->n_waiting++) % stream->script.threads] =
        thread;
}

static uint32_t take_waiting(struct fake_stream *stream)
{
    uint32_t thread = stream->waiting[stream->waiting_first];
    stream->waiting_first = (stream->waiting_first + 1) % stream->script.threads;
    stream->n_waiting--;
    return thread;
}

static void make_switch_in(struct fake_stream *stream, uint64_t cpu, uint64_t time_ns,
                           struct event *event)
{
    stream->lanes[cpu] = (struct lane){.thread = take_waiting(stream), .since_ns = time_ns};
    *event = (struct event){
        .kind = EVENT_SWITCH_IN,
        .cpu = (uint16_t)cpu,
        .time_ns = time_ns,
        .pid = FAKE_STREAM_PID,
        .tid = FAKE_STREAM_PID + stream->lanes[cpu].thread,
    };
}

static void make_switch_out(struct fake_stream *stream, uint64_t cpu, uint64_t time_ns,
                            struct event *event)
{
    struct lane *lane = &stream->lanes[cpu];
    stream->cpu_time_ns[lane->thread] += time_ns - lane->since_ns;
    *event = (struct event){
        .kind = EVENT_SWITCH_OUT,
        .cpu = (uint16_t)cpu,
        .is_preempted = stream->n_switches % 2 == 1,
        .time_ns = time_ns,
        .pid = FAKE_STREAM_PID,
        .tid = FAKE_STREAM_PID + lane->thread,
        .switch_out = {.cpu_time_ns = stream->cpu_time_ns[lane->thread],
                       .object = {.syscall = EVENT_NO_SYSCALL}},
    };
}

/* One half of a switch, at its share of the step before the next sample. */
static void make_switch(struct fake_stream *stream, struct event *event)
{
    uint64_t cpu = stream->n_samples % stream->script.cpus;
    uint64_t nth = stream->n_switches_shared - stream->n_switches_due;
    uint64_t time_ns = stream->start_ns + stream->n_samples * stream->step_ns +
                       stream->step_ns * (nth + 1) / (stream->n_switches_shared + 1);
    if (!stream->is_out) {
        make_switch_out(stream, cpu, time_ns, event);
        put_waiting(stream, stream->lanes[cpu].thread);
        stream->is_out = true;
        return;
    }
    make_switch_in(stream, cpu, time_ns, event);
    stream->is_out = false;
    stream->n_switches++;
    stream->n_switches_due--;
}

/* Threads, then images, then the first thread of each CPU. */
static bool introduce(struct fake_stream *stream, struct event *event)
{
    const struct fake_script *script = &stream->script;
    uint64_t nth = stream->n_introduced;
    *event = (struct event){.time_ns = stream->start_ns, .pid = FAKE_STREAM_PID};
    if (nth < script->threads) {
        snprintf(stream->names[nth], NAME_BYTES, nth ? "worker-%llu" : "replay",
                 (unsigned long long)nth);
        event->kind = EVENT_THREAD;
        event->tid = FAKE_STREAM_PID + (int64_t)nth;
        event->thread.change = EVENT_THREAD_PRESENT;
        event->thread.name = stream->names[nth];
        put_waiting(stream, (uint32_t)nth);
    } else if (nth < script->threads + script->images) {
        uint64_t i = nth - script->threads;
        snprintf(stream->paths[i], PATH_BYTES,
                 i ? "/nonexistent/replay/libreplay%llu.so" : "/nonexistent/replay/replay",
                 (unsigned long long)i);
        uint64_t first_ip = IMAGE_FIRST_IP + i * IMAGE_SPACING_BYTES;
        stream->images[i] = (struct event_image){
            .change = EVENT_IMAGE_MAPPED,
            .start_ip = first_ip,
            .end_ip = first_ip + IMAGE_TEXT_OFFSET +
                      (script->functions / script->images + 1) * FUNCTION_BYTES,
            .path = stream->paths[i],
            .inode = i + 1,
        };
        event->kind = EVENT_IMAGE;
        event->tid = FAKE_STREAM_PID;
        event->image = &stream->images[i];
    } else if (nth < script->threads + script->images + script->cpus) {
        make_switch_in(stream, nth - script->threads - script->images, stream->start_ns, event);
    } else {
        return false;
    }
    stream->n_introduced++;
    return true;
}

/* How many of the script's switches come before the next sample. */
static uint64_t share_of_switches(const struct fake_stream *stream)
{
    const struct fake_script *script = &stream->script;
    unsigned __int128 until = (unsigned __int128)script->switches * (stream->n_samples + 1);
    return (uint64_t)(until / script->samples) - stream->n_switches;
}

size_t fake_stream_next(struct fake_stream *stream, struct event *events, size_t max_events,
                        uint64_t max_samples)
{
    size_t n_events = 0;
    uint64_t last_sample = stream->n_samples;
    last_sample += max_samples < BATCH_SAMPLES ? max_samples : BATCH_SAMPLES;
    last_sample = last_sample < stream->script.samples ? last_sample : stream->script.samples;
    stream->n_ips = 0;
    while (n_events < max_events) {
        struct event *event = &events[n_events];
        if (introduce(stream, event)) {
            n_events++;
            continue;
        }
        if (stream->n_samples == last_sample) {
            break;
        }
        if (stream->n_switches_due == 0 && stream->n_switches_shared == 0) {
            stream->n_switches_due = stream->n_switches_shared = share_of_switches(stream);
        }
        if (stream->n_switches_due > 0) {
            make_switch(stream, event);
        } else {
            make_sample(stream, event);
            stream->n_switches_shared = 0;
        }
        n_events++;
    }
    return n_events;
}

bool fake_stream_is_played(const struct fake_stream *stream)
{
    const struct fake_script *script = &stream->script;
    return stream->n_introduced == script->threads + script->images + script->cpus &&
           stream->n_samples == script->samples;
}

size_t fake_stream_finish(struct fake_stream *stream, struct event *events, size_t max_events)
{
    const struct fake_script *script = &stream->script;
    uint64_t end_ns = stream->start_ns + script->samples * stream->step_ns;
    size_t n_events = 0;
    while (n_events < max_events && stream->n_finished < script->cpus + script->threads) {
        uint64_t nth = stream->n_finished++;
        if (nth < script->cpus) {
            make_switch_out(stream, nth, end_ns, &events[n_events]);
            events[n_events].is_preempted = false;
        } else {
            events[n_events] = (struct event){
                .kind = EVENT_THREAD,
                .time_ns = end_ns,
                .pid = FAKE_STREAM_PID,
                .tid = FAKE_STREAM_PID + (int64_t)(nth - script->cpus),
                .thread = {.change = EVENT_THREAD_GONE},
            };
        }
        n_events++;
    }
    return n_events;
}

uint64_t fake_stream_samples(const struct fake_stream *stream)
{
    return stream->n_samples;
}
