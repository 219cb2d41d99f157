/* SPDX-License-Identifier: MIT */

/*
 * The builder's details are slots as they will be written, without their
 * positions.
 */

#include <stddef.h>
#include <string.h>

#include "target/span.h"

_Static_assert(sizeof(((stax_span_builder *)0)->details[0]) == sizeof(struct target_ring_slot),
               "a detail is a slot");
_Static_assert(STAX_BUILDER_DETAILS == TARGET_RING_DETAILS, "what fits is what the server takes");
#define AT(member, offset)                                                                         \
    _Static_assert(offsetof(struct target_ring_slot, member) == (offset), #member)
AT(words, 2 * sizeof(uint64_t));
#undef AT

void stax_builder_init(stax_span_builder *ret_builder, stax_lane lane, const char *name,
                       stax_origin origin)
{
    ret_builder->n_details = 0;
    ret_builder->lane = lane;
    ret_builder->origin = origin;
    ret_builder->name.id = 0;
    ret_builder->is_active = target_is_recorded() && lane.id;
    if (ret_builder->is_active) {
        ret_builder->name = stax_name(name);
    }
}

static void add(stax_span_builder *builder, struct target_ring_slot *detail,
                enum target_ring_slot_kind kind)
{
    if (builder->n_details >= STAX_BUILDER_DETAILS) {
        TARGET_COUNT(n_details_refused);
        return;
    }
    detail->kind = (uint16_t)kind;
    memcpy(builder->details[builder->n_details], detail, sizeof(*detail));
    builder->n_details++;
}

void stax_builder_ids(stax_span_builder *builder, uint64_t queue_id, uint64_t command_buffer_id,
                      uint64_t dispatch_id)
{
    struct target_ring_slot detail = {0};

    if (!builder->is_active) {
        return;
    }
    detail.ids.queue_id = queue_id;
    detail.ids.command_buffer_id = command_buffer_id;
    detail.ids.dispatch_id = dispatch_id;
    add(builder, &detail, TARGET_RING_IDS);
}

void stax_builder_waited(stax_span_builder *builder, stax_origin waiter, uint64_t end_ns)
{
    struct target_ring_slot detail = {0};

    if (!builder->is_active) {
        return;
    }
    detail.wait.begin = target_ring_origin_of(waiter);
    detail.wait.end_ns = end_ns;
    add(builder, &detail, TARGET_RING_WAIT);
}

void stax_builder_completed(stax_span_builder *builder, stax_origin completion)
{
    struct target_ring_slot detail = {0};

    if (!builder->is_active) {
        return;
    }
    detail.completion = target_ring_origin_of(completion);
    add(builder, &detail, TARGET_RING_COMPLETION);
}

void stax_builder_source(stax_span_builder *builder, const char *file, uint32_t line,
                         const char *function)
{
    struct target_ring_slot detail = {0};

    if (!builder->is_active) {
        return;
    }
    detail.name = stax_name(file).id;
    detail.source.function = stax_name(function).id;
    detail.source.line = line;
    add(builder, &detail, TARGET_RING_SOURCE);
}

void stax_builder_counter(stax_span_builder *builder, const char *name, double value,
                          const char *unit)
{
    struct target_ring_slot detail = {0};

    if (!builder->is_active) {
        return;
    }
    detail.name = stax_name(name).id;
    detail.counter.value = value;
    detail.counter.unit = stax_name(unit).id;
    add(builder, &detail, TARGET_RING_COUNTER);
}

void stax_builder_attachment(stax_span_builder *builder, const char *label, uint64_t size_bytes,
                             const uint32_t *dimensions, size_t n_dimensions)
{
    struct target_ring_slot detail = {0};
    const size_t n_max = sizeof(detail.attachment.dimensions) / sizeof(uint32_t);

    if (!builder->is_active) {
        return;
    }
    detail.name = stax_name(label).id;
    detail.attachment.size_bytes = size_bytes;
    for (size_t i = 0; dimensions && i < n_dimensions && i < n_max; i++) {
        detail.attachment.dimensions[i] = dimensions[i];
        detail.attachment.n_dimensions = (uint32_t)i + 1;
    }
    add(builder, &detail, TARGET_RING_ATTACHMENT);
}

void stax_builder_report(const stax_span_builder *builder, uint64_t start_ns, uint64_t end_ns)
{
    uint32_t n_details = builder->n_details;
    uint64_t position;

    if (!builder->is_active || n_details > STAX_BUILDER_DETAILS) {
        return;
    }
    if (!target_is_recorded()) {
        TARGET_COUNT(n_dropped_no_server);
        return;
    }
    if (!target_span_reserve(n_details, &position)) {
        return;
    }
    for (uint32_t i = 0; i < n_details; i++) {
        uint64_t at = position + 1 + i;
        struct target_ring_slot *slot = target_ring_slot_at(target_process.memory, at);
        uint64_t *words = (uint64_t *)(void *)slot;
        /* Not the commit word, which is the first. */
        for (size_t k = 1; k < sizeof(*slot) / sizeof(*words); k++) {
            TARGET_STORE(words[k], builder->details[i][k]);
        }
        target_ring_publish(slot, at);
    }
    stax_span span = {.start_ns = start_ns,
                      .origin = builder->origin,
                      .lane = builder->lane,
                      .name = builder->name};
    target_span_write(position, (uint16_t)n_details, &span, end_ns);
}
