/* SPDX-License-Identifier: MIT */
#include "wait_kinds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

#define CHILD_STACK_BYTES (UINT64_C(64) << 10)

uint64_t wait_next_ns(uint64_t *state)
{
    const uint64_t random = random_next(state);

    if (random & 1) {
        return 100 * NS_PER_US + (random >> 8) % (200 * NS_PER_US);
    }
    return NS_PER_MS + (random >> 8) % (19 * NS_PER_MS);
}

void wait_sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ns / NS_PER_S),
                            .tv_nsec = (long)(duration_ns % NS_PER_S)};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void wait_again_and_again(struct waiter *waiter, void (*wait)(struct waiter *waiter))
{
    waiter->tid = gettid();
    pthread_setname_np(pthread_self(), waiter->kind->name);
    wait_log_start(&waiter->log);
    while (clock_ns(CLOCK_MONOTONIC) < waiter->end_ns) {
        if (waiter->kind->before != NULL) {
            waiter->kind->before(waiter);
        }
        wait_log_begin(&waiter->log);
        wait(waiter);
        wait_log_end(&waiter->log);
    }
    wait_log_stop(&waiter->log);
    waiter->has_ended = true;
}

/* The functions that stacks are asked for; not static, so that none gets another name. */
void wait_on_mutex(struct waiter *waiter);
void wait_on_condition(struct waiter *waiter);
void wait_on_semaphore(struct waiter *waiter);
void wait_on_join(struct waiter *waiter);
void wait_on_pipe(struct waiter *waiter);
void wait_on_tcp(struct waiter *waiter);
void wait_on_unix(struct waiter *waiter);
void wait_on_epoll(struct waiter *waiter);
void wait_on_timeout(struct waiter *waiter);
void wait_on_sleep(struct waiter *waiter);
void wait_on_child(struct waiter *waiter);
void *thread_mutex(void *waiter);
void *thread_condition(void *waiter);
void *thread_semaphore(void *waiter);
void *thread_join(void *waiter);
void *thread_pipe(void *waiter);
void *thread_tcp(void *waiter);
void *thread_unix(void *waiter);
void *thread_epoll(void *waiter);
void *thread_timeout(void *waiter);
void *thread_sleep(void *waiter);
void *thread_child(void *waiter);
void *thread_read(void *waiter);
void *thread_fsync(void *waiter);
void *thread_page(void *waiter);

#define KEPT __attribute__((noinline))

static bool prepare_nothing(struct waiter *waiter)
{
    (void)waiter;
    return true;
}

/* Two locks: whoever releases one holds the other already, so that the next wait is certain. */

static bool prepare_locks(struct waiter *waiter)
{
    return pthread_mutex_init(&waiter->locks[0], NULL) == 0 &&
           pthread_mutex_init(&waiter->locks[1], NULL) == 0 &&
           pthread_cond_init(&waiter->condition, NULL) == 0 &&
           sem_init(&waiter->semaphore, 0, 0) == 0;
}

static void hold_mutex(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->locks[0]);
    waiter->lock_held = 0;
}

static void release_mutex(struct waiter *waiter)
{
    const unsigned held = waiter->lock_held;

    pthread_mutex_lock(&waiter->locks[!held]);
    waiter->lock_held = !held;
    pthread_mutex_unlock(&waiter->locks[held]);
}

KEPT void wait_on_mutex(struct waiter *waiter)
{
    pthread_mutex_t *lock = &waiter->locks[waiter->lock_to_wait_for];

    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    waiter->lock_to_wait_for = !waiter->lock_to_wait_for;
}

static void release_condition(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->locks[0]);
    waiter->is_given = true;
    pthread_mutex_unlock(&waiter->locks[0]);
    pthread_cond_signal(&waiter->condition);
}

KEPT void wait_on_condition(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->locks[0]);
    while (!waiter->is_given) {
        pthread_cond_wait(&waiter->condition, &waiter->locks[0]);
    }
    waiter->is_given = false;
    pthread_mutex_unlock(&waiter->locks[0]);
}

static void release_semaphore(struct waiter *waiter)
{
    sem_post(&waiter->semaphore);
}

