/* SPDX-License-Identifier: MIT */

#include "target/link.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/hello.h"
#include "target/process.h"
#include "target/server_path.h"
#include "target/socket_watch.h"

#define FIRST_TRY_MS 20
#define RETRY_MS 1000
#define REFUSED_RETRY_MS 30000
/* Without a server for so long: from then on it is worth a watch that tells when one comes. */
#define PATIENT_MS 2000
/* A socket is bound a moment before anybody listens on it. */
#define SOON_MS 5
#define N_SOON 10
/* After a connection that has ended: a server that ends each at once is not asked all the time. */
#define AGAIN_MS 100
#define THREAD_NICE 10
#define STACK_BYTES (256 << 10)

static struct {
    bool has_path, wants_thread, has_thread, is_child;
    uint32_t was_tried; /* a futex */
    int fd;             /* the connection; -1: none */
    struct target_file file;
    enum stax_target_state state;
    char path[TARGET_PATH_BYTES];
    struct socket_watch watch;
} self = {.fd = -1, .watch = {.fd = -1}};

static void set_state(enum stax_target_state state)
{
    __atomic_store_n(&self.state, state, __ATOMIC_RELAXED);
}

enum stax_target_state target_link_state(void)
{
    enum stax_target_state state = __atomic_load_n(&self.state, __ATOMIC_RELAXED);

    return state == STAX_TARGET_CONNECTED && target_is_recorded() ? STAX_TARGET_RECORDED : state;
}

/* Locked. The number may be another file's by now, if the program closes all that it does not know.
 */
static void let_go(void)
{
    int fd = self.fd;

    self.fd = -1;
    if (target_file_is(fd, &self.file)) {
        close(fd);
    }
}

static void let_go_locking(void)
{
    struct target_quiet quiet;

    target_process_lock(&quiet);
    let_go();
    target_process_unlock(&quiet);
}

/* Behind the lock, so that no fork() comes in between and leaves the socket in a child. */
static int open_socket(void)
{
    struct target_quiet quiet;
    int r = target_process_lock(&quiet);

    if (r == 0) {
        r = target_hello_open(&self.fd);
    }
    if (r == 0) {
        r = target_file_note(self.fd, &self.file);
    }
    target_process_unlock(&quiet);
    return r;
}

/* Behind the lock for the same reason. */
static void arm_watch(void)
{
    struct target_quiet quiet;

    target_process_lock(&quiet);
    socket_watch_arm(&self.watch);
    target_process_unlock(&quiet);
}

static int ensure_memory(int *ret_memory_fd)
{
    struct target_quiet quiet;
    int r = target_process_lock(&quiet);

    if (r == 0) {
        r = target_process_ensure_fd();
    }
    *ret_memory_fd = target_process.fd;
    target_process_unlock(&quiet);
    return r;
}

/* *ret_is_hopeless: it will be the same next time. */
static int connect_once(bool *ret_is_hopeless)
{
    int memory_fd;
    int r = open_socket();

    *ret_is_hopeless = false;
    if (r == 0) {
        r = target_hello_connect(self.fd, self.path);
        *ret_is_hopeless = r == -EPERM;
    }
    /* There is somebody to hand it to: only then it is worth making. */
    if (r == 0) {
        r = ensure_memory(&memory_fd);
        *ret_is_hopeless = r < 0;
    }
    if (r == 0) {
        r = target_hello_say(self.fd, memory_fd);
        *ret_is_hopeless = r == -EPROTO;
    }
    if (r < 0) {
        let_go_locking();
    }
    return r;
}

