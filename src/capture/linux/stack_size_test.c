/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "capture/linux/stack_size.h"
#include "model/limits.h"

#define STEP_NS (20 * NS_PER_MS)

/* The size after so many rounds with the same wish; how often it changed. */
static unsigned follow(struct stack_size *size, uint32_t wish_bytes, uint64_t *now_ns,
                       uint64_t for_ns)
{
    unsigned n_changes = 0;
    for (uint64_t end_ns = *now_ns + for_ns; *now_ns < end_ns; *now_ns += STEP_NS) {
        n_changes += stack_size_follow(size, wish_bytes, size->n_lost, *now_ns);
    }
    return n_changes;
}

static void a_person_gets_what_the_kernel_takes(void **state)
{
    (void)state;
    assert_int_equal(stack_size_fixed(64), 64);
    assert_int_equal(stack_size_fixed(65), 72);
    assert_int_equal(stack_size_fixed(8192), 8192);
    assert_int_equal(stack_size_fixed(65527), LIMIT_STACK_COPY_BYTES);
    assert_int_equal(stack_size_fixed(65536), LIMIT_STACK_COPY_BYTES);
    assert_int_equal(stack_size_fixed(UINT32_MAX), LIMIT_STACK_COPY_BYTES);
}

static void the_most_depends_on_ring_and_rate(void **state)
{
    (void)state;
    assert_int_equal(stack_size_most(4u << 20, 900), LIMIT_STACK_COPY_BYTES);
    assert_int_equal(stack_size_most(512u << 10, 900), 32768);
    assert_int_equal(stack_size_most(512u << 10, 4000), 8192);
    assert_int_equal(stack_size_most(512u << 10, 20000), 1536);
    assert_int_equal(stack_size_most(32u << 10, 900), 2048);
    assert_int_equal(stack_size_most(0, 0), 1024);
}

static void nothing_changes_without_a_wish(void **state)
{
    (void)state;
    struct stack_size size;
    uint64_t now_ns = NS_PER_S;
    stack_size_init(&size, 32768, now_ns);
    assert_int_equal(size.now_bytes, STACK_SIZE_FIRST_BYTES);
    assert_int_equal(follow(&size, STACK_SIZE_NO_WISH, &now_ns, 60 * NS_PER_S), 0);
    assert_int_equal(size.now_bytes, STACK_SIZE_FIRST_BYTES);
    stack_size_init(&size, 4096, now_ns);
    assert_int_equal(size.now_bytes, 4096);
}

static void the_first_wish_is_followed_at_once(void **state)
{
    (void)state;
    struct stack_size size;
    uint64_t now_ns = NS_PER_S;
    stack_size_init(&size, 32768, now_ns);
    assert_true(stack_size_follow(&size, 4000, 0, now_ns + 1));
    assert_int_equal(size.now_bytes, 4096);
    assert_false(stack_size_follow(&size, 100, 0, now_ns + 2));
}

static void too_little_is_made_good_at_once(void **state)
{
    (void)state;
    struct stack_size size;
    uint64_t now_ns = NS_PER_S;
    stack_size_init(&size, 32768, now_ns);
    assert_true(stack_size_follow(&size, 4000, 0, now_ns + 1));
    assert_true(stack_size_follow(&size, 8000, 0, now_ns + 2));
    assert_int_equal(size.now_bytes, 8192);
    /* Growing further is not as urgent. */
    assert_false(stack_size_follow(&size, 20000, 0, now_ns + 3));
    assert_true(stack_size_follow(&size, 20000, 0, now_ns + 2 + STACK_SIZE_UP_NS));
}

/* Past its first change. */
static struct stack_size changed_once(uint32_t first_bytes, uint64_t *now_ns)
{
    struct stack_size size;
    stack_size_init(&size, LIMIT_STACK_COPY_BYTES, *now_ns);
    assert_int_equal(follow(&size, first_bytes, now_ns, STACK_SIZE_UP_NS + STEP_NS), 1);
    assert_int_equal(size.now_bytes, first_bytes);
    return size;
}

