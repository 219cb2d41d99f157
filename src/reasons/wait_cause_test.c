/* SPDX-License-Identifier: MIT */
/*
 * Whole stacks: names of other kernels (5.15 to 6.18, x86-64 and aarch64), what decides over what,
 * and names that are no names. wait_rules_test.c has each row, wait_recorded_test.c real stacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reasons/wait_cause.h"

#define FRAMES_MAX 64

/* Frames are separated by one blank; "?" is an unknown one. */
struct row {
    const char *reason;
    const char *site; /* NULL: none */
    const char *kernel;
    const char *user;
};

static size_t split(const char *text, char *buffer, size_t buffer_bytes, const char **names)
{
    size_t n_names = 0;
    assert_true(strlen(text) < buffer_bytes);
    (void)snprintf(buffer, buffer_bytes, "%s", text);
    char *rest = buffer;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (word[0] != '\0') {
            assert_true(n_names < FRAMES_MAX / 2);
            names[n_names++] = strcmp(word, "?") == 0 ? NULL : word;
        }
    }
    return n_names;
}

static void check(const struct row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        char kernel[1024];
        char user[1024];
        const char *names[FRAMES_MAX];
        struct wait_names stack = {.names = names};
        stack.n_kernel = split(rows[i].kernel, kernel, sizeof(kernel), names);
        stack.n_names =
            stack.n_kernel + split(rows[i].user, user, sizeof(user), names + stack.n_kernel);
        struct wait_cause cause = wait_cause_decide(&stack);
        const char *site = cause.site < stack.n_names ? names[cause.site] : NULL;
        if (strcmp(wait_reason_name(cause.reason), rows[i].reason) != 0 ||
            (site == NULL) != (rows[i].site == NULL)) {
            print_error("row %zu: %s, site %s\n", i, wait_reason_name(cause.reason),
                        site == NULL ? "none" : site);
        }
        assert_string_equal(wait_reason_name(cause.reason), rows[i].reason);
        if (rows[i].site == NULL) {
            assert_int_equal(cause.site, stack.n_names);
        } else {
            assert_string_equal(site, rows[i].site);
        }
    }
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void a_futex_is_what_the_program_makes_of_it(void **state)
{
    (void)state;
#define FUTEX "schedule futex_wait_queue __futex_wait futex_wait do_futex __x64_sys_futex"
    static const struct row rows[] = {
        {"idle", "futex_wait", FUTEX, ""},
        {"idle", "futex_wait", FUTEX, "syscall work main"},
        {"lock", "futex_wait", FUTEX, "__lll_lock_wait ___pthread_mutex_lock work"},
        {"lock", "futex_wait", FUTEX, "__lll_lock_wait_private malloc work"},
        {"idle", "futex_wait", FUTEX, "? ___pthread_cond_wait worker start_thread"},
        /* The mutex of a condition variable that was signalled. */
        {"lock", "futex_wait", FUTEX,
         "__lll_lock_wait __pthread_mutex_cond_lock pthread_cond_wait"},
        {"sem", "futex_wait", FUTEX,
         "__futex_abstimed_wait_common __new_sem_wait_slow64.constprop.0"},
        {"sem", "futex_wait", FUTEX, "__new_sem_wait_slow64.constprop.0 PGSemaphoreLock main"},
        {"lock", "futex_wait", FUTEX,
         "__new_sem_wait_slow64.constprop.0 PGSemaphoreLock LWLockAcquire"},
        {"lock", "futex_wait", FUTEX, "sem_wait PyThread_acquire_lock_timed acquire_timed"},
        {"idle", "futex_wait", FUTEX, "pthread_cond_timedwait PyEvent_WaitTimed work"},
        {"lock", "futex_wait", FUTEX, "pthread_cond_timedwait take_gil PyEval_RestoreThread"},
        /* Back from its wait, and in want of the GIL. */
        {"lock", "futex_wait", FUTEX,
         "pthread_cond_timedwait take_gil PyEval_RestoreThread work py::Condition.wait:/a/b.py"},
        {"idle", "futex_wait", FUTEX,
         "sem_wait PyThread_acquire_lock_timed _PyEval_EvalFrameDefault "
         "py::Condition.wait:/a/b.py"},
        {"lock", "futex_wait", FUTEX,
         "pthread_cond_wait os::PlatformEvent::park() ObjectMonitor::enter(JavaThread*)"},
        {"idle", "futex_wait", FUTEX,
         "pthread_cond_wait os::PlatformEvent::park() ObjectMonitor::wait(long)"},
        {"sleep", "futex_wait", FUTEX,
         "pthread_cond_timedwait os::PlatformEvent::park(long) JavaThread::sleep(long)"},
        {"idle", "futex_wait", FUTEX, "pthread_cond_wait Parker::park(bool,long) Unsafe_Park"},
        {"lock", "futex_wait", FUTEX,
         "pthread_cond_wait Parker::park(bool,long) Unsafe_Park "
         "java.util.concurrent.locks.AbstractQueuedSynchronizer.acquire(int)"},
        {"idle", "futex_wait", FUTEX,
         "pthread_cond_wait Parker::park(bool,long) Unsafe_Park "
         "java.util.concurrent.locks.AbstractQueuedSynchronizer.acquire(int) "
         "Ljava/util/concurrent/CountDownLatch;::await"},
        {"lock", "futex_wait", FUTEX,
         "syscall parking_lot_core::parking_lot::park parking_lot::raw_mutex::RawMutex::lock_slow"},
        {"lock", "futex_wait", FUTEX,
         "syscall <std::sys::sync::mutex::futex::Mutex>::lock_contended"},
        {"idle", "futex_wait", FUTEX,
         "syscall std::thread::park::h0123456789abcdef tokio::runtime::park"},
        {"lock", "futex_wait", FUTEX, "runtime.futex runtime.futexsleep runtime.lock2"},
        {"idle", "futex_wait", FUTEX,
         "runtime.futex runtime.futexsleep runtime.notesleep runtime.stopm"},
        {"lock", "futex_wait", FUTEX, "syscall absl::lts_20220623::Mutex::LockSlowLoop(int)"},
        {"idle", "futex_wait", FUTEX,
         "syscall absl::Mutex::LockSlowLoop(int) absl::Mutex::AwaitCommon(int)"},
        /* What waits inside of what call_once() calls waits for itself. */
        {"idle", "futex_wait", FUTEX, "pthread_cond_wait init __pthread_once_slow"},
        {"idle", "futex_wait", FUTEX,
         "pthread_cond_wait init std::sys::sync::once::futex::Once::call"},
        {"lock", "futex_lock_pi",
         "rt_mutex_schedule rt_mutex_slowlock_block.constprop.0 "
         "__rt_mutex_slowlock_locked.constprop.0 rt_mutex_wait_proxy_lock futex_lock_pi do_futex",
         ""},
        {"idle", "futex_wait_queue_me", "futex_wait_queue_me __x64_sys_futex", "pthread_cond_wait"},
        {"lock", "futex_do_wait", "futex_do_wait", "pthread_mutex_lock"},
        {"lock", "__x64_sys_futex", "? __x64_sys_futex", "pthread_mutex_lock"},
        {"sem", "do_semtimedop", "schedule do_semtimedop __do_sys_semtimedop.isra.0", "semop main"},
        {"lock", "__do_semtimedop", "schedule __do_semtimedop",
         "semop PGSemaphoreLock LWLockAcquire"},
        {"lock", "__do_semtimedop", "schedule __do_semtimedop", "semop PGSemaphoreLock ProcSleep"},
    };
    CHECK(rows);
}

