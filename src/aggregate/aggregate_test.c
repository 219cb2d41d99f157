/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate_test.h"

#define KERNEL_IP UINT64_C(0xffffffff81000010)

static struct aggregate *new_aggregate(struct aggregate_config config)
{
    struct aggregate *aggregate;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    return aggregate;
}

static const struct thread_totals *find_thread(const struct snapshot *snapshot, int64_t tid)
{
    const struct thread_totals *found = NULL;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        found = snapshot->threads[i].tid == tid ? &snapshot->threads[i] : found;
    }
    assert_non_null(found);
    return found;
}

/* The n-th frame of a stack from the innermost, as "name+offset". */
static const char *frame_text(const struct snapshot *snapshot, stack_id stack, unsigned int n)
{
    static char text[128];
    struct stack_node node = snapshot_stack(snapshot, stack);
    for (; n > 0; n--) {
        assert_int_not_equal(node.parent, STACK_ID_EMPTY);
        node = snapshot_stack(snapshot, node.parent);
    }
    struct frame frame = snapshot_frame(snapshot, node.frame);
    (void)snprintf(text, sizeof(text), "%s+%#llx", snapshot_image(snapshot, frame.image)->name,
                   (unsigned long long)frame.offset);
    return text;
}

static const char *sample_text(const struct snapshot *snapshot, uint64_t sample, unsigned int n)
{
    assert_true(sample < snapshot->n_samples);
    return frame_text(snapshot, snapshot_sample(snapshot, sample)->stack, n);
}

static void samples_are_counted_by_thread_and_stack(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    const uint64_t one[] = {0x1000, 0x2000}, other[] = {0x1000, 0x3000};
    tell_mapped(aggregate, 999, 0x1000, 0x4000, 0, "/bin/prog");
    for (uint64_t i = 0; i < 10; i++) {
        tell_sample(aggregate, 1000 + i, 1, one, 2);
    }
    for (uint64_t i = 0; i < 5; i++) {
        tell_sample(aggregate, 2000 + i, 2, one, 2);
    }
    tell_sample(aggregate, 3000, 1, other, 2);
    tell_sample(aggregate, 3001, 1, NULL, 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 3001);
    assert_int_equal(snapshot->n_samples, 17);
    assert_int_equal(snapshot->n_newest, 17); /* nobody has left the CPU yet */
    snapshot_unref(snapshot);
    aggregate_end(aggregate, 3001);
    snapshot = aggregate_snapshot(aggregate, 3001);
    assert_int_equal(snapshot->n_newest, 0);
    assert_int_equal(snapshot->n_samples, 17);
    assert_int_equal(snapshot->n_pairs, 4);
    const struct {
        thread_id thread;
        uint32_t count;
    } wanted[] = {{0, 10}, {1, 5}, {0, 1}, {0, 1}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(snapshot_pair(snapshot, i).thread, wanted[i].thread);
        assert_int_equal(snapshot->pair_counts[i], wanted[i].count);
    }
    assert_int_equal(snapshot_pair(snapshot, 0).stack, snapshot_pair(snapshot, 1).stack);
    assert_int_not_equal(snapshot_pair(snapshot, 0).stack, snapshot_pair(snapshot, 2).stack);
    assert_int_equal(snapshot_pair(snapshot, 3).stack, STACK_ID_EMPTY);
    assert_int_equal(snapshot->threads[0].n_samples, 12);
    assert_int_equal(snapshot->threads[1].n_samples, 5);
    assert_int_equal(snapshot->n_stacks_empty, 1);
    const struct stored_sample *sample = snapshot_sample(snapshot, 12);
    assert_int_equal(sample->time_ns, 2002);
    assert_int_equal(sample->thread, 1);
    assert_int_equal(sample->period_ns, TEST_MS);
    assert_int_equal(sizeof(*sample), 24);
    snapshot_unref(snapshot);
}

