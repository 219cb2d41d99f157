/* SPDX-License-Identifier: MIT */
/*
 * Each row of the table in the smallest stack in which it matters. The rows stand here a second
 * time, by what they are expected to do: a row that is changed, lost or not listed fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reasons/wait_cause.h"
#include "reasons/wait_rules.h"

enum expected {
    MACHINERY,        /* kernel: says nothing, and is not shown */
    MEANS,            /* kernel: says nothing, and is shown where nothing else is */
    DECIDES,          /* kernel: decides, and is the site */
    DECIDES_AS_MEANS, /* kernel: decides, and the caller is the site */
    ASKS_CALL,        /* kernel: read or write by the call */
    ASKS_OUTER,       /* kernel: the callers in the kernel decide, and the call does not */
    ASKS_USER,        /* kernel: user frames decide */
    CALL,             /* system call: decides where the kernel's frames do not */
    CALL_ASKS_USER,   /* system call: user frames decide */
    USER,             /* user: decides within a futex, and not within epoll */
    USER_NEAR,        /* user: decides next to a condition variable */
    USER_OVER_READY,  /* user: decides within epoll, too */
};

struct expectation {
    enum expected expected;
    enum wait_reason reason;
    const char *names; /* separated by blanks */
};

static const struct expectation expectations[] = {
    {MACHINERY, WAIT_REASON_OTHER,
     "schedule __schedule __schedule_loop __switch_to __switch_to_asm context_switch "
     "finish_task_switch prepare_task_switch schedule_preempt_disabled "
     "schedule_rtlock __cond_resched blk_io_schedule trace_call_bpf perf_tp_event "
     "__perf_sw_event_sched ___perf_sw_event ftrace_regs_caller ftrace_caller "
     "do_syscall_64 x64_sys_call ia32_sys_call do_int80_emulation "
     "__do_fast_syscall_32 do_fast_syscall_32 syscall_trace_enter do_notify_resume "
     "task_work_run invoke_syscall do_el0_svc vfs_read vfs_write new_sync_read "
     "new_sync_write schedule_timeout schedule_hrtimeout preempt_schedule io_schedule "
     "bpf_prog_ bpf_trace_run __bpf_trace_ __bpf_prog_ bpf_dispatcher_ "
     "bpf_trampoline_ bpf_get_stack __traceiter_ trace_event_raw_event_ perf_trace_ "
     "perf_event_ __perf_event_ perf_swevent_ entry_SYS entry_INT80 syscall_exit_ "
     "exit_to_user_mode irqentry_exit arch_do_signal ret_from_fork el0_svc el0t_"},
    {MEANS, WAIT_REASON_OTHER,
     "wait_woken __wait_for_common do_wait_for_common bit_wait bit_wait_io "
     "bit_wait_timeout __wait_on_bit __wait_on_bit_lock do_wait_intr do_wait_intr_irq "
     "cv_wait_common rpc_wait_bit_killable msleep msleep_interruptible "
     "usleep_range_state wait_for_completion out_of_line_wait_on_bit"},
    {ASKS_USER, WAIT_REASON_IDLE,
     "futex_do_wait futex_wait_queue futex_wait_queue_me __futex_wait do_futex "
     "futex_wait futex_wait_multiple futex_wait_requeue_pi"},
    {DECIDES, WAIT_REASON_LOCK,
     "futex_lock_pi __mutex_lock __ww_mutex_lock mutex_lock mutex_lock_killable "
     "mutex_lock_interruptible mutex_lock_io down down_read down_read_killable "
     "down_read_interruptible down_write down_write_killable down_interruptible "
     "down_killable down_timeout percpu_rwsem_wait __percpu_down_read "
     "percpu_down_write rtlock_slowlock_locked do_flock locks_lock_inode_wait "
     "flock_lock_inode_wait posix_lock_inode_wait fcntl_setlk fcntl_setlk64 "
     "do_lock_file_wait __break_lease d_alloc_parallel d_wait_lookup "
     "__wait_on_freeing_inode wait_extent_bit __vma_start_write vma_start_read "
     "zfs_rangelock_enter_impl __mutex_lock_ rwsem_down_ __rwsem_down_ rwbase_"},
    {ASKS_USER, WAIT_REASON_SEM, "__do_semtimedop do_semtimedop"},
    {DECIDES_AS_MEANS, WAIT_REASON_LOCK,
     "___down_common __down_common __down __down_interruptible __down_killable "
     "__down_timeout __rt_mutex_ rt_mutex_"},
    {DECIDES, WAIT_REASON_IPC,
     "pipe_read pipe_write anon_pipe_read anon_pipe_write fifo_pipe_read "
     "fifo_pipe_write pipe_wait_readable pipe_wait_writable wait_for_space ipipe_prep "
     "opipe_prep splice_from_pipe_next eventfd_read eventfd_write do_mq_timedreceive "
     "do_mq_timedsend do_msgrcv do_msgsnd unix_stream_read_generic "
     "unix_stream_recvmsg __unix_dgram_recvmsg unix_dgram_recvmsg "
     "unix_seqpacket_recvmsg unix_stream_sendmsg unix_dgram_sendmsg "
     "unix_seqpacket_sendmsg"},
    {DECIDES_AS_MEANS, WAIT_REASON_IPC, "wq_sleep unix_stream_data_wait"},
    {ASKS_CALL, WAIT_REASON_IPC, "unix_wait_for_peer"},
    {ASKS_OUTER, WAIT_REASON_IPC, "sock_alloc_send_pskb"},
    {DECIDES_AS_MEANS, WAIT_REASON_CONN, "wait_for_partner inet_csk_wait_for_connect"},
    {DECIDES, WAIT_REASON_CONN,
     "fifo_open unix_stream_connect unix_dgram_connect unix_accept inet_csk_accept "
     "inet_wait_for_connect __inet_stream_connect inet_stream_connect "
     "sk_stream_wait_connect sctp_wait_for_connect sctp_accept vsock_connect "
     "vsock_accept autofs_wait"},
    {ASKS_CALL, WAIT_REASON_IO_R,
     "sk_wait_data __skb_wait_for_more_packets __skb_recv_datagram skb_recv_datagram "
     "__skb_recv_udp folio_wait_bit wait_on_page_bit submit_bio_wait "
     "folio_wait_bit_common wait_on_page_bit_common put_and_wait_on_page_locked "
     "folio_put_wait_locked __folio_lock __folio_lock_killable __lock_page "
     "__lock_page_killable __wait_on_buffer __lock_buffer __iomap_dio_rw iomap_dio_rw "
     "__blkdev_direct_IO __blkdev_direct_IO_simple blkdev_direct_IO blk_mq_get_tag "
     "xfs_buf_iowait zio_wait request_wait_answer fuse_get_req __rpc_execute "
     "p9_client_rpc wait_for_response compound_send_recv ceph_mdsc_wait_request "
     "ceph_osdc_wait_request read_extent_buffer_pages ext4_bread ext4_read_bh"},
    {DECIDES, WAIT_REASON_IO_R,
     "tcp_recvmsg_locked tcp_recvmsg tcp_splice_read tls_rx_rec_wait udp_recvmsg "
     "udpv6_recvmsg raw_recvmsg packet_recvmsg netlink_recvmsg sock_recvmsg "
     "sock_read_iter filemap_read generic_file_buffered_read filemap_fault "
     "filemap_splice_read filemap_update_page filemap_read_folio filemap_read_page "
     "do_read_cache_page do_read_cache_folio "
     "kernel_read io_read do_swap_page swap_read_folio swap_readpage "
     "__folio_lock_or_retry __lock_page_or_retry handle_mm_fault do_user_addr_fault "
     "exc_page_fault do_page_fault do_mem_abort n_tty_read evdev_read hidraw_read "
     "devkmsg_read do_syslog tun_do_read fuse_dev_do_read"},
    {DECIDES, WAIT_REASON_IO_W,
     "sk_stream_wait_memory sk_stream_wait_close tcp_sendmsg_locked udp_sendmsg "
     "udpv6_sendmsg raw_sendmsg packet_sendmsg netlink_unicast sctp_wait_for_sndbuf "
     "sock_sendmsg sock_write_iter nfs_wait_on_request fuse_wait_on_page_writeback "
     "start_this_handle add_transaction_credits do_get_write_access "
     "folio_wait_writeback wait_on_page_writeback folio_wait_stable "
     "__filemap_fdatawait_range file_write_and_wait_range generic_perform_write "
     "iomap_file_buffered_write wb_wait_for_completion wbt_wait "
     "blkcg_maybe_throttle_current reclaim_throttle congestion_wait "
     "wait_iff_congested throttle_direct_reclaim blkdev_issue_flush "
     "blkdev_issue_discard __sync_dirty_buffer write_dirty_buffer fsync_buffers_list "
     "inode_wait_for_writeback do_truncate sync_inodes_sb xlog_wait_on_iclog "
     "xlog_grant_head_wait xfs_log_force_seq xfs_log_force wait_current_trans "
     "btrfs_commit_transaction btrfs_sync_log f2fs_issue_flush txg_wait_synced_impl "
     "zil_commit_impl dmu_tx_wait md_write_start io_write n_tty_write "
     "tty_wait_until_sent jbd2_ wait_transaction_ filemap_write_and_wait "
     "balance_dirty_pages btrfs_wait_ f2fs_wait_on_"},
    {ASKS_CALL, WAIT_REASON_IO_W, "__inode_dio_wait inode_dio_wait rq_qos_wait"},
    {ASKS_CALL, WAIT_REASON_CONN, "nfs4_run_open_task"},
    {DECIDES, WAIT_REASON_READY,
     "ep_poll do_epoll_wait do_epoll_pwait do_poll do_sys_poll do_select "
     "io_cqring_wait read_events do_io_getevents inotify_read fanotify_read"},
    {DECIDES_AS_MEANS, WAIT_REASON_READY,
     "poll_schedule_timeout io_cqring_schedule_timeout __io_cqring_wait_schedule "
     "io_cqring_wait_schedule"},
    {DECIDES, WAIT_REASON_SLEEP,
     "do_nanosleep hrtimer_nanosleep alarmtimer_do_nsleep do_cpu_nanosleep "
     "timerfd_read timerfd_read_iter"},
    {DECIDES, WAIT_REASON_IDLE,
     "do_wait kernel_wait4 wait_for_vfork_done kernel_clone _do_fork "
     "zap_pid_ns_processes do_sigtimedwait sigsuspend signalfd_read "
     "signalfd_read_iter io_wq_worker io_sq_thread vhost_task_fn kvm_vcpu_block kvm_vcpu_halt"},
    {DECIDES_AS_MEANS, WAIT_REASON_IDLE, "signalfd_dequeue"},
    {DECIDES, WAIT_REASON_OTHER,
     "do_signal_stop do_jobctl_trap ptrace_stop get_signal wait_task_inactive "
     "do_freezer_trap __refrigerator __seccomp_filter handle_userfault "
     "userfaultfd_ctx_read userfaultfd_read_iter mem_cgroup_handle_over_high "
     "__mem_cgroup_handle_over_high mem_cgroup_oom_synchronize coredump_task_exit "
     "de_thread __wait_rcu_gp synchronize_rcu synchronize_rcu_expedited "
     "synchronize_rcu_normal __synchronize_srcu wait_for_random_bytes __flush_work "
     "__flush_workqueue migration_entry_wait dma_fence_"},
    {CALL, WAIT_REASON_IO_R,
     "read pread readv preadv preadv2 recv recvfrom recvmsg recvmmsg getdents readdir "
     "stat lstat fstat newstat newlstat newfstat newfstatat fstatat statx statfs "
     "fstatfs access faccessat faccessat2 readlink readlinkat chdir getxattr "
     "lgetxattr fgetxattr listxattr readahead fadvise posix_fadvise lseek"},
    {CALL, WAIT_REASON_IO_W,
     "write pwrite writev pwritev pwritev2 send sendto sendmsg sendmmsg sendfile "
     "splice tee vmsplice copy_file_range fsync fdatasync sync syncfs sync_file_range "
     "msync truncate ftruncate fallocate posix_fallocate rename renameat renameat2 "
     "unlink unlinkat mkdir mkdirat rmdir link linkat symlink symlinkat chmod fchmod "
     "fchmodat chown fchown fchownat utimensat setxattr fsetxattr close tcdrain"},
    {CALL, WAIT_REASON_CONN, "open openat openat2 creat connect accept accept4"},
    {CALL, WAIT_REASON_READY,
     "poll ppoll select pselect pselect6 epoll_wait epoll_pwait epoll_pwait2 "
     "io_uring_enter io_getevents io_pgetevents kevent"},
    {CALL, WAIT_REASON_SLEEP, "nanosleep clock_nanosleep sleep usleep"},
    {CALL, WAIT_REASON_IDLE,
     "wait wait3 wait4 waitpid waitid pause sigwait sigwaitinfo sigtimedwait "
     "rt_sigtimedwait sigsuspend rt_sigsuspend vfork"},
    {CALL, WAIT_REASON_IPC, "mq_receive mq_send mq_timedreceive mq_timedsend msgrcv msgsnd"},
    {CALL, WAIT_REASON_LOCK, "flock fcntl lockf futex_lock_pi"},
    {CALL_ASKS_USER, WAIT_REASON_SEM, "semop semtimedop"},
    {CALL_ASKS_USER, WAIT_REASON_IDLE, "futex futex_wait futex_waitv"},
    {CALL, WAIT_REASON_OTHER, "ioctl getrandom membarrier ptrace"},
    {USER, WAIT_REASON_LOCK,
     "lll_lock_wait lll_lock_wait_private pthread_mutex_lock pthread_mutex_lock_full "
     "pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_clocklock_common "
     "pthread_mutex_cond_lock pthread_rwlock_rdlock pthread_rwlock_wrlock "
     "pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock "
     "pthread_rwlock_clockrdlock pthread_rwlock_clockwrlock "
     "pthread_rwlock_rdlock_full64 pthread_rwlock_wrlock_full64 pthread_once "
     "pthread_once_slow cxa_guard_acquire lock lockfile Once::call Once::call_inner "
     "std::mutex::lock recursive_mutex::lock shared_mutex::lock "
     "shared_mutex::lock_shared Mutex::LockSlow Mutex::LockSlowLoop "
     "Mutex::LockSlowWithDeadline SpinLock::SlowLock SpinningMutex::LockSlow "
     "QBasicMutex::lockInternal QMutex::lock g_mutex_lock_slowpath "
     "gomp_mutex_lock_slow nsync_mu_lock_slow_ je_malloc_mutex_lock_slow "
     "RawMutex::lock_slow RawRwLock::lock_shared_slow RawRwLock::lock_exclusive_slow "
     "Mutex::lock_contended RwLock::read_contended RwLock::write_contended "
     "ReentrantLock::lock runtime::lock runtime::lock2 drop_gil PyEval_RestoreThread "
     "PyEval_AcquireThread PyThread_acquire_lock_timed PyThread_acquire_lock "
     "PyMutex_LockTimed PyRWMutex_RLock PyRWMutex_Lock do_mutex_lock "
     "ObjectMonitor::enter ObjectMonitor::EnterI ObjectMonitor::ReenterI "
     "PlatformMutex::lock AwareLock::EnterEpilogHelper ethr_mutex_lock_wait__ "
     "LWLockAcquire LWLockAcquireOrWait LWLockWaitForVar Lock::lockSlow "
     "LockAlgorithm::lockSlow py::Condition::_acquire_restore "
     "AbstractQueuedSynchronizer::acquire AbstractQueuedSynchronizer::acquireQueued "
     "AbstractQueuedSynchronizer::doAcquireShared StampedLock::acquireRead "
     "StampedLock::acquireWrite sync_array_wait_event lock_wait_suspend_thread "
     "MDL_wait::timed_wait take_gil gvl_acquire thread_sched_to_running_common"},
    {USER, WAIT_REASON_IDLE,
     "pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait "
     "pthread_cond_wait_common pthread_join pthread_timedjoin_np pthread_clockjoin_ex "
     "pthread_timedjoin_ex pthread_barrier_wait aio_suspend __detail::__platform_wait "
     "condition_variable::wait condition_variable::wait_for "
     "condition_variable::wait_until "
     "__atomic_futex_unsigned_base::_M_futex_wait_until CondVar::WaitCommon "
     "CondVar::Wait QWaitCondition::wait ParkingLot::parkConditionallyImpl "
     "g_cond_wait Condvar::wait Condvar::wait_timeout Condvar::wait_until_internal "
     "thread::park functions::park Thread::park Parker::park runtime::notesleep "
     "runtime::notetsleep_internal PyEvent_WaitTimed ObjectMonitor::wait "
     "PlatformMonitor::wait Mutex::AwaitCommon Mutex::Await Mutex::LockWhen "
     "Barrier::wait py::Condition::wait py::Thread::_wait_for_tstate_lock "
     "CountDownLatch::await"},
    {USER, WAIT_REASON_SEM,
     "sem_wait sem_timedwait sem_clockwait new_sem_wait new_sem_wait_slow "
     "new_sem_wait_slow64 semop semtimedop __atomic_semaphore::_M_acquire "
     "counting_semaphore::acquire QSemaphore::acquire gomp_sem_wait_slow "
     "PosixSemaphore::wait Semaphore::acquire"},
    {USER_NEAR, WAIT_REASON_LOCK, "PyEval_EvalFrameDefault Py_HandlePending"},
    {USER, WAIT_REASON_SLEEP, "JavaThread::sleep JavaThread::sleep_nanos Thread::sleep"},
    {USER, WAIT_REASON_OTHER, "SafepointSynchronize::block SafepointMechanism::process"},
    {USER_OVER_READY, WAIT_REASON_LOCK, "ProcSleep"},
    {USER_OVER_READY, WAIT_REASON_SLEEP, "pg_usleep pg_sleep pysleep time_sleep apr_sleep"},
};

