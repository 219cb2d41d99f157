/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debuginfod - debug files from a server that keeps them, asked by build-id
 *
 * A client of libdebuginfod, which is loaded when the first file is asked for
 * and need not be installed. One thread of its own asks for one file after the
 * other: a server that is slow or silent delays nobody but those who wait for
 * its files, and after a silence the rest of the questions are refused at once
 * for DEBUGINFOD_PAUSE_S.
 *
 * It asks only where the user wants it: DEBUGINFOD_URLS names servers, or
 * STAX_DEBUGINFOD=1 and files in /etc/debuginfod do. STAX_DEBUGINFOD=0 turns it
 * off. What was fetched is kept where other debuggers keep it too.
 *
 * Owner:   debuginfod_new()/debuginfod_free(), which does not wait for a
 *          silent server longer than DEBUGINFOD_GOODBYE_MS.
 * Threads: debuginfod_ask() from any. Answers come on the client's thread, and
 *          none comes after debuginfod_free() has returned.
 * Limits:  DEBUGINFOD_MAX_WAITING questions wait; a file of
 *          DEBUGINFOD_MAX_FILE_BYTES, DEBUGINFOD_SILENCE_S without data and
 *          DEBUGINFOD_MAX_DOWNLOAD_S in all, where the environment sets no
 *          other limit.
 * Source:  debuginfod_find_debuginfo(3), debuginfod(8).
 * Tests:   debuginfod_test.c; e2e test_symbol_files.py
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/limits.h"

#define DEBUGINFOD_MAX_WAITING 256
#define DEBUGINFOD_MAX_FILE_BYTES "2147483648"
#define DEBUGINFOD_SILENCE_S "20"
#define DEBUGINFOD_MAX_DOWNLOAD_S 600
#define DEBUGINFOD_PAUSE_S 60
#define DEBUGINFOD_GOODBYE_MS 2500

struct debuginfod;

/*
 * Reads /etc/debuginfod where that was asked for and fills in the limits that
 * the environment does not set. It changes the environment: call it once, at
 * the start of the program, before there are threads.
 */
void debuginfod_prepare_environment(void);

/* Does the environment name a server? */
bool debuginfod_is_enabled(void);

int debuginfod_new(struct debuginfod **ret_client);
struct debuginfod *debuginfod_free(struct debuginfod *client);
DEFINE_FREEP(debuginfod);

/* `path` of the file in the cache, or NULL and why not. Both are borrowed for the call. */
typedef void (*debuginfod_answer_cb)(const char *path, const char *failure, void *userdata);

/* 0; -ENOSPC: too many wait already; -EINVAL: no build-id. Then no answer comes. */
int debuginfod_ask(struct debuginfod *client, const uint8_t *build_id, size_t build_id_bytes,
                   debuginfod_answer_cb on_answer, void *userdata);