static void addresses_of_callers_lie_inside_their_calls(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_mapped(aggregate, 1, 0x400000, 0x500000, 0x1000, "/bin/prog");
    const uint64_t ips[] = {KERNEL_IP, KERNEL_IP + 0x100, 0x400010, 0x400100, 0x500000};
    struct event event = {
        .kind = EVENT_SAMPLE,
        .time_ns = 2,
        .pid = TEST_PID,
        .tid = TEST_PID,
        .stack = {.ips = ips, .n_ips = 5, .n_kernel_ips = 2, .is_truncated = true},
    };
    assert_int_equal(tell(aggregate, event), 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 2);
    assert_string_equal(sample_text(snapshot, 0, 0), "[kernel]+0xffffffff81000010");
    assert_string_equal(sample_text(snapshot, 0, 1), "[kernel]+0xffffffff8100010f");
    assert_string_equal(sample_text(snapshot, 0, 2), "prog+0x1010"); /* interrupted here */
    assert_string_equal(sample_text(snapshot, 0, 3), "prog+0x10ff");
    /* The call was the last instruction of the mapping. */
    assert_string_equal(sample_text(snapshot, 0, 4), "prog+0x100fff");
    assert_int_equal(snapshot->n_stacks_truncated, 1);
    snapshot_unref(snapshot);
}

/* A frame pointer that held something else leads out of all code; what it finds is no caller. */
static void a_chain_ends_where_there_is_no_code(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_mapped(aggregate, 1, 0x400000, 0x500000, 0, "/bin/prog");
    const uint64_t astray[] = {0x400010, 0x400020, 0x900000, 0x400030};
    const uint64_t nowhere[] = {0x900000, 0x400020};
    const uint64_t edge[] = {0x400010, 0x400000}; /* a call just before the mapping */
    for (uint64_t i = 0; i < 2; i++) {            /* the second time by the short cut */
        tell_sample(aggregate, 2 + 3 * i, TEST_PID, astray, 4);
        tell_sample(aggregate, 3 + 3 * i, TEST_PID, nowhere, 2);
        tell_sample(aggregate, 4 + 3 * i, TEST_PID, edge, 2);
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 10);
    for (uint64_t i = 0; i < 6; i += 3) {
        assert_string_equal(sample_text(snapshot, i, 0), "prog+0x10");
        assert_string_equal(sample_text(snapshot, i, 1), "prog+0x1f");
        stack_id caller = snapshot_stack(snapshot, snapshot_sample(snapshot, i)->stack).parent;
        assert_int_equal(snapshot_stack(snapshot, caller).parent, STACK_ID_EMPTY);
        assert_string_equal(sample_text(snapshot, i + 1, 0), "[unknown]+0x900000");
        assert_string_equal(sample_text(snapshot, i + 1, 1), "prog+0x1f");
        assert_string_equal(sample_text(snapshot, i + 2, 0), "prog+0x10");
    }
    assert_int_equal(snapshot->n_stacks_truncated, 4);
    snapshot_unref(snapshot);
}

/* The same addresses, found by tables: each of them is a caller, whether it is code or not. */
static void a_walk_goes_on_where_there_is_no_code(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_mapped(aggregate, 1, 0x400000, 0x500000, 0, "/bin/prog");
    const uint64_t ips[] = {0x400010, 0x900000, 0x400030};
    for (uint64_t i = 0; i < 4; i++) {
        struct event event = {
            .kind = EVENT_SAMPLE,
            .time_ns = 2 + i,
            .pid = TEST_PID,
            .tid = TEST_PID,
            .stack = {.ips = ips,
                      .n_ips = 3,
                      .source = i % 2 ? EVENT_STACK_WALKED : EVENT_STACK_FRAME_POINTERS,
                      .end = EVENT_STACK_END_COMPLETE},
        };
        assert_int_equal(tell(aggregate, event), 0);
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 10);
    for (uint64_t i = 0; i < 4; i++) {
        stack_id caller = snapshot_stack(snapshot, snapshot_sample(snapshot, i)->stack).parent;
        assert_int_equal(caller != STACK_ID_EMPTY, i % 2);
        if (i % 2) {
            assert_string_equal(sample_text(snapshot, i, 1), "[unknown]+0x8fffff");
            assert_string_equal(sample_text(snapshot, i, 2), "prog+0x2f");
        }
    }
    assert_int_equal(snapshot->n_stacks_truncated, 2);
    snapshot_unref(snapshot);
}

