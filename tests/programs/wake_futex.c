/* SPDX-License-Identifier: MIT */
#include "wake_futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void wake_futex_give(struct wake_futex *futex)
{
    atomic_fetch_add(&futex->n_given, 1);
    syscall(SYS_futex, &futex->n_given, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void wake_futex_take(struct wake_futex *futex)
{
    while (atomic_load(&futex->n_given) == futex->n_taken) {
        syscall(SYS_futex, &futex->n_given, FUTEX_WAIT_PRIVATE, futex->n_taken, NULL, NULL, 0);
    }
    futex->n_taken++;
}
