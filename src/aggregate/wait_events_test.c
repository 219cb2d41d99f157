/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate_test.h"
#include "aggregate/wakers.h"

#define TID TEST_PID
#define OTHER (TEST_PID + 1)
#define THIRD (TEST_PID + 2)
#define KERNEL_IP UINT64_C(0xffffffff81000010)

/* Code of the process is mapped at 0x10000, that of the other one at 0x30000. */
#define OTHER_PID (TEST_PID + 50)

static struct aggregate *aggregate;
static struct snapshot *snapshot;

static int set_up(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    snapshot = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    tell_mapped(aggregate, 1, 0x10000, 0x20000, 0, "/bin/waits");
    tell_thread(aggregate, 1, TID, EVENT_THREAD_PRESENT, "waits");
    tell_thread(aggregate, 1, OTHER, EVENT_THREAD_PRESENT, "wakes");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot = snapshot_unref(snapshot);
    aggregate = aggregate_free(aggregate);
    return 0;
}

static void look(uint64_t now_ns)
{
    snapshot_unref(snapshot);
    snapshot = aggregate_snapshot(aggregate, now_ns);
    assert_non_null(snapshot);
}

static void wait_in(uint64_t time_ns, int64_t tid, struct event_stack stack, uint32_t serial)
{
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_OUT,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .stack = stack,
                                   .switch_out = {.stack_serial = serial,
                                                  .object = {.syscall = EVENT_NO_SYSCALL}}});
}

static void see(uint64_t time_ns, int64_t tid, struct event_stack stack, const char *site,
                uint32_t syscall)
{
    tell(aggregate,
         (struct event){
             .kind = EVENT_WAIT_SEEN,
             .time_ns = time_ns,
             .pid = TEST_PID,
             .tid = tid,
             .stack = stack,
             .wait_seen = {.site = site, .object = {.syscall = syscall, .argument = 0x1234}}});
}

/* Stacks by the offsets of their frames in the mapped file, innermost first; those of kernel frames
 * begin with K, a place known by name is its name. */
static void assert_stack(stack_id stack, const char *wanted)
{
    char text[256] = "";
    for (; stack != STACK_ID_EMPTY; stack = snapshot_stack(snapshot, stack).parent) {
        struct frame frame = snapshot_frame(snapshot, snapshot_stack(snapshot, stack).frame);
        size_t used = strlen(text);
        if (frame.image == IMAGE_ID_NAMED) {
            (void)snprintf(text + used, sizeof(text) - used, "%s ",
                           snapshot_named_place(snapshot, frame.offset));
        } else {
            (void)snprintf(text + used, sizeof(text) - used, "%s%llx ",
                           frame.image == IMAGE_ID_KERNEL ? "K" : "",
                           (unsigned long long)(frame.offset & 0xfff));
        }
    }
    assert_string_equal(text, wanted);
}

/* The i-th wait that has ended. */
static const struct stored_wait *wait_at(uint64_t i)
{
    assert_true(i < snapshot->n_waits);
    return snapshot_wait(snapshot, i);
}

static const struct thread_totals *totals_of(int64_t tid)
{
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        if (snapshot->threads[i].tid == tid) {
            return &snapshot->threads[i];
        }
    }
    fail();
    return NULL;
}

static const uint64_t here[] = {0x10100, 0x10201};
static const uint64_t there[] = {KERNEL_IP, 0x10110, 0x10201};
static const uint64_t in_kernel[] = {KERNEL_IP + 0x20, KERNEL_IP + 0x31};
#define STACK(array, n_kernel)                                                                     \
    (struct event_stack)                                                                           \
    {                                                                                              \
        .ips = (array), .n_ips = sizeof(array) / sizeof((array)[0]), .n_kernel_ips = (n_kernel)    \
    }
#define NO_STACK                                                                                   \
    (struct event_stack)                                                                           \
    {                                                                                              \
        0                                                                                          \
    }

