/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reasons/wait_cause.h"
#include "reasons/wait_name.h"

struct pair {
    const char *from;
    const char *to; /* NULL: unknown */
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void check(bool (*name_of)(const char *, struct wait_name *), const struct pair *pairs,
                  size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        struct wait_name name;
        bool is_known = name_of(pairs[i].from, &name);
        if (is_known != (pairs[i].to != NULL)) {
            print_error("%s: %s\n", pairs[i].from, is_known ? name.text : "unknown");
        }
        assert_int_equal(is_known, pairs[i].to != NULL);
        if (is_known) {
            assert_string_equal(name.text, pairs[i].to);
            assert_int_equal(name.length_bytes, strlen(name.text));
        }
    }
}

static void a_kernel_name_loses_what_the_compiler_appended(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"futex_wait", "futex_wait"},
        {"poll_schedule_timeout.constprop.0", "poll_schedule_timeout"},
        {"do_sigtimedwait.isra.0", "do_sigtimedwait"},
        {"ipipe_prep.part.0", "ipipe_prep"},
        {"ep_poll.cold", "ep_poll"},
        {"schedule_timeout.llvm.1234567", "schedule_timeout"},
        {"a.isra.0.constprop.0.cold", "a"},
        {"nfs_wait_on_request [nfs]", "nfs_wait_on_request"},
        {"nfs_wait_on_request\t[nfs]", "nfs_wait_on_request"},
        {NULL, NULL},
        {"", NULL},
        {"0", NULL},
        {"0xffffffff81000000", NULL},
        {"[kernel.kallsyms]", NULL},
        {"kernel+0x1000", NULL},
        {".cold", NULL},
    };
    check(wait_name_of_kernel, pairs, N_OF(pairs));
}

static void the_entry_of_a_call_names_the_call(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"__x64_sys_read", "read"},
        {"__ia32_sys_read", "read"},
        {"__ia32_compat_sys_recvmsg", "recvmsg"},
        {"__x32_compat_sys_readv", "readv"},
        {"__arm64_sys_ppoll", "ppoll"},
        {"__arm64_compat_sys_ppoll_time32", "ppoll"},
        {"__se_sys_epoll_wait", "epoll_wait"},
        {"__do_sys_pause", "pause"},
        {"__do_compat_sys_epoll_pwait2", "epoll_pwait2"},
        {"do_sys_openat2", "openat2"},
        {"ksys_pread64", "pread"},
        {"__sys_recvfrom", "recvfrom"},
        {"__ia32_sys_futex_time32", "futex"},
        {"sys_semop", "semop"},
        {"__x64_sys_", NULL},
        {"__x64_sys", NULL},
        {"vfs_read", NULL},
        {"futex_wait", NULL},
    };
    for (size_t i = 0; i < N_OF(pairs); i++) {
        struct wait_name kernel;
        struct wait_name call;
        assert_true(wait_name_of_kernel(pairs[i].from, &kernel));
        assert_int_equal(wait_name_of_call(&kernel, &call), pairs[i].to != NULL);
        if (pairs[i].to != NULL) {
            assert_string_equal(call.text, pairs[i].to);
        }
    }
}

static void a_c_symbol_loses_the_decoration_of_the_library(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"pthread_mutex_lock", "pthread_mutex_lock"},
        {"___pthread_mutex_lock", "pthread_mutex_lock"},
        {"__GI___pthread_mutex_lock", "pthread_mutex_lock"},
        {"pthread_cond_wait@@GLIBC_2.3.2", "pthread_cond_wait"},
        {"pthread_rwlock_rdlock@GLIBC_2.2.5", "pthread_rwlock_rdlock"},
        {"pthread_mutex_lock@plt", "pthread_mutex_lock"},
        {"__new_sem_wait_slow64.constprop.0", "new_sem_wait_slow64"},
        {"je_malloc_mutex_lock_slow", "je_malloc_mutex_lock_slow"},
        {"work.isra.0.cold", "work"},
        {"work.part.3", "work"},
        {"work.123", "work"},
        {NULL, NULL},
        {"", NULL},
        {"___", "___"},
        {"libc.so.6+0x8a7f0", NULL},
        {"0x7fff00001234", NULL},
        {"[vdso]", NULL},
    };
    check(wait_name_of_user, pairs, N_OF(pairs));
}

