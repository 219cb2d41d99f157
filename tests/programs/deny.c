/* SPDX-License-Identifier: MIT */

/*
 * deny - runs a command that some system calls are refused to, as in a container
 *
 * usage: deny NAME=ERRNO,… -- COMMAND…   with NAME one of the calls below and
 * ERRNO EPERM or ENOSYS. What the command starts inherits it.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 8

static const struct {
    const char *name;
    int number;
} calls[] = {
    {"bpf", SYS_bpf},
    {"perf_event_open", SYS_perf_event_open},
    {"process_vm_readv", SYS_process_vm_readv},
    {"pidfd_open", SYS_pidfd_open},
};

static int number_of(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        if (strlen(calls[i].name) == n_bytes && memcmp(calls[i].name, name, n_bytes) == 0) {
            return calls[i].number;
        }
    }
    fprintf(stderr, "deny: no such call: %.*s\n", (int)n_bytes, name);
    exit(2);
}

/* Four instructions at most: load the number, and for each call compare and refuse. */
static size_t make_filter(const char *list, struct sock_filter *filter)
{
    size_t n = 0;
    filter[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    while (*list != '\0' && n < 2 * CALLS_MAX) {
        const size_t n_name = strcspn(list, "=");
        const char *error = list + n_name + (list[n_name] == '=');
        const size_t n_error = strcspn(error, ",");
        const unsigned int code = strncmp(error, "ENOSYS", n_error) == 0 ? ENOSYS : EPERM;
        const unsigned int number = (unsigned int)number_of(list, n_name);

        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code);
        list = error + n_error + (error[n_error] == ',');
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return n;
}

int main(int argc, char **argv)
{
    struct sock_filter filter[2 * CALLS_MAX + 2];

    if (argc < 4 || strcmp(argv[2], "--") != 0) {
        fprintf(stderr, "usage: deny NAME=ERRNO,... -- COMMAND...\n");
        return 2;
    }
    struct sock_fprog program = {.len = (unsigned short)make_filter(argv[1], filter),
                                 .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("deny");
        return 1;
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
