/* SPDX-License-Identifier: MIT */
/*
 * model_runtime - what a layer of a model worked on, and how fast
 *
 *     stax record -- ./model_runtime; stax target spans
 */
#include <stdint.h>
#include <time.h>

#include <stax/target.h>

static const struct layer {
    const char *name;
    uint32_t shape[3];
    unsigned n_turns;
} layers[] = {
    {"embedding", {1, 128, 256}, 200000},
    {"attention", {1, 128, 128}, 1500000},
    {"feed forward", {1, 128, 1024}, 900000},
};

static volatile unsigned long sum;

static void run(const struct layer *layer)
{
    for (unsigned i = 0; i < layer->n_turns; i++) {
        sum += i;
    }
}

static uint64_t size_of(const struct layer *layer)
{
    return sizeof(float) * layer->shape[0] * layer->shape[1] * layer->shape[2];
}

int main(void)
{
    time_t end = time(NULL) + 2;
    stax_lane lane = stax_lane_new("model");
    uint64_t n_dispatches = 0;

    while (time(NULL) < end) {
        for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
            const struct layer *layer = &layers[i];
            stax_span_builder span;
            /* While nobody records, the builder does nothing. */
            stax_builder_init(&span, lane, layer->name, stax_origin_capture(lane));
            uint64_t start_ns = stax_now_ns();
            run(layer);
            uint64_t end_ns = stax_now_ns();
            stax_builder_ids(&span, 1, 0, ++n_dispatches);
            stax_builder_source(&span, "model.graph", (uint32_t)i + 1, layer->name);
            stax_builder_attachment(&span, "activations", size_of(layer), layer->shape, 3);
            stax_builder_counter(&span, "throughput",
                                 (double)size_of(layer) / (double)(end_ns - start_ns), "GB/s");
            stax_builder_report(&span, start_ns, end_ns);
        }
    }
    return 0;
}
