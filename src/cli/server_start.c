/* SPDX-License-Identifier: MIT */
#include "cli/server_start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/path_search.h"
#include "cli/server_options.h"

#define SERVER_NAME "stax-server"
#define PATIENCE_NS (5 * NS_PER_S)
#define LOG_TAIL_BYTES 4096u
#define RETRY_NS (2 * NS_PER_MS)
#define DEAD_PATIENCE_NS (300 * NS_PER_MS) /* for the one that won the race for the socket */

/* Where the server's messages go, and where those of this start begin. */
struct log_place {
    char path[PATH_MAX];
    off_t start;
};

/* The server that belongs to this stax, else the one that PATH has; free() it. */
static int find_server(char **ret_path, struct error *reterr_error)
{
    char own[PATH_MAX];
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    size_t n_folder = slash ? (size_t)(slash + 1 - own) : 0;
    if (n_folder > 0 && n_folder + sizeof(SERVER_NAME) <= sizeof(own)) {
        memcpy(own + n_folder, SERVER_NAME, sizeof(SERVER_NAME));
        if (path_search(own, path, sizeof(path)) == 0) {
            *ret_path = strdup(path);
            return *ret_path ? 0 : -ENOMEM;
        }
    }
    if (path_search(SERVER_NAME, path, sizeof(path)) == 0) {
        /* PATH may hold relative folders, and the server leaves this one. */
        *ret_path = realpath(path, NULL);
        return *ret_path ? 0 : -errno;
    }
    error_set(reterr_error, "no_server", "stax-server isn't running, and no %s was found to start",
              SERVER_NAME);
    error_hint(reterr_error, "install it beside stax or in PATH");
    return -ENOENT;
}

/* Makes a folder of one's own; false where it is not (a /tmp folder may be somebody else's). */
static bool make_folder(const char *path)
{
    struct stat status;
    (void)mkdir(path, 0700);
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

static bool make_state_folder(const char *base, const char *below, char *ret_path,
                              size_t path_bytes)
{
    if (!base || base[0] != '/' ||
        (size_t)snprintf(ret_path, path_bytes, "%s%s", base, below) >= path_bytes) {
        return false;
    }
    for (char *slash = strchr(ret_path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(ret_path, 0700);
        *slash = '/';
    }
    return make_folder(ret_path);
}

/* Opens the log and tells its name; /dev/null where there is no place for one. */
static int open_log(char *ret_path, size_t path_bytes)
{
    char folder[PATH_MAX];
    char own[64];
    snprintf(own, sizeof(own), "/tmp/stax-%u", (unsigned)geteuid());
    if (make_state_folder(getenv("XDG_STATE_HOME"), "/stax", folder, sizeof(folder)) ||
        make_state_folder(getenv("HOME"), "/.local/state/stax", folder, sizeof(folder)) ||
        make_state_folder(own, "", folder, sizeof(folder))) {
        int length = snprintf(ret_path, path_bytes, "%s/server.log", folder);
        if (length > 0 && (size_t)length < path_bytes) {
            int fd = open(ret_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
            if (fd >= 0) {
                return fd;
            }
        }
    }
    snprintf(ret_path, path_bytes, "/dev/null");
    return open(ret_path, O_WRONLY | O_CLOEXEC);
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (int signal = 1; signal < NSIG; signal++) {
        (void)sigaction(signal, &action, NULL); /* fails for KILL, STOP and libc's own */
    }
    sigprocmask(SIG_SETMASK, &action.sa_mask, NULL);
}

/*
 * In the server-to-be. Reports its pid and, when exec fails, the errno; both
 * descriptors lie above those that are closed or replaced here.
 */
static _Noreturn void become_server(const char *path, const char *socket_path, int log_fd,
                                    int report_fd)
{
    pid_t pid = getpid();
    (void)fd_write_all(report_fd, &pid, sizeof(pid));
    reset_signals();
    setenv("STAX_SERVER_SOCKET", socket_path, 1);
    int last_fd = STDERR_FILENO + 1;
    (void)dup3(report_fd, last_fd, O_CLOEXEC);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (dup2(null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
        dup2(log_fd, STDERR_FILENO) >= 0) {
        (void)close_range((unsigned)last_fd + 1, ~0u, 0);
        if (chdir("/") == 0) {
            execl(path, SERVER_NAME, (char *)NULL);
        }
    }
    int error = errno;
    (void)fd_write_all(last_fd, &error, sizeof(error));
    _exit(EXIT_FAILURE);
}

struct birth {
    pid_t pid;
    int error; /* of exec; 0: it happened */
};

static int read_birth(int report_fd, struct birth *ret_birth)
{
    int words[2] = {0, 0};
    size_t n_read = 0;
    while (n_read < sizeof(words)) {
        ssize_t n = read(report_fd, (char *)words + n_read, sizeof(words) - n_read);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        n_read += n > 0 ? (size_t)n : 0;
    }
    *ret_birth = (struct birth){.pid = words[0], .error = words[1]};
    return n_read >= sizeof(words[0]) ? 0 : -EAGAIN;
}

/* Forks twice, so that the server is not our child. Takes over the descriptor. */
static int fork_server(const char *path, const char *socket_path, int log_fd, int take_report_fd)
{
    _cleanup_(fd_closep) int report_fd = take_report_fd;
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        setsid();
        if (fork() == 0) {
            int high_log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 10);
            int high_report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, 10);
            become_server(path, socket_path, high_log_fd, high_report_fd);
        }
        _exit(EXIT_SUCCESS);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return 0;
}

static int spawn(const char *path, const char *socket_path, int log_fd, struct birth *ret_birth)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) {
        return -errno;
    }
    _cleanup_(fd_closep) int report_fd = report[0];
    int r = fork_server(path, socket_path, log_fd, report[1]);
    return r < 0 ? r : read_birth(report_fd, ret_birth);
}

