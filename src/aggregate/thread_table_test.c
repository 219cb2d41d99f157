/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "aggregate/thread_table.h"

#define PID 100
#define MAX_SLICES 200000
#define MS UINT64_C(1000000)

/* The table under test and the slices that came out of it. */
struct fixture {
    struct thread_table *table;
    size_t n_slices;
    struct stored_slice slices[MAX_SLICES];
};

static struct fixture fixture;

static void on_slice(void *userdata, const struct stored_slice *slice)
{
    struct fixture *self = userdata;
    assert_true(slice->start_ns <= slice->end_ns);
    assert_true(slice->end_ns - slice->start_ns <= STORED_SLICE_MAX_NS);
    if (self->n_slices > 0) {
        assert_true(self->slices[self->n_slices - 1].end_ns <= slice->end_ns);
    }
    assert_true(self->n_slices < MAX_SLICES);
    self->slices[self->n_slices++] = *slice;
}

static int set_up(void **state)
{
    (void)state;
    fixture.n_slices = 0;
    const struct slice_sink sink = {.userdata = &fixture, .on_slice = on_slice};
    return thread_table_new(sink, &fixture.table);
}

static int tear_down(void **state)
{
    (void)state;
    fixture.table = thread_table_free(fixture.table);
    return 0;
}

static thread_id get(int64_t tid, uint64_t start_ns)
{
    thread_id id = THREAD_ID_NONE;
    assert_non_null(thread_table_get(fixture.table, PID, tid, start_ns, &id));
    return id;
}

static struct thread_totals totals_of(thread_id id)
{
    return thread_table_at(fixture.table, id)->totals;
}

static void assert_times(thread_id id, uint64_t cpu_ns, uint64_t blocked_ns, uint64_t runnable_ns)
{
    struct thread_totals totals = totals_of(id);
    assert_int_equal(totals.cpu_ns, cpu_ns);
    assert_int_equal(totals.blocked_ns, blocked_ns);
    assert_int_equal(totals.runnable_ns, runnable_ns);
}

static void assert_slice(size_t index, uint64_t start_ns, uint64_t end_ns, enum gap_kind before,
                         enum gap_kind after)
{
    assert_true(index < fixture.n_slices);
    assert_int_equal(fixture.slices[index].start_ns, start_ns);
    assert_int_equal(fixture.slices[index].end_ns, end_ns);
    assert_int_equal(fixture.slices[index].before, before);
    assert_int_equal(fixture.slices[index].after, after);
}

static void switches_become_slices(void **state)
{
    (void)state;
    thread_id id = get(1, 1000);
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_UNKNOWN);
    thread_table_switch_in(fixture.table, id, 1500); /* it had waited since the beginning */
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_RUNNING);
    thread_table_switch_out(fixture.table, id, 1800, 3, true, 0);
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_RUNNABLE);
    thread_table_switch_in(fixture.table, id, 2000);
    thread_table_switch_out(fixture.table, id, 2100, 1, false, 0);
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_BLOCKED);
    thread_table_switch_in(fixture.table, id, 2600);
    assert_times(id, 400, 1000, 200);
    assert_int_equal(totals_of(id).n_voluntary, 1);
    assert_int_equal(totals_of(id).n_involuntary, 1);
    assert_int_equal(fixture.n_slices, 2);
    assert_slice(0, 1500, 1800, GAP_BLOCKED, GAP_RUNNABLE);
    assert_slice(1, 2000, 2100, GAP_RUNNABLE, GAP_BLOCKED);
    assert_int_equal(fixture.slices[0].cpu, 3);
    assert_int_equal(fixture.slices[1].cpu, 1);
    thread_table_end(fixture.table, 3000);
    assert_times(id, 800, 1000, 200);
    assert_slice(2, 2600, 3000, GAP_BLOCKED, GAP_NONE);
}