KEPT void wait_on_semaphore(struct waiter *waiter)
{
    while (sem_wait(&waiter->semaphore) != 0 && errno == EINTR) {
    }
}

/* A thread that lives as long as the wait is to last. */

static void *live_for_a_while(void *duration_ns)
{
    pthread_setname_np(pthread_self(), "joined");
    wait_sleep_ns((uint64_t)(uintptr_t)duration_ns);
    return NULL;
}

KEPT void wait_on_join(struct waiter *waiter)
{
    pthread_t thread;
    void *duration_ns = (void *)(uintptr_t)wait_next_ns(&waiter->random);

    if (pthread_create(&thread, NULL, live_for_a_while, duration_ns) == 0) {
        pthread_join(thread, NULL);
    }
}

/* Descriptors of any kind: the partner writes a byte, or a number to an eventfd. */

static bool prepare_pipe(struct waiter *waiter)
{
    return pipe(waiter->fds) == 0;
}

static bool prepare_unix(struct waiter *waiter)
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, waiter->fds) == 0;
}

static bool prepare_tcp(struct waiter *waiter)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_bytes = sizeof address;
    const int yes = 1;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);

    waiter->fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || waiter->fds[1] < 0 ||
        bind(listener, (struct sockaddr *)&address, n_bytes) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &n_bytes) != 0 ||
        connect(waiter->fds[1], (struct sockaddr *)&address, n_bytes) != 0) {
        return false;
    }
    setsockopt(waiter->fds[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    waiter->fds[0] = accept(listener, NULL, NULL);
    close(listener);
    return waiter->fds[0] >= 0;
}

static bool prepare_epoll(struct waiter *waiter)
{
    struct epoll_event event = {.events = EPOLLIN};

    waiter->fds[0] = waiter->fds[1] = eventfd(0, EFD_NONBLOCK);
    waiter->epoll_fd = epoll_create1(0);
    return waiter->fds[0] >= 0 && waiter->epoll_fd >= 0 &&
           epoll_ctl(waiter->epoll_fd, EPOLL_CTL_ADD, waiter->fds[0], &event) == 0;
}

static void must_move(ssize_t n)
{
    if (n <= 0) {
        perror("read or write");
        exit(1);
    }
}

static void release_fd(struct waiter *waiter)
{
    must_move(write(waiter->fds[1], "x", 1));
}

static void release_eventfd(struct waiter *waiter)
{
    const uint64_t one = 1;
    must_move(write(waiter->fds[1], &one, sizeof one));
}

KEPT void wait_on_pipe(struct waiter *waiter)
{
    char byte;
    must_move(read(waiter->fds[0], &byte, 1));
}

KEPT void wait_on_unix(struct waiter *waiter)
{
    char byte;
    must_move(read(waiter->fds[0], &byte, 1));
}

KEPT void wait_on_tcp(struct waiter *waiter)
{
    char byte;
    must_move(recv(waiter->fds[0], &byte, 1, 0));
}

KEPT void wait_on_epoll(struct waiter *waiter)
{
    struct epoll_event event;
    uint64_t n;

    if (epoll_wait(waiter->epoll_fd, &event, 1, -1) == 1) {
        must_move(read(waiter->fds[0], &n, sizeof n));
    }
}

/* Nobody writes to the eventfd: only the time-out ends it. */
KEPT void wait_on_timeout(struct waiter *waiter)
{
    struct epoll_event event;
    const uint64_t duration_ns = wait_next_ns(&waiter->random);
    const struct timespec timeout = {.tv_nsec = (long)duration_ns};

    if (duration_ns < NS_PER_MS) {
        epoll_pwait2(waiter->epoll_fd, &event, 1, &timeout, NULL);
    } else {
        epoll_wait(waiter->epoll_fd, &event, 1, (int)(duration_ns / NS_PER_MS));
    }
}

KEPT void wait_on_sleep(struct waiter *waiter)
{
    wait_sleep_ns(wait_next_ns(&waiter->random));
}

/*
 * The child shares the memory, as one of vfork() does, but its parent goes on. A copy of the memory
 * would have the page faults of all other threads wait for a lock of the kernel.
 */

static bool prepare_child(struct waiter *waiter)
{
    waiter->buffer = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    return waiter->buffer != MAP_FAILED;
}

/* Calls nothing that knows of threads: what it finds of its own is its parent's. */
static int sleep_as_child(void *duration_ns)
{
    const struct timespec duration = {.tv_nsec = (long)(uintptr_t)duration_ns};

    syscall(SYS_nanosleep, &duration, NULL);
    return 0;
}

KEPT void wait_on_child(struct waiter *waiter)
{
    void *duration_ns = (void *)(uintptr_t)wait_next_ns(&waiter->random);
    const pid_t pid =
        clone(sleep_as_child, waiter->buffer + CHILD_STACK_BYTES, CLONE_VM | SIGCHLD, duration_ns);

    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

KEPT void *thread_mutex(void *waiter)
{
    wait_again_and_again(waiter, wait_on_mutex);
    return NULL;
}

KEPT void *thread_condition(void *waiter)
{
    wait_again_and_again(waiter, wait_on_condition);
    return NULL;
}

KEPT void *thread_semaphore(void *waiter)
{
    wait_again_and_again(waiter, wait_on_semaphore);
    return NULL;
}

KEPT void *thread_join(void *waiter)
{
    wait_again_and_again(waiter, wait_on_join);
    return NULL;
}

KEPT void *thread_pipe(void *waiter)
{
    wait_again_and_again(waiter, wait_on_pipe);
    return NULL;
}

KEPT void *thread_tcp(void *waiter)
{
    wait_again_and_again(waiter, wait_on_tcp);
    return NULL;
}

KEPT void *thread_unix(void *waiter)
{
    wait_again_and_again(waiter, wait_on_unix);
    return NULL;
}

KEPT void *thread_epoll(void *waiter)
{
    wait_again_and_again(waiter, wait_on_epoll);
    return NULL;
}

KEPT void *thread_timeout(void *waiter)
{
    wait_again_and_again(waiter, wait_on_timeout);
    return NULL;
}

KEPT void *thread_sleep(void *waiter)
{
    wait_again_and_again(waiter, wait_on_sleep);
    return NULL;
}

KEPT void *thread_child(void *waiter)
{
    wait_again_and_again(waiter, wait_on_child);
    return NULL;
}

KEPT void *thread_read(void *waiter)
{
    wait_again_and_again(waiter, wait_on_read);
    return NULL;
}

KEPT void *thread_fsync(void *waiter)
{
    wait_again_and_again(waiter, wait_on_fsync);
    return NULL;
}

KEPT void *thread_page(void *waiter)
{
    wait_again_and_again(waiter, wait_on_page);
    return NULL;
}

#define KIND(kind)                                                                                 \
    .name = #kind, .wait_function = "wait_on_" #kind, .thread_function = "thread_" #kind,          \
    .thread = thread_##kind

const struct wait_kind wait_kinds[] = {
    {KIND(mutex), .reason = "lock", .prepare = prepare_locks, .hold = hold_mutex,
     .release = release_mutex},
    {KIND(condition), .reason = "idle", .prepare = prepare_locks, .release = release_condition},
    {KIND(semaphore), .reason = "sem", .prepare = prepare_locks, .release = release_semaphore},
    {KIND(join), .reason = "idle", .prepare = prepare_nothing},
    {KIND(pipe), .reason = "ipc", .prepare = prepare_pipe, .release = release_fd},
    {KIND(tcp), .reason = "ioR", .prepare = prepare_tcp, .release = release_fd},
    {KIND(unix), .reason = "ipc", .prepare = prepare_unix, .release = release_fd},
    {KIND(epoll), .reason = "ready", .prepare = prepare_epoll, .release = release_eventfd},
    {KIND(timeout), .reason = "ready", .prepare = prepare_epoll},
    {KIND(sleep), .reason = "sleep", .prepare = prepare_nothing},
    {KIND(child), .reason = "idle", .prepare = prepare_child},
    {KIND(read), .reason = "ioR", .prepare = prepare_read, .before = before_read},
    {KIND(fsync), .reason = "ioW", .prepare = prepare_fsync, .before = before_fsync},
    {KIND(page), .reason = "ioR", .prepare = prepare_page, .before = before_page},
};
const size_t n_wait_kinds = sizeof wait_kinds / sizeof wait_kinds[0];
