/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "query/cause_cache.h"

static const char read_site[] = "pipe_read", write_site[] = "pipe_write", image[] = "[kernel]";
static const struct wait_cause_entry reading = {
    .reason = WAIT_REASON_IO_R, .site = read_site, .site_image = image, .site_frame = 1};
static const struct wait_cause_entry writing = {
    .reason = WAIT_REASON_IO_W, .site = write_site, .site_image = image, .site_frame = 1};

static void assert_entry_equal(const struct wait_cause_entry *a, const struct wait_cause_entry *b)
{
    assert_non_null(a);
    assert_int_equal(a->reason, b->reason);
    assert_ptr_equal(a->site, b->site);
    assert_ptr_equal(a->site_image, b->site_image);
    assert_int_equal(a->site_frame, b->site_frame);
}

static void what_is_put_is_found(void **state)
{
    (void)state;
    _cleanup_(cause_cache_freep) struct cause_cache *cache = NULL;
    assert_int_equal(cause_cache_new(&cache), 0);
    const stack_id stacks[] = {STACK_ID_EMPTY, 1, 4095, 4096, CAUSE_CACHE_STACKS_MAX - 1};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
        bool needs_call = true;
        assert_null(cause_cache_find(cache, stacks[i], &needs_call));
        assert_false(needs_call);
        const struct wait_cause_entry *wanted = i % 2 ? &writing : &reading;
        const struct wait_cause_entry *kept = cause_cache_put(cache, stacks[i], wanted, i % 2);
        assert_entry_equal(kept, wanted);
        assert_ptr_not_equal(kept, wanted);
        assert_ptr_equal(cause_cache_find(cache, stacks[i], &needs_call), kept);
        assert_int_equal(needs_call, i % 2);
    }
    bool needs_call;
    const struct wait_cause_entry *first = cause_cache_find(cache, 0, &needs_call);
    /* Equal ones are one; the first answer stays. */
    assert_ptr_equal(cause_cache_find(cache, 4095, &needs_call), first);
    assert_ptr_equal(cause_cache_put(cache, 0, &writing, true), first);
    assert_ptr_equal(cause_cache_find(cache, 0, &needs_call), first);
    assert_false(needs_call);
    struct wait_cause_entry deeper = reading;
    deeper.site_frame = WAIT_CAUSE_NO_FRAME;
    assert_ptr_not_equal(cause_cache_put(cache, 2, &deeper, false), first);
}

static void system_calls_are_kept_apart(void **state)
{
    (void)state;
    _cleanup_(cause_cache_freep) struct cause_cache *cache = NULL;
    assert_int_equal(cause_cache_new(&cache), 0);
    bool needs_call;
    assert_null(cause_cache_find_call(cache, 7, 0));
    const struct wait_cause_entry *in = cause_cache_put_call(cache, 7, 0, &reading);
    const struct wait_cause_entry *out = cause_cache_put_call(cache, 7, 1, &writing);
    assert_entry_equal(in, &reading);
    assert_entry_equal(out, &writing);
    assert_ptr_equal(cause_cache_find_call(cache, 7, 0), in);
    assert_ptr_equal(cause_cache_find_call(cache, 7, 1), out);
    assert_null(cause_cache_find_call(cache, 7, 2));
    assert_null(cause_cache_find_call(cache, 8, 0));
    assert_null(cause_cache_find(cache, 7, &needs_call));
    assert_ptr_equal(cause_cache_put_call(cache, 7, 0, &writing), in);
}

