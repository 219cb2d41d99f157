/* SPDX-License-Identifier: MIT */
#include "broker_wire/fd_pass.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define CONTROL_BYTES CMSG_SPACE(sizeof(int))

int fd_pass_send(int socket_fd, const void *data, size_t n_bytes, int fd, bool is_waiting)
{
    alignas(struct cmsghdr) char control[CONTROL_BYTES] = {0};
    struct iovec part = {.iov_base = (void *)data, .iov_len = n_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    int flags = MSG_NOSIGNAL | (is_waiting ? 0 : MSG_DONTWAIT);
    return TEMP_FAILURE_RETRY(sendmsg(socket_fd, &message, flags)) < 0 ? -errno : 0;
}

ssize_t fd_pass_receive(int socket_fd, void *data, size_t max_bytes, int *ret_fd, bool is_waiting)
{
    /* On 64-bit hosts there is room for two, since the size is rounded up; more do not arrive. */
    alignas(struct cmsghdr) char control[CONTROL_BYTES];
    struct iovec part = {.iov_base = data, .iov_len = max_bytes};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    _cleanup_(fd_closep) int kept_fd = -1;
    int flags = MSG_CMSG_CLOEXEC | (is_waiting ? 0 : MSG_DONTWAIT);
    *ret_fd = -1;
    ssize_t n_bytes = TEMP_FAILURE_RETRY(recvmsg(socket_fd, &message, flags));
    if (n_bytes < 0) {
        return -errno;
    }
    bool is_too_much = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    bool is_rights = header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS;
    size_t n_fds = is_rights ? (header->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    for (size_t i = 0; i < n_fds; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
        fd_close(kept_fd);
        kept_fd = fd;
    }
    if (is_too_much || n_fds > 1) {
        return -EMSGSIZE;
    }
    *ret_fd = TAKE_FD(kept_fd);
    return n_bytes;
}