static void an_address_means_what_it_meant_then(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    const uint64_t ip = 0x400010;
    const struct event_image unmapped = {
        .change = EVENT_IMAGE_UNMAPPED, .start_ip = 0x400000, .end_ip = 0x500000};
    const struct event_image exec = {.change = EVENT_IMAGE_EXEC};
    uint64_t now_ns = 1;
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_mapped(aggregate, now_ns++, 0x400000, 0x500000, 0, "/lib/first.so");
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_image(aggregate, now_ns++, TEST_PID, unmapped); /* dlclose */
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_mapped(aggregate, now_ns++, 0x400000, 0x500000, 0x2000, "/lib/second.so"); /* dlopen */
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_image(aggregate, now_ns++, TEST_PID, exec);
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    tell_mapped(aggregate, now_ns++, 0x300000, 0x500000, 0, "/bin/third");
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    /* The first library again: the same image, and the same place in it. */
    tell_mapped(aggregate, now_ns++, 0x400000, 0x500000, 0, "/lib/first.so");
    tell_sample(aggregate, now_ns++, TEST_PID, &ip, 1);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, now_ns);
    static const char *const wanted[] = {
        "[unknown]+0x400010", "first.so+0x10",      "first.so+0x10",  "[unknown]+0x400010",
        "second.so+0x2010",   "[unknown]+0x400010", "third+0x100010", "first.so+0x10",
    };
    assert_int_equal(snapshot->n_samples, 8);
    for (uint64_t i = 0; i < 8; i++) {
        assert_string_equal(sample_text(snapshot, i, 0), wanted[i]);
    }
    assert_int_equal(snapshot_sample(snapshot, 1)->stack, snapshot_sample(snapshot, 7)->stack);
    snapshot_unref(snapshot);
}

static void processes_have_address_spaces_of_their_own(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    const uint64_t ip = 0x400010;
    tell_mapped(aggregate, 1, 0x400000, 0x500000, 0, "/bin/parent");
    tell_image(aggregate, 2, 200,
               (struct event_image){.change = EVENT_IMAGE_FORKED, .parent_pid = TEST_PID});
    struct event sample = {.kind = EVENT_SAMPLE,
                           .time_ns = 3,
                           .pid = 200,
                           .tid = 200,
                           .stack = {.ips = &ip, .n_ips = 1}};
    tell(aggregate, sample);
    tell_image(aggregate, 4, 200, (struct event_image){.change = EVENT_IMAGE_EXEC});
    tell_image(aggregate, 5, 200,
               (struct event_image){.change = EVENT_IMAGE_MAPPED,
                                    .start_ip = 0x400000,
                                    .end_ip = 0x500000,
                                    .path = "/bin/child",
                                    .inode = 2});
    sample.time_ns = 6;
    tell(aggregate, sample);
    tell_sample(aggregate, 7, TEST_PID, &ip, 1);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 7);
    assert_string_equal(sample_text(snapshot, 0, 0), "parent+0x10");
    assert_string_equal(sample_text(snapshot, 1, 0), "child+0x10");
    assert_string_equal(sample_text(snapshot, 2, 0), "parent+0x10");
    snapshot_unref(snapshot);
}

