/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "capture/fake/fake_script.h"

static void test_defaults(void **state)
{
    (void)state;
    struct fake_script script, empty;
    assert_int_equal(fake_script_parse(NULL, &script, NULL), 0);
    assert_int_equal(fake_script_parse("", &empty, NULL), 0);
    assert_memory_equal(&script, &empty, sizeof(script));
    assert_int_equal(script.samples, 100000);
    assert_int_equal(script.switches, 10000);
    assert_int_equal(script.cpus, 4);
    /* 100000 samples at 900 Hz on four CPUs. */
    assert_int_equal(script.duration_ns, UINT64_C(100000) * (1000000000 / 3600));
    assert_false(script.block);
}

static void test_members(void **state)
{
    (void)state;
    struct fake_script script;
    assert_int_equal(fake_script_parse("samples=2M,threads=2,switches=0,block=1,hold=1,rate=900,"
                                       "duration_ns=5G,seed=7,",
                                       &script, NULL),
                     0);
    assert_int_equal(script.samples, 2000000);
    assert_int_equal(script.cpus, 2); /* not more than threads */
    assert_int_equal(script.switches, 0);
    assert_int_equal(script.duration_ns, UINT64_C(5000000000));
    assert_true(script.block);
    assert_true(script.hold);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "sample=1",
        "samples",
        "samples=",
        "samples=x",
        "samples=1x",
        "samples=-1",
        "samples=1,,",
        "threads=0",
        "block=2",
        "samples=1 ",
        "samples=1,samples=1",
        "=1",
        "depth=100000",
        "seed=99999999999999999999999",
        "samples=99999999999G",
        ",",
        "samples=1\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct fake_script script;
        struct error error = {0};
        assert_int_equal(fake_script_parse(texts[i], &script, &error), -EINVAL);
        assert_string_equal(error.code, "invalid_params");
        assert_true(error.message[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