static void serials_stand_for_stacks(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(here, 0), 1);
    tell_in(aggregate, 30, TID);
    wait_in(40, TID, NO_STACK, 1);
    tell_in(aggregate, 50, TID);
    wait_in(60, TID, STACK(there, 1), 2);
    tell_in(aggregate, 70, TID);
    wait_in(80, TID, NO_STACK, 2);
    tell_in(aggregate, 90, TID);
    wait_in(100, TID, NO_STACK, 3); /* the event that brought it was lost */
    tell_in(aggregate, 110, TID);
    tell_in(aggregate, 115, OTHER);
    wait_in(120, OTHER, NO_STACK, 2); /* the numbers of one thread are not those of another */
    look(130);
    assert_int_equal(snapshot->n_waits, 7);
    assert_stack(wait_at(0)->stack, ""); /* before the recording began */
    assert_stack(wait_at(1)->stack, "100 200 ");
    assert_int_equal(wait_at(2)->stack, wait_at(1)->stack);
    assert_stack(wait_at(3)->stack, "K10 110 200 ");
    assert_int_equal(wait_at(4)->stack, wait_at(3)->stack);
    assert_int_equal(wait_at(5)->stack, STACK_ID_EMPTY);
    assert_int_equal(totals_of(OTHER)->wait_stack, STACK_ID_EMPTY);
    for (uint64_t i = 0; i < 7; i++) {
        assert_int_equal(wait_at(i)->flags, 0);
        assert_int_equal(wait_at(i)->waker, WAKER_ID_UNKNOWN);
        assert_int_equal(wait_at(i)->wake_ns, wait_at(i)->end_ns);
    }
    assert_int_equal(snapshot->n_wait_stacks_unknown, 2);
    assert_int_equal(snapshot->n_wakeups, 0); /* nobody told of any */
    /* By stack: unknown twice (the first and the lost one), here twice, there twice. */
    const struct thread_totals *totals = totals_of(TID);
    uint64_t n_waits = 0, blocked_ns = 0;
    for (size_t i = 0; i < snapshot->n_wait_sums; i++) {
        const struct wait_sums *sum = &snapshot->wait_sums[i];
        if (snapshot->threads[sum->thread].tid == TID) {
            assert_int_equal(sum->n_waits, 2);
            assert_int_equal(sum->max_blocked_ns, 10);
            n_waits += sum->n_waits;
            blocked_ns += sum->blocked_ns;
        }
    }
    assert_int_equal(n_waits, 6);
    assert_int_equal(blocked_ns, totals->blocked_ns);
}

static void a_stack_that_is_cut_says_so(void **state)
{
    (void)state;
    struct event_stack cut = STACK(here, 0);
    cut.source = EVENT_STACK_WALKED;
    cut.end = EVENT_STACK_END_COPY;
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, cut, 1);
    tell_in(aggregate, 30, TID);
    wait_in(40, TID, NO_STACK, 1);
    look(50);
    assert_int_equal(wait_at(1)->flags, WAIT_FLAG_CUT);
    assert_int_equal(totals_of(TID)->wait_flags, WAIT_FLAG_CUT);
    assert_int_equal(totals_of(TID)->wait_stack, wait_at(1)->stack);
    assert_int_equal(totals_of(TID)->phase_since_ns, 40);
}

