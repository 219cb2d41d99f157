/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * nvtx_least - as much of a program's side of NVTX as the tests need
 *
 * For hosts without the headers of NVTX: the same functions under the same
 * names, and the same loading of the library that NVTX_INJECTION64_PATH names.
 *
 * Owner:   the program; one file of it includes this.
 * Threads: any.
 * Source:  the public headers of NVTX 3.
 */

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define NVTX_VERSION 3
#define NVTX_EVENT_ATTRIB_STRUCT_SIZE ((uint16_t)sizeof(struct nvtxEventAttributes_v2))
#define NVTX_PAYLOAD_TYPE_UNSIGNED_INT64 1
#define NVTX_MESSAGE_TYPE_ASCII 1
#define NVTX_MESSAGE_TYPE_REGISTERED 3

typedef void *nvtxDomainHandle_t;
typedef void *nvtxStringHandle_t;
typedef uint64_t nvtxRangeId_t;

struct nvtxEventAttributes_v2 {
    uint16_t version, size;
    uint32_t category;
    int32_t colorType;
    uint32_t color;
    int32_t payloadType, reserved0;
    union {
        uint64_t ullValue;
        double dValue;
    } payload;
    int32_t messageType;
    union {
        const char *ascii;
        nvtxStringHandle_t registered;
    } message;
};

/* Modules 1 and 5 have 15 functions each; what nobody has filled is not called. */
#define LEAST_FUNCTIONS 16
static void (*least_core[LEAST_FUNCTIONS])(void), (*least_core2[LEAST_FUNCTIONS])(void);

static int least_get_functions(int module, void (****ret_places)(void), unsigned int *ret_n_places)
{
    static void (**core[LEAST_FUNCTIONS + 1])(void), (**core2[LEAST_FUNCTIONS + 1])(void);
    for (size_t i = 1; i < LEAST_FUNCTIONS; i++) {
        core[i] = &least_core[i];
        core2[i] = &least_core2[i];
    }
    *ret_places = module == 1 ? core : core2;
    *ret_n_places = LEAST_FUNCTIONS;
    return module == 1 || module == 5;
}

static void least_set_version(uint32_t version)
{
    (void)version;
}

static const void *least_get_table(uint32_t table)
{
    static const struct {
        size_t bytes;
        int (*get_functions)(int, void (****)(void), unsigned int *);
    } callbacks = {sizeof(callbacks), least_get_functions};
    static const struct {
        size_t bytes;
        uint32_t version, reserved;
        void (*set_version)(uint32_t);
    } version = {sizeof(version), NVTX_VERSION, 0, least_set_version};
    return table == 1 ? (const void *)&callbacks : table == 3 ? &version : NULL;
}

static void least_load(void)
{
    const char *path = getenv("NVTX_INJECTION64_PATH");
    void *library = path ? dlopen(path, RTLD_LAZY) : NULL;
    void *symbol = library ? dlsym(library, "InitializeInjectionNvtx2") : NULL;
    int (*initialize)(const void *(*)(uint32_t));
    if (symbol) {
        memcpy(&initialize, &symbol, sizeof(initialize));
        (void)initialize(least_get_table);
    }
}

static void least_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, least_load);
}

#define LEAST_CALL(table, number, type, none, ...)                                                 \
    (least_start(), (table)[number] ? ((type)(table)[number])(__VA_ARGS__) : (none))
#define LEAST_DO(table, number, type, ...)                                                         \
    do {                                                                                           \
        least_start();                                                                             \
        if ((table)[number]) {                                                                     \
            ((type)(table)[number])(__VA_ARGS__);                                                  \
        }                                                                                          \
    } while (0)

static inline void nvtxMarkA(const char *message)
{
    LEAST_DO(least_core, 2, void (*)(const char *), message);
}

static inline nvtxRangeId_t nvtxRangeStartA(const char *message)
{
    return LEAST_CALL(least_core, 5, nvtxRangeId_t(*)(const char *), 0, message);
}

static inline void nvtxRangeEnd(nvtxRangeId_t id)
{
    LEAST_DO(least_core, 7, void (*)(nvtxRangeId_t), id);
}

static inline int nvtxRangePushA(const char *message)
{
    return LEAST_CALL(least_core, 9, int (*)(const char *), -2, message);
}

static inline int nvtxRangePushW(const wchar_t *message)
{
    return LEAST_CALL(least_core, 10, int (*)(const wchar_t *), -2, message);
}

static inline int nvtxRangePop(void)
{
    return LEAST_CALL(least_core, 11, int (*)(void), -2);
}

static inline void nvtxNameOsThreadA(uint32_t tid, const char *name)
{
    LEAST_DO(least_core, 14, void (*)(uint32_t, const char *), tid, name);
}

static inline int nvtxDomainRangePushEx(nvtxDomainHandle_t domain,
                                        const struct nvtxEventAttributes_v2 *attributes)
{
    return LEAST_CALL(least_core2, 4, int (*)(void *, const struct nvtxEventAttributes_v2 *), -2,
                      domain, attributes);
}

static inline int nvtxDomainRangePop(nvtxDomainHandle_t domain)
{
    return LEAST_CALL(least_core2, 5, int (*)(void *), -2, domain);
}

static inline nvtxStringHandle_t nvtxDomainRegisterStringA(nvtxDomainHandle_t domain,
                                                           const char *text)
{
    return LEAST_CALL(least_core2, 10, void *(*)(void *, const char *), NULL, domain, text);
}

static inline nvtxDomainHandle_t nvtxDomainCreateA(const char *name)
{
    return LEAST_CALL(least_core2, 12, void *(*)(const char *), NULL, name);
}
