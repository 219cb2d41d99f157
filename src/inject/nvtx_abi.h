/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * nvtx_abi - what a program with NVTX and a tool agree on
 *
 * The program's NVTX loads the library that NVTX_INJECTION64_PATH names, calls
 * its InitializeInjectionNvtx2() with a function that hands out tables, and
 * uses what the tool has written through them: a table is an array of places
 * of function pointers, by the number of the function.
 *
 * Owner:   tables are the program's.
 * Threads: does not apply.
 * Source:  the public headers of NVTX 3, nvToolsExt.h and nvtxDetail/nvtxTypes.h
 *          (the layout of version 2 is the same).
 * Tests:   nvtx_test.c, with a program's side of its own; tests/e2e/test_dialects.py.
 */

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* Numbers of export tables, and of modules of functions. */
#define NVTX_TABLE_CALLBACKS 1u
#define NVTX_TABLE_VERSION 3u
#define NVTX_MODULE_CORE 1
#define NVTX_MODULE_CORE2 5

#define NVTX_VERSION_MIN 2u
#define NVTX_VERSION_MAX 3u

typedef void (*nvtx_function)(void);
typedef const void *(*nvtx_get_table)(uint32_t table);

struct nvtx_callbacks_table {
    size_t bytes;
    /* 1, and places of functions and how many there are (place 0 is none); or 0. */
    int (*get_functions)(int module, nvtx_function ***ret_places, unsigned int *ret_n_places);
};

struct nvtx_version_table {
    size_t bytes;
    uint32_t version; /* of the program's header */
    uint32_t unused;
    void (*set_tool_version)(uint32_t version);
};

enum nvtx_core_function {
    NVTX_CORE_MARK_EX = 1,
    NVTX_CORE_MARK_A,
    NVTX_CORE_MARK_W,
    NVTX_CORE_RANGE_START_EX,
    NVTX_CORE_RANGE_START_A,
    NVTX_CORE_RANGE_START_W,
    NVTX_CORE_RANGE_END,
    NVTX_CORE_RANGE_PUSH_EX,
    NVTX_CORE_RANGE_PUSH_A,
    NVTX_CORE_RANGE_PUSH_W,
    NVTX_CORE_RANGE_POP,
    NVTX_CORE_NAME_CATEGORY_A,
    NVTX_CORE_NAME_CATEGORY_W,
    NVTX_CORE_NAME_OS_THREAD_A,
    NVTX_CORE_NAME_OS_THREAD_W
};

enum nvtx_core2_function {
    NVTX_CORE2_DOMAIN_MARK_EX = 1,
    NVTX_CORE2_DOMAIN_RANGE_START_EX,
    NVTX_CORE2_DOMAIN_RANGE_END,
    NVTX_CORE2_DOMAIN_RANGE_PUSH_EX,
    NVTX_CORE2_DOMAIN_RANGE_POP,
    NVTX_CORE2_DOMAIN_RESOURCE_CREATE,
    NVTX_CORE2_DOMAIN_RESOURCE_DESTROY,
    NVTX_CORE2_DOMAIN_NAME_CATEGORY_A,
    NVTX_CORE2_DOMAIN_NAME_CATEGORY_W,
    NVTX_CORE2_DOMAIN_REGISTER_STRING_A,
    NVTX_CORE2_DOMAIN_REGISTER_STRING_W,
    NVTX_CORE2_DOMAIN_CREATE_A,
    NVTX_CORE2_DOMAIN_CREATE_W,
    NVTX_CORE2_DOMAIN_DESTROY,
    NVTX_CORE2_INITIALIZE
};

enum nvtx_payload_kind {
    NVTX_PAYLOAD_NONE,
    NVTX_PAYLOAD_U64,
    NVTX_PAYLOAD_S64,
    NVTX_PAYLOAD_DOUBLE,
    NVTX_PAYLOAD_U32,
    NVTX_PAYLOAD_S32,
    NVTX_PAYLOAD_FLOAT
};

enum nvtx_message_kind {
    NVTX_MESSAGE_NONE,
    NVTX_MESSAGE_ASCII,
    NVTX_MESSAGE_WIDE,
    NVTX_MESSAGE_REGISTERED /* what the tool has returned for a string */
};

struct nvtx_attributes {
    uint16_t version, bytes;
    uint32_t category;
    int32_t color_kind;
    uint32_t color;
    int32_t payload_kind; /* enum nvtx_payload_kind, and what extensions add */
    int32_t unused;
    union {
        uint64_t u64;
        int64_t s64;
        double real;
        uint32_t u32;
        int32_t s32;
        float real32;
    } payload;
    int32_t message_kind; /* enum nvtx_message_kind */
    union {
        const char *ascii;
        const wchar_t *wide;
        const void *registered;
    } message;
};

_Static_assert(offsetof(struct nvtx_attributes, payload) == 24, "as NVTX lays it out");
_Static_assert(offsetof(struct nvtx_attributes, message) == 40, "as NVTX lays it out");
_Static_assert(sizeof(struct nvtx_attributes) == 48, "as NVTX lays it out");

/* What the library exports. 1: it takes part; 0: the program goes on without. */
int InitializeInjectionNvtx2(nvtx_get_table get_table)
    __attribute__((visibility("default"))); /* NOLINT(readability-identifier-naming) */