static void threads_have_names(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    char long_name[200];
    memset(long_name, 'n', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    tell_thread(aggregate, 1, TEST_PID, EVENT_THREAD_PRESENT, "leader");
    tell_thread(aggregate, 1, TEST_PID + 1, EVENT_THREAD_PRESENT, NULL);
    tell_thread(aggregate, 2, TEST_PID + 2, EVENT_THREAD_BORN, NULL);
    tell_thread(aggregate, 2, TEST_PID + 3, EVENT_THREAD_BORN, NULL);
    tell_thread(aggregate, 2, TEST_PID + 4, EVENT_THREAD_BORN, NULL);
    struct snapshot *before = aggregate_snapshot(aggregate, 3);
    tell_thread(aggregate, 3, TEST_PID + 3, EVENT_THREAD_NAMED, "worker");
    tell_thread(aggregate, 4, TEST_PID + 3, EVENT_THREAD_NAMED, NULL);
    tell_thread(aggregate, 4, TEST_PID + 4, EVENT_THREAD_NAMED, long_name);
    tell_thread(aggregate, 5, TEST_PID, EVENT_THREAD_NAMED, "renamed");
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 6);
    assert_int_equal(snapshot->n_threads, 5);
    assert_string_equal(find_thread(snapshot, TEST_PID)->name, "renamed");
    assert_string_equal(find_thread(snapshot, TEST_PID + 1)->name, "");
    assert_string_equal(find_thread(snapshot, TEST_PID + 2)->name, "leader"); /* of its process */
    assert_string_equal(find_thread(snapshot, TEST_PID + 3)->name, "worker");
    assert_int_equal(strlen(find_thread(snapshot, TEST_PID + 4)->name), LIMIT_NAME_BYTES - 1);
    assert_string_equal(find_thread(before, TEST_PID + 3)->name, "leader");
    assert_string_equal(find_thread(before, TEST_PID)->name, "leader");
    snapshot_unref(before);
    snapshot_unref(snapshot);
}

struct heard {
    unsigned int n_images, n_seen[16];
    char names[16][32];
};

static void on_image(void *userdata, const struct image *image)
{
    struct heard *heard = userdata;
    /* In order, all but the one whose places are their own names. */
    assert_int_equal(image->id, heard->n_images + (heard->n_images == IMAGE_ID_NAMED));
    heard->n_images = image->id + 1;
    (void)snprintf(heard->names[image->id], 32, "%s", image->name);
}

static void on_image_seen(void *userdata, image_id image)
{
    struct heard *heard = userdata;
    assert_true(image < heard->n_images);
    heard->n_seen[image]++;
}

static void listeners_hear_of_images_once(void **state)
{
    (void)state;
    struct heard heard = {0};
    _cleanup_(
        aggregate_freep) struct aggregate *aggregate = new_aggregate((struct aggregate_config){
        .listener = {.userdata = &heard, .on_image = on_image, .on_image_seen = on_image_seen}});
    assert_int_equal(heard.n_images, IMAGE_ID_KERNEL + 1);
    assert_string_equal(heard.names[IMAGE_ID_KERNEL], "[kernel]");
    tell_mapped(aggregate, 1, 0x400000, 0x500000, 0, "/bin/a");
    tell_mapped(aggregate, 1, 0x600000, 0x700000, 0, "/bin/b");
    tell_mapped(aggregate, 2, 0x800000, 0x900000, 0, "/bin/a");
    assert_int_equal(heard.n_images, IMAGE_ID_FIRST + 2);
    assert_string_equal(heard.names[IMAGE_ID_FIRST + 1], "b");
    assert_int_equal(heard.n_seen[IMAGE_ID_FIRST], 0);
    const uint64_t ips[] = {0x400010, 0x800010};
    for (uint64_t i = 0; i < 3; i++) {
        tell_sample(aggregate, 3 + i, TEST_PID, ips, 2);
    }
    assert_int_equal(heard.n_seen[IMAGE_ID_FIRST], 1);
    assert_int_equal(heard.n_seen[IMAGE_ID_FIRST + 1], 0);
}

