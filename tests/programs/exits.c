/* SPDX-License-Identifier: MIT */

/*
 * exits - ends in a known way after writing known things
 *
 *   --stdout TEXT, --stderr TEXT   written as they are, no newline added
 *   --bytes N                      a pattern of N bytes to stdout: byte i is i % 251
 *   --copy                         stdin to stdout, byte by byte the same
 *   --about                        what it inherited: fds, terminal, directory, signal mask
 *   --work-ms N                    CPU before the end
 *   --status N | --signal N        how it ends
 */

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

static void copy_stdin(void)
{
    char buffer[65536];
    size_t n_bytes;

    while ((n_bytes = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        fwrite(buffer, 1, n_bytes, stdout);
    }
}

static void write_pattern(uint64_t n_bytes)
{
    for (uint64_t i = 0; i < n_bytes; i++) {
        putchar((int)(i % 251));
    }
}

/* Descriptors, blocked and ignored signals: what a wrapper leaks into its child. */
static void tell_inheritance(void)
{
    char directory[4096];
    sigset_t blocked;
    DIR *descriptors = opendir("/proc/self/fd");

    printf("{\"program\": \"exits\", \"fds\": [");
    const char *separator = "";
    for (struct dirent *entry; descriptors != NULL && (entry = readdir(descriptors)) != NULL;) {
        if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != dirfd(descriptors)) {
            printf("%s%s", separator, entry->d_name);
            separator = ", ";
        }
    }
    if (descriptors != NULL) {
        closedir(descriptors);
    }
    printf("], \"blocked\": [");
    separator = "";
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < 32; number++) {
        if (sigismember(&blocked, number) == 1) {
            printf("%s%d", separator, number);
            separator = ", ";
        }
    }
    printf("], \"ignored\": [");
    separator = "";
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            printf("%s%d", separator, number);
            separator = ", ";
        }
    }
    printf("], \"cwd\": \"%s\", \"ppid\": %d, \"pgid_is_own\": %s, \"tty\": %s}\n",
           getcwd(directory, sizeof directory) == NULL ? "" : directory, getppid(),
           getpgrp() == getpid() ? "true" : "false", isatty(0) ? "true" : "false");
}

static void die_of(int signal_number)
{
    const struct rlimit no_core = {0, 0};
    struct sigaction action;

    setrlimit(RLIMIT_CORE, &no_core);
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal_number, &action, NULL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"stdout", required_argument, NULL, 'o'},
                                          {"stderr", required_argument, NULL, 'e'},
                                          {"bytes", required_argument, NULL, 'b'},
                                          {"copy", no_argument, NULL, 'c'},
                                          {"about", no_argument, NULL, 'a'},
                                          {"work-ms", required_argument, NULL, 'w'},
                                          {"status", required_argument, NULL, 's'},
                                          {"signal", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    int status = 0, signal_number = 0;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'o') {
            fputs(optarg, stdout);
        } else if (c == 'e') {
            fputs(optarg, stderr);
        } else if (c == 'b') {
            write_pattern(option_count(optarg, "--bytes"));
        } else if (c == 'c') {
            copy_stdin();
        } else if (c == 'a') {
            tell_inheritance();
        } else if (c == 'w') {
            const uint64_t cpu_ns = option_count(optarg, "--work-ms") * NS_PER_MS;
            while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < cpu_ns) {
            }
        } else if (c == 's') {
            status = (int)option_count(optarg, "--status");
        } else if (c == 'k') {
            signal_number = (int)option_count(optarg, "--signal");
        } else {
            option_usage("exits [--stdout TEXT] [--stderr TEXT] [--bytes N] [--copy] [--about] "
                         "[--work-ms N] [--status N | --signal N]");
        }
    }
    fflush(stdout);
    if (signal_number > 0) {
        die_of(signal_number);
    }
    return status;
}