/* Until the connection ends. The server has nothing to say. */
static void stay(void)
{
    for (;;) {
        struct pollfd wait = {.fd = self.fd, .events = POLLIN};
        char ignored[256];

        poll(&wait, 1, -1);
        if (!target_file_is(self.fd, &self.file)) {
            return;
        }
        ssize_t n_read = recv(self.fd, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (n_read == 0 || (n_read < 0 && errno != EAGAIN && errno != EINTR)) {
            return;
        }
    }
}

static void end_connection(void)
{
    __atomic_store_n(&target_ring_control(target_process.memory)->active, 0, __ATOMIC_RELEASE);
    set_state(STAX_TARGET_NO_SERVER);
    let_go_locking();
}

static void tell_tried(void)
{
    if (__atomic_exchange_n(&self.was_tried, 1, __ATOMIC_RELEASE) == 0) {
        syscall(SYS_futex, &self.was_tried, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        setpriority(PRIO_PROCESS, (id_t)target_tid(), THREAD_NICE);
    }
}

/* What comes of looking for a server, since the process began or has lost the last one. */
struct search {
    uint64_t start_ns;
    size_t n_tries;
    int n_soon;
    bool is_long;
};

static int retry_after_ms(struct search *search, int r, bool is_hopeless)
{
    static const int first_ms[] = {5, 20, 100, 300, RETRY_MS};
    size_t n_tries = search->n_tries++;

    if (is_hopeless) {
        /* Not before there is a watch: another server is found at once then. */
        return search->is_long || self.is_child ? REFUSED_RETRY_MS : PATIENT_MS;
    }
    if ((r == -ECONNREFUSED || r == -EAGAIN) && search->n_soon < N_SOON) {
        search->n_soon++;
        return SOON_MS;
    }
    search->n_soon = 0;
    return n_tries < sizeof(first_ms) / sizeof(*first_ms) ? first_ms[n_tries] : RETRY_MS;
}

static void *look_for_server(void *unused)
{
    struct search search = {.start_ns = stax_now_ns()};
    bool is_hopeless;

    (void)unused;
    for (;;) {
        search.is_long = stax_now_ns() - search.start_ns >= PATIENT_MS * UINT64_C(1000000);
        if (search.is_long && !self.is_child) {
            arm_watch();
        }
        int r = connect_once(&is_hopeless);
        if (r == 0) {
            set_state(STAX_TARGET_CONNECTED);
            tell_tried();
            socket_watch_release(&self.watch);
            stay();
            end_connection();
            socket_watch_wait(&self.watch, AGAIN_MS);
            search = (struct search){.start_ns = stax_now_ns()};
            continue;
        }
        bool is_refused = r == -EPROTO || r == -EPERM;
        set_state(is_refused ? STAX_TARGET_REFUSED : STAX_TARGET_NO_SERVER);
        tell_tried();
        socket_watch_wait(&self.watch, retry_after_ms(&search, r, is_hopeless));
    }
    return NULL;
}

/* All signals are blocked here, and so in the thread. */
static bool start_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int r = pthread_create(&thread, &attributes, look_for_server, NULL);
    if (r == EINVAL) {
        /* The program's thread-local variables need more. */
        pthread_attr_destroy(&attributes);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        r = pthread_create(&thread, &attributes, look_for_server, NULL);
    }
    pthread_attr_destroy(&attributes);
    if (r != 0) {
        return false;
    }
    pthread_setname_np(thread, "stax-target");
    return true;
}

/* Of the loader, if there is one: not in a program that is linked statically. */
#pragma weak dlopen
#pragma weak dladdr1

void target_link_pin_code(void)
{
    static bool is_pinned;
    struct link_map *object = NULL;
    Dl_info unused;

    if (__atomic_load_n(&is_pinned, __ATOMIC_ACQUIRE) || !dlopen || !dladdr1) {
        return;
    }
    /* The program itself has no name there, and stays. */
    if (dladdr1((const void *)&self, &unused, (void **)&object, RTLD_DL_LINKMAP) && object &&
        object->l_name[0]) {
        dlopen(object->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
    __atomic_store_n(&is_pinned, true, __ATOMIC_RELEASE);
}

/* A child begins with its gate asking for this. */
static void stop_asking(void)
{
    uint32_t asks = TARGET_GATE_ASKS;

    __atomic_compare_exchange_n(&target_ring_control(target_process.memory)->active, &asks, 0,
                                false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool target_link_start(void)
{
    stop_asking();
    if (!self.has_path) {
        if (target_server_path(self.path) < 0) {
            set_state(STAX_TARGET_NO_SERVER);
            return false;
        }
        socket_watch_init(&self.watch, self.path);
        self.has_path = true;
    }
    if (self.has_thread) {
        return false;
    }
    self.wants_thread = true;
    set_state(STAX_TARGET_NO_SERVER);
    self.has_thread = start_thread();
    return self.has_thread && access(self.path, F_OK) == 0;
}

void target_link_wait_first(void)
{
    uint64_t deadline_ns = stax_now_ns() + FIRST_TRY_MS * UINT64_C(1000000);

    while (!__atomic_load_n(&self.was_tried, __ATOMIC_ACQUIRE)) {
        uint64_t now_ns = stax_now_ns();
        if (now_ns >= deadline_ns) {
            return;
        }
        struct timespec left = {.tv_nsec = (long)(deadline_ns - now_ns)};
        syscall(SYS_futex, &self.was_tried, FUTEX_WAIT_PRIVATE, 0, &left, NULL, 0);
    }
}

bool target_link_forked(void)
{
    let_go();
    socket_watch_release(&self.watch);
    self.was_tried = 0;
    self.has_thread = false;
    self.is_child = true;
    if (self.wants_thread) {
        set_state(STAX_TARGET_NO_SERVER);
    }
    return self.wants_thread;
}
