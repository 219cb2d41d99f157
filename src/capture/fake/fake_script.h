/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fake_script - what the fake backend shall play, as one line of text
 *
 * "samples=1000000,threads=8,stacks=20000": names and numbers, in any order,
 * each at most once; what is missing has its default. Numbers may end in k, M
 * or G (thousands).
 *
 * Owner:   plain data.
 * Threads: any.
 * Tests:   fake_script_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define FAKE_SCRIPT_MAX_THREADS 100000u
#define FAKE_SCRIPT_MAX_IMAGES 4096u

struct fake_script {
    uint64_t samples;      /* how many in all (default 100000) */
    uint64_t threads;      /* 8 */
    uint64_t cpus;         /* threads run on these (4, never more than threads) */
    uint64_t stacks;       /* about as many distinct ones, a few of them hot (1000) */
    uint64_t depth;        /* user frames of each stack (20) */
    uint64_t functions;    /* distinct places in the code (4000) */
    uint64_t kernel_depth; /* kernel frames on every eighth stack (0) */
    uint64_t images;       /* mapped files (3) */
    uint64_t switches;     /* times a CPU changes its thread (a tenth of the samples) */
    uint64_t duration_ns;  /* time in the stream (samples at frequency_hz on each CPU) */
    uint64_t frequency_hz; /* how often a CPU is sampled, where duration_ns does not say (900) */
    uint64_t rate;         /* samples per second of real time; 0: as fast as they are taken (0) */
    uint64_t seed;         /* another one gives another stream (1) */
    bool block;            /* wait for a slow consumer instead of losing events (0) */
    bool hold;             /* stay alive after the last sample, until stopped (0) */
};

/* Returns 0; -EINVAL with code "invalid_params" and what is wrong. NULL and "" mean all defaults.
 */
int fake_script_parse(const char *text, struct fake_script *ret_script, struct error *reterr_error);