static void the_kernel_decides_where_the_object_is_plain(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"ipc", "pipe_read", "__schedule schedule pipe_read new_sync_read vfs_read ksys_read",
         "pthread_mutex_lock"},
        {"ready", "ep_poll",
         "schedule_hrtimeout_range_clock ep_poll do_epoll_wait __x64_sys_epoll_wait",
         "epoll_wait pthread_mutex_lock"},
        {"lock", "ep_poll", "schedule ep_poll do_epoll_wait",
         "epoll_wait WaitEventSetWait WaitLatch ProcSleep"},
        {"sleep", "do_select", "poll_schedule_timeout.constprop.0 do_select core_sys_select",
         "__select time_sleep"},
        {"sleep", "do_nanosleep", "schedule do_nanosleep hrtimer_nanosleep common_nsleep",
         "clock_nanosleep"},
        {"idle", "do_wait", "schedule do_wait kernel_wait4 __do_sys_wait4", "wait4"},
        {"idle", "wait_for_vfork_done",
         "wait_for_completion_killable wait_for_vfork_done kernel_clone", "vfork"},
        {"ipc", "unix_stream_read_generic",
         "schedule_timeout unix_stream_data_wait unix_stream_read_generic sock_recvmsg", "recv"},
        {"conn", "unix_stream_connect", "schedule ? unix_stream_connect __sys_connect", ""},
        {"conn", "unix_wait_for_peer", "schedule_timeout unix_wait_for_peer unix_stream_connect",
         ""},
        {"ipc", "unix_wait_for_peer",
         "schedule_timeout unix_wait_for_peer unix_dgram_sendmsg sock_sendmsg", ""},
        {"ipc", "unix_wait_for_peer", "unix_wait_for_peer __x64_sys_sendto", ""},
        {"conn", "unix_wait_for_peer", "unix_wait_for_peer __arm64_sys_connect", ""},
        {"ioR", "tcp_recvmsg_locked",
         "wait_woken sk_wait_data tcp_recvmsg_locked tcp_recvmsg inet_recvmsg", ""},
        {"ioR", "tcp_recvmsg", "wait_woken sk_wait_data tcp_recvmsg inet6_recvmsg __sys_recvfrom",
         ""},
        {"ioR", "__skb_wait_for_more_packets", "__skb_wait_for_more_packets __arm64_sys_recvmsg",
         ""},
        {"ioW", "sk_stream_wait_memory", "wait_woken sk_stream_wait_memory tcp_sendmsg_locked", ""},
        {"conn", "inet_csk_accept",
         "schedule_timeout inet_csk_accept inet_accept do_accept __sys_accept4", ""},
        {"conn", "fifo_open", "schedule wait_for_partner fifo_open do_dentry_open __x64_sys_openat",
         ""},
        {"ready", "io_cqring_wait",
         "io_cqring_wait_schedule io_cqring_wait __do_sys_io_uring_enter", "syscall"},
        {"ready", "do_sys_poll", "poll_schedule_timeout.constprop.0 do_sys_poll __se_sys_poll", ""},
        {"lock", "locks_lock_inode_wait", "schedule locks_lock_inode_wait __do_sys_flock", "flock"},
        {"other", "do_signal_stop", "schedule do_signal_stop get_signal arch_do_signal_or_restart",
         "read"},
        {"other", "ptrace_stop", "schedule ptrace_stop ptrace_notify syscall_trace_enter", "futex"},
        {"other", "handle_userfault",
         "schedule handle_userfault do_anonymous_page handle_mm_fault exc_page_fault", ""},
        {"other", "__wait_rcu_gp", "wait_for_completion __wait_rcu_gp synchronize_rcu", "syscall"},
    };
    CHECK(rows);
}