static void kernel_frames_come_with_the_switch_in(void **state)
{
    (void)state;
    struct event in = {.kind = EVENT_SWITCH_IN,
                       .pid = TEST_PID,
                       .tid = TID,
                       .stack = STACK(in_kernel, 2),
                       .switch_in = {.waker_tid = EVENT_WAKER_UNKNOWN}};
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(here, 0), 1);
    in.time_ns = 30;
    tell(aggregate, in);
    wait_in(40, TID, STACK(there, 1), 2); /* its own kernel frames give way */
    in.time_ns = 50;
    tell(aggregate, in);
    wait_in(60, TID, NO_STACK, 1); /* not the last one: lost */
    in.time_ns = 70;
    tell(aggregate, in);
    wait_in(80, TID, STACK(here, 0), 3);
    in.time_ns = 90;
    tell(aggregate, in);
    look(100);
    assert_stack(wait_at(1)->stack, "K30 K40 100 200 ");
    assert_stack(wait_at(2)->stack, "K30 K40 110 200 ");
    assert_stack(wait_at(3)->stack, "K30 K40 ");
    assert_int_equal(wait_at(3)->flags, WAIT_FLAG_CUT);
    assert_int_equal(wait_at(4)->stack, wait_at(1)->stack);
    assert_int_equal(wait_at(4)->flags, 0);
}

static void a_look_tells_what_the_switch_out_did_not(void **state)
{
    (void)state;
    see(5, TID, NO_STACK, "do_poll", 7); /* not on a CPU since the recording began */
    look(6);
    assert_int_equal(totals_of(TID)->phase, THREAD_PHASE_BLOCKED);
    assert_int_equal(totals_of(TID)->phase_since_ns, 1);
    assert_stack(totals_of(TID)->wait_stack, "do_poll ");
    assert_int_equal(totals_of(TID)->wait_flags, WAIT_FLAG_APPROXIMATE);
    struct wait_object object = snapshot_wait_object(snapshot, totals_of(TID)->wait_object);
    assert_int_equal(object.pid, TEST_PID);
    assert_int_equal(object.syscall, 7);
    assert_int_equal(object.argument, 0x1234);

    tell_in(aggregate, 10, TID);
    see(15, TID, STACK(here, 0), "ep_poll", 8); /* it runs: a look that came too late */
    wait_in(20, TID, NO_STACK, 0);              /* as it was found last */
    tell_in(aggregate, 30, TID);
    wait_in(40, TID, NO_STACK, 0);
    see(41, TID, STACK(here, 0), "ep_poll", EVENT_NO_SYSCALL);
    tell_in(aggregate, 50, TID);
    wait_in(60, TID, NO_STACK, 0);
    look(70);
    assert_stack(wait_at(0)->stack, "do_poll ");
    assert_stack(wait_at(1)->stack, "do_poll ");
    assert_int_equal(wait_at(1)->object, 0);
    assert_stack(wait_at(2)->stack, "ep_poll 100 200 ");
    assert_int_equal(totals_of(TID)->wait_stack, wait_at(2)->stack);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(wait_at(i)->flags, WAIT_FLAG_APPROXIMATE);
    }
    see(75, TID, NO_STACK, NULL,
        EVENT_NO_SYSCALL); /* it is not there any more, nobody knows where */
    tell_in(aggregate, 80, TID);
    wait_in(90, TID, NO_STACK, 0);
    look(95);
    assert_int_equal(totals_of(TID)->wait_stack, STACK_ID_EMPTY);
}

static void a_look_leaves_what_is_exact(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(there, 1), 1);
    see(25, TID, STACK(here, 0), "do_poll", 7);
    look(26);
    assert_stack(totals_of(TID)->wait_stack, "K10 110 200 ");
    assert_int_equal(totals_of(TID)->wait_flags, 0);
    assert_int_not_equal(totals_of(TID)->wait_object, 0);
    tell_in(aggregate, 30, TID);
    wait_in(40, TID, STACK(here, 0), 2); /* user frames alone: the place is news */
    see(45, TID, NO_STACK, "do_poll", EVENT_NO_SYSCALL);
    see(46, TID, NO_STACK, "do_poll", EVENT_NO_SYSCALL);
    look(47);
    assert_stack(totals_of(TID)->wait_stack, "do_poll 100 200 ");
    assert_int_equal(totals_of(TID)->wait_flags, 0);
    assert_int_equal(totals_of(TID)->wait_object, 0);
    tell_thread(aggregate, 50, TID, EVENT_THREAD_GONE, NULL);
    see(55, TID, NO_STACK, "do_exit", EVENT_NO_SYSCALL);
    look(60);
    assert_int_equal(totals_of(TID)->phase, THREAD_PHASE_GONE);
    assert_int_equal(snapshot->n_waits, 3); /* the last one ended with the thread */
    assert_int_equal(wait_at(2)->end_ns, 50);
    assert_stack(wait_at(2)->stack, "do_poll 100 200 ");
    assert_int_equal(totals_of(TID)->blocked_ns, 9 + 10 + 10);
}

