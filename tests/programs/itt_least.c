/* SPDX-License-Identifier: MIT */
#include "itt_least.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct itt_least_functions itt_least;

struct function {
    const char *name;
    void **place;
    void *first, *none;
    int group;
};

#define FUNCTION(name)                                                                             \
    {                                                                                              \
        "__itt_" #name, (void **)(void *)&itt_least.name, NULL, NULL, 1 << 3                       \
    }

static struct function functions[] = {
    FUNCTION(task_begin),
    FUNCTION(task_end),
    FUNCTION(task_begin_overlapped),
    FUNCTION(task_end_overlapped),
    FUNCTION(frame_begin_v3),
    FUNCTION(frame_end_v3),
    FUNCTION(marker),
    FUNCTION(thread_set_name),
    FUNCTION(metadata_add),
    FUNCTION(sync_create),
    {NULL, NULL, NULL, NULL, 0},
};

static struct {
    unsigned char magic[8];
    unsigned long version_major, version_minor, version_build;
    volatile long is_initialized, is_mutex_initialized, counter;
    pthread_mutex_t mutex;
    void *library, *error_handler;
    const char **path;
    struct function *functions;
    void *next, *threads;
    struct ___itt_domain *domains;
    struct ___itt_string_handle *strings;
    int state;
    void *counters;
} global = {
    .magic = {0xed, 0xab, 0xab, 0xec, 0x0d, 0xee, 0xda, 0x30},
    .version_major = 3,
    .version_build = 20180723,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .functions = functions,
};

int itt_least_start(void)
{
    const char *path = getenv("INTEL_LIBITTNOTIFY64");
    global.library = path ? dlopen(path, RTLD_LAZY) : NULL;
    void *symbol = global.library ? dlsym(global.library, "__itt_api_init") : NULL;
    void (*initialize)(void *, int);
    if (symbol) {
        memcpy(&initialize, &symbol, sizeof(initialize));
        initialize(&global, 0x0fffffff);
    }
    global.is_initialized = 1;
    return itt_least.task_begin && itt_least.task_end && !itt_least.sync_create;
}

struct ___itt_domain *__itt_domain_create(const char *name)
{
    struct ___itt_domain *domain = calloc(1, sizeof(*domain));
    if (domain) {
        domain->flags = 1;
        domain->nameA = name;
        domain->next = global.domains;
        global.domains = domain;
    }
    return domain;
}

struct ___itt_string_handle *__itt_string_handle_create(const char *text)
{
    struct ___itt_string_handle *string = calloc(1, sizeof(*string));
    if (string) {
        string->strA = text;
        string->next = global.strings;
        global.strings = string;
    }
    return string;
}
