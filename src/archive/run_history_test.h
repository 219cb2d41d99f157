/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_history_test - runs by chance with everything in them that an archive
 * keeps, and what it takes to see that two runs are the same
 *
 * Owner:   the caller's aggregate. Threads: one.
 */

#include <stdlib.h>
#include <unistd.h>

#include "aggregate/aggregate_test.h"
#include "aggregate/wait_cursor.h"
#include "archive/history_spans_test.h"
#include "archive/run_history.h"

/* ---- a run by chance ---- */

struct history_world {
    struct aggregate *aggregate;
    struct random_life life;
    bool has_lag;
    uint64_t cpu_time_ns;
    uint64_t counted_ns[8];
    uint64_t n_born;
    struct spans_world spans;
};

static inline uint64_t world_below(struct history_world *world, uint64_t bound)
{
    return random_life_below(&world->life, bound);
}

static inline int64_t world_tid(struct history_world *world)
{
    return TEST_PID + (int64_t)world_below(world, world->life.n_threads);
}

static inline struct event world_event(const struct history_world *world, enum event_kind kind,
                                       int64_t tid)
{
    return (struct event){.kind = kind, .time_ns = world->life.now_ns, .pid = TEST_PID, .tid = tid};
}

/* Files with and without build-ids, memory without a file, the vdso. */
static inline void world_map(struct history_world *world)
{
    static const char *const paths[] = {"/usr/lib/libone.so", "/usr/lib/libtwo.so (deleted)",
                                        "//anon", "[vdso]", "/tmp/x y.so"};
    uint64_t choice = world_below(world, 5);
    struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = UINT64_C(0x7f0000000000) + 0x100000 * world_below(world, 16),
        .file_offset = 0x1000 * world_below(world, 4),
        .path = paths[choice],
        .inode = 7 + choice,
        .device_major = 8,
        .device_minor = (uint32_t)choice,
    };
    image.end_ip = image.start_ip + 0x80000;
    if (choice != 1) {
        image.build_id_bytes = choice == 4 ? 8 : 20;
        memset(image.build_id, 0xa0 + (int)choice, image.build_id_bytes);
    }
    tell_image(world->aggregate, world->life.now_ns, TEST_PID, image);
}

/* A stack of the kernel, of mapped and of unmapped memory. */
static inline void world_sample(struct history_world *world)
{
    uint64_t ips[6];
    uint32_t n_kernel_ips = (uint32_t)world_below(world, 2);
    for (uint32_t i = 0; i < 6; i++) {
        ips[i] = UINT64_C(0x7f0000000001) + 0x100000 * world_below(world, 20) +
                 16 * world_below(world, 9);
    }
    ips[0] = n_kernel_ips ? UINT64_C(0xffffffff81000000) + 16 * world_below(world, 99) : ips[0];
    struct event event = world_event(world, EVENT_SAMPLE, world_tid(world));
    event.cpu = (uint16_t)world_below(world, 300);
    event.sample.period_ns = (uint32_t)world_below(world, 3 * TEST_MS);
    event.stack = (struct event_stack){.ips = ips,
                                       .n_ips = 1 + (uint32_t)world_below(world, 6),
                                       .n_kernel_ips = n_kernel_ips,
                                       .source = (uint8_t)world_below(world, 2),
                                       .end = EVENT_STACK_END_COMPLETE,
                                       .is_truncated = world_below(world, 9) == 0};
    tell(world->aggregate, event);
}

static inline void world_count(struct history_world *world)
{
    uint64_t number = world_below(world, 8);
    uint64_t ips[12];
    uint64_t *counted_ns = &world->counted_ns[number];
    *counted_ns += world_below(world, 4 * TEST_MS);
    const struct event_counters reading = {
        .group = 70 + number % 2,
        .enabled_ns = *counted_ns + number * *counted_ns / 8,
        .running_ns = *counted_ns,
        .slots = 7,
        .values = {3 * *counted_ns, 2 * *counted_ns, *counted_ns / 100, 5},
    };
    struct event event =
        world_event(world, EVENT_COUNTERS, TEST_PID + (int64_t)(number % world->life.n_threads));
    event.stack.n_ips = random_life_stack(&world->life, ips);
    event.stack.ips = ips;
    event.counters = &reading;
    tell(world->aggregate, event);
}