#define N_EXPECTATIONS (sizeof(expectations) / sizeof(expectations[0]))
#define N_STACK_MAX 8

static struct wait_cause decide(size_t n_kernel, const char *const *names)
{
    size_t n_names = 0;
    while (names[n_names] != NULL) {
        n_names++;
    }
    assert_in_range(n_names, 0, N_STACK_MAX);
    return wait_cause_decide(
        &(struct wait_names){.names = names, .n_names = n_names, .n_kernel = n_kernel});
}

#define DECIDE(n_kernel, ...) decide(n_kernel, (const char *const[]){__VA_ARGS__, NULL})

static void expect(struct wait_cause got, enum wait_reason reason, size_t site, const char *name)
{
    if (got.reason != reason || got.site != site) {
        print_error("%s: %s, site %zu\n", name, wait_reason_name(got.reason), got.site);
    }
    assert_int_equal(got.reason, reason);
    assert_int_equal(got.site, site);
}

static void check_kernel(enum expected expected, enum wait_reason reason, const char *name)
{
    enum wait_reason with_call =
        expected == ASKS_CALL && reason != WAIT_REASON_IPC ? WAIT_REASON_IO_W : reason;
    switch (expected) {
    case MACHINERY:
        expect(DECIDE(1, name), WAIT_REASON_OTHER, 1, name);
        expect(DECIDE(2, name, "anon_pipe_read"), WAIT_REASON_IPC, 1, name);
        expect(DECIDE(2, name, "a_driver_waits"), WAIT_REASON_OTHER, 1, name);
        break;
    case MEANS:
        expect(DECIDE(1, name), WAIT_REASON_OTHER, 0, name);
        expect(DECIDE(2, name, "anon_pipe_read"), WAIT_REASON_IPC, 1, name);
        expect(DECIDE(2, name, "__x64_sys_recvfrom"), WAIT_REASON_IO_R, 1, name);
        break;
    case DECIDES:
        expect(DECIDE(3, "schedule", name, "__x64_sys_ioctl"), reason, 1, name);
        expect(DECIDE(1, name, "pthread_mutex_lock", "write"), reason, 0, name);
        break;
    case DECIDES_AS_MEANS:
        expect(DECIDE(1, name), reason, 0, name);
        expect(DECIDE(3, "schedule", name, "a_driver_waits"), reason, 2, name);
        break;
    case ASKS_CALL:
        assert_int_equal(DECIDE(1, name).reason, reason);
        assert_int_equal(DECIDE(2, name, "ksys_write").reason, with_call);
        assert_int_equal(DECIDE(1, name, "__GI___libc_write").reason, with_call);
        assert_int_equal(DECIDE(2, name, "__x64_sys_ioctl").reason, reason);
        assert_int_equal(DECIDE(2, name, "__arm64_sys_connect").reason, WAIT_REASON_CONN);
        break;
    case ASKS_OUTER:
        assert_int_equal(DECIDE(1, name).reason, reason);
        assert_int_equal(DECIDE(2, name, "__x64_sys_sendto").reason, reason);
        assert_int_equal(DECIDE(3, name, "udp_sendmsg", "__x64_sys_sendto").reason,
                         WAIT_REASON_IO_W);
        break;
    default:
        expect(DECIDE(1, name), reason, 0, name);
        expect(DECIDE(1, name, "___pthread_mutex_lock"), WAIT_REASON_LOCK, 0, name);
        expect(DECIDE(1, name, "pthread_cond_wait"), WAIT_REASON_IDLE, 0, name);
        expect(DECIDE(1, name, "sem_wait"), WAIT_REASON_SEM, 0, name);
        break;
    }
}