static void past_the_limits_nothing_new_is_kept(void **state)
{
    (void)state;
    _cleanup_(cause_cache_freep) struct cause_cache *cache = NULL;
    assert_int_equal(cause_cache_new(&cache), 0);
    bool needs_call;
    assert_null(cause_cache_put(cache, CAUSE_CACHE_STACKS_MAX, &reading, false));
    assert_null(cause_cache_put_call(cache, UINT32_MAX, 1, &reading));
    assert_null(cause_cache_find(cache, UINT32_MAX, &needs_call));
    for (uint32_t syscall = 0; syscall < CAUSE_CACHE_CALLS_MAX; syscall++) {
        assert_non_null(cause_cache_put_call(cache, 7, syscall, &reading));
    }
    assert_null(cause_cache_put_call(cache, 7, CAUSE_CACHE_CALLS_MAX, &reading));
    assert_non_null(cause_cache_find_call(cache, 7, 0));

    size_t before_bytes = cause_cache_memory_bytes(cache), n_kept = 0;
    const stack_id step = 4096; /* each in memory of its own */
    for (stack_id stack = 0; stack < 5000 * step; stack += step) {
        n_kept += cause_cache_put(cache, stack, &reading, false) != NULL;
    }
    assert_in_range(n_kept, 3000, 4999);
    size_t after_bytes = cause_cache_memory_bytes(cache);
    assert_true(after_bytes - before_bytes >= n_kept * step * sizeof(uint16_t));
    assert_true(after_bytes <= CAUSE_CACHE_BYTES_MAX + 4096);
    assert_null(cause_cache_find(cache, 4999 * step, &needs_call));
    assert_entry_equal(cause_cache_find(cache, (stack_id)(n_kept - 1) * step, &needs_call),
                       &reading);
    /* Where there is room already, there is. */
    assert_entry_equal(cause_cache_put(cache, 1, &reading, true), &reading);
}

/* ---- many at once ---- */

#define N_THREADS 4
#define N_STACKS 20000u
#define N_SITES 64u

static char sites[N_SITES];

static struct wait_cause_entry entry_of(stack_id stack, uint32_t syscall)
{
    return (struct wait_cause_entry){
        .reason = (enum wait_reason)((stack + syscall) % WAIT_REASON_N),
        .site = &sites[stack % N_SITES],
        .site_image = image,
        .site_frame = stack % 3,
    };
}

static bool is_entry_of(const struct wait_cause_entry *entry, stack_id stack, uint32_t syscall)
{
    const struct wait_cause_entry wanted = entry_of(stack, syscall);
    return entry && entry->reason == wanted.reason && entry->site == wanted.site &&
           entry->site_image == wanted.site_image && entry->site_frame == wanted.site_frame;
}

static void *put_and_find_all(void *userdata)
{
    struct cause_cache *cache = userdata;
    size_t n_wrong = 0;
    for (stack_id stack = 0; stack < N_STACKS; stack++) {
        bool needs_call, is_even = stack % 2 == 0;
        struct wait_cause_entry plain = entry_of(stack, 0);
        const struct wait_cause_entry *known = cause_cache_find(cache, stack, &needs_call);
        n_wrong += known && (!is_entry_of(known, stack, 0) || needs_call != is_even);
        n_wrong += !is_entry_of(cause_cache_put(cache, stack, &plain, is_even), stack, 0);
        n_wrong += !is_entry_of(cause_cache_find(cache, stack, &needs_call), stack, 0);
        for (uint32_t syscall = 1; syscall < 4 && is_even; syscall++) {
            struct wait_cause_entry wanted = entry_of(stack, syscall);
            known = cause_cache_find_call(cache, stack, syscall);
            n_wrong += known && !is_entry_of(known, stack, syscall);
            known = cause_cache_put_call(cache, stack, syscall, &wanted);
            n_wrong += !is_entry_of(known, stack, syscall);
            n_wrong += cause_cache_find_call(cache, stack, syscall) != known;
        }
    }
    return (void *)n_wrong;
}

static void many_may_put_and_find_at_once(void **state)
{
    (void)state;
    _cleanup_(cause_cache_freep) struct cause_cache *cache = NULL;
    assert_int_equal(cause_cache_new(&cache), 0);
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_find_all, cache), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        void *n_wrong;
        pthread_join(threads[i], &n_wrong);
        assert_null(n_wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found),
        cmocka_unit_test(system_calls_are_kept_apart),
        cmocka_unit_test(past_the_limits_nothing_new_is_kept),
        cmocka_unit_test(many_may_put_and_find_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
