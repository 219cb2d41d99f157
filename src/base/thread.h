/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * thread - a thread of our own making
 *
 * It takes no signals: those are the business of the thread that waits for
 * them, and of nobody in between.
 *
 * Owner:   the caller joins or detaches it. Threads: any.
 * Source:  pthread_sigmask(3): a new thread has the mask of who made it.
 * Tests:   thread_test.c
 */

#include <pthread.h>

/* name is what `ps -L` and debuggers show, 15 bytes of it. 0, or a negative errno. */
int thread_start(const char *name, void *(*run)(void *userdata), void *userdata,
                 pthread_t *ret_thread);
