/* SPDX-License-Identifier: MIT */
#include "reasons/wait_rules.h"

#include <pthread.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define BIT(r) (1u << WAIT_REASON_##r)
#define IO_OR_CONN (BIT(IO_R) | BIT(IO_W) | BIT(CONN))
#define PEER (IO_OR_CONN | BIT(IPC))

#define KERNEL(n, s, w, r, ...)                                                                    \
    {                                                                                              \
        .name = (n), .space = WAIT_SPACE_KERNEL, .sight = WAIT_SIGHT_##s, .word = WAIT_WORD_##w,   \
        .reason = WAIT_REASON_##r, __VA_ARGS__                                                     \
    }
#define MACHINERY(n) KERNEL(n, NONE, NOTHING, OTHER)
#define MACHINERY_ALL(n) KERNEL(n, NONE, NOTHING, OTHER, .is_prefix = true)
#define MEANS(n) KERNEL(n, MEANS, NOTHING, OTHER)
#define MEANS_ALL(n) KERNEL(n, MEANS, NOTHING, OTHER, .is_prefix = true)
#define MEANS_OF(n, r) KERNEL(n, MEANS, REASON, r)
#define MEANS_ALL_OF(n, r) KERNEL(n, MEANS, REASON, r, .is_prefix = true)
#define MEANS_ASK_CALL(n, r, a) KERNEL(n, MEANS, ASK_CALL, r, .accepts = (a))
#define MEANS_ASK_OUTER(n, r, a) KERNEL(n, MEANS, ASK_OUTER, r, .accepts = (a))
#define MEANS_ASK_USER(n, r) KERNEL(n, MEANS, ASK_USER, r)
#define SITE(n, r) KERNEL(n, SITE, REASON, r)
#define SITE_ALL(n, r) KERNEL(n, SITE, REASON, r, .is_prefix = true)
#define SITE_ASK_CALL(n, r, a) KERNEL(n, SITE, ASK_CALL, r, .accepts = (a))
#define SITE_ASK_USER(n, r) KERNEL(n, SITE, ASK_USER, r)

#define CALL(n, r)                                                                                 \
    {                                                                                              \
        .name = (n), .space = WAIT_SPACE_CALL, .word = WAIT_WORD_REASON, .reason = WAIT_REASON_##r \
    }
#define CALL_ASK_USER(n, r)                                                                        \
    {                                                                                              \
        .name = (n), .space = WAIT_SPACE_CALL, .word = WAIT_WORD_ASK_USER,                         \
        .reason = WAIT_REASON_##r                                                                  \
    }

#define USER(n, r, k, ...)                                                                         \
    {                                                                                              \
        .name = (n), .space = WAIT_SPACE_USER, .word = WAIT_WORD_REASON,                           \
        .reason = WAIT_REASON_##r, .rank = (k), __VA_ARGS__                                        \
    }
#define PRIMITIVE(n, r) USER(n, r, WAIT_RANK_PRIMITIVE)
#define RUNTIME(n, r) USER(n, r, 2) /* what a program makes of primitives */
#define RUNTIME_NEAR(n, r) USER(n, r, 2, .is_near = true)
#define MANAGED(n, r) USER(n, r, 3)             /* what managed code makes of its runtime's */
#define MANAGED_OUTER(n, r) USER(n, r, 4)       /* what it makes of that */
#define FINAL(n, r) USER(n, r, WAIT_RANK_FINAL) /* whatever called it */
#define OVER_READY(n, r) USER(n, r, WAIT_RANK_FINAL, .over_ready = true)

