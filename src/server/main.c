/* SPDX-License-Identifier: MIT */
/*
 * stax-server - records, folds and answers; started by `stax record`, or by hand
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "rpc/socket_path.h"
#include "server/server.h"
#include "symbols/debuginfod.h"

#define EXIT_USAGE 2

static const char help[] =
    "Usage: stax-server [options]\n"
    "\n"
    "Records programs for stax and answers its questions. Usually started by\n"
    "`stax record`; ends with SIGTERM, or when `server.shutdown` asks it to.\n"
    "\n"
    "Options:\n"
    "      --socket PATH    listen here (default: $STAX_SERVER_SOCKET, then\n"
    "                       $XDG_RUNTIME_DIR/stax-server.sock, then\n"
    "                       /tmp/stax-server-$UID.sock)\n"
    "      --log FILE       append the log to FILE instead of stderr\n"
    "      --allow-replay   let run.start play synthetic streams (tests, benches)\n"
    "  -h, --help           show this and exit\n"
    "  -V, --version        show the version and exit\n"
    "\n"
    "Environment: STAX_SERVER_SOCKET, STAX_LOG (error, warn, info, debug, trace;\n"
    "or per module, as in info,capture=debug)\n"
    "\n"
    "Example:\n"
    "  stax-server --socket /tmp/mine.sock &\n"
    "  stax --server /tmp/mine.sock record -- ./program\n";

#define MAPPED_BLOCK_BYTES (8 << 20)
#define KEPT_HEAP_BYTES (32 << 20)

struct options {
    const char *socket_path, *log_path;
    bool allow_replay;
};

enum option_code { OPTION_SOCKET = 256, OPTION_LOG, OPTION_ALLOW_REPLAY };

/* Negative: go on. Else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"socket", required_argument, NULL, OPTION_SOCKET},
        {"log", required_argument, NULL, OPTION_LOG},
        {"allow-replay", no_argument, NULL, OPTION_ALLOW_REPLAY},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int code;
    while ((code = getopt_long(argc, argv, "hV", table, NULL)) != -1) {
        switch (code) {
        case OPTION_SOCKET:
            options->socket_path = optarg;
            break;
        case OPTION_LOG:
            options->log_path = optarg;
            break;
        case OPTION_ALLOW_REPLAY:
            options->allow_replay = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'V':
            puts("stax-server " STAX_VERSION);
            return 0;
        default:
            fputs("try stax-server --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "error: stax-server takes no arguments: %s\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

static int redirect_log(const char *path)
{
    _cleanup_(fd_closep) int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
        int saved = -errno;
        fprintf(stderr, "error: cannot write the log to %s: %s\n", path, strerror(errno));
        return saved;
    }
    return 0;
}

/* Events, rings and connections are descriptors; the usual soft limit is made for select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            log_warn("the limit of open files stays as it is: %s", strerror(errno));
        }
    }
}

static int fail(const struct error *error)
{
    fprintf(stderr, "error: %s\n", error->message);
    if (error->hint[0] != '\0') {
        fprintf(stderr, "hint: %s\n", error->hint);
    }
    return EXIT_FAILURE;
}

/*
 * A run reserves directories of many megabytes of which it touches little.
 * glibc raises its threshold for mapping memory after the first large free(),
 * and from then on hands out heap that must be zeroed, that is touched, and
 * stays: ten megabytes for every short run. A fixed threshold keeps large
 * blocks mappings of their own. Questions about a million samples need blocks of
 * a few megabytes again and again: mapping those anew took half of their time,
 * so that much heap is kept.
 */
static void keep_large_blocks_mapped(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_HEAP_BYTES);
}

int main(int argc, char **argv)
{
    struct options options = {.socket_path = NULL};
    struct error error = {.code = ""};
    char path[ACCESS_PATH_BYTES];
    int status = parse_options(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    if (options.log_path && redirect_log(options.log_path) < 0) {
        return EXIT_FAILURE;
    }
    log_open("stax-server", getenv("STAX_LOG"));
    keep_large_blocks_mapped();
    raise_descriptor_limit();
    setenv("UV_THREADPOOL_SIZE", "4", 1);
    debuginfod_prepare_environment();
    if (rpc_socket_path(options.socket_path, path, sizeof(path), &error) < 0) {
        return fail(&error);
    }
    const struct server_config config = {
        .socket_path = path,
        .allow_replay = options.allow_replay,
    };
    _cleanup_(server_freep) struct server *server = NULL;
    if (server_new(&config, &server, &error) < 0) {
        return fail(&error);
    }
    log_info("listening on %s", path);
    server_run(server);
    log_info("ended");
    return EXIT_SUCCESS;
}
