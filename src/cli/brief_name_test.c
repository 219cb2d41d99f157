/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/brief_name.h"

static void assert_brief(const char *name, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 4096);
    text_append(&text, "");
    brief_name_append(&text, name);
    assert_string_equal(text.data ? text.data : "", expected);
}

static void plain_names_stay(void **state)
{
    (void)state;
    assert_brief("", "");
    assert_brief("parse_line", "parse_line");
    assert_brief("libc.so.6+0x1234", "libc.so.6+0x1234");
    assert_brief("JS:*(anonymous) /tmp/hot.js:5:65", "JS:*(anonymous) /tmp/hot.js:5:65");
}

static void templates_and_parameters_go(void **state)
{
    (void)state;
    assert_brief("std::map<int, std::pair<long, char> >::find(int const&) const",
                 "std::map<…>::find(…)");
    assert_brief("void sort<int*>(int*, int*)", "void sort<…>(…)");
    assert_brief("f()", "f()");
    assert_brief("main::{lambda(int, int)#1}::call", "main::{lambda(…)#1}::call");
    assert_brief("(anonymous namespace)::run(void (*)(int))", "(anonymous namespace)::run(…)");
    assert_brief("ns::(anonymous namespace)::run<A>", "ns::(anonymous namespace)::run<…>");
}

static void operators_keep_their_brackets(void **state)
{
    (void)state;
    assert_brief("bool std::operator< <char, X>(Y const&)", "bool std::operator< <…>(…)");
    assert_brief("A<int>::operator()(int)", "A<…>::operator()(…)");
    assert_brief("P::operator->() const", "P::operator->()");
    assert_brief("s::operator<< <int>(int)", "s::operator<< <…>(…)");
    assert_brief("operator>=(a, b)", "operator>=(…)");
    assert_brief("my_operator<int>", "my_operator<…>");
    assert_brief("A<(x->y)>::f", "A<…>::f");
}

static void rust_names_keep_whose_they_are(void **state)
{
    (void)state;
    assert_brief("<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt",
                 "<alloc::vec::Vec<…> as core::fmt::Debug>::fmt");
}

static void what_is_not_balanced_stays(void **state)
{
    (void)state;
    assert_brief("f<int", "f<int");
    assert_brief("f(int", "f(int");
    assert_brief(">)f", ">)f");
    assert_brief("f(", "f(");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_stay),
        cmocka_unit_test(templates_and_parameters_go),
        cmocka_unit_test(operators_keep_their_brackets),
        cmocka_unit_test(rust_names_keep_whose_they_are),
        cmocka_unit_test(what_is_not_balanced_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