static void the_call_gives_the_direction(void **state)
{
    (void)state;
#define FOLIO "io_schedule folio_wait_bit_common "
    static const struct row rows[] = {
        {"ioR", "folio_wait_bit_common", FOLIO "filemap_update_page filemap_get_pages filemap_read",
         ""},
        {"ioR", "folio_wait_bit_common", FOLIO "__x64_sys_pread64", ""},
        {"ioW", "folio_wait_bit_common", FOLIO "a_file_system __ia32_sys_pwrite64", ""},
        {"ioW", "folio_wait_bit_common", FOLIO "folio_wait_writeback truncate_inode_pages_range",
         ""},
        {"conn", "folio_wait_bit_common", FOLIO "do_sys_openat2 __x64_sys_openat", ""},
        {"ioR", "folio_wait_bit_common",
         FOLIO "filemap_fault __do_fault handle_mm_fault exc_page_fault", ""},
        /* A page of the buffer that is written from is read in first. */
        {"ioR", "folio_wait_bit_common",
         FOLIO "filemap_fault handle_mm_fault exc_page_fault "
               "fault_in_readable generic_perform_write ksys_write",
         ""},
        {"ioR", "folio_wait_bit_common", FOLIO "elf_load bprm_execve __x64_sys_execve", ""},
        {"ioR", "folio_wait_bit_common", "folio_wait_bit_common", "? ? __libc_pread64 main"},
        {"ioW", "folio_wait_bit_common", "folio_wait_bit_common", "fdatasync main"},
        {"ioR", "wait_on_page_bit_common", "io_schedule wait_on_page_bit_common filemap_read", ""},
        {"ioR", "filemap_update_page", "io_schedule ? filemap_update_page ksys_read", ""},
        {"ioR", "a_new_function", "io_schedule a_new_function filemap_update_page ksys_read", ""},
        {"ioR", "do_swap_page", "io_schedule do_swap_page __handle_mm_fault", ""},
        {"ioR", "request_wait_answer", "schedule request_wait_answer fuse_simple_request ksys_read",
         ""},
        {"ioW", "request_wait_answer",
         "schedule request_wait_answer fuse_simple_request ksys_write", ""},
        {"conn", "request_wait_answer", "schedule request_wait_answer __x64_sys_openat", ""},
        {"ioR", "__rpc_execute",
         "schedule rpc_wait_bit_killable __wait_on_bit out_of_line_wait_on_bit "
         "__rpc_execute __x64_sys_newfstatat",
         ""},
        {"ioW", "jbd2_log_wait_commit",
         "schedule jbd2_log_wait_commit ext4_sync_file __x64_sys_fsync", ""},
        {"ioW", "wait_transaction_locked",
         "schedule wait_transaction_locked add_transaction_credits ksys_read", ""},
        {"ioW", "balance_dirty_pages", "io_schedule_timeout balance_dirty_pages ksys_write", ""},
        {"ioW", "a_device", "schedule wait_for_completion_io_timeout a_device __x64_sys_fsync", ""},
        {"ioR", "__iomap_dio_rw", "blk_io_schedule __iomap_dio_rw ext4_file_read_iter ksys_read",
         ""},
        {"lock", "rwsem_down_write_slowpath",
         "schedule rwsem_down_write_slowpath down_write ext4_buffered_write_iter ksys_write", ""},
        {"lock", "rwsem_down_read_slowpath",
         "rwsem_down_read_slowpath down_read do_user_addr_fault exc_page_fault", ""},
        {"lock", "__mutex_lock.constprop.0",
         "schedule_preempt_disabled __mutex_lock.constprop.0 ep_send_events ep_poll", ""},
        {"lock", "__mutex_lock_killable_slowpath", "__mutex_lock_killable_slowpath __x64_sys_read",
         ""},
        {"lock", "percpu_rwsem_wait",
         "schedule percpu_rwsem_wait __percpu_down_read __x64_sys_write", ""},
        {"lock", "a_driver", "___down_common __down_common a_driver __x64_sys_ioctl", ""},
        {"other", "a_driver", "schedule a_driver [a_module] __x64_sys_ioctl", "ioctl"},
        {"ioR", "__arm64_sys_read", "? wait_woken __arm64_sys_read invoke_syscall el0_svc", ""},
        {"ioW", "sk_stream_wait_close",
         "wait_woken sk_stream_wait_close tcp_close do_exit get_signal", ""},
        {"ioR", "xfs_buf_iowait",
         "schedule_timeout wait_for_completion xfs_buf_iowait do_exit get_signal", ""},
    };
    CHECK(rows);
}