/* Threads that are born, named, run and go, others that wake and are none of the target's. */
static inline void world_live_and_die(struct history_world *world)
{
    static const char *const names[] = {"worker", "w\xc3\xb6rker", "worker-with-a-long-name", ""};
    int64_t tid = TEST_PID + 100 + (int64_t)world_below(world, 6);
    uint64_t choice = world_below(world, 6);
    struct event event = world_event(world, EVENT_THREAD, tid);
    if (choice == 0) {
        event.thread.change = EVENT_THREAD_BORN;
        event.thread.creator_tid = world_tid(world);
        world->n_born++;
    } else if (choice == 1) {
        event.thread.change = EVENT_THREAD_GONE;
    } else if (choice == 2) {
        event.thread.change = EVENT_THREAD_NAMED;
        event.thread.name = names[world_below(world, 4)];
    } else {
        event.kind = choice == 3 ? EVENT_SWITCH_OUT : EVENT_SWITCH_IN;
        event.is_preempted = world_below(world, 2) == 0;
        if (choice == 3) {
            event.switch_out.object.syscall = EVENT_NO_SYSCALL;
        } else {
            event.switch_in.waker_tid = EVENT_WAKER_UNKNOWN;
        }
    }
    tell(world->aggregate, event);
}

static inline void world_tell_cpu_time(struct history_world *world)
{
    struct event event = world_event(world, EVENT_THREAD, TEST_PID);
    event.thread.change = EVENT_THREAD_CPU_TIME;
    world->cpu_time_ns += 2000 * TEST_MS;
    event.thread.cpu_time_ns = world->cpu_time_ns;
    if (world->has_lag) {
        tell(world->aggregate, event);
    }
}

static inline void world_wake(struct history_world *world)
{
    struct event event = world_event(world, EVENT_WAKEUP, world_tid(world));
    event.wakeup.waker_tid = 5000 + (int64_t)world_below(world, 30);
    event.wakeup.waker_name = world_below(world, 2) == 0 ? "kworker" : NULL;
    event.wakeup.ends_no_wait = true;
    tell(world->aggregate, event);
}

static inline void world_step(struct history_world *world)
{
    world->life.now_ns += world_below(world, 50000);
    uint64_t choice = world_below(world, 100);
    if (choice < 4) {
        world_map(world);
    } else if (choice < 40) {
        world_sample(world);
    } else if (choice < 60) {
        world_count(world);
    } else if (choice < 80) {
        world_live_and_die(world);
    } else if (choice < 90) {
        world_wake(world);
    } else if (choice < 98) {
        world_tell_cpu_time(world);
    } else {
        struct event event = world_event(world, EVENT_LOST, TEST_PID);
        event.lost.cause = (enum event_lost_cause)world_below(world, EVENT_LOST_CAUSE_N);
        event.lost.count = 3;
        tell(world->aggregate, event);
    }
    world->spans.aggregate = world->aggregate;
    world->spans.life = &world->life;
    if (choice % 3 == 0) {
        spans_step(&world->spans);
    }
    random_life_play(&world->life, world->aggregate, 4);
}

static inline void world_play(struct history_world *world, unsigned int n_steps)
{
    random_life_play(&world->life, world->aggregate, 10);
    for (unsigned int i = 0; i < n_steps; i++) {
        world_step(world);
    }
}

/* ---- two runs that have to be the same ---- */