static void a_sample_before_the_wait_is_better_than_nothing(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    tell_sample(aggregate, 12, TID, here, 2);
    tell(aggregate, (struct event){.kind = EVENT_SAMPLE,
                                   .time_ns = 15,
                                   .pid = TEST_PID,
                                   .tid = TID,
                                   .stack = STACK(there, 1)});
    wait_in(20, TID, NO_STACK, 0);
    tell_in(aggregate, 30, TID);
    wait_in(40, TID, NO_STACK, 0); /* no sample in this slice */
    tell_in(aggregate, 50, TID);
    tell_sample(aggregate, 55, TID, here, 2);
    wait_in(60, TID, NO_STACK, 0);
    see(65, TID, NO_STACK, "do_poll", EVENT_NO_SYSCALL);
    tell_in(aggregate, 70, TID);
    look(80);
    assert_stack(wait_at(1)->stack, "110 200 ");
    assert_int_equal(wait_at(1)->flags, WAIT_FLAG_APPROXIMATE);
    assert_int_equal(wait_at(2)->stack, STACK_ID_EMPTY);
    assert_int_equal(wait_at(2)->flags, 0);
    assert_stack(wait_at(3)->stack, "do_poll 100 200 ");
    assert_int_equal(wait_at(3)->flags, WAIT_FLAG_APPROXIMATE);
}

static void tell_wakeup(uint64_t time_ns, int64_t wakee, int64_t waker, struct event_stack stack,
                        uint32_t serial, bool ends_no_wait)
{
    tell(aggregate, (struct event){.kind = EVENT_WAKEUP,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = wakee,
                                   .stack = stack,
                                   .wakeup = {.waker_tid = waker,
                                              .waker_name = "somebody",
                                              .waker_serial = serial,
                                              .ends_no_wait = ends_no_wait}});
}

static void come_in(uint64_t time_ns, int64_t tid, uint64_t wake_ns, int64_t waker, uint32_t serial)
{
    tell(aggregate,
         (struct event){
             .kind = EVENT_SWITCH_IN,
             .time_ns = time_ns,
             .pid = TEST_PID,
             .tid = tid,
             .switch_in = {.wake_ns = wake_ns, .waker_tid = waker, .waker_serial = serial}});
}

/* What the waker did for the wakee from a stack; NULL: nothing. */
static const struct wake_sums *find_row(waker_id waker, int64_t wakee, const char *stack)
{
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        const struct wake_sums *row = &snapshot->wake_sums[i];
        bool is_there = (row->waker_stack == STACK_ID_EMPTY) == (stack[0] == '\0');
        if (row->waker == waker && snapshot->threads[row->wakee].tid == wakee && is_there) {
            assert_stack(row->waker_stack, stack);
            return row;
        }
    }
    return NULL;
}