static void check_call(enum expected expected, enum wait_reason reason, const char *name)
{
    char entry[WAIT_NAME_KEY_BYTES + 16];
    char wrapper[WAIT_NAME_KEY_BYTES + 16];
    (void)snprintf(entry, sizeof(entry), "__x64_sys_%s", name);
    (void)snprintf(wrapper, sizeof(wrapper), "__GI___%s", name);
    expect(DECIDE(3, "schedule", "vfs_read", entry), reason, 2, name);
    expect(DECIDE(2, "a_driver_waits", entry), reason, 0, name);
    if (expected == CALL) {
        expect(DECIDE(0, wrapper, "main"), reason, 0, name);
        expect(DECIDE(1, "a_driver_waits", wrapper, "main"), reason, 0, name);
        expect(DECIDE(1, "schedule", wrapper, "main"), reason, 1, name);
    } else {
        expect(DECIDE(1, entry, "pthread_rwlock_wrlock"), WAIT_REASON_LOCK, 0, name);
    }
}

static void check_user(enum expected expected, enum wait_reason reason, const char *name)
{
    enum wait_reason in_epoll = expected == USER_OVER_READY ? reason : WAIT_REASON_READY;
    expect(DECIDE(2, "do_epoll_wait", "__x64_sys_epoll_wait", "epoll_wait", name), in_epoll, 0,
           name);
    expect(DECIDE(2, "anon_pipe_read", "ksys_read", "read", name), WAIT_REASON_IPC, 0, name);
    if (expected == USER_NEAR) {
        expect(DECIDE(1, "futex_wait", name, "main"), WAIT_REASON_IDLE, 0, name);
        expect(DECIDE(1, "futex_wait", "pthread_cond_timedwait", "", name), reason, 0, name);
        expect(
            DECIDE(1, "futex_wait", "pthread_cond_wait_common", "pthread_cond_timedwait", "", name),
            reason, 0, name);
        expect(DECIDE(1, "futex_wait", "pthread_cond_timedwait", "work", name), WAIT_REASON_IDLE, 0,
               name);
        expect(DECIDE(1, "futex_wait", "pthread_cond_timedwait", "", "", name), WAIT_REASON_IDLE, 0,
               name);
        return;
    }
    expect(DECIDE(2, "futex_do_wait", "futex_wait", "syscall", name, "main"), reason, 1, name);
    expect(DECIDE(0, "syscall", name, "main"), reason, 1, name);
}

