/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * thread_names - what a program calls its threads, for the names of lanes
 *
 * Owner:   the process; one table.
 * Threads: any.
 * Limits:  1024 names of 63 bytes; a thread that finds no room is called by
 *          what the kernel knows of it.
 * Tests:   thread_names_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREAD_LABEL_BYTES 96

/* An empty name takes it away. Longer ones are cut. */
void thread_names_set(uint32_t tid, const char *name);

/*
 * Of the calling thread, whose tid is told: its given name, with the tid where
 * another thread has the same; else the kernel's name of it, where that is not
 * the program's, and the tid. False where the tid is a part of it.
 */
bool thread_names_label(uint32_t tid, char ret_label[static THREAD_LABEL_BYTES]);

/* Counts the changes of names: labels made before are to be made anew. */
uint32_t thread_names_version(void);

/* In the child of a fork(): what was `old_tid` is `tid`, and no other thread is left. */
void thread_names_forked(uint32_t old_tid, uint32_t tid);