static inline void assert_same_tables(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_images, other->n_images);
    for (image_id i = 0; i < one->n_images; i++) {
        const struct image *a = snapshot_image(one, i), *b = snapshot_image(other, i);
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->kind, b->kind);
        assert_string_equal(a->path, b->path);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->inode, b->inode);
        assert_int_equal(a->device_major, b->device_major);
        assert_int_equal(a->device_minor, b->device_minor);
        assert_int_equal(a->build_id_bytes, b->build_id_bytes);
        assert_memory_equal(a->build_id, b->build_id, sizeof(a->build_id));
        assert_int_equal(a->pid, b->pid);
        assert_int_equal(a->start_ip, b->start_ip);
        assert_int_equal(a->end_ip, b->end_ip);
        assert_int_equal(a->start_offset, b->start_offset);
    }
    assert_int_equal(one->n_code_epochs, other->n_code_epochs);
    for (uint32_t i = 1; i < one->n_code_epochs; i++) {
        struct epoch_span a = snapshot_code_epoch(one, i), b = snapshot_code_epoch(other, i);
        assert_int_equal(a.pid, b.pid);
        assert_int_equal(a.from_ns, b.from_ns);
        assert_int_equal(a.to_ns, b.to_ns);
    }
    assert_int_equal(one->n_frames, other->n_frames);
    for (frame_id i = 0; i < one->n_frames; i++) {
        struct frame a = snapshot_frame(one, i), b = snapshot_frame(other, i);
        assert_int_equal(a.image, b.image);
        assert_int_equal(a.code_epoch, b.code_epoch);
        assert_int_equal(a.offset, b.offset);
        if (a.image == IMAGE_ID_NAMED) {
            assert_string_equal(snapshot_named_place(one, a.offset),
                                snapshot_named_place(other, b.offset));
        }
    }
    assert_int_equal(one->n_stacks, other->n_stacks);
    for (stack_id i = 1; i < one->n_stacks; i++) {
        struct stack_node a = snapshot_stack(one, i), b = snapshot_stack(other, i);
        assert_int_equal(a.parent, b.parent);
        assert_int_equal(a.frame, b.frame);
    }
    assert_int_equal(one->n_wait_objects, other->n_wait_objects);
    for (wait_object_id i = 0; i < one->n_wait_objects; i++) {
        struct wait_object a = snapshot_wait_object(one, i), b = snapshot_wait_object(other, i);
        assert_int_equal(a.pid, b.pid);
        assert_int_equal(a.syscall, b.syscall);
        assert_int_equal(a.argument, b.argument);
    }
}

/* Their newest name counts, also in older snapshots of a run that goes on. */
static inline void assert_same_outsiders(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_outsiders, other->n_outsiders);
    for (waker_id i = 0; i < one->n_outsiders; i++) {
        struct outsider a = snapshot_outsider(one, WAKER_ID_OUTSIDER | i);
        struct outsider b = snapshot_outsider(other, WAKER_ID_OUTSIDER | i);
        assert_int_equal(a.tid, b.tid);
        assert_string_equal(a.name, b.name);
    }
}

static inline void assert_same_threads(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_threads, other->n_threads);
    for (size_t i = 0; i < one->n_threads; i++) {
        const struct thread_totals *a = &one->threads[i], *b = &other->threads[i];
        assert_int_equal(a->pid, b->pid);
        assert_int_equal(a->tid, b->tid);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->phase, b->phase);
        assert_int_equal(a->start_ns, b->start_ns);
        assert_int_equal(a->end_ns, b->end_ns);
        assert_int_equal(a->phase_since_ns, b->phase_since_ns);
        assert_int_equal(a->waited_since_ns, b->waited_since_ns);
        assert_int_equal(a->cpu_ns, b->cpu_ns);
        assert_int_equal(a->blocked_ns, b->blocked_ns);
        assert_int_equal(a->runnable_ns, b->runnable_ns);
        assert_int_equal(a->n_samples, b->n_samples);
        assert_int_equal(a->n_voluntary, b->n_voluntary);
        assert_int_equal(a->n_involuntary, b->n_involuntary);
        assert_int_equal(a->period_ns, b->period_ns);
        assert_int_equal(a->creator_tid, b->creator_tid);
        assert_int_equal(a->wait_stack, b->wait_stack);
        assert_int_equal(a->wait_object, b->wait_object);
        assert_int_equal(a->wait_flags, b->wait_flags);
    }
}