static void a_wait_is_split_where_it_was_woken(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(here, 0), 1);
    come_in(50, TID, 42, EVENT_NO_WAKER, 0);
    wait_in(60, TID, NO_STACK, 1);
    come_in(70, TID, 55, EVENT_NO_WAKER, 0); /* woken before it slept: it never did */
    wait_in(80, TID, NO_STACK, 1);
    come_in(90, TID, 95, EVENT_NO_WAKER, 0); /* after it came back: it was not asked for */
    tell_out(aggregate, 100, TID, true);
    come_in(110, TID, 105, EVENT_NO_WAKER, 0); /* preempted: no wait at all */
    look(120);
    assert_int_equal(snapshot->n_waits, 4);
    assert_int_equal(wait_at(1)->start_ns, 20);
    assert_int_equal(wait_at(1)->wake_ns, 42);
    assert_int_equal(wait_at(1)->end_ns, 50);
    assert_int_equal(wait_at(2)->wake_ns, 60);
    assert_int_equal(wait_at(3)->wake_ns, 90);
    const struct thread_totals *totals = totals_of(TID);
    assert_int_equal(totals->blocked_ns, 9 + 22 + 0 + 10);
    assert_int_equal(totals->runnable_ns, 8 + 10 + 0 + 10);
    assert_int_equal(totals->cpu_ns, 10 + 10 + 10 + 10 + 10);
    const struct wake_sums *row = find_row(WAKER_ID_NONE, TID, "");
    assert_non_null(row);
    assert_int_equal(row->n_wakeups, 3);
    assert_int_equal(row->blocked_ns, 32);
    assert_int_equal(row->runnable_ns, 18);
    assert_int_equal(snapshot->n_wakeups, 3);
    assert_non_null(find_row(WAKER_ID_UNKNOWN, TID, ""));
}

/* It was told long ago, and its waker tells another one before the woken thread has its CPU. */
static void the_stack_of_a_waker_outlives_its_next(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    tell_in(aggregate, 11, OTHER);
    tell_in(aggregate, 12, THIRD);
    tell_wakeup(20, TID, OTHER, STACK(there, 1), 1, true);
    for (uint32_t i = 0; i < 4 * RECENT_WAKER_STACKS; i++) {
        tell_wakeup(30, TID, THIRD, STACK(here, 0), 1 + i, true);
    }
    wait_in(40, TID, NO_STACK, 1);
    tell_wakeup(60, THIRD, OTHER, STACK(here, 0), 2, true);
    come_in(70, TID, 50, OTHER, 1);
    look(80);
    const struct stored_wait *wait = wait_at(snapshot->n_waits - 1);
    assert_int_equal(snapshot->threads[wait->thread].tid, TID);
    assert_int_equal(snapshot->threads[wait->waker].tid, OTHER);
    assert_int_not_equal(wait->waker_stack, STACK_ID_EMPTY);
    assert_null(find_row(wait->waker, TID, ""));
}

static void wakers_are_threads_with_stacks(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    tell_in(aggregate, 11, OTHER);
    thread_id waker = 1;
    wait_in(20, TID, STACK(here, 0), 1);
    tell_wakeup(30, TID, OTHER, STACK(there, 1), 5, false);
    tell_wakeup(31, THIRD, OTHER, STACK(here, 0), 6, false); /* and another one, meanwhile */
    come_in(40, TID, 30, OTHER, 5);
    wait_in(50, TID, NO_STACK, 1);
    come_in(60, TID, 55, OTHER, 6); /* the stack is known: no event of its own */
    wait_in(70, TID, NO_STACK, 1);
    come_in(80, TID, 75, OTHER, 7);                 /* lost */
    tell_wakeup(85, TID, OTHER, NO_STACK, 6, true); /* it runs */
    look(90);
    assert_int_equal(snapshot->threads[waker].tid, OTHER);
    for (uint64_t i = 1; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = wait_at(i);
        if (snapshot->threads[wait->thread].tid == TID && wait->start_ns >= 20) {
            assert_int_equal(wait->waker, waker);
        }
    }
    const struct wake_sums *row = find_row(waker, TID, "");
    assert_int_equal(row->n_wakeups, 1);
    assert_int_equal(row->blocked_ns, 5);
    uint64_t n_rows = 0;
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        row = &snapshot->wake_sums[i];
        if (row->waker != waker || row->waker_stack == STACK_ID_EMPTY) {
            continue;
        }
        n_rows++;
        bool is_there = row->n_wakeups == 1;
        assert_stack(row->waker_stack, is_there ? "K10 110 200 " : "100 200 ");
        assert_int_equal(row->n_wakeups, is_there ? 1 : 2);
        assert_int_equal(row->blocked_ns, is_there ? 10 : 5);
        assert_int_equal(row->runnable_ns, is_there ? 10 : 5);
    }
    assert_int_equal(n_rows, 2);
    assert_int_equal(snapshot->n_wakeups, 4);
    assert_int_equal(snapshot->n_outsiders, 0);
}