static bool is_in(const char *name, const char *names)
{
    size_t n_bytes = strlen(name);
    for (const char *at = strstr(names, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == names || at[-1] == ' ') && (at[n_bytes] == ' ' || at[n_bytes] == '\0')) {
            return true;
        }
    }
    return false;
}

static enum wait_space space_of(enum expected expected)
{
    if (expected >= USER) {
        return WAIT_SPACE_USER;
    }
    return expected >= CALL ? WAIT_SPACE_CALL : WAIT_SPACE_KERNEL;
}

static void every_listed_name_does_what_it_is_listed_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTATIONS; i++) {
        const struct expectation *expectation = &expectations[i];
        const char *at = expectation->names;
        while (*at != '\0') {
            char name[WAIT_NAME_KEY_BYTES];
            size_t n_bytes = strcspn(at, " ");
            (void)snprintf(name, sizeof(name), "%.*s", (int)n_bytes, at);
            at += n_bytes + strspn(at + n_bytes, " ");
            switch (space_of(expectation->expected)) {
            case WAIT_SPACE_KERNEL:
                check_kernel(expectation->expected, expectation->reason, name);
                break;
            case WAIT_SPACE_CALL:
                check_call(expectation->expected, expectation->reason, name);
                break;
            default:
                check_user(expectation->expected, expectation->reason, name);
                break;
            }
        }
    }
}