static inline void assert_same_sums(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_pairs, other->n_pairs);
    for (size_t i = 0; i < one->n_pairs; i++) {
        struct sample_pair a = snapshot_pair(one, i), b = snapshot_pair(other, i);
        assert_int_equal(a.thread, b.thread);
        assert_int_equal(a.stack, b.stack);
        assert_int_equal(a.slice_class, b.slice_class);
        assert_int_equal(one->pair_counts[i], other->pair_counts[i]);
    }
    assert_memory_equal(one->class_ns, other->class_ns, sizeof(one->class_ns));
    assert_memory_equal(one->class_slices, other->class_slices, sizeof(one->class_slices));
    assert_memory_equal(one->class_samples, other->class_samples, sizeof(one->class_samples));
    assert_memory_equal(one->class_met_ns, other->class_met_ns, sizeof(one->class_met_ns));
    assert_int_equal(one->n_wait_sums, other->n_wait_sums);
    for (size_t i = 0; i < one->n_wait_sums; i++) {
        const struct wait_sums *a = &one->wait_sums[i], *b = &other->wait_sums[i];
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->n_waits, b->n_waits);
        assert_int_equal(a->blocked_ns, b->blocked_ns);
        assert_int_equal(a->runnable_ns, b->runnable_ns);
        assert_int_equal(a->max_blocked_ns, b->max_blocked_ns);
    }
    assert_int_equal(one->n_wake_sums, other->n_wake_sums);
    for (size_t i = 0; i < one->n_wake_sums; i++) {
        const struct wake_sums *a = &one->wake_sums[i], *b = &other->wake_sums[i];
        assert_int_equal(a->waker, b->waker);
        assert_int_equal(a->wakee, b->wakee);
        assert_int_equal(a->waker_stack, b->waker_stack);
        assert_int_equal(a->n_wakeups, b->n_wakeups);
        assert_int_equal(a->blocked_ns, b->blocked_ns);
        assert_int_equal(a->runnable_ns, b->runnable_ns);
    }
    assert_int_equal(one->n_counter_sums, other->n_counter_sums);
    for (size_t i = 0; i < one->n_counter_sums; i++) {
        const struct counter_sums *a = &one->counter_sums[i], *b = &other->counter_sums[i];
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->n_readings, b->n_readings);
        assert_memory_equal(a->values, b->values, sizeof(a->values));
    }
    assert_int_equal(one->n_counter_times, other->n_counter_times);
    for (size_t i = 0; i < one->n_counter_times; i++) {
        assert_memory_equal(&one->counter_times[i], &other->counter_times[i],
                            sizeof(one->counter_times[i]));
    }
}

static inline void assert_same_wait(const struct stored_wait *a, const struct stored_wait *b)
{
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->wake_ns, b->wake_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_int_equal(a->thread, b->thread);
    assert_int_equal(a->stack, b->stack);
    assert_int_equal(a->waker, b->waker);
    assert_int_equal(a->waker_stack, b->waker_stack);
    assert_int_equal(a->object, b->object);
    assert_int_equal(a->flags, b->flags);
}

/* What a cursor finds, in whatever order: how many, and what their times sum to. */
static inline void assert_same_waits_in(const struct snapshot *one, const struct snapshot *other,
                                        uint64_t from_ns, uint64_t to_ns)
{
    const struct snapshot *snapshots[] = {one, other};
    uint64_t n_found[2] = {0}, sums_ns[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        struct wait_cursor cursor = wait_cursor_begin(snapshots[i], from_ns, to_ns);
        for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
             wait = wait_cursor_next(&cursor)) {
            n_found[i]++;
            sums_ns[i] += wait->end_ns - wait->start_ns + 3 * wait->thread;
        }
    }
    assert_int_equal(n_found[0], n_found[1]);
    assert_int_equal(sums_ns[0], sums_ns[1]);
}

