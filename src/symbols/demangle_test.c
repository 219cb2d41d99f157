/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "symbols/demangle.h"

static void test_names_of_each_language(void **state)
{
    (void)state;
    static const struct {
        const char *mangled, *name;
    } cases[] = {
        /* C++ */
        {"_Z3foov", "foo()"},
        {"_ZN5outer5inner4funcEiPKc", "outer::inner::func(int, char const*)"},
        {"_ZNSt6vectorIiSaIiEE9push_backERKi",
         "std::vector<int, std::allocator<int> >::push_back(int const&)"},
        {"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"},
        {"_ZN3FooC1Ev", "Foo::Foo()"},
        {"_ZTV3Foo", "vtable for Foo"},
        {"_Z3fooi.cold", "foo(int) [clone .cold]"},
        {"_Z3fooi.part.0", "foo(int) [clone .part.0]"},
        {"_ZNKSs7compareEmmPKcm",
         "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::compare(unsigned "
         "long, unsigned long, char const*, unsigned long) const"},
        {"_ZNSi6sentryC1ERSib",
         "std::basic_istream<char, std::char_traits<char> >::sentry::sentry(std::basic_istream<"
         "char, std::char_traits<char> >&, bool)"},
        {"_ZGTtNKSt9exception4whatEv", "transaction clone for std::exception::what() const"},
        {"_ZN4llvm11PassManagerINS_6ModuleENS_15AnalysisManagerIS1_JEEEJEE3runERS1_RS3_",
         "llvm::PassManager<llvm::Module, llvm::AnalysisManager<llvm::Module>>::run(llvm::Module&, "
         "llvm::AnalysisManager<llvm::Module>&)"},
        /* Rust, legacy: the hash is not for people. */
        {"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
        {"_ZN66_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h89abcdef"
         "01234567E",
         "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"},
        /* Rust, v0 */
        {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
        {"_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>"},
        {"_RNvMsa_NtCsgEmfK2I1SDS_4core3fmtNtB5_9Formatter12pad_integral",
         "<core::fmt::Formatter>::pad_integral"},
        {"_RINvMs6_NtNtCsgEmfK2I1SDS_4core3fmt8buildersNtB6_8DebugMap7entriesRNtNtCslNYArtu3iFV_"
         "5alloc6string6StringRThcEINtNtNtNtCsjrHSEGnQ3l9_3std11collections4hash3map4IterB13_B1G_EE"
         "Cs6GmmlP4bgsG_1r",
         "<core::fmt::builders::DebugMap>::entries::<&alloc::string::String, &(u8, char), "
         "std::collections::hash::map::Iter<alloc::string::String, (u8, char)>>"},
        /* D */
        {"_D3std5stdio4File6__dtorMFNfZv", "std.stdio.File.~this()"},
        {"_Dmain", "D main"},
        {"_D105TypeInfo_S3std9algorithm9searching__T9findSplitVAyaa6_61203d3d2062TQtTQwZQBkFQBdQBgZ"
         "__T6ResultTQBvTQBzZQq6__initZ",
         "initializer for "
         "TypeInfo_S3std9algorithm9searching__T9findSplitVAyaa6_61203d3d2062TQtTQwZQBkFQBdQBgZ__"
         "T6ResultTQBvTQBzZQq"},
        {"_D3std8internal4test10dummyrange__T10DummyRangeVEQBvQBuQBoQBm8ReturnByi1VEQCuQCtQCnQCl6"
         "Lengthi0VEQDrQDqQDkQDi9RangeTypei3TAkZQDm7opSliceMFNaNbNiNfmmZSQFsQFrQFlQFj__TQFaVQEri1V"
         "QDyi0VQDhi3TQCnZQGa",
         "std.internal.test.dummyrange.DummyRange!(1, 0, 3, uint[]).DummyRange.opSlice(ulong, "
         "ulong)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(freep) char *name = demangle(cases[i].mangled);
        assert_non_null(name);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_other_names_stay(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",         "main",   "_start",      "_",     "__",      "_Z",        "_ZN",
        "_R",       "_D",     "_Zzz",        "_Read", "_Device", "Z3foov",    "_ZN3fooE17",
        "__Z3foov", "_RNvC1", "_DTOR_LIST_", "i",     "_Z3fooq", "_ZN4core3f"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_null(demangle(names[i]));
    }
}

static char *repeat(const char *begin, const char *piece, size_t n, const char *end)
{
    struct text text;
    text_init(&text, 1 << 20);
    text_append(&text, begin);
    for (size_t i = 0; i < n; i++) {
        text_append(&text, piece);
    }
    text_append(&text, end);
    char *taken = text_take(&text);
    text_release(&text);
    return taken;
}

/* A C++ name past the length that libiberty takes by default. */
static void test_long_names_of_templates(void **state)
{
    (void)state;
    _cleanup_(freep) char *mangled = repeat("_Z1fI", "1Aiil", 250, "EvT_");
    assert_true(strlen(mangled) > 1024);
    _cleanup_(freep) char *name = demangle(mangled);
    assert_non_null(name);
    assert_memory_equal(name, "void f<A, int, int, long, A,", 28);
}

/* Each level names the one before it twice: 30 levels would be gigabytes. */
static void append_doubling_cxx_name(struct text *text, size_t n_levels)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    text_append(text, "_Z1f1AIiiE");
    for (size_t level = 0; level < n_levels; level++) {
        char last = digits[level];
        text_printf(text, "S_IS%c_S%c_E", last, last);
    }
}

static void test_hostile_names_are_left_soon(void **state)
{
    (void)state;
    char *names[16];
    size_t n_names = 0;
    struct text text;
    text_init(&text, 1 << 20);
    append_doubling_cxx_name(&text, 30);
    names[n_names++] = text_take(&text);
    text_release(&text);
    names[n_names++] = repeat("_Z1f", "P", 4000, "i");
    names[n_names++] = repeat("_Z1f", "P", 100000, "i");
    names[n_names++] = repeat("_Z1f", "FiP", 1300, "i");
    names[n_names++] = repeat("_Z1fIX", "ng", 2000, "Lj1EEE");
    names[n_names++] = repeat("_Z1fIX", "cl", 2000, "Lj1EEE");
    names[n_names++] = repeat("_Z1f", "1AI", 1300, "i");
    names[n_names++] = repeat("_Z1f", "DpDt", 1000, "i");
    names[n_names++] = repeat("_RY", "FG_", 20000, "");
    names[n_names++] = repeat("_RIC1a", "TB0_", 10000, "E");
    names[n_names++] = repeat("_ZN", "1a", 30000, "17h0123456789abcdefE");
    names[n_names++] = repeat("_D1a1bF", "HQeQg", 10, "Zv");
    names[n_names++] = repeat("_D1a1bFHaaHQeQg", "HQgQi", 40, "Zv");
    names[n_names++] = repeat("_D1a1bFHaaHQeQg", "HQgQi", 9, "Zv");
    for (size_t i = 0; i < n_names; i++) {
        uint64_t start_ns = clock_now_ns();
        _cleanup_(freep) char *name = demangle(names[i]);
        assert_true(clock_now_ns() - start_ns < 60 * NS_PER_S);
        if (name) {
            assert_true(strlen(name) < DEMANGLE_MAX_BYTES);
        }
        free(names[i]);
    }
}

static void test_doubling_within_the_cap_is_shown(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 1 << 20);
    append_doubling_cxx_name(&text, 5);
    _cleanup_(freep) char *name = demangle(text.data);
    text_release(&text);
    assert_non_null(name);
    assert_non_null(strstr(name, "A<int, int>"));
}

static void *demangle_many(void *userdata)
{
    for (int i = 0; i < 2000; i++) {
        _cleanup_(freep) char *name = demangle("_ZN5outer5inner4funcEiPKc");
        if (!name || strcmp(name, "outer::inner::func(int, char const*)") != 0) {
            return userdata;
        }
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, demangle_many, threads), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed = threads;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_each_language),
        cmocka_unit_test(test_other_names_stay),
        cmocka_unit_test(test_long_names_of_templates),
        cmocka_unit_test(test_hostile_names_are_left_soon),
        cmocka_unit_test(test_doubling_within_the_cap_is_shown),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
