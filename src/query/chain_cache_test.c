/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "query/chain_cache.h"

static const struct symbol inner = {.name = "inner"}, outer = {.name = "outer"};
static const struct symbol_chain_entry single[] = {{.symbol = &outer}};
static const struct symbol_chain_entry both[] = {
    {.symbol = &inner, .is_inlined = true, .file = "a.c", .line = 3},
    {.symbol = &outer, .file = "a.c", .line = 9},
};
static const struct symbol_chain_entry with_line[] = {{.symbol = &outer, .file = "a.c", .line = 9}};

static void what_is_put_is_found(void **state)
{
    (void)state;
    _cleanup_(chain_cache_freep) struct chain_cache *cache = NULL;
    assert_int_equal(chain_cache_new(&cache), 0);
    struct name_chain chain;
    assert_int_equal(chain_cache_find(cache, 0, &chain), CHAIN_UNKNOWN);
    assert_int_equal(chain_cache_find(cache, UINT32_MAX, &chain), CHAIN_UNKNOWN);
    const frame_id frames[] = {0, 1, 4095, 4096, CHAIN_CACHE_FRAMES_MAX - 1};
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        assert_int_equal(
            chain_cache_put(cache, frames[i], i % 2 ? both : single, i % 2 ? 2 : 1, true, &chain),
            0);
        assert_int_equal(chain_cache_find(cache, frames[i], &chain), CHAIN_SETTLED);
        assert_int_equal(chain.n_entries, i % 2 ? 2 : 1);
        assert_ptr_equal(chain.entries[chain.n_entries - 1].symbol, &outer);
        assert_int_equal(chain.entries[chain.n_entries - 1].line, i % 2 ? 9 : 0);
    }
    assert_int_equal(chain_cache_find(cache, 2, &chain), CHAIN_UNKNOWN);
    assert_int_equal(chain_cache_put(cache, CHAIN_CACHE_FRAMES_MAX, single, 1, true, &chain),
                     -ENOMEM);
}

static void a_provisional_chain_is_replaced_and_a_settled_one_stays(void **state)
{
    (void)state;
    _cleanup_(chain_cache_freep) struct chain_cache *cache = NULL;
    assert_int_equal(chain_cache_new(&cache), 0);
    struct name_chain first, chain;
    assert_int_equal(chain_cache_put(cache, 7, single, 1, false, &chain), 0);
    assert_int_equal(chain_cache_find(cache, 7, &chain), CHAIN_PROVISIONAL);
    assert_int_equal(chain_cache_put(cache, 7, with_line, 1, false, &first), 0);
    assert_string_equal(first.entries[0].file, "a.c");
    /* The same once more takes no memory, also when it becomes settled. */
    assert_int_equal(chain_cache_put(cache, 7, with_line, 1, false, &chain), 0);
    assert_ptr_equal(chain.entries, first.entries);
    assert_int_equal(chain_cache_put(cache, 7, both, 2, false, &chain), 0);
    assert_int_equal(chain.n_entries, 2);
    assert_int_equal(first.entries[0].line, 9); /* an earlier answer can still be read */
    assert_int_equal(chain_cache_put(cache, 7, both, 2, true, &first), 0);
    assert_ptr_equal(chain.entries, first.entries);
    assert_int_equal(chain_cache_put(cache, 7, single, 1, true, &chain), 0);
    assert_int_equal(chain.n_entries, 2);
    assert_int_equal(chain_cache_find(cache, 7, &chain), CHAIN_SETTLED);
    assert_int_equal(chain.n_entries, 2);
}

/* ---- many at once ---- */

#define N_THREADS 4
#define N_FRAMES 20000

static void *put_all(void *userdata)
{
    struct chain_cache *cache = userdata;
    size_t n_wrong = 0;
    for (frame_id frame = 0; frame < N_FRAMES; frame++) {
        struct name_chain chain;
        n_wrong += chain_cache_put(cache, frame, single, 1, false, &chain) != 0;
        n_wrong += chain.entries[chain.n_entries - 1].symbol != &outer;
        n_wrong += chain_cache_put(cache, frame, both, 2, true, &chain) != 0;
        n_wrong += chain.n_entries != 2;
        n_wrong += chain_cache_find(cache, frame, &chain) != CHAIN_SETTLED;
        n_wrong += chain.n_entries != 2 || chain.entries[0].symbol != &inner;
    }
    return (void *)n_wrong;
}

static void many_may_put_and_find_at_once(void **state)
{
    (void)state;
    _cleanup_(chain_cache_freep) struct chain_cache *cache = NULL;
    assert_int_equal(chain_cache_new(&cache), 0);
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_all, cache), 0);
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
        cmocka_unit_test(a_provisional_chain_is_replaced_and_a_settled_one_stays),
        cmocka_unit_test(many_may_put_and_find_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
