/* SPDX-License-Identifier: MIT */
/*
 * fuzz_target_ring - memory that a program shares with the server, filled with anything
 *
 * The input is a list of what the program does: bytes anywhere in the memory,
 * slots, names, lanes, a head; and of the server's looks at it. Whatever it is,
 * the run is told of a lane and a name before they are used, texts are bounded
 * and harmless, spans end after they begin, and each look ends.
 */
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/lane.h"
#include "server/target_ingest.h"

#define PID 100
#define START_NS UINT64_C(10000000000)
#define MAX_LOOKS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static uint8_t *memory; /* the program's */
static int fd;
static struct run_ingest *ingest; /* empty after each input */

static struct target_ring_state *state_of(void)
{
    return (void *)(memory + TARGET_RING_PAGE);
}

static void check(bool is_right)
{
    if (!is_right) {
        abort();
    }
}

static void make_memory(void)
{
    fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    check(fd >= 0 && ftruncate(fd, TARGET_RING_BYTES) == 0 &&
          fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    memory = mmap(NULL, TARGET_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const struct run_ingest_config queue = {.n_slabs = 4};
    check(memory != MAP_FAILED && run_ingest_new(&queue, &ingest) == 0);
}

static void describe_memory(void)
{
    check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, TARGET_RING_BYTES) == 0);
    *state_of() = (struct target_ring_state){
        .magic = TARGET_RING_MAGIC,
        .version = TARGET_RING_VERSION,
        .slot_bytes = sizeof(struct target_ring_slot),
        .n_slots = TARGET_RING_SLOTS,
        .n_lanes_max = TARGET_RING_LANES,
        .n_names_max = TARGET_RING_NAMES,
        .text_bytes = TARGET_RING_TEXT_BYTES,
        .lanes_offset = TARGET_RING_LANES_OFFSET,
        .names_offset = TARGET_RING_NAMES_OFFSET,
        .text_offset = TARGET_RING_TEXT_OFFSET,
        .slots_offset = TARGET_RING_SLOTS_OFFSET,
        .total_bytes = TARGET_RING_BYTES,
    };
}

/* What is left of the input; past its end come zeros. */
struct input {
    const uint8_t *data;
    size_t n_left;
};

static void take(struct input *input, void *ret_bytes, size_t n_bytes)
{
    size_t n = n_bytes < input->n_left ? n_bytes : input->n_left;
    memset(ret_bytes, 0, n_bytes);
    memcpy(ret_bytes, input->data, n);
    input->data += n;
    input->n_left -= n;
}

static uint32_t take_u32(struct input *input)
{
    uint32_t value;
    take(input, &value, sizeof(value));
    return value;
}

static void write_slot(struct input *input)
{
    struct target_ring_slot slot;
    uint64_t position = state_of()->head;
    take(input, &slot, sizeof(slot));
    slot.commit += position + 1;
    memcpy(memory + TARGET_RING_SLOTS_OFFSET +
               (position & (TARGET_RING_SLOTS - 1)) * sizeof(struct target_ring_slot),
           &slot, sizeof(slot));
    state_of()->head = position + 1;
}

static void write_bytes(struct input *input)
{
    uint8_t bytes[256];
    uint32_t offset = take_u32(input) % (TARGET_RING_BYTES - sizeof(bytes));
    uint8_t n_bytes;
    take(input, &n_bytes, 1);
    take(input, bytes, n_bytes);
    memcpy(memory + offset, bytes, n_bytes);
}

static void write_entry(struct input *input, uint32_t offset, uint32_t n_entries)
{
    uint32_t id = take_u32(input) % n_entries;
    take(input, memory + offset + (size_t)id * sizeof(struct target_ring_name),
         sizeof(struct target_ring_name));
}

/* What the run was told. */
struct told {
    uint32_t n_lanes, n_names;
};

static void check_text(const char *text)
{
    check(strlen(text) < LIMIT_SPAN_NAME_BYTES);
    for (; *text; text++) {
        check((uint8_t)*text >= 0x20 && *text != 0x7f);
    }
}