static void a_thread_that_ran_when_it_was_attached_to(void **state)
{
    (void)state;
    thread_id by_switch = get(1, 1000), by_sample = get(2, 1000), never = get(3, 1000);
    thread_table_switch_out(fixture.table, by_switch, 1700, 0, false, 0);
    assert_times(by_switch, 700, 0, 0);
    assert_slice(0, 1000, 1700, GAP_NONE, GAP_BLOCKED);
    thread_table_seen_running(fixture.table, by_sample, 1500);
    assert_int_equal(totals_of(by_sample).phase, THREAD_PHASE_RUNNING);
    assert_int_equal(totals_of(by_sample).phase_since_ns, 1000);
    thread_table_switch_out(fixture.table, by_sample, 1900, 0, true, 0);
    assert_times(by_sample, 900, 0, 0);
    thread_table_end(fixture.table, 3000);
    assert_times(never, 0, 2000, 0);
    assert_times(by_switch, 700, 1300, 0);
    assert_times(by_sample, 900, 0, 1100);
}

static void lost_switches_are_made_up_for(void **state)
{
    (void)state;
    thread_id id = get(1, 0);
    thread_table_switch_in(fixture.table, id, 100);
    thread_table_switch_in(fixture.table, id, 300); /* the out between was lost */
    thread_table_switch_out(fixture.table, id, 500, 0, false, 0);
    thread_table_switch_out(fixture.table, id, 700, 0, true, 0); /* the in was lost */
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_RUNNABLE);
    thread_table_seen_running(fixture.table, id, 900); /* another in was lost */
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_RUNNING);
    thread_table_seen_running(fixture.table, id, 950);
    thread_table_switch_out(fixture.table, id, 1000, 0, false, 0);
    assert_times(id, 500, 100 + 200, 200);
}

static void births_and_deaths(void **state)
{
    (void)state;
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1000), 0);
    thread_id id = get(7, 0);
    assert_int_equal(totals_of(id).start_ns, 1000);
    assert_int_equal(totals_of(id).pid, PID);
    assert_int_equal(totals_of(id).tid, 7);
    assert_string_equal(totals_of(id).name, "");
    thread_table_switch_in(fixture.table, id, 1100); /* it waited for its first turn */
    thread_table_gone(fixture.table, id, 1400);
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_GONE);
    assert_int_equal(totals_of(id).end_ns, 1400);
    assert_times(id, 300, 0, 100);
    assert_slice(0, 1100, 1400, GAP_RUNNABLE, GAP_NONE);
    thread_table_end(fixture.table, 9000);
    assert_times(id, 300, 0, 100);
    assert_int_equal(totals_of(id).end_ns, 1400);
}

static void a_thread_of_which_nothing_was_heard_but_its_end(void **state)
{
    (void)state;
    thread_id id = get(7, 1000);
    thread_table_gone(fixture.table, id, 1500);
    assert_times(id, 0, 500, 0);
    assert_int_equal(fixture.n_slices, 0);
    /* Its number is given away again. */
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1600), 0);
    thread_id again = get(7, 0);
    assert_int_not_equal(again, id);
    assert_int_equal(totals_of(again).end_ns, 0);
    assert_int_equal(totals_of(again).phase, THREAD_PHASE_RUNNABLE);
    assert_int_equal(totals_of(id).end_ns, 1500);
}

static void a_number_that_is_used_again_is_another_thread(void **state)
{
    (void)state;
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1000), 0);
    thread_id first = get(7, 0);
    thread_table_switch_in(fixture.table, first, 1100);
    thread_table_gone(fixture.table, first, 1200);
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 2000), 0);
    thread_id second = get(7, 0);
    assert_int_not_equal(first, second);
    thread_table_switch_in(fixture.table, second, 2100);
    /* The end of this one is lost; a birth says that it must have ended. */
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 3000), 0);
    thread_id third = get(7, 0);
    assert_int_not_equal(second, third);
    assert_int_equal(totals_of(second).end_ns, 3000);
    assert_times(second, 900, 0, 100);
    assert_int_equal(thread_table_count(fixture.table), 3);
    assert_times(first, 100, 0, 100);
}

