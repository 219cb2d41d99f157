/* SPDX-License-Identifier: MIT */
#include "reasons/wait_object.h"

#include <stddef.h>
#include <sys/syscall.h>

struct wait_call {
    uint32_t nr;
    enum wait_object_kind object;
    const char *name;
};

#define FD(n)                                                                                      \
    {                                                                                              \
        SYS_##n, WAIT_OBJECT_FD, #n                                                                \
    }
#define PLAIN(n)                                                                                   \
    {                                                                                              \
        SYS_##n, WAIT_OBJECT_NONE, #n                                                              \
    }

static const struct wait_call calls[] = {
    /* Descriptors: files, pipes, sockets. */
    FD(read),
    FD(write),
    FD(readv),
    FD(writev),
    FD(pread64),
    FD(pwrite64),
    FD(preadv),
    FD(pwritev),
    FD(preadv2),
    FD(pwritev2),
    FD(recvfrom),
    FD(recvmsg),
    FD(recvmmsg),
    FD(sendto),
    FD(sendmsg),
    FD(sendmmsg),
    FD(sendfile),
    FD(splice),
    FD(tee),
    FD(vmsplice),
    FD(copy_file_range),
    FD(accept),
    FD(accept4),
    FD(connect),
    FD(close),
    FD(shutdown),
    FD(fsync),
    FD(fdatasync),
    FD(syncfs),
    FD(sync_file_range),
    FD(ftruncate),
    FD(fallocate),
    FD(flock),
    FD(fcntl),
    FD(ioctl),
    FD(lseek),
    FD(getdents64),
    FD(fstat),
    FD(fstatfs),
    FD(fchmod),
    FD(fchown),
    FD(fgetxattr),
    FD(fsetxattr),
    FD(flistxattr),
    FD(fremovexattr),
    FD(fchdir),
    FD(fadvise64),
    FD(readahead),
    FD(epoll_pwait),
    FD(epoll_pwait2),
    FD(io_uring_enter),
    FD(mq_timedsend),
    FD(mq_timedreceive),
    FD(finit_module),
    FD(process_mrelease),

    /* Threads and processes. */
    {SYS_futex, WAIT_OBJECT_FUTEX, "futex"},
    {455, WAIT_OBJECT_FUTEX, "futex_wait"}, /* Of Linux 6.7, the same number everywhere. */
    {SYS_wait4, WAIT_OBJECT_PID, "wait4"},
    PLAIN(futex_waitv),
    PLAIN(waitid),
    PLAIN(ptrace),
    PLAIN(clone),
    PLAIN(clone3),
    PLAIN(execve),
    PLAIN(execveat),
    PLAIN(exit),
    PLAIN(exit_group),
    PLAIN(rt_sigtimedwait),
    PLAIN(rt_sigsuspend),
    PLAIN(restart_syscall),
    PLAIN(unshare),

    /* Several descriptors, time, queues of System V, whose first argument is an id. */
    PLAIN(ppoll),
    PLAIN(pselect6),
    PLAIN(io_getevents),
    PLAIN(io_pgetevents),
    PLAIN(io_submit),
    PLAIN(io_destroy),
    PLAIN(nanosleep),
    PLAIN(clock_nanosleep),
    PLAIN(msgrcv),
    PLAIN(msgsnd),
    PLAIN(semop),
    PLAIN(semtimedop),

    /* Names of files, of which the first argument is text or the folder that it starts in. */
    PLAIN(openat),
    PLAIN(openat2),
    PLAIN(name_to_handle_at),
    PLAIN(open_by_handle_at),
    PLAIN(statx),
    PLAIN(newfstatat),
    PLAIN(statfs),
    PLAIN(faccessat),
    PLAIN(faccessat2),
    PLAIN(readlinkat),
    PLAIN(mkdirat),
    PLAIN(mknodat),
    PLAIN(unlinkat),
    PLAIN(renameat),
    PLAIN(renameat2),
    PLAIN(linkat),
    PLAIN(symlinkat),
    PLAIN(fchmodat),
    PLAIN(fchownat),
    PLAIN(utimensat),
    PLAIN(truncate),
    PLAIN(chdir),
    PLAIN(chroot),
    PLAIN(getxattr),
    PLAIN(lgetxattr),
    PLAIN(setxattr),
    PLAIN(lsetxattr),
    PLAIN(listxattr),
    PLAIN(llistxattr),
    PLAIN(removexattr),
    PLAIN(mount),
    PLAIN(umount2),
    PLAIN(pivot_root),
    PLAIN(swapon),
    PLAIN(swapoff),
    PLAIN(sync),
    PLAIN(acct),
    PLAIN(quotactl),

    /* Memory, and what the kernel does itself. */
    PLAIN(mmap),
    PLAIN(munmap),
    PLAIN(mremap),
    PLAIN(mprotect),
    PLAIN(madvise),
    PLAIN(process_madvise),
    PLAIN(brk),
    PLAIN(msync),
    PLAIN(mlock),
    PLAIN(mlock2),
    PLAIN(mlockall),
    PLAIN(munlock),
    PLAIN(mbind),
    PLAIN(migrate_pages),
    PLAIN(move_pages),
    PLAIN(process_vm_readv),
    PLAIN(process_vm_writev),
    PLAIN(remap_file_pages),
    PLAIN(memfd_create),
    PLAIN(getrandom),
    PLAIN(membarrier),
    PLAIN(bpf),
    PLAIN(perf_event_open),
    PLAIN(userfaultfd),
    PLAIN(seccomp),
    PLAIN(prctl),
    PLAIN(setns),
    PLAIN(syslog),
    PLAIN(reboot),
    PLAIN(init_module),
    PLAIN(delete_module),
    PLAIN(keyctl),
    PLAIN(add_key),
    PLAIN(request_key),
    PLAIN(socket),
    PLAIN(bind),
    PLAIN(inotify_add_watch),
    PLAIN(fanotify_mark),

#ifdef SYS_open
    /* Calls that architectures younger than x86-64 were made without. */
    FD(epoll_wait),
    FD(getdents),
    PLAIN(open),
    PLAIN(creat),
    PLAIN(poll),
    PLAIN(select),
    PLAIN(pause),
    PLAIN(fork),
    PLAIN(vfork),
    PLAIN(stat),
    PLAIN(lstat),
    PLAIN(access),
    PLAIN(readlink),
    PLAIN(mkdir),
    PLAIN(rmdir),
    PLAIN(mknod),
    PLAIN(unlink),
    PLAIN(rename),
    PLAIN(link),
    PLAIN(symlink),
    PLAIN(chmod),
    PLAIN(chown),
    PLAIN(lchown),
    PLAIN(utime),
    PLAIN(utimes),
    PLAIN(futimesat),
#endif
};

static const struct wait_call *find(uint32_t nr)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].nr == nr) {
            return &calls[i];
        }
    }
    return NULL;
}

enum wait_object_kind wait_object_of_syscall(uint32_t nr)
{
    const struct wait_call *call = find(nr);
    return call == NULL ? WAIT_OBJECT_NONE : call->object;
}

const char *wait_syscall_name(uint32_t nr)
{
    const struct wait_call *call = find(nr);
    return call == NULL ? NULL : call->name;
}
