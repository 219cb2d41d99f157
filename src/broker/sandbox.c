/* SPDX-License-Identifier: MIT */
#include "broker/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_BIT(number) (UINT64_C(1) << (number))
/* Events and programs; names of the kernel; the caller's eyes. */
#define NEEDED (CAP_BIT(CAP_PERFMON) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID))
#define KEPT (NEEDED | CAP_BIT(CAP_BPF) | CAP_BIT(CAP_SYSLOG))

static uint64_t permitted;

static int set_capabilities(uint64_t effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)},
    };
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int sandbox_enter(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0) {
        return -errno;
    }
    permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & KEPT;
    if ((permitted & NEEDED) != NEEDED) {
        return -EPERM;
    }
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
        /* Refused where a service manager has done so already. */
        (void)prctl(PR_CAPBSET_DROP, capability);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0) {
        return -errno;
    }
    return set_capabilities(permitted);
}

bool sandbox_become(uid_t uid, gid_t gid)
{
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    /* They tell what was; an id that cannot be tells what is. */
    if ((uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid &&
        set_capabilities(0) == 0) {
        return true;
    }
    sandbox_return();
    return false;
}

void sandbox_return(void)
{
    if (set_capabilities(permitted) < 0) {
        abort();
    }
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
}