/* A thread can be listed just before the record of its birth is read. */
static void a_birth_after_the_announcement(void **state)
{
    (void)state;
    thread_id id = get(7, 1000);
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1200), 0);
    assert_int_equal(get(7, 0), id);
    assert_int_equal(thread_table_count(fixture.table), 1);
    assert_int_equal(totals_of(id).start_ns, 1200);
    assert_int_equal(totals_of(id).phase, THREAD_PHASE_RUNNABLE);
    thread_table_switch_in(fixture.table, id, 1300);
    assert_times(id, 0, 0, 100);
}

static void exec_leaves_one_thread(void **state)
{
    (void)state;
    thread_id leader = get(PID, 0), worker = get(PID + 1, 0), stranger;
    assert_non_null(thread_table_get(fixture.table, PID + 50, PID + 50, 0, &stranger));
    thread_table_switch_in(fixture.table, leader, 100);
    thread_table_switch_in(fixture.table, worker, 100);
    thread_table_switch_in(fixture.table, stranger, 100);
    assert_int_equal(thread_table_exec(fixture.table, PID, PID, 500), 0);
    assert_int_equal(totals_of(leader).phase, THREAD_PHASE_RUNNING);
    assert_int_equal(totals_of(leader).end_ns, 0);
    assert_int_equal(totals_of(worker).phase, THREAD_PHASE_GONE);
    assert_int_equal(totals_of(worker).end_ns, 500);
    assert_int_equal(totals_of(stranger).phase, THREAD_PHASE_RUNNING);
    assert_int_equal(get(PID, 0), leader);

    /* Called by another thread than the first: the number is the first one's, the life is new. */
    thread_table_gone(fixture.table, leader, 600);
    assert_int_equal(thread_table_exec(fixture.table, PID, PID, 600), 0);
    thread_id reborn = get(PID, 0);
    assert_int_not_equal(reborn, leader);
    assert_int_equal(totals_of(reborn).phase, THREAD_PHASE_RUNNING);
    assert_int_equal(totals_of(reborn).start_ns, 600);
}

static void the_kernels_account_sets_the_length_of_slices(void **state)
{
    (void)state;
    thread_id id = get(1, 0);
    thread_table_switch_in(fixture.table, id, 1000);
    /* The first total that is told only says where to count from. */
    thread_table_switch_out(fixture.table, id, 2000, 0, false, 50000);
    assert_slice(0, 1000, 2000, GAP_BLOCKED, GAP_BLOCKED);
    /* Ten more than was seen: it began earlier, and waited less. */
    thread_table_switch_in(fixture.table, id, 3000);
    thread_table_switch_out(fixture.table, id, 4000, 0, true, 51010);
    assert_slice(1, 2990, 4000, GAP_BLOCKED, GAP_RUNNABLE);
    assert_times(id, 2010, 1990, 0);
    /* Less than was seen: it waited longer, on the run queue this time. */
    thread_table_switch_in(fixture.table, id, 5000);
    thread_table_switch_out(fixture.table, id, 6000, 0, false, 51910);
    assert_slice(2, 5100, 6000, GAP_RUNNABLE, GAP_BLOCKED);
    assert_times(id, 2910, 1990, 1100);
    /* Far more than there was time for: not before the last slice ended. */
    thread_table_switch_in(fixture.table, id, 7000);
    thread_table_switch_out(fixture.table, id, 8000, 0, false, 91910);
    assert_slice(3, 6000, 8000, GAP_BLOCKED, GAP_BLOCKED);
    assert_times(id, 4910, 1990, 1100);
    /* Going backwards, standing still, or not told: what was seen counts. */
    const uint64_t strange_ns[] = {5, 5, 0};
    for (uint64_t i = 0; i < 3; i++) {
        thread_table_switch_in(fixture.table, id, 9000 + i * 1000);
        thread_table_switch_out(fixture.table, id, 9500 + i * 1000, 0, false, strange_ns[i]);
        assert_slice(4 + i, 9000 + i * 1000, 9500 + i * 1000, GAP_BLOCKED, GAP_BLOCKED);
    }
    struct thread_totals totals = totals_of(id);
    assert_int_equal(totals.cpu_ns + totals.blocked_ns + totals.runnable_ns, 11500);
}