static void without_a_kernel_half_the_user_frames_say_which_call_it_was(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"other", NULL, "", ""},
        {"other", NULL, "", "? ? ?"},
        {"other", NULL, "", "work main"},
        {"other", NULL, "", "libc.so.6+0x1234 a.out+0x10 main"},
        {"ioR", "__GI___libc_read", "", "__GI___libc_read work main"},
        {"ioW", "__write_nocancel", "", "? __write_nocancel work"},
        {"ready", "__poll", "", "__poll work"},
        {"ready", "epoll_pwait2@@GLIBC_2.35", "", "epoll_pwait2@@GLIBC_2.35 uv__io_poll"},
        {"sleep", "clock_nanosleep@@GLIBC_2.17", "",
         "clock_nanosleep@@GLIBC_2.17 __GI___nanosleep usleep"},
        {"lock", "___pthread_mutex_lock", "", "___pthread_mutex_lock std::mutex::lock()"},
        {"idle", "pthread_cond_wait@@GLIBC_2.3.2", "",
         "? pthread_cond_wait@@GLIBC_2.3.2 "
         "std::condition_variable::wait(std::unique_lock<std::mutex>&)"},
        {"lock", "epoll_wait", "", "epoll_wait WaitEventSetWait WaitLatch ProcSleep"},
        {"sem", "semop", "", "semop main"},
        {"lock", "semop", "", "semop PGSemaphoreLock LWLockAcquire"},
        {"idle", "wait4", "schedule __schedule", "wait4 waitpid"},
        {"idle", "__sigsuspend", "0", "__sigsuspend main"},
        /* Not the C library's, and too far out. */
        {"other", NULL, "", "Foo::read() main"},
        {"other", NULL, "", "a b c d e f read"},
    };
    CHECK(rows);
}

static void tracers_in_the_stack_are_not_seen(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"ipc", "anon_pipe_read",
         "bpf_prog_0123456789abcdef_on_switch bpf_trace_run4 __bpf_trace_sched_switch "
         "__traceiter_sched_switch __schedule schedule anon_pipe_read ksys_read",
         "read"},
        {"ipc", "anon_pipe_read.llvm.123",
         "bpf_get_stackid_raw_tp bpf_prog_abc __bpf_trace_x __schedule "
         "schedule anon_pipe_read.llvm.123 ksys_read",
         "read"},
        {"ready", "ep_poll.cold",
         "perf_trace_sched_switch __schedule schedule_hrtimeout_range "
         "ep_poll.cold do_epoll_wait",
         ""},
    };
    CHECK(rows);
}