static void what_cannot_be_stored_is_counted(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    struct event events[] = {
        {.kind = EVENT_LOST, .time_ns = 1, .lost = {.cause = EVENT_LOST_RING_FULL, .count = 5}},
        {.kind = EVENT_LOST, .time_ns = 1, .lost = {.cause = EVENT_LOST_THROTTLED, .count = 2}},
        {.kind = EVENT_LOST, .time_ns = 2, .lost = {.cause = EVENT_LOST_RING_FULL, .count = 6}},
        {.kind = EVENT_WAKEUP,
         .time_ns = 3,
         .pid = TEST_PID,
         .tid = TEST_PID,
         .wakeup = {.ends_no_wait = true}},
        {.kind = EVENT_NONE, .time_ns = 4},
    };
    assert_int_equal(aggregate_apply(aggregate, events, 5), 0);
    const struct event_image empty = {
        .change = EVENT_IMAGE_MAPPED, .start_ip = 8, .end_ip = 8, .path = "/x"};
    const struct event nonsense = {.kind = EVENT_IMAGE, .time_ns = 5, .image = &empty};
    assert_int_equal(tell(aggregate, nonsense), 1);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 5);
    assert_int_equal(snapshot->sequence, 6);
    assert_int_equal(snapshot->lost[EVENT_LOST_RING_FULL], 11);
    assert_int_equal(snapshot->lost[EVENT_LOST_THROTTLED], 2);
    assert_int_equal(snapshot->lost[EVENT_LOST_QUEUE_FULL], 1);
    assert_int_equal(snapshot->n_wakeups, 1);
    assert_int_equal(snapshot->start_ns, 1);
    snapshot_unref(snapshot);
}

static void without_switches_cpu_time_is_counted_in_samples(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){.has_no_switches = true});
    const uint64_t ip = 0x1000;
    tell_thread(aggregate, 0, 1, EVENT_THREAD_PRESENT, "present");
    tell_thread(aggregate, 0, 2, EVENT_THREAD_BORN, NULL);
    for (uint64_t i = 1; i <= 20; i++) {
        tell_sample(aggregate, i * 100 * TEST_MS, 1 + (int64_t)(i % 2), &ip, 1);
    }
    tell_thread(aggregate, 3000 * TEST_MS, 2, EVENT_THREAD_GONE, NULL);
    aggregate_end(aggregate, 4000 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 4000 * TEST_MS);
    assert_true(snapshot->has_no_switches);
    assert_int_equal(snapshot->n_slices, 0);
    for (int64_t tid = 1; tid <= 2; tid++) {
        const struct thread_totals *totals = find_thread(snapshot, tid);
        assert_int_equal(totals->cpu_ns, 10 * TEST_MS);
        assert_int_equal(totals->blocked_ns, 0);
        assert_int_equal(totals->runnable_ns, 0);
    }
    assert_int_equal(find_thread(snapshot, 2)->end_ns, 3000 * TEST_MS);
    snapshot_unref(snapshot);
}

