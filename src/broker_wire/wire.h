/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wire - what stax-server and staxd say to each other
 *
 * One message of a SOCK_SEQPACKET socket is one request or one reply, all of
 * fixed size. What a caller can ask for is a closed set: nothing here carries
 * a path, an attribute of an event, or a process by its number.
 *
 * Owner:   values.
 * Threads: any.
 * Source:  docs/PROTOCOL.broker.md
 * Tests:   wire_test.c; tests/fuzz/fuzz_broker_wire.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKER_VERSION 1u
#define BROKER_SOCKET "/run/staxd.sock"

#define BROKER_PERIOD_MIN_NS UINT64_C(50000)
#define BROKER_PERIOD_MAX_NS UINT64_C(10000000000)
#define BROKER_STACK_MAX_BYTES 65528u
#define BROKER_WAKEUP_MAX_BYTES (64u << 20)
#define BROKER_CPU_MAX 65534
#define BROKER_SWITCHES_LOST 65535            /* in place of a CPU: the map of what found no room */
#define BROKER_SWITCHES_RING_BYTES (4u << 20) /* per CPU */
#define BROKER_TID_MAX (1 << 22)
#define BROKER_SESSION_EVENTS_MAX 8192u

enum broker_verb {
    BROKER_HELLO = 1,
    BROKER_OPEN_SESSION,
    BROKER_OPEN_EVENT,
    BROKER_START_SWITCHES,
    BROKER_OPEN_SWITCHES,
    BROKER_OPEN_KERNEL_NAMES,
    BROKER_STATUS,
    BROKER_VERB_END
};

enum broker_kind {
    BROKER_KIND_ANCHOR = 1,
    BROKER_KIND_SIDE_BAND,
    BROKER_KIND_SAMPLES,
    BROKER_KIND_SAMPLES_WITH_SIDE_BAND,
    BROKER_KIND_END
};

enum broker_flag {
    BROKER_FLAG_EXCLUDE_KERNEL = 1 << 0, /* nothing that happens in the kernel */
    BROKER_FLAG_NO_KERNEL_FRAMES = 1 << 1,
    BROKER_FLAG_INHERIT_THREADS = 1 << 2,
    BROKER_FLAG_INHERIT_CHILDREN = 1 << 3,
    BROKER_FLAG_WITH_SWITCHES = 1 << 4,
    BROKER_FLAG_ENABLED = 1 << 5,
    BROKER_FLAGS_ALL = (1 << 6) - 1
};

enum broker_ability {
    BROKER_CAN_KERNEL_STACKS = 1 << 0,
    BROKER_CAN_KERNEL_NAMES = 1 << 1,
    BROKER_CAN_SWITCHES = 1 << 2,
};

/* A connection has been through … */
enum broker_phase {
    BROKER_PHASE_NEW,     /* nothing */
    BROKER_PHASE_GREETED, /* HELLO */
    BROKER_PHASE_OPEN,    /* OPEN_SESSION: it has a target */
};

/*
 * Why not; positive, beside the negative errno of a system call. The first ones
 * are answers to messages that no client of ours sends: the connection ends.
 */
#define BROKER_REFUSALS(X)                                                                         \
    X(LENGTH, "length")                                                                            \
    X(VERB, "verb")                                                                                \
    X(PHASE, "phase")                                                                              \
    X(DESCRIPTORS, "descriptors")                                                                  \
    X(VERSION, "version")                                                                          \
    X(FLAGS, "flags")                                                                              \
    X(KIND, "kind")                                                                                \
    X(RANGE, "range")                                                                              \
    X(NO_PIDFD, "no-pidfd")                                                                        \
    X(GONE, "gone")                                                                                \
    X(UID, "uid")                                                                                  \
    X(GID, "gid")                                                                                  \
    X(CAPABILITIES, "capabilities")                                                                \
    X(NOT_DUMPABLE, "not-dumpable")                                                                \
    X(BY_KERNEL, "by-kernel")                                                                      \
    X(CHANGED, "changed") /* the thread became another program meanwhile */                        \
    X(POLICY, "policy")                                                                            \
    X(TOO_MANY, "too-many")                                                                        \
    X(SLOW, "slow")

#define BROKER_REFUSAL_CODE(code, name) BROKER_REFUSED_##code,
enum broker_refusal { BROKER_GRANTED, BROKER_REFUSALS(BROKER_REFUSAL_CODE) BROKER_REFUSAL_N };

struct broker_short_request { /* every verb but OPEN_EVENT */
    uint32_t verb;
    uint32_t word; /* HELLO: the version; OPEN_SWITCHES: a CPU; START_SWITCHES: flags; else 0 */
};

struct broker_event_request { /* OPEN_EVENT */
    uint32_t verb;
    uint32_t kind;
    int32_t tid;
    int32_t cpu; /* -1: any, of an anchor */
    uint64_t period_ns;
    uint32_t stack_bytes, wakeup_bytes;
    uint32_t flags;
    uint32_t zero;
};

struct broker_reply { /* a descriptor comes with it where one was asked for */
    uint32_t verb;
    int32_t status; /* 0, an enum broker_refusal, or a negative errno */
    uint32_t version;
    uint32_t abilities;
    uint32_t n_events; /* opened through this connection */
    uint32_t zero;
};

_Static_assert(sizeof(struct broker_short_request) == 8, "on the wire");
_Static_assert(sizeof(struct broker_event_request) == 40, "on the wire");
_Static_assert(sizeof(struct broker_reply) == 24, "on the wire");

#define BROKER_REQUEST_MAX_BYTES sizeof(struct broker_event_request)

/* A row per verb: what must be true of its message before anybody looks at what it asks for. */
struct broker_rule {
    const char *name;
    size_t n_bytes, n_fds;
    unsigned int phases;          /* bits 1 << enum broker_phase */
    enum broker_phase next_phase; /* NEW: as before */
    uint32_t last_word;           /* the greatest that it may have */
    bool has_descriptor;          /* its answer */
};

/* NULL: there is no such verb. */
const struct broker_rule *broker_rule_of(uint32_t verb);

/* Fills *ret_event for either shape; everything beyond the sets above is refused. */
enum broker_refusal broker_check_request(enum broker_phase phase, const void *data, size_t n_bytes,
                                         size_t n_fds, struct broker_event_request *ret_event);

/* "uid", …; for the log, the description and people. */
const char *broker_refusal_name(enum broker_refusal refusal);
const char *broker_kind_name(enum broker_kind kind);
