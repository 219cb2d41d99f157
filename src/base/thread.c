/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

#define NAME_BYTES 16 /* of Linux, with NUL */

int thread_start(const char *name, void *(*run)(void *userdata), void *userdata,
                 pthread_t *ret_thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret_thread, NULL, run, userdata);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#if defined(__linux__)
    if (r == 0) {
        char shown[NAME_BYTES];
        (void)snprintf(shown, sizeof(shown), "%s", name);
        (void)pthread_setname_np(*ret_thread, shown);
    }
#else
    (void)name;
#endif
    return -r;
}