static void what_is_open_counts_up_to_now(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_thread(aggregate, 1000, 1, EVENT_THREAD_PRESENT, "runs");
    tell_thread(aggregate, 1000, 2, EVENT_THREAD_PRESENT, "waits");
    tell_thread(aggregate, 1000, 3, EVENT_THREAD_PRESENT, "sleeps");
    tell_thread(aggregate, 1000, 4, EVENT_THREAD_PRESENT, "unheard of");
    tell_in(aggregate, 1100, 1);
    tell_out(aggregate, 1100, 2, true);
    tell_out(aggregate, 1100, 3, false);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 1500);
    assert_int_equal(snapshot->now_ns, 1500);
    assert_int_equal(find_thread(snapshot, 1)->cpu_ns, 400);
    assert_int_equal(find_thread(snapshot, 1)->blocked_ns, 100);
    assert_int_equal(find_thread(snapshot, 2)->runnable_ns, 400);
    assert_int_equal(find_thread(snapshot, 2)->cpu_ns, 100);
    assert_int_equal(find_thread(snapshot, 3)->blocked_ns, 400);
    assert_int_equal(find_thread(snapshot, 4)->blocked_ns, 500);
    snapshot_unref(snapshot);

    /* Asked for an earlier present it still tells all that was applied. */
    snapshot = aggregate_snapshot(aggregate, 10);
    assert_true(snapshot->now_ns >= 1100);
    snapshot_unref(snapshot);

    aggregate_end(aggregate, 2000);
    aggregate_end(aggregate, 9000); /* the second end is none */
    snapshot = aggregate_snapshot(aggregate, 7000);
    assert_int_equal(snapshot->now_ns, 2000);
    assert_int_equal(find_thread(snapshot, 1)->cpu_ns, 900);
    assert_int_equal(find_thread(snapshot, 2)->runnable_ns, 900);
    assert_int_equal(find_thread(snapshot, 3)->blocked_ns, 900);
    assert_int_equal(find_thread(snapshot, 4)->blocked_ns, 1000);
    snapshot_unref(snapshot);
}

/* A thread that computes for ten seconds while nothing else is told of it. */
static void slices_are_cut_while_nothing_happens(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_thread(aggregate, 1000 * TEST_MS, 1, EVENT_THREAD_PRESENT, "one");
    tell_thread(aggregate, 1000 * TEST_MS, 2, EVENT_THREAD_PRESENT, "two");
    tell_in(aggregate, 1000 * TEST_MS, 1);
    tell_in(aggregate, 1000 * TEST_MS, 2);
    tell_out(aggregate, 11000 * TEST_MS, 1, true);
    tell_out(aggregate, 11001 * TEST_MS, 2, false);
    aggregate_end(aggregate, 21000 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 21000 * TEST_MS);
    uint64_t sums_ns[2] = {0}, last_ns = 0;
    for (uint64_t i = 0; i < snapshot->n_slices; i++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, i);
        assert_true(slice->end_ns - slice->start_ns <= STORED_SLICE_MAX_NS);
        assert_true(slice->end_ns >= last_ns);
        last_ns = slice->end_ns;
        sums_ns[slice->thread] += slice->end_ns - slice->start_ns;
    }
    assert_true(last_ns > 20000 * TEST_MS); /* where the long wait for a CPU was cut */
    assert_int_equal(sums_ns[0], 10000 * TEST_MS);
    assert_int_equal(sums_ns[1], 10001 * TEST_MS);
    assert_int_equal(find_thread(snapshot, 1)->cpu_ns, 10000 * TEST_MS);
    assert_int_equal(find_thread(snapshot, 1)->runnable_ns, 10000 * TEST_MS);
    assert_int_equal(find_thread(snapshot, 1)->n_involuntary, 1);
    assert_int_equal(find_thread(snapshot, 2)->blocked_ns, 9999 * TEST_MS);
    snapshot_unref(snapshot);
}

