/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * walk_maps - the tables that the in-kernel walk reads, as both sides see them
 *
 * Shape:   `control`: one struct walk_control. `ranges`: two banks of
 *          WALK_MAX_RANGES struct walk_range, sorted; control says which bank
 *          holds. `tables`: array of maps, one per image, of words: the page
 *          index (two 32-bit row numbers per word), then the rows.
 *          `sched_control`: one struct sched_control, written once. `states`:
 *          what sched_steps.h keeps of each thread, by the last bits of its
 *          number; `memos`: the same of its stacks. `rings`: array of
 *          ring buffers, one per CPU. `lost`: per CPU, how many records found
 *          no room there. `family`: processes that the target has forked, and
 *          those, by pid. `counts`: per CPU, a struct sched_counts.
 * Owner:   kernel_walk.c fills them, walk.bpf.c reads them.
 * Threads: control.bank_and_count changes in one store, after its bank;
 *          control.generation after that, and is read before it.
 */

#include <linux/types.h>

#include "sources/bpf/walk_object.h"

#define WALK_MAX_RANGES 4096u
#define WALK_MAX_TABLES 1024u
#define WALK_PAGE_SHIFT 8 /* CFI_PAGE_BYTES */

enum walk_range_state { WALK_RANGE_PENDING, WALK_RANGE_TABLE, WALK_RANGE_NO_TABLE };

struct walk_range {
    __u64 start_ip, end_ip;
    __u64 base_ip; /* ip of pc 0 of the table */
    __u32 table;   /* index in `tables` */
    __u32 state;   /* enum walk_range_state */
    __u32 n_pages;
    __u32 first_row; /* word of row 0 */
};

struct walk_control {
    __u64 bank_and_count; /* bank << 32 | number of ranges */
    __u64 generation;     /* of the code_map that the bank holds; 0: none */
    __u32 pid;
    __u32 no_kernel;
    __u32 max_stack_bytes; /* appended where a walk cannot finish */
    __u32 unused;
};

/* How stacks of waits and of wakers were told. */
struct sched_counts {
    __u64 n_walked;
    __u64 n_compared; /* recognised by all that a walk had read */
    __u64 n_trusted;  /* recognised by registers alone */
    __u64 n_late;     /* of those, waits that turned out long: kernel frames told at their end */
    /* What copies of whole stacks may still take, and as of when. */
    __u64 spare_bytes, spare_at_ns;
};

struct sched_control {
    __u32 pid;
    __u32 checks_identity; /* only while it is the process that began at start_ticks, and whoever
                              has `uid` may look into it */
    __u64 start_ticks;     /* since boot, as in /proc/PID/stat: hundredths of a second */
    __u32 follows_children;
    __u32 no_kernel;
    __u32 max_stack_bytes; /* appended where a walk cannot finish */
    __u32 uid;
    /* After so many waits in a row of less than short_ns a thread's stacks are recognised without
     * their kernel frames. */
    __u64 short_ns;
    __u32 short_run;
    __u32 wake_bytes; /* the reader is woken when a ring holds that much */
    /* The count of interrupts of a CPU lies that far from its run queue. */
    __s64 preempt_count_from_rq;
};
