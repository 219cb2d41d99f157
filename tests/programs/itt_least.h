/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * itt_least - as much of a program's side of ITT as the tests need
 *
 * No package has the headers of ITT. The same functions under the same names,
 * and the same loading of the library that INTEL_LIBITTNOTIFY64 names: domains
 * and strings are the program's, all else is the library's.
 *
 * Owner:   the program.
 * Threads: any, behind itt_least_start().
 * Source:  the public headers ittnotify.h and ittnotify_config.h of ITT API 3.
 */

#include <stddef.h>

struct ___itt_domain {
    volatile int flags;
    const char *nameA;
    void *nameW;
    int extra1;
    void *extra2;
    struct ___itt_domain *next;
};

struct ___itt_string_handle {
    const char *strA;
    void *strW;
    int extra1;
    void *extra2;
    struct ___itt_string_handle *next;
};

struct ___itt_id {
    unsigned long long d1, d2, d3;
};

static const struct ___itt_id __itt_null = {0, 0, 0};
enum { __itt_metadata_u64 = 1 };

/* 1: a library was loaded and has taken part. */
int itt_least_start(void);

struct ___itt_domain *__itt_domain_create(const char *name);
struct ___itt_string_handle *__itt_string_handle_create(const char *text);

struct itt_least_functions {
    void (*task_begin)(const struct ___itt_domain *domain, struct ___itt_id id,
                       struct ___itt_id parent, struct ___itt_string_handle *name);
    void (*task_end)(const struct ___itt_domain *domain);
    void (*task_begin_overlapped)(const struct ___itt_domain *domain, struct ___itt_id id,
                                  struct ___itt_id parent, struct ___itt_string_handle *name);
    void (*task_end_overlapped)(const struct ___itt_domain *domain, struct ___itt_id id);
    void (*frame_begin_v3)(const struct ___itt_domain *domain, struct ___itt_id *id);
    void (*frame_end_v3)(const struct ___itt_domain *domain, struct ___itt_id *id);
    void (*marker)(const struct ___itt_domain *domain, struct ___itt_id id,
                   struct ___itt_string_handle *name, int scope);
    void (*thread_set_name)(const char *name);
    void (*metadata_add)(const struct ___itt_domain *domain, struct ___itt_id id,
                         struct ___itt_string_handle *key, int type, size_t count, void *data);
    /* The library has none of it: a program that calls it would be wrong. */
    void (*sync_create)(void *address, const char *type, const char *name, int attribute);
};
extern struct itt_least_functions itt_least;

#define __itt_task_begin(domain, ...)                                                              \
    ((domain)->flags && itt_least.task_begin ? itt_least.task_begin(domain, __VA_ARGS__) : (void)0)
#define __itt_task_end(domain)                                                                     \
    ((domain)->flags && itt_least.task_end ? itt_least.task_end(domain) : (void)0)
#define __itt_task_begin_overlapped(domain, ...)                                                   \
    ((domain)->flags && itt_least.task_begin_overlapped                                            \
         ? itt_least.task_begin_overlapped(domain, __VA_ARGS__)                                    \
         : (void)0)
#define __itt_task_end_overlapped(domain, id)                                                      \
    ((domain)->flags && itt_least.task_end_overlapped ? itt_least.task_end_overlapped(domain, id)  \
                                                      : (void)0)
#define __itt_frame_begin_v3(domain, id)                                                           \
    ((domain)->flags && itt_least.frame_begin_v3 ? itt_least.frame_begin_v3(domain, id) : (void)0)
#define __itt_frame_end_v3(domain, id)                                                             \
    ((domain)->flags && itt_least.frame_end_v3 ? itt_least.frame_end_v3(domain, id) : (void)0)
#define __itt_marker(domain, ...)                                                                  \
    ((domain)->flags && itt_least.marker ? itt_least.marker(domain, __VA_ARGS__) : (void)0)
#define __itt_thread_set_name(name)                                                                \
    (itt_least.thread_set_name ? itt_least.thread_set_name(name) : (void)0)
#define __itt_metadata_add(domain, ...)                                                            \
    ((domain)->flags && itt_least.metadata_add ? itt_least.metadata_add(domain, __VA_ARGS__)       \
                                               : (void)0)