static inline void assert_same_records(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_samples, other->n_samples);
    assert_int_equal(one->first_sample, other->first_sample);
    for (uint64_t i = one->first_sample; i < one->n_samples; i++) {
        const struct stored_sample *a = snapshot_sample(one, i), *b = snapshot_sample(other, i);
        assert_int_equal(a->time_ns, b->time_ns);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->cpu, b->cpu);
        assert_int_equal(a->slice_class, b->slice_class);
        assert_int_equal(a->period_ns, b->period_ns);
    }
    assert_int_equal(one->n_slices, other->n_slices);
    assert_int_equal(one->first_slice, other->first_slice);
    for (uint64_t i = one->first_slice; i < one->n_slices; i++) {
        const struct stored_slice *a = snapshot_slice(one, i), *b = snapshot_slice(other, i);
        assert_int_equal(a->start_ns, b->start_ns);
        assert_int_equal(a->end_ns, b->end_ns);
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->cpu, b->cpu);
        assert_int_equal(a->before, b->before);
        assert_int_equal(a->after, b->after);
    }
    assert_int_equal(one->n_waits, other->n_waits);
    assert_int_equal(one->first_wait, other->first_wait);
    for (uint64_t i = one->first_wait; i < one->n_waits; i++) {
        assert_same_wait(snapshot_wait(one, i), snapshot_wait(other, i));
    }
    assert_int_equal(one->n_readings, other->n_readings);
    assert_int_equal(one->first_reading, other->first_reading);
    for (uint64_t i = one->first_reading; i < one->n_readings; i++) {
        const struct stored_reading *a = snapshot_reading(one, i), *b = snapshot_reading(other, i);
        assert_int_equal(a->time_ns, b->time_ns);
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->enabled_ns, b->enabled_ns);
        assert_int_equal(a->running_ns, b->running_ns);
        assert_memory_equal(a->values, b->values, sizeof(a->values));
    }
    uint64_t part_ns = (one->now_ns - one->start_ns) / 20;
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t from_ns = one->start_ns + i * part_ns;
        assert_same_waits_in(one, other, from_ns, from_ns + part_ns / 7);
        assert_same_waits_in(one, other, from_ns, from_ns + 9 * part_ns);
    }
}

/* All that a query reads. How the newest records are held and what memory it takes may differ. */
static inline void assert_same_snapshot(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->sequence, other->sequence);
    assert_int_equal(one->start_ns, other->start_ns);
    assert_int_equal(one->now_ns, other->now_ns);
    assert_int_equal(one->folded_until_ns, other->folded_until_ns);
    assert_int_equal(one->n_kernel_samples, other->n_kernel_samples);
    assert_int_equal(one->n_wait_stacks_unknown, other->n_wait_stacks_unknown);
    assert_int_equal(one->n_wait_details_full, other->n_wait_details_full);
    assert_int_equal(one->n_readings_dropped, other->n_readings_dropped);
    assert_memory_equal(one->lost, other->lost, sizeof(one->lost));
    assert_int_equal(one->n_wakeups, other->n_wakeups);
    assert_int_equal(one->n_stacks_truncated, other->n_stacks_truncated);
    assert_int_equal(one->n_stacks_empty, other->n_stacks_empty);
    assert_int_equal(one->n_missed_switches, other->n_missed_switches);
    assert_int_equal(one->switch_lag_ns, other->switch_lag_ns);
    assert_int_equal(one->has_no_switches, other->has_no_switches);
    assert_same_tables(one, other);
    assert_same_outsiders(one, other);
    assert_same_threads(one, other);
    assert_same_sums(one, other);
    assert_same_records(one, other);
    assert_same_spans(one, other);
}

/* ---- archives ---- */

/* In a directory of their own, which history_folder_remove() removes with all in it. */
struct history_folder {
    char path[64];
};

static inline void history_folder_make(struct history_folder *folder)
{
    /* In memory where that can be: archives are synced, and tests write hundreds. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder->path, sizeof(folder->path), "%s/stax-history-XXXXXX", parent);
    assert_non_null(mkdtemp(folder->path));
}

static inline void history_folder_remove(const struct history_folder *folder)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder->path);
    assert_int_equal(system(command), 0);
}

static inline struct archive_reader *history_open(const struct history_folder *folder,
                                                  const char *name)
{
    char path[128];
    struct error error = {0};
    struct archive_reader *reader = NULL;
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    return reader;
}

static inline struct archive_reader *history_save(const struct history_folder *folder,
                                                  const char *name, const struct snapshot *snapshot)
{
    char path[128];
    struct error error = {0};
    struct archive_writer *writer = NULL;
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    assert_int_equal(run_history_write(snapshot, writer, &error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
    archive_writer_free(writer);
    return history_open(folder, name);
}