static struct wait_cause decide_with_name_at(size_t n_names, size_t inner, size_t outer)
{
    static const char *names[128];
    assert_true(n_names <= 128 && inner < n_names && outer < n_names);
    for (size_t i = 0; i < n_names; i++) {
        names[i] = "work";
    }
    names[0] = "futex_wait";
    names[outer] = "PyThread_acquire_lock_timed";
    names[inner] = "sem_wait";
    return wait_cause_decide(
        &(struct wait_names){.names = names, .n_names = n_names, .n_kernel = 1});
}

static void what_is_far_out_is_the_business_of_the_caller(void **state)
{
    (void)state;
    assert_int_equal(decide_with_name_at(100, 24, 24).reason, WAIT_REASON_SEM);
    assert_int_equal(decide_with_name_at(100, 25, 25).reason, WAIT_REASON_IDLE);
    assert_int_equal(decide_with_name_at(100, 24, 48).reason, WAIT_REASON_LOCK);
    assert_int_equal(decide_with_name_at(100, 24, 49).reason, WAIT_REASON_SEM);
    assert_int_equal(decide_with_name_at(26, 24, 25).reason, WAIT_REASON_LOCK);
}

static void no_names_and_hostile_names_are_safe(void **state)
{
    (void)state;
    static char huge[10 * 1024];
    memset(huge, '<', sizeof(huge) - 1);
    static char wide[10 * 1024];
    memset(wide, 'a', sizeof(wide) - 1);
    static char deep[3001];
    for (size_t i = 0; i + 2 < sizeof(deep); i += 3) {
        deep[i] = 'a';
        deep[i + 1] = ':';
        deep[i + 2] = ':';
    }
    const char *const hostile[] = {
        NULL,
        "",
        "?",
        "<",
        ">",
        "(",
        "::",
        ":::::",
        "a::",
        ".",
        "..",
        " ",
        "@",
        "/",
        ";",
        "<>",
        "<a",
        "a<b<c",
        "->",
        "(*",
        "__GI_",
        "__",
        "_",
        "{}",
        "\n",
        "+0",
        "0x",
        "[",
        "\xff",
        "\x01\x02",
        "a b",
        "::a",
        "<a as",
        "*",
        " as ",
        "sys_",
        huge,
        wide,
        deep,
        "__x64_sys_",
        "operator<",
        "<<a>::b as c>::d",
        ".constprop.0",
    };
    const size_t n_hostile = sizeof(hostile) / sizeof(hostile[0]);
    for (size_t i = 0; i < n_hostile; i++) {
        for (size_t k = 0; k < n_hostile; k++) {
            const char *names[] = {hostile[i], hostile[k], "anon_pipe_read"};
            for (size_t n_kernel = 0; n_kernel <= 3; n_kernel++) {
                struct wait_cause cause = wait_cause_decide(
                    &(struct wait_names){.names = names, .n_names = 3, .n_kernel = n_kernel});
                assert_in_range(cause.reason, 0, WAIT_REASON_OTHER);
                assert_in_range(cause.site, 0, 3);
                if (n_kernel == 3) {
                    assert_int_equal(cause.reason, WAIT_REASON_IPC);
                }
            }
        }
    }
    struct wait_cause none = wait_cause_decide(&(struct wait_names){.names = NULL});
    assert_int_equal(none.reason, WAIT_REASON_OTHER);
    assert_int_equal(none.site, 0);
    const char *one[] = {"anon_pipe_read"};
    struct wait_cause more =
        wait_cause_decide(&(struct wait_names){.names = one, .n_names = 1, .n_kernel = SIZE_MAX});
    assert_int_equal(more.reason, WAIT_REASON_IPC);
    assert_int_equal(more.site, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_futex_is_what_the_program_makes_of_it),
        cmocka_unit_test(the_kernel_decides_where_the_object_is_plain),
        cmocka_unit_test(the_call_gives_the_direction),
        cmocka_unit_test(without_a_kernel_half_the_user_frames_say_which_call_it_was),
        cmocka_unit_test(tracers_in_the_stack_are_not_seen),
        cmocka_unit_test(what_is_far_out_is_the_business_of_the_caller),
        cmocka_unit_test(no_names_and_hostile_names_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