/* The last wait that has ended as it was told, how it moved and how it was in the end. */
static struct {
    unsigned int n_ended, n_moved, n_final;
    struct stored_wait last;
    uint64_t blocked_ns, runnable_ns;
} heard;

static void on_wait_ended(void *userdata, struct ended_wait *ended)
{
    (void)userdata;
    heard.n_ended++;
    heard.blocked_ns = ended->wait.wake_ns - ended->wait.start_ns;
    heard.runnable_ns = ended->wait.end_ns - ended->wait.wake_ns;
}

static void on_wait_moved(void *userdata, const struct ended_wait *ended, uint64_t more_blocked_ns,
                          uint64_t more_runnable_ns)
{
    (void)userdata;
    (void)ended;
    heard.n_moved++;
    heard.blocked_ns += more_blocked_ns;
    heard.runnable_ns += more_runnable_ns;
}

static void on_wait_final(void *userdata, const struct ended_wait *ended)
{
    (void)userdata;
    heard.n_final++;
    heard.last = ended->wait;
}

static void assert_last_wait(uint64_t start_ns, uint64_t wake_ns, uint64_t end_ns)
{
    assert_int_equal(heard.n_ended, heard.n_final);
    assert_int_equal(heard.last.start_ns, start_ns);
    assert_int_equal(heard.last.wake_ns, wake_ns);
    assert_int_equal(heard.last.end_ns, end_ns);
    assert_int_equal(heard.blocked_ns, wake_ns - start_ns);
    assert_int_equal(heard.runnable_ns, end_ns - wake_ns);
}

/* What a slice gains, the wait for the CPU before it loses first, and then the sleep. */
static void both_parts_of_a_wait_move(void **state)
{
    (void)state;
    fixture.table = thread_table_free(fixture.table);
    memset(&heard, 0, sizeof(heard));
    const struct slice_sink sink = {.userdata = &fixture,
                                    .on_slice = on_slice,
                                    .on_wait_ended = on_wait_ended,
                                    .on_wait_moved = on_wait_moved,
                                    .on_wait_final = on_wait_final};
    assert_int_equal(thread_table_new(sink, &fixture.table), 0);
    const struct wait_end nobody = {.waker = WAKER_ID_UNKNOWN};
    struct wait_end told = {.wake_ns = 900, .waker = 3};
    thread_id id = get(1, 0);
    thread_table_end_wait(fixture.table, id, 1000, &told);
    thread_table_switch_out(fixture.table, id, 2000, 0, false, 5000);
    assert_last_wait(0, 900, 1000);
    assert_int_equal(heard.last.waker, 3);
    const struct {
        uint64_t length_ns;
        uint64_t wake_ns, end_ns; /* as they are in the end, since the wait began */
        bool is_told;             /* it was woken after 900 of 1000 */
    } rows[] = {
        {1010, 900, 990, true}, {1150, 850, 850, true},  {900, 900, 1100, true},
        {9000, 0, 0, true},     {1010, 990, 990, false}, {900, 1100, 1100, false},
    };
    uint64_t at_ns = 2000, cpu_time_ns = 5000, blocked_ns = 900, runnable_ns = 100;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        told.wake_ns = at_ns + 900;
        cpu_time_ns += rows[i].length_ns;
        thread_table_end_wait(fixture.table, id, at_ns + 1000, rows[i].is_told ? &told : &nobody);
        thread_table_switch_out(fixture.table, id, at_ns + 2000, 0, false, cpu_time_ns);
        assert_last_wait(at_ns, at_ns + rows[i].wake_ns, at_ns + rows[i].end_ns);
        assert_int_equal(heard.n_moved, i + 1);
        blocked_ns += rows[i].wake_ns;
        runnable_ns += rows[i].end_ns - rows[i].wake_ns;
        at_ns += 2000;
        assert_times(id, at_ns - blocked_ns - runnable_ns, blocked_ns, runnable_ns);
    }
    /* A wait that the listener has taken already stays as it is. */
    thread_table_end_wait(fixture.table, id, at_ns + 1000, &nobody);
    thread_table_at(fixture.table, id)->ended.is_there = false;
    thread_table_switch_out(fixture.table, id, at_ns + 2000, 0, false, cpu_time_ns + 1500);
    assert_times(id, at_ns + 1000 - blocked_ns - runnable_ns, blocked_ns + 1000, runnable_ns);
}