/* Running, runnable and blocked are all there is, at any moment that anybody asks. */
static void every_snapshot_conserves_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        _cleanup_(aggregate_freep) struct aggregate *aggregate =
            new_aggregate((struct aggregate_config){0});
        struct random_life life = {
            .state = seed, .n_threads = 12, .sample_pct = 30, .has_switches = true};
        uint64_t told_ns = 0;
        for (int round = 0; round < 60; round++) {
            random_life_play(&life, aggregate, 50);
            if (seed % 2 == 0) { /* the kernel's account, somewhat larger than what was seen */
                told_ns += 50 * 20000;
                tell(aggregate, (struct event){.kind = EVENT_THREAD,
                                               .time_ns = life.now_ns,
                                               .pid = TEST_PID,
                                               .tid = TEST_PID,
                                               .thread = {.change = EVENT_THREAD_CPU_TIME,
                                                          .cpu_time_ns = told_ns * seed}});
            }
            if (round == 59) {
                aggregate_end(aggregate, life.now_ns + 5);
            }
            life.now_ns += round % 3 ? 0 : 700;
            struct snapshot *snapshot = aggregate_snapshot(aggregate, life.now_ns);
            uint64_t n_samples = 0, n_pair_samples = 0;
            for (size_t i = 0; i < snapshot->n_threads; i++) {
                const struct thread_totals *totals = &snapshot->threads[i];
                assert_int_equal(totals->cpu_ns + totals->blocked_ns + totals->runnable_ns,
                                 snapshot->now_ns - totals->start_ns);
                n_samples += totals->n_samples;
            }
            for (size_t i = 0; i < snapshot->n_pairs; i++) {
                n_pair_samples += snapshot->pair_counts[i];
            }
            assert_int_equal(n_samples, snapshot->n_samples);
            assert_int_equal(n_pair_samples, snapshot->n_samples);
            assert_int_equal(n_samples, life.n_samples);
            snapshot_unref(snapshot);
        }
    }
}

static void equal_sequences_are_equal_answers(void **state)
{
    (void)state;
    _cleanup_(aggregate_freep) struct aggregate *aggregate =
        new_aggregate((struct aggregate_config){0});
    tell_in(aggregate, 1000, 1);
    struct snapshot *first = aggregate_snapshot(aggregate, 2000);
    struct snapshot *same = aggregate_snapshot(aggregate, 2000);
    struct snapshot *later = aggregate_snapshot(aggregate, 3000);
    assert_int_equal(first->sequence, same->sequence);
    assert_int_equal(first->threads[0].cpu_ns, same->threads[0].cpu_ns);
    assert_true(later->sequence > first->sequence);
    assert_int_equal(later->threads[0].cpu_ns, 2000);
    assert_int_equal(first->threads[0].cpu_ns, 1000);
    snapshot_unref(first);
    snapshot_unref(same);
    snapshot_unref(later);
}

/* Thread 1 runs 0.1 ms, 6 ms and 40 us, thread 2 all the while, thread 3 until it ends. */
static size_t make_slices(struct event *ret_events)
{
    static const struct {
        enum event_kind kind;
        uint64_t time_us;
        int64_t tid;
    } plan[] = {
        {EVENT_SWITCH_IN, 0, 2},     {EVENT_SWITCH_IN, 10, 1},    {EVENT_SAMPLE, 20, 2},
        {EVENT_SAMPLE, 60, 1},       {EVENT_SWITCH_OUT, 110, 1},  {EVENT_SWITCH_IN, 1000, 1},
        {EVENT_SAMPLE, 1500, 1},     {EVENT_SWITCH_IN, 1550, 3},  {EVENT_SAMPLE, 1560, 3},
        {EVENT_THREAD, 1570, 3},     {EVENT_SAMPLE, 4000, 2},     {EVENT_SAMPLE, 6900, 1},
        {EVENT_SWITCH_OUT, 7000, 1}, {EVENT_SAMPLE, 7500, 2},     {EVENT_SWITCH_IN, 8000, 1},
        {EVENT_SAMPLE, 8010, 1},     {EVENT_SWITCH_OUT, 8040, 1}, {EVENT_SWITCH_IN, 8100, 1},
        {EVENT_SAMPLE, 8150, 1},
    };
    static const uint64_t ips[] = {KERNEL_IP, 0x1000};
    size_t n_events = sizeof(plan) / sizeof(plan[0]);
    for (size_t i = 0; i < n_events; i++) {
        ret_events[i] = (struct event){
            .kind = plan[i].kind,
            .time_ns = 1000 * (1000 + plan[i].time_us),
            .pid = TEST_PID,
            .tid = plan[i].tid,
        };
        if (plan[i].kind == EVENT_SAMPLE) {
            ret_events[i].stack.ips = ips;
            ret_events[i].stack.n_ips = 2;
            ret_events[i].stack.n_kernel_ips = plan[i].tid == 2;
        } else if (plan[i].kind == EVENT_THREAD) {
            ret_events[i].thread.change = EVENT_THREAD_GONE;
        }
    }
    return n_events;
}

