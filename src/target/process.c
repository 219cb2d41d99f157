/* SPDX-License-Identifier: MIT */

#include "target/process.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/link.h"

static const uint32_t never;
const uint32_t *stax_gate = &never;

struct target_process target_process;
__thread uint32_t target_own_tid __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct target_quiet forking; /* behind the lock */
static struct target_file memory_file;

uint32_t target_own_tid_ask(void)
{
    target_own_tid = (uint32_t)syscall(SYS_gettid);
    return target_own_tid;
}

int target_file_note(int fd, struct target_file *ret_file)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    ret_file->device = status.st_dev;
    ret_file->inode = status.st_ino;
    return 0;
}

bool target_file_is(int fd, const struct target_file *file)
{
    struct target_file now = {0};

    return fd >= 0 && target_file_note(fd, &now) == 0 && now.device == file->device &&
           now.inode == file->inode;
}

static void keep_quiet(struct target_quiet *ret_quiet)
{
    sigset_t all;

    ret_quiet->caller_errno = errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &ret_quiet->signals);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ret_quiet->cancel_state);
}

static void end_quiet(const struct target_quiet *quiet)
{
    pthread_setcancelstate(quiet->cancel_state, NULL);
    pthread_sigmask(SIG_SETMASK, &quiet->signals, NULL);
    errno = quiet->caller_errno;
}

/* Memory of its own for a child: the other is its parent's. */
static void begin_anew(void)
{
    struct target_process *process = &target_process;
    int old_fd = target_file_is(process->fd, &memory_file) ? process->fd : -1;

    process->fd = -1;
    if (target_ring_memory_renew(process->memory, &process->tables.extent, false, &process->fd) <
        0) {
        /* Nothing may be written into the parent's: all is forgotten, ids mean nothing. */
        __atomic_store_n(&stax_gate, &never, __ATOMIC_RELEASE);
        process->memory = NULL;
        process->is_lost = true;
        memset(&process->tables, 0, sizeof(process->tables));
    }
    if (process->fd >= 0) {
        target_file_note(process->fd, &memory_file);
    }
    if (old_fd >= 0) {
        close(old_fd);
    }
    process->pid = (uint32_t)getpid();
    process->n_sent_told = 0;
    process->n_skipped_told = 0;
    target_own_tid = 0;
    __atomic_store_n(process->mark, TARGET_MARK_SET, __ATOMIC_RELEASE);
    if (target_link_forked() && process->memory) {
        __atomic_store_n(&target_ring_control(process->memory)->active, TARGET_GATE_ASKS,
                         __ATOMIC_RELEASE);
    }
}

/* True where this is a child that no handler has run for. Its lock may be held by a thread that it
 * has not got. */
static bool is_wiped(void)
{
    return __atomic_load_n(&target_process.memory, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(target_process.mark, __ATOMIC_ACQUIRE) != TARGET_MARK_SET;
}

static void take_lock(struct target_quiet *ret_quiet)
{
    keep_quiet(ret_quiet);
    while (is_wiped()) {
        uint32_t wiped = TARGET_MARK_WIPED;
        if (__atomic_compare_exchange_n(target_process.mark, &wiped, TARGET_MARK_BEING_SET, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
            pthread_mutex_lock(&lock);
            begin_anew();
            return;
        }
        usleep(100); /* another thread of the child is at it */
    }
    pthread_mutex_lock(&lock);
}

static void before_fork(void)
{
    struct target_quiet quiet;

    take_lock(&quiet);
    forking = quiet;
}

static void after_fork(void)
{
    struct target_quiet quiet = forking;

    quiet.caller_errno = errno; /* what fork() says: not every libc puts it back */
    pthread_mutex_unlock(&lock);
    end_quiet(&quiet);
}

static void after_fork_in_child(void)
{
    /* Whatever became of a mark that was never made. */
    if (target_process.memory) {
        begin_anew();
    }
    after_fork();
}

/*
 * Before the program can fork, and before it registers handlers of its own:
 * those of the parent run newest first, so ours come last and wait for nobody
 * who has locked the program's. Without them a child is told by its mark alone,
 * which is enough to keep off.
 */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* Locked. */
static int make(void)
{
    struct target_process *process = &target_process;
    void *memory;

    if (!process->mark) {
        long page_bytes = sysconf(_SC_PAGESIZE);
        void *page = mmap(NULL, (size_t)page_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return -ENOMEM;
        }
        madvise(page, (size_t)page_bytes, MADV_WIPEONFORK);
        process->mark = page;
    }
    int r = target_ring_memory_new(&memory, &process->fd);
    if (r < 0) {
        return r;
    }
    if (process->fd >= 0) {
        target_file_note(process->fd, &memory_file);
    }
    process->pid = (uint32_t)getpid();
    target_ring_tables_init(&process->tables, memory);
    __atomic_store_n(process->mark, TARGET_MARK_SET, __ATOMIC_RELEASE);
    __atomic_store_n(&process->memory, memory, __ATOMIC_RELEASE);
    __atomic_store_n(&stax_gate, &target_ring_control(memory)->active, __ATOMIC_RELEASE);
    return 0;
}

int target_process_lock(struct target_quiet *ret_quiet)
{
    take_lock(ret_quiet);
    if (target_process.is_lost) {
        return -ENOMEM;
    }
    return target_process.memory ? 0 : make();
}

void target_process_unlock(const struct target_quiet *quiet)
{
    struct target_quiet own = *quiet;

    pthread_mutex_unlock(&lock);
    end_quiet(&own);
}

void target_process_asked(void)
{
    struct target_quiet quiet;

    /* A child that no handler ran for sees its parent's gate. */
    if (__atomic_load_n(target_process.mark, __ATOMIC_RELAXED) != TARGET_MARK_SET) {
        return;
    }
    if (target_process_lock(&quiet) == 0) {
        target_link_start();
    }
    target_process_unlock(&quiet);
}

int target_process_ensure_fd(void)
{
    struct target_process *process = &target_process;
    int fd;

    if (!process->memory) {
        return -ENOMEM;
    }
    if (target_file_is(process->fd, &memory_file)) {
        return 0;
    }
    /* A number that is another file's is the program's to close. */
    process->fd = -1;
    int r = target_ring_memory_renew(process->memory, &process->tables.extent, true, &fd);
    if (r < 0) {
        return r;
    }
    process->fd = fd;
    return fd < 0 ? -EMFILE : target_file_note(fd, &memory_file);
}

void target_process_count(size_t offset_in_state, uint64_t n)
{
    void *memory = __atomic_load_n(&target_process.memory, __ATOMIC_ACQUIRE);

    if (memory && __atomic_load_n(target_process.mark, __ATOMIC_RELAXED) == TARGET_MARK_SET) {
        uint8_t *state = (uint8_t *)target_ring_state(memory);
        __atomic_fetch_add((uint64_t *)(void *)(state + offset_in_state), n, __ATOMIC_RELAXED);
    }
}