static void a_newborns_account_begins_at_nothing(void **state)
{
    (void)state;
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1000), 0);
    thread_id id = get(7, 0);
    thread_table_switch_in(fixture.table, id, 1500);
    thread_table_switch_out(fixture.table, id, 2000, 0, false, 520);
    assert_slice(0, 1480, 2000, GAP_RUNNABLE, GAP_BLOCKED);
    assert_times(id, 520, 0, 480);
}

static void long_slices_are_cut(void **state)
{
    (void)state;
    thread_id busy = get(1, 0), starved = get(2, 0), asleep = get(3, 0);
    thread_table_switch_in(fixture.table, busy, 0);
    thread_table_switch_out(fixture.table, starved, 0, 0, true, 0);
    thread_table_switch_in(fixture.table, asleep, 0);
    thread_table_switch_out(fixture.table, asleep, 0, 0, false, 0);
    fixture.n_slices = 0;
    for (uint64_t now_ns = 250 * MS; now_ns <= 5000 * MS; now_ns += 250 * MS) {
        assert_true(thread_table_checkpoint(fixture.table, now_ns));
    }
    thread_table_switch_out(fixture.table, busy, 5100 * MS, 0, false, 0);
    thread_table_switch_in(fixture.table, starved, 5100 * MS);
    thread_table_switch_out(fixture.table, starved, 5101 * MS, 0, false, 0);
    assert_false(thread_table_checkpoint(fixture.table, 6000 * MS));
    assert_times(busy, 5100 * MS, 0, 0);
    assert_times(starved, 1 * MS, 0, 5100 * MS);

    /* All pieces together are what happened, and none of them is long. */
    uint64_t busy_until_ns = 0, starved_until_ns = 0, starved_cpu_ns = 0;
    for (size_t i = 0; i < fixture.n_slices; i++) {
        const struct stored_slice *slice = &fixture.slices[i];
        if (slice->thread == busy) {
            assert_int_equal(slice->start_ns, busy_until_ns);
            assert_int_equal(slice->before, GAP_NONE);
            busy_until_ns = slice->end_ns;
        } else {
            assert_int_equal(slice->thread, starved);
            assert_int_equal(slice->before, GAP_RUNNABLE);
            assert_true(slice->start_ns - starved_until_ns <= STORED_SLICE_MAX_NS);
            starved_until_ns = slice->end_ns;
            starved_cpu_ns += slice->end_ns - slice->start_ns;
        }
    }
    assert_int_equal(busy_until_ns, 5100 * MS);
    assert_int_equal(starved_until_ns, 5101 * MS);
    assert_int_equal(starved_cpu_ns, 1 * MS);
    assert_int_equal(totals_of(busy).n_voluntary, 1);
    assert_int_equal(totals_of(starved).n_involuntary, 1);
}