static void check_details(const struct told *told, const struct event_span_details *details)
{
    check(details->n_counters <= LIMIT_SPAN_DETAILS);
    check(details->n_attachments <= LIMIT_SPAN_DETAILS);
    check(details->source_file <= told->n_names && details->source_function <= told->n_names);
    for (uint32_t i = 0; i < details->n_counters; i++) {
        check(details->counters[i].name <= told->n_names && details->counters[i].name > 0);
        check(details->counters[i].unit <= told->n_names && isfinite(details->counters[i].value));
    }
    for (uint32_t i = 0; i < details->n_attachments; i++) {
        check(details->attachments[i].label <= told->n_names);
        check(details->attachments[i].n_dimensions <= LIMIT_SPAN_DIMENSIONS);
    }
}

static void check_event(struct told *told, const struct event *event)
{
    switch (event->kind) {
    case EVENT_LANE:
        check(event->lane.lane == told->n_lanes++ && event->lane.lane < LIMIT_LANES);
        check(event->lane.kind < LANE_KIND_N && event->pid == PID);
        check_text(event->lane.name);
        break;
    case EVENT_SPAN_NAME:
        check(event->span_name.name == ++told->n_names && told->n_names <= LIMIT_SPAN_NAMES);
        check(event->span_name.parent < event->span_name.name);
        check_text(event->span_name.text);
        break;
    case EVENT_SPAN:
        check(event->span->lane < told->n_lanes);
        check(event->span->name > 0 && event->span->name <= told->n_names);
        check(event->span->end_ns >= event->span->start_ns && event->span->end_ns >= START_NS);
        if (event->span->details) {
            check_details(told, event->span->details);
        }
        break;
    case EVENT_SPANS_LOST:
        check(event->spans_lost.count > 0);
        break;
    default:
        abort();
    }
}

static void check_queue(struct told *told)
{
    struct run_slab *slab;
    while ((slab = run_ingest_next(ingest))) {
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            check_event(told, event_batch_get(slab->batch, i));
        }
        run_ingest_return(ingest, slab);
    }
}

static void play(struct input *input, struct target_producer *producer,
                 struct target_ingest *target)
{
    struct told told = {.n_lanes = 0};
    uint64_t now_ns = START_NS;
    unsigned n_looks = 0;
    while (input->n_left > 0) {
        uint8_t what;
        take(input, &what, 1);
        switch (what) {
        case 's':
            write_slot(input);
            break;
        case 'n':
            write_entry(input, TARGET_RING_NAMES_OFFSET, TARGET_RING_NAMES);
            break;
        case 'l':
            write_entry(input, TARGET_RING_LANES_OFFSET, TARGET_RING_LANES);
            break;
        case 'h':
            take(input, &state_of()->head, sizeof(state_of()->head));
            break;
        case 'w':
            write_bytes(input);
            break;
        case 'r':
            state_of()->head++; /* reserved, and left */
            break;
        default:
            now_ns += what * NS_PER_MS * 10;
            if (n_looks++ < MAX_LOOKS) {
                (void)target_ingest_poll(target, now_ns);
                check_queue(&told);
            }
            break;
        }
    }
    atomic_store(&producer->is_gone, true);
    target_ingest_end(target, now_ns);
    run_ingest_flush(ingest);
    check_queue(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (!memory) {
        make_memory();
    }
    describe_memory();
    _cleanup_(target_ingest_freep) struct target_ingest *target = NULL;
    struct target_ring_reader *reader = NULL;
    const struct target_ingest_config config = {.pid = PID, .ingest = ingest};
    check(target_ingest_new(&config, &target) == 0);
    check(target_ring_reader_new(fd, &reader) == TARGET_RING_ACCEPTED);
    struct target_producer *producer = target_producer_new(PID, reader);
    check(producer);
    const struct event first = {.kind = EVENT_THREAD, .pid = PID};
    target_ingest_note(target, &first, 1);
    target_ingest_begin(target, START_NS);
    target_ingest_offer(target, producer);
    struct input input = {.data = data, .n_left = n_bytes};
    play(&input, producer, target);
    target_producer_unref(producer);
    return 0;
}
