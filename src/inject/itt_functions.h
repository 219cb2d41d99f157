/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * itt_functions - the functions of ITT that the library exports
 *
 * A program's part of ITT looks for them by the name behind "__itt_".
 *
 * Owner:   what is created lives as long as the process.
 * Threads: any.
 * Limits:  1024 events and counters each; more are handles of none.
 * Source:  the public header ittnotify.h of ITT API 3.
 * Tests:   itt_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "inject/itt_abi.h"

struct itt_counter;
struct itt_clock;
struct dialect_domain;

#define ITT_DEFAULT_DOMAIN "ITT" /* of what the program gives no domain */

#define ITT_API(name) __asm__("__itt_" #name) __attribute__((visibility("default")))

/* itt.c */
void itt_api_init(struct itt_global *global, int groups) ITT_API(api_init);
const char *itt_api_version(void) ITT_API(api_version);
void itt_pause(void) ITT_API(pause);
void itt_resume(void) ITT_API(resume);
void itt_detach(void) ITT_API(detach);

/* itt_objects.c */
struct itt_domain *itt_domain_create(const char *name) ITT_API(domain_create);
struct itt_string *itt_string_handle_create(const char *text) ITT_API(string_handle_create);
void itt_thread_set_name(const char *name) ITT_API(thread_set_name);
int itt_thr_name_set(const char *name, int n_bytes) ITT_API(thr_name_set);
void itt_thread_ignore(void) ITT_API(thread_ignore);
void itt_id_create(const struct itt_domain *domain, struct itt_id id) ITT_API(id_create);
void itt_id_destroy(const struct itt_domain *domain, struct itt_id id) ITT_API(id_destroy);
unsigned long long itt_get_timestamp(void) ITT_API(get_timestamp);
int itt_event_create(const char *name, int n_bytes) ITT_API(event_create);
int itt_event_start(int event) ITT_API(event_start);
int itt_event_end(int event) ITT_API(event_end);

/* The dialect's for the program's; that of all that has none for NULL. */
struct dialect_domain *itt_domain_of(const struct itt_domain *domain);

/* itt_counters.c */
struct itt_counter *itt_counter_create(const char *name, const char *domain)
    ITT_API(counter_create);
struct itt_counter *itt_counter_create_typed(const char *name, const char *domain, int kind)
    ITT_API(counter_create_typed);
void itt_counter_destroy(struct itt_counter *counter) ITT_API(counter_destroy);
void itt_counter_inc(struct itt_counter *counter) ITT_API(counter_inc);
void itt_counter_inc_delta(struct itt_counter *counter, unsigned long long delta)
    ITT_API(counter_inc_delta);
void itt_counter_dec(struct itt_counter *counter) ITT_API(counter_dec);
void itt_counter_dec_delta(struct itt_counter *counter, unsigned long long delta)
    ITT_API(counter_dec_delta);
void itt_counter_set_value(struct itt_counter *counter, void *value) ITT_API(counter_set_value);
void itt_counter_set_value_ex(struct itt_counter *counter, struct itt_clock *clock,
                              unsigned long long time, void *value) ITT_API(counter_set_value_ex);
void itt_counter_inc_v3(const struct itt_domain *domain, struct itt_string *name)
    ITT_API(counter_inc_v3);
void itt_counter_inc_delta_v3(const struct itt_domain *domain, struct itt_string *name,
                              unsigned long long delta) ITT_API(counter_inc_delta_v3);
void itt_counter_dec_v3(const struct itt_domain *domain, struct itt_string *name)
    ITT_API(counter_dec_v3);
void itt_counter_dec_delta_v3(const struct itt_domain *domain, struct itt_string *name,
                              unsigned long long delta) ITT_API(counter_dec_delta_v3);

/* False where it is no number. */
bool itt_read_number(int kind, const void *data, double *ret_value);

/* itt_tasks.c */
void itt_task_begin(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                    struct itt_string *name) ITT_API(task_begin);
void itt_task_begin_fn(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                       void *function) ITT_API(task_begin_fn);
void itt_task_end(const struct itt_domain *domain) ITT_API(task_end);
void itt_task_begin_ex(const struct itt_domain *domain, struct itt_clock *clock,
                       unsigned long long time, struct itt_id id, struct itt_id parent,
                       struct itt_string *name) ITT_API(task_begin_ex);
void itt_task_begin_fn_ex(const struct itt_domain *domain, struct itt_clock *clock,
                          unsigned long long time, struct itt_id id, struct itt_id parent,
                          void *function) ITT_API(task_begin_fn_ex);
void itt_task_end_ex(const struct itt_domain *domain, struct itt_clock *clock,
                     unsigned long long time) ITT_API(task_end_ex);
void itt_task_group(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                    struct itt_string *name) ITT_API(task_group);
void itt_task_begin_overlapped(const struct itt_domain *domain, struct itt_id id,
                               struct itt_id parent, struct itt_string *name)
    ITT_API(task_begin_overlapped);
void itt_task_end_overlapped(const struct itt_domain *domain, struct itt_id id)
    ITT_API(task_end_overlapped);
void itt_task_begin_overlapped_ex(const struct itt_domain *domain, struct itt_clock *clock,
                                  unsigned long long time, struct itt_id id, struct itt_id parent,
                                  struct itt_string *name) ITT_API(task_begin_overlapped_ex);
void itt_task_end_overlapped_ex(const struct itt_domain *domain, struct itt_clock *clock,
                                unsigned long long time, struct itt_id id)
    ITT_API(task_end_overlapped_ex);
void itt_region_begin(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                      struct itt_string *name) ITT_API(region_begin);
void itt_region_end(const struct itt_domain *domain, struct itt_id id) ITT_API(region_end);
void itt_marker(const struct itt_domain *domain, struct itt_id id, struct itt_string *name,
                int scope) ITT_API(marker);
void itt_marker_ex(const struct itt_domain *domain, struct itt_clock *clock,
                   unsigned long long time, struct itt_id id, struct itt_string *name, int scope)
    ITT_API(marker_ex);
void itt_metadata_add(const struct itt_domain *domain, struct itt_id id, struct itt_string *key,
                      int kind, size_t n_values, void *values) ITT_API(metadata_add);
void itt_metadata_str_add(const struct itt_domain *domain, struct itt_id id, struct itt_string *key,
                          const char *text, size_t n_bytes) ITT_API(metadata_str_add);
void itt_frame_begin_v3(const struct itt_domain *domain, struct itt_id *id) ITT_API(frame_begin_v3);
void itt_frame_end_v3(const struct itt_domain *domain, struct itt_id *id) ITT_API(frame_end_v3);
void itt_frame_submit_v3(const struct itt_domain *domain, struct itt_id *id,
                         unsigned long long begin, unsigned long long end) ITT_API(frame_submit_v3);
void *itt_frame_create(const char *domain) ITT_API(frame_create);
void itt_frame_begin(void *frame) ITT_API(frame_begin);
void itt_frame_end(void *frame) ITT_API(frame_end);
