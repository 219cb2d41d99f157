/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * capture - the door between stax and an operating system
 *
 * A backend is a constant table of functions; its only output is the neutral
 * event stream (model/event.h). Nothing above this header knows which one is
 * at work.
 *
 * Owner:   open() makes it, free() ends it; the config's strings are borrowed
 *          during open() only.
 * Threads: open, start, drain, stop and free are called by one thread (the
 *          run's drain thread); stats() by any.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "model/capability.h"
#include "model/counter_set.h"
#include "model/event_sink.h"

struct capture;
struct code_map; /* unwind/code_map.h */

struct capture_config {
    int64_t pid;
    int pidfd;        /* borrowed; -1 where the host has none */
    bool is_launched; /* suspended before its exec: nothing before the exec is recorded */
    bool follow_children;
    bool no_kernel;
    bool no_off_cpu;
    bool with_counters;   /* the processor's, where there are any */
    bool no_unwind;       /* frame pointers only */
    uint32_t stack_bytes; /* copied per sample; 0: as want_stack_bytes() says */
    uint32_t frequency_hz;
    const char *daemon_socket; /* of the privileged broker; NULL: the usual place */
    const char *script;        /* of capture/fake; of an import: the path of the file */
};

enum capture_state {
    CAPTURE_RUNNING,
    CAPTURE_TARGET_GONE, /* every event of it has been delivered or can be by stop() */
};

/* Counters only grow; read while the drain thread writes them. */
struct capture_stats {
    uint64_t records_read, bytes_read;
    uint64_t records_foreign; /* of other processes, dropped unread */
    uint64_t records_undecodable;
    uint64_t records_lost; /* the kernel's own count */
    uint64_t throttles;
    uint64_t events_delivered;
    uint64_t drain_rounds;
    uint64_t drain_cpu_ns; /* CPU time of the drain thread */
    uint64_t ring_bytes;   /* per CPU */
    uint64_t ring_fill_max_bytes;
    uint64_t n_rings, n_events_open;
    uint64_t merge_late; /* records that came too late for their place in time */
    uint64_t samples_truncated;
    uint64_t samples_read, sample_bytes_read; /* of the target; with all that their records carry */
    uint64_t samples_with_copy;               /* … with registers and stack */
    uint64_t stack_bytes_copied;              /* of them, as far as stacks went */
    uint64_t stack_bytes_now;                 /* what a sample may carry at present */
    /* Stacks of waits and of wakers, as the kernel's side told them. */
    uint64_t wait_stacks_walked;
    uint64_t wait_stacks_compared; /* recognised by all that a walk had read */
    uint64_t wait_stacks_trusted;  /* … by registers alone: of threads whose waits are short */
    uint64_t wait_stacks_late; /* of those, kernel frames told when the wait was long after all */
};

struct capture_ops {
    const char *name;
    /* It plays what was recorded before: times of its events have nothing to do with now. */
    bool is_recorded;
    /* What this host allows; never fails. Any thread. */
    void (*probe)(struct capability_set *ret_abilities);
    /* Makes in the background what the next recording begins sooner with, unless it is there;
     * unprepare() gives it back. Any thread; both may be NULL. */
    void (*prepare)(void);
    void (*unprepare)(void);
    int (*open)(const struct capture_config *config, struct event_sink sink,
                struct capture **ret_capture, struct error *reterr_error);
    /* After 0 no event of the target is missed. A launched target is still suspended. */
    int (*start)(struct capture *capture);
    /* Waits at most timeout_ms for something to do, delivers, and says how the target is. */
    int (*drain)(struct capture *capture, int timeout_ms, enum capture_state *ret_state);
    /* Disables the sources and delivers everything up to now. Idempotent. */
    int (*stop)(struct capture *capture);
    void (*stats)(const struct capture *capture, struct capture_stats *ret_stats);
    /* One line each on what could not be captured in this run and the fix; returns how many. */
    size_t (*notes)(const struct capture *capture, char (*ret_notes)[400], size_t max_notes);
    /* Which counters are read in this run, and why not the others. May be NULL: none ever are. */
    void (*counters)(const struct capture *capture, struct counter_set *ret_counters);
    /* How this run is captured, for people: "per-CPU events, filtered in the kernel". */
    const char *(*describe)(const struct capture *capture);
    struct capture *(*free)(struct capture *capture);

    /* What the kernel calls its functions, where an ordinary reader is not told but this capture
     * is: a descriptor of that text, the caller's from now on; -1: none. May be NULL. */
    int (*take_kernel_names)(struct capture *capture);

    /* What the unwinder tells and asks, on the aggregator's thread, between start and stop. Each
     * may be NULL. */

    /* So many bytes of stack (0: none) would have sufficed for nearly every sample of late. */
    void (*want_stack_bytes)(struct capture *capture, uint32_t n_bytes);
    /* The code that a process has mapped now, for a backend that walks stacks itself; borrowed
     * during the call, its tables for the whole run. */
    void (*set_code)(struct capture *capture, const struct code_map *map);
    /* The memory of a process as it is now. Returns how many bytes could be read, from the
     * beginning, or a negative errno. */
    ssize_t (*read_memory)(struct capture *capture, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes);
};

/* The backends; the server picks in one file. */
extern const struct capture_ops capture_linux_ops;
extern const struct capture_ops capture_fake_ops;
extern const struct capture_ops capture_import_ops; /* interchange/import.h */