static void every_row_is_listed_once(void **state)
{
    (void)state;
    size_t n_rules = 0;
    const struct wait_rule *rules = wait_rules_all(&n_rules);
    assert_true(n_rules > 500);
    for (size_t i = 0; i < n_rules; i++) {
        size_t n_found = 0;
        for (size_t k = 0; k < N_EXPECTATIONS; k++) {
            n_found += space_of(expectations[k].expected) == rules[i].space &&
                       is_in(rules[i].name, expectations[k].names);
        }
        if (n_found != 1) {
            print_error("%s is listed %zu times\n", rules[i].name, n_found);
        }
        assert_int_equal(n_found, 1);
    }
}

static void no_row_stands_twice_or_behind_a_prefix_that_says_the_same(void **state)
{
    (void)state;
    size_t n_rules = 0;
    const struct wait_rule *rules = wait_rules_all(&n_rules);
    for (size_t i = 0; i < n_rules; i++) {
        for (size_t k = 0; k < n_rules; k++) {
            if (i != k && rules[i].space == rules[k].space) {
                assert_string_not_equal(rules[i].name, rules[k].name);
            }
            if (i != k && rules[k].is_prefix &&
                strncmp(rules[i].name, rules[k].name, strlen(rules[k].name)) == 0) {
                assert_int_equal(rules[i].space, WAIT_SPACE_KERNEL);
                assert_true(rules[i].sight != rules[k].sight || rules[i].word != rules[k].word ||
                            rules[i].reason != rules[k].reason);
            }
        }
    }
}