/* What the server wrote since its start tells why: its last error, and what it advised. */
static void tell_end(const struct log_place *log, struct error *reterr_error)
{
    static const char error_mark[] = "error: ", hint_mark[] = "hint: ";
    char tail[LOG_TAIL_BYTES + 1];
    const char *why = NULL, *hint = NULL;
    _cleanup_(fd_closep) int fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n_bytes = fd >= 0 ? pread(fd, tail, sizeof(tail) - 1, log->start) : 0;
    tail[n_bytes > 0 ? n_bytes : 0] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(tail, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, error_mark, strlen(error_mark)) == 0) {
            why = line + strlen(error_mark);
            hint = NULL;
        } else if (strncmp(line, hint_mark, strlen(hint_mark)) == 0) {
            hint = line + strlen(hint_mark);
        }
    }
    error_set(reterr_error, "no_server", "stax-server ended right after its start%s%s",
              why ? ": " : "", why ? why : "");
    error_hint(reterr_error, "%s%sits messages are in %s", hint ? hint : "", hint ? "; " : "",
               log->path);
}

static int wait_until_it_answers(const char *socket_path, pid_t pid, const struct log_place *log,
                                 struct rpc_client **ret_client, struct error *reterr_error)
{
    uint64_t deadline_ns = clock_now_ns() + PATIENCE_NS;
    bool has_ended = false;
    for (;;) {
        int r = rpc_client_connect(socket_path, ret_client, reterr_error);
        if (!server_options_is_absent(r)) {
            return r;
        }
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= deadline_ns && has_ended) {
            tell_end(log, reterr_error);
            return -ETIMEDOUT;
        }
        if (now_ns >= deadline_ns) {
            error_set(reterr_error, "no_server", "stax-server was started but does not answer");
            error_hint(reterr_error, "its messages are in %s", log->path);
            return -ETIMEDOUT;
        }
        if (!has_ended && kill(pid, 0) < 0 && errno == ESRCH) {
            has_ended = true;
            deadline_ns = now_ns + DEAD_PATIENCE_NS;
        }
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
}

int server_start(const char *socket_path, struct rpc_client **ret_client,
                 struct error *reterr_error)
{
    _cleanup_(freep) char *path = NULL;
    int r = find_server(&path, reterr_error);
    if (r < 0) {
        return r;
    }
    /* The server lives in "/". */
    char absolute[PATH_MAX];
    char folder[PATH_MAX];
    if (socket_path[0] != '/') {
        if (!getcwd(folder, sizeof(folder)) ||
            (size_t)snprintf(absolute, sizeof(absolute), "%s/%s", folder, socket_path) >=
                sizeof(absolute)) {
            error_set_errno(reterr_error, -ENAMETOOLONG, "making the socket's path absolute");
            return -ENAMETOOLONG;
        }
        socket_path = absolute;
    }
    struct log_place log;
    _cleanup_(fd_closep) int log_fd = open_log(log.path, sizeof(log.path));
    struct stat status;
    log.start = log_fd >= 0 && fstat(log_fd, &status) == 0 ? status.st_size : 0;
    struct birth birth = {0};
    r = spawn(path, socket_path, log_fd, &birth);
    if (r == 0 && birth.error != 0) {
        r = -birth.error;
    }
    if (r < 0) {
        error_set(reterr_error, "no_server", "starting %s: %s", path, strerror(-r));
        return r;
    }
    return wait_until_it_answers(socket_path, birth.pid, &log, ret_client, reterr_error);
}