static const struct wait_rule rules[] = {
    /* The scheduler, and the tracers that look at it from inside. */
    MACHINERY("schedule"), MACHINERY("__schedule"), MACHINERY("__schedule_loop"),
    MACHINERY("__switch_to"), MACHINERY("__switch_to_asm"), MACHINERY("context_switch"),
    MACHINERY("finish_task_switch"), MACHINERY("prepare_task_switch"),
    MACHINERY_ALL("schedule_timeout"), MACHINERY_ALL("schedule_hrtimeout"),
    MACHINERY("schedule_preempt_disabled"), MACHINERY("schedule_rtlock"),
    MACHINERY_ALL("preempt_schedule"), MACHINERY("__cond_resched"), MACHINERY_ALL("io_schedule"),
    MACHINERY("blk_io_schedule"), MACHINERY_ALL("bpf_prog_"), MACHINERY_ALL("bpf_trace_run"),
    MACHINERY_ALL("__bpf_trace_"), MACHINERY_ALL("__bpf_prog_"), MACHINERY_ALL("bpf_dispatcher_"),
    MACHINERY_ALL("bpf_trampoline_"), MACHINERY_ALL("bpf_get_stack"), MACHINERY("trace_call_bpf"),
    MACHINERY_ALL("__traceiter_"), MACHINERY_ALL("trace_event_raw_event_"),
    MACHINERY_ALL("perf_trace_"), MACHINERY_ALL("perf_event_"), MACHINERY_ALL("__perf_event_"),
    MACHINERY_ALL("perf_swevent_"), MACHINERY("perf_tp_event"), MACHINERY("__perf_sw_event_sched"),
    MACHINERY("___perf_sw_event"), MACHINERY("ftrace_regs_caller"), MACHINERY("ftrace_caller"),

    /* The way from the processor's entry to the call, and the layers that all calls go through. */
    MACHINERY("do_syscall_64"), MACHINERY("x64_sys_call"), MACHINERY("ia32_sys_call"),
    MACHINERY("do_int80_emulation"), MACHINERY("__do_fast_syscall_32"),
    MACHINERY("do_fast_syscall_32"), MACHINERY_ALL("entry_SYS"), MACHINERY_ALL("entry_INT80"),
    MACHINERY_ALL("syscall_exit_"), MACHINERY("syscall_trace_enter"),
    MACHINERY_ALL("exit_to_user_mode"), MACHINERY_ALL("irqentry_exit"),
    MACHINERY_ALL("arch_do_signal"), MACHINERY("do_notify_resume"), MACHINERY("task_work_run"),
    MACHINERY_ALL("ret_from_fork"), MACHINERY("invoke_syscall"), MACHINERY_ALL("el0_svc"),
    MACHINERY("do_el0_svc"), MACHINERY_ALL("el0t_"), MACHINERY("vfs_read"), MACHINERY("vfs_write"),
    MACHINERY("new_sync_read"), MACHINERY("new_sync_write"),

    /* How the kernel waits; the caller knows for what. */
    MEANS("wait_woken"), MEANS_ALL("wait_for_completion"), MEANS("__wait_for_common"),
    MEANS("do_wait_for_common"), MEANS("bit_wait"), MEANS("bit_wait_io"), MEANS("bit_wait_timeout"),
    MEANS("__wait_on_bit"), MEANS("__wait_on_bit_lock"), MEANS_ALL("out_of_line_wait_on_bit"),
    MEANS("do_wait_intr"), MEANS("do_wait_intr_irq"), MEANS("cv_wait_common"),
    MEANS("rpc_wait_bit_killable"), MEANS("msleep"), MEANS("msleep_interruptible"),
    MEANS("usleep_range_state"),

    /* futex: what the program makes of it. */
    MEANS_ASK_USER("futex_do_wait", IDLE), MEANS_ASK_USER("futex_wait_queue", IDLE),
    MEANS_ASK_USER("futex_wait_queue_me", IDLE), MEANS_ASK_USER("__futex_wait", IDLE),
    SITE_ASK_USER("futex_wait", IDLE), SITE_ASK_USER("futex_wait_multiple", IDLE),
    SITE_ASK_USER("futex_wait_requeue_pi", IDLE), MEANS_ASK_USER("do_futex", IDLE),
    SITE("futex_lock_pi", LOCK),

    /* Semaphores of System V. */
    SITE_ASK_USER("__do_semtimedop", SEM), SITE_ASK_USER("do_semtimedop", SEM),

    /* Locks of the kernel. */
    SITE("__mutex_lock", LOCK), SITE_ALL("__mutex_lock_", LOCK), SITE("__ww_mutex_lock", LOCK),
    SITE("mutex_lock", LOCK), SITE("mutex_lock_killable", LOCK),
    SITE("mutex_lock_interruptible", LOCK), SITE("mutex_lock_io", LOCK),
    SITE_ALL("rwsem_down_", LOCK), SITE_ALL("__rwsem_down_", LOCK), SITE_ALL("rwbase_", LOCK),
    SITE("down", LOCK), SITE("down_read", LOCK), SITE("down_read_killable", LOCK),
    SITE("down_read_interruptible", LOCK), SITE("down_write", LOCK),
    SITE("down_write_killable", LOCK), SITE("down_interruptible", LOCK),
    SITE("down_killable", LOCK), SITE("down_timeout", LOCK), MEANS_OF("___down_common", LOCK),
    MEANS_OF("__down_common", LOCK), MEANS_OF("__down", LOCK),
    MEANS_OF("__down_interruptible", LOCK), MEANS_OF("__down_killable", LOCK),
    MEANS_OF("__down_timeout", LOCK), SITE("percpu_rwsem_wait", LOCK),
    SITE("__percpu_down_read", LOCK), SITE("percpu_down_write", LOCK),
    MEANS_ALL_OF("__rt_mutex_", LOCK), MEANS_ALL_OF("rt_mutex_", LOCK),
    SITE("rtlock_slowlock_locked", LOCK), SITE("do_flock", LOCK),
    SITE("locks_lock_inode_wait", LOCK), SITE("flock_lock_inode_wait", LOCK),
    SITE("posix_lock_inode_wait", LOCK), SITE("fcntl_setlk", LOCK), SITE("fcntl_setlk64", LOCK),
    SITE("do_lock_file_wait", LOCK), SITE("__break_lease", LOCK), SITE("d_alloc_parallel", LOCK),
    SITE("d_wait_lookup", LOCK), SITE("__wait_on_freeing_inode", LOCK),
    SITE("wait_extent_bit", LOCK), SITE("__vma_start_write", LOCK), SITE("vma_start_read", LOCK),
    SITE("zfs_rangelock_enter_impl", LOCK),

    /* Pipes, eventfd, queues, Unix sockets. */
    SITE("pipe_read", IPC), SITE("pipe_write", IPC), SITE("anon_pipe_read", IPC),
    SITE("anon_pipe_write", IPC), SITE("fifo_pipe_read", IPC), SITE("fifo_pipe_write", IPC),
    SITE("pipe_wait_readable", IPC), SITE("pipe_wait_writable", IPC), SITE("wait_for_space", IPC),
    SITE("ipipe_prep", IPC), SITE("opipe_prep", IPC), SITE("splice_from_pipe_next", IPC),
    SITE("eventfd_read", IPC), SITE("eventfd_write", IPC), MEANS_OF("wq_sleep", IPC),
    SITE("do_mq_timedreceive", IPC), SITE("do_mq_timedsend", IPC), SITE("do_msgrcv", IPC),
    SITE("do_msgsnd", IPC), MEANS_OF("unix_stream_data_wait", IPC),
    SITE("unix_stream_read_generic", IPC), SITE("unix_stream_recvmsg", IPC),
    SITE("__unix_dgram_recvmsg", IPC), SITE("unix_dgram_recvmsg", IPC),
    SITE("unix_seqpacket_recvmsg", IPC), SITE("unix_stream_sendmsg", IPC),
    SITE("unix_dgram_sendmsg", IPC), SITE("unix_seqpacket_sendmsg", IPC),
    SITE_ASK_CALL("unix_wait_for_peer", IPC, BIT(CONN) | BIT(IPC)),
    MEANS_ASK_OUTER("sock_alloc_send_pskb", IPC, BIT(IPC) | BIT(IO_W)),

    /* Peers: connect, accept, the other end of a FIFO. */
    MEANS_OF("wait_for_partner", CONN), SITE("fifo_open", CONN), SITE("unix_stream_connect", CONN),
    SITE("unix_dgram_connect", CONN), SITE("unix_accept", CONN),
    MEANS_OF("inet_csk_wait_for_connect", CONN), SITE("inet_csk_accept", CONN),
    SITE("inet_wait_for_connect", CONN), SITE("__inet_stream_connect", CONN),
    SITE("inet_stream_connect", CONN), SITE("sk_stream_wait_connect", CONN),
    SITE("sctp_wait_for_connect", CONN), SITE("sctp_accept", CONN), SITE("vsock_connect", CONN),
    SITE("vsock_accept", CONN), SITE("autofs_wait", CONN),

    /* Networks. */
    MEANS_ASK_CALL("sk_wait_data", IO_R, PEER),
    MEANS_ASK_CALL("__skb_wait_for_more_packets", IO_R, PEER),
    MEANS_ASK_CALL("__skb_recv_datagram", IO_R, PEER),
    MEANS_ASK_CALL("skb_recv_datagram", IO_R, PEER), MEANS_ASK_CALL("__skb_recv_udp", IO_R, PEER),
    SITE("tcp_recvmsg_locked", IO_R), SITE("tcp_recvmsg", IO_R), SITE("tcp_splice_read", IO_R),
    SITE("tls_rx_rec_wait", IO_R), SITE("udp_recvmsg", IO_R), SITE("udpv6_recvmsg", IO_R),
    SITE("raw_recvmsg", IO_R), SITE("packet_recvmsg", IO_R), SITE("netlink_recvmsg", IO_R),
    SITE("sock_recvmsg", IO_R), SITE("sock_read_iter", IO_R), SITE("sk_stream_wait_memory", IO_W),
    SITE("sk_stream_wait_close", IO_W), SITE("tcp_sendmsg_locked", IO_W), SITE("udp_sendmsg", IO_W),
    SITE("udpv6_sendmsg", IO_W), SITE("raw_sendmsg", IO_W), SITE("packet_sendmsg", IO_W),
    SITE("netlink_unicast", IO_W), SITE("sctp_wait_for_sndbuf", IO_W), SITE("sock_sendmsg", IO_W),
    SITE("sock_write_iter", IO_W),

    /* Pages and blocks, of which the call or the frames between know the direction. */
    SITE_ASK_CALL("folio_wait_bit_common", IO_R, IO_OR_CONN),
    MEANS_ASK_CALL("folio_wait_bit", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("wait_on_page_bit_common", IO_R, IO_OR_CONN),
    MEANS_ASK_CALL("wait_on_page_bit", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("put_and_wait_on_page_locked", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("folio_put_wait_locked", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__folio_lock", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__folio_lock_killable", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__lock_page", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__lock_page_killable", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__wait_on_buffer", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__lock_buffer", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__inode_dio_wait", IO_W, IO_OR_CONN),
    SITE_ASK_CALL("inode_dio_wait", IO_W, IO_OR_CONN),
    SITE_ASK_CALL("__iomap_dio_rw", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("iomap_dio_rw", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__blkdev_direct_IO", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__blkdev_direct_IO_simple", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("blkdev_direct_IO", IO_R, IO_OR_CONN),
    MEANS_ASK_CALL("submit_bio_wait", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("blk_mq_get_tag", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("rq_qos_wait", IO_W, IO_OR_CONN),
    SITE_ASK_CALL("xfs_buf_iowait", IO_R, IO_OR_CONN), SITE_ASK_CALL("zio_wait", IO_R, IO_OR_CONN),

    /* File systems behind a server: the call is what they ask it for. */
    SITE_ASK_CALL("request_wait_answer", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("fuse_get_req", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("__rpc_execute", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("nfs4_run_open_task", CONN, IO_OR_CONN),
    SITE_ASK_CALL("p9_client_rpc", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("wait_for_response", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("compound_send_recv", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("ceph_mdsc_wait_request", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("ceph_osdc_wait_request", IO_R, IO_OR_CONN), SITE("nfs_wait_on_request", IO_W),
    SITE("fuse_wait_on_page_writeback", IO_W),

    /* In: reads, page faults, devices. */
    SITE("filemap_read", IO_R), SITE("generic_file_buffered_read", IO_R),
    SITE("filemap_fault", IO_R), SITE("filemap_splice_read", IO_R),
    SITE("filemap_update_page", IO_R), SITE("filemap_read_folio", IO_R),
    SITE("filemap_read_page", IO_R), SITE("do_read_cache_folio", IO_R),
    SITE("do_read_cache_page", IO_R), SITE_ASK_CALL("read_extent_buffer_pages", IO_R, IO_OR_CONN),
    SITE_ASK_CALL("ext4_bread", IO_R, IO_OR_CONN), SITE_ASK_CALL("ext4_read_bh", IO_R, IO_OR_CONN),
    SITE("kernel_read", IO_R), SITE("io_read", IO_R), SITE("do_swap_page", IO_R),
    SITE("swap_read_folio", IO_R), SITE("swap_readpage", IO_R), SITE("__folio_lock_or_retry", IO_R),
    SITE("__lock_page_or_retry", IO_R), SITE("handle_mm_fault", IO_R),
    SITE("do_user_addr_fault", IO_R), SITE("exc_page_fault", IO_R), SITE("do_page_fault", IO_R),
    SITE("do_mem_abort", IO_R), SITE("n_tty_read", IO_R), SITE("evdev_read", IO_R),
    SITE("hidraw_read", IO_R), SITE("devkmsg_read", IO_R), SITE("do_syslog", IO_R),
    SITE("tun_do_read", IO_R), SITE("fuse_dev_do_read", IO_R),

    /* Out: write-back, journals, flushes, throttling. */
    SITE_ALL("jbd2_", IO_W), SITE("start_this_handle", IO_W), SITE("add_transaction_credits", IO_W),
    SITE_ALL("wait_transaction_", IO_W), SITE("do_get_write_access", IO_W),
    SITE("folio_wait_writeback", IO_W), SITE("wait_on_page_writeback", IO_W),
    SITE("folio_wait_stable", IO_W), SITE("__filemap_fdatawait_range", IO_W),
    SITE("file_write_and_wait_range", IO_W), SITE_ALL("filemap_write_and_wait", IO_W),
    SITE("generic_perform_write", IO_W), SITE("iomap_file_buffered_write", IO_W),
    SITE_ALL("balance_dirty_pages", IO_W), SITE("wb_wait_for_completion", IO_W),
    SITE("wbt_wait", IO_W), SITE("blkcg_maybe_throttle_current", IO_W),
    SITE("reclaim_throttle", IO_W), SITE("congestion_wait", IO_W), SITE("wait_iff_congested", IO_W),
    SITE("throttle_direct_reclaim", IO_W), SITE("blkdev_issue_flush", IO_W),
    SITE("blkdev_issue_discard", IO_W), SITE("__sync_dirty_buffer", IO_W),
    SITE("write_dirty_buffer", IO_W), SITE("fsync_buffers_list", IO_W),
    SITE("inode_wait_for_writeback", IO_W), SITE("do_truncate", IO_W), SITE("sync_inodes_sb", IO_W),
    SITE("xlog_wait_on_iclog", IO_W), SITE("xlog_grant_head_wait", IO_W),
    SITE("xfs_log_force_seq", IO_W), SITE("xfs_log_force", IO_W), SITE("wait_current_trans", IO_W),
    SITE_ALL("btrfs_wait_", IO_W), SITE("btrfs_commit_transaction", IO_W),
    SITE("btrfs_sync_log", IO_W), SITE_ALL("f2fs_wait_on_", IO_W), SITE("f2fs_issue_flush", IO_W),
    SITE("txg_wait_synced_impl", IO_W), SITE("zil_commit_impl", IO_W), SITE("dmu_tx_wait", IO_W),
    SITE("md_write_start", IO_W), SITE("io_write", IO_W), SITE("n_tty_write", IO_W),
    SITE("tty_wait_until_sent", IO_W),

    /* Readiness. */
    SITE("ep_poll", READY), SITE("do_epoll_wait", READY), SITE("do_epoll_pwait", READY),
    MEANS_OF("poll_schedule_timeout", READY), SITE("do_poll", READY), SITE("do_sys_poll", READY),
    SITE("do_select", READY), MEANS_OF("io_cqring_schedule_timeout", READY),
    MEANS_OF("__io_cqring_wait_schedule", READY), MEANS_OF("io_cqring_wait_schedule", READY),
    SITE("io_cqring_wait", READY), SITE("read_events", READY), SITE("do_io_getevents", READY),
    SITE("inotify_read", READY), SITE("fanotify_read", READY),

    /* Time. */
    SITE("do_nanosleep", SLEEP), SITE("hrtimer_nanosleep", SLEEP),
    SITE("alarmtimer_do_nsleep", SLEEP), SITE("do_cpu_nanosleep", SLEEP),
    SITE("timerfd_read", SLEEP), SITE("timerfd_read_iter", SLEEP),

    /* Children, signals, work. */
    SITE("do_wait", IDLE), SITE("kernel_wait4", IDLE), SITE("wait_for_vfork_done", IDLE),
    SITE("kernel_clone", IDLE), SITE("_do_fork", IDLE), SITE("zap_pid_ns_processes", IDLE),
    SITE("do_sigtimedwait", IDLE), SITE("sigsuspend", IDLE), MEANS_OF("signalfd_dequeue", IDLE),
    SITE("signalfd_read", IDLE), SITE("signalfd_read_iter", IDLE), SITE("io_wq_worker", IDLE),
    SITE("io_sq_thread", IDLE), SITE("vhost_task_fn", IDLE), SITE("kvm_vcpu_block", IDLE),
    SITE("kvm_vcpu_halt", IDLE),

    /* Stopped, traced, moved, and what the kernel itself waits for. */
    SITE("do_signal_stop", OTHER), SITE("do_jobctl_trap", OTHER), SITE("ptrace_stop", OTHER),
    SITE("get_signal", OTHER), SITE("wait_task_inactive", OTHER), SITE("do_freezer_trap", OTHER),
    SITE("__refrigerator", OTHER), SITE("__seccomp_filter", OTHER), SITE("handle_userfault", OTHER),
    SITE("userfaultfd_ctx_read", OTHER), SITE("userfaultfd_read_iter", OTHER),
    SITE_ALL("migration_entry_wait", OTHER), SITE("mem_cgroup_handle_over_high", OTHER),
    SITE("__mem_cgroup_handle_over_high", OTHER), SITE("mem_cgroup_oom_synchronize", OTHER),
    SITE("coredump_task_exit", OTHER), SITE("de_thread", OTHER), SITE("__wait_rcu_gp", OTHER),
    SITE("synchronize_rcu", OTHER), SITE("synchronize_rcu_expedited", OTHER),
    SITE("synchronize_rcu_normal", OTHER), SITE("__synchronize_srcu", OTHER),
    SITE("wait_for_random_bytes", OTHER), SITE_ALL("dma_fence_", OTHER),
    SITE("__flush_work", OTHER), SITE("__flush_workqueue", OTHER),

    /* System calls, by what they are for. */
    CALL("read", IO_R), CALL("pread", IO_R), CALL("readv", IO_R), CALL("preadv", IO_R),
    CALL("preadv2", IO_R), CALL("recv", IO_R), CALL("recvfrom", IO_R), CALL("recvmsg", IO_R),
    CALL("recvmmsg", IO_R), CALL("getdents", IO_R), CALL("readdir", IO_R), CALL("stat", IO_R),
    CALL("lstat", IO_R), CALL("fstat", IO_R), CALL("newstat", IO_R), CALL("newlstat", IO_R),
    CALL("newfstat", IO_R), CALL("newfstatat", IO_R), CALL("fstatat", IO_R), CALL("statx", IO_R),
    CALL("statfs", IO_R), CALL("fstatfs", IO_R), CALL("access", IO_R), CALL("faccessat", IO_R),
    CALL("faccessat2", IO_R), CALL("readlink", IO_R), CALL("readlinkat", IO_R), CALL("chdir", IO_R),
    CALL("getxattr", IO_R), CALL("lgetxattr", IO_R), CALL("fgetxattr", IO_R),
    CALL("listxattr", IO_R), CALL("readahead", IO_R), CALL("fadvise", IO_R),
    CALL("posix_fadvise", IO_R), CALL("lseek", IO_R), CALL("write", IO_W), CALL("pwrite", IO_W),
    CALL("writev", IO_W), CALL("pwritev", IO_W), CALL("pwritev2", IO_W), CALL("send", IO_W),
    CALL("sendto", IO_W), CALL("sendmsg", IO_W), CALL("sendmmsg", IO_W), CALL("sendfile", IO_W),
    CALL("splice", IO_W), CALL("tee", IO_W), CALL("vmsplice", IO_W), CALL("copy_file_range", IO_W),
    CALL("fsync", IO_W), CALL("fdatasync", IO_W), CALL("sync", IO_W), CALL("syncfs", IO_W),
    CALL("sync_file_range", IO_W), CALL("msync", IO_W), CALL("truncate", IO_W),
    CALL("ftruncate", IO_W), CALL("fallocate", IO_W), CALL("posix_fallocate", IO_W),
    CALL("rename", IO_W), CALL("renameat", IO_W), CALL("renameat2", IO_W), CALL("unlink", IO_W),
    CALL("unlinkat", IO_W), CALL("mkdir", IO_W), CALL("mkdirat", IO_W), CALL("rmdir", IO_W),
    CALL("link", IO_W), CALL("linkat", IO_W), CALL("symlink", IO_W), CALL("symlinkat", IO_W),
    CALL("chmod", IO_W), CALL("fchmod", IO_W), CALL("fchmodat", IO_W), CALL("chown", IO_W),
    CALL("fchown", IO_W), CALL("fchownat", IO_W), CALL("utimensat", IO_W), CALL("setxattr", IO_W),
    CALL("fsetxattr", IO_W), CALL("close", IO_W), CALL("tcdrain", IO_W), CALL("open", CONN),
    CALL("openat", CONN), CALL("openat2", CONN), CALL("creat", CONN), CALL("connect", CONN),
    CALL("accept", CONN), CALL("accept4", CONN), CALL("poll", READY), CALL("ppoll", READY),
    CALL("select", READY), CALL("pselect", READY), CALL("pselect6", READY),
    CALL("epoll_wait", READY), CALL("epoll_pwait", READY), CALL("epoll_pwait2", READY),
    CALL("io_uring_enter", READY), CALL("io_getevents", READY), CALL("io_pgetevents", READY),
    CALL("kevent", READY), CALL("nanosleep", SLEEP), CALL("clock_nanosleep", SLEEP),
    CALL("sleep", SLEEP), CALL("usleep", SLEEP), CALL("wait", IDLE), CALL("wait3", IDLE),
    CALL("wait4", IDLE), CALL("waitpid", IDLE), CALL("waitid", IDLE), CALL("pause", IDLE),
    CALL("sigwait", IDLE), CALL("sigwaitinfo", IDLE), CALL("sigtimedwait", IDLE),
    CALL("rt_sigtimedwait", IDLE), CALL("sigsuspend", IDLE), CALL("rt_sigsuspend", IDLE),
    CALL("vfork", IDLE), CALL("mq_receive", IPC), CALL("mq_send", IPC),
    CALL("mq_timedreceive", IPC), CALL("mq_timedsend", IPC), CALL("msgrcv", IPC),
    CALL("msgsnd", IPC), CALL("flock", LOCK), CALL("fcntl", LOCK), CALL("lockf", LOCK),
    CALL("futex_lock_pi", LOCK), CALL_ASK_USER("semop", SEM), CALL_ASK_USER("semtimedop", SEM),
    CALL_ASK_USER("futex", IDLE), CALL_ASK_USER("futex_wait", IDLE),
    CALL_ASK_USER("futex_waitv", IDLE), CALL("ioctl", OTHER), CALL("getrandom", OTHER),
    CALL("membarrier", OTHER), CALL("ptrace", OTHER),

    /* Thread libraries: glibc, musl. */
    PRIMITIVE("lll_lock_wait", LOCK), PRIMITIVE("lll_lock_wait_private", LOCK),
    PRIMITIVE("pthread_mutex_lock", LOCK), PRIMITIVE("pthread_mutex_lock_full", LOCK),
    PRIMITIVE("pthread_mutex_timedlock", LOCK), PRIMITIVE("pthread_mutex_clocklock", LOCK),
    PRIMITIVE("pthread_mutex_clocklock_common", LOCK), PRIMITIVE("pthread_mutex_cond_lock", LOCK),
    PRIMITIVE("pthread_rwlock_rdlock", LOCK), PRIMITIVE("pthread_rwlock_wrlock", LOCK),
    PRIMITIVE("pthread_rwlock_timedrdlock", LOCK), PRIMITIVE("pthread_rwlock_timedwrlock", LOCK),
    PRIMITIVE("pthread_rwlock_clockrdlock", LOCK), PRIMITIVE("pthread_rwlock_clockwrlock", LOCK),
    PRIMITIVE("pthread_rwlock_rdlock_full64", LOCK),
    PRIMITIVE("pthread_rwlock_wrlock_full64", LOCK), PRIMITIVE("pthread_once", LOCK),
    PRIMITIVE("pthread_once_slow", LOCK), PRIMITIVE("cxa_guard_acquire", LOCK),
    PRIMITIVE("lock", LOCK), PRIMITIVE("lockfile", LOCK), PRIMITIVE("pthread_cond_wait", IDLE),
    PRIMITIVE("pthread_cond_timedwait", IDLE), PRIMITIVE("pthread_cond_clockwait", IDLE),
    PRIMITIVE("pthread_cond_wait_common", IDLE), PRIMITIVE("pthread_join", IDLE),
    PRIMITIVE("pthread_timedjoin_np", IDLE), PRIMITIVE("pthread_clockjoin_ex", IDLE),
    PRIMITIVE("pthread_timedjoin_ex", IDLE), PRIMITIVE("pthread_barrier_wait", IDLE),
    PRIMITIVE("aio_suspend", IDLE), PRIMITIVE("sem_wait", SEM), PRIMITIVE("sem_timedwait", SEM),
    PRIMITIVE("sem_clockwait", SEM), PRIMITIVE("new_sem_wait", SEM),
    PRIMITIVE("new_sem_wait_slow", SEM), PRIMITIVE("new_sem_wait_slow64", SEM),
    PRIMITIVE("semop", SEM), PRIMITIVE("semtimedop", SEM),

    /* C and C++. */
    RUNTIME("condition_variable::wait", IDLE), RUNTIME("condition_variable::wait_for", IDLE),
    RUNTIME("condition_variable::wait_until", IDLE), RUNTIME("std::mutex::lock", LOCK),
    RUNTIME("recursive_mutex::lock", LOCK), RUNTIME("shared_mutex::lock", LOCK),
    RUNTIME("shared_mutex::lock_shared", LOCK),
    RUNTIME("__atomic_futex_unsigned_base::_M_futex_wait_until", IDLE),
    PRIMITIVE("__detail::__platform_wait", IDLE), RUNTIME("__atomic_semaphore::_M_acquire", SEM),
    RUNTIME("counting_semaphore::acquire", SEM), RUNTIME("Mutex::LockSlow", LOCK),
    RUNTIME("Mutex::LockSlowLoop", LOCK), RUNTIME("Mutex::LockSlowWithDeadline", LOCK),
    MANAGED("Mutex::AwaitCommon", IDLE), MANAGED("Mutex::Await", IDLE),
    MANAGED("Mutex::LockWhen", IDLE), RUNTIME("CondVar::WaitCommon", IDLE),
    RUNTIME("CondVar::Wait", IDLE), RUNTIME("SpinLock::SlowLock", LOCK),
    RUNTIME("SpinningMutex::LockSlow", LOCK), RUNTIME("QBasicMutex::lockInternal", LOCK),
    RUNTIME("QMutex::lock", LOCK), RUNTIME("QWaitCondition::wait", IDLE),
    RUNTIME("QSemaphore::acquire", SEM), RUNTIME("ParkingLot::parkConditionallyImpl", IDLE),
    MANAGED("Lock::lockSlow", LOCK), MANAGED("LockAlgorithm::lockSlow", LOCK),
    RUNTIME("g_mutex_lock_slowpath", LOCK), RUNTIME("g_cond_wait", IDLE),
    RUNTIME("gomp_mutex_lock_slow", LOCK), RUNTIME("gomp_sem_wait_slow", SEM),
    RUNTIME("nsync_mu_lock_slow_", LOCK), RUNTIME("je_malloc_mutex_lock_slow", LOCK),

    /* Rust. */
    RUNTIME("RawMutex::lock_slow", LOCK), RUNTIME("RawRwLock::lock_shared_slow", LOCK),
    RUNTIME("RawRwLock::lock_exclusive_slow", LOCK), RUNTIME("Mutex::lock_contended", LOCK),
    RUNTIME("RwLock::read_contended", LOCK), RUNTIME("RwLock::write_contended", LOCK),
    RUNTIME("ReentrantLock::lock", LOCK), PRIMITIVE("Once::call", LOCK),
    PRIMITIVE("Once::call_inner", LOCK), MANAGED("Barrier::wait", IDLE),
    RUNTIME("Condvar::wait", IDLE), RUNTIME("Condvar::wait_timeout", IDLE),
    RUNTIME("Condvar::wait_until_internal", IDLE), RUNTIME("thread::park", IDLE),
    RUNTIME("functions::park", IDLE), RUNTIME("Thread::park", IDLE), RUNTIME("Parker::park", IDLE),

    /* Go. */
    RUNTIME("runtime::lock", LOCK), RUNTIME("runtime::lock2", LOCK),
    RUNTIME("runtime::notesleep", IDLE), RUNTIME("runtime::notetsleep_internal", IDLE),

    /* Python: the GIL, whose functions a stripped interpreter does not name, and locks that Python
     * code made. */
    FINAL("take_gil", LOCK), RUNTIME("drop_gil", LOCK), RUNTIME("PyEval_RestoreThread", LOCK),
    RUNTIME("PyEval_AcquireThread", LOCK), RUNTIME_NEAR("PyEval_EvalFrameDefault", LOCK),
    RUNTIME_NEAR("Py_HandlePending", LOCK), RUNTIME("PyThread_acquire_lock_timed", LOCK),
    RUNTIME("PyThread_acquire_lock", LOCK), RUNTIME("PyMutex_LockTimed", LOCK),
    RUNTIME("PyRWMutex_RLock", LOCK), RUNTIME("PyRWMutex_Lock", LOCK),
    RUNTIME("PyEvent_WaitTimed", IDLE), MANAGED("py::Condition::wait", IDLE),
    MANAGED("py::Condition::_acquire_restore", LOCK),
    MANAGED("py::Thread::_wait_for_tstate_lock", IDLE),

    /* Ruby. */
    FINAL("gvl_acquire", LOCK), FINAL("thread_sched_to_running_common", LOCK),
    RUNTIME("do_mutex_lock", LOCK),

    /* JVM. */
    RUNTIME("ObjectMonitor::enter", LOCK), RUNTIME("ObjectMonitor::EnterI", LOCK),
    RUNTIME("ObjectMonitor::ReenterI", LOCK), RUNTIME("ObjectMonitor::wait", IDLE),
    RUNTIME("PlatformMonitor::wait", IDLE), RUNTIME("PlatformMutex::lock", LOCK),
    RUNTIME("PosixSemaphore::wait", SEM), RUNTIME("JavaThread::sleep", SLEEP),
    RUNTIME("JavaThread::sleep_nanos", SLEEP), FINAL("SafepointSynchronize::block", OTHER),
    FINAL("SafepointMechanism::process", OTHER),
    MANAGED("AbstractQueuedSynchronizer::acquire", LOCK),
    MANAGED("AbstractQueuedSynchronizer::acquireQueued", LOCK),
    MANAGED("AbstractQueuedSynchronizer::doAcquireShared", LOCK),
    MANAGED("StampedLock::acquireRead", LOCK), MANAGED("StampedLock::acquireWrite", LOCK),
    MANAGED_OUTER("CountDownLatch::await", IDLE), MANAGED_OUTER("Semaphore::acquire", SEM),
    MANAGED("Thread::sleep", SLEEP),

    /* .NET, Erlang. */
    RUNTIME("AwareLock::EnterEpilogHelper", LOCK), RUNTIME("ethr_mutex_lock_wait__", LOCK),

    /* Databases. The locks of postgres wait for a latch, which is an epoll. */
    RUNTIME("LWLockAcquire", LOCK), RUNTIME("LWLockAcquireOrWait", LOCK),
    RUNTIME("LWLockWaitForVar", LOCK), OVER_READY("ProcSleep", LOCK),
    OVER_READY("pg_usleep", SLEEP), OVER_READY("pg_sleep", SLEEP),
    MANAGED("sync_array_wait_event", LOCK), MANAGED("lock_wait_suspend_thread", LOCK),
    MANAGED("MDL_wait::timed_wait", LOCK),

    /* Sleeps that are a select() without descriptors. */
    OVER_READY("pysleep", SLEEP), OVER_READY("time_sleep", SLEEP), OVER_READY("apr_sleep", SLEEP)};

/* The index: open addressing over a hash of space and name -------------------------------- */

#define N_SLOTS 2048u /* A power of two, twice WAIT_RULES_MAX at least. */

_Static_assert(N_OF(rules) <= WAIT_RULES_MAX, "more rules than the index is made for");
_Static_assert(N_SLOTS >= 2 * WAIT_RULES_MAX, "the index would be slow");

static uint16_t slots[N_SLOTS]; /* 1 + index into rules; 0: none */
static const struct wait_rule *prefixes[64];
static size_t n_prefixes;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static uint32_t hash_of(unsigned int space, const char *name)
{
    uint32_t hash = 2166136261u ^ space; /* FNV-1a */
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return hash;
}

static void build_index(void)
{
    for (size_t i = 0; i < N_OF(rules); i++) {
        if (rules[i].is_prefix) {
            if (n_prefixes < N_OF(prefixes)) {
                prefixes[n_prefixes++] = &rules[i];
            }
            continue;
        }
        uint32_t slot = hash_of(rules[i].space, rules[i].name) & (N_SLOTS - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (N_SLOTS - 1);
        }
        slots[slot] = (uint16_t)(i + 1);
    }
}

static const struct wait_rule *find(enum wait_space space, const char *name)
{
    (void)pthread_once(&index_once, build_index);
    uint32_t slot = hash_of(space, name) & (N_SLOTS - 1);
    for (; slots[slot] != 0; slot = (slot + 1) & (N_SLOTS - 1)) {
        const struct wait_rule *rule = &rules[slots[slot] - 1];
        if (rule->space == space && strcmp(rule->name, name) == 0) {
            return rule;
        }
    }
    return NULL;
}

const struct wait_rule *wait_rule_of_kernel(const struct wait_name *name)
{
    const struct wait_rule *rule = find(WAIT_SPACE_KERNEL, name->text);
    for (size_t i = 0; rule == NULL && i < n_prefixes; i++) {
        if (strncmp(name->text, prefixes[i]->name, strlen(prefixes[i]->name)) == 0) {
            rule = prefixes[i];
        }
    }
    return rule;
}

const struct wait_rule *wait_rule_of_call(const struct wait_name *call)
{
    return find(WAIT_SPACE_CALL, call->text);
}

const struct wait_rule *wait_rule_of_user(const struct wait_name *name)
{
    const struct wait_rule *rule = find(WAIT_SPACE_USER, name->text);
    for (size_t n_components = 3; rule == NULL && n_components >= 2; n_components--) {
        const char *tail = wait_name_tail(name, n_components);
        if (tail != NULL) {
            rule = find(WAIT_SPACE_USER, tail);
        }
    }
    return rule;
}

const struct wait_rule *wait_rules_all(size_t *ret_n_rules)
{
    *ret_n_rules = N_OF(rules);
    return rules;
}