static void the_stack_of_a_waker_is_in_its_own_memory(void **state)
{
    (void)state;
    const struct event_image image = {.change = EVENT_IMAGE_MAPPED,
                                      .start_ip = 0x10000,
                                      .end_ip = 0x20000,
                                      .path = "/bin/wakes",
                                      .inode = 2};
    tell_image(aggregate, 5, OTHER_PID, image);
    tell(aggregate, (struct event){.kind = EVENT_THREAD,
                                   .time_ns = 6,
                                   .pid = OTHER_PID,
                                   .tid = OTHER_PID,
                                   .thread = {.change = EVENT_THREAD_PRESENT, .name = "wakes"}});
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(here, 0), 1);
    tell_wakeup(30, TID, OTHER_PID, STACK(here, 0), 1, false);
    come_in(40, TID, 30, OTHER_PID, 1);
    look(50);
    const struct stored_wait *wait = wait_at(snapshot->n_waits - 1);
    assert_int_equal(snapshot->threads[wait->waker].tid, OTHER_PID);
    assert_stack(wait->waker_stack, "100 200 ");
    assert_int_not_equal(wait->waker_stack, wait->stack);
    struct frame frame =
        snapshot_frame(snapshot, snapshot_stack(snapshot, wait->waker_stack).frame);
    assert_string_equal(snapshot_image(snapshot, frame.image)->path, "/bin/wakes");
}

/* When the recording began the threads were there, and nobody knows what they did. */
static void who_was_not_woken_wanted_to_run(void **state)
{
    (void)state;
    come_in(40, TID, 0, EVENT_WAKER_UNKNOWN, 0);
    look(50);
    assert_int_equal(totals_of(TID)->runnable_ns, 39);
    assert_int_equal(totals_of(TID)->blocked_ns, 0);
    assert_int_equal(totals_of(TID)->cpu_ns, 10);
    assert_int_equal(snapshot->n_waits, 0);
    wait_in(60, TID, NO_STACK, 0);
    come_in(70, TID, 0, EVENT_WAKER_UNKNOWN, 0); /* known by now to have slept */
    look(80);
    assert_int_equal(snapshot->n_waits, 1);
    assert_int_equal(totals_of(TID)->blocked_ns, 10);
}

static void who_was_woken_had_slept(void **state)
{
    (void)state;
    come_in(40, TID, 30, EVENT_NO_WAKER, 0);
    look(50);
    assert_int_equal(snapshot->n_waits, 1);
    assert_int_equal(totals_of(TID)->blocked_ns, 29);
    assert_int_equal(totals_of(TID)->runnable_ns, 10);
}

