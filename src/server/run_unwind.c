/* SPDX-License-Identifier: MIT */
#include "server/run_unwind.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

/* Tables take milliseconds; a question should not wait for one. */
#define TABLE_POLL_NS 300000

/* Of generated code; what little is without a frame loses its caller, and no more. */
#define FRAMELESS_PART 16u

void run_unwind_set_capture(struct run *run, struct capture *capture)
{
    pthread_mutex_lock(&run->unwind_lock);
    run->unwind_capture = capture;
    pthread_mutex_unlock(&run->unwind_lock);
}

static void want_stack_bytes(void *userdata, uint32_t n_bytes)
{
    struct run *run = userdata;
    pthread_mutex_lock(&run->unwind_lock);
    if (run->unwind_capture && run->ops->want_stack_bytes) {
        run->ops->want_stack_bytes(run->unwind_capture, n_bytes);
    }
    pthread_mutex_unlock(&run->unwind_lock);
}

static void set_code(void *userdata, const struct code_map *map)
{
    struct run *run = userdata;
    pthread_mutex_lock(&run->unwind_lock);
    if (run->unwind_capture && run->ops->set_code) {
        run->ops->set_code(run->unwind_capture, map);
    }
    pthread_mutex_unlock(&run->unwind_lock);
}

static ssize_t read_memory(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes)
{
    struct run *run = userdata;
    ssize_t n_read = -ESRCH;
    pthread_mutex_lock(&run->unwind_lock);
    if (run->unwind_capture && run->ops->read_memory) {
        n_read = run->ops->read_memory(run->unwind_capture, pid, address, buffer, n_bytes);
    }
    pthread_mutex_unlock(&run->unwind_lock);
    return n_read;
}

static bool find_generated(void *userdata, int64_t pid, uint64_t ip, uint64_t time_ns,
                           struct generated_code *ret_code)
{
    struct run *run = userdata;
    struct jit_place place;
    if (!jit_code_find(run->jit, pid, ip, time_ns, time_ns, &place) || !place.table) {
        return false;
    }
    *ret_code = (struct generated_code){.bias = place.table_bias, .table = place.table};
    return true;
}

/*
 * Node says in each function's table what its frame pointer says too: then the
 * walk inside the kernel, which has no tables of generated code, does without.
 */
static bool has_generated_tables(void *userdata)
{
    const struct run *run = userdata;
    struct jit_code_stats stats;
    jit_code_get_stats(run->jit, &stats);
    return stats.n_frameless_bytes > stats.n_table_bytes / FRAMELESS_PART;
}

int run_unwind_begin(struct run *run, struct cfi_store *store)
{
    if (run->request.no_dwarf_unwind || !store) {
        return 0;
    }
    const struct unwinder_config config = {
        .store = store,
        .userdata = run,
        .want_stack_bytes = want_stack_bytes,
        .set_code = run->ops->set_code ? set_code : NULL,
        .read_memory = read_memory,
        .find_generated = find_generated,
        .has_generated_tables = has_generated_tables,
    };
    return unwinder_new(&config, &run->unwinder);
}

void run_unwind_end(struct run *run)
{
    if (run->unwinder) {
        unwinder_retire(run->unwinder);
    }
}

void run_unwind_apply(struct run *run, const struct run_slab *slab,
                      void (*while_waiting)(void *userdata), void *userdata)
{
    size_t n_events = event_batch_count(slab->batch);
    if (n_events == 0) {
        return;
    }
    struct event *events = event_batch_get_mutable(slab->batch, 0);
    if (!run->unwinder) {
        aggregate_apply(run->aggregate, events, n_events);
        return;
    }
    unwinder_begin(run->unwinder);
    for (size_t n_done = 0; n_done < n_events;) {
        size_t n_now =
            unwinder_apply(run->unwinder, events + n_done, n_events - n_done, clock_now_ns());
        aggregate_apply(run->aggregate, events + n_done, n_now);
        n_done += n_now;
        if (n_done < n_events) {
            const struct timespec pause = {.tv_nsec = TABLE_POLL_NS};
            while_waiting(userdata);
            nanosleep(&pause, NULL);
        }
    }
}
