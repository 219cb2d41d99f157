/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * data_place - the variable at an address of a living process
 *
 * Events tell where code is mapped, not data, so this asks /proc/PID/maps; the part of a program's
 * data that its file does not fill (.bss) is anonymous memory right behind what the file fills.
 *
 * Owner:   texts lie in the arena.
 * Threads: any; reads files, so not the main loop.
 * Limits:  DATA_PLACE_MAPS_BYTES of maps.
 * Source:  proc_pid_maps(5); System V ABI, chapter 5
 * Tests:   data_place_test.c
 */

#include <stdint.h>

#include "base/arena.h"

#define DATA_PLACE_MAPS_BYTES (8u << 20)

/* "queue_lock+0x8 (server)"; NULL: no variable with a name is there. */
const char *data_place_name(struct arena *arena, int64_t pid, uint64_t address);