/* Long slices are told before their end; the kernel's account cannot move what was told. */
static void the_account_of_a_slice_that_was_cut(void **state)
{
    (void)state;
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 0), 0);
    thread_id id = get(7, 0);
    thread_table_switch_in(fixture.table, id, 1000);
    assert_true(thread_table_checkpoint(fixture.table, 600 * MS));
    thread_table_switch_out(fixture.table, id, 700 * MS, 0, false, 700 * MS);
    assert_times(id, 700 * MS - 1000, 0, 1000);
    assert_slice(0, 1000, 600 * MS, GAP_RUNNABLE, GAP_NONE);
    assert_slice(1, 600 * MS, 700 * MS, GAP_NONE, GAP_BLOCKED);
    /* The next one is short again, and set right. */
    thread_table_switch_in(fixture.table, id, 800 * MS);
    thread_table_switch_out(fixture.table, id, 801 * MS, 0, false, 701 * MS + 50);
    assert_slice(2, 800 * MS - 50, 801 * MS, GAP_BLOCKED, GAP_BLOCKED);
}

static void nothing_is_booked_where_switches_are_not_told(void **state)
{
    (void)state;
    thread_table_free(fixture.table);
    const struct slice_sink none = {0};
    assert_int_equal(thread_table_new(none, &fixture.table), 0);
    thread_id present = get(1, 0);
    assert_int_equal(thread_table_born(fixture.table, PID, 7, 1000), 0);
    thread_id born = get(7, 0);
    assert_false(thread_table_checkpoint(fixture.table, 3000 * MS));
    thread_table_gone(fixture.table, present, 4000 * MS);
    thread_table_gone(fixture.table, born, 4000 * MS);
    assert_times(present, 0, 0, 0);
    assert_times(born, 0, 0, 0);
    assert_int_equal(totals_of(born).end_ns, 4000 * MS);
    assert_int_equal(totals_of(born).phase, THREAD_PHASE_GONE);
}

/* ---- any sequence: running + runnable + blocked = wall ---- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 20) % bound;
}

/* What was announced but not seen on a CPU is a wait, and what is open counts up to now. */
static void assert_conserved(thread_id id, uint64_t now_ns)
{
    struct thread_totals totals = totals_of(id);
    uint64_t sum_ns = totals.cpu_ns + totals.blocked_ns + totals.runnable_ns;
    if (totals.phase == THREAD_PHASE_GONE) {
        assert_int_equal(sum_ns, totals.end_ns - totals.start_ns);
    } else {
        assert_int_equal(totals.end_ns, 0);
        assert_int_equal(sum_ns + (now_ns - totals.phase_since_ns), now_ns - totals.start_ns);
    }
}

/* Slices of one thread follow each other, and are its CPU time. */
static void assert_slices(uint64_t now_ns)
{
    static uint64_t last_ns[4096], cpu_ns[4096];
    memset(last_ns, 0, sizeof(last_ns));
    memset(cpu_ns, 0, sizeof(cpu_ns));
    for (size_t i = 0; i < fixture.n_slices; i++) {
        const struct stored_slice *slice = &fixture.slices[i];
        assert_true(slice->start_ns >= last_ns[slice->thread]);
        assert_true(slice->end_ns <= now_ns);
        last_ns[slice->thread] = slice->end_ns;
        cpu_ns[slice->thread] += slice->end_ns - slice->start_ns;
    }
    for (size_t i = 0; i < thread_table_count(fixture.table); i++) {
        assert_int_equal(cpu_ns[i], totals_of((thread_id)i).cpu_ns);
    }
}

/* The kernel's own account, which is a little off what the records say. */
static uint64_t account_ns[16];

