/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * limits - bounds that more than one room must agree on
 *
 * Owner, Threads: constants.
 */

#define LIMIT_STACK_IPS 8192               /* frames of one stack; deeper ones are cut and marked */
#define LIMIT_STACK_COPY_BYTES 65528       /* the kernel's own limit for one sample */
#define LIMIT_STACK_COPY_WISH_MIN_BYTES 64 /* what a person may ask for; 64K means the limit */
#define LIMIT_STACK_COPY_WISH_MAX_BYTES 65536
#define LIMIT_FREQUENCY_HZ 20000 /* cli.md */
#define LIMIT_FREQUENCY_DEFAULT_HZ 900
#define LIMIT_NAME_BYTES 64 /* a thread's name, with NUL */
#define LIMIT_PATH_BYTES 4096
#define LIMIT_BUILD_ID_BYTES 20
#define LIMIT_COUNTERS 4               /* that are read together */
#define LIMIT_REQUEST_BYTES (1u << 20) /* rpc.md */
#define LIMIT_REQUEST_NESTING 32
#define LIMIT_MEMORY_DEFAULT_BYTES (UINT64_C(2) << 30) /* --max-memory */
/* What programs report themselves; of one run. */
#define LIMIT_LANES 4096u
#define LIMIT_SPAN_NAMES 65536u
#define LIMIT_SPAN_NAME_BYTES 256u /* with NUL */
#define LIMIT_SPAN_DEPTH 32u       /* names inside names */
#define LIMIT_SPAN_DETAILS 15u     /* counters, and attachments, of one span */
#define LIMIT_SPAN_DIMENSIONS 4u
