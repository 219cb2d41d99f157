/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compare/student_t.h"

/* Two-sided critical values as every table of the distribution has them. */
static const struct {
    double probability, freedom, limit;
} table[] = {
    {0.05, 1, 12.7062047362},  {0.05, 2, 4.3026527297},  {0.05, 4, 2.7764451052},
    {0.05, 10, 2.2281388520},  {0.05, 30, 2.0422724563}, {0.05, 1e6, 1.9599664},
    {0.01, 5, 4.0321429836},   {0.01, 20, 2.8453397098}, {0.001, 4, 8.6103015813},
    {0.001, 15, 4.0727651959}, {0.5, 10, 0.6998120613},
};

static void limits_are_those_of_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        double limit = student_t_limit(table[i].probability, table[i].freedom);
        assert_true(fabs(limit - table[i].limit) < 2e-5 * table[i].limit);
        double back = student_t_two_sided(limit, table[i].freedom);
        assert_true(fabs(back - table[i].probability) < 1e-9);
    }
}

static void the_ends_are_certain(void **state)
{
    (void)state;
    assert_true(student_t_two_sided(0, 7) == 1);
    assert_true(student_t_two_sided(1e9, 7) < 1e-50);
    assert_true(student_t_two_sided(-2, 7) == student_t_two_sided(2, 7));
    /* With one degree it is Cauchy's: 1 - 2/pi atan(t). */
    for (unsigned int i = 1; i < 160; i *= 2) {
        double t = i / 4.0;
        double expected = 1 - 2 / M_PI * atan(t);
        assert_true(fabs(student_t_two_sided(t, 1) - expected) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_those_of_tables),
        cmocka_unit_test(the_ends_are_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
