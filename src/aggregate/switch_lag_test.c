/* SPDX-License-Identifier: MIT */
#include "aggregate/switch_lag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LAG_NS 6000u
#define BURST_NS 200000u
#define PID 100

static void ignore_slice(void *userdata, const struct stored_slice *slice)
{
    (void)userdata;
    (void)slice;
}

/* A thread that runs BURST_NS at a time, of which the records miss the first lag_ns. Returns the
 * time after it. */
static uint64_t run_bursts(struct thread_table *table, thread_id id, uint64_t now_ns, int n_bursts,
                           uint64_t lag_ns)
{
    for (int i = 0; i < n_bursts; i++) {
        thread_table_switch_in(table, id, now_ns + lag_ns);
        thread_table_switch_out(table, id, now_ns + BURST_NS, 0, false, 0);
        now_ns += 2 * BURST_NS;
    }
    return now_ns;
}

static struct thread_table *new_table(thread_id *ret_id)
{
    struct thread_table *table = NULL;
    assert_int_equal(thread_table_new((struct slice_sink){.on_slice = ignore_slice}, &table), 0);
    assert_non_null(thread_table_get(table, PID, PID, 0, ret_id));
    return table;
}

static void the_mean_lag_is_found(void **state)
{
    (void)state;
    thread_id id;
    struct thread_table *table = new_table(&id);
    struct switch_lag lag = {0};
    uint64_t now_ns = run_bursts(table, id, 1000000, 10, LAG_NS);
    switch_lag_update(&lag, table, PID, now_ns, 10 * BURST_NS);
    assert_int_equal(lag.lag_ns, 0); /* the first reading is what others are compared with */
    now_ns = run_bursts(table, id, now_ns, 500, LAG_NS);
    switch_lag_update(&lag, table, PID, now_ns, 510 * BURST_NS);
    assert_int_equal(lag.lag_ns, LAG_NS);
    table = thread_table_free(table);
}

static void no_lag_where_records_are_exact(void **state)
{
    (void)state;
    thread_id id;
    struct thread_table *table = new_table(&id);
    struct switch_lag lag = {0};
    switch_lag_update(&lag, table, PID, 1000, 0);
    uint64_t now_ns = run_bursts(table, id, 1000000, 500, 0);
    switch_lag_update(&lag, table, PID, now_ns, 500 * BURST_NS);
    assert_int_equal(lag.lag_ns, 0);
    /* Less than measured (the hypervisor took the CPU) is no lag either. */
    switch_lag_update(&lag, table, PID, now_ns, 499 * BURST_NS);
    assert_int_equal(lag.lag_ns, 0);
    table = thread_table_free(table);
}

static void it_is_bounded_and_needs_switches(void **state)
{
    (void)state;
    thread_id id;
    struct thread_table *table = new_table(&id);
    struct switch_lag lag = {0};
    switch_lag_update(&lag, table, PID, 1000, 0);
    uint64_t now_ns = run_bursts(table, id, 1000000, 5, LAG_NS);
    switch_lag_update(&lag, table, PID, now_ns, 5 * BURST_NS);
    assert_int_equal(lag.lag_ns, 0);
    now_ns = run_bursts(table, id, now_ns, 100, LAG_NS);
    switch_lag_update(&lag, table, PID, now_ns, 1000 * UINT64_C(1000000000));
    assert_in_range(lag.lag_ns, LAG_NS, 50000);
    table = thread_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_lag_is_found),
        cmocka_unit_test(no_lag_where_records_are_exact),
        cmocka_unit_test(it_is_bounded_and_needs_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