static void it_goes_up_soon_and_down_later(void **state)
{
    (void)state;
    uint64_t now_ns = NS_PER_S;
    struct stack_size size = changed_once(4096, &now_ns);
    assert_int_equal(follow(&size, 20000, &now_ns, STEP_NS), 1);
    assert_int_equal(size.now_bytes, 20480);
    /* Within the same step nothing is re-opened. */
    assert_int_equal(follow(&size, 20480, &now_ns, 10 * NS_PER_S), 0);
    assert_int_equal(follow(&size, 18000, &now_ns, 10 * NS_PER_S), 0);
    assert_int_equal(follow(&size, 1000, &now_ns, STACK_SIZE_DOWN_NS), 0);
    /* … and not to the bottom at once. */
    assert_int_equal(follow(&size, 1000, &now_ns, 2 * STEP_NS), 1);
    assert_int_equal(size.now_bytes, 10240);
    assert_int_equal(follow(&size, 1000, &now_ns, 10 * NS_PER_S), 4);
    assert_int_equal(size.now_bytes, 1024);
    /* A wish that is lower only now and then is not followed. */
    unsigned n_changes = 0;
    for (unsigned i = 0; i < 100; i++) {
        n_changes += follow(&size, i % 2 ? 100 : 1000, &now_ns, 200 * NS_PER_MS);
    }
    assert_int_equal(n_changes, 0);
    assert_int_equal(follow(&size, 0, &now_ns, 10 * NS_PER_S), 2);
    assert_int_equal(size.now_bytes, 0);
    assert_int_equal(follow(&size, 1, &now_ns, NS_PER_S), 1);
    assert_int_equal(size.now_bytes, 64);
}

static void a_restless_wish_changes_little(void **state)
{
    (void)state;
    uint64_t now_ns = NS_PER_S;
    struct stack_size size = changed_once(4096, &now_ns);
    unsigned n_changes = 0;
    for (unsigned i = 0; i < 1000; i++) {
        n_changes += follow(&size, i % 2 ? 60000 : 64, &now_ns, STEP_NS);
    }
    assert_int_equal(n_changes, 1);
    assert_int_equal(size.now_bytes, LIMIT_STACK_COPY_BYTES);
}

/* What looks like enough until it is tried is tried less and less often. */
static void mistakes_make_it_slower(void **state)
{
    (void)state;
    uint64_t now_ns = NS_PER_S;
    struct stack_size size = changed_once(4096, &now_ns);
    unsigned n_changes = 0;
    for (uint64_t end_ns = now_ns + 120 * NS_PER_S; now_ns < end_ns; now_ns += STEP_NS) {
        n_changes += stack_size_follow(&size, size.now_bytes > 1024 ? 1024 : 4096, 0, now_ns);
    }
    assert_true(n_changes > 10 && n_changes < 40);
    assert_int_equal(size.down_after_ns, STACK_SIZE_DOWN_MAX_NS);
}

static void losses_make_copies_smaller_for_a_while(void **state)
{
    (void)state;
    struct stack_size size;
    uint64_t now_ns = NS_PER_S;
    stack_size_init(&size, 32768, now_ns);
    assert_int_equal(follow(&size, 32768, &now_ns, NS_PER_S), 1);
    assert_true(stack_size_follow(&size, 32768, 3, now_ns));
    assert_int_equal(size.now_bytes, 16384);
    assert_true(stack_size_follow(&size, 32768, 4, now_ns + 1));
    assert_int_equal(size.now_bytes, 8192);
    now_ns += STEP_NS;
    assert_int_equal(follow(&size, 32768, &now_ns, STACK_SIZE_FORGIVES_NS - NS_PER_S), 0);
    assert_int_equal(follow(&size, 32768, &now_ns, 2 * NS_PER_S), 1);
    assert_int_equal(size.now_bytes, 32768);
    /* Small copies are not what overflows a ring. */
    (void)follow(&size, 100, &now_ns, 10 * NS_PER_S);
    assert_int_equal(size.now_bytes, 112);
    assert_false(stack_size_follow(&size, 100, 1000, now_ns));
    assert_int_equal(size.now_bytes, 112);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_gets_what_the_kernel_takes),
        cmocka_unit_test(the_most_depends_on_ring_and_rate),
        cmocka_unit_test(nothing_changes_without_a_wish),
        cmocka_unit_test(the_first_wish_is_followed_at_once),
        cmocka_unit_test(too_little_is_made_good_at_once),
        cmocka_unit_test(it_goes_up_soon_and_down_later),
        cmocka_unit_test(mistakes_make_it_slower),
        cmocka_unit_test(a_restless_wish_changes_little),
        cmocka_unit_test(losses_make_copies_smaller_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