static void a_wrapper_names_the_call(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"__GI___libc_read", "read"},
        {"__libc_pread64", "pread"},
        {"__read_nocancel", "read"},
        {"__poll_chk", "poll"},
        {"__recvmmsg_time64", "recvmmsg"},
        {"epoll_pwait", "epoll_pwait"},
        {"std::read", NULL},
    };
    for (size_t i = 0; i < N_OF(pairs); i++) {
        struct wait_name user;
        struct wait_name call;
        assert_true(wait_name_of_user(pairs[i].from, &user));
        assert_int_equal(wait_name_of_wrapper(&user, &call), pairs[i].to != NULL);
        if (pairs[i].to != NULL) {
            assert_string_equal(call.text, pairs[i].to);
        }
    }
}

static void every_language_comes_to_the_same_form(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        /* C++ */
        {"std::condition_variable::wait(std::unique_lock<std::mutex>&)",
         "std::condition_variable::wait"},
        {"void std::__detail::__platform_wait<int>(int const*, int)",
         "std::__detail::__platform_wait"},
        {"std::vector<std::pair<int, char>, A<B> >::push_back(int) const",
         "std::vector::push_back"},
        {"(anonymous namespace)::Lock::acquire()", "Lock::acquire"},
        {"a::(anonymous namespace)::Lock::acquire()", "a::Lock::acquire"},
        {"os::PlatformEvent::park(long) [clone .cold]", "os::PlatformEvent::park"},
        {"A<(b)1>::c(d<e>)", "A::c"},
        {"A<&(B::operator->())>::c()", "A::c"},
        /* Rust */
        {"std::sys::sync::mutex::futex::Mutex::lock_contended::h0123456789abcdef",
         "std::sys::sync::mutex::futex::Mutex::lock_contended"},
        {"<std::sync::barrier::Barrier>::wait", "std::sync::barrier::Barrier::wait"},
        {"<a::Mutex<T> as b::Lock<U>>::lock", "a::Mutex::lock"},
        {"<&mut a::Mutex>::lock", "a::Mutex::lock"},
        {"std::thread::Builder::spawn::{closure#0}", "std::thread::Builder::spawn"},
        {"std::thread::park::{{closure}}", "std::thread::park"},
        /* Go */
        {"runtime.lock2", "runtime::lock2"},
        {"sync.(*Mutex).Lock", "sync::Lock"},
        {"github.com/a/b.Run", "github::com::a::b::Run"},
        /* Java, Python */
        {"int java.util.concurrent.Semaphore.acquire(int)",
         "java::util::concurrent::Semaphore::acquire"},
        {"Ljava/util/concurrent/CountDownLatch;::await",
         "Ljava::util::concurrent::CountDownLatch::await"},
        {"py::Condition.wait:/usr/lib/python3.12/threading.py", "py::Condition::wait"},
    };
    check(wait_name_of_user, pairs, N_OF(pairs));
}

static void the_tail_has_the_last_components(void **state)
{
    (void)state;
    struct wait_name name;
    assert_true(wait_name_of_user("a::b::c::d", &name));
    assert_string_equal(wait_name_tail(&name, 2), "c::d");
    assert_string_equal(wait_name_tail(&name, 3), "b::c::d");
    assert_null(wait_name_tail(&name, 4));
    assert_true(wait_name_of_user("plain", &name));
    assert_null(wait_name_tail(&name, 2));
}

static void what_is_too_long_is_unknown(void **state)
{
    (void)state;
    static char text[WAIT_NAME_MAX_BYTES + 1];
    struct wait_name name;
    memset(text, 'a', sizeof(text) - 1);
    assert_false(wait_name_of_kernel(text, &name));
    assert_false(wait_name_of_user(text, &name));
    text[WAIT_NAME_KEY_BYTES] = '\0';
    assert_false(wait_name_of_kernel(text, &name));
    assert_false(wait_name_of_user(text, &name));
    text[WAIT_NAME_KEY_BYTES - 1] = '\0';
    assert_true(wait_name_of_kernel(text, &name));
    assert_true(wait_name_of_user(text, &name));
    assert_int_equal(name.length_bytes, WAIT_NAME_KEY_BYTES - 1);

    /* Arguments may be long. */
    static char arguments[2000] = "a::b<";
    memset(arguments + 5, 'x', sizeof(arguments) - 5 - 5);
    memcpy(arguments + sizeof(arguments) - 5, ">::c", 5);
    assert_true(wait_name_of_user(arguments, &name));
    assert_string_equal(name.text, "a::b::c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_name_loses_what_the_compiler_appended),
        cmocka_unit_test(the_entry_of_a_call_names_the_call),
        cmocka_unit_test(a_c_symbol_loses_the_decoration_of_the_library),
        cmocka_unit_test(a_wrapper_names_the_call),
        cmocka_unit_test(every_language_comes_to_the_same_form),
        cmocka_unit_test(the_tail_has_the_last_components),
        cmocka_unit_test(what_is_too_long_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