static void others_wake_too(void **state)
{
    (void)state;
    tell_in(aggregate, 10, TID);
    wait_in(20, TID, STACK(here, 0), 1);
    tell_wakeup(30, TID, 4000, STACK(here, 0), 1, false);
    come_in(40, TID, 30, 4000, 1);
    wait_in(50, TID, NO_STACK, 1);
    come_in(60, TID, 55, 4001, 0); /* its name was lost */
    tell_wakeup(70, TID, EVENT_NO_WAKER, NO_STACK, 0, true);
    look(80);
    assert_int_equal(snapshot->n_outsiders, 2);
    assert_int_equal(wait_at(1)->waker, WAKER_ID_OUTSIDER | 0);
    assert_int_equal(wait_at(1)->waker_stack, STACK_ID_EMPTY);
    assert_int_equal(snapshot_outsider(snapshot, wait_at(1)->waker).tid, 4000);
    assert_string_equal(snapshot_outsider(snapshot, wait_at(1)->waker).name, "somebody");
    assert_int_equal(snapshot_outsider(snapshot, wait_at(2)->waker).tid, 4001);
    assert_string_equal(snapshot_outsider(snapshot, wait_at(2)->waker).name, "");
    assert_int_equal(snapshot->n_wakeups, 3);
    assert_int_equal(find_row(WAKER_ID_NONE, TID, "")->n_wakeups, 1);
    assert_int_equal(snapshot->n_threads, 2); /* nobody becomes a thread by waking one */
}

static void the_dead_wake_those_who_wait_for_their_end(void **state)
{
    (void)state;
    tell_in(aggregate, 10, OTHER);
    wait_in(11, TID, STACK(here, 0), 1);
    tell_thread(aggregate, 100, OTHER, EVENT_THREAD_GONE, NULL);
    come_in(120, TID, 105, OTHER, 0);
    wait_in(130, TID, NO_STACK, 1);
    come_in(100 + 5000 * TEST_MS, TID, 99 + 5000 * TEST_MS, OTHER, 0); /* a namesake by then */
    look(100 + 5000 * TEST_MS);
    assert_int_equal(wait_at(snapshot->n_waits - 2)->waker, 1);
    assert_int_equal(wait_at(snapshot->n_waits - 1)->waker, WAKER_ID_OUTSIDER | 0);
    assert_int_equal(snapshot->n_long_waits, 0); /* not stored yet */
    tell_in(aggregate, 6000 * TEST_MS, THIRD);
    look(6000 * TEST_MS);
    assert_int_equal(snapshot->n_long_waits, 1);
}

static void without_switches_there_are_no_waits(void **state)
{
    (void)state;
    const struct aggregate_config config = {.has_no_switches = true};
    _cleanup_(aggregate_freep) struct aggregate *plain = NULL;
    assert_int_equal(aggregate_new(&config, &plain), 0);
    struct aggregate *usual = aggregate;
    aggregate = plain;
    see(1, TID, STACK(here, 0), "do_poll", 7);
    tell_sample(plain, 2, TID, here, 2);
    tell_wakeup(3, TID, 4000, NO_STACK, 0, true);
    aggregate = usual;
    struct snapshot *nothing = aggregate_snapshot(plain, 10);
    assert_int_equal(nothing->n_waits, 0);
    assert_int_equal(nothing->n_wait_sums, 0);
    assert_int_equal(nothing->n_wakeups, 0);
    assert_int_equal(nothing->threads[0].wait_stack, STACK_ID_EMPTY);
    snapshot_unref(nothing);
}

#define WAIT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAIT_TEST(serials_stand_for_stacks),
        WAIT_TEST(a_stack_that_is_cut_says_so),
        WAIT_TEST(kernel_frames_come_with_the_switch_in),
        WAIT_TEST(a_look_tells_what_the_switch_out_did_not),
        WAIT_TEST(a_look_leaves_what_is_exact),
        WAIT_TEST(a_sample_before_the_wait_is_better_than_nothing),
        WAIT_TEST(a_wait_is_split_where_it_was_woken),
        WAIT_TEST(the_stack_of_a_waker_outlives_its_next),
        WAIT_TEST(wakers_are_threads_with_stacks),
        WAIT_TEST(the_stack_of_a_waker_is_in_its_own_memory),
        WAIT_TEST(who_was_not_woken_wanted_to_run),
        WAIT_TEST(who_was_woken_had_slept),
        WAIT_TEST(others_wake_too),
        WAIT_TEST(the_dead_wake_those_who_wait_for_their_end),
        WAIT_TEST(without_switches_there_are_no_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