static void assert_classes(const struct snapshot *snapshot, const uint8_t *wanted)
{
    assert_int_equal(snapshot->n_samples, 9);
    uint64_t n_samples[SLICE_CLASS_N] = {0}, n_pair_samples[SLICE_CLASS_N] = {0};
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(snapshot_sample(snapshot, i)->slice_class, wanted[i]);
        n_samples[wanted[i]]++;
    }
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        n_pair_samples[snapshot_pair(snapshot, i).slice_class] += snapshot->pair_counts[i];
    }
    uint64_t class_ns = 0, cpu_ns = 0;
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        assert_int_equal(snapshot->class_samples[i], n_samples[i]);
        assert_int_equal(n_pair_samples[i], n_samples[i]);
        class_ns += snapshot->class_ns[i];
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        cpu_ns += snapshot->threads[i].cpu_ns;
    }
    assert_int_equal(class_ns, cpu_ns);
    assert_int_equal(snapshot->n_kernel_samples, 3);
}

static void samples_know_how_long_their_slices_were(void **state)
{
    (void)state;
    struct event events[32];
    size_t n_events = make_slices(events);
    /* What is open counts as long: thread 2 and the last slice of thread 1. */
    const uint8_t live[] = {7, 2, 7, 0, 7, 7, 7, 1, 7}, ended[] = {7, 2, 7, 0, 7, 7, 7, 1, 2};
    for (int by_one = 0; by_one < 2; by_one++) { /* batches and snapshots change nothing */
        _cleanup_(aggregate_freep) struct aggregate *aggregate =
            new_aggregate((struct aggregate_config){0});
        for (size_t i = 0; i < n_events; i += by_one ? 1 : n_events) {
            assert_int_equal(aggregate_apply(aggregate, events + i, by_one ? 1 : n_events), 0);
            snapshot_unref(aggregate_snapshot(aggregate, events[i].time_ns));
        }
        struct snapshot *snapshot = aggregate_snapshot(aggregate, 9200000);
        assert_int_equal(snapshot->n_newest, 3); /* from the oldest whose slice is open and young */
        assert_classes(snapshot, live);
        assert_int_equal(snapshot->class_ns[2], 100000);
        assert_int_equal(snapshot->class_ns[1], 40000);
        snapshot_unref(snapshot);
        aggregate_end(aggregate, 9200000);
        snapshot = aggregate_snapshot(aggregate, 9200000);
        assert_int_equal(snapshot->n_newest, 0);
        assert_classes(snapshot, ended);
        assert_int_equal(snapshot->class_ns[2], 200000);
        assert_int_equal(snapshot->class_ns[0], 20000);
        snapshot_unref(snapshot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_counted_by_thread_and_stack),
        cmocka_unit_test(addresses_of_callers_lie_inside_their_calls),
        cmocka_unit_test(a_chain_ends_where_there_is_no_code),
        cmocka_unit_test(a_walk_goes_on_where_there_is_no_code),
        cmocka_unit_test(an_address_means_what_it_meant_then),
        cmocka_unit_test(processes_have_address_spaces_of_their_own),
        cmocka_unit_test(threads_have_names),
        cmocka_unit_test(listeners_hear_of_images_once),
        cmocka_unit_test(what_cannot_be_stored_is_counted),
        cmocka_unit_test(without_switches_cpu_time_is_counted_in_samples),
        cmocka_unit_test(what_is_open_counts_up_to_now),
        cmocka_unit_test(slices_are_cut_while_nothing_happens),
        cmocka_unit_test(every_snapshot_conserves_time),
        cmocka_unit_test(equal_sequences_are_equal_answers),
        cmocka_unit_test(samples_know_how_long_their_slices_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