static void random_step(uint64_t now_ns, bool has_accounts, bool loses_records)
{
    int64_t tid = 1 + (int64_t)random_below(15);
    thread_id id = get(tid, now_ns);
    enum thread_phase phase = totals_of(id).phase;
    uint64_t choice = random_below(100);
    bool is_dead = phase == THREAD_PHASE_GONE;
    if (choice < 3 || (is_dead && choice < 50)) {
        assert_int_equal(thread_table_born(fixture.table, PID, tid, now_ns), 0);
        account_ns[tid] = 0;
    } else if (choice < 5) {
        thread_table_gone(fixture.table, id, now_ns);
    } else if (choice < 10) {
        if (phase == THREAD_PHASE_RUNNING || loses_records || is_dead) {
            thread_table_seen_running(fixture.table, id, now_ns);
        }
    } else if (phase == THREAD_PHASE_RUNNING || (loses_records && choice < 40) ||
               (phase == THREAD_PHASE_UNKNOWN && choice < 50)) {
        uint64_t run_ns = now_ns - totals_of(id).phase_since_ns;
        account_ns[tid] += run_ns + random_below(5000) - random_below(run_ns < 500 ? 1 : 500);
        thread_table_switch_out(fixture.table, id, now_ns, (uint16_t)random_below(4),
                                random_below(2), has_accounts ? account_ns[tid] : 0);
    } else {
        thread_table_switch_in(fixture.table, id, now_ns);
    }
}

static void time_is_conserved(void **state)
{
    (void)state;
    for (unsigned int variant = 0; variant < 24; variant++) {
        tear_down(NULL);
        set_up(NULL);
        random_state = variant + 1;
        memset(account_ns, 0, sizeof(account_ns));
        uint64_t now_ns = 1000 * MS, checkpoint_ns = now_ns;
        for (int step = 0; step < 4000; step++) {
            /* Mostly microseconds, sometimes much longer than a slice may be. */
            uint64_t until_ns = now_ns + random_below(20000);
            until_ns += random_below(50) == 0 ? random_below(3000 * MS) : 0;
            for (; checkpoint_ns < until_ns; checkpoint_ns += 250 * MS) {
                thread_table_checkpoint(fixture.table, checkpoint_ns);
            }
            now_ns = until_ns;
            random_step(now_ns, variant % 2, variant % 3 == 0);
            if (step % 64 == 0) {
                for (size_t i = 0; i < thread_table_count(fixture.table); i++) {
                    assert_conserved((thread_id)i, now_ns);
                }
            }
        }
        assert_slices(now_ns);
        thread_table_end(fixture.table, now_ns + 100);
        for (size_t i = 0; i < thread_table_count(fixture.table); i++) {
            struct thread_totals totals = totals_of((thread_id)i);
            uint64_t end_ns = totals.end_ns ? totals.end_ns : now_ns + 100;
            assert_int_equal(totals.cpu_ns + totals.blocked_ns + totals.runnable_ns,
                             end_ns - totals.start_ns);
        }
        assert_slices(now_ns + 100);
        assert_true(thread_table_count(fixture.table) > 50);
    }
}

static void memory_is_told(void **state)
{
    (void)state;
    for (int64_t tid = 1; tid <= 1000; tid++) {
        assert_int_equal(get(tid, 0), tid - 1);
    }
    assert_int_equal(thread_table_count(fixture.table), 1000);
    assert_true(thread_table_memory_bytes(fixture.table) >= 1000 * sizeof(struct thread));
    assert_null(thread_table_free(NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(switches_become_slices),
        TEST(a_thread_that_ran_when_it_was_attached_to),
        TEST(lost_switches_are_made_up_for),
        TEST(births_and_deaths),
        TEST(a_thread_of_which_nothing_was_heard_but_its_end),
        TEST(a_number_that_is_used_again_is_another_thread),
        TEST(a_birth_after_the_announcement),
        TEST(exec_leaves_one_thread),
        TEST(the_kernels_account_sets_the_length_of_slices),
        TEST(both_parts_of_a_wait_move),
        TEST(a_newborns_account_begins_at_nothing),
        TEST(long_slices_are_cut),
        TEST(the_account_of_a_slice_that_was_cut),
        TEST(nothing_is_booked_where_switches_are_not_told),
        TEST(time_is_conserved),
        TEST(memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