static void a_prefix_is_that_of_every_longer_name(void **state)
{
    (void)state;
    struct wait_name name;
    assert_true(wait_name_of_kernel("jbd2_a_function_of_tomorrow", &name));
    const struct wait_rule *rule = wait_rule_of_kernel(&name);
    assert_non_null(rule);
    assert_string_equal(rule->name, "jbd2_");
    assert_true(wait_name_of_kernel("no_function", &name));
    assert_null(wait_rule_of_kernel(&name));
}

static void a_qualified_name_is_found_by_its_last_components(void **state)
{
    (void)state;
    struct wait_name name;
    assert_true(wait_name_of_user("absl::lts_20220623::Mutex::LockSlowLoop(int)", &name));
    assert_string_equal(wait_rule_of_user(&name)->name, "Mutex::LockSlowLoop");
    assert_true(wait_name_of_user("my::std::mutex::lock", &name));
    assert_string_equal(wait_rule_of_user(&name)->name, "std::mutex::lock");
    assert_true(wait_name_of_user("mutex::lock", &name));
    assert_null(wait_rule_of_user(&name));
    assert_true(wait_name_of_user("my::pthread_mutex_lock", &name));
    assert_null(wait_rule_of_user(&name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listed_name_does_what_it_is_listed_for),
        cmocka_unit_test(every_row_is_listed_once),
        cmocka_unit_test(no_row_stands_twice_or_behind_a_prefix_that_says_the_same),
        cmocka_unit_test(a_prefix_is_that_of_every_longer_name),
        cmocka_unit_test(a_qualified_name_is_found_by_its_last_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
